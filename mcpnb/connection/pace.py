"""How long things may take: every duration of a connection, with its reason. It waits for nothing itself."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["Pace", "backoff"]


@dataclass(frozen=True, slots=True)
class Pace:
    """Durations in seconds. Tests inject short ones; nobody else needs to."""

    backoff_base: float = 0.2
    """A server that was restarted is usually back within a few of these."""
    backoff_cap: float = 30.0
    """A person who repairs a server should not wait longer than this for the table to notice."""
    retry_after_cap: float = 300.0
    """A server that wants to be left alone for longer is asked again all the same."""
    stable_after: float = 2.0
    """A session this old was no fluke: the next failure starts again at `backoff_base`."""
    unanswered: float = 0.5
    """A call that takes longer is a reason to ask whether the server is still there."""
    slow_after: float = 1.0
    """A ping that takes longer is felt by callers, too. With `unanswered` it is less than the two seconds
    after which a row has to tell the truth."""
    health_timeout: float = 2.0
    """A ping that takes longer is not answered any more. Twice so, and the server is given up."""
    health_pause: float = 0.2
    """Between two questions, however suspicious the calls are."""
    subscribing: float = 1.0
    """The first listing waits this long for the subscription to changes; later it is made again after it."""
    listing_timeout: float = 10.0
    """A refresh runs beside the calls, so it may be slow, but not for ever."""
    refresh_every: float = 2.0
    """Some servers announce a change whenever they are listed: after a few, no more often than this."""
    sweep_after: float = 0.25
    """An answer that came just before the end of its session is still delivered; then calls are cut."""
    linger: float = 30.0
    """A server that only stopped listening may finish the calls it has (rolling restarts)."""
    courtesy: float = 1.0
    """Nobody waits for the answer to a cancellation."""
    last_chunk: float = 0.25
    """A body ends within a millisecond of its last event, or the server means to keep it open."""
    farewell: float = 0.5
    """The DELETE that ends an HTTP session, at a server that may be hanging."""
    eof_grace: float = 0.4
    """Stdio servers end by themselves when their stdin closes: an idle Python needs about 0.1 s."""
    term_grace: float = 0.4
    """After SIGTERM. With the others it stays below the 1.5 s that a kernel's shutdown leaves."""
    reap_timeout: float = 0.2
    """After SIGKILL, until the event loop has seen the end of the process."""
    close_timeout: float = 1.2
    """For everything that `close` waits for. A kernel's shutdown leaves 1.5 s in all."""


def backoff(attempt: int, rng: random.Random, pace: Pace) -> float:
    """Seconds before attempt number `attempt` (0 is the first): full jitter under a doubling ceiling."""
    ceiling = min(pace.backoff_cap, pace.backoff_base * 2.0 ** min(attempt, 30))
    return rng.uniform(0.0, ceiling)
