"""`simulate`: a workload against a scenario, under one strategy, without a single server.

It owns the way from a `Workload` to the simulator and from its arrays to frames. It knows no queues and no
events; those are the simulation's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cached_property
from itertools import repeat

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcpnb import simulation
from mcpnb.experiment import statistics, tables
from mcpnb.experiment.workload import Workload
from mcpnb.model import OUTCOMES
from mcpnb.routing.strategies import Strategy, StrategySpec
from mcpnb.simulation import Demand, Scenario

__all__ = ["Run", "simulate"]

CALL_COLUMNS: tuple[str, ...] = (
    "strategy", "i", "intended_at", "latency_ms", "server", "outcome", "attempts", "retries", "warmup",
)  # fmt: skip


class Run(simulation.Run):
    """One scenario under one strategy, with frames.

    Attributes:
        latencies: Seconds, of every counted call (the warm-up is left out), whatever its outcome.
        outcomes: `ok`, `timeout`, `disconnected`, ... of the same calls.
        servers: Index into `names` of the server that ended each; -1 for none.
        decisions_digest: Equal for two runs that decided alike.
        unstable: Whether more arrived than the servers could do; `instability` says where.
    """

    @property
    def summary(self) -> pd.Series:
        """Counts, latencies in ms and rates per second of the counted calls."""
        return pd.Series(self.figures(), name=self.strategy, dtype=object)

    @cached_property
    def calls(self) -> pd.DataFrame:
        """One row per call, those of the warm-up too: `CALL_COLUMNS`."""
        numbers = np.arange(len(self.all_starts))
        frame = pd.DataFrame(
            {
                "strategy": _categories(np.zeros(len(numbers), np.int64), (self.strategy,)),
                "i": numbers,
                "intended_at": self.all_starts,
                "latency_ms": self.all_latencies * 1e3,
                "server": _categories(self.all_servers, self.names),
                "outcome": _categories(self.all_outcomes.astype(np.int64), OUTCOMES),
                "attempts": self.all_attempts,
                "retries": np.maximum(self.all_attempts - 1, 0),
                "warmup": numbers < self.warmup,
            }
        )
        return frame[list(CALL_COLUMNS)]

    @cached_property
    def timeline(self) -> pd.DataFrame:
        """One row per stretch of time in which calls were meant to start.

        Columns: `at_s` (its beginning), `calls, errors, p50_ms, p95_ms, goodput` (answers per second).
        """
        rows = [
            (begin, *_stretch(self.latencies[here], self.ok[here], seconds))
            for begin, seconds, here in _stretches(self.starts)
        ]
        return pd.DataFrame(rows, columns=["at_s", "calls", "errors", "p50_ms", "p95_ms", "goodput"])


def simulate(
    scenario: Scenario,
    strategy: str | Strategy | type[Strategy] | StrategySpec,
    workload: Workload,
    seed: int = 0,
    *,
    retries: int = 0,
) -> Run:
    """Run a workload against simulated servers, with the dispatcher that routes live calls.

    Nothing but the strategy is at work unless asked for, so that it can be seen bare. The same seed gives the
    same decisions, byte for byte. A scenario with more load than capacity runs to its end; `Run.unstable`
    says so.

    Args:
        scenario: The servers, and what happens to them.
        strategy: A name, a class, an object or a spec.
        workload: When calls come; its arguments are not used.
        seed: Draws arrivals, service times, faults and the strategy's choices.
        retries: Attempts of a call after its first, at most. The simulated tool may run more than once.

    Raises:
        StrategyError: For a strategy that does not exist.
        TypeError: For a scenario or workload of another type.
        ValueError: For retries below 0, or a server that never answers and a workload without a timeout.
    """
    _check(scenario, workload, retries)
    run = simulation.simulate(scenario, strategy, _demand(workload, seed, retries), seed=seed)
    return Run(**{field.name: getattr(run, field.name) for field in fields(run)})


def _check(scenario: object, workload: object, retries: int) -> None:
    if not isinstance(scenario, Scenario):
        raise TypeError(f"scenario must be a mcpnb.Scenario(servers=[...]), not {type(scenario).__name__}")
    if not isinstance(workload, Workload):
        raise TypeError(
            f"workload must be a mcpnb.Workload(tool=..., rate=..., requests=...), not {workload!r}"
        )
    if isinstance(retries, bool) or retries < 0:
        raise ValueError(f"retries must be a whole number of at least 0, not {retries!r}")


def _demand(workload: Workload, seed: int, retries: int) -> Demand:
    return Demand(
        tools=_tools(workload, seed),
        times=workload.times(seed=seed),
        rate=workload.rate,
        callers=workload.concurrency or 0,
        requests=workload.requests,
        seconds=math.inf if workload.duration is None else workload.duration,
        warmup=workload.warmup,
        timeout=workload.timeout,
        retries=retries,
    )


def _tools(workload: Workload, seed: int) -> Iterator[str]:
    if isinstance(workload.tool, str):
        return repeat(workload.tool)
    return (call.tool for call in workload.calls(seed=seed))


def _categories(codes: NDArray[np.int64], names: Sequence[str]) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(codes.tolist(), categories=pd.Index(list(names)))


def _stretches(starts: statistics.Floats) -> Iterator[tuple[float, float, NDArray[np.bool_]]]:
    """Begin, length in seconds, and which calls started in it: of round width, about 20 calls in each."""
    if not len(starts):
        return
    begin, span = float(starts[0]), max(float(starts[-1] - starts[0]), 1e-3)
    width = tables.round_up(span / float(np.clip(len(starts) // tables.CALLS_PER_BUCKET, 1, tables.BUCKETS)))
    # Less than half a stretch at the end joins the one before: a rate over a sliver of time says nothing.
    last = max(math.ceil(span / width - 0.5), 1) - 1
    number = np.minimum(np.floor((starts - begin) / width), last)
    for at in np.unique(number).tolist():
        yield begin + at * width, span - at * width if at == last else width, number == at


def _stretch(
    latencies: statistics.Floats, ok: NDArray[np.bool_], seconds: float
) -> tuple[int, int, float, float, float]:
    good = latencies[ok]
    at = statistics.point(good * 1e3)
    return len(latencies), len(latencies) - len(good), at["p50"], at["p95"], len(good) / seconds
