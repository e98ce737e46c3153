"""Which protections are on: one value that the live client, the replayer and the simulator all understand.

It owns the choice and its short forms (`True`, a number), nothing that acts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from mcpnb.resilience.admission import QueuePolicy
from mcpnb.resilience.breaker import BreakerPolicy
from mcpnb.resilience.hedge import HedgePolicy
from mcpnb.resilience.outlier import OutlierPolicy
from mcpnb.resilience.retry import RetryPolicy

PANIC = 0.5
"""Share of a tool's servers that breakers may shut out before they are ignored."""

Policy = TypeVar("Policy")


@dataclass(frozen=True, slots=True, init=False)
class Resilience:
    """What protects calls from bad servers. Everything is off unless it is named.

    Args:
        breaker: When a server's circuit breaker opens; True for the usual policy.
        retry: How failed calls are sent again; True for the usual policy, a number for that many retries.
        hedge: A second attempt for slow calls that may be repeated; True after the tool's live p95, a number
            after that many seconds.
        panic: With at least this share of a tool's servers shut out by breakers, and nobody else to take a
            call, breakers are ignored for it; True for one half.
        outlier: Takes out servers that fail more than the others; True for the usual policy.
        affinity: Simulation only: the number of sessions; every call belongs to one and sticks to a server.
        queue: How calls wait when every server is full.

    Raises:
        ValueError, TypeError: A number out of bounds, or something that is none of these.
    """

    breaker: BreakerPolicy | None
    retry: RetryPolicy | None
    hedge: HedgePolicy | None
    panic: float | None
    outlier: OutlierPolicy | None
    affinity: int | None
    queue: QueuePolicy

    def __init__(
        self,
        *,
        breaker: BreakerPolicy | bool | None = None,
        retry: RetryPolicy | int | None = None,
        hedge: HedgePolicy | float | None = None,
        panic: float | None = None,
        outlier: OutlierPolicy | bool | None = None,
        affinity: int | None = None,
        queue: QueuePolicy | None = None,
    ) -> None:
        values = {
            "breaker": _policy("breaker", breaker, BreakerPolicy),
            "retry": _retry(retry),
            "hedge": _hedge(hedge),
            "panic": _share(panic),
            "outlier": _policy("outlier", outlier, OutlierPolicy),
            "affinity": _sessions(affinity),
            "queue": _policy("queue", queue, QueuePolicy) or QueuePolicy(),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def live(cls, **changes: object) -> Resilience:
        """What a client does unless it is told otherwise: breakers with panic, retries within a budget."""
        chosen = {"breaker": True, "retry": True, "panic": True, **changes}
        return cls(**chosen)  # pyright: ignore[reportArgumentType] - checked by __init__


def _policy(name: str, given: Policy | bool | None, kind: type[Policy]) -> Policy | None:
    if given is None or given is False:
        return None
    if given is True:
        return kind()
    if not isinstance(given, kind):
        raise TypeError(f"{name} must be True, False or a {kind.__name__}, not {given!r}")
    return given


def _retry(given: RetryPolicy | int | None) -> RetryPolicy | None:
    if isinstance(given, int) and not isinstance(given, bool):
        return RetryPolicy(retries=given) if given else None
    return _policy("retry", given, RetryPolicy)


def _hedge(given: HedgePolicy | float | None) -> HedgePolicy | None:
    if isinstance(given, int | float) and not isinstance(given, bool):
        return HedgePolicy(delay=float(given))
    return _policy("hedge", given, HedgePolicy)


def _share(given: float | None) -> float | None:
    if given is None or given is False:
        return None
    if given is True:
        return PANIC
    if not isinstance(given, int | float) or not 0 <= given <= 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"panic is a share of servers between 0 and 1, not {given!r}")
    return float(given)


def _sessions(given: int | None) -> int | None:
    if given is not None and (isinstance(given, bool) or given < 1):
        raise ValueError(f"affinity is a number of sessions of at least 1, not {given!r}")
    return given
