"""Notebook 02: weights that give the shares asked for, and the strategy that copes with unequal servers."""

from __future__ import annotations

from collections import Counter

from mcpnb.errors import StrategyError
from mcpnb.experiment.simulate import simulate
from mcpnb.experiment.workload import Workload
from mcpnb.lab.exercises.verdict import Check, Verdict, mapping, number, right, text, wrong
from mcpnb.routing.strategies import spec
from mcpnb.simulation import Scenario, SimServer, scenarios, service

__all__ = ["EXERCISES"]

SHARES = {"a": 0.6, "b": 0.3, "c": 0.1}
CALLS = 100
CHOICES = ("round_robin", "random", "least_request", "p2c")
NEARLY = 1.05
"""A strategy within so much of the best one is as good."""


def _weights(answer: object) -> Verdict:
    given = {name: number(weight, "a weight") for name, weight in mapping(answer, "server → weight").items()}
    if given.keys() != SHARES.keys():
        return wrong(f"There are weights for {', '.join(sorted(given)) or 'nobody'}.",
                     f"The servers are {', '.join(SHARES)}.")  # fmt: skip
    if any(weight <= 0 for weight in given.values()):
        return wrong("A weight has to be above 0.", "Who should get nothing should not be in the fleet.")
    shares = _shares(given)
    off = {name: share - SHARES[name] for name, share in shares.items()}
    worst = max(off, key=lambda name: abs(off[name]))
    if abs(off[worst]) > 0.011:
        much = "much" if off[worst] > 0 else "little"
        return wrong(f"{worst} gets {shares[worst]:.0%} of {CALLS} calls, which is too {much}.",
                     "Only the ratios of the weights count.")  # fmt: skip
    return right(f"Tried with {CALLS} calls: " + ", ".join(f"{n} {s:.0%}" for n, s in shares.items()) + ".")


def _shares(weights: dict[str, float]) -> dict[str, float]:
    servers = [SimServer(n, service.deterministic(0.001), weight=w) for n, w in weights.items()]
    load = Workload(tool="any", rate=10, requests=CALLS, arrivals="constant")
    run = simulate(Scenario(servers), "weighted_round_robin", load)
    counts = Counter[int](run.servers.tolist())
    return {server.name: counts[place] / CALLS for place, server in enumerate(servers)}


def _unequal() -> Scenario:
    """Four servers; the slowest takes six times as long as the fastest."""
    return scenarios.heterogeneous(4, spread=6, load=0.7)


def _best(answer: object) -> Verdict:
    said = text(answer, "the name of a strategy")
    given = _proper_name(said)
    if given not in CHOICES:
        there = "no strategy" if given is None else "not among the four"
        return wrong(f"{said!r} is {there}.", f"The four are {', '.join(CHOICES)}.")
    p95 = {each: float(simulate(_unequal(), each, seed=3).summary["p95_ms"]) for each in CHOICES}
    if p95[given] <= NEARLY * min(p95.values()):
        return right(f"Its p95 is {p95[given]:.0f} ms. It looks at what each server has to do.")
    behind = sum(other < p95[given] for other in p95.values())
    return wrong(
        f"With {given}, one call in twenty takes {p95[given] / 1000:.1f} s or longer;"
        f" {behind} of the others {'does' if behind == 1 else 'do'} better.",
        "mcpnb.compare(lab.material('02-b'), [...]) takes a second.",
    )


def _proper_name(said: str) -> str | None:
    """What a strategy is called that may go by other names, too; None for what is no strategy."""
    try:
        return spec(said).name
    except StrategyError:
        return None


EXERCISES = {"a": Check(_weights), "b": Check(_best, _unequal)}
