"""The frames behind a comparison: from rows to tables with stable columns and dtypes, empty or not.

It owns columns, dtypes, time buckets and the seconds that count. It knows no intervals and no words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from mcpnb.experiment import statistics
from mcpnb.experiment.rows import AttemptRow, BlockRow, CallRow
from mcpnb.model import OUTCOMES

BUCKETS = 30
"""Buckets of a timeline, when there are calls enough for a p95 in each."""
CALLS_PER_BUCKET = 20

TIMELINE_COLUMNS: tuple[str, ...] = ("strategy", "at_s", "calls", "errors", "p50_ms", "p95_ms", "goodput")

WarmupEnds = Mapping[tuple[str, int], float]
"""(strategy, repeat) → when the last call of its warm-up was sent, in seconds of the workload."""


def calls_frame(rows: Sequence[CallRow], strategies: Sequence[str]) -> pd.DataFrame:
    """`Comparison.calls` from rows in any order: sorted by strategy, repeat and number."""
    frame = pd.DataFrame.from_records(list(rows), columns=list(CallRow._fields))
    whole = dict.fromkeys(("block", "i", "attempts", "repeat", "retries", "hedges"), np.int64)
    real = dict.fromkeys(("intended_at", "started_lag_ms", "latency_ms"), np.float64)
    frame = frame.astype({**whole, **real, "warmup": bool})
    frame["strategy"] = pd.Categorical(frame["strategy"], categories=list(strategies))
    frame["outcome"] = pd.Categorical(frame["outcome"], categories=list(OUTCOMES))
    for name in ("server", "tool"):
        frame[name] = pd.Categorical(frame[name], categories=sorted({str(v) for v in frame[name].dropna()}))
    return frame.sort_values(["strategy", "repeat", "i"], ignore_index=True)


def blocks_frame(rows: Sequence[BlockRow], strategies: Sequence[str]) -> pd.DataFrame:
    """`Comparison.blocks` from rows in the order of the turns."""
    frame = pd.DataFrame.from_records(list(rows), columns=list(BlockRow._fields))
    whole = dict.fromkeys(("block", "repeat", "position"), np.int64)
    frame = frame.astype({**whole, **dict.fromkeys(("began_at", "base_s", "span_s", "seconds"), np.float64)})
    frame["strategy"] = pd.Categorical(frame["strategy"], categories=list(strategies))
    return frame


def attempts_frame(rows: Sequence[AttemptRow], strategies: Sequence[str]) -> pd.DataFrame:
    """`Comparison.attempts` from rows in any order: sorted by strategy, repeat, call and attempt."""
    frame = pd.DataFrame.from_records(list(rows), columns=list(AttemptRow._fields))
    whole = dict.fromkeys(("repeat", "i", "attempt"), np.int64)
    real = dict.fromkeys(("sent_ms", "queued_ms", "latency_ms"), np.float64)
    frame = frame.astype({**whole, **real, "hedge": bool})
    frame["strategy"] = pd.Categorical(frame["strategy"], categories=list(strategies))
    return frame.sort_values(["strategy", "repeat", "i", "attempt"], ignore_index=True)


def share_frame(counted: pd.DataFrame, strategies: Sequence[str]) -> pd.DataFrame:
    """Strategy by server: which part of a strategy's calls the server took; servers in order of name."""
    asked = counted[counted["server"].notna()]
    table = pd.crosstab(asked["strategy"].astype(str), asked["server"].astype(str))
    table = table.reindex(index=pd.Index(list(strategies), name="strategy"), fill_value=0)
    return table.div(table.sum(axis=1).replace(0, 1), axis=0)


def bucket_seconds(counted: pd.DataFrame) -> float:
    """A round width for the timeline's buckets, with about 20 calls of each strategy in each."""
    if counted.empty:
        return 1.0
    runs = max(len(counted[["strategy", "repeat"]].drop_duplicates()), 1)
    buckets = float(np.clip(len(counted) / runs // CALLS_PER_BUCKET, 1, BUCKETS))
    return round_up(max(float(counted["intended_at"].max()), 1e-3) / buckets)


def round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... (or 0.5, 0.2, ...) at or above `value` > 0."""
    power = 10.0 ** float(np.floor(np.log10(value)))
    # The slack absorbs the rounding of the logarithm, so that 1000 gives 1000 and not 2000.
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))


def warmup_ends(calls: pd.DataFrame) -> dict[tuple[str, int], float]:
    """When the warm-up of each strategy and repeat was sent; without an entry there was none."""
    warm = calls[calls["warmup"]]
    ends = warm.groupby(["strategy", "repeat"], observed=True)["intended_at"].max()
    keys = cast("list[tuple[str, int]]", list(ends.index))
    return {(strategy, int(repeat)): float(end) for (strategy, repeat), end in zip(keys, ends, strict=True)}


def timeline_frame(
    counted: pd.DataFrame, strategies: Sequence[str], width: float, warm: WarmupEnds
) -> pd.DataFrame:
    """Strategy by bucket of the workload's time; runs of several repeats lie on top of each other."""
    rows = [
        _bucket_row(strategy, float(bucket) * width, width, part, mine, warm)
        for strategy in strategies
        for mine in (counted[counted["strategy"] == strategy],)
        for bucket, part in _buckets(mine, width)
    ]
    return pd.DataFrame(rows, columns=list(TIMELINE_COLUMNS))


def _buckets(rows: pd.DataFrame, width: float) -> list[tuple[float, pd.DataFrame]]:
    # Less than half a bucket at the end joins the one before: a rate over a sliver of time says nothing.
    times = rows["intended_at"].to_numpy(np.float64)
    last = max(math.ceil(float(times.max()) / width - 0.5), 1) - 1 if len(times) else 0
    buckets = pd.Series(np.minimum(np.floor(times / width), last), index=rows.index)
    return cast("list[tuple[float, pd.DataFrame]]", list(rows.groupby(buckets)))


def _bucket_row(
    strategy: str, begin: float, width: float, part: pd.DataFrame, mine: pd.DataFrame, warm: WarmupEnds
) -> tuple[object, ...]:
    latencies = part.loc[part["outcome"] == "ok", "latency_ms"].to_numpy(np.float64)
    end = float(mine["intended_at"].max())
    until = end if end <= begin + 1.5 * width else begin + width
    repeats = [int(repeat) for repeat in mine["repeat"].unique()]
    seconds = sum(max(until - max(begin, warm.get((strategy, repeat), 0.0)), 0.0) for repeat in repeats)
    at = statistics.point(latencies)
    goodput = len(latencies) / seconds if seconds > 0 else 0.0
    return strategy, begin, len(part), len(part) - len(latencies), at["p50"], at["p95"], goodput


def counted_seconds(good: pd.DataFrame, turns: pd.DataFrame, warm: WarmupEnds) -> float:
    """How long one strategy worked: the sum over its turns, the warm-up taken off.

    Args:
        good: Its successful, counted calls.
        turns: Its rows of `blocks`.
        warm: From `warmup_ends`.
    """
    # A turn has the blocks from its own up to the next turn's: one when live, all of a run when simulated.
    turns = turns.sort_values("block")
    first = turns["block"].to_numpy(np.int64)
    which = first.searchsorted(good["block"].to_numpy(np.int64), side="right") - 1
    by_turn = cast("dict[int, pd.DataFrame]", dict(list(good.groupby(pd.Series(which, index=good.index)))))
    nothing = good.iloc[:0]
    return sum(
        _turn_seconds(turn, by_turn.get(number, nothing), warm)
        for number, (_, turn) in enumerate(turns.iterrows())
    )


def _turn_seconds(turn: pd.Series[Any], good: pd.DataFrame, warm: WarmupEnds) -> float:
    start = float(turn["base_s"])
    begin = max(start, warm.get((str(turn["strategy"]), int(turn["repeat"])), 0.0))
    span = max(start + float(turn["span_s"]) - begin, 0.0)
    latencies = good["latency_ms"].to_numpy(np.float64) / 1e3
    return statistics.busy_seconds(
        good["intended_at"].to_numpy(np.float64) - begin + latencies, latencies, span
    )
