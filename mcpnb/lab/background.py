"""Background traffic: calls that keep coming while you look at the dashboard or break a server.

It owns the pace and the count of the answers. It decides nothing about where calls go.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol, Self

from mcpnb.errors import McpnbError

__all__ = ["PLACES", "Submits", "Traffic", "traffic"]

PLACES = (
    "London", "Paris", "Tokyo", "Nairobi", "Sydney", "Oslo", "New York", "Lima", "Cairo", "Delhi",
    "Berlin", "Toronto", "Seoul", "Lagos", "Rome", "Auckland",
)  # fmt: skip
"""What traffic asks about when it is not told."""


class Submits(Protocol):
    """What traffic needs of a fleet (or of a fleet's view under other options)."""

    def submit(self, tool: str, arguments: Mapping[str, Any] | None = None, /) -> Future[Any]:
        """Start a call without waiting for it."""
        ...


def traffic(
    fleet: Submits,
    *,
    rate: float = 20.0,
    duration: float | None = None,
    tool: str = "weather.forecast",
    arguments: Iterable[Mapping[str, Any]] | None = None,
    seed: int = 0,
) -> Traffic:
    """Send calls in the background until `.stop()`, `duration` seconds have passed or the fleet is closed.

    Args:
        fleet: Who takes the calls.
        rate: Mean calls per second, at random times (Poisson), whatever the answers do.
        duration: Seconds; None goes on until stopped.
        tool: What is called.
        arguments: Sets of arguments, used in turn; cities by default.
        seed: Makes the times repeatable.
    """
    if not rate > 0:
        raise McpnbError(f"traffic needs a rate above 0 calls per second, not {rate!r}")
    if duration is not None and not duration > 0:
        raise McpnbError(f"traffic needs a duration above 0 seconds, not {duration!r}")
    if arguments is None:
        arguments = [{"location": place} for place in PLACES]
    turns = [dict(each) for each in arguments]
    if not turns:
        raise McpnbError("traffic needs at least one set of arguments")
    return Traffic(fleet, tool, turns, rate=rate, duration=duration, rng=random.Random(seed))


class Traffic:
    """Calls that are being sent. `.stop()` ends it; so does leaving it as a context manager."""

    def __init__(
        self,
        fleet: Submits,
        tool: str,
        turns: list[dict[str, Any]],
        *,
        rate: float,
        duration: float | None,
        rng: random.Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fleet, self._tool, self._turns, self._rate = fleet, tool, turns, rate
        self._duration, self._rng, self._clock = duration, rng, clock
        self._stopped = threading.Event()
        self._idle = threading.Condition()
        self._out: set[Future[Any]] = set()
        self.sent = 0
        """Calls sent so far."""
        self.answered = 0
        """Those that were answered."""
        self.failures: Counter[str] = Counter()
        """How many of them failed, by error."""
        self.refused: BaseException | None = None
        """Why no further call could be sent, such as a fleet that was closed."""
        self._thread = threading.Thread(target=self._run, name="mcpnb-traffic", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether calls are still being sent."""
        return self._thread.is_alive()

    @property
    def failed(self) -> int:
        """Calls that failed."""
        return sum(self.failures.values())

    def stop(self, timeout: float | None = 10.0) -> Traffic:
        """Send nothing more and wait up to `timeout` seconds for the answers that are still out."""
        self._stopped.set()
        return self.wait(timeout)

    def wait(self, timeout: float | None = None) -> Traffic:
        """Wait until the last call was sent and answered, at most `timeout` seconds for each of the two."""
        self._thread.join(timeout)
        with self._idle:
            self._idle.wait_for(lambda: not self._out, timeout)
        return self

    def let_pass(self, calls: int, timeout: float = 30.0) -> bool:
        """Wait until so many more calls have ended, well or not; False when `timeout` seconds pass first."""
        with self._idle:
            enough = self.answered + self.failed + calls
            return self._idle.wait_for(lambda: self.answered + self.failed >= enough, timeout)

    def _run(self) -> None:
        # Times of a Poisson process from the start on: a late call does not delay those behind it.
        began = due = self._clock()
        while self._duration is None or due - began < self._duration:
            if self._stopped.wait(max(0.0, due - self._clock())) or not self._send():
                return
            due += self._rng.expovariate(self._rate)

    def _send(self) -> bool:
        try:
            call = self._fleet.submit(self._tool, self._turns[self.sent % len(self._turns)])
        except (McpnbError, RuntimeError) as error:
            self.refused = error
            return False
        with self._idle:
            self.sent += 1
            self._out.add(call)
        call.add_done_callback(self._ended)
        return True

    def _ended(self, call: Future[Any]) -> None:
        kind = "cancelled" if call.cancelled() else _name_of(call.exception())
        with self._idle:
            self._out.discard(call)
            if kind:
                self.failures[kind] += 1
            else:
                self.answered += 1
            self._idle.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = f"running at {self._rate:g} calls/s" if self.running else "stopped"
        why = "".join(f", {count} {kind}" for kind, count in self.failures.most_common())
        end = f" ({self.refused})" if self.refused else ""
        return (
            f"<Traffic {state}: {self.sent} sent, {self.answered} answered, {self.failed} failed{why}>{end}"
        )


def _name_of(error: BaseException | None) -> str:
    return "" if error is None else type(error).__name__
