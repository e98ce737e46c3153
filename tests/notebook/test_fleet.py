"""The fleet as a person meets it: synchronous verbs, frames, and nothing left behind."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

import mcpnb
from mcpnb.notebook.fleet import current
from mcpnb.routing.strategies import spec
from mcpnb.routing.strategies.peak_ewma import PeakEwma

WEATHER = [sys.executable, "-m", "mcpnb.lab.servers.weather"]
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202e\x07"


def weather(name: str) -> MCPServer:
    made = MCPServer(name, log_level="ERROR")

    @made.tool(name="weather.forecast", annotations=ToolAnnotations(read_only_hint=True))
    async def forecast(location: str, days: int = 2) -> dict[str, object]:
        """What the weather will be."""
        return {"location": location, "days": [{"day": day, "high_c": 20 + day} for day in range(days)]}

    return made


@pytest.fixture
def fleet():
    made = mcpnb.connect({"alpha": weather("alpha"), "beta": weather("beta")}, replicas=True, seed=1)
    yield made
    made.close()


def test_what_connect_takes_is_seen_before_it_is_called():
    """Shift-Tab, and completion of its keywords."""
    takes = inspect.signature(mcpnb.connect).parameters
    shown = {name: each.default for name, each in takes.items() if each.kind is each.KEYWORD_ONLY}
    assert shown == {"replicas": None, "strategy": "p2c", "timeout": 30.0, "name": None, "wait": True}
    core = inspect.signature(mcpnb.MultiServerClient).parameters
    assert {name: core[name].default for name in ("replicas", "strategy", "timeout")}.items() <= shown.items()


def test_a_call_gives_a_value_a_table_and_the_reason(fleet):
    result = fleet.call("weather.forecast", location="London")
    assert result.value["location"] == "London"
    assert list(result.df.columns) == ["location", "day", "high_c"]
    assert isinstance(result, mcpnb.Result)
    story = result.explain()
    assert story.candidates == ("alpha", "beta")
    assert f"attempt 1 → {result.server}" in str(story)
    assert "text/html" in story._repr_mimebundle_()


def test_every_keyword_is_an_argument_of_the_tool_and_options_are_elsewhere(fleet):
    result = fleet.options(server="beta", timeout=5).call("weather.forecast", {"location": "Oslo"}, days=3)
    assert (result.server, len(result.df)) == ("beta", 3)
    assert fleet.call_tool("weather.forecast", {"location": "Oslo"}).ok


@pytest.mark.parametrize("choice", [PeakEwma(tau=5), PeakEwma, spec("peak_ewma(tau=5)"), spec(PeakEwma())])
def test_a_call_takes_every_form_of_a_strategy_that_a_fleet_takes_and_is_recorded(fleet, choice, tmp_path):
    with fleet.record(tmp_path / "calls.jsonl"):
        result = fleet.options(strategy=choice).call("weather.forecast", location="Oslo")
    assert result.explain().strategy == "peak_ewma"
    with mcpnb.replay(tmp_path / "calls.jsonl") as again:
        assert again.call("weather.forecast", location="Oslo").server == result.server


def test_the_options_of_a_call_are_seen_before_they_are_given(fleet):
    """Shift-Tab, and completion of `fleet.options(prio`, in place of a bare `**changes`."""
    known = {"server", "strategy", "timeout", "priority", "affinity", "region", "strict", "tags", "version"}
    known |= {"idempotent", "hedge", "retries", "cache", "fuse", "method", "raise_on_error"}
    for method in (fleet.options, fleet.options().options, mcpnb.MultiServerClient({}).options):
        shown = inspect.signature(method).parameters.values()
        assert known < {each.name for each in shown}
        assert {each.kind for each in shown} == {inspect.Parameter.KEYWORD_ONLY}


def test_a_view_and_the_awaitable_verbs_say_what_they_are(fleet):
    urgent = fleet.options(priority="high", method="median").options(timeout=2)
    assert repr(urgent) == "<View of alpha+beta: timeout=2, priority='high', method='median'>"
    assert repr(fleet.options()) == "<View of alpha+beta: no options>"
    assert repr(urgent.aio) == f"<AsyncVerbs of {urgent!r}>"


def test_the_frames_have_the_columns_that_were_promised(fleet):
    fleet.call("weather.forecast", location="London")
    assert list(fleet.calls.columns) == [
        "call", "attempt", "started_at", "tool", "server", "strategy", "outcome", "latency_ms", "queued_ms",
        "hedge", "cached", "bytes", "error",
    ]  # fmt: skip
    assert list(fleet.servers.columns) == [
        "server", "state", "transport", "protocol", "version", "region", "tags", "weight", "priority",
        "tools", "resources", "prompts", "in_flight", "queued", "calls", "errors", "error_rate", "p50_ms",
        "p95_ms", "p99_ms", "breaker", "connected_at", "last_error",
    ]  # fmt: skip
    assert list(fleet.tools.columns) == [
        "tool", "server", "title", "description", "version", "replicas", "read_only", "idempotent",
        "destructive", "arguments", "fingerprint", "selected",
    ]  # fmt: skip
    assert list(fleet.events.columns) == ["at", "kind", "server", "detail"]
    assert fleet.latency().loc[fleet.calls.server[0], "count"] == 1
    assert isinstance(fleet.conflicts, pd.DataFrame)


def test_gather_asks_everyone(fleet):
    whole = fleet.gather("weather.forecast", location="London")
    assert set(whole.results) == {"alpha", "beta"}
    assert not whole.df.empty
    assert "text/html" in whole._repr_mimebundle_()


def test_a_call_that_does_not_block_the_cell(fleet):
    future = fleet.submit("weather.forecast", location="London")
    assert future.result(timeout=20).value["location"] == "London"
    assert future.done()


def test_the_same_verbs_can_be_awaited_on_any_loop(fleet):
    async def cell() -> tuple[str, int]:
        one = await fleet.aio.call("weather.forecast", location="Rome")
        return one.value["location"], len(
            (await fleet.aio.gather("weather.forecast", location="Rome")).results
        )

    assert asyncio.run(cell()) == ("Rome", 2)


def test_the_strategy_is_a_name_that_can_be_set(fleet):
    fleet.strategy = "latency"
    assert fleet.strategy == "latency"
    assert fleet.call("weather.forecast", location="London").explain().strategy == "latency"
    with pytest.raises(mcpnb.StrategyError, match="round_robin"):
        fleet.strategy = "round_robbin"
    assert "p2c" in fleet.strategies()
    assert {"random", "round_robin", "least_request", "latency", "p2c"} <= set(mcpnb.strategies().index)


def test_running_the_cell_again_replaces_the_fleet():
    source = {"alpha": weather("alpha")}
    first = mcpnb.connect(source)
    again = mcpnb.connect(source)
    other = mcpnb.connect({"beta": weather("beta")})
    assert "closed" in repr(first)
    assert "1 of 1 servers take calls" in repr(again)
    assert current() is other
    named = mcpnb.connect(source, name="mine")
    renamed = mcpnb.connect({"beta": weather("beta")}, name="mine")
    assert "closed" in repr(named)
    for one in (again, other, renamed):
        one.close()


def test_a_config_that_cannot_work_names_file_server_key_and_fix(tmp_path):
    path = tmp_path / "mcp.json"
    path.write_text(
        json.dumps({"mcpServers": {"a": {"url": "http://h/mcp", "headers": {"X": "${NOT_SET_HERE}"}}}})
    )
    with pytest.raises(mcpnb.ConfigError) as caught:
        mcpnb.connect(path)
    assert (caught.value.server, str(path) in str(caught.value)) == ("a", True)
    assert "NOT_SET_HERE" in str(caught.value)
    assert current() is None


def test_what_servers_say_is_shown_as_text():
    evil = MCPServer(EVIL, version=EVIL, log_level="ERROR")

    @evil.tool(name="evil", title=EVIL, description=EVIL)
    async def tool() -> str:
        return EVIL

    with mcpnb.connect({EVIL: evil}) as fleet:
        shown = [
            fleet._repr_mimebundle_()["text/html"],
            fleet.call("evil")._repr_mimebundle_()["text/html"],
            fleet.call("evil").explain()._repr_mimebundle_()["text/html"],
            fleet.gather("evil")._repr_mimebundle_()["text/html"],
        ]
    for html in shown:
        assert "<script" not in html
        assert "<img src=x" not in html
        assert "\u202e" not in html


def test_an_error_in_a_cell_is_one_line():
    error = mcpnb.ToolNotFound("x", ["y"])
    assert error._render_traceback_() == ["ToolNotFound: No server offers the tool 'x'."]


def test_an_error_in_a_cell_neither_steers_the_terminal_nor_fills_the_notebook():
    said = "\x1b]0;title\x07\u202e" + "x" * 1_000_000
    (shown,) = mcpnb.ToolError("alpha", "read", said)._render_traceback_()
    assert shown.startswith("ToolError: read on alpha says: ⟨U+001B⟩]0;title⟨U+0007⟩⟨U+202E⟩xxx")
    assert shown.endswith("more characters: str(error) has them")
    assert len(shown) < 5_000


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
def test_nothing_is_left_after_close():
    def open_files() -> set[str]:
        names = set()
        for entry in Path("/proc/self/fd").iterdir():
            try:
                names.add(f"{entry.name}:{entry.readlink()}")
            except FileNotFoundError:
                continue
        return names

    def children() -> str:
        return Path(f"/proc/self/task/{os.getpid()}/children").read_text()

    with mcpnb.connect({"warm": weather("warm")}):
        pass  # what is imported and opened once per process is not a leak
    files, threads, processes = open_files(), set(threading.enumerate()), children()
    fleet = mcpnb.connect({"echo": WEATHER, "alpha": weather("alpha")})
    assert "2 of 2" in repr(fleet)
    fleet.close()
    for thread in set(threading.enumerate()) - threads:
        thread.join(30)  # whoever waited for a child that has ended is on its way out
    assert {thread.name for thread in set(threading.enumerate()) - threads} == set()
    assert children() == processes
    assert open_files() - files == set()


def test_a_process_that_ends_without_closing_ends_its_servers_and_says_nothing():
    code = (
        "import mcpnb, sys\n"
        f"fleet = mcpnb.connect({{'echo': {WEATHER!r}}})\n"
        "print(fleet.client.members['echo'].pid)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stderr == ""
    assert not Path(f"/proc/{int(ended.stdout)}").exists()


def test_breakers_are_a_table_and_can_be_tripped_and_reset(fleet):
    assert set(fleet.breakers.state) == {"closed"}
    fleet.trip("alpha")
    row = fleet.breakers.set_index("server").loc["alpha"]
    assert (row.state, row.reason, row.opens) == ("open", "tripped by hand", 1)
    assert fleet.servers.set_index("server").loc["alpha", "breaker"] == "open"
    assert {fleet.call("weather.forecast", location="Rome").server for _ in range(8)} == {"beta"}
    assert (fleet.events.kind == "breaker_state").any()
    fleet.reset()
    assert set(fleet.breakers.state) == {"closed"}


INTERRUPTED = """
import asyncio, sys, mcpnb
from mcp.server.mcpserver import MCPServer

server, ended = MCPServer("slow", log_level="ERROR"), []

@server.tool()
async def wait() -> str:
    print("waiting", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("cancelled")

@server.tool()
async def quick() -> str:
    return "still usable"

fleet = mcpnb.connect({"slow": server})
try:
    fleet.call("wait")
except KeyboardInterrupt:
    print("interrupted", fleet.call("quick").value, ended, fleet.status()[0].in_flight)
fleet.close()
"""


def test_an_interrupt_stops_the_waiting_call_on_the_server_too_and_the_fleet_stays_usable():
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().strip() == "waiting"
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert (said.strip(), errors) == ("interrupted still usable ['cancelled'] 0", "")
