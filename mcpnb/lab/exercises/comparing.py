"""Notebook 06: how many calls are in the house, which differences are real, and a target to meet."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from mcpnb.errors import StrategyError
from mcpnb.experiment.compare import compare
from mcpnb.experiment.comparison import Comparison
from mcpnb.experiment.simulate import Run, simulate
from mcpnb.lab.exercises.verdict import Check, Unreadable, Verdict, mapping, number, right, text, wrong
from mcpnb.simulation import Scenario, scenarios

__all__ = ["EXERCISES"]

NO_DIFFERENCE = "no difference"
TARGET_MS = 1000.0


@cache
def _run() -> Run:
    """Ten equal servers under p2c."""
    return simulate(scenarios.uniform(10), "p2c", seed=4)


def _inside(answer: object) -> Verdict:
    given, run = number(answer, "a number of calls"), _run()
    span = float(run.starts[-1] - run.starts[0])
    truth = float(run.latencies.sum()) / span
    if abs(given / truth - 1) <= 0.05:
        return right(f"Little's law: about {truth:.1f} calls are out at any time.")
    return wrong(
        f"{given:g} is too {'many' if given > truth else 'few'}.",
        "Calls per second times the seconds that each stays; run.summary has what you need, in ms.",
    )


@cache
def _pairs() -> dict[str, Comparison]:
    """Two comparisons on ten equal servers."""
    herd = scenarios.uniform(10)
    return {
        "one": compare(herd, ["random", "p2c"], seed=2, repeats=3, progress=False),
        "two": compare(herd, ["round_robin", "weighted_round_robin"], seed=2, repeats=3, progress=False),
    }


def _better(comparison: Comparison) -> str:
    """Who has the lower p95, where the interval of the difference leaves out zero."""
    paired = cast("Any", comparison.paired)
    row = paired[paired["metric"] == "p95"].iloc[0]
    if not row["conclusive"]:
        return NO_DIFFERENCE
    return str(row["strategy"] if row["difference_ms"] < 0 else row["versus"])


def _differences(answer: object) -> Verdict:
    given = mapping(answer, "comparison → the better strategy")
    for name, comparison in _pairs().items():
        if name not in given:
            raise Unreadable(
                f"The answer is a dict with the keys {', '.join(_pairs())}; {name!r} is missing."
            )
        said, truth = text(given[name], "a strategy's name or 'no difference'").lower(), _better(comparison)
        if said not in {*comparison.strategies, NO_DIFFERENCE}:
            return wrong(f"{name}: {said!r} was not compared.", f"Say a strategy, or {NO_DIFFERENCE!r}.")
        if said != truth and NO_DIFFERENCE in {said, truth}:
            much = "more than the data show" if truth == NO_DIFFERENCE else "less than the data show"
            return wrong(f"{name}: that says {much}.", "comparison.paired: does the interval hold zero?")
        if said != truth:
            return wrong(f"{name}: that one is the slower of the two.", "Which p95 is lower?")
    return right("A difference counts when its interval leaves out zero.")


def _slow_one() -> Scenario:
    """Six servers, one of which gets slow for a while."""
    return scenarios.one_slow(servers=6, load=0.6)


def _meets(answer: object) -> Verdict:
    given = text(answer, "the name of a strategy")
    try:
        p99 = float(simulate(_slow_one(), given, seed=5).summary["p99_ms"])
    except StrategyError:
        return wrong(f"{given!r} is no strategy.", "mcpnb.strategies() lists them.")
    if p99 <= TARGET_MS:
        return right(f"p99 is {p99:.0f} ms with {given}.")
    return wrong(f"p99 is {p99:.0f} ms with {given}; at most {TARGET_MS:.0f} ms were asked for.",
                 "Who notices that a server has become slow, and how soon?")  # fmt: skip


EXERCISES = {"a": Check(_inside, _run), "b": Check(_differences, _pairs), "c": Check(_meets, _slow_one)}
