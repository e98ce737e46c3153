"""`gather` on real in-process servers: deadline, quorum, first answer, failures, cache, fusion."""

from __future__ import annotations

import threading

import anyio
import pytest
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError as ServerToolError
from mcp_types import ToolAnnotations

import mcpnb
from mcpnb import MultiServerClient
from mcpnb.result import Source

pytestmark = pytest.mark.anyio


class Weather:
    """A server whose answer is given, and which waits, fails and counts as told."""

    def __init__(self, name: str, answer: object, *, waits: bool = False, fails: str = "") -> None:
        self.answer, self.fails, self.calls = answer, fails, 0
        self.gate, self.cancelled = anyio.Event(), anyio.Event()
        if not waits:
            self.gate.set()
        self.made = MCPServer(name, log_level="ERROR")
        self.made.tool(name="weather", annotations=ToolAnnotations(read_only_hint=True))(self.weather)

    async def weather(self, place: str) -> dict[str, object]:
        self.calls += 1
        try:
            await self.gate.wait()
        except BaseException:
            self.cancelled.set()
            raise
        if self.fails:
            raise ServerToolError(self.fails)
        return {"place": place, **self.answer}  # type: ignore[dict-item]


def client(servers: dict[str, Weather], **options) -> MultiServerClient:
    return MultiServerClient({name: server.made for name, server in servers.items()}, **options)


def rows(whole) -> dict[str, Source]:
    return {source.server: source for source in whole.sources}


async def test_answers_in_unlike_units_are_one_and_every_source_is_accounted_for():
    servers = {
        "a": Weather("a", {"temp_c": 10, "wind_kmh": 20.0}),
        "b": Weather("b", {"temp_f": 51.8, "wind_kmh": 21.0}),
        "down": Weather("down", {}, fails="closed on Sundays"),
    }
    async with client(servers) as fleet:
        whole = await fleet.gather("weather", place="London")
    assert whole.value == {"place": "London", "temp_c": 10.5, "wind_kmh": 20.5}
    by_server = rows(whole)
    assert by_server["b"].note == "temp_f: read as temp_c, °F converted to °C"
    assert by_server["down"].outcome == "tool_error"
    assert "closed on Sundays" in by_server["down"].error
    assert (by_server["down"].confidence, by_server["down"].trust) == (0.0, None)
    trust = by_server["a"].trust
    assert trust is not None
    assert by_server["a"].confidence == pytest.approx(
        trust.reported * trust.reliability * trust.freshness * trust.agreement
    )


async def test_a_quorum_is_enough_and_the_stragglers_are_cancelled():
    servers = {"quick": Weather("quick", {"t": 1}), "slow": Weather("slow", {"t": 2}, waits=True)}
    async with client(servers) as fleet:
        whole = await fleet.options(quorum=1).gather("weather", place="x")
        assert whole.value == {"place": "x", "t": 1}
        assert rows(whole)["slow"].outcome == "cancelled"
        assert "enough others had answered" in rows(whole)["slow"].error
        with anyio.fail_after(10):
            await servers["slow"].cancelled.wait()
        with pytest.raises(ValueError, match="quorum=3 cannot be reached with 2 servers"):
            await fleet.options(quorum=3).gather("weather", place="x")


async def test_the_first_answer_waits_for_nobody_else():
    servers = {"slow": Weather("slow", {"t": 2}, waits=True), "quick": Weather("quick", {"t": 1})}
    async with client(servers) as fleet:
        whole = await fleet.options(method="first").gather("weather", place="x")
    assert (whole.value["t"], set(whole.results)) == (1, {"quick"})


async def test_a_deadline_cuts_off_who_is_late_and_keeps_the_answers():
    servers = {"quick": Weather("quick", {"t": 1}), "slow": Weather("slow", {"t": 2}, waits=True)}
    async with client(servers) as fleet:
        whole = await fleet.options(timeout=1.0).gather("weather", place="x")
    assert whole.value["t"] == 1
    assert rows(whole)["slow"].outcome == "timeout"


async def test_all_failed_is_an_error_with_a_line_per_server():
    servers = {name: Weather(name, {}, fails=f"{name} is closed") for name in ("a", "b")}
    async with client(servers) as fleet:
        with pytest.raises(mcpnb.NoServerAvailable) as caught:
            await fleet.gather("weather", place="x")
    assert "a is closed" in caught.value.reasons["a"]
    assert "b is closed" in str(caught.value)


async def test_what_is_left_out_of_many_fields_is_told_in_short_and_kept_in_full():
    fields = {f"f{place}": 10 for place in range(60)}
    servers = {
        "a": Weather("a", fields),
        "b": Weather("b", fields),
        "odd": Weather("odd", dict.fromkeys(fields, 900)),
    }
    async with client(servers) as fleet:
        whole = await fleet.gather("weather", place="x")
    told = rows(whole)["odd"].error
    assert told == "f0, f1, f2, f3, f4, f5 and 54 more: 900 is far from what the others gave"
    assert {part.key for part in whole.left_out} == set(fields)


async def test_a_tool_that_changed_everywhere_is_told_in_a_line_per_server(tmp_path):
    async with client({"a": Weather("a", {"t": 1})}, pin=tmp_path / "pins.json"):
        pass
    other = MCPServer("a", log_level="ERROR")

    @other.tool()
    def weather(place: str, days: int) -> str:
        return "never called"

    async with MultiServerClient({"a": other}, pin=tmp_path / "pins.json") as fleet:
        with pytest.raises(mcpnb.NoServerAvailable) as caught:
            await fleet.gather("weather", place="x", days=1)
    assert "\n" not in caught.value.reasons["a"]
    assert caught.value.reasons["a"].startswith("it changed since it was approved (its arguments were")
    assert caught.value.reasons["a"].endswith("approve('weather') takes it")


async def test_kept_answers_are_used_and_count_as_older():
    servers = {"a": Weather("a", {"t": 1}), "b": Weather("b", {"t": 1})}
    async with client(servers, cache=60) as fleet:
        await fleet.gather("weather", place="x")
        again = await fleet.gather("weather", place="x")
        await fleet.gather("weather", place="elsewhere")
    assert [server.calls for server in servers.values()] == [2, 2]
    assert all(result.cached and result.age >= 0 for result in again.results.values())
    assert all(source.trust.freshness <= 1 for source in again.sources)


async def test_a_servers_failures_lower_the_confidence_in_its_answers():
    servers = {"good": Weather("good", {"t": 1}), "bad": Weather("bad", {"t": 1}, waits=True)}
    async with client(servers, breaker=False, retry=0) as fleet:
        for _ in range(3):
            with pytest.raises(mcpnb.McpnbError):
                await fleet.options(server="bad", timeout=0.05).call("weather", place="x")
        servers["bad"].gate.set()
        whole = await fleet.gather("weather", place="x")
    by_server = rows(whole)
    assert by_server["good"].trust.reliability == 1.0
    assert by_server["bad"].trust.reliability < 0.5
    assert by_server["bad"].confidence < by_server["good"].confidence


async def test_a_callable_fuses_off_the_event_loop_and_its_errors_are_the_callers():
    loop = threading.get_ident()

    def where(answers: list[object]) -> bool:
        return threading.get_ident() != loop

    def broken(answers: list[object]) -> object:
        raise ZeroDivisionError("mine")

    async with client({"a": Weather("a", {"t": 1})}) as fleet:
        assert (await fleet.options(method=where).gather("weather", place="x")).value is True
        with pytest.raises(ZeroDivisionError, match="mine"):
            await fleet.options(fuse=broken).gather("weather", place="x")


async def test_what_is_declared_for_a_tools_name_is_used():
    servers = {name: Weather(name, {"t": t}) for name, t in (("a", 1), ("b", 2), ("c", 900))}
    mcpnb.register_fusion("weath*", "median", aliases={"temperature": "t"})
    try:
        async with client(servers) as fleet:
            whole = await fleet.gather("weather", place="x")
            own = await fleet.options(method="vote").gather("a:weather", place="x")
    finally:
        mcpnb.forget_fusion("weath*")
    assert (whole.method, whole.value["temperature"]) == ("median", 2)
    assert (own.method, own.value["temperature"]) == ("vote", 1)


async def test_units_in_an_output_schema_are_believed():
    us, eu = MCPServer("us", log_level="ERROR"), MCPServer("eu", log_level="ERROR")

    @us.tool(name="weather")
    def american() -> dict[str, float]:
        return {"temperature": 50.0}

    @eu.tool(name="weather")
    def european() -> dict[str, float]:
        return {"temperature_c": 12.0}

    schema = {"type": "object", "properties": {"temperature": {"type": "number", "unit": "°F"}}}
    us._tool_manager.get_tool("weather").fn_metadata.output_schema = schema
    async with MultiServerClient({"us": us, "eu": eu}) as fleet:
        whole = await fleet.gather("weather")
    assert whole.value == {"temperature_c": 11.0}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "avg"}, "Known methods: concat, mean, median"),
        ({"fuse": "medain"}, "Did you mean median"),
        ({"fuse": "mean", "method": "vote"}, "two names of one option"),
        ({"quorum": 0}, "quorum must be a whole number of at least 1"),
        ({"quorum": True}, "quorum must be"),
    ],
)
async def test_options_that_make_no_sense_are_refused_before_anybody_is_asked(options, words):
    server = Weather("a", {"t": 1})
    async with client({"a": server}) as fleet:
        with pytest.raises(ValueError, match=words):
            fleet.options(**options)
    assert server.calls == 0


async def test_a_policy_that_chooses_nobody_keeps_nobody_from_being_asked():
    servers = {"a": Weather("a", {"t": 1}), "b": Weather("b", {"t": 3})}
    async with client(servers) as fleet:
        nobody = fleet.catalog.choices.resolved("tool", "weather", "namespace")
        fleet.catalog.adopt(nobody, at=0.0)
        with pytest.raises(mcpnb.AmbiguousTool):
            await fleet.call("weather", place="x")
        assert set((await fleet.gather("weather", place="x")).results) == {"a", "b"}
