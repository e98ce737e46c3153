"""A comparison without servers: the same workload through a scenario, once per strategy and repeat.

It owns what a simulated comparison needs beyond single runs: which seeds belong together, and what its
intervals rest on. It knows no queues; runs come from `simulate`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, cast

import numpy as np
import pandas as pd

from mcpnb.experiment import statistics, tables
from mcpnb.experiment.comparison import Comparison, Mark
from mcpnb.experiment.live import DEFAULT_BLOCKS, Plan, Progress
from mcpnb.experiment.rows import BlockRow
from mcpnb.experiment.simulate import Run, replicate
from mcpnb.experiment.workload import Workload
from mcpnb.model import OUTCOMES
from mcpnb.routing.strategies import StrategySpec, spec
from mcpnb.simulation import Scenario

MARKS = 6
"""Moments of a timeline that can be told apart in a picture; of more, only the whole stretch is marked."""


class Executor(Protocol):
    """Where simulations may run: `concurrent.futures`, or a Dask client."""

    def submit(self, function: Callable[..., Run], /, *args: object) -> Pending:
        """Start `function(*args)` somewhere."""
        ...


class Pending(Protocol):
    """What an executor promises."""

    def result(self) -> Run:
        """Wait for it."""
        ...


def compare_simulated(
    scenario: Scenario,
    plan: Plan,
    *,
    progress: Callable[[Progress], None] | None = None,
    executor: Executor | None = None,
) -> Comparison:
    """Run every strategy of a plan through a scenario.

    In one repeat all strategies see the same arrivals and the same streams of service times and faults, so
    their differences are paired. Repeats are independent of each other.

    Raises:
        StrategyError: For a strategy that does not exist; nothing was run.
        ValueError: As `simulate`.
    """
    specs = {label: spec(strategy) for label, strategy in plan.strategies.items()}  # pyright: ignore[reportArgumentType] - spec checks it
    turns = [(repeat, label) for repeat in range(plan.repeats) for label in specs]
    each = _batches(plan)
    calls, blocks, remarks = list[pd.DataFrame](), list[BlockRow](), dict[str, str]()
    done = 0
    for (repeat, label), run in zip(turns, _runs(scenario, plan, specs, turns, executor), strict=True):
        batch = _batch_of(run, plan.workload, each)
        calls.append(_calls(run, plan, label, repeat, repeat * each + batch))
        blocks.append(_turn(run, list(specs).index(label), label, repeat, each))
        done += len(run.all_starts)
        if run.unstable:
            remarks[label] = f"{label} is unstable: {'; '.join(run.instability)}."
        if progress is not None:
            progress(Progress(done, plan.total(), label, repeat + 1, plan.repeats))
    return Comparison(
        pd.concat(calls, ignore_index=True).sort_values(["strategy", "repeat", "i"], ignore_index=True),
        tables.blocks_frame(blocks, tuple(specs)),
        strategies=tuple(specs),
        workload=plan.workload,
        seed=plan.seed,
        kind=f"simulated {scenario.title}".rstrip(),
        marks=_marks(scenario),
        remarks=(_footing(plan, each), *remarks.values()),
    )


def _runs(
    scenario: Scenario,
    plan: Plan,
    specs: dict[str, StrategySpec],
    turns: Iterable[tuple[int, str]],
    executor: Executor | None,
) -> Iterator[Run]:
    jobs = [(scenario, specs[label], plan.workload, plan.seed, repeat) for repeat, label in turns]
    if executor is None:
        yield from (replicate(*job) for job in jobs)
    else:
        yield from [promise.result() for promise in [executor.submit(replicate, *job) for job in jobs]]


def _batches(plan: Plan) -> int:
    """Blocks per repeat: enough in all for intervals over blocks, and few, so that they are long."""
    if plan.blocks is not None:
        return plan.blocks
    return 1 if plan.repeats >= statistics.MIN_BLOCKS else math.ceil(DEFAULT_BLOCKS / plan.repeats)


def _batch_of(run: Run, workload: Workload, each: int) -> statistics.Ints:
    """Which batch each call belongs to: as many counted calls in each; the warm-up is part of the first."""
    count = len(run.all_starts)
    place = np.maximum(np.arange(count) - workload.warmup, 0)
    return place * each // max(count - workload.warmup, 1)


def _footing(plan: Plan, each: int) -> str:
    """What the intervals rest on."""
    shared = "every strategy saw the same arrivals"
    if each == 1:
        return f"Simulated: a block is one of {plan.repeats} independent repeats; {shared}."
    of = f"one of {each} batches of consecutive calls of a run (batch means)"
    return f"Simulated: a block is {of}; {shared}."


def _calls(run: Run, plan: Plan, label: str, repeat: int, block: statistics.Ints) -> pd.DataFrame:
    """`Comparison.calls` of one run."""
    frame, count = run.calls, len(run.all_starts)
    labels = list(plan.strategies)
    tools = list(plan.workload.tools)
    each_tool = plan.workload.each_tool(seed=plan.seed, repeat=repeat)
    which = [tools.index(next(each_tool)) for _ in range(count)] if len(tools) > 1 else [0] * count
    return pd.DataFrame(
        {
            "strategy": pd.Categorical.from_codes([labels.index(label)] * count, categories=pd.Index(labels)),
            "block": block,
            "i": frame["i"],
            "intended_at": frame["intended_at"],
            "started_lag_ms": np.zeros(count),
            "latency_ms": frame["latency_ms"],
            "server": frame["server"],
            "outcome": pd.Categorical(frame["outcome"], categories=list(OUTCOMES)),
            "attempts": frame["attempts"],
            "error": "",
            "tool": pd.Categorical.from_codes(which, categories=pd.Index(tools)),
            "repeat": np.full(count, repeat),
            "retries": frame["retries"],
            "hedges": frame["hedges"],
            "warmup": frame["warmup"],
        }
    )


def _turn(run: Run, position: int, label: str, repeat: int, each: int) -> BlockRow:
    """A whole run is one turn, whatever number of batches its calls are cut into."""
    span = float(run.all_starts.max(initial=0.0))
    end = float((run.all_starts + run.all_latencies).max(initial=0.0))
    return BlockRow(label, repeat * each, repeat, position, 0.0, 0.0, span, end)


def _marks(scenario: Scenario) -> tuple[Mark, ...]:
    """What happens to the servers, for the time axis of a picture."""
    moments: dict[float, list[str]] = {}
    for at in sorted(scenario.timeline, key=lambda at: at.t):
        moments.setdefault(at.t, []).append(f"{at.server} {at.words}")
    if len(moments) > MARKS:
        times = list(moments)
        return (Mark(f"{len(scenario.timeline)} changes", times[0], times[-1]),)
    return tuple(
        Mark(words[0] if len(words) == 1 else f"{words[0]} and {len(words) - 1} more", t)
        for t, words in moments.items()
    )


def as_executor(executor: object | None) -> Executor | None:
    """The executor, checked.

    Raises:
        TypeError: It has no `submit`.
    """
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor must have .submit(), as concurrent.futures and Dask do, not {executor!r}")
    return cast("Executor | None", executor)
