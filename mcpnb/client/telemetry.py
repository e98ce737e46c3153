"""Calls as OpenTelemetry sees them: one span around the SDK's own for each call, and metrics.

It owns the names of spans, attributes and instruments: the semantic conventions' for MCP where these have
one, ours (`mcpnb.`) where they have none. It knows no exporter and no sampling, and imports nothing of
OpenTelemetry's SDK; while no provider is set a call costs a look. Arguments, answers and the words of a tool
never become attributes: they may be secret.

    tools/call NAME                     ours: the whole call, retries and waiting included
      ├─ event mcpnb.attempt            one per attempt, at its end: server, outcome, reason
      └─ MCP send tools/call NAME       the SDK's: one per attempt, with the server's span beneath it
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from mcpnb.client.attributes import (
    Attributes,
    attempt_attributes,
    call_attributes,
    failure,
    is_resource,
    place,
    reason,
    sent,
    span_name,
)
from mcpnb.errors import McpnbError, ToolError
from mcpnb.model import Attempt, AttemptRecord, Outcome, OutcomeKind, Request
from mcpnb.routing import Finish
from mcpnb.routing.call import Call

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.trace import Span, Tracer

    from mcpnb.connection import Connection, ConnectionPool

__all__ = ["CallSpan", "Telemetry"]

SCOPE = "mcpnb"
"""The instrumentation scope of all that is told from here."""

_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds: the bounds that the semantic conventions give for durations of MCP requests."""

_OWN_CLASSES = ("opentelemetry.trace", "opentelemetry.metrics")


class Telemetry:
    """Tells OpenTelemetry of one client's calls, as soon as a provider is set.

    Args:
        fleet: The client's name.
        connections: Server → connection, as they are now.
        in_flight: Attempts that are out at a server.
        clock: The monotonic seconds in which routing counts.
    """

    def __init__(
        self,
        fleet: str,
        connections: Mapping[str, Connection | ConnectionPool],
        in_flight: Callable[[str], int],
        clock: Callable[[], float],
    ) -> None:
        self.fleet, self.connections, self.in_flight, self.clock = fleet, connections, in_flight, clock
        self._open: dict[int, CallSpan] = {}
        _clients.add(self)

    def span(self, request: Request) -> CallSpan | None:
        """The span of a call that begins now, to be entered around it; None while nobody traces."""
        outlet = _outlet()
        outlet.look()
        return None if outlet.tracer is None else CallSpan(self, outlet.tracer, request, self.clock())

    def opened(self, request: int, span: CallSpan | None) -> None:
        """A call's span was entered, or left (None)."""
        if span is None:
            self._open.pop(request, None)
        else:
            self._open[request] = span

    def finished(self, finish: Finish) -> None:
        """A call is over, whoever still waits for it."""
        instruments = _outlet().instruments  # as of the last look, at the beginning of some call
        if instruments is not None:
            instruments.count(self, finish, {})
        if self._open and (span := self._open.get(finish.call.request.id)) is not None:
            span.conclude(finish)

    def kept(self, call: Call, server: str, kind: OutcomeKind) -> None:
        """A call was answered with what `server` had said before: nothing was sent."""
        outlet, finish = _outlet(), Finish(call, Outcome(kind))
        outlet.look()
        told: Attributes = {"mcpnb.cached": True, "mcpnb.server": server}
        if outlet.instruments is not None:
            outlet.instruments.count(self, finish, told)
        if outlet.tracer is not None:
            CallSpan(self, outlet.tracer, call.request, call.arrived, told).conclude(finish)

    def place(self, server: str) -> Mapping[str, str | int]:
        """Where a server is reached, as attributes; empty when it has left."""
        connection = self.connections.get(server)
        if connection is None:
            return {}
        return place(connection.transport, connection.config.url or "", connection.protocol or "")


class CallSpan:
    """The span of one call: current in the caller's task while the call runs, ended when routing ends it."""

    __slots__ = ("_began", "_began_unix", "_ended", "_request", "_span", "_telemetry", "_token")

    def __init__(
        self,
        telemetry: Telemetry,
        tracer: Tracer,
        request: Request,
        began: float,
        told: Attributes | None = None,
    ) -> None:
        self._telemetry, self._request, self._began, self._ended = telemetry, request, began, False
        self._began_unix = time.time_ns() - int((telemetry.clock() - began) * 1e9)
        attributes: Attributes = {
            **call_attributes(request.tool),
            "mcpnb.fleet": telemetry.fleet,
            "mcpnb.call": request.id,
            **(told or {}),
        }
        self._span: Span = tracer.start_span(
            span_name(attributes), attributes=attributes, start_time=self._began_unix
        )
        self._token: Token[Context] | None = None

    def __enter__(self) -> Self:
        from opentelemetry import context, trace  # noqa: PLC0415 - not before somebody traces

        self._token = context.attach(trace.set_span_in_context(self._span))
        self._telemetry.opened(self._request.id, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        from opentelemetry import context  # noqa: PLC0415 - as above

        self._telemetry.opened(self._request.id, None)
        if self._token is not None:
            context.detach(self._token)
        if not self._ended:
            self._end(self._telemetry.clock())

    def conclude(self, finish: Finish) -> None:
        """Say how the call ended."""
        if self._span.is_recording():
            self._tell(finish)
        self._end(finish.call.finished or self._telemetry.clock())

    def _tell(self, finish: Finish) -> None:
        records, outcome = finish.call.ended, finish.outcome
        for record in records:
            at = self._unix(record.attempt.sent_at + record.latency + record.asked)
            self._span.add_event("mcpnb.attempt", attempt_attributes(record), at)
        self._span.set_attribute("mcpnb.attempts", finish.call.sent)
        self._span.set_attribute("mcpnb.outcome", outcome.kind)
        last = _decisive(finish.call)
        if last is not None:
            self._span.set_attributes({**sent(last), **self._telemetry.place(last.server)})
        wrong = failure(outcome)
        if wrong:
            self._span.set_attributes(wrong)
            self._fail(outcome)

    def _fail(self, outcome: Outcome) -> None:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - not before somebody traces

        # What a tool or a server answered may be secret; our own words are redacted where they are made. But
        # those about a resource name its address, and parts of that may be arguments.
        ours = isinstance(outcome.error, McpnbError) and not isinstance(outcome.error, ToolError)
        ours = ours and not is_resource(self._request.tool)
        self._span.set_status(StatusCode.ERROR, str(outcome.error) if ours else None)

    def _unix(self, at: float) -> int:
        """Monotonic seconds as nanoseconds of Unix time: one reading of both clocks per call."""
        return self._began_unix + int((at - self._began) * 1e9)

    def _end(self, at: float) -> None:
        self._ended = True
        self._span.end(self._unix(at))


class _Instruments:
    """What is counted and measured, for all clients of this process."""

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter(SCOPE)
        self._requests = meter.create_histogram(
            "mcp.client.operation.duration",
            unit="s",
            description="One attempt: from sending a request until its answer, but for a person's time.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self._calls = meter.create_histogram(
            "mcpnb.call.duration",
            unit="s",
            description="One call: waiting, retries and hedges included.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self._attempts = meter.create_counter(
            "mcpnb.attempts",
            unit="{attempt}",
            description="Attempts that ended; `mcpnb.attempt.reason` tells first ones, retries and hedges.",
        )
        meter.create_observable_up_down_counter(
            "mcpnb.attempts.in_flight",
            callbacks=[_in_flight],
            unit="{attempt}",
            description="Attempts that are out at a server.",
        )

    def count(self, telemetry: Telemetry, finish: Finish, told: Attributes) -> None:
        """Take in a call that is over, with what there is to say of it beside how it ended."""
        call, outcome = finish.call, finish.outcome
        common: Attributes = {**call_attributes(call.request.tool), "mcpnb.fleet": telemetry.fleet, **told}
        for record in call.ended:
            self._count_attempt(record, common, telemetry.place(record.attempt.server))
        last = _decisive(call)
        if last is not None:
            common |= {"mcpnb.server": last.server, "mcpnb.strategy": last.strategy}
        common["mcpnb.outcome"] = outcome.kind
        total = (call.finished or call.arrived) - call.arrived
        self._calls.record(total, {**common, **failure(outcome)})

    def _count_attempt(
        self, record: AttemptRecord, common: Attributes, place: Mapping[str, str | int]
    ) -> None:
        # A stand-in is another tool than the one that was asked for.
        asked = call_attributes(record.attempt.tool)
        server = {**common, **asked, "mcpnb.server": record.attempt.server}
        wrong = failure(Outcome(record.outcome))
        self._requests.record(record.latency, {**server, **place, **wrong})
        told = {"mcpnb.outcome": record.outcome, "mcpnb.attempt.reason": reason(record.attempt)}
        self._attempts.add(1, {**server, **told})


class _Outlet:
    """The tracer and the instruments of the providers that are set: made anew when others are."""

    def __init__(self) -> None:
        from opentelemetry import metrics, trace  # noqa: PLC0415 - `import mcpnb` stays light
        from opentelemetry.metrics import _internal  # noqa: PLC0415 - as above

        self._read_tracing = _reader(trace, "_TRACER_PROVIDER", trace.get_tracer_provider)
        self._read_metering = _reader(_internal, "_METER_PROVIDER", metrics.get_meter_provider)
        self._tracing: object = None
        self._metering: object = None
        self.tracer: Tracer | None = None
        self.instruments: _Instruments | None = None

    def look(self) -> None:
        """Take in a provider that was set since the last look."""
        tracing, metering = self._read_tracing(), self._read_metering()
        if tracing is not self._tracing:
            self._tracing = tracing
            self.tracer = tracing.get_tracer(SCOPE) if _real(tracing) else None
        if metering is not self._metering:
            self._metering = metering
            self.instruments = _Instruments(metering) if _real(metering) else None


_outlet = cache(_Outlet)
"""Providers are the process's, and an observed instrument may be made once for each."""

_clients: weakref.WeakSet[Telemetry] = weakref.WeakSet()
"""Whose attempts in flight are observed."""


def _decisive(call: Call) -> Attempt | None:
    """The attempt that was answered, else the one that ended last; None when none was sent."""
    record = call.answered or (call.ended[-1] if call.ended else None)
    return None if record is None else record.attempt


def _reader(module: ModuleType, name: str, public: Callable[[], Any]) -> Callable[[], Any]:
    """What reads a provider. The API's own function looks into the environment each time, for 1 to 2 µs."""
    public()  # a provider that the environment names is set by this
    return partial(getattr, module, name) if hasattr(module, name) else public


def _real(provider: object) -> bool:
    """Whether a provider does anything: the API's own classes only hold its place."""
    return provider is not None and not type(provider).__module__.startswith(_OWN_CLASSES)


def _in_flight(_: CallbackOptions) -> Iterable[Observation]:
    from opentelemetry.metrics import Observation  # noqa: PLC0415 - not before somebody measures

    for client in list(_clients):
        for server in list(client.connections):
            attributes = {"mcpnb.fleet": client.fleet, "mcpnb.server": server}
            yield Observation(client.in_flight(server), attributes)
