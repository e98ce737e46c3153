"""`replay`: a fleet that answers from a recording.

It joins a player with a fleet that is connected to nothing. What is answered is the player's business.
"""

from __future__ import annotations

import os
import time
from typing import Any

from mcpnb.experiment.recording import Player, Recording
from mcpnb.experiment.recording.settings import settings
from mcpnb.notebook.fleet import Fleet

__all__ = ["replay"]


def replay(
    recording: Recording | str | os.PathLike[str], *, latencies: bool = False, **options: Any
) -> Fleet:
    """A `Fleet` that answers from a recording, without a network: the same servers, tools, values and errors.

    Each call goes as the recorded call that asked the same (server, tool, arguments in any order) went. Of
    several it takes one after the other and then the last one again. What nobody asked while it was recorded
    is a `NotRecorded`, which names the nearest that was. Setting `fleet.strategy`, or `strategy=` here, has
    calls routed anew, among the servers that the recording has an answer of; `AsRecorded()`, which is in
    `mcpnb.experiment.recording`, is the strategy that a replay begins with.

    Args:
        recording: A file that `fleet.record(path)` wrote, or a `Recording`.
        latencies: Whether answers take as long as they took; else they are there at once.
        options: As for `connect`, in place of what the recorded fleet was connected with.

    Raises:
        RecordingError: It is no recording, is of a newer version, or a line of it is damaged; names the line.
    """
    loaded = recording if isinstance(recording, Recording) else Recording.load(recording)
    player = Player(loaded, latencies=latencies)
    chosen: dict[str, Any] = {"name": f"replay of {loaded.path.name}", **settings(loaded), **options}
    fleet = Fleet(player.configs(), **chosen)
    player.serve(fleet.client, at=time.time())
    return fleet
