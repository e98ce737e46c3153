"""Real directories on this machine, each on ports of its own: etcd and dnsmasq.

They are Debian's packages `etcd-server` and `dnsmasq-base`. A machine without them skips these tests.
"""

from __future__ import annotations

import base64
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import httpx2
import pytest

LONG = 30.0
"""Seconds within which a daemon must have started."""


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def program(name: str, package: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    return found


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Etcd:
    """One member by itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client, self._peer = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self._client}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self._process is not None:
            return
        peer = f"http://127.0.0.1:{self._peer}"
        command = [
            program("etcd", "etcd-server"), "--data-dir", str(self._folder / "data"), "--log-level", "error",
            "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"default={peer}",
        ]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        transport = httpx2.HTTPTransport(retries=200)  # waits between them, longer and longer
        with httpx2.Client(transport=transport, timeout=LONG, trust_env=False) as client:
            for _ in range(1000):
                if client.get(f"{self.url}/health").json().get("health") == "true":
                    return
        raise AssertionError("etcd has no leader")

    def kill(self) -> None:
        """As a crash: what it holds in its data folder stays."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
            self._process = None

    def ask(self, path: str, **body) -> dict:
        answer = httpx2.post(f"{self.url}/v3/{path}", json=body, timeout=LONG, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def put(self, key: str, value: str) -> None:
        self.ask("kv/put", key=coded(key), value=coded(value))

    def delete(self, key: str) -> None:
        self.ask("kv/deleterange", key=coded(key))

    def keys(self, prefix: str = "/") -> list[str]:
        found = self.ask("kv/range", key=coded(prefix), range_end=coded(chr(ord(prefix[0]) + 1)))
        return [base64.b64decode(kv["key"]).decode() for kv in found.get("kvs", ())]

    def clear(self) -> None:
        self.ask("kv/deleterange", key=coded("\0"), range_end=coded("\0"))


class Dnsmasq:
    """A name server that knows what it is told and asks nobody."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.address = f"127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def know(self, *records: str, ttl: int = 5) -> None:
        """Start, or start again, with these lines of its configuration."""
        self.stop()
        file = self._folder / "dnsmasq.conf"
        lines = [
            f"port={self._port}", "listen-address=127.0.0.1", "bind-interfaces", "no-resolv", "no-hosts",
            f"local-ttl={ttl}", "local=/example.org/", f"pid-file={self._folder / 'pid'}", "user=",
            *records,
        ]  # fmt: skip
        file.write_text("\n".join(lines) + "\n")
        command = [program("dnsmasq", "dnsmasq-base"), "--keep-in-foreground", f"--conf-file={file}"]
        with (self._folder / "dnsmasq.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._answers()

    def _answers(self) -> None:
        query = dns.message.make_query("up.example.org.", "A")
        for _ in range(300):
            try:
                dns.query.tcp(query, "127.0.0.1", port=self._port, timeout=LONG)
            except (OSError, dns.exception.DNSException):
                assert self._process is not None
                try:  # a moment, and whether it has given up
                    self._process.wait(0.02)
                except subprocess.TimeoutExpired:
                    continue
                raise AssertionError((self._folder / "dnsmasq.log").read_text()) from None
            else:
                return
        raise AssertionError("dnsmasq does not answer")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
