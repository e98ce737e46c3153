"""Notebook 03: what retries leave over, when a breaker opens, and protections that save the calls."""

from __future__ import annotations

import random

from mcpnb.experiment.simulate import simulate
from mcpnb.lab.exercises.verdict import Check, Unreadable, Verdict, number, right, wrong
from mcpnb.resilience.breaker import Breaker, BreakerPolicy
from mcpnb.resilience.settings import Resilience
from mcpnb.simulation import Scenario, scenarios

__all__ = ["EXERCISES"]

ERROR_RATE, RETRIES = 0.2, 2
LOST = 0.01
"""Share of calls that may fail."""


def _left_over(answer: object) -> Verdict:
    given, truth = number(answer, "a share between 0 and 1"), ERROR_RATE ** (1 + RETRIES)
    hint = "A call fails only when its first attempt and every retry fail."
    if abs(given - truth) < truth / 20:
        return right("Each further attempt leaves a fifth of what was left before.")
    if abs(given - truth * 100) < truth * 5:
        return wrong("That is a percentage.", "The answer is a share: one in ten is 0.1.")
    if abs(given - ERROR_RATE**RETRIES) < 0.002:
        return wrong("That would be with one retry.", f"{hint} How many attempts are that?")
    return wrong(f"A share of {given:g} is too {'large' if given > truth else 'small'}.", hint)


def _opens(answer: object) -> Verdict:
    given = number(answer, "a number of faults")
    breaker, faults = Breaker(BreakerPolicy(), random.Random(0)), 0
    while breaker.state == "closed":
        faults += 1
        breaker.record("timeout", breaker.admit(), now=0.0)
    if given == faults:
        return right("After that it asks nobody to wait for a server that does not answer.")
    much = "Before that, it is open already" if given > faults else "After so few it is closed still"
    return wrong(f"{much}.", "Read help(mcpnb.BreakerPolicy), or try it: fleet.breakers shows the state.")


def _hole() -> Scenario:
    """Four servers, one of which answers every call at once, with a failure."""
    return scenarios.black_hole(servers=4)


def _protected(answer: object) -> Verdict:
    if not isinstance(answer, Resilience):
        raise Unreadable(
            f"The answer is a mcpnb.Resilience(...) of your choice; this is a {type(answer).__name__}."
        )
    run = simulate(scenarios.black_hole(servers=4, resilience=answer), "least_request", seed=1)
    failed = float((run.outcomes != "ok").mean())
    if failed <= LOST:
        return right(f"{failed:.2%} of the calls fail with it.")
    return wrong(
        f"{failed:.1%} of the calls still fail with it.",
        "Failing at once makes a server look idle: something must keep calls away from it.",
    )


EXERCISES = {"a": Check(_left_over), "b": Check(_opens), "c": Check(_protected, _hole)}
