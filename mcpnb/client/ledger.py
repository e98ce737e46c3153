"""What a call leaves behind once it is over: rows of the log, telemetry, and `call_finished` for who listens.

It decides nothing and knows no connections: it is told how calls ended.
"""

from __future__ import annotations

from collections.abc import Callable

from mcpnb.client.cache import Hit
from mcpnb.client.telemetry import Telemetry
from mcpnb.metrics import AttemptLog, EventLog
from mcpnb.model import AttemptRecord, Event, Outcome, OutcomeKind
from mcpnb.routing import Finish
from mcpnb.routing.call import Call

CALL_FINISHED = "call_finished"


class Ledger:
    """Writes down the calls of one client.

    Args:
        log: A row per attempt, and one per call for which nothing was sent.
        events: Whoever listens for `call_finished`.
        telemetry: What OpenTelemetry is told.
        ended: Told of each attempt.
        skew: Seconds to add to routing's monotonic time for Unix time.
    """

    def __init__(
        self,
        log: AttemptLog,
        events: EventLog,
        telemetry: Telemetry,
        ended: Callable[[AttemptRecord], None],
        skew: float,
    ) -> None:
        self._log, self._events, self._telemetry = log, events, telemetry
        self._ended, self._skew = ended, skew

    def finished(self, finish: Finish) -> None:
        """A call is over: a row for each attempt, in the order in which they ended."""
        self._telemetry.finished(finish)
        call, outcome = finish.call, finish.outcome
        answered = call.answered
        for record in call.ended:
            self._ended(record)
            self._sent(record, outcome.size if record is answered else 0)
        if not call.ended:
            self._unsent(call, outcome)
        if self._events.heard(CALL_FINISHED):
            last = answered or (call.ended[-1] if call.ended else None)
            self._tell(call, outcome.kind, last.attempt.server if last else None, _words(outcome))

    def _sent(self, record: AttemptRecord, size: int) -> None:
        attempt = record.attempt
        self._log.append(
            call=attempt.request,
            attempt=attempt.number,
            started_at=attempt.sent_at + self._skew,
            tool=attempt.tool,
            server=attempt.server,
            strategy=attempt.strategy,
            outcome=record.outcome,
            latency=record.latency,
            queued=attempt.queued,
            hedge=attempt.hedge,
            cached=False,
            size=size,
            error=record.error,
        )

    def _unsent(self, call: Call, outcome: Outcome) -> None:
        """A call that was never sent is a row too: attempt 0, no server, all of its time spent waiting."""
        self._log.append(
            call=call.request.id,
            attempt=0,
            started_at=call.arrived + self._skew,
            tool=call.tool,
            server="",
            strategy="",
            outcome=outcome.kind,
            latency=float("nan"),
            queued=_total(call),
            hedge=False,
            cached=False,
            size=0,
            error=_words(outcome),
        )

    def kept(self, call: Call, hit: Hit) -> None:
        """A call got the answer of another: a row of attempt 0, with the server whose answer it was."""
        kind: OutcomeKind = "tool_error" if hit.raw.is_error else "ok"
        self._log.append(
            call=call.request.id,
            attempt=0,
            started_at=call.arrived + self._skew,
            tool=hit.tool,
            server=hit.server,
            strategy="",
            outcome=kind,
            latency=_total(call),
            queued=0.0,
            hedge=False,
            cached=True,
            size=hit.bytes,
            error="",
        )
        self._telemetry.kept(call, hit.server, kind)
        if self._events.heard(CALL_FINISHED):
            self._tell(call, kind, hit.server, "", cached=True)

    def _tell(
        self, call: Call, kind: OutcomeKind, server: str | None, error: str, *, cached: bool = False
    ) -> None:
        took = _total(call)
        how = "from the cache" if cached else f"{call.sent} attempt{'' if call.sent == 1 else 's'}"
        detail = f"{call.tool}: {kind} after {took * 1000:.1f} ms, {how}{f' ({error})' if error else ''}"
        data: dict[str, object] = {
            "call": call.request.id,
            "tool": call.tool,
            "outcome": kind,
            "latency": took,
            "queued": sum(record.attempt.queued for record in call.ended),
            "attempts": call.sent,
            "hedges": call.hedges,
            "cached": cached,
            "error": error,
        }
        self._events.tell(Event(call.arrived + took + self._skew, CALL_FINISHED, server, detail, data))


def _total(call: Call) -> float:
    """Seconds from the call's arrival to its end."""
    return (call.arrived if call.finished is None else call.finished) - call.arrived


def _words(outcome: Outcome) -> str:
    return "" if outcome.error is None else str(outcome.error)
