"""Running what the playground asks for: a quick look first, then surer ones, and never an old question.

It owns one thread, when it begins and what it gives up. Controls move faster than simulations run, so only
the newest state counts: it is waited for until the hand rests a moment, and a run for an older one stops in
the middle. While a slider keeps moving, pictures come all the same: what was begun may finish its first look,
in bounded time. It draws nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from mcpnb.experiment.workload import Workload
from mcpnb.notebook.playground.state import State

if TYPE_CHECKING:
    from mcpnb.experiment import Comparison
    from mcpnb.experiment.simulate import Run

DRAFT: Final = 24_000
"""Calls of all strategies together beyond which the first look is at the first few calls only: about half a
second's work."""
_FEWEST: Final = 400
"""Calls of each strategy in a first look."""
REST: Final = 0.08
"""Seconds without a change after which the newest state is run: less than an eye notices."""
PATIENCE: Final = 0.4
"""Seconds after which it is run although changes go on."""
GRACE: Final = 1.5
"""Seconds that a run has for its first look although another one is asked for."""
_LOOK_EVERY: Final = 64
"""Simulated calls between two looks at whether anybody still wants them: some milliseconds."""


class Stale(Exception):
    """Nobody wants this run any more."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is known so far about a state."""

    state: State
    runs: Mapping[str, tuple[Run, ...]] = field(default_factory=dict[str, "tuple[Run, ...]"])
    """Label → a run per repeat. While the first repeat runs, some labels may be missing."""
    first: int | None = None
    """Of a first look: only so many calls of each strategy were run."""
    comparison: Comparison | None = None
    """The same as `mcpnb.compare` gives, when all is done."""
    error: str = ""
    """Why there is nothing, in one line."""

    @property
    def settled(self) -> bool:
        """Whether nothing more will come of this state."""
        return self.comparison is not None or bool(self.error) or not self.state.strategies

    @property
    def complete(self) -> bool:
        """Whether there is something of every strategy."""
        return len(self.runs) == len(self.state.strategies)

    @property
    def repeats(self) -> int:
        """Repeats that every strategy has behind it."""
        return min((len(runs) for runs in self.runs.values()), default=0)


@dataclass(frozen=True)
class _Watched(Workload):
    """A workload that somebody may lose interest in: the simulator asks it for each call's tool."""

    wanted: Callable[[], bool] = lambda: True

    def each_tool(self, *, seed: int = 0, repeat: int = 0) -> Iterator[str]:
        """The tool of each call in turn; ends the simulation when nobody wants it."""
        for number, tool in enumerate(Workload.each_tool(self, seed=seed, repeat=repeat)):
            if number % _LOOK_EVERY == 0 and not self.wanted():
                raise Stale
            yield tool


def looks(state: State, wanted: Callable[[], bool] = lambda: True, *, draft: int = DRAFT) -> Iterator[Found]:
    """What is known of a state, again and again: each look is surer than the one before.

    Where one repeat takes long, a first look at a part of it comes first; then the strategies' first runs one
    by one, then the repeats one by one, and in the end the whole comparison.

    Raises:
        Stale: In the middle, when nobody wants it any more.
        ValueError, StrategyError: It cannot be simulated.
    """
    from mcpnb.experiment.simulate import workload_for  # noqa: PLC0415 - loads pandas, on the worker's thread

    if not state.strategies:
        yield Found(state)
        return
    scenario = state.scenario()
    whole = workload_for(scenario, None)
    each = max(draft // len(state.strategies), _FEWEST)
    drafted = state.calls * len(state.strategies) > draft and whole.warmup < each < state.calls
    if drafted:
        short = replace(whole, duration=None, requests=each)
        yield from (Found(state, runs, each) for runs in _first(state, short, wanted))
    found = Found(state)
    for runs in _repeats(state, whole, wanted):
        found = Found(state, runs)
        if found.complete or not drafted:  # a part of the strategies is worth less than a part of the time
            yield found
    yield replace(found, comparison=_compared(state, whole, found.runs))


def _first(
    state: State, workload: Workload, wanted: Callable[[], bool]
) -> Iterator[Mapping[str, tuple[Run, ...]]]:
    """The first run of each strategy, one more each time."""
    runs: dict[str, tuple[Run, ...]] = {}
    for label in state.specs:
        runs[label] = (_run(state, label, workload, 0, wanted),)
        yield dict(runs)


def _repeats(
    state: State, workload: Workload, wanted: Callable[[], bool]
) -> Iterator[Mapping[str, tuple[Run, ...]]]:
    """The first repeat strategy by strategy, then one repeat more each time."""
    runs: Mapping[str, tuple[Run, ...]] = {}
    for runs in _first(state, workload, wanted):
        yield runs
    for repeat in range(1, state.repeats):
        runs = {label: (*seen, _run(state, label, workload, repeat, wanted)) for label, seen in runs.items()}
        yield runs


def _run(state: State, label: str, workload: Workload, repeat: int, wanted: Callable[[], bool]) -> Run:
    from mcpnb.experiment.simulate import replicate  # noqa: PLC0415 - as above

    given = {name: getattr(workload, name) for name in Workload.__dataclass_fields__}
    watched = _Watched(**given, wanted=wanted)
    return replicate(state.scenario(), state.specs[label], watched, state.seed, repeat)


class _Done:
    """An executor whose simulations have all been run already."""

    def __init__(self, state: State, runs: Mapping[str, tuple[Run, ...]]) -> None:
        # `compare_simulated` asks repeat by repeat, and in each strategy by strategy.
        self._turns = iter([runs[label][repeat] for repeat in range(state.repeats) for label in state.specs])

    def submit(self, *_: object) -> Future[Run]:
        """The next of them, whatever is asked."""
        done: Future[Run] = Future()
        done.set_result(next(self._turns))
        return done


def _compared(state: State, workload: Workload, runs: Mapping[str, tuple[Run, ...]]) -> Comparison:
    """The runs as a comparison: what `mcpnb.compare` would have found."""
    from mcpnb.experiment.compare import compare  # noqa: PLC0415 - as above

    found = compare(
        state.scenario(),
        state.specs,
        workload=workload,
        seed=state.seed,
        repeats=state.repeats,
        progress=False,
        executor=_Done(state, runs),
    )
    _ = found.summary, found.verdict  # the costly part of it: here, and not where pictures are drawn
    return found


class Worker:
    """Runs the newest state on a thread of its own, and hands on what is found.

    Args:
        publish: Gets each look, on the worker's thread. It must not raise.
        clock: Monotonic seconds, injected by tests.
        look: Runs a state, as `looks` does.
        start: Starts the thread's work; tests carry it out themselves.
    """

    def __init__(
        self,
        publish: Callable[[Found], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        look: Callable[[State, Callable[[], bool]], Iterator[Found]] = looks,
        start: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._publish, self._clock, self._look = publish, clock, look
        self._start = start or _thread
        self._changed = threading.Condition()
        self._next: State | None = None
        self._asked = self._touched = 0.0
        self._begun = 0.0
        self._busy = self._closed = self._looked = False

    @property
    def busy(self) -> bool:
        """Whether something is being run, or about to be."""
        return self._busy

    def ask(self, state: State) -> None:
        """Run this state soon, and none that was asked for before. From any thread; returns at once."""
        with self._changed:
            if self._closed:
                return
            now = self._clock()
            if self._next is None:
                self._asked = now
            self._next, self._touched = state, now
            begin = not self._busy
            self._busy = True
            self._changed.notify()
        if begin:
            self._start(self._work)

    def close(self) -> None:
        """Give up what runs; nothing is handed on any more."""
        with self._changed:
            self._closed, self._next = True, None
            self._changed.notify()

    def _due(self) -> float:
        """When the state that waits is to be run."""
        return min(self._touched + REST, self._asked + PATIENCE)

    def _wanted(self) -> bool:
        """Whether what runs is still worth its time."""
        if self._closed or self._next is None:
            return not self._closed
        now = self._clock()
        return now < self._due() or (not self._looked and now < self._begun + GRACE)

    def _work(self) -> None:
        while (state := self._take()) is not None:
            try:
                self._run(state)
            except Stale:
                continue
            except Exception as error:  # noqa: BLE001 - the thread has no caller; the panel shows it in a line
                self._hand_on(Found(state, error=f"{error}" or type(error).__name__))

    def _run(self, state: State) -> None:
        self._begun, self._looked = self._clock(), False
        for found in self._look(state, self._wanted):
            if not self._wanted():
                return
            self._looked = self._looked or found.complete
            self._hand_on(found)

    def _hand_on(self, found: Found) -> None:
        if not self._closed:
            self._publish(found)

    def _take(self) -> State | None:
        """The newest state once the hand rests; None, and the thread's end, when there is none."""
        with self._changed:
            while self._next is not None:
                wait = self._due() - self._clock()
                if wait <= 0:
                    state, self._next = self._next, None
                    return state
                self._changed.wait(wait)
            self._busy = False
            return None


def _thread(work: Callable[[], None]) -> Any:
    threading.Thread(target=work, name="mcpnb-playground", daemon=True).start()
