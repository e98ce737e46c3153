"""Real processes of lab servers: they start, answer, die, come back at the same address, leave nothing."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

from mcpnb.errors import McpnbError
from mcpnb.lab.processes import NotStarted, PidFile, Port, ServerProcess, hang, python_module

pytestmark = pytest.mark.anyio

WEATHER = "mcpnb.lab.servers.weather"


@pytest.fixture
def port() -> Iterator[Port]:
    port = Port()
    yield port
    port.release()


@pytest.fixture
def server(tmp_path: Path, port: Port) -> Iterator[ServerProcess]:
    command = python_module(WEATHER, "--transport", "http", "--port", str(port.number), "--tied")
    process = ServerProcess("weather-1", command, stderr=tmp_path / "stderr")
    yield process
    process.kill()


async def ask(port: Port) -> str:
    async with Client(f"http://127.0.0.1:{port.number}/mcp") as client:
        result = await client.call_tool("weather.current", {"location": "London"})
    return result.structured_content["location"]


def wait_for_end(pid: int, seconds: float = 10) -> bool:
    """Whether a process that is not our child ends in time; waits for the event, not for the clock."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


async def test_a_server_answers_once_it_is_ready_and_again_after_it_was_killed(
    server: ServerProcess, port: Port
) -> None:
    server.launch()
    server.wait_ready(30)
    assert await ask(port) == "London"
    first = server.pid
    server.kill()
    assert server.pid is None
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port.number), 5):
        pass
    server.launch()
    server.wait_ready(30)
    assert server.pid not in {None, first}
    assert await ask(port) == "London"


async def test_a_hung_server_takes_connections_and_answers_nothing(server: ServerProcess, port: Port) -> None:
    server.launch()
    server.wait_ready(30)
    assert server.pid
    hang(server.pid)
    with socket.create_connection(("127.0.0.1", port.number), 5) as connection:
        connection.sendall(b"GET /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert select.select([connection], [], [], 0.3)[0] == []
    assert server.pid
    server.kill()


async def test_a_server_that_cannot_start_says_why(tmp_path: Path, port: Port) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = str(other.getsockname()[1])
        command = python_module(WEATHER, "--transport", "http", "--port", taken, "--tied")
        process = ServerProcess("weather-1", command, stderr=tmp_path / "stderr")
        process.launch()
        with pytest.raises(McpnbError, match=r"(?s)weather-1 did not start.*status 1.*cannot listen"):
            process.wait_ready(30)
    assert process.pid is None


def test_a_server_that_was_killed_while_it_started_is_told_from_one_that_failed(tmp_path: Path) -> None:
    for code, killed in (("import os; os.kill(os.getpid(), 9)", True), ("raise SystemExit(3)", False)):
        process = ServerProcess("weather-1", [sys.executable, "-c", code], stderr=tmp_path / "stderr")
        process.launch()
        with pytest.raises(NotStarted) as caught:
            process.wait_ready(30)
        assert caught.value.killed is killed


async def test_a_server_that_stays_silent_is_given_up_and_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import threading; threading.Event().wait()"]
    process = ServerProcess("weather-1", command, stderr=tmp_path / "stderr")
    process.launch()
    with pytest.raises(McpnbError, match=r"stayed silent for 0\.1 s"):
        process.wait_ready(0.1)
    assert process.pid is None


def test_a_port_that_is_held_is_given_to_nobody_else() -> None:
    port = Port()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port.number))  # a server may take it
        other.listen()
    port.release()


PARENT = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from mcpnb.lab.processes import ServerProcess, hang, python_module

    command = python_module("mcpnb.lab.servers.weather", "--transport", "http", "--tied")
    processes = [ServerProcess(name, command, stderr=Path(sys.argv[1]) / name) for name in ("well", "hung")]
    for process in processes:
        process.launch()
    for process in processes:
        process.wait_ready(30)
    hang(processes[1].pid)
    print(*(process.pid for process in processes), flush=True)
    sys.stdin.read()
    """
)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux to watch a process that is no child")
@pytest.mark.parametrize("end", ["killed", "left"])
def test_servers_end_with_the_process_that_started_them_even_when_they_hang(tmp_path: Path, end: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin
        assert parent.stdout
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        if end == "killed":
            parent.send_signal(signal.SIGKILL)
        else:
            parent.stdin.close()
        parent.wait(30)
    assert [wait_for_end(pid) for pid in pids] == [True, True]


async def test_a_stdio_server_leaves_its_pid_where_the_lab_can_find_it(tmp_path: Path) -> None:
    file = PidFile(tmp_path / "weather-1.pid")
    assert file.pid is None
    command, *arguments = python_module(WEATHER, "--pid-file", str(file.path), "--tied")
    async with Client(StdioServerParameters(command=command, args=arguments)) as client:
        assert (await client.list_tools()).tools
        pid = file.pid
        assert pid
        os.kill(pid, 0)
    assert file.pid is None


def test_a_pid_that_belongs_to_somebody_else_by_now_is_not_taken_for_the_server(tmp_path: Path) -> None:
    file = PidFile(tmp_path / "weather-1.pid")
    file.path.write_text(str(os.getpid()))
    assert file.pid is None


def test_a_server_ends_with_a_signal_of_the_terminal_when_it_runs_on_its_own(tmp_path: Path) -> None:
    command = python_module(WEATHER, "--transport", "http")
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("ready http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        process.wait(30)
