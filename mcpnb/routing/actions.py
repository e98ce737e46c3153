"""What the dispatcher asks its driver to do. Drivers carry these out and decide nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mcpnb.model import Attempt, Outcome
from mcpnb.resilience.breaker import BreakerState

if TYPE_CHECKING:
    from mcpnb.routing.call import Call


class Send(NamedTuple):
    """Send this attempt to `attempt.server` now, and report its end with `on_outcome`."""

    attempt: Attempt


class Cancel(NamedTuple):
    """Give this attempt up. Its lease is already returned; what it still reports is ignored."""

    attempt: Attempt


class WaitUntil(NamedTuple):
    """Call `on_timer` at this monotonic time. It replaces what was asked before."""

    at: float


class Finish(NamedTuple):
    """The call is over. Nothing more happens for it."""

    call: Call
    outcome: Outcome


class BreakerChanged(NamedTuple):
    """A server's breaker changed its state. For people: there is nothing to carry out."""

    server: str
    state: BreakerState
    detail: str
    tool: str = ""
    """The tool it belongs to, where each tool has a breaker of its own."""


class Ejected(NamedTuple):
    """A server was ejected as an outlier, or came back. For people: there is nothing to carry out."""

    server: str
    out: bool
    detail: str


Action = Send | Cancel | WaitUntil | Finish | BreakerChanged | Ejected
"""Everything that a driver may be asked for."""
