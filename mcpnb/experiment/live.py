"""Running a workload against live servers, strategy by strategy, in interleaved blocks.

It owns the pacing of calls and the order of blocks. It knows no MCP and no fleet: what it drives is any
`LiveTarget`; the clock and the sleep are arguments, so that a test can run it in virtual time.

Why blocks: a machine drifts (another process wakes up, a server warms up). Strategies that take turns every
few dozen calls, in an order drawn anew for each round, suffer the drift alike; strategies that run one
after the other do not.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mcpnb.errors import flatten
from mcpnb.experiment.rows import AttemptRow, BlockRow, CallRow
from mcpnb.experiment.target import ExperimentView, LiveTarget, Sample
from mcpnb.experiment.workload import PlannedCall, Workload
from mcpnb.simulation.told import Told

DEFAULT_BLOCKS = 12
"""Rounds in which the strategies take turns, when there are calls enough."""
CALLS_PER_BLOCK = 10
"""A default block is not smaller than this: between blocks the servers run dry."""


class Progress(NamedTuple):
    """How far a comparison has come."""

    done: int
    """Calls that ended."""
    total: int | None
    """Calls in all; None when closed loops run for a duration."""
    strategy: str
    round: int
    """From 1."""
    rounds: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A comparison to carry out: who, what, in how many turns."""

    strategies: Mapping[str, object]
    """Label → strategy (a name or an object)."""
    workload: Workload
    seed: int = 0
    repeats: int = 1
    """Times the workload is run from its start, with strategies that know nothing again."""
    blocks: int | None = None
    """Rounds per repeat; None lets the number of calls decide."""

    def rounds(self, repeat: int) -> list[int | None]:
        """Calls in each round of a repeat; None for a round that lasts a share of the duration."""
        count = self.workload.count(seed=self.seed, repeat=repeat)
        if count is None:
            assert self.workload.duration is not None  # noqa: S101 - no count means a duration
            wanted = self.blocks or max(1, min(DEFAULT_BLOCKS, int(self.workload.duration)))
            return [None] * wanted
        wanted = self.blocks or min(DEFAULT_BLOCKS, count // CALLS_PER_BLOCK)
        wanted = max(1, min(wanted, count))
        return [count * (k + 1) // wanted - count * k // wanted for k in range(wanted)]

    def total(self) -> int | None:
        """Calls of all strategies in all repeats, when that is known."""
        counts = [self.workload.count(seed=self.seed, repeat=repeat) for repeat in range(self.repeats)]
        known = [count for count in counts if count is not None]
        return sum(known) * len(self.strategies) if len(known) == len(counts) else None


@dataclass(slots=True)
class Measurements:
    """What a run of a plan saw: rows in the order in which calls ended."""

    calls: list[CallRow] = field(default_factory=list[CallRow])
    blocks: list[BlockRow] = field(default_factory=list[BlockRow])
    told: dict[tuple[str, int], Told] = field(default_factory=dict[tuple[str, int], Told])
    """Strategy and repeat → the attempts of some calls."""

    @property
    def attempts(self) -> list[AttemptRow]:
        """The attempts of the calls that are in `told` and in `calls`."""
        kept = {(row.strategy, row.repeat, row.i) for row in self.calls}
        return [
            AttemptRow.of(strategy, repeat, i, record)
            for (strategy, repeat), told in self.told.items()
            for i, records in sorted(told.calls.items())
            for record in records
            if (strategy, repeat, i) in kept
        ]

    def whole(self, strategies: Sequence[str]) -> Measurements:
        """What may be compared of a run that was cut short: the rounds in which every strategy had its turn.

        When not even one round was, the turns that there were.
        """
        blocks = tuple(self.blocks)  # a copy: the last calls may be ending at this moment
        turns = Counter(row.block for row in blocks)
        rounds = {block for block, count in turns.items() if count == len(strategies)}
        kept = [row for row in blocks if not rounds or row.block in rounds]
        had = {(row.strategy, row.block) for row in kept}
        calls = [row for row in tuple(self.calls) if (row.strategy, row.block) in had]
        return Measurements(calls, kept, self.told)


@dataclass(slots=True)
class _Lane:
    """One strategy during one repeat."""

    strategy: str
    repeat: int
    view: ExperimentView
    calls: Iterator[PlannedCall]
    own_time: float = 0.0
    """Seconds of the workload that are behind it; turns of other strategies do not count."""


async def measure(
    target: LiveTarget,
    plan: Plan,
    *,
    clock: Callable[[], float] | None = None,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    progress: Callable[[Progress], None] | None = None,
    seen: Measurements | None = None,
) -> Measurements:
    """Carry out a plan on the running loop.

    Every strategy is looked up before the first call is sent. Cancelling it cancels the calls that are out.

    Args:
        target: Who is asked.
        plan: What to do.
        clock: Monotonic seconds; the running loop's by default.
        sleep: Waits for so many seconds of that clock.
        progress: Told after each call.
        seen: Where to note what is seen, for whoever wants it although this is cancelled.

    Raises:
        McpnbError: What `experiment_view` or `probe` raised.
    """
    driver = _Driver(plan, clock or asyncio.get_running_loop().time, sleep, progress or _ignore)
    driver.seen = Measurements() if seen is None else seen
    with _short_collections(), contextlib.ExitStack() as stack:
        lanes = [_lanes(target, plan, repeat, stack) for repeat in range(plan.repeats)]
        for repeat, fresh in enumerate(lanes):
            await driver.repeat(fresh, repeat)
    return driver.seen


@contextlib.contextmanager
def _short_collections() -> Generator[None, None, None]:
    """Keep what exists already out of the garbage collector's sight while calls are timed.

    With pandas and the SDK loaded, one full collection stops the process for up to half a second, and charges
    that to whichever strategy has its turn. Objects made meanwhile are collected as ever.
    """
    if gc.get_freeze_count():  # somebody else froze, and will want to thaw by themselves
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _lanes(target: LiveTarget, plan: Plan, repeat: int, stack: contextlib.ExitStack) -> list[_Lane]:
    """A lane per strategy, each with a view of its own that `stack` closes."""
    lanes: list[_Lane] = []
    for label, strategy in plan.strategies.items():
        view = target.experiment_view(strategy)
        stack.callback(view.close)
        lanes.append(_Lane(label, repeat, view, plan.workload.calls(seed=plan.seed, repeat=repeat)))
    return lanes


def _ignore(_: Progress) -> None:
    """Nobody watches."""


class _Driver:
    """Sends the calls of a plan and notes what comes back."""

    def __init__(
        self,
        plan: Plan,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
        progress: Callable[[Progress], None],
    ) -> None:
        self.plan, self.clock, self.sleep, self.progress = plan, clock, sleep, progress
        self.seen = Measurements()
        self._order = np.random.default_rng([plan.seed, 1])
        self._began = clock()
        self._total = plan.total()
        self._round = 0
        self._rounds = sum(len(plan.rounds(repeat)) for repeat in range(plan.repeats))

    async def repeat(self, lanes: list[_Lane], repeat: int) -> None:
        """One run of the whole workload, in rounds; every strategy has one turn in each."""
        for count in self.plan.rounds(repeat):
            for position, index in enumerate(self._order.permutation(len(lanes))):
                await self._turn(lanes[int(index)], count, position)
            self._round += 1

    async def _turn(self, lane: _Lane, count: int | None, position: int) -> None:
        begin, base = self.clock(), lane.own_time
        try:
            if self.plan.workload.open_loop:
                span = await self._open(lane, list(itertools.islice(lane.calls, count)))
            else:
                span = await self._closed(lane, count)
        except BaseExceptionGroup as group:
            raise flatten(group)[0] from None
        self.seen.blocks.append(
            BlockRow(
                lane.strategy,
                self._round,
                lane.repeat,
                position,
                begin - self._began,
                base,
                span,
                self.clock() - begin,
            )
        )

    async def _open(self, lane: _Lane, calls: list[PlannedCall]) -> float:
        """Send each call at its time, whatever became of the earlier ones. Returns the seconds it took."""
        begin, base = self.clock(), lane.own_time
        async with asyncio.TaskGroup() as group:
            for call in calls:
                due = begin + call.at - base
                # When late, yield all the same: the calls that are out need the loop to end at all.
                await self.sleep(max(due - self.clock(), 0.0))
                group.create_task(self._call(lane, call, due, call.at))
        lane.own_time = calls[-1].at
        return lane.own_time - base

    async def _closed(self, lane: _Lane, count: int | None) -> float:
        """Keep `concurrency` callers busy for `count` calls, or for a round's share of the duration."""
        begin, base = self.clock(), lane.own_time
        calls = lane.calls if count is None else itertools.islice(lane.calls, count)
        seconds = math.inf if count is not None else self._seconds(lane.repeat)
        span = 0.0

        async def caller() -> None:
            nonlocal span
            while (elapsed := self.clock() - begin) < seconds and (call := next(calls, None)) is not None:
                span = elapsed
                await self._call(lane, call, begin + elapsed, base + elapsed)

        async with asyncio.TaskGroup() as group:
            for _ in range(self.plan.workload.concurrency or 1):
                group.create_task(caller())
        lane.own_time = base + self.clock() - begin
        return span

    def _seconds(self, repeat: int) -> float:
        assert self.plan.workload.duration is not None  # noqa: S101 - no count means a duration
        return self.plan.workload.duration / len(self.plan.rounds(repeat))

    async def _call(self, lane: _Lane, call: PlannedCall, due: float, intended_at: float) -> None:
        """Make one call. Its latency counts from `due`, so that a late start is not forgiven."""
        block, started = self._round, self.clock()
        sample: Sample = await lane.view.probe(
            call.tool, call.arguments, timeout=self.plan.workload.timeout, priority=call.priority
        )
        took = sample.latency if math.isfinite(sample.latency) else self.clock() - started
        lag = started - due
        self.seen.calls.append(
            CallRow(
                lane.strategy,
                block,
                call.i,
                intended_at,
                lag * 1e3,
                (lag + took) * 1e3,
                sample.server,
                sample.outcome,
                sample.attempts,
                sample.error,
                call.tool,
                lane.repeat,
                sample.retries,
                sample.hedges,
                call.warmup,
            )
        )
        if sample.attempts > 1 or any(record.attempt.queued for record in sample.records):
            told = self.seen.told.setdefault((lane.strategy, lane.repeat), Told())
            told.note(call.i, sample.arrived, sample.records)
        self.progress(
            Progress(len(self.seen.calls), self._total, lane.strategy, self._round + 1, self._rounds)
        )
