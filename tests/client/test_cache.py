"""Answers that are kept: the cache by itself under a clock of its own, then in front of real servers."""

from __future__ import annotations

import asyncio
import copy
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError as ServerToolError
from mcp_types import CallToolResult, TextContent, ToolAnnotations

import mcpnb
from mcpnb import MultiServerClient
from mcpnb.client.cache import Cache, Hit, Key, canonical
from mcpnb.client.cache_policy import CachePolicy, policy_of
from mcpnb.errors import CallTimeout, ConfigError, ServerDisconnected
from mcpnb.model import OUTCOMES, Attempt, AttemptRecord, Event, Outcome, Request
from mcpnb.routing import Finish
from mcpnb.routing.call import Call

pytestmark = pytest.mark.anyio

GROUP = ("alpha", "beta")
KEY = Key(GROUP, "tool", "{}")
FALSY = [None, 0, "", [], False]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def raw(value: object) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=str(value))], structured_content={"result": value}
    )


def finish(
    kind: str = "ok", value: object = None, *, error: Exception | None = None, tool: str = "tool"
) -> Finish:
    call = Call(Request(1, "tool", GROUP), 0.0, finished=1.0)
    attempt = Attempt(1, 1, 1, "alpha", tool, "p2c", 0.0, 0.0, False, "first", ())
    call.ended.append(AttemptRecord(attempt, kind, 1.0))
    return Finish(call, Outcome(kind, None if error or kind == "cancelled" else raw(value), error, 3))


class Backend:
    """What the cache asks. Each question waits for `open`, when there is one."""

    def __init__(self, *ends: Finish) -> None:
        self.ends, self.asked, self.left = list(ends), 0, []
        self.gates: list[asyncio.Event] = []

    def gate(self) -> asyncio.Event:
        self.gates.append(asyncio.Event())
        return self.gates[-1]

    async def __call__(self, left: float | None) -> Finish:
        number, self.asked = self.asked, self.asked + 1
        self.left.append(left)
        if number < len(self.gates):
            await self.gates[number].wait()
        return self.ends[min(number, len(self.ends) - 1)]


def made(policy: CachePolicy | None = None) -> tuple[Cache, Clock]:
    clock = Clock()
    return Cache(policy or CachePolicy(), clock=clock), clock


async def settle() -> None:
    """Let every task that can run come to where it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


# -- what is kept, and for how long


@pytest.mark.parametrize("value", FALSY)
async def test_falsy_answers_count_as_answers(value):
    cache, _ = made()
    backend = Backend(finish(value=value))
    await cache.answer(KEY, 60.0, backend, timeout=None)
    hit = await cache.answer(KEY, 60.0, backend, timeout=None)
    assert backend.asked == 1
    assert isinstance(hit, Hit)
    assert hit.raw.structured_content == {"result": value}
    assert (hit.server, hit.bytes) == ("alpha", 3)


async def test_an_answer_is_good_for_its_time_and_no_longer():
    cache, clock = made()
    backend = Backend(finish(value=1))
    await cache.answer(KEY, 60.0, backend, timeout=None)
    clock.now += 59.9
    hit = await cache.answer(KEY, 60.0, backend, timeout=None)
    assert hit.age == pytest.approx(59.9)
    clock.now += 0.1
    await cache.answer(KEY, 60.0, backend, timeout=None)
    assert backend.asked == 2


async def test_a_call_that_wants_it_fresher_gets_a_newer_one_which_is_then_kept():
    cache, clock = made()
    backend = Backend(finish(value=1))
    await cache.answer(KEY, 60.0, backend, timeout=None)
    clock.now += 10.0
    await cache.answer(KEY, 5.0, backend, timeout=None)
    clock.now += 4.0
    assert (await cache.answer(KEY, 60.0, backend, timeout=None)).age == pytest.approx(4.0)
    assert backend.asked == 2


async def test_nobody_can_change_what_the_next_one_gets():
    cache, _ = made()
    backend = Backend(finish(value=[1, 2]))
    first = await cache.answer(KEY, 60.0, backend, timeout=None)
    first.outcome.value.structured_content["result"].append(3)
    second = await cache.answer(KEY, 60.0, backend, timeout=None)
    second.raw.structured_content["result"].clear()
    second.raw.content.clear()
    third = await cache.answer(KEY, 60.0, backend, timeout=None)
    assert third.raw == raw([1, 2])


@pytest.mark.parametrize(
    "end",
    [
        finish("tool_error", "no"),
        finish("disconnected", error=ServerDisconnected("alpha")),
        finish("timeout", error=CallTimeout("tool", 1.0)),
        finish("cancelled"),
        finish("ok", 1, tool="another tool that was fallen back on"),
    ],
    ids=lambda end: end.outcome.kind,
)
async def test_errors_and_answers_of_other_tools_are_not_kept(end):
    cache, _ = made()
    backend = Backend(end)
    for _ in range(2):
        assert await cache.answer(KEY, 60.0, backend, timeout=None) is end
    assert backend.asked == 2
    assert cache.info().entries == 0


async def test_the_answers_not_asked_for_the_longest_go_when_there_are_too_many():
    cache, _ = made(CachePolicy(entries=2))
    backend = Backend(finish(value=1))
    keys = [KEY._replace(arguments=f"[{n}]") for n in range(3)]
    for key in (*keys[:2], keys[0], keys[2]):
        await cache.answer(key, 60.0, backend, timeout=None)
    assert (backend.asked, cache.info().entries) == (3, 2)
    assert isinstance(await cache.answer(keys[0], 60.0, backend, timeout=None), Hit)
    assert isinstance(await cache.answer(keys[1], 60.0, backend, timeout=None), Finish)


async def test_the_answers_together_stay_within_the_bytes_and_what_is_larger_is_not_kept():
    cache, _ = made(CachePolicy(max_bytes=10_000))
    for n in range(20):
        await cache.answer(
            KEY._replace(arguments=f"[{n}]"), 60.0, Backend(finish(value="x" * 1000)), timeout=None
        )
        assert cache.info().bytes <= 10_000
    assert 2 <= cache.info().entries < 10
    backend = Backend(finish(value="x" * 20_000))
    for _ in range(2):
        await cache.answer(KEY, 60.0, backend, timeout=None)
    assert (backend.asked, cache.info().unkept) == (2, 2)


async def test_an_answer_too_deep_to_be_copied_is_given_but_not_kept():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    end = finish(value=1)
    end.outcome.value.structured_content["result"] = deep
    cache, _ = made()
    assert await cache.answer(KEY, 60.0, Backend(end), timeout=None) is end
    assert (cache.info().entries, cache.info().unkept) == (0, 1)
    while deep:  # taken apart by hand: letting go of it at once would recurse as deep
        deep = deep.pop()


def test_clearing_and_looking_are_possible_at_any_time():
    cache, _ = made(CachePolicy(ttl=30.0))
    assert repr(cache) == (
        "<Cache: read-only tools for 30 s; 0 answers in 0 bytes; hits 0, shared 0, misses 0>"
    )
    cache.clear()
    assert "only what calls ask for" in repr(Cache(None, clock=Clock()))


async def test_a_cleared_cache_knows_nothing_and_does_not_take_what_was_on_its_way():
    cache, _ = made()
    backend = Backend(finish(value=1))
    await cache.answer(KEY._replace(arguments="[]"), 60.0, backend, timeout=None)
    gate = Backend.gate(late := Backend(finish(value=1)))
    on_its_way = asyncio.create_task(cache.answer(KEY, 60.0, late, timeout=None))
    await settle()
    cache.clear()
    gate.set()
    assert (await on_its_way).outcome.kind == "ok"
    assert cache.info().entries == 0


@pytest.mark.parametrize(
    ("server", "data", "gone"),
    [
        ("beta", {"changed": {"tool": "arguments +days"}}, True),
        ("beta", {"removed": ("tool",)}, True),
        ("beta", {"changed": {"other": "description"}}, False),
        ("gamma", {"changed": {"tool": "description"}}, False),
    ],
)
async def test_tools_that_change_lose_their_entries_and_what_is_on_its_way(server, data, gone):
    cache, _ = made()
    backend = Backend(finish(value=1))
    await cache.answer(KEY, 60.0, backend, timeout=None)
    gate = (late := Backend(finish(value=2))).gate()
    other = KEY._replace(arguments="[]")
    on_its_way = asyncio.create_task(cache.answer(other, 60.0, late, timeout=None))
    await settle()
    cache.changed(Event(0.0, "tools_changed", server, "", data))
    gate.set()
    await on_its_way
    assert cache.info().entries == (0 if gone else 2)


# -- one flight


async def test_identical_calls_that_run_at_once_go_out_once():
    cache, _ = made()
    gate = (backend := Backend(finish(value=[1]))).gate()
    calls = [asyncio.create_task(cache.answer(KEY, 60.0, backend, timeout=None)) for _ in range(50)]
    await settle()
    gate.set()
    ends = await asyncio.gather(*calls)
    hits = [end for end in ends if isinstance(end, Hit)]
    assert (backend.asked, len(hits)) == (1, 49)
    assert all(hit.age is None and hit.raw == raw([1]) for hit in hits)
    assert len({id(hit.raw) for hit in hits}) == 49
    assert cache.info()[:3] == (0, 49, 1)


async def test_those_who_wait_share_a_fault_instead_of_storming_the_servers():
    cache, _ = made()
    gate = (backend := Backend(finish("disconnected", error=ServerDisconnected("alpha")))).gate()
    calls = [asyncio.create_task(cache.answer(KEY, 60.0, backend, timeout=None)) for _ in range(5)]
    await settle()
    gate.set()
    ends = await asyncio.gather(*calls)
    assert isinstance(ends[0], Finish)
    assert ends[1:] == [ends[0].outcome] * 4
    assert backend.asked == 1


async def test_those_who_wait_share_the_tools_own_no_which_is_not_kept():
    cache, _ = made()
    gate = (backend := Backend(finish("tool_error", "no"))).gate()
    calls = [asyncio.create_task(cache.answer(KEY, 60.0, backend, timeout=None)) for _ in range(2)]
    await settle()
    gate.set()
    one, other = await asyncio.gather(*calls)
    assert isinstance(one, Finish)
    assert isinstance(other, Hit)
    assert cache.info().entries == 0


async def test_when_the_call_that_is_out_is_cancelled_one_of_those_waiting_goes_in_its_place():
    cache, _ = made()
    backend = Backend(finish(value=1))
    backend.gate()
    second = backend.gate()
    leader, *others = [asyncio.create_task(cache.answer(KEY, 60.0, backend, timeout=None)) for _ in range(4)]
    await settle()
    leader.cancel()
    await settle()
    assert backend.asked == 2
    second.set()
    ends = await asyncio.gather(*others)
    assert [type(end) for end in ends] == [Finish, Hit, Hit]
    assert leader.cancelled()
    assert backend.asked == 2


async def test_one_that_waits_can_be_cancelled_without_disturbing_the_others():
    cache, _ = made()
    gate = (backend := Backend(finish(value=1))).gate()
    calls = [asyncio.create_task(cache.answer(KEY, 60.0, backend, timeout=None)) for _ in range(3)]
    await settle()
    calls[1].cancel()
    await settle()
    gate.set()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(end) for end in ends] == [Finish, asyncio.CancelledError, Hit]


async def test_another_calls_impatience_is_not_inherited_and_waiting_spends_ones_own_time():
    cache, clock = made()
    backend = Backend(finish("timeout", error=CallTimeout("tool", 1.0)), finish(value=1))
    gate = backend.gate()
    hasty = asyncio.create_task(cache.answer(KEY, 60.0, backend, timeout=1.0))
    patient = asyncio.create_task(cache.answer(KEY, 60.0, backend, timeout=30.0))
    late = asyncio.create_task(cache.answer(KEY, 60.0, backend, timeout=0.5))
    await settle()
    clock.now += 1.0
    gate.set()
    assert (await hasty).outcome.kind == "timeout"
    assert (await patient).outcome.kind == "ok"
    ended = await late
    assert (ended.kind, str(ended.error).count("0.5 s")) == ("timeout", 1)
    assert backend.left == [None, pytest.approx(29.0)]


async def test_one_whose_time_ends_while_it_waits_does_not_wait_on():
    cache, _ = made()
    gate = (backend := Backend(finish(value=1))).gate()
    leader = asyncio.create_task(cache.answer(KEY, 60.0, backend, timeout=None))
    await settle()
    ended = await cache.answer(KEY, 60.0, backend, timeout=0.01)
    assert (ended.kind, type(ended.error)) == ("timeout", CallTimeout)
    gate.set()
    await leader


async def test_a_call_that_breaks_leaves_nobody_waiting():
    cache, _ = made()
    backend = Backend(finish(value=1))

    async def broken(left: float | None) -> Finish:
        await settle()
        raise RuntimeError("a mistake of ours")

    one = asyncio.create_task(cache.answer(KEY, 60.0, broken, timeout=None))
    await asyncio.sleep(0)
    assert (await cache.answer(KEY, 60.0, backend, timeout=None)).outcome.kind == "ok"
    with pytest.raises(RuntimeError):
        await one


# -- the words


def test_arguments_in_another_order_are_the_same_question():
    assert canonical({"a": 1, "b": {"c": 2, "d": 3}}) == canonical({"b": {"d": 3, "c": 2}, "a": 1})


def test_numbers_that_a_server_can_tell_apart_are_different_questions():
    texts = [canonical({"n": n}) for n in (1, 1.0, True, "1", math.nan, math.inf, None)]
    assert len(set(texts)) == 7
    assert canonical({"n": math.nan}) == canonical({"n": math.nan})


def test_arguments_without_a_form_in_json_are_not_looked_up():
    circle: dict[str, object] = {}
    circle["self"] = circle
    for arguments in ({"x": object()}, circle, {1: "a", "b": 2}):
        assert canonical(arguments) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(), json_values), st.dictionaries(st.text(), json_values))
def test_different_arguments_are_different_questions(one, other):
    same = repr(sort(one)) == repr(sort(other))
    assert (canonical(one) == canonical(other)) is same
    assert canonical(one) == canonical(copy.deepcopy(dict(reversed(one.items()))))


def sort(value):
    """The value with its keys in order, so that its text tells 1, 1.0 and True apart and no orders."""
    if isinstance(value, dict):
        return {key: sort(value[key]) for key in sorted(value)}
    return [sort(part) for part in value] if isinstance(value, list) else value


def test_a_policy_is_said_in_few_words():
    assert policy_of(False) is policy_of(None) is policy_of(0) is None
    assert policy_of(True) == CachePolicy()
    assert policy_of(5) == CachePolicy(ttl=5.0)
    mine = CachePolicy(tools={"weather.*": 300.0, "*.now": 0})
    assert policy_of(mine) is mine
    assert [mine.seconds(tool) for tool in ("weather.now", "time.now", "other")] == [300.0, 0.0, 60.0]


@pytest.mark.parametrize("wrong", [-1, math.nan, "yes", [60]])
def test_what_is_no_length_of_time_is_refused(wrong):
    for make in (policy_of, lambda it: CachePolicy(ttl=it), lambda it: CachePolicy(tools={"t": it})):
        with pytest.raises(ConfigError, match="no number of seconds"):
            make(wrong)
    with pytest.raises(ConfigError, match="no number of seconds"):
        Cache(None, clock=Clock()).seconds("t", read_only=True, asked=wrong)


@pytest.mark.parametrize("bound", ["entries", "max_bytes"])
def test_a_cache_without_room_is_refused(bound):
    with pytest.raises(ConfigError, match=bound):
        CachePolicy(**{bound: 0})


@pytest.mark.parametrize(
    ("policy", "read_only", "asked", "seconds"),
    [
        (None, True, None, 0.0),
        (None, False, True, 60.0),
        (None, True, 5, 5.0),
        (CachePolicy(ttl=9.0), True, None, 9.0),
        (CachePolicy(ttl=9.0), False, None, 0.0),
        (CachePolicy(ttl=9.0), False, True, 9.0),
        (CachePolicy(ttl=9.0), True, False, 0.0),
        (CachePolicy(ttl=9.0), True, 0.5, 0.5),
    ],
)
def test_read_only_tools_are_kept_where_the_cache_is_on_and_others_when_asked(
    policy, read_only, asked, seconds
):
    assert Cache(policy, clock=Clock()).seconds("tool", read_only=read_only, asked=asked) == seconds


# -- in front of servers


class Counting:
    """In-process servers that count what they execute."""

    def __init__(self, *names: str) -> None:
        self.calls: list[tuple[str, str, object]] = []
        self.heard = asyncio.Semaphore(0)
        self.gate: asyncio.Event | None = None
        self.servers = {name: self._server(name) for name in names}

    def _server(self, name: str) -> MCPServer:
        server = MCPServer(name, version="1.0", log_level="ERROR")

        @server.tool(annotations=ToolAnnotations(read_only_hint=True))
        async def look(where: str = "here", numbers: list[float] | None = None) -> dict[str, object]:
            self.calls.append(("look", name, where))
            self.heard.release()
            if self.gate is not None:
                await self.gate.wait()
            return {"where": where, "numbers": numbers or [], "by": name, "nth": len(self.calls)}

        @server.tool(annotations=ToolAnnotations(read_only_hint=True))
        def falsy(value: object) -> object:
            self.calls.append(("falsy", name, value))
            return value

        @server.tool()
        def change(to: str) -> str:
            self.calls.append(("change", name, to))
            return to

        @server.tool(annotations=ToolAnnotations(read_only_hint=True))
        def refuse() -> str:
            self.calls.append(("refuse", name, None))
            raise ServerToolError("not today")

        return server

    async def asked(self) -> None:
        """Until `look` runs once more."""
        async with asyncio.timeout(60):
            await self.heard.acquire()

    def count(self, tool: str) -> int:
        return sum(called == tool for called, *_ in self.calls)


def other_tool() -> MCPServer:
    server = MCPServer("other", version="1.0", log_level="ERROR")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    async def vista(where: str) -> str:
        await asyncio.sleep(0)
        return f"{where} from afar"

    return server


async def test_off_unless_asked_for():
    counting = Counting("alpha")
    async with MultiServerClient(counting.servers) as client:
        for _ in range(2):
            assert not (await client.call("look")).cached
        assert counting.count("look") == 2


async def test_tools_that_only_read_are_answered_from_the_cache_where_it_is_on():
    counting = Counting("alpha", "beta")
    async with MultiServerClient(counting.servers, replicas=True, cache=True) as client:
        first = await client.call("look", where="there", numbers=[1.0])
        again = await client.call_tool("look", {"numbers": [1.0], "where": "there"})
        await client.call("look", where="elsewhere", numbers=[1.0])
        for _ in range(2):
            await client.call("change", to="x")
        assert (counting.count("look"), counting.count("change")) == (2, 2)
    assert (first.cached, again.cached) == (False, True)
    assert again.value == first.value
    assert (again.server, again.attempts, again.ok) == (first.server, 0, True)
    story = again.explain()
    assert (story.cached, story.attempts) == (True, ())
    assert "answered from the cache; nothing was sent" in str(story)
    assert f"the answer of {first.server}, 0.0 s old" in str(story)


@pytest.mark.parametrize("value", FALSY)
async def test_a_falsy_answer_is_fetched_once(value):
    counting = Counting("alpha")
    async with MultiServerClient(counting.servers, cache=True) as client:
        values = [(await client.call("falsy", value=value)).value for _ in range(2)]
        assert counting.count("falsy") == 1
        assert values[0] == values[1]


async def test_a_call_can_ask_for_the_cache_or_go_past_it():
    counting = Counting("alpha")
    async with MultiServerClient(counting.servers, cache=60) as client:
        for _ in range(2):
            await client.options(cache=True).call("change", to="x")
            await client.options(cache=False).call("look")
        assert (counting.count("change"), counting.count("look")) == (1, 2)
        await client.call("look")
        assert (await client.options(cache=3600).call("look")).cached
        assert not (await client.options(cache=1e-9).call("look")).cached
        with pytest.raises(ConfigError, match="cache"):
            await client.options(cache=-1).call("look")


async def test_what_a_call_demands_of_a_server_is_part_of_the_question():
    counting = Counting("alpha", "beta")
    async with MultiServerClient(counting.servers, replicas=True, cache=True) as client:
        for name in ("alpha", "beta", "alpha"):
            assert (await client.options(server=name).call("look")).server == name
        assert counting.count("look") == 2


async def test_errors_of_tools_are_asked_for_again():
    counting = Counting("alpha")
    async with MultiServerClient(counting.servers, cache=True) as client:
        for _ in range(2):
            with pytest.raises(mcpnb.ToolError, match="not today"):
                await client.call("refuse")
        assert not (await client.options(raise_on_error=False).call("refuse")).ok
        assert counting.count("refuse") == 3


async def test_calls_at_once_share_one_execution_and_each_gets_an_answer_of_its_own():
    counting = Counting("alpha", "beta")
    counting.gate = asyncio.Event()
    async with MultiServerClient(counting.servers, replicas=True, cache=True) as client:
        calls = [asyncio.create_task(client.call("look")) for _ in range(8)]
        await counting.asked()
        counting.gate.set()
        results = await asyncio.gather(*calls)
        assert counting.count("look") == 1
        results[1].value["numbers"].append(7)
        assert all(result.value["numbers"] == [] for result in (results[0], *results[2:]))
        assert sum(result.cached for result in results) == 7
        assert "to an identical call that was out already" in str(results[1].explain())
        assert (await client.call("look")).value["numbers"] == []


async def test_a_caller_that_gives_up_does_not_take_the_others_with_it():
    counting = Counting("alpha")
    counting.gate = asyncio.Event()
    async with MultiServerClient(counting.servers, cache=True) as client:
        leader, follower = [asyncio.create_task(client.call("look")) for _ in range(2)]
        await counting.asked()
        leader.cancel()
        await counting.asked()
        counting.gate.set()
        result = await follower
        assert (result.cached, counting.count("look")) == (False, 2)
        with pytest.raises(asyncio.CancelledError):
            await leader


async def test_hits_are_rows_of_the_log_and_no_load_of_the_server():
    counting = Counting("alpha")
    async with MultiServerClient(counting.servers, cache=True) as client:
        for _ in range(3):
            await client.call("look")
        columns = client.log.columns()
        assert columns.cached.tolist() == [False, True, True]
        assert columns.call.tolist() == [1, 2, 3]
        assert columns.attempt.tolist() == [1, 0, 0]
        assert len(set(columns.server.tolist())) == len(set(columns.outcome.tolist())) == 1
        assert columns.size.tolist() == [columns.size[0]] * 3
        assert (columns.latency[1:] >= 0).all()
        assert client.servers()[0].calls == 1
        assert client.cache.info()[:3] == (2, 0, 1)


async def test_every_call_that_waits_for_another_is_accounted_for():
    counting = Counting("alpha")
    counting.gate = asyncio.Event()
    async with MultiServerClient(counting.servers, cache=True) as client:
        calls = [asyncio.create_task(client.call("look")) for _ in range(2)]
        calls += [asyncio.create_task(client.options(timeout=0.01).call("look"))]
        calls += [asyncio.create_task(client.call("look"))]
        await counting.asked()
        with pytest.raises(CallTimeout):
            await calls[2]
        calls[3].cancel()
        with pytest.raises(asyncio.CancelledError):
            await calls[3]
        counting.gate.set()
        await asyncio.gather(*calls[:2])
        columns = client.log.columns()
        outcomes = [OUTCOMES[code] for code in columns.outcome]
        assert sorted(zip(outcomes, columns.attempt.tolist(), columns.cached.tolist(), strict=True)) == [
            ("cancelled", 0, False),
            ("ok", 0, True),
            ("ok", 1, False),
            ("timeout", 0, False),
        ]
        assert len(set(columns.call.tolist())) == 4


async def test_a_fault_of_the_server_reaches_all_who_wait_for_the_call():
    counting = Counting("alpha")
    async with MultiServerClient(counting.servers, cache=True) as client:
        client.members["alpha"].drain()
        client.members._mark(client.members["alpha"])
        calls = [asyncio.create_task(client.call("look")) for _ in range(3)]
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(error) for error in errors] == [mcpnb.NoServerAvailable] * 3
        assert len(client.log) == 3
        assert client.cache.info().entries == 0


async def test_the_answer_of_a_tool_that_stood_in_is_shared_but_not_kept():
    counting = Counting("alpha")
    counting.gate = asyncio.Event()
    async with MultiServerClient(
        {"alpha": counting.servers["alpha"], "other": other_tool()}, cache=True
    ) as client:
        client.fallback("look", ["vista"])
        client.members["alpha"].drain()
        client.members._mark(client.members["alpha"])
        results = await asyncio.gather(*(client.call("look", where="there") for _ in range(3)))
        assert [result.value for result in results] == ["there from afar"] * 3
        assert [result.tool for result in results] == ["vista"] * 3
        assert [result.cached for result in results] == [False, True, True]
        assert not (await client.call("look", where="there")).cached


async def test_a_tool_that_changes_is_asked_anew():
    counting = Counting("alpha", "beta")
    async with MultiServerClient(counting.servers, replicas=True, cache=True) as client:
        await client.call("look")
        connection = client.members["beta"]
        tools = [
            tool.model_copy(update={"description": "another"}) if tool.name == "look" else tool
            for tool in connection.listing.tools
        ]
        for event in client.catalog.update("beta", tools, version="1.0", at=0.0):
            client.events.append(event)
        assert not (await client.call("look")).cached
        assert counting.count("look") == 2


async def test_a_server_that_left_and_came_back_is_asked_anew():
    counting = Counting("alpha")
    async with MultiServerClient(counting.servers, cache=True) as client:
        await client.call("look")
        await client.remove("alpha")
        await client.add("alpha", counting.servers["alpha"])
        assert not (await client.call("look")).cached
        assert (await client.call("look")).cached


async def test_what_experiments_trace_is_always_sent():
    counting = Counting("alpha")
    async with MultiServerClient(counting.servers, cache=True) as client:
        trial = client.trial("random")
        for _ in range(2):
            assert (await trial.trace("look", {})).outcome.kind == "ok"
        assert counting.count("look") == 2


def test_a_notebook_turns_it_on_where_it_connects():
    with mcpnb.connect(Counting("alpha").servers, cache=CachePolicy(ttl=300.0)) as fleet:
        first, again = fleet.call("look"), fleet.call("look")
        assert (first.cached, again.cached) == (False, True)
        assert "answered from the cache" in str(again.explain())
        assert fleet.calls.cached.tolist() == [False, True]
        assert fleet.cache.info().entries == 1
        fleet.cache.clear()
        assert not fleet.call("look").cached
        assert fleet.options(cache=True).call("change", to="x").cached is False
        assert fleet.options(cache=True).call("change", to="x").cached is True
