"""`LabFleet`: a fleet with its own servers, which you can break on purpose.

It joins a rack of lab servers with a `Fleet` that is connected to them. How either works is their business.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from weakref import WeakSet

from mcpnb.errors import McpnbError
from mcpnb.lab.course import require_playable_timeline
from mcpnb.lab.profile import Profile
from mcpnb.lab.replicas import LabTransport, Rack, Wanted
from mcpnb.lab.script import Script
from mcpnb.model import Event
from mcpnb.notebook.fleet import Fleet
from mcpnb.simulation import At

if TYPE_CHECKING:
    from mcpnb.notebook.dashboard import Panel

__all__ = ["LabFleet", "start"]

T = TypeVar("T")


def start(
    kind: str = "weather",
    *,
    replicas: int = 3,
    transport: LabTransport | Sequence[LabTransport] = "http",
    latency_ms: float | Sequence[float] = 20.0,
    jitter: float | Sequence[float] = 0.3,
    error_rate: float | Sequence[float] = 0.0,
    capacity: int | Sequence[int | None] | None = None,
    regions: Sequence[str | None] | str | None = None,
    versions: Sequence[str] | str = "1.0.0",
    seed: int = 0,
    today: date | str | None = None,
    bias: float | Sequence[float] = 0.0,
    root: Path | str | None = None,
    url: str | None = None,
    name: str | None = None,
    start_timeout: float = 30.0,
    **options: Any,
) -> LabFleet:
    """Start real MCP servers on this machine and connect to them.

    They are called `weather-1`, `weather-2`, ... and stand in for each other. A setting that differs between
    them is a list with one entry per server. Starting a lab of the same name again ends the one before.

    Args:
        kind: What they serve; see `mcpnb.lab.servers.KINDS`.
        replicas: How many.
        transport: `http` or `stdio` (a process each), or `in-process`.
        latency_ms: Mean time that a call occupies a server, in milliseconds.
        jitter: Spread of that time, as a fraction of it.
        error_rate: Share of the calls that end in a tool error, 0 to 1.
        capacity: Calls that a server works on at once; None is unbounded.
        regions: Where they say they are.
        versions: What version they say they are.
        seed: Makes the servers' latencies and errors, and the routing's dice, repeatable.
        today: The day that the weather servers believe it is (`YYYY-MM-DD`); by default the real one.
        bias: °C that each weather server is too warm, so that they disagree.
        root: The folder of the filesystem servers (by default a new one with some documents, removed when the
            fleet is closed) or of the search servers (by default shipped documents).
        url: The database of the database servers, `sqlite:///file.db` or `postgresql://...`; by default an
            example.
        name: What to call the fleet.
        start_timeout: Seconds that a server may take to answer for the first time.
        options: As for `mcpnb.connect`: `strategy=`, `timeout=` (seconds), `tags=`, ...

    Raises:
        McpnbError: A setting makes no sense, or a server did not start (with its last words).
    """
    if not isinstance(replicas, int) or replicas < 1:  # pyright: ignore[reportUnnecessaryIsInstance] - a notebook checks no types
        raise McpnbError(f"replicas must be a whole number of at least 1, not {replicas!r}")

    def each(setting: str, value: T | Sequence[T]) -> list[T]:
        return _each(setting, value, replicas)

    profiles = [
        Profile(latency_ms=mean, jitter=spread, error_rate=errors, capacity=slots, seed=seed)
        for mean, spread, errors, slots in zip(
            each("latency_ms", latency_ms),
            each("jitter", jitter),
            each("error_rate", error_rate),
            each("capacity", capacity),
            strict=True,
        )
    ]
    own = _own_options(kind, today=today and _day(today), root=root, url=url)
    settings = zip(
        each("transport", transport),
        each("regions", regions),
        each("versions", versions),
        profiles,
        [("--bias", repr(float(warm))) if warm else () for warm in each("bias", bias)],
        strict=True,
    )
    wanted = [
        Wanted(
            f"{kind}-{number}", kind, cast("LabTransport", where), region, version, profile, (*own, *opinion)
        )
        for number, (where, region, version, profile, opinion) in enumerate(settings, 1)
    ]
    if kind != "weather" and any("--bias" in each.options for each in wanted):
        raise McpnbError(f"bias is for weather servers, not for {kind}")
    rack = _rack(wanted, start_timeout, with_files=kind == "filesystem" and root is None)
    return LabFleet(rack, name=name or f"{kind} lab", seed=seed, **options)


_TAKES = {"today": ("weather",), "root": ("filesystem", "search"), "url": ("database",)}
"""Setting → the kinds of server that have it, as a command line option of the same name."""


def _own_options(kind: str, **settings: object) -> tuple[str, ...]:
    """The settings that only some kinds have, as options.

    Raises:
        McpnbError: This kind has no such setting.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    for name in given:
        if kind not in _TAKES[name]:
            raise McpnbError(f"{name} is for {' and '.join(_TAKES[name])} servers, not for {kind}")
    return tuple(text for name, value in given.items() for text in (f"--{name}", str(value)))


def _rack(wanted: list[Wanted], start_timeout: float, *, with_files: bool) -> Rack:
    folder = Path(tempfile.mkdtemp(prefix="mcpnb-lab-"))
    if with_files:
        files = folder / "files"
        shutil.copytree(Path(__file__).parent / "servers" / "corpus", files)
        wanted = [replace(each, options=(*each.options, "--root", str(files))) for each in wanted]
    return Rack(wanted, start_timeout=start_timeout, meanwhile=_import_the_sdk, folder=folder)


def _import_the_sdk() -> None:
    """The connections need it, and it takes as long to import as the servers take to start."""
    import_module("mcpnb.connection")


def _each(setting: str, value: T | Sequence[T], count: int) -> list[T]:
    """One entry per server from a single value or a list of them."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return [cast("T", value)] * count
    entries = list(cast("Sequence[T]", value))
    if len(entries) != count:
        raise McpnbError(f"{setting} has {len(entries)} entries for {count} servers")
    return entries


def _day(today: date | str) -> str:
    try:
        return date.fromisoformat(str(today)).isoformat()
    except ValueError:
        raise McpnbError(f"today must be a day such as '2026-07-28', not {today!r}") from None


class LabFleet(Fleet):
    """A fleet whose servers you can slow down, crash, hang and restart. Made by `mcpnb.lab.start`.

    Closing it ends the servers, too.
    """

    def __init__(
        self, rack: Rack, *, absent: Collection[str] = (), timeline: Sequence[At] = (), **options: Any
    ) -> None:
        self._rack, self._timeline = rack, tuple(timeline)
        self._scripts: WeakSet[Script] = WeakSet()
        try:
            super().__init__([each for each in rack.configs if each.name not in absent], **options)
        except BaseException:
            rack.close()
            raise

    def profile(self, server: str, **changes: float | None) -> Profile:
        """How a server behaves; with `changes`, how it behaves from its next call on.

        Args:
            server: Its name.
            changes: `latency_ms=` (mean, in ms), `jitter=` (fraction of the mean), `error_rate=` (0 to 1),
                `capacity=` (calls at once, or None), `seed=`, and the others of `mcpnb.lab.Profile`.

        Raises:
            McpnbError: No such server or setting, or a value that makes no sense.
        """
        now = self._rack[server].profile.current()
        if not changes:
            return now
        profile = now.changed(**changes)
        if profile != now:
            self.behave(server, profile, profile.since(now))
        return profile

    def behave(self, server: str, profile: Profile, what: str = "") -> None:
        """A server behaves so from its next call on; `what` says it in the events.

        Raises:
            McpnbError: No such server, or it cannot do that.
        """
        replica = self._rack[server]
        if profile.drip is not None and replica.wanted.transport != "http":
            raise McpnbError(f"{server} cannot drip: answers have to come over HTTP (transport='http')")
        changed = profile.differs(replica.profile.current())
        with replica.hands:
            replica.profile.write(profile)
        self._tell(server, what or repr(profile), settings=changed)

    def crash(self, server: str) -> None:
        """Kill a server's process (SIGKILL), in the middle of its calls.

        Over HTTP it stays dead until `restart`; over stdio its connection soon starts a new one.

        Raises:
            McpnbError: No such server, or it runs in this process and has nothing to kill.
        """
        with self._rack[server].hands:
            self._rack[server].crash()
        self._tell(server, "crashed on purpose")

    def hang(self, server: str) -> None:
        """Make a server answer nothing any more while its connections stay open, until `restart`.

        Raises:
            McpnbError: No such server, it is not running, or it runs in this process.
        """
        with self._rack[server].hands:
            self._rack[server].hang()
        self._tell(server, "hung on purpose")

    def partition(self, server: str) -> None:
        """Cut the network to a server, in both directions, until `heal` or `restart`.

        It lives and works on: calls that it has are carried out, and nobody learns of it before that.

        Raises:
            McpnbError: No such server.
        """
        self.behave(server, self.profile(server).changed(partitioned=True), "cut off on purpose")

    def drip(self, server: str, bytes_per_second: float = 200.0) -> None:
        """Let the answers of a server arrive drop by drop, until `heal` or `restart`.

        Raises:
            McpnbError: No such server, or its answers do not come over HTTP.
        """
        profile = self.profile(server).changed(drip=bytes_per_second)
        self.behave(server, profile, f"answers drip at {bytes_per_second:g} bytes/s")

    def heal(self, server: str) -> None:
        """The network to a server is whole again: no partition, no dripping. What it held back arrives.

        Raises:
            McpnbError: No such server.
        """
        self.behave(server, self.profile(server).changed(partitioned=False, drip=None), "network healed")

    def restart(self, server: str) -> None:
        """Bring a server back, at the same address, whatever state it is in, and reconnect to it.

        Raises:
            McpnbError: No such server, or it does not start any more.
        """
        cut = self.profile(server)
        if cut.partitioned or cut.drip is not None:
            self.heal(server)
        with self._rack[server].hands:
            self._rack.restart(server)
        self._tell(server, "restarted")
        self._reach(server)

    def leave(self, server: str) -> None:
        """Take a server out of the fleet, until `join`; calls that it has end first.

        Raises:
            McpnbError: No such server.
        """
        self._rack[server]
        if server in self._members():
            self.remove(server, drain=True)

    def join(self, server: str) -> None:
        """Have a server in the fleet again that left or crashed; nothing happens to one that is there.

        Raises:
            McpnbError: No such server, or it does not start any more.
        """
        if self._rack[server].is_down:
            self.restart(server)
        elif server not in self._members():
            self._reach(server)

    def script(self, timeline: Sequence[At] | None = None) -> Script:
        """Let things happen to the servers while you do something else.

            fleet.script([mcpnb.At(5, "weather-2", latency_ms=500), mcpnb.At(12, "weather-2", crash=True)])

        Args:
            timeline: What happens, with seconds from now on; by default that of the scenario that the fleet
                was started for.

        Raises:
            McpnbError: A server that is not there, or something that cannot happen to it; nothing happened.
        """
        happens = self._timeline if timeline is None else timeline
        if not happens or not isinstance(happens, Sequence) or not all(isinstance(at, At) for at in happens):  # pyright: ignore[reportUnnecessaryIsInstance] - as above
            raise McpnbError("a script needs a timeline, such as [mcpnb.At(5, 'weather-2', crash=True)]")
        require_playable_timeline(happens)
        for at in happens:
            self._rack[at.server].check(at)
        script = Script(self, happens, {at.server: self.profile(at.server) for at in happens})
        self._scripts.add(script)
        return script

    def pid(self, server: str) -> int | None:
        """The id of a server's process; None while it has none."""
        return self._rack[server].pid

    def panels(self) -> list[Panel]:
        """What the dashboard shows besides: a row of controls per server to break it with."""
        from mcpnb.lab.controls import panel  # noqa: PLC0415 - ipywidgets are loaded when first needed

        return [*super().panels(), panel(self, self._rack.names)]

    def close(self) -> None:
        """End every connection and every server. Closing twice is fine."""
        for script in list(self._scripts):
            script.stop()
        try:
            super().close()
        finally:
            self._rack.close()

    def _members(self) -> set[str]:
        return {status.server for status in self.status()}

    def _reach(self, server: str) -> None:
        """Connect to a server, anew when it is in the fleet."""
        if server in self._members():
            self.reconnect(server)
        else:
            self.add(server, self._rack[server].config)

    def _tell(self, server: str, what: str, **data: object) -> None:
        self.event_log.append(Event(time.time(), "lab", server, what, data))
