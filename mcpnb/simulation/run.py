"""What a simulation found: one value per call, and the figures that follow from them.

Arrays and plain numbers; frames and pictures are made elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mcpnb.model import OUTCOMES, AttemptRecord
from mcpnb.simulation.ledger import Ledger

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p999": 0.999}
_NONE = dict[int, tuple[AttemptRecord, ...]]


@dataclass(frozen=True, repr=False)
class Run:
    """One scenario under one strategy.

    `latencies`, `outcomes`, `servers`, `attempts`, `hedges` and `queued` have one value per counted call, in
    the order of the calls; the warm-up is left out. A call's latency runs from the time it was meant to start
    to its end, whatever that was.
    """

    strategy: str
    names: tuple[str, ...]
    """The servers, in the scenario's order."""
    all_starts: Floats
    """When each call was meant to start, in seconds, warm-up included."""
    all_latencies: Floats
    all_outcomes: NDArray[np.int8]
    """Indices into `mcpnb.model.OUTCOMES`."""
    all_servers: Ints
    all_attempts: Ints
    all_hedges: Ints
    all_queued: Floats
    """Seconds that each call waited for admission."""
    warmup: int
    decisions_digest: str
    """blake2b over the stream of decisions; equal for equal seeds and scenarios."""
    events: tuple[tuple[float, str, str], ...] = ()
    """Seconds from the start, server, and what was done about it, in order: the state that its breaker took
    on, or `ejected` and `readmitted` by the outlier detector."""
    instability: tuple[str, ...] = ()
    """Why the scenario has no steady state: its figures depend on its length. Empty when it is stable."""
    in_flight_after: int = 0
    """Leases that were still out when everything had ended; anything but 0 is a bug."""
    told: Mapping[int, tuple[AttemptRecord, ...]] = field(default_factory=_NONE)
    """Number of a call, warm-up included → its attempts, `sent_at` seconds after the call came: a sample of
    those calls that were sent more than once, or waited for a free server."""

    @classmethod
    def of(
        cls,
        seen: Ledger,
        *,
        strategy: str,
        names: tuple[str, ...],
        decisions_digest: str,
        in_flight_after: int,
        events: tuple[tuple[float, str, str], ...],
        warmup: int = 0,
        instability: tuple[str, ...] = (),
    ) -> Self:
        """What the ledger noted, with what else is known of the run."""
        return cls(
            strategy=strategy,
            names=names,
            all_starts=np.array(seen.starts),
            all_latencies=np.array(seen.latencies),
            all_outcomes=np.array(seen.outcomes),
            all_servers=np.array(seen.servers),
            all_attempts=np.array(seen.attempts),
            all_hedges=np.array(seen.hedges),
            all_queued=np.array(seen.queued),
            warmup=warmup,
            decisions_digest=decisions_digest,
            events=events,
            instability=instability,
            in_flight_after=in_flight_after,
            told=seen.told.calls,
        )

    def __repr__(self) -> str:
        calls, good = len(self.latencies), int((self.outcomes == "ok").sum())
        took = float(np.median(self.latencies)) * 1e3 if calls else math.nan
        why = f"; unstable: {self.instability[0]}" if self.instability else ""
        return (
            f"<Run {self.strategy} over {len(self.names)} servers: {calls:,} calls, {calls - good:,} failed,"
            f" p50 {took:.4g} ms{why}>"
        )

    @property
    def unstable(self) -> bool:
        """Whether more arrived than the servers could do."""
        return bool(self.instability)

    @property
    def starts(self) -> Floats:
        """When each counted call was meant to start, in seconds."""
        return self.all_starts[self.warmup :]

    @property
    def latencies(self) -> Floats:
        """Seconds, of every counted call."""
        return self.all_latencies[self.warmup :]

    @cached_property
    def outcomes(self) -> NDArray[np.str_]:
        """How each counted call ended: `ok`, `timeout`, `disconnected`, `refused`, `rejected`, ..."""
        return np.array(OUTCOMES)[self.all_outcomes[self.warmup :]]

    @property
    def servers(self) -> Ints:
        """Index into `names` of who ended each counted call; -1 for nobody."""
        return self.all_servers[self.warmup :]

    @property
    def attempts(self) -> Ints:
        """How often each counted call was sent."""
        return self.all_attempts[self.warmup :]

    @property
    def hedges(self) -> Ints:
        """How many of each counted call's attempts were hedges."""
        return self.all_hedges[self.warmup :]

    @property
    def retries(self) -> Ints:
        """How many of each counted call's attempts were retries."""
        return np.maximum(self.attempts - self.hedges - 1, 0)

    @property
    def queued(self) -> Floats:
        """Seconds that each counted call waited at the router, because every server was full."""
        return self.all_queued[self.warmup :]

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Which counted calls were answered."""
        return self.all_outcomes[self.warmup :] == OUTCOMES.index("ok")

    @property
    def shares(self) -> Floats:
        """The part of the counted calls that each server ended, shape (servers,)."""
        asked = self.servers[self.servers >= 0]
        return np.bincount(asked, minlength=len(self.names)) / max(len(asked), 1)

    def figures(self) -> dict[str, float | str | bool]:
        """Counts, latencies in ms, rates per second. Calls that failed are in no latency figure."""
        good, count = self.ok, len(self.latencies)
        seconds = self._seconds()
        sent = int(self.attempts.sum())
        return {
            "strategy": self.strategy,
            "requests": count,
            "errors": count - int(good.sum()),
            "error_rate": 1 - int(good.sum()) / count if count else math.nan,
            "goodput": int(good.sum()) / seconds if seconds > 0 else math.nan,
            **latency_figures(self.latencies[good]),
            "fairness": _jain(self.shares),
            "attempts": sent,
            "retries": int(self.retries.sum()),
            "hedges": int(self.hedges.sum()),
            "queued": int((self.queued > 0).sum()),
            "queued_ms": float(self.queued.mean()) * 1e3 if count else math.nan,
            "extra_load": max(sent - count, 0) / count if count else math.nan,
            "breaker_trips": sum(what == "open" for _, _, what in self.events),
            "ejections": sum(what == "ejected" for _, _, what in self.events),
            "unstable": self.unstable,
        }

    def _seconds(self) -> float:
        """From the first counted call's start to the last one's end."""
        if not len(self.starts):
            return 0.0
        return float((self.starts + self.latencies).max() - self.starts[0])


def latency_figures(seconds: Floats) -> dict[str, float]:
    """Mean and quantiles in ms; nan when there are none."""
    if not len(seconds):
        return dict.fromkeys((f"{name}_ms" for name in ("mean", *QUANTILES)), math.nan)
    quantiles = np.quantile(seconds, list(QUANTILES.values())).tolist()
    return {
        "mean_ms": float(seconds.mean()) * 1e3,
        **{f"{name}_ms": value * 1e3 for name, value in zip(QUANTILES, quantiles, strict=True)},
    }


def _jain(shares: Floats) -> float:
    """Jain's index: 1 when all servers have the same, 1/n when one has all; nan without any calls."""
    squares = float(np.square(shares).sum())
    return float(shares.sum()) ** 2 / (len(shares) * squares) if squares else math.nan
