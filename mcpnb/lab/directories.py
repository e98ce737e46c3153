"""Directories of servers on this machine, for lessons about discovery: etcd, and a name server.

    with mcpnb.lab.directory("etcd") as etcd:
        fleet.register(mcpnb.discovery.Etcd(etcd.url))

It owns their processes: how each is started, known to answer, stopped and started again. What they are asked
it does not know. Both listen on loopback only, keep what they know in a folder of their own, and end with
this process, whatever that one dies of.
"""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import subprocess
import tempfile
import time
import weakref
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, overload
from urllib.parse import urlsplit

from mcpnb.connection import watchdog
from mcpnb.errors import McpnbError, suggest
from mcpnb.lab.processes import Port, kill_group
from mcpnb.lab.prop import Prop, Said

__all__ = ["Directory", "EtcdServer", "NameServer", "directory"]

_PATIENCE = 30.0
"""Seconds within which a program must answer."""
_TTL = 1
"""Seconds for which a name server's answers are good: in a lesson, changes should be seen soon."""
_TAIL = 5
"""Lines of a program's last words that an error shows."""


class Directory(Prop):
    """A program that lists servers. True where it is installed, so that a lesson can go on without it.

    It is started when it is made, and ended by `close()`, by the end of a `with` block, or with this process.
    """

    program: str
    package: str
    """The Debian package that has the program."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        beside = "/usr/sbin:/usr/local/sbin"  # where Debian keeps servers, and no user's path leads
        self._found = shutil.which(self.program) or shutil.which(self.program, path=beside)
        self._folder = Path(tempfile.mkdtemp(prefix="mcpnb-directory-"))
        self._end = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._port = Port()
        if self._found is not None:
            try:
                self.start()
            except BaseException:
                self.close()
                raise

    @property
    @abstractmethod
    def where(self) -> str:
        """Where it can be asked."""

    @abstractmethod
    def _arguments(self) -> list[str]:
        """What the program is started with."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it can be asked by now. May raise `OSError` for no."""

    def __bool__(self) -> bool:
        return self._found is not None

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Have it answer, at the same address and with what it knew when it was stopped.

        Raises:
            McpnbError: It is not installed, or does not start; says what to install, or its last words.
        """
        if self._found is None:
            raise McpnbError(f"{self.program} is not installed. On Debian and Ubuntu: {self._fix}")
        if self.running:
            return
        log = self._folder / "log"
        with log.open("wb") as words:
            self._process = subprocess.Popen(  # noqa: S603 - a program of the system, arguments as a list
                [self._found, *self._arguments()],
                stdin=subprocess.DEVNULL, stdout=words, stderr=words,
                start_new_session=True,  # an interrupt of the terminal or notebook is not for it
            )  # fmt: skip
        watchdog.guard(self._process.pid)
        self._await_answer(log)

    def _await_answer(self, log: Path) -> None:
        process, until = self._process, time.monotonic() + _PATIENCE
        assert process is not None  # noqa: S101 - just started
        while time.monotonic() < until:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._answers():
                    return
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
                break
        self.stop()
        said = "".join(f"\n  {line}" for line in log.read_text(errors="replace").splitlines()[-_TAIL:])
        raise McpnbError(f"{self.program} does not answer at {self.where}.{said}")

    def stop(self) -> None:
        """End it as a crash would; `start` brings it back. Nothing happens when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            kill_group(process.pid)
            process.wait()
            watchdog.release(process.pid)

    def close(self) -> None:
        """See `Prop`."""
        self.stop()
        self._port.release()
        self._end()

    @property
    def _fix(self) -> str:
        return f"apt-get install {self.package}"

    def _said(self) -> Said:
        if self._found is None:
            rest = f"{self.program} is not installed: {self._fix}. Lessons go on without it."
            return Said("○ not here", "dim", rest)
        return Said.of(f"{self.program} at {self.where}", running=self.running)


class EtcdServer(Directory):
    """One member of etcd by itself. `url` is for `mcpnb.discovery.Etcd`."""

    program, package = "etcd", "etcd-server"

    def __init__(self) -> None:
        self._peers = Port()
        super().__init__()

    @property
    def url(self) -> str:
        """For clients."""
        return f"http://127.0.0.1:{self._port.number}"

    @property
    def where(self) -> str:
        """See `Directory`."""
        return self.url

    def _arguments(self) -> list[str]:
        peers = f"http://127.0.0.1:{self._peers.number}"
        return [
            "--data-dir", str(self._folder / "data"), "--log-level", "error",
            "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
            "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
            "--initial-cluster", f"default={peers}",
        ]  # fmt: skip

    def _answers(self) -> bool:
        """Whether it has a leader: itself."""
        asking = http.client.HTTPConnection("127.0.0.1", self._port.number, timeout=_PATIENCE)
        with contextlib.closing(asking):
            asking.request("GET", "/health")
            return b'"true"' in asking.getresponse().read()

    def close(self) -> None:
        """See `Directory`."""
        super().close()
        self._peers.release()


class NameServer(Directory):
    """A name server that knows what it is told and asks nobody. `address` is for `mcpnb.discovery.DNS`."""

    program, package = "dnsmasq", "dnsmasq-base"

    def __init__(self) -> None:
        self._records: dict[str, list[str]] = {}
        super().__init__()

    @property
    def address(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self._port.number}"

    @property
    def where(self) -> str:
        """See `Directory`."""
        return self.address

    def know(self, service: str, servers: Mapping[str, str], **facts: object) -> None:
        """Have these servers of a service in its records, instead of those that it had there.

            names.know("_mcp._tcp.example.org", {"weather-2": "http://127.0.0.1:8002/mcp"}, region="eu")

        Args:
            service: Its name.
            servers: Name of an instance → its URL on this machine.
            facts: What the TXT record of each says besides, such as `region` or `weight`.

        Raises:
            McpnbError: It is not installed, or does not start again.
        """
        self._records[service] = [
            line for name, url in servers.items() for line in _records(service, name, url, facts)
        ]
        self.stop()
        self.start()

    def _arguments(self) -> list[str]:
        file = self._folder / "dnsmasq.conf"
        lines = [
            f"port={self._port.number}", "listen-address=127.0.0.1", "bind-interfaces", "no-resolv",
            "no-hosts", f"local-ttl={_TTL}", "user=", f"pid-file={self._folder / 'pid'}",
            "host-record=here.example.org,127.0.0.1",
            *(f"local=/{service.partition('.')[2] or service}/" for service in self._records),
            *(line for lines in self._records.values() for line in lines),
        ]  # fmt: skip
        file.write_text("\n".join(lines) + "\n")
        return ["--keep-in-foreground", f"--conf-file={file}"]

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self._port.number), timeout=_PATIENCE):
            return True


def _records(service: str, name: str, url: str, facts: Mapping[str, object]) -> list[str]:
    """One instance in dnsmasq's words: that it is one (PTR), where it is (SRV), what it is like (TXT)."""
    at, instance = urlsplit(url), f"{name}.{service}"
    told = {"path": at.path, **facts}
    return [
        f"ptr-record={service},{instance}",
        f"srv-host={instance},here.example.org,{at.port or 80}",
        f"txt-record={instance},{','.join(f'{key}={value}' for key, value in told.items())}",
    ]


_KINDS: dict[str, type[Directory]] = {"etcd": EtcdServer, "dns": NameServer}


@overload
def directory(kind: Literal["etcd"]) -> EtcdServer: ...
@overload
def directory(kind: Literal["dns"]) -> NameServer: ...
def directory(kind: str) -> Any:
    """Start a directory of servers on this machine.

    Where its program is not installed, what it returns is false and says what to install.

    Args:
        kind: `etcd`, or `dns` for a name server (dnsmasq).

    Raises:
        McpnbError: There is no such kind, or its program does not start.
    """
    if kind in _KINDS:
        return _KINDS[kind]()
    near = suggest(kind, _KINDS)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise McpnbError(f"the lab has no directory {kind!r}; it has {', '.join(_KINDS)}.{hint}")
