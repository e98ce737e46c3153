"""`simulate`: a workload against a scenario, under one strategy, without a single server.

It owns the way from a `Workload` to the simulator and from its arrays to frames. It knows no queues and no
events; those are the simulation's.
"""

from __future__ import annotations

import contextlib
import gc
import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import fields
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcpnb import simulation
from mcpnb.experiment import run_card, statistics, tables
from mcpnb.experiment.workload import Workload
from mcpnb.model import OUTCOMES
from mcpnb.routing.strategies import Strategy, StrategySpec
from mcpnb.simulation import Demand, Scenario

__all__ = ["Run", "simulate"]

CALL_COLUMNS: tuple[str, ...] = (
    "strategy", "i", "intended_at", "latency_ms", "queued_ms", "server", "outcome", "attempts", "retries",
    "hedges", "warmup",
)  # fmt: skip


class Run(simulation.Run):
    """One scenario under one strategy, with frames.

    Attributes:
        latencies: Seconds, of every counted call (the warm-up is left out), whatever its outcome.
        outcomes: `ok`, `timeout`, `disconnected`, ... of the same calls.
        servers: Index into `names` of the server that ended each; -1 for none.
        attempts, hedges, retries, queued: Of each call; `queued` in seconds at the router.
        events: What breakers and the outlier detector did, and when.
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
                "queued_ms": self.all_queued * 1e3,
                "server": _categories(self.all_servers, self.names),
                "outcome": _categories(self.all_outcomes.astype(np.int64), OUTCOMES),
                "attempts": self.all_attempts,
                "retries": np.maximum(self.all_attempts - self.all_hedges - 1, 0),
                "hedges": self.all_hedges,
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

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:  # noqa: ARG002 - IPython's face
        return {"text/plain": run_card.text(self), "text/html": run_card.html(self)}


def simulate(
    scenario: Scenario,
    strategy: str | Strategy | type[Strategy] | StrategySpec,
    workload: Workload | None = None,
    seed: int = 0,
) -> Run:
    """Run a workload against simulated servers, with the dispatcher that routes live calls.

    Nothing but the strategy is at work unless the scenario's `resilience` says so, so that it can be seen
    bare. The same seed gives the same decisions, byte for byte. A scenario with more load than capacity runs
    to its end; `Run.unstable` says so. Simulated calls may be repeated: nothing but a retry or hedge policy
    is needed for it.

    Args:
        scenario: The servers, and what happens to them.
        strategy: A name, a class, an object or a spec.
        workload: When calls come; its arguments are not used. Ready-made scenarios bring one.
        seed: Draws arrivals, service times, faults and the strategy's choices.

    Raises:
        StrategyError: For a strategy that does not exist.
        TypeError: For a scenario or workload of another type, or none where the scenario brings none.
        ValueError: For a seed below 0, or a server that never answers and a workload without a timeout.
    """
    return replicate(scenario, strategy, workload_for(scenario, workload), seed, 0)


def workload_for(scenario: object, workload: object) -> Workload:
    """The workload to use, checked: the one given, or else what the scenario is made for.

    Raises:
        TypeError: For a scenario or workload of another type, or none where the scenario brings none.
    """
    if not isinstance(scenario, Scenario):
        raise TypeError(f"scenario must be a mcpnb.Scenario(servers=[...]), not {type(scenario).__name__}")
    load = scenario.load
    if workload is None and load is not None:
        rest = {field.name: getattr(load, field.name) for field in fields(load) if field.name != "seconds"}
        return Workload(duration=load.seconds, **rest)
    if not isinstance(workload, Workload):
        raise TypeError(f"workload must be a mcpnb.Workload(rate=..., requests=...), not {workload!r}")
    return workload


def replicate(
    scenario: Scenario,
    strategy: str | Strategy | type[Strategy] | StrategySpec,
    workload: Workload,
    seed: int,
    repeat: int,
) -> Run:
    """Run number `repeat` of several that are independent of each other; number 0 is `simulate` itself.

    Raises:
        StrategyError, ValueError: As `simulate`.
    """
    check_seed(seed)
    demand = _demand(workload, seed, repeat)
    with _rare_collections():
        run = simulation.simulate(scenario, strategy, demand, seed=_own(seed, repeat))
    return Run(**{field.name: getattr(run, field.name) for field in fields(run)})


def check_seed(seed: int) -> None:
    """Refuse what NumPy's generators do not take.

    Raises:
        ValueError: It is no whole number, or below 0.
    """
    whole = isinstance(seed, int) and not isinstance(seed, bool)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not whole or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, not {seed!r}")


def _own(seed: int, repeat: int) -> int:
    """A seed for each repeat, far from those that a user would name."""
    return int(np.random.SeedSequence([seed, repeat]).generate_state(1)[0]) if repeat else seed


@contextlib.contextmanager
def _rare_collections() -> Generator[None]:
    """Let the garbage collector look less often while a simulation runs.

    It makes no cycles, but keeps tens of thousands of calls in flight, and each look at these costs as much
    as the calls themselves.
    """
    usual = gc.get_threshold()
    gc.set_threshold(max(usual[0], 100_000), *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _demand(workload: Workload, seed: int, repeat: int) -> Demand:
    return Demand(
        tools=workload.each_tool(seed=seed, repeat=repeat),
        priorities=workload.each_priority(seed=seed, repeat=repeat),
        times=workload.times(seed=seed, repeat=repeat),
        rate=workload.rate,
        callers=workload.concurrency or 0,
        requests=workload.requests,
        seconds=math.inf if workload.duration is None else workload.duration,
        warmup=workload.warmup,
        timeout=workload.timeout,
    )


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
