"""A recording that runs: how it is begun, looked at and stopped, from any thread.

It owns the face. What is written is the tap's business; how to get onto the client's loop it is told.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mcpnb.client import MultiServerClient
from mcpnb.experiment.recording.tap import RecordingTap
from mcpnb.experiment.recording.writer import Writer

__all__ = ["LiveRecording", "record"]

Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]
"""Runs a coroutine function to its end on the client's event loop."""


def record(
    client: MultiServerClient, path: str | os.PathLike[str], *, overwrite: bool = False
) -> RecordingTap:
    """Write every call from now on into a file, until its `close()`. On the client's event loop.

    Raises:
        RecordingError: There is a file already, or it cannot be written.
    """
    return RecordingTap(client, Writer(path, overwrite=overwrite))


class LiveRecording:
    """A recording that runs from when it is made until `stop()`, or to the end of a `with` block.

    Attributes:
        path: The file.
    """

    def __init__(
        self, client: MultiServerClient, path: str | os.PathLike[str], *, overwrite: bool, run: Run
    ) -> None:
        self._run = run
        self._writer = Writer(path, overwrite=overwrite)
        self._tap: RecordingTap | None = None
        self.path: Path = self._writer.path

        async def begin() -> None:
            self._tap = RecordingTap(client, self._writer)

        try:
            run(begin)
        except BaseException:
            self._writer.close()
            raise
        self._stopped = False

    @property
    def calls(self) -> int:
        """Calls that were written so far."""
        return 0 if self._tap is None else self._tap.calls

    @property
    def problem(self) -> str:
        """Why nothing more was written, when the file took no more; else empty."""
        return "" if self._tap is None else self._tap.problem

    def stop(self) -> None:
        """End it. Stopping twice is fine."""
        if self._stopped:
            return
        self._stopped = True

        async def end() -> None:
            if self._tap is not None:
                self._tap.close()

        self._run(end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = self.problem or ("stopped" if self._stopped else "running")
        size = self._writer.bytes
        shown = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
        return f"<LiveRecording {self.path.name}: {self.calls} calls, {shown}, {state}>"
