"""What a comparison found: frames, intervals, words and pictures.

It owns the rows of a comparison and everything derived from them. It does not care where they came from:
live servers, a simulation or a recording give the same two tables, `calls` and `blocks`.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mcpnb.experiment import report, statistics, storage, tables
from mcpnb.experiment.rows import AttemptRow, BlockRow, CallRow
from mcpnb.experiment.statistics import Floats
from mcpnb.experiment.workload import Workload

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Comparison", "Mark"]

LEVEL = 0.95
"""Confidence of every interval."""

INTERVAL_METRICS = tuple(f"{metric}_ms" for metric in statistics.METRICS)
SUMMARY_COLUMNS: tuple[str, ...] = (
    "requests", "errors", "goodput",
    *(f"{name}{end}" for name in INTERVAL_METRICS for end in ("", "_low", "_high")),
    "p999_ms", "fairness", "retries", "hedges", "extra_load",
    "late_p50_ms", "late_p99_ms", "late_max_ms", "kept_up",
)  # fmt: skip
PAIRED_COLUMNS: tuple[str, ...] = (
    "strategy", "versus", "metric", "difference_ms", "low_ms", "high_ms", "conclusive", "blocks",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened on the workload's time axis, drawn behind the timeline."""

    label: str
    begin: float
    """Seconds."""
    end: float | None = None
    """Seconds; None for a moment."""


class Comparison:
    """One workload under several strategies.

    Latencies count from the moment a call was meant to start, so that a slow server cannot hide behind a
    client that waits for it. Calls that failed count in `errors` and not in any latency statistic.
    Intervals are 95 % bootstrap intervals over blocks; differences are paired by block.

    Attributes:
        calls: One row per call: `strategy, block, i, intended_at` (seconds of the workload's own time),
            `started_lag_ms` (how late the client itself was), `latency_ms, server, outcome, attempts,
            error, tool, repeat, retries, hedges, warmup` (rows of the warm-up are in no summary).
        blocks: One row per turn of a strategy: when it was, how long it took.
        attempts: One row per sending of a call, for a sample of those that were sent more than once or waited
            for a free server: `strategy, repeat, i, attempt, server, tool, why, hedge, sent_ms` (since the
            call came), `queued_ms, latency_ms, outcome`. The same calls under every strategy.
        strategies: Their labels, in the order given; the first is the baseline of `paired`.
        remarks: What whoever made it has to say about it; part of `notes`.
        interrupted: Whether somebody ended it before its time: only whole rounds are in it then.
    """

    def __init__(
        self,
        calls: pd.DataFrame,
        blocks: pd.DataFrame,
        *,
        strategies: Sequence[str],
        workload: Workload,
        seed: int = 0,
        kind: str = "live",
        marks: Sequence[Mark] = (),
        remarks: Sequence[str] = (),
        interrupted: bool = False,
        attempts: pd.DataFrame | None = None,
    ) -> None:
        self.calls, self.blocks, self.interrupted = calls, blocks, interrupted
        self.attempts = tables.attempts_frame([], strategies) if attempts is None else attempts
        self.remarks = tuple(remarks)
        self.strategies = tuple(strategies)
        self.workload, self.seed, self.kind, self.marks = workload, seed, kind, tuple(marks)

    @classmethod
    def from_rows(
        cls,
        calls: Sequence[CallRow],
        blocks: Sequence[BlockRow],
        *,
        strategies: Sequence[str],
        workload: Workload,
        seed: int = 0,
        kind: str = "live",
        marks: Sequence[Mark] = (),
        remarks: Sequence[str] = (),
        interrupted: bool = False,
        attempts: Sequence[AttemptRow] = (),
    ) -> Comparison:
        """A comparison from rows in any order."""
        frames = tables.calls_frame(calls, strategies), tables.blocks_frame(blocks, strategies)
        return cls(
            *frames,
            strategies=strategies,
            workload=workload,
            seed=seed,
            kind=kind,
            marks=marks,
            remarks=remarks,
            interrupted=interrupted,
            attempts=tables.attempts_frame(attempts, strategies),
        )

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per strategy: `SUMMARY_COLUMNS`; times in ms, goodput in answers per second.

        `fairness` is Jain's index over the servers that any strategy used; `extra_load` is the share of
        attempts beyond one per call. `late_*` is how late the client itself started calls, which is in the
        latencies; `kept_up` is False where that was more than a tenth of the median latency.
        """
        rows = [self._summary_row(strategy) for strategy in self.strategies]
        index = pd.Index(self.strategies, name="strategy")
        return pd.DataFrame(rows, index=index, columns=list(SUMMARY_COLUMNS))

    @cached_property
    def paired(self) -> pd.DataFrame:
        """Differences from the first strategy, paired by block; see `against`."""
        return self.against(self.strategies[0])

    def against(self, baseline: str, *, level: float = LEVEL) -> pd.DataFrame:
        """Differences of each other strategy from `baseline`, paired by block, one row per metric.

        Positive: slower than the baseline. `conclusive` is whether the interval leaves out zero. With fewer
        than 6 blocks there is no interval; and nothing is conclusive of a strategy that is among `leaning`.

        Raises:
            ValueError: For a strategy that was not compared.
        """
        if baseline not in self.strategies:
            raise ValueError(f"{baseline!r} was not compared; there are {', '.join(self.strategies)}")
        rows = [
            self._paired_row(other, baseline, metric, level)
            for other in self.strategies
            if other != baseline
            for metric in statistics.METRICS
        ]
        frame = pd.DataFrame(rows, columns=list(PAIRED_COLUMNS))
        return frame.astype({"conclusive": bool, "blocks": np.int64})

    @cached_property
    def timeline(self) -> pd.DataFrame:
        """Strategy by bucket of the workload's time: calls, errors, p50, p95 (ms), goodput (answers/s)."""
        return tables.timeline_frame(self.counted, self.strategies, self.bucket_seconds, self._warm)

    @cached_property
    def bucket_seconds(self) -> float:
        """The width of a timeline's bucket: a round number with about 20 calls of each strategy in it."""
        return tables.bucket_seconds(self.counted)

    @cached_property
    def share(self) -> pd.DataFrame:
        """Strategy by server: which part of a strategy's calls the server answered, 0 to 1."""
        return tables.share_frame(self.counted, self.strategies)

    @cached_property
    def verdict(self) -> pd.Series[str]:
        """One phrase per strategy, from paired intervals: `lowest p95`, `tied with p2c`, ..."""
        words = report.verdicts(self)
        return pd.Series(
            words, index=pd.Index(self.strategies, name="strategy"), name="verdict", dtype=object
        )

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What one should know before believing the numbers."""
        return (*report.notes(self), *self.remarks)

    def latencies(self, strategy: str) -> Floats:
        """Latencies of the strategy's successful calls in ms, warm-up left out, in the order of `calls`."""
        return self._successes[strategy]["latency_ms"].to_numpy(np.float64)

    def text(self) -> str:
        """The whole story for a terminal: an aligned table, best first, a verdict each, and the notes."""
        return report.text(self)

    def __repr__(self) -> str:
        return report.one_line(self)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return report.html(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:  # noqa: ARG002 - IPython's face
        return {"text/plain": self.text(), "text/html": self._repr_html_()}

    def plot(self) -> Figure:
        """Four pictures in one: slower than, over time, share per server, p99 with its interval."""
        return _plots().overview(self)

    def plot_cdf(self, ax: Axes | None = None) -> Axes:
        """How many calls are slower than ... (the complementary distribution, both axes logarithmic)."""
        return _plots().cdf(self, ax)

    def plot_timeline(self, ax: Axes | None = None) -> Axes:
        """p95 over the workload's time."""
        return _plots().timeline(self, ax)

    def plot_share(self, ax: Axes | None = None) -> Axes:
        """Which server got which share of the calls, in per cent."""
        return _plots().share(self, ax)

    def plot_intervals(self, ax: Axes | None = None, *, metric: str = "p99") -> Axes:
        """One statistic per strategy with its interval: `mean`, `p50`, `p95` or `p99`."""
        return _plots().intervals(self, ax, metric=metric)

    def save(self, path: str | Path) -> Path:
        """Write `.plot()` as a picture; the ending says which kind (.png, .svg, .pdf)."""
        path = Path(path)
        self.plot().savefig(path, dpi=150)
        return path

    def to_parquet(self, path: str | Path) -> Path:
        """Write the whole comparison as one parquet file: `.calls` as its table, the rest as metadata.

        `Comparison.from_parquet(path)` reads it again; any other reader sees the calls.

        Raises:
            ImportError: When pyarrow, which does this, is not installed.
        """
        return storage.save(self, Path(path))

    @classmethod
    def from_parquet(cls, path: str | Path) -> Comparison:
        """A comparison that `to_parquet` wrote. The workload's arguments are not in it.

        Raises:
            ImportError: pyarrow is not installed.
            ValueError: There is no comparison in the file.
        """
        found = storage.load(Path(path))
        found["marks"] = [Mark(*mark) for mark in found["marks"]]
        return cls(**found)

    @cached_property
    def counted(self) -> pd.DataFrame:
        """The calls without those of the warm-up."""
        return self.calls[~self.calls["warmup"]]

    @cached_property
    def block_count(self) -> int:
        """Rounds that have counted calls."""
        return int(self.counted["block"].nunique())

    @cached_property
    def paired_by_block(self) -> bool:
        """Whether there are enough rounds for intervals over blocks; else calls are resampled one by one."""
        return self.block_count >= statistics.MIN_BLOCKS

    @cached_property
    def leaning(self) -> frozenset[str]:
        """Strategies whose blocks are batches of one run, too short to stand for themselves."""
        turns = self.blocks["strategy"].value_counts()
        return frozenset(s for s in self.strategies if turns[s] < self.block_count and self._leans(s))

    def _leans(self, strategy: str) -> bool:
        good = self._successes[strategy]
        runs = [run["latency_ms"].to_numpy(np.float64) for _, run in good.groupby("repeat")]
        leaning = max((statistics.leaning_calls(run) for run in runs), default=math.nan)
        return len(good) / self.block_count < statistics.LONG * leaning

    @cached_property
    def points(self) -> dict[str, dict[str, float]]:
        """Strategy → metric → ms."""
        return {strategy: statistics.point(self.latencies(strategy)) for strategy in self.strategies}

    @cached_property
    def _successes(self) -> dict[str, pd.DataFrame]:
        good = self.counted[self.counted["outcome"] == "ok"]
        return {strategy: good[good["strategy"] == strategy] for strategy in self.strategies}

    @cached_property
    def _replicates(self) -> dict[str, dict[str, Floats]]:
        rng = np.random.default_rng([self.seed, 2])
        if not self.paired_by_block:
            return {s: statistics.call_replicates(self.latencies(s), rng) for s in self.strategies}
        known = np.unique(self.counted["block"].to_numpy(np.int64))
        draws = statistics.block_draws(len(known), rng)
        return {s: self._block_replicates(s, known, draws) for s in self.strategies}

    def _block_replicates(
        self, strategy: str, known: statistics.Ints, draws: statistics.Ints
    ) -> dict[str, Floats]:
        blocks = self._successes[strategy]["block"].to_numpy(np.int64)
        return statistics.block_replicates(self.latencies(strategy), known, blocks, draws)

    def _summary_row(self, strategy: str) -> dict[str, float | int]:
        rows = self.counted[self.counted["strategy"] == strategy]
        row: dict[str, float | int] = {
            "requests": len(rows),
            "errors": len(rows) - len(self._successes[strategy]),
            "goodput": self._goodput(strategy),
            "p999_ms": self.points[strategy]["p999"],
            "fairness": self._fairness(strategy),
            "retries": int(rows["retries"].sum()),
            "hedges": int(rows["hedges"].sum()),
            "extra_load": float((rows["attempts"] - 1).clip(lower=0).sum()) / max(len(rows), 1),
        }
        late = statistics.lateness(rows["started_lag_ms"].to_numpy(np.float64))
        row |= {f"late_{name}_ms": value for name, value in late.items()}
        row["kept_up"] = not late["p99"] > report.late_enough(self.points[strategy]["p50"])
        for metric in statistics.METRICS:
            row[f"{metric}_ms"] = self.points[strategy][metric]
            row[f"{metric}_ms_low"], row[f"{metric}_ms_high"] = self._interval(strategy, metric)
        return row

    def _interval(self, strategy: str, metric: str) -> tuple[float, float]:
        units = self.block_count if self.paired_by_block else len(self._successes[strategy])
        return statistics.interval(self._replicates[strategy][metric], units=units, level=LEVEL)

    def _paired_row(self, other: str, baseline: str, metric: str, level: float) -> tuple[object, ...]:
        difference = self.points[other][metric] - self.points[baseline][metric]
        low = high = float("nan")
        if self.paired_by_block:
            replicates = self._replicates[other][metric] - self._replicates[baseline][metric]
            low, high = statistics.interval(replicates, units=self.block_count, level=level)
        conclusive = (low > 0 or high < 0) and self.leaning.isdisjoint((other, baseline))
        return other, baseline, metric, difference, low, high, conclusive, self.block_count

    def _fairness(self, strategy: str) -> float:
        return statistics.jain(self.share.loc[strategy].to_numpy(np.float64))

    def _goodput(self, strategy: str) -> float:
        good = self._successes[strategy]
        turns = self.blocks[self.blocks["strategy"] == strategy]
        seconds = tables.counted_seconds(good, turns, self._warm)
        return len(good) / seconds if seconds > 0 else 0.0

    @cached_property
    def _warm(self) -> tables.WarmupEnds:
        return tables.warmup_ends(self.calls)


def _plots() -> Any:
    """The drawing room; it loads matplotlib, so it is entered only when something is to be drawn."""
    return importlib.import_module("mcpnb.experiment.plots")
