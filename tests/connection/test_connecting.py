"""The first attempt to connect: what is said when it fails, and how long that takes."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import random
import signal
import socket
import sys

import pytest
from mcp.server import Server
from mcp.server.mcpserver import MCPServer

from mcpnb.config import ServerConfig, load
from mcpnb.connection import Connection
from mcpnb.errors import ConnectError, ServerDisconnected, ToolError

from .conftest import LIMIT, OLD, QUICK, Recorder, appears, connected, old, stdio

pytestmark = pytest.mark.anyio

PATIENT = dataclasses.replace(QUICK, backoff_base=100.0, backoff_cap=100.0)
"""Stays where the first attempt left it."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_a_port_where_nobody_listens_is_said_to_refuse_and_is_tried_again() -> None:
    config = ServerConfig("web", "http", url=f"http://127.0.0.1:{free_port()}/mcp?key=hunter2hunter2")
    async with connected(config, pace=PATIENT) as (connection, seen):
        assert connection.state == "reconnecting"
        assert "connection refused" in connection.last_error
        assert "hunter2" not in "".join(event.detail for event in seen.events)
        assert connection.retry_in > 0
        with pytest.raises(ConnectError, match="it is reconnecting: connection refused") as caught:
            await connection.call_tool("echo", {})
        assert caught.value.retry_after == pytest.approx(connection.retry_in, abs=1.0)


async def test_an_sse_address_where_nobody_listens_says_so_too() -> None:
    config = ServerConfig("web", "sse", url=f"http://127.0.0.1:{free_port()}/sse")
    async with connected(config, pace=PATIENT) as (connection, _):
        assert connection.state == "reconnecting"
        assert "connection refused" in connection.last_error


async def test_a_name_that_cannot_be_resolved_is_named() -> None:
    config = ServerConfig("web", "http", url="http://no-such-host.invalid/mcp")
    async with connected(config, pace=PATIENT) as (connection, _):
        assert "cannot be resolved" in connection.last_error


async def test_a_command_that_does_not_exist_is_final() -> None:
    async with connected(ServerConfig("child", "stdio", command="no-such-command-anywhere")) as (
        connection,
        _,
    ):
        assert connection.state == "failed"
        assert "command not found: no-such-command-anywhere" in connection.last_error
        with pytest.raises(ConnectError, match="it is failed: command not found"):
            await connection.call_tool("echo", {})


async def test_a_whole_command_line_in_the_place_of_a_program_is_told_how_to_be_written(tmp_path) -> None:
    path = tmp_path / "mcp.json"
    line = "sh -c @scope/server --api-key planted7F3a9C"
    path.write_text(json.dumps({"mcpServers": {"child": {"command": line}}}))
    (config,) = load(path)
    assert "planted" not in repr(config) + config.address
    async with connected(config) as (connection, _):
        assert connection.state == "failed"
        assert connection.last_error == (
            "command not found: sh -c @scope/server --api-key •••. Arguments are written apart: "
            '"command": "sh", "args": ["-c", "@scope/server", "--api-key", "•••"].'
        )


async def test_a_program_with_a_blank_in_its_path_is_found_below_the_folder_of_its_file(tmp_path) -> None:
    (tmp_path / "my server").write_text(f"#!/bin/sh\nexec {sys.executable} {OLD}\n")
    (tmp_path / "my server").chmod(0o755)
    (tmp_path / "mcp.json").write_text('{"mcpServers": {"child": {"command": "./my server"}}}')
    (config,) = load(tmp_path / "mcp.json")
    async with connected(config) as (connection, _):
        assert connection.state == "connected"


async def test_a_script_whose_interpreter_is_missing_is_not_said_to_be(tmp_path) -> None:
    (tmp_path / "server").write_text("#!/no/such/python\n")
    (tmp_path / "server").chmod(0o755)
    async with connected(ServerConfig("child", "stdio", command=str(tmp_path / "server"))) as (connection, _):
        assert "The file is there, but not what its first line says" in connection.last_error


async def test_a_folder_that_does_not_exist_is_final() -> None:
    async with connected(stdio(cwd="/no/such/folder")) as (connection, _):
        assert connection.state == "failed"
        assert connection.last_error.startswith("cannot start in the folder /no/such/folder")


async def test_a_command_that_may_not_be_run_is_final(tmp_path) -> None:
    (tmp_path / "server").write_text("not executable")
    async with connected(ServerConfig("child", "stdio", command=str(tmp_path / "server"))) as (connection, _):
        assert connection.state == "failed"
        assert "Permission denied" in connection.last_error


async def test_a_failed_server_connects_when_asked_after_it_was_repaired(tmp_path) -> None:
    script = tmp_path / "server"
    async with connected(ServerConfig("child", "stdio", command=str(script))) as (connection, _):
        assert connection.state == "failed"
        script.write_text(f"#!/bin/sh\nexec {sys.executable} {OLD}\n")
        script.chmod(0o755)
        await connection.reconnect()
        assert connection.state == "connected"


async def test_a_server_that_exits_at_once_is_quoted() -> None:
    config = stdio("-c", "import sys; print('starting', file=sys.stderr); sys.exit('no licence found')")
    async with connected(config, pace=PATIENT) as (connection, _):
        assert connection.state == "reconnecting"
        assert connection.last_error == "its process ended with exit code 1: no licence found"
        assert connection.stderr_tail == ("starting", "no licence found")
        assert connection.pid is None


GREETING = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    said = ANSWER if asked.get("method") == "initialize" else {"error": {"code": -32601, "message": "what?"}}
    print(json.dumps({"jsonrpc": "2.0", "id": asked.get("id"), **said}), flush=True)
    if "error" in said and LEAVES and asked.get("method") == "initialize":
        sys.exit(1)
"""


@pytest.mark.parametrize("leaves", [False, True], ids=["stays", "leaves"])
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"error": {"code": -32000, "message": "set\nACME_KEY"}}, "it refused: set ACME_KEY"),
        (
            {
                "result": {
                    "protocolVersion": "1999-01-01",
                    "capabilities": {},
                    "serverInfo": {"name": "x", "version": "1"},
                }
            },
            "Unsupported protocol version from the server: 1999-01-01",
        ),
        (
            {"result": {"hello": 1}},
            "its answer does not fit the protocol: capabilities: Field required",
        ),
    ],
    ids=["refusal", "version", "shape"],
)
async def test_what_a_server_answers_to_the_greeting_is_the_reason(answer, says, leaves) -> None:
    script = GREETING.replace("ANSWER", repr(answer)).replace("LEAVES", repr(leaves))
    async with connected(stdio("-c", script), pace=PATIENT) as (connection, _):
        assert connection.last_error == says


async def test_what_a_server_says_about_its_secrets_is_hidden() -> None:
    config = stdio(
        "-c",
        "import os, sys; sys.exit('bad key ' + os.environ['API_KEY'])",
        env={"API_KEY": "sk-abcdef123456"},
    )
    async with connected(config, pace=PATIENT) as (connection, seen):
        assert "bad key •••" in connection.last_error
        assert "sk-abcdef" not in repr((seen.events, connection.stderr_tail))


async def test_a_server_that_prints_garbage_is_given_up_in_time_and_quoted_once() -> None:
    config = stdio("-u", "-c", "while True: print('hello, I am no MCP server')")
    async with connected(config, pace=PATIENT, connect_timeout=1.0) as (connection, seen):
        assert connection.state == "reconnecting"
        assert "no MCP answer within 1 s" in connection.last_error
        assert "'hello, I am no MCP server'" in connection.last_error
        assert len(seen.of("server_log")) == 1


async def test_a_server_that_never_answers_costs_the_connect_timeout_and_no_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel connects, nobody answers
        config = ServerConfig("web", "http", url=f"http://127.0.0.1:{silent.getsockname()[1]}/mcp")
        # The SDK's own patience is 10 s, and so would end only after the test's.
        async with (
            asyncio.timeout(9.0),
            connected(config, pace=PATIENT, connect_timeout=0.3) as (connection, _),
        ):
            assert "no MCP answer within 0.3 s" in connection.last_error


async def test_an_object_that_is_no_server_is_final() -> None:
    async with connected(ServerConfig("here", "in-process", target=object())) as (connection, _):
        assert connection.state == "failed"
        assert "no MCP server" in connection.last_error


async def test_a_configuration_that_is_not_supported_says_why() -> None:
    config = ServerConfig(
        "web", "http", url="ws://example.org", unsupported="WebSockets are no MCP transport"
    )
    async with connected(config) as (connection, _):
        assert (connection.state, connection.last_error) == ("failed", "WebSockets are no MCP transport")


async def test_servers_in_this_process_are_reached_high_and_low_level() -> None:
    for server in (MCPServer("high", version="3", log_level="ERROR"), Server("low", version="3")):
        async with connected(ServerConfig("here", "in-process", target=server)) as (connection, _):
            assert connection.state == "connected"
            assert connection.protocol == "2026-07-28"
            assert connection.server_version == "3"


async def test_a_server_whose_start_fails_in_this_process_is_explained() -> None:
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def lifespan(server):
        raise RuntimeError("no database")
        yield

    server = MCPServer("here", lifespan=lifespan, log_level="ERROR")
    async with connected(ServerConfig("here", "in-process", target=server), pace=PATIENT) as (connection, _):
        assert connection.state == "reconnecting"
        assert "no database" in connection.last_error


async def test_starting_returns_at_once_and_settled_never_raises() -> None:
    recorder = Recorder()
    connection = Connection(old(), on_change=recorder, rng=random.Random(1), pace=QUICK)
    connection.start()
    connection.start()
    assert connection.state == "connecting"
    await connection.settled()
    assert connection.state == "connected"
    await connection.close()
    await connection.close()
    assert recorder.states() == ["connecting", "connected", "disconnected"]


async def test_a_connection_that_was_never_started_closes() -> None:
    connection = Connection(old(), on_change=Recorder(), rng=random.Random(1))
    await connection.close()
    assert connection.state == "disconnected"
    with pytest.raises(ConnectError, match="closed"):
        await connection.reconnect()


async def test_closing_while_it_connects_ends_the_attempt() -> None:
    config = stdio("-c", "import time; time.sleep(600)")
    async with connected(config, wait=False) as (connection, _):
        await asyncio.sleep(0)
        async with asyncio.timeout(LIMIT):  # the child would sleep for longer
            await connection.close()
        assert connection.state == "disconnected"


async def test_what_a_server_says_in_an_error_answer_about_its_secrets_is_hidden() -> None:
    server = MCPServer("here", log_level="ERROR")
    config = ServerConfig("here", "in-process", target=server, hidden=frozenset({"sk-abcdef123456"}))
    async with connected(config) as (connection, _):
        with pytest.raises(ToolError) as caught:
            await connection.get_prompt("sk-abcdef123456")
        assert "sk-abcdef" not in caught.value.message


async def test_an_observer_that_fails_is_reported_and_costs_nothing() -> None:
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))

    def observer(connection, event) -> None:
        raise RuntimeError("observer")

    connection = Connection(old(), on_change=observer, rng=random.Random(1), pace=QUICK)
    connection.start()
    await connection.settled()
    assert connection.state == "connected"
    await connection.close()
    asyncio.get_running_loop().set_exception_handler(None)
    assert "on_change of connection child raised" in complaints[0]["message"]


async def test_a_reconnect_takes_a_draining_server_back() -> None:
    async with connected(old()) as (connection, _):
        connection.drain()
        await connection.reconnect()
        assert connection.state == "connected"


async def test_a_draining_server_that_goes_is_not_started_again() -> None:
    async with connected(old()) as (connection, seen):
        connection.drain()
        os.kill(connection.pid, signal.SIGKILL)
        await seen.until(lambda: connection.state == "disconnected")
        with pytest.raises(ConnectError, match="it is not running"):
            await connection.reconnect()


async def test_reconnecting_on_request_fails_the_calls_in_flight(tmp_path) -> None:
    async with connected(old()) as (connection, _):
        call = asyncio.create_task(connection.call_tool("wait", {"mark": str(tmp_path / "running")}))
        await appears(tmp_path / "running")
        await connection.reconnect()
        with pytest.raises(ServerDisconnected, match="a new connection was asked for"):
            await call
        assert connection.state == "connected"
