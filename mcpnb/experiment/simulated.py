"""A comparison without servers: the same workload through a scenario, once per strategy and repeat.

It owns what a simulated comparison needs beyond single runs: which seeds belong together, and what its
intervals rest on. It knows no queues; runs come from `simulate`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, cast

import numpy as np
import pandas as pd

from mcpnb.experiment import statistics, tables
from mcpnb.experiment.comparison import Comparison, Mark
from mcpnb.experiment.live import DEFAULT_BLOCKS, Plan, Progress
from mcpnb.experiment.rows import AttemptRow, BlockRow
from mcpnb.experiment.simulate import Run, replicate
from mcpnb.experiment.timetable import Timetable
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

    def cancel(self) -> object:
        """Nobody waits any more."""
        ...


class Simulate(Protocol):
    """Runs a workload under one strategy: what a scenario and a recording have in common. Picklable."""

    def __call__(self, strategy: StrategySpec, workload: Workload, seed: int, repeat: int, /) -> Run:
        """Repeat number `repeat`, which is independent of the others."""
        ...


@dataclass(frozen=True, slots=True)
class Study:
    """What is run without servers, and what there is to say of it."""

    simulate: Simulate
    kind: str
    marks: tuple[Mark, ...] = ()
    remarks: tuple[str, ...] = ()
    word: str = "Simulated"


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
    study = Study(partial(replicate, scenario), f"simulated {scenario.title}".rstrip(), _marks(scenario))
    return compare_study(study, plan, progress=progress, executor=executor)


def compare_study(
    study: Study,
    plan: Plan,
    *,
    progress: Callable[[Progress], None] | None = None,
    executor: Executor | None = None,
) -> Comparison:
    """Run every strategy of a plan, and give what there is when somebody interrupts.

    Raises:
        KeyboardInterrupt: Before the first run was over.
        StrategyError, ValueError: As `compare_simulated`.
    """
    specs = {label: spec(strategy) for label, strategy in plan.strategies.items()}  # pyright: ignore[reportArgumentType] - spec checks it
    turns = [(repeat, label) for repeat in range(plan.repeats) for label in specs]
    runs: dict[tuple[int, str], Run] = {}
    done, interrupted = 0, False
    try:
        for turn, run in zip(turns, _runs(study.simulate, plan, specs, turns, executor), strict=True):
            runs[turn] = run
            done += len(run.all_starts)
            if progress is not None:
                progress(Progress(done, plan.total(), turn[1], turn[0] + 1, plan.repeats))
    except KeyboardInterrupt:
        interrupted = True
        if not runs:
            raise
    return _assembled(study, plan, runs, interrupted=interrupted)


def _assembled(
    study: Study, plan: Plan, runs: dict[tuple[int, str], Run], *, interrupted: bool
) -> Comparison:
    """The comparison of whole repeats; of one that was cut short, the strategies that were run."""
    per_repeat = Counter(repeat for repeat, _ in runs)
    whole = [repeat for repeat, count in per_repeat.items() if count == len(plan.strategies)] or [0]
    kept = {turn: run for turn, run in runs.items() if turn[0] in whole}
    labels = tuple(label for label in plan.strategies if (whole[0], label) in kept)
    each = _batches(plan)
    calls, blocks, remarks = list[pd.DataFrame](), list[BlockRow](), dict[str, str]()
    attempts = list[AttemptRow]()
    for (repeat, label), run in kept.items():
        batch = _batch_of(run, plan.workload, each)
        calls.append(_calls(run, plan, labels, label, repeat, repeat * each + batch))
        blocks.append(_turn(run, labels.index(label), label, repeat, each))
        attempts += _attempts(run, label, repeat)
        if run.unstable:
            remarks[label] = f"{label} is unstable: {'; '.join(run.instability)}."
    cut = [_cut(plan, len(whole), labels)] if interrupted else []
    return Comparison(
        pd.concat(calls, ignore_index=True).sort_values(["strategy", "repeat", "i"], ignore_index=True),
        tables.blocks_frame(blocks, labels),
        strategies=labels,
        workload=plan.workload,
        seed=plan.seed,
        kind=study.kind,
        marks=study.marks,
        remarks=(*cut, _footing(study, plan, each), *study.remarks, *remarks.values()),
        interrupted=interrupted,
        attempts=tables.attempts_frame(attempts, labels),
    )


def _attempts(run: Run, label: str, repeat: int) -> Iterator[AttemptRow]:
    for i, records in sorted(run.told.items()):
        yield from (AttemptRow.of(label, repeat, i, record) for record in records)


def _cut(plan: Plan, repeats: int, labels: Sequence[str]) -> str:
    missing = [label for label in plan.strategies if label not in labels]
    without = f"; {', '.join(missing)} had no run" if missing else ""
    return f"Interrupted: {repeats} of {plan.repeats} repeats are in it{without}."


def _runs(
    simulate: Simulate,
    plan: Plan,
    specs: dict[str, StrategySpec],
    turns: Iterable[tuple[int, str]],
    executor: Executor | None,
) -> Iterator[Run]:
    # Nobody is called: arguments only cost, and functions among them could not be sent to other processes.
    workload = (
        plan.workload
        if isinstance(plan.workload.arrivals, Timetable)
        else replace(plan.workload, arguments={})
    )
    jobs = [(specs[label], workload, plan.seed, repeat) for repeat, label in turns]
    if executor is None:
        yield from (simulate(*job) for job in jobs)
        return
    promises = [executor.submit(simulate, *job) for job in jobs]
    try:
        for promise in promises:
            yield promise.result()
    finally:
        for promise in promises:  # those that are over already do not mind
            promise.cancel()


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


def _footing(study: Study, plan: Plan, each: int) -> str:
    """What the intervals rest on."""
    shared = "every strategy saw the same arrivals"
    if each == 1:
        return f"{study.word}: a block is one of {plan.repeats} independent repeats; {shared}."
    of = f"one of {each} batches of consecutive calls of a run (batch means)"
    return f"{study.word}: a block is {of}; {shared}."


def _calls(
    run: Run, plan: Plan, labels: Sequence[str], label: str, repeat: int, block: statistics.Ints
) -> pd.DataFrame:
    """`Comparison.calls` of one run."""
    frame, count = run.calls, len(run.all_starts)
    tools = list(plan.workload.tools)
    each_tool = plan.workload.each_tool(seed=plan.seed, repeat=repeat)
    which = [tools.index(next(each_tool)) for _ in range(count)] if len(tools) > 1 else [0] * count
    return pd.DataFrame(
        {
            "strategy": pd.Categorical.from_codes(
                [labels.index(label)] * count, categories=pd.Index(list(labels))
            ),
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
