"""Servers that nobody here wrote, from an ordinary `mcpServers` file.

The npm package server-everything (stdio, Streamable HTTP and SSE; the older era) and PyPI's mcp-server-time
and mcp-server-git. Each is installed by its package name into a folder of its own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import mcpnb

pytestmark = [pytest.mark.thirdparty, pytest.mark.slow, pytest.mark.timeout(300)]


@contextmanager
def served(everything: list[str], kind: str) -> Iterator[int]:
    """server-everything as a server of this kind, in a process of its own; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [*everything, kind],
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for line in process.stderr:  # it says on which port it listens once it does
        if str(port) in line:
            break
    yield port
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()


@pytest.fixture
def ports(everything: list[str]) -> Iterator[tuple[int, int]]:
    """Where server-everything speaks Streamable HTTP, and where SSE."""
    with served(everything, "streamableHttp") as http, served(everything, "sse") as sse:
        yield http, sse


@pytest.fixture
def fleet(tmp_path: Path, everything: list[str], ports: tuple[int, int], pypi: Path, repository: Path):
    http, sse = (f"http://127.0.0.1:{port}" for port in ports)
    config = tmp_path / "mcp.json"
    config.write_text(
        json.dumps(
            {
                "mcpServers": {
                    "everything": {"command": everything[0], "args": [*everything[1:], "stdio"]},
                    "everything-http": {"type": "http", "url": f"{http}/mcp"},
                    "everything-sse": {"url": f"{sse}/sse"},
                    "time": {"command": str(pypi / "mcp-server-time"), "args": ["--local-timezone", "UTC"]},
                    "git": {
                        "command": str(pypi / "mcp-server-git"),
                        "args": ["--repository", "${REPOSITORY:-" + str(repository) + "}"],
                    },
                }
            }
        )
    )
    with mcpnb.connect(config, connect_timeout=60) as fleet:
        yield fleet


def test_they_connect_list_and_answer(fleet, repository):
    servers = fleet.servers.set_index("server")
    assert list(servers["state"]) == ["connected"] * 5, servers["last_error"].to_dict()
    assert servers.loc["everything-sse", "transport"] == "sse"
    everything = ["everything", "everything-http", "everything-sse"]
    assert set(servers.loc[everything, "protocol"]) == {"2025-11-25"}
    assert servers.loc["time", "protocol"] == servers.loc["git", "protocol"] == "2026-07-28"

    for name in everything:
        assert "hello" in fleet.options(server=name).call("echo", message="hello").text
    assert fleet.call("get_current_time", timezone="Asia/Tokyo").value["timezone"] == "Asia/Tokyo"
    assert "the first commit" in fleet.call("git_log", repo_path=str(repository)).text


def test_the_same_name_on_two_of_them_is_a_conflict_that_is_listed(fleet):
    assert "echo" in set(fleet.conflicts["tool"])
    assert fleet.call("echo", message="x").server == "everything"
    answers = fleet.gather("echo", message="x")
    assert set(answers.results) == {"everything", "everything-http", "everything-sse"}


def test_what_is_wrong_with_a_call_is_said_before_it_is_sent(fleet):
    with pytest.raises(mcpnb.ArgumentError, match="timezone"):
        fleet.call("get_current_time")
    with pytest.raises(mcpnb.ToolNotFound, match="get_current_time"):
        fleet.call("get_curent_time", timezone="UTC")
    assert fleet.calls.empty


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_dies_while_it_works_fails_that_call_alone_and_is_started_again(fleet, number):
    working, back = threading.Event(), threading.Event()
    view = fleet.options(server="everything", idempotent=False, on_progress=lambda *_: working.set())
    call = view.submit("trigger-long-running-operation", duration=60, steps=600)
    other = fleet.options(server="everything-http", on_progress=lambda *_: None)
    beside = other.submit("trigger-long-running-operation", duration=1, steps=2)
    assert working.wait(30)
    fleet.on("server_state", lambda event: event.data["state"] == "connected" and back.set())
    os.killpg(fleet.client.members["everything"].pid, number)
    with pytest.raises(mcpnb.ServerDisconnected, match="everything went away while it worked"):
        call.result()
    assert "completed" in beside.result().text
    assert back.wait(30)
    assert "again" in fleet.options(server="everything").call("echo", message="again").text
