"""The servers of a lab: each a process of its own, or an object in this process, with its profile.

It owns what can be done to each kind of them. It knows no fleet: who is connected to them is not its
business.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import tempfile
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from mcpnb.config import ServerConfig
from mcpnb.errors import McpnbError, suggest
from mcpnb.lab.processes import NotStarted, PidFile, Port, ServerProcess, hang, kill_group, python_module
from mcpnb.lab.profile import Profile, ProfileFile
from mcpnb.lab.servers import module_of

if TYPE_CHECKING:
    from mcpnb.simulation import At

__all__ = ["LabTransport", "Rack", "Replica", "Wanted"]

LabTransport = Literal["http", "stdio", "in-process"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One server that a lab shall have."""

    name: str
    kind: str
    transport: LabTransport = "http"
    region: str | None = None
    version: str = "1.0.0"
    profile: Profile = field(default_factory=Profile)
    options: tuple[str, ...] = ()
    """Further command line options of its kind."""
    routing: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the router is told of it: `weight`, `priority`, `max_in_flight`, `max_queue`."""

    def __post_init__(self) -> None:
        module_of(self.kind)
        if self.transport not in get_args(LabTransport):
            known = ", ".join(get_args(LabTransport))
            raise McpnbError(f"{self.name}: the lab has no transport {self.transport!r}; it has {known}")


class Replica(ABC):
    """One server of a lab. Who does something to it holds its `hands` meanwhile."""

    def __init__(self, wanted: Wanted, folder: Path) -> None:
        self.wanted = wanted
        self.hands = threading.Lock()
        """Widgets and scripts act on threads of their own: one thing at a time happens to a server."""
        self.profile = ProfileFile(folder / f"{wanted.name}.profile.json")
        self.profile.write(wanted.profile)

    @property
    def name(self) -> str:
        """What the server is called."""
        return self.wanted.name

    @property
    @abstractmethod
    def config(self) -> ServerConfig:
        """How to connect to it."""

    @property
    @abstractmethod
    def pid(self) -> int | None:
        """Its process id while it runs in a process of its own."""

    @property
    def is_down(self) -> bool:
        """Whether somebody has to start it; what its connection starts, the connection starts again."""
        return False

    def launch(self) -> None:  # noqa: B027 - most kinds have nothing to do here
        """Begin to start, unless the connection does that."""

    def wait_ready(self, timeout: float) -> None:  # noqa: B027 - as above
        """Wait until it answers, at most `timeout` seconds."""

    def bring_up(self, timeout: float) -> None:
        """Wait until it answers; start it once more when somebody killed it before it did."""
        try:
            self.wait_ready(timeout)
        except NotStarted as error:
            if not error.killed:
                raise
            self.launch()
            self.wait_ready(timeout)

    @abstractmethod
    def crash(self) -> None:
        """Kill it in the middle of whatever it does."""

    def hang(self) -> None:
        """Make it answer nothing any more, its connections left open."""
        hang(self._living())

    def check(self, at: At) -> None:  # noqa: B027 - to a process, everything can happen
        """Return when a step of a timeline can happen to it."""

    def restart(self, timeout: float) -> None:
        """Bring it back, whatever state it is in; what its connection starts, the connection brings back."""
        self.crash()
        self.launch()
        self.bring_up(timeout)

    def close(self) -> None:
        """End it; nothing is left of it."""
        self.crash()

    def _living(self) -> int:
        pid = self.pid
        if pid is None:
            raise McpnbError(f"{self.name} is not running; restart({self.name!r}) brings it back")
        return pid

    def _options(self) -> list[str]:
        w = self.wanted
        region = ["--region", w.region] if w.region else []
        who = ["--name", w.name, "--version", w.version, "--profile", str(self.profile.path)]
        return [*who, *region, *w.options]

    def _command(self, *arguments: str) -> list[str]:
        return python_module(module_of(self.wanted.kind), *self._options(), "--tied", *arguments)

    def _config(self, **where: Any) -> ServerConfig:
        # Everything local: a short interval shows a server that died while nobody called it.
        return ServerConfig(
            name=self.name,
            transport=self.wanted.transport,
            region=self.wanted.region,
            replicas=self.wanted.kind,
            health_interval=1.0,
            **self.wanted.routing,
            **where,
        )


class HttpReplica(Replica):
    """A process behind a port that stays the same over restarts."""

    def __init__(self, wanted: Wanted, folder: Path) -> None:
        super().__init__(wanted, folder)
        self._port = Port()
        command = self._command("--transport", "http", "--port", str(self._port.number))
        self._process = ServerProcess(wanted.name, command, stderr=folder / f"{wanted.name}.stderr")

    @property
    def config(self) -> ServerConfig:
        return self._config(url=f"http://127.0.0.1:{self._port.number}/mcp")

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def is_down(self) -> bool:
        return self.pid is None

    def launch(self) -> None:
        self._process.launch()

    def wait_ready(self, timeout: float) -> None:
        self._process.wait_ready(timeout)

    def crash(self) -> None:
        self._process.kill()

    def close(self) -> None:
        super().close()
        self._port.release()


class StdioReplica(Replica):
    """A process that the connection starts, ends, and starts again when it died."""

    def __init__(self, wanted: Wanted, folder: Path) -> None:
        super().__init__(wanted, folder)
        self._pid = PidFile(folder / f"{wanted.name}.pid")

    @property
    def config(self) -> ServerConfig:
        command, *arguments = self._command("--transport", "stdio", "--pid-file", str(self._pid.path))
        passed_on = {key: os.environ[key] for key in ("PYTHONPATH",) if key in os.environ}
        return self._config(command=command, args=tuple(arguments), env=passed_on)

    @property
    def pid(self) -> int | None:
        return self._pid.pid

    def crash(self) -> None:
        if pid := self.pid:
            kill_group(pid)


class InProcessReplica(Replica):
    """A server object in this process, for lessons that need no process."""

    def __init__(self, wanted: Wanted, folder: Path) -> None:
        super().__init__(wanted, folder)
        module = importlib.import_module(module_of(wanted.kind))
        self._server: object = module.make(module.parser().parse_args(self._options()))

    @property
    def config(self) -> ServerConfig:
        return self._config(target=self._server)

    @property
    def pid(self) -> int | None:
        return None

    def crash(self) -> None:
        raise self._cannot("crash")

    def hang(self) -> None:
        raise self._cannot("hang")

    def restart(self, timeout: float) -> None:
        pass

    def close(self) -> None:
        pass

    def check(self, at: At) -> None:
        if at.crash:
            raise self._cannot("crash")

    def _cannot(self, what: str) -> McpnbError:
        return McpnbError(
            f"{self.name} runs inside this process, so it cannot {what}. "
            "Start it with transport='http' or 'stdio' to have a process that can."
        )


_BUILT_BY: dict[LabTransport, type[Replica]] = {
    "http": HttpReplica,
    "stdio": StdioReplica,
    "in-process": InProcessReplica,
}


class Rack:
    """All servers of a lab, and the private folder in which they meet.

    Making it starts them all at once, does something else `meanwhile`, and returns when each answers; `close`
    ends them and removes the `folder`, whether it was given or made.

    Raises:
        McpnbError: A server failed to start within `start_timeout` seconds; none is left running then.
    """

    def __init__(
        self,
        wanted: Sequence[Wanted],
        *,
        start_timeout: float = 30.0,
        meanwhile: Callable[[], object] = lambda: None,
        folder: Path | None = None,
    ) -> None:
        self._start_timeout = start_timeout
        self._folder = folder or Path(tempfile.mkdtemp(prefix="mcpnb-lab-"))
        self._remove_folder = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._replicas: dict[str, Replica] = {}
        try:
            for each in wanted:
                self._replicas[each.name] = _BUILT_BY[each.transport](each, self._folder)
            for replica in self._replicas.values():
                replica.launch()
            meanwhile()
            for replica in self._replicas.values():
                self._await_first_answer(replica)
        except BaseException:
            self.close()
            raise

    @property
    def names(self) -> list[str]:
        """The servers, in the order in which they were wanted."""
        return list(self._replicas)

    @property
    def configs(self) -> list[ServerConfig]:
        """How to connect to each."""
        return [replica.config for replica in self._replicas.values()]

    def __getitem__(self, name: str) -> Replica:
        replica = self._replicas.get(name)
        if replica is not None:
            return replica
        near = suggest(name, self._replicas)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise McpnbError(
            f"the lab has no server {name!r}; it has {', '.join(self._replicas) or 'none'}.{hint}"
        )

    def restart(self, name: str) -> None:
        """Bring a server back and wait until it answers."""
        self[name].restart(self._start_timeout)

    def _await_first_answer(self, replica: Replica) -> None:
        try:
            replica.bring_up(self._start_timeout)
        except NotStarted as error:
            # Killed again and again from outside: it counts as a server that died after its start. Its row in
            # the table says so, the others work, and `restart` brings it back.
            if not error.killed:
                raise

    def close(self) -> None:
        """End every server, once what is being done to each is done. Closing twice is fine."""
        with contextlib.ExitStack() as ends:
            ends.callback(self._remove_folder)
            for replica in self._replicas.values():
                ends.enter_context(replica.hands)
                ends.callback(replica.close)
