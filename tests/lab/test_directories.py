"""Directories for lessons: real programs, started, stopped and brought back, or said to be missing."""

from __future__ import annotations

import asyncio
import base64
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing

import httpx2
import pytest

import mcpnb
from mcpnb import lab
from mcpnb.discovery import DNS, Backend, Etcd
from mcpnb.lab import directories
from mcpnb.lab.directories import Directory, EtcdServer, NameServer

SERVICE = "_mcp._tcp.example.org"
LIMIT = 20.0
"""Seconds after which a test has lost an event."""


@pytest.fixture
def etcd() -> Iterator[EtcdServer]:
    with lab.directory("etcd") as started:
        if not started:
            pytest.skip(repr(started))
        yield started


@pytest.fixture
def names() -> Iterator[NameServer]:
    with lab.directory("dns") as started:
        if not started:
            pytest.skip(repr(started))
        yield started


def listed(backend: Backend, count: int) -> dict[str, tuple[str | None, str | None]]:
    """The first so many servers that a backend lists: name → URL and region."""
    found: dict[str, tuple[str | None, str | None]] = {}

    async def look() -> None:
        async with asyncio.timeout(LIMIT), aclosing(aiter(backend)) as changes:
            async for change in changes:
                found[change.config.name] = (change.config.url, change.config.region)
                if len(found) == count:
                    return

    asyncio.run(look())
    return found


def test_etcd_knows_after_a_crash_what_it_knew_before(etcd: EtcdServer) -> None:
    assert repr(etcd) == f"● running: etcd at {etcd.url}"
    key, value, address = b"/mcp/weather/one", b"http://127.0.0.1:9/mcp", etcd.url
    pair = {"key": base64.b64encode(key).decode(), "value": base64.b64encode(value).decode()}
    httpx2.post(f"{etcd.url}/v3/kv/put", json=pair, trust_env=False).raise_for_status()
    etcd.stop()
    assert repr(etcd).startswith("✗ stopped")
    etcd.start()
    assert etcd.url == address
    assert listed(Etcd(etcd.url), 1) == {"one": (value.decode(), None)}


def test_a_name_server_lists_instances_with_their_names_addresses_and_facts(names: NameServer) -> None:
    urls = {"one": "http://127.0.0.1:9/api", "two": "http://127.0.0.1:19/mcp"}
    names.know(SERVICE, urls, region="eu")
    found = listed(DNS(SERVICE, nameserver=names.address), 2)
    assert found == {name: (url, "eu") for name, url in urls.items()}


def test_closing_ends_the_process_and_removes_its_folder(names: NameServer) -> None:
    assert names.running
    names.close()
    names.close()
    assert not names.running
    assert not names._folder.exists()


def test_a_program_that_is_not_there_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories.shutil, "which", lambda *_, **__: None)
    with lab.directory("etcd") as missing:
        assert not missing
        assert "apt-get install etcd-server" in repr(missing)
        assert "○ not here" in missing._repr_mimebundle_()["text/html"]
        missing.stop()
        with pytest.raises(mcpnb.McpnbError, match=r"etcd is not installed.*apt-get install etcd-server"):
            missing.start()


class Broken(Directory):
    """Says why it cannot, and ends."""

    program, package = "sh", "dash"
    where = "nowhere"

    def _arguments(self) -> list[str]:
        return ["-c", "echo no room left >&2; exit 1"]

    def _answers(self) -> bool:
        return False


def test_a_program_that_ends_instead_of_answering_is_told_with_its_last_words() -> None:
    with pytest.raises(mcpnb.McpnbError, match=r"sh does not answer at nowhere\.\n  no room left"):
        Broken()


def test_an_unknown_directory_is_told_with_those_there_are() -> None:
    with pytest.raises(mcpnb.McpnbError, match=r"no directory 'etc'; it has etcd, dns\. Did you mean etcd"):
        lab.directory("etc")  # pyright: ignore[reportCallIssue, reportArgumentType] - what is tested


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells when somebody else's child ends")
def test_a_killed_process_leaves_no_directory_behind(names: NameServer) -> None:
    script = (
        "import sys, mcpnb.lab\n"
        "names = mcpnb.lab.directory('dns')\n"
        "print(names._process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    command, pipe = [sys.executable, "-c", script], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as owner:
        assert owner.stdout is not None
        gone = os.pidfd_open(int(owner.stdout.readline()))
        os.kill(owner.pid, signal.SIGKILL)
    try:
        assert select.select([gone], [], [], LIMIT)[0]
    finally:
        os.close(gone)
