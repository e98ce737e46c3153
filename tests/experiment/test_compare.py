"""The synchronous face: what it refuses, and how it ends when somebody interrupts it."""

from __future__ import annotations

import asyncio
import signal
import threading

import pytest

from mcpnb.errors import StrategyError
from mcpnb.experiment import Comparison, Sample, Workload, compare, compare_async
from mcpnb.portal import Portal

WORKLOAD = Workload(tool="echo", rate=50.0, requests=100)


def test_it_compares_a_fleet_from_a_plain_thread(fleet):
    found = compare(fleet(("a", 0.02), ("b", 0.08)), ["first", "last"], workload=WORKLOAD)
    assert isinstance(found, Comparison)
    assert found.strategies == ("first", "last")
    assert found.summary["p50_ms"].tolist() == pytest.approx([20, 80])


def test_the_same_seed_compares_the_same(fleet):
    def run(seed):
        rows = [("a", lambda rng: rng.expovariate(30)), ("b", 0.05)]
        return compare(
            fleet(*rows, workers=2), ["round_robin", "least_request"], workload=WORKLOAD, seed=seed
        )

    assert run(3).summary.equals(run(3).summary)
    assert not run(3).summary.equals(run(4).summary)


def test_labels_let_a_strategy_be_compared_with_itself(fleet):
    found = compare(fleet(("a", 0.02)), {"this": "first", "that": "first"}, workload=WORKLOAD)
    assert found.strategies == ("this", "that")


def test_an_object_is_labelled_by_its_name(fleet):
    class Named:
        name = "first"

    assert compare(fleet(("a", 0.02)), [Named()], workload=WORKLOAD).strategies == ("first",)


def test_no_strategies_are_a_value_error(fleet):
    for nothing in ([], {}, ()):
        with pytest.raises(ValueError, match="strategies is empty"):
            compare(fleet(("a", 0.02)), nothing, workload=WORKLOAD)


def test_a_name_given_twice_is_a_value_error_that_shows_the_way_out(fleet):
    with pytest.raises(ValueError, match="given twice; label them with a dict"):
        compare(fleet(("a", 0.02)), ["first", "first"], workload=WORKLOAD)


def test_a_bare_name_is_a_type_error(fleet):
    with pytest.raises(TypeError, match=r"must be a list, such as \['first'"):
        compare(fleet(("a", 0.02)), "first", workload=WORKLOAD)


def test_an_unknown_strategy_is_a_strategy_error_and_nothing_is_sent(fleet):
    target = fleet(("a", 0.02))
    with pytest.raises(StrategyError, match="Did you mean first"):
        compare(target, ["first", "frist"], workload=WORKLOAD)
    assert target.order == []


@pytest.mark.parametrize("target", ["mcp.json", None, 3, object()])
def test_what_cannot_be_compared_is_a_type_error_that_says_what_can(target):
    with pytest.raises(TypeError, match=r"takes a live fleet, such as mcpnb\.connect"):
        compare(target, ["p2c"], workload=WORKLOAD)


def test_a_target_without_a_synchronous_face_is_sent_to_the_coroutine():
    class Client:
        def experiment_view(self, strategy): ...

    with pytest.raises(TypeError, match="await compare_async"):
        compare(Client(), ["p2c"], workload=WORKLOAD)


def test_the_coroutine_refuses_other_targets_too():
    with pytest.raises(TypeError, match="takes a live fleet"):
        asyncio.run(compare_async("mcp.json", ["p2c"], workload=WORKLOAD))


def test_other_nonsense_is_refused_by_name(fleet):
    target = fleet(("a", 0.02))
    with pytest.raises(TypeError, match="workload must be"):
        compare(target, ["first"], workload={"rate": 3})
    with pytest.raises(ValueError, match="repeats must be a whole number of at least 1"):
        compare(target, ["first"], workload=WORKLOAD, repeats=0)
    with pytest.raises(ValueError, match="blocks must be a whole number of at least 1"):
        compare(target, ["first"], workload=WORKLOAD, blocks=0)
    with pytest.raises(ValueError, match="executor= spreads simulations"):
        compare(target, ["first"], workload=WORKLOAD, executor=object())
    with pytest.raises(ValueError, match="nothing is left to count"):
        compare(target, ["first"], workload=Workload(tool="t", rate=10.0, duration=1.0, warmup=500))
    assert target.order == []


class Stuck:
    """A target on a real background loop whose calls never end; the first one interrupts the main thread."""

    def __init__(self, portal):
        self.portal = portal
        self.out = 0
        self.ended = threading.Event()

    def experiment_view(self, strategy):
        return self

    def run(self, function, /, *args):
        return self.portal.call(function, *args)

    async def probe(self, tool, arguments, *, timeout, priority):  # noqa: ASYNC109 - the protocol's own name
        self.out += 1
        if self.out == 3:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            self.out -= 1
        return Sample("a", "ok")

    def close(self):
        self.ended.set()


def test_priorities_reach_the_calls(fleet):
    target = fleet(("a", 0.02))
    workload = Workload(tool="t", rate=50.0, requests=60, priorities={"high": 1, "low": 2})
    compare(target, ["first"], workload=workload)
    asked = target.views["first"][0].priorities
    assert asked == [call.priority for call in workload.calls()]
    assert set(asked) == {"high", "low"}


def test_interrupting_it_gives_control_back_and_cancels_the_calls_that_are_out():
    portal = Portal()
    target = Stuck(portal)
    workload = Workload(tool="echo", rate=1000.0, requests=100)
    try:
        with pytest.raises(KeyboardInterrupt):
            compare(target, ["p2c"], workload=workload)
        assert target.ended.wait(10)
        assert target.out == 0

        async def still_there():
            return "yes"

        assert portal.call(still_there) == "yes"
    finally:
        portal.close()


class Interrupted:
    """A target whose `run` is interrupted from outside after so many calls."""

    def __init__(self, inner, after):
        self.inner, self.after = inner, after
        self.experiment_view = inner.experiment_view

    def run(self, function, /, *args):
        *rest, _, seen = args

        def count(progress):
            if progress.done == self.after:
                raise KeyboardInterrupt

        return self.inner.run(function, *rest, count, seen)


def interrupted(fleet, after, **options):
    target = Interrupted(fleet(("a", 0.02), ("b", 0.08)), after)
    return compare(target, ["first", "last"], workload=WORKLOAD, blocks=10, progress=False, **options)


def test_interrupting_it_keeps_the_rounds_in_which_every_strategy_had_its_turn(fleet):
    found = interrupted(fleet, 155)
    assert found.interrupted
    assert found.strategies == ("first", "last")
    assert found.summary["requests"].tolist() == [70, 70]
    assert found.block_count == 7
    assert found.summary["p50_ms"].tolist() == pytest.approx([20, 80])
    assert "Interrupted: 7 of 10 rounds are in it." in found.notes
    assert repr(found).endswith("; interrupted>")
    assert found.plot() is not None


def test_interrupting_the_first_round_keeps_the_turns_that_there_were(fleet):
    found = interrupted(fleet, 15)
    assert len(found.strategies) == 1
    assert found.summary["requests"].tolist() == [10]
    (note,) = [note for note in found.notes if note.startswith("Interrupted")]
    assert note.endswith("had no turn.")
    assert not any("blocks=" in note for note in found.notes)  # who interrupts knows why there are few


def test_interrupting_the_first_turn_leaves_nothing_to_compare(fleet):
    with pytest.raises(KeyboardInterrupt):
        interrupted(fleet, 5)


@pytest.mark.parametrize(("after", "repeats", "strategies"), [(5, 2, 2), (2, 1, 2), (1, 1, 1)])
def test_interrupting_a_simulation_keeps_whole_repeats_or_whole_runs(after, repeats, strategies):
    from mcpnb.simulation import scenarios

    def stop(progress):
        stop.runs += 1
        if stop.runs == after:
            raise KeyboardInterrupt

    stop.runs = 0
    scenario, workload = scenarios.uniform(3), Workload(rate=10.0, requests=100)
    found = compare(scenario, ["random", "p2c"], workload=workload, repeats=4, progress=stop)
    assert found.interrupted
    assert found.summary["requests"].tolist() == [100 * repeats] * strategies
    assert f"Interrupted: {repeats} of 4 repeats are in it" in found.text()
