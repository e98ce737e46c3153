"""`compare`: the same workload under several strategies, side by side.

It owns the checks before anything is sent and the choice of who carries the plan out. It knows no MCP and
no statistics.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from typing import cast

from mcpnb.experiment import report
from mcpnb.experiment.comparison import Comparison
from mcpnb.experiment.live import Measurements, Plan, Progress, measure
from mcpnb.experiment.progress import ProgressLine, shows_lines
from mcpnb.experiment.recording import Recording
from mcpnb.experiment.recording.what_if import study_of, workload_of
from mcpnb.experiment.simulate import check_seed, workload_for
from mcpnb.experiment.simulated import as_executor, compare_simulated, compare_study
from mcpnb.experiment.target import LiveTarget
from mcpnb.experiment.workload import Workload
from mcpnb.simulation import Scenario

__all__ = ["compare", "compare_async"]

Strategies = Sequence[object] | Mapping[str, object]
"""Names or strategy objects; or label → name or object, to compare one strategy with itself."""


def compare(
    target: LiveTarget | Scenario | Recording,
    strategies: Strategies,
    *,
    workload: Workload | None = None,
    seed: int = 0,
    repeats: int | None = None,
    blocks: int | None = None,
    progress: bool | Callable[[Progress], None] = True,
    executor: object | None = None,
) -> Comparison:
    """Send one workload under each strategy and say what differs, and how surely.

    Against a live fleet the strategies take turns in randomised blocks, so that a machine's drift hits all
    alike; each has a fresh state that lasts over its own blocks. Kernel → Interrupt cancels the calls that
    are out, leaves the fleet usable, and gives what there is so far: the rounds in which each had its turn.

    A `Scenario` is simulated, once per strategy and repeat, with the same arrivals for all strategies.

    A `Recording` answers what if: its calls come again as they came, or those of the workload, and every
    server takes as long as it took. That is open-loop: recorded latencies do not react to new picks.

    Args:
        target: A live fleet, a scenario, or a recording.
        strategies: Names or strategy objects, at least one; the first is the baseline of `.paired`.
        workload: What to send. All strategies get the same calls at the same times. Ready-made scenarios
            bring one.
        seed: Draws the schedule, the order of blocks and the bootstrap; in a simulation all that is random.
        repeats: Times the workload is run from its start, with strategies that know nothing again: once by
            default, and 8 times when it is the one that a ready-made scenario brings, which is short.
        blocks: Rounds per repeat; by default up to 12, of at least 10 calls each. In a simulation: batches of
            consecutive calls, by default 12 over all repeats, or one for each of 6 repeats and more.
        progress: True shows a line in a terminal or notebook; or a function that takes a `Progress`.
        executor: For scenarios and recordings: something with `.submit`, such as a `ProcessPoolExecutor` or a
            Dask client.

    Raises:
        StrategyError: For a strategy that does not exist; nothing was sent.
        ValueError: For no strategies, a label given twice, or a number below 1.
        TypeError: For a target that cannot be compared.
    """
    if isinstance(target, Scenario):
        helper = as_executor(executor)
        often = report.REPEATS if repeats is None and workload is None else repeats
        plan = _plan(strategies, workload_for(target, workload), seed, often, blocks)
        with _watch(progress) as watch:
            return compare_simulated(target, plan, progress=watch, executor=helper)
    if isinstance(target, Recording):
        helper = as_executor(executor)
        plan = _plan(strategies, workload_of(target, workload), seed, repeats, blocks)
        with _watch(progress) as watch:
            return compare_study(study_of(target, workload), plan, progress=watch, executor=helper)
    live = _live(target, executor)
    plan = _plan(strategies, workload, seed, repeats, blocks)
    seen = Measurements()
    with _watch(progress) as watch:
        try:
            live.run(_measure, live, plan, watch, seen)
        except KeyboardInterrupt:
            return _partial(seen, plan)
    return _comparison(seen, plan)


async def compare_async(
    target: LiveTarget,
    strategies: Strategies,
    *,
    workload: Workload,
    seed: int = 0,
    repeats: int = 1,
    blocks: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    clock: Callable[[], float] | None = None,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Comparison:
    """`compare` as a coroutine, on the loop that the target's calls run on; see there."""
    if not callable(getattr(target, "experiment_view", None)):
        raise _cannot(target)
    plan = _plan(strategies, workload, seed, repeats, blocks)
    return _comparison(await measure(target, plan, clock=clock, sleep=sleep, progress=progress), plan)


async def _measure(
    target: LiveTarget, plan: Plan, watch: Callable[[Progress], None] | None, seen: Measurements
) -> None:
    await measure(target, plan, progress=watch, seen=seen)


def _partial(seen: Measurements, plan: Plan) -> Comparison:
    """What there is when somebody interrupts.

    Raises:
        KeyboardInterrupt: Nothing that could be compared.
    """
    whole = seen.whole(tuple(plan.strategies))
    strategies = tuple(s for s in plan.strategies if any(row.strategy == s for row in whole.blocks))
    if not any(not row.warmup for row in whole.calls):
        raise KeyboardInterrupt from None
    rounds = len({row.block for row in whole.blocks})
    planned = sum(len(plan.rounds(repeat)) for repeat in range(plan.repeats))
    missing = [s for s in plan.strategies if s not in strategies]
    without = f"; {', '.join(missing)} had no turn" if missing else ""
    return Comparison.from_rows(
        whole.calls, whole.blocks, strategies=strategies, workload=plan.workload, seed=plan.seed,
        remarks=[f"Interrupted: {rounds} of {planned} rounds are in it{without}."], interrupted=True,
        attempts=whole.attempts,
    )  # fmt: skip


def _comparison(seen: Measurements, plan: Plan) -> Comparison:
    return Comparison.from_rows(
        seen.calls, seen.blocks, strategies=tuple(plan.strategies), workload=plan.workload, seed=plan.seed,
        attempts=seen.attempts,
    )  # fmt: skip


def _live(target: object, executor: object | None) -> LiveTarget:
    if not isinstance(target, LiveTarget):
        raise _cannot(target)
    if executor is not None:
        raise ValueError("executor= spreads simulations; a live comparison runs where its connections are")
    return target


def _cannot(target: object) -> TypeError:
    if callable(getattr(target, "experiment_view", None)):
        return TypeError(
            "compare() needs a fleet from mcpnb.connect(); a client takes `await compare_async(...)`"
        )
    return TypeError(
        "compare() takes a live fleet, such as mcpnb.connect(...) gives, a mcpnb.Scenario or a "
        f"mcpnb.Recording, not {type(target).__name__}"
    )


def _plan(
    strategies: Strategies, workload: object, seed: int, repeats: int | None, blocks: int | None
) -> Plan:
    if not isinstance(workload, Workload):
        raise TypeError(
            f"workload must be a mcpnb.Workload(tool=..., rate=..., requests=...), not {workload!r}"
        )
    check_seed(seed)
    repeats = 1 if repeats is None else repeats
    for name, value in (("repeats", repeats), ("blocks", blocks)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):  # pyright: ignore[reportUnnecessaryIsInstance] - a notebook checks no types
            raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
    plan = Plan(_labelled(strategies), workload, seed, repeats, blocks)
    for repeat in range(repeats):
        count = workload.count(seed=seed, repeat=repeat)
        if count is not None and count <= workload.warmup:
            raise ValueError(
                f"the workload has {count} calls, warm-up {workload.warmup}: nothing is left to count"
            )
    return plan


def _labelled(strategies: Strategies) -> dict[str, object]:
    if isinstance(strategies, str):
        raise TypeError(f"strategies must be a list, such as [{strategies!r}, 'round_robin']")
    if not strategies:
        raise ValueError("strategies is empty: name at least one, two to compare")
    if isinstance(strategies, Mapping):
        return {str(label): strategy for label, strategy in strategies.items()}
    labelled: dict[str, object] = {}
    for strategy in strategies:
        label = _label(strategy)
        if label in labelled:
            raise ValueError(
                f"strategy {label!r} is given twice; label them with a dict: {{label: strategy}}"
            )
        labelled[label] = strategy
    return labelled


def _label(strategy: object) -> str:
    if isinstance(strategy, str):
        return strategy
    return str(cast("object", getattr(strategy, "name", None)) or type(strategy).__name__)


@contextlib.contextmanager
def _watch(
    progress: bool | Callable[[Progress], None],
) -> Generator[Callable[[Progress], None] | None]:
    """Whoever is told how far it is, if anybody; a line of ours is wiped in the end."""
    if callable(progress) or not (progress and shows_lines(sys.stdout)):
        yield progress if callable(progress) else None
        return
    line = ProgressLine()
    try:
        yield line
    finally:
        line.close()
