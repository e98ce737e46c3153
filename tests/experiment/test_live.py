"""Pacing and interleaving, in virtual time: what is measured is exactly what the servers did."""

from __future__ import annotations

import asyncio
import gc

import pytest

from mcpnb.errors import (
    CallTimeout,
    ConfigError,
    ConnectError,
    NoServerAvailable,
    Overloaded,
    ServerDisconnected,
    StrategyError,
    ToolError,
    ToolNotFound,
)
from mcpnb.experiment import Sample, Workload, compare_async, outcome_of
from mcpnb.experiment.live import Plan, measure
from mcpnb.model import Attempt, AttemptRecord, Explanation

pytestmark = pytest.mark.anyio


def steady(**fields):
    return Workload(**{"tool": "echo", "arrivals": "constant", "rate": 20.0, "requests": 120, **fields})


async def test_an_idle_server_is_measured_to_the_microsecond(fleet):
    found = await compare_async(fleet(("a", 0.05)), ["first"], workload=steady())
    assert found.latencies("first") == pytest.approx([50] * 120)
    assert found.calls["started_lag_ms"].abs().max() < 1e-6
    assert found.summary.loc["first", "goodput"] == pytest.approx(20, rel=0.01)


async def test_open_loop_latency_counts_from_the_intended_start(fleet):
    """A server at half the rate: the n-th call waits for n others, and a blocked client would not notice."""
    found = await compare_async(fleet(("a", 0.1), workers=1), ["first"], workload=steady(), blocks=1)
    assert found.latencies("first") == pytest.approx([100 + 50 * i for i in range(120)])
    assert found.summary.loc["first", "goodput"] == pytest.approx(10, rel=0.02)


async def test_a_client_that_is_late_is_charged_for_it_and_says_so(fleet):
    clock = asyncio.get_running_loop().time

    async def sluggish(seconds):
        await asyncio.sleep(seconds + 0.02)

    found = await compare_async(fleet(("a", 0.05)), ["first"], workload=steady(), sleep=sluggish, clock=clock)
    assert found.calls["started_lag_ms"].to_numpy() == pytest.approx([20] * 120)
    assert found.latencies("first") == pytest.approx([70] * 120)
    assert any("more than 20.0 ms late" in note for note in found.notes)


async def test_every_strategy_has_one_turn_a_round_in_an_order_that_the_seed_draws(fleet):
    plan = Plan({"first": "first", "last": "last", "round_robin": "round_robin"}, steady())
    target = fleet(("a", 0.01), ("b", 0.02))
    seen = await measure(target, plan)
    again = await measure(target, plan)
    rounds = [[row.strategy for row in seen.blocks if row.block == k] for k in range(12)]
    assert all(sorted(turns) == ["first", "last", "round_robin"] for turns in rounds)
    assert len({tuple(turns) for turns in rounds}) > 1
    assert [row.strategy for row in seen.blocks] == [row.strategy for row in again.blocks]
    assert [row.latency_ms for row in seen.calls] == pytest.approx([row.latency_ms for row in again.calls])


async def test_turns_do_not_overlap(fleet):
    seen = await measure(fleet(("a", 0.3), ("b", 0.1)), Plan({"first": "first", "last": "last"}, steady()))
    ends = [row.began_at + row.seconds for row in seen.blocks]
    assert all(begin.began_at >= end - 1e-9 for begin, end in zip(seen.blocks[1:], ends, strict=False))


async def test_all_strategies_get_the_same_calls(fleet):
    workload = steady(
        tool={"a": 1, "b": 1}, arguments=lambda i, rng: {"n": int(rng.integers(99))}, timeout=3.0
    )
    target = fleet(("a", 0.01), ("b", 0.02))
    await compare_async(target, ["first", "last"], workload=workload)
    (first,), (last,) = target.views["first"], target.views["last"]
    assert first.seen == last.seen
    assert len(first.seen) == 120
    assert {timeout for _, _, timeout in first.seen} == {3.0}


async def test_a_strategys_state_lasts_over_its_blocks_and_is_fresh_for_each_repeat(fleet):
    target = fleet(("a", 0.01), ("b", 0.01), ("c", 0.01))
    found = await compare_async(target, ["round_robin"], workload=steady(requests=100), blocks=7, repeats=2)
    assert len(target.views["round_robin"]) == 2
    assert all(view.closed for view in target.views["round_robin"])
    for _, calls in found.calls.groupby("repeat"):
        assert list(calls["server"]) == [("a", "b", "c")[i % 3] for i in range(100)]


async def test_a_closed_loop_keeps_its_callers_busy(fleet):
    workload = Workload(tool="echo", arrivals="closed", concurrency=3, requests=60)
    found = await compare_async(fleet(("a", 0.1), workers=10), ["first"], workload=workload, blocks=1)
    assert found.latencies("first") == pytest.approx([100] * 60)
    assert found.calls["intended_at"].max() == pytest.approx(1.9)
    assert found.summary.loc["first", "goodput"] == pytest.approx(30, rel=0.1)


async def test_a_closed_loop_with_a_duration_sends_as_much_as_fits(fleet):
    workload = Workload(tool="echo", arrivals="closed", concurrency=2, duration=3.0)
    found = await compare_async(fleet(("slow", 0.3), ("quick", 0.07)), ["first", "last"], workload=workload)
    assert found.summary["requests"].tolist() == [24, 90]
    assert found.blocks.groupby("strategy", observed=True).size().tolist() == [3, 3]
    assert found.calls.loc[found.calls["strategy"] == "first", "i"].tolist() == list(range(24))


async def test_failed_calls_are_rows_like_the_others(fleet, server):
    found = await compare_async(fleet(server("a", 0.05, failing=0.5)), ["first"], workload=steady())
    failed = found.calls[found.calls["outcome"] != "ok"]
    assert 30 < len(failed) < 90
    assert set(failed["outcome"]) == {"disconnected"}
    assert set(failed["error"]) == {"went away"}
    assert found.summary.loc["first", "errors"] == len(failed)
    assert found.latencies("first") == pytest.approx([50] * (120 - len(failed)))


async def test_a_strategy_that_does_not_exist_is_found_before_anything_is_sent(fleet):
    target = fleet(("a", 0.01))
    with pytest.raises(StrategyError, match="fastest"):
        await compare_async(target, ["first", "fastest"], workload=steady())
    assert target.order == []
    assert target.views["first"][0].closed


async def test_a_mistake_in_the_experiment_ends_it_at_once_and_leaves_nothing_running(fleet):
    target = fleet(("a", 0.5))
    view_of = target.experiment_view

    def failing_later(strategy):
        view = view_of(strategy)
        probe = view.probe

        async def raising(tool, arguments, *, timeout, priority):  # noqa: ASYNC109 - the protocol's own name
            if len(view.seen) == 5:
                raise ToolNotFound(tool, ["eco"])
            return await probe(tool, arguments, timeout=timeout, priority=priority)

        view.probe = raising
        return view

    target.experiment_view = failing_later
    with pytest.raises(ToolNotFound, match="'echo'"):
        await compare_async(target, ["first"], workload=steady())
    assert target.servers[0].in_flight == 0


async def test_cancelling_it_cancels_the_calls_that_are_out(fleet):
    target = fleet(("a", 3600.0))
    task = asyncio.create_task(compare_async(target, ["first"], workload=steady()))
    await asyncio.sleep(1)
    assert target.servers[0].in_flight == 10  # the whole first block is out
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert target.servers[0].in_flight == 0
    assert target.views["first"][0].closed


async def test_old_objects_are_out_of_the_collectors_sight_only_while_calls_are_timed(fleet):
    frozen = []
    plan = Plan({"first": "first"}, steady(requests=2))
    await measure(fleet(("a", 0.01)), plan, progress=lambda _: frozen.append(gc.get_freeze_count()))
    assert min(frozen) > 0
    assert gc.get_freeze_count() == 0
    gc.freeze()
    try:
        await measure(fleet(("a", 0.01)), plan)
        assert gc.get_freeze_count() > 0, "what somebody else froze stays frozen"
    finally:
        gc.unfreeze()


async def test_progress_is_told_after_every_call(fleet):
    told = []
    target = fleet(("a", 0.01), ("b", 0.01))
    await compare_async(
        target, ["first", "last"], workload=steady(requests=40), repeats=2, progress=told.append
    )
    assert [p.done for p in told] == list(range(1, 161))
    assert {p.total for p in told} == {160}
    assert (told[-1].round, told[-1].rounds) == (8, 8)


def test_blocks_are_about_even_and_never_empty():
    assert Plan({"a": "a"}, steady(requests=25)).rounds(0) == [12, 13]
    assert Plan({"a": "a"}, steady(requests=5)).rounds(0) == [5]
    assert Plan({"a": "a"}, steady(requests=5), blocks=99).rounds(0) == [1] * 5
    assert sum(filter(None, Plan({"a": "a"}, steady(requests=1003)).rounds(0))) == 1003
    assert len(Plan({"a": "a"}, steady(requests=1003)).rounds(0)) == 12


def _record(server, outcome, *, hedge=False):
    attempt = Attempt(1, 1, 1, server, "echo", "p2c", 0.0, 0.0, hedge, "first", ())
    return AttemptRecord(attempt, outcome, 0.1)


def test_a_sample_counts_attempts_hedges_and_retries_from_an_explanation():
    records = (_record("a", "refused"), _record("b", "cancelled"), _record("c", "ok", hedge=True))
    sample = Sample.of("ok", Explanation("echo", ("a", "b", "c"), attempts=records, total=0.3))
    assert sample == Sample("c", "ok", 0.3, attempts=3, hedges=1, retries=1)
    nobody = Sample.of("rejected", Explanation("echo", ("a",), total=0.1), error="all down")
    assert nobody == Sample(None, "rejected", 0.1, attempts=0, hedges=0, retries=0, error="all down")


def test_errors_stand_for_outcomes_and_mistakes_for_none():
    assert outcome_of(ToolError("a", "t", "no")) == "tool_error"
    assert outcome_of(CallTimeout("t", 1.0)) == "timeout"
    assert outcome_of(ServerDisconnected("a")) == "disconnected"
    assert outcome_of(ConnectError("a", "refused")) == "refused"
    assert outcome_of(NoServerAvailable("t", {})) == "rejected"
    assert outcome_of(Overloaded("t", "full")) == "rejected"
    assert outcome_of(ConfigError("odd")) is None
