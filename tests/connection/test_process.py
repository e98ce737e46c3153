"""Child processes: their end, with us and without us."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification

from mcpnb.config import ServerConfig
from mcpnb.connection import Pace, watchdog
from mcpnb.connection.stderr import StderrTail
from mcpnb.connection.stdio import StdioProcess

from .conftest import LIMIT, OLD, connected, old, stdio

pytestmark = pytest.mark.anyio

PARENT = """
import asyncio, os, random, sys, time
from mcpnb.config import ServerConfig
from mcpnb.connection import Connection

async def main():
    connection = Connection(ServerConfig("child", "stdio", command=sys.executable, args=tuple(sys.argv[1:])),
                            on_change=lambda *_: None, rng=random.Random(1))
    connection.start()
    await connection.settled()
    print(connection.pid, flush=True)
    if fork:
        forked = os.fork()
        if forked == 0:
            time.sleep(600)  # holds a copy of every descriptor
            os._exit(0)
        print(forked, flush=True)
    await asyncio.sleep(600)

fork = sys.argv.pop(1) == "fork"
asyncio.run(main())
"""


def alive(pid: int) -> bool:
    try:
        # A zombie is as dead as can be; only its new parent has not looked yet.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # before and while it is read
        return False


def open_files() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


async def gone(pid: int) -> None:
    async with asyncio.timeout(LIMIT):
        # It is not our child, so there is nothing to be woken by.
        while alive(pid):  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize("server", [[str(OLD)], [str(OLD), "stubborn"]], ids=["polite", "stubborn"])
@pytest.mark.parametrize("fork", ["fork", "alone"])
async def test_a_server_dies_with_a_parent_that_is_killed(server, fork) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-c", PARENT, fork, *server, stdout=asyncio.subprocess.PIPE
    )
    child = int(await parent.stdout.readline())
    assert alive(child)
    forked = int(await parent.stdout.readline()) if fork == "fork" else None
    parent.kill()
    try:
        await gone(child)
        assert forked is None or alive(forked)  # it was not waited for
    finally:
        if forked is not None:
            os.kill(forked, signal.SIGKILL)
        await parent.communicate()  # until the pipe ends, of which the fork has a copy


async def test_stubborn_servers_are_all_closed_within_the_kernels_patience() -> None:
    pace = Pace()
    assert pace.eof_grace + pace.term_grace + pace.reap_timeout <= pace.close_timeout < 1.5
    async with connected(old("stubborn")) as (one, _), connected(old("stubborn")) as (two, _):
        pids = [one.pid, two.pid]
        await asyncio.gather(one.close(), two.close())
    for pid in pids:
        await gone(pid)


async def test_the_whole_process_group_ends(tmp_path) -> None:
    grandchild = tmp_path / "grandchild"
    script = f"sleep 600 & echo $! > {grandchild}; exec {sys.executable} {OLD}"
    async with connected(ServerConfig("child", "stdio", command="sh", args=("-c", script))) as (
        connection,
        _,
    ):
        assert connection.state == "connected"
        pid = int(grandchild.read_text())
        assert alive(pid)
    await gone(pid)


async def test_an_orphan_of_a_dead_server_is_ended_before_the_server_is_started_again(tmp_path) -> None:
    grandchild = tmp_path / "grandchild"
    script = f"sleep 600 & echo $! > {grandchild}; exec {sys.executable} {OLD}"
    async with connected(ServerConfig("child", "stdio", command="sh", args=("-c", script))) as (
        connection,
        seen,
    ):
        pid = int(grandchild.read_text())
        os.kill(connection.pid, signal.SIGKILL)
        await seen.until(lambda: seen.states().count("connected") == 2)
        await gone(pid)


async def test_the_watchdog_leaves_with_the_last_server() -> None:
    async with connected(old()) as (one, _), connected(old()) as (two, _):
        watching = watchdog._watchdog._process
        assert watching.poll() is None
        await one.close()
        assert watching.poll() is None
        await two.close()
        assert watching.poll() == 0


async def test_closing_leaves_no_task_and_no_open_file() -> None:
    before, tasks = open_files(), asyncio.all_tasks()
    async with connected(old()) as (connection, _):
        await connection.call_tool("first", {})
    assert asyncio.all_tasks() == tasks
    assert open_files() <= before


async def test_a_message_to_a_process_that_has_just_died_is_no_complaint_of_the_loop_s() -> None:
    complaints: list[dict] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    tail, ended = StderrTail(str), asyncio.Event()
    child = ServerConfig("child", "stdio", command=sys.executable, args=("-c", "input()"))
    process = StdioProcess(child, tail, on_noise=print, on_end=ended.set, pace=Pace())
    async with process.transport() as (_, outgoing):
        await anyio.wait_all_tasks_blocked()
        os.kill(process.pid, signal.SIGKILL)
        while alive(process.pid):  # the loop stands still, and so it learns of the end by writing
            pass
        outgoing.send_nowait(SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="x")))
        await ended.wait()
    tail.close()
    await asyncio.sleep(0)
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


async def test_the_tail_keeps_the_last_200_lines_and_the_disk_is_given_back() -> None:
    code = "import sys\nfor n in range(400_000): print('line', n, file=sys.stderr)\nsys.exit('end')"
    async with connected(stdio("-c", code)) as (connection, _):
        tail = connection.stderr_tail
        assert len(tail) == 200
        assert tail[-1] == "end"
        connection._stderr.trim()  # as every new start does, and the health check
        assert os.fstat(connection._stderr.fileno()).st_size < 100_000
        assert connection.stderr_tail[-1] == "end"
    assert connection.stderr_tail[-1] == "end"


async def test_servers_can_be_kept_from_a_loop_in_another_thread() -> None:
    import threading

    states = []

    def elsewhere() -> None:
        async def main() -> None:
            async with connected(old()) as (connection, _):
                states.append(connection.state)

        asyncio.run(main())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert states == ["connected"]
