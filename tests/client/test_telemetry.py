"""What OpenTelemetry is told of calls: through its in-memory exporter, and by OTLP to a receiver nearby."""

from __future__ import annotations

import asyncio
import gzip
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import mcp.shared._otel
import opentelemetry.metrics._internal
import opentelemetry.trace
import pytest
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError as ServerToolError
from mcp_types import ToolAnnotations
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import mcpnb
from mcpnb import MultiServerClient
from mcpnb.client.driver import Driver
from mcpnb.client.telemetry import Telemetry
from mcpnb.errors import ConnectError
from mcpnb.model import Attempt, Endpoint, Outcome, Request
from mcpnb.routing import Dispatcher, Finish

pytestmark = pytest.mark.anyio

SERVER = """
import sys
from opentelemetry import trace
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("tracing", log_level="ERROR")

@server.tool()
async def seen(ctx: Context) -> dict[str, str]:
    meta = ctx.request_context.meta or {}
    span = trace.get_current_span().get_span_context()
    return {"meta": meta.get("traceparent", ""), "current": format(span.trace_id, "032x")}

def serve(kind, port):
    import uvicorn
    app = server.sse_app() if kind == "sse" else server.streamable_http_app()
    class Announcing(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets=sockets)
            print(self.servers[0].sockets[0].getsockname()[1], flush=True)
    Announcing(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error")).run()

if __name__ == "__main__":
    server.run("stdio") if sys.argv[1] == "stdio" else serve(sys.argv[1], 0)
"""
"""It has no telemetry of its own configured: what it sees, it was sent."""

Spans = InMemorySpanExporter


def use_tracing(monkeypatch: pytest.MonkeyPatch, provider: TracerProvider) -> None:
    """Set the process's provider for one test, for us and for the SDK, which keeps its tracer for good."""
    monkeypatch.setattr(opentelemetry.trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setattr(mcp.shared._otel, "_tracer", provider.get_tracer("mcp-python-sdk"))


@pytest.fixture
def spans(monkeypatch) -> Iterator[Spans]:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    use_tracing(monkeypatch, provider)
    yield exporter
    provider.shutdown()


@pytest.fixture
def metrics(monkeypatch) -> Iterator[InMemoryMetricReader]:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr(opentelemetry.metrics._internal, "_METER_PROVIDER", provider)
    yield reader
    provider.shutdown()


def ours(spans: Spans) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.instrumentation_scope.name == "mcpnb"]


def points(reader: InMemoryMetricReader, name: str) -> list:
    data = reader.get_metrics_data()
    return [
        point
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
    ]


def server(name: str = "alpha") -> MCPServer:
    made = MCPServer(name, log_level="ERROR")

    @made.tool()
    async def seen(ctx: Context) -> dict[str, str]:
        span = opentelemetry.trace.get_current_span().get_span_context()
        return {"current": format(span.trace_id, "032x")}

    @made.tool()
    async def fail(reason: str) -> str:
        raise ServerToolError(f"not with {reason}")

    @made.tool()
    async def wait() -> str:
        await asyncio.Event().wait()
        return "never"

    return made


async def test_a_call_is_one_span_with_server_strategy_attempt_outcome_and_tool(spans):
    async with MultiServerClient({"alpha": server()}, name="lab", strategy="round_robin") as client:
        result = await client.call("seen")
    (span,) = ours(spans)
    assert (span.name, span.kind, span.status.status_code) == (
        "tools/call seen",
        SpanKind.INTERNAL,
        StatusCode.UNSET,
    )
    told = dict(span.attributes)
    assert told.pop("mcpnb.queued") >= 0
    assert told == {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": "2026-07-28",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "seen",
        "mcpnb.fleet": "lab",
        "mcpnb.call": 1,
        "mcpnb.server": "alpha",
        "mcpnb.strategy": "round_robin",
        "mcpnb.attempt": 1,
        "mcpnb.attempts": 1,
        "mcpnb.outcome": "ok",
    }
    # It begins before the call arrives and ends after it is over; a microsecond is the clocks' rounding.
    assert span.end_time - span.start_time >= result.latency * 1e9 - 1e3


async def test_calls_from_within_a_callers_span_belong_to_it_and_to_nothing_else(spans):
    tracer = opentelemetry.trace.get_tracer("notebook")
    async with MultiServerClient({"alpha": server()}) as client:
        with tracer.start_as_current_span("cell") as cell:
            await asyncio.gather(client.call("seen"), client.call("seen"))
            assert opentelemetry.trace.get_current_span() is cell
        await client.call("seen")
    parents = [span.parent and span.parent.span_id for span in ours(spans)]
    assert parents == [cell.get_span_context().span_id] * 2 + [None]


async def check_what_the_server_sees(spans: Spans, source, transport: dict[str, object]) -> None:
    async with MultiServerClient({"far": source}) as client:
        value = (await client.call("seen")).value
    (span,) = ours(spans)
    assert transport.items() <= dict(span.attributes).items()
    (sent,) = [s for s in spans.get_finished_spans() if s.name == "MCP send tools/call seen"]
    assert sent.parent.span_id == span.context.span_id
    trace, parent = format(span.context.trace_id, "032x"), sent.context
    assert value == {"meta": f"00-{trace}-{parent.span_id:016x}-{parent.trace_flags:02x}", "current": trace}


async def test_the_trace_reaches_a_server_over_stdio(spans, tmp_path):
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    source = [sys.executable, str(script), "stdio"]
    await check_what_the_server_sees(spans, source, {"network.transport": "pipe"})


@pytest.fixture(params=["http", "sse"])
def web(request, tmp_path) -> Iterator[tuple[str, int]]:
    """A server in a process of its own: its kind and its port."""
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    command = [sys.executable, str(script), request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield request.param, int(process.stdout.readline())
        process.kill()


async def test_the_trace_reaches_a_server_over_http(web, spans):
    kind, port = web
    source = {"url": f"http://127.0.0.1:{port}/{'sse' if kind == 'sse' else 'mcp'}", "type": kind}
    expected = {"network.transport": "tcp", "server.address": "127.0.0.1", "server.port": port}
    await check_what_the_server_sees(spans, source, expected)


async def test_the_trace_reaches_a_server_in_this_process(spans):
    async with MultiServerClient({"alpha": server()}) as client:
        value = (await client.call("seen")).value
    (span,) = ours(spans)
    assert value["current"] == format(span.context.trace_id, "032x")
    (served,) = [s for s in spans.get_finished_spans() if s.kind is SpanKind.SERVER and "seen" in s.name]
    assert served.parent.span_id == span.context.span_id


def test_a_synchronous_call_belongs_to_the_span_of_the_cell(spans):
    tracer = opentelemetry.trace.get_tracer("notebook")
    with mcpnb.connect({"alpha": server()}) as fleet, tracer.start_as_current_span("cell") as cell:
        fleet.call("seen")
        fleet.submit("seen").result()
    assert [span.parent.span_id for span in ours(spans)] == [cell.get_span_context().span_id] * 2


async def test_what_a_tool_refuses_is_an_error_and_neither_arguments_nor_answers_are_told(spans, metrics):
    async with MultiServerClient({"alpha": server()}) as client:
        with pytest.raises(mcpnb.ToolError, match="planted-secret"):
            await client.call("fail", reason="planted-secret")
    (span,) = ours(spans)
    assert span.attributes["error.type"] == span.attributes["mcpnb.outcome"] == "tool_error"
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    told = [s.to_json() for s in ours(spans)] + [metrics.get_metrics_data().to_json()]
    assert not any("planted-secret" in text for text in told)


async def test_an_answer_from_the_cache_is_a_span_and_no_attempt(spans, metrics):
    kept, asked = MCPServer("alpha", log_level="ERROR"), []

    @kept.tool(annotations=ToolAnnotations(read_only_hint=True))
    async def count() -> int:
        asked.append(1)
        return 7

    async with MultiServerClient({"alpha": kept}, cache=True) as client:
        await client.call("count")
        assert (await client.call("count")).cached
    first, second = ours(spans)
    assert "mcpnb.cached" not in first.attributes
    assert (second.attributes["mcpnb.cached"], second.attributes["mcpnb.attempts"]) == (True, 0)
    assert (second.attributes["mcpnb.server"], second.attributes["mcpnb.outcome"]) == ("alpha", "ok")
    assert sum(point.value for point in points(metrics, "mcpnb.attempts")) == len(asked) == 1
    calls = {p.attributes.get("mcpnb.cached"): p.count for p in points(metrics, "mcpnb.call.duration")}
    assert calls == {None: 1, True: 1}


async def test_a_call_past_its_deadline_says_so_in_our_words(spans):
    async with MultiServerClient({"alpha": server()}) as client:
        with pytest.raises(mcpnb.CallTimeout) as caught:
            await client.options(timeout=0.02).call("wait")
    (span,) = ours(spans)
    assert (span.attributes["error.type"], span.attributes["mcpnb.outcome"]) == ("timeout", "timeout")
    assert span.status.description == str(caught.value)


async def test_a_call_that_its_caller_gives_up_is_cancelled_and_no_error(spans):
    entered, told = asyncio.Event(), server()

    @told.tool()
    async def enter() -> None:
        entered.set()
        await asyncio.Event().wait()

    async with MultiServerClient({"alpha": told}) as client:
        call = asyncio.create_task(client.call("enter"))
        await entered.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    (span,) = ours(spans)
    assert span.attributes["mcpnb.outcome"] == "cancelled"
    assert "error.type" not in span.attributes
    assert span.status.status_code is StatusCode.UNSET
    assert not client._telemetry._open


async def test_a_call_that_nobody_can_take_is_a_span_that_says_why(spans):
    async with MultiServerClient({"alpha": server()}, tags=["blue"]) as client:
        with pytest.raises(mcpnb.NoServerAvailable):
            await client.options(tags={"red"}).call("seen")
    (span,) = ours(spans)
    assert (span.attributes["error.type"], span.attributes["mcpnb.attempts"]) == ("rejected", 0)
    assert "lacks the tag red" in span.status.description


class Scripted:
    """Two servers that answer in the order of a script, with telemetry around each call."""

    def __init__(self, *answers: Outcome | None) -> None:
        self.answers, self.traces = list(answers), []
        self.brain = Dispatcher("round_robin", rng=random.Random(0))
        for name in ("alpha", "beta"):
            self.brain.add(Endpoint(name))
        self.telemetry = Telemetry("lab", {}, self.brain.in_flight, time.monotonic)
        self.driver = Driver(self.brain, self.send, self.finished, print, time.monotonic)

    async def send(self, attempt: Attempt, job: None) -> Outcome:
        self.traces.append(opentelemetry.trace.get_current_span().get_span_context().trace_id)
        answer = self.answers.pop(0)
        if answer is None:
            await asyncio.Event().wait()
        return answer

    def finished(self, finish: Finish) -> None:
        self.telemetry.finished(finish)

    async def run(self, **fields: object) -> Finish:
        request = Request(1, "echo", ("alpha", "beta"), **fields)
        span = self.telemetry.span(request)
        if span is None:
            return await self.driver.run(request, None)
        with span:
            return await self.driver.run(request, None)


async def test_a_retry_is_an_event_with_its_server_and_outcome(spans, metrics):
    scripted = Scripted(Outcome("refused", error=ConnectError("alpha", "left")), Outcome("ok", 1))
    finish = await scripted.run()
    first, second = (record.attempt.server for record in finish.call.ended)
    (span,) = ours(spans)
    events = [
        tuple(event.attributes[f"mcpnb.{key}"] for key in ("attempt", "server", "outcome", "attempt.reason"))
        for event in span.events
    ]
    assert events == [(1, first, "refused", "first"), (2, second, "ok", "retry")]
    assert (span.attributes["mcpnb.server"], span.attributes["mcpnb.attempts"]) == (second, 2)
    assert all(span.start_time <= event.timestamp <= span.end_time for event in span.events)
    assert set(scripted.traces) == {span.context.trace_id}
    counted = {p.attributes["mcpnb.attempt.reason"]: p.value for p in points(metrics, "mcpnb.attempts")}
    assert counted == {"first": 1, "retry": 1}


async def test_a_hedge_is_an_event_and_its_attempt_belongs_to_the_same_trace(spans):
    scripted = Scripted(None, Outcome("ok", 1))
    await scripted.run(repeatable=True, hedge=0.01)
    (span,) = ours(spans)
    ended = {
        event.attributes["mcpnb.attempt.reason"]: event.attributes["mcpnb.outcome"] for event in span.events
    }
    assert ended == {"first": "cancelled", "hedge": "ok"}
    assert (span.attributes["mcpnb.attempt"], span.attributes["mcpnb.outcome"]) == (2, "ok")
    assert scripted.traces == [span.context.trace_id] * 2


async def test_documents_go_by_their_own_methods(spans, metrics):
    shelf = MCPServer("shelf", log_level="ERROR")

    @shelf.resource("note://{name}")
    def note(name: str) -> str:
        return f"about {name}"

    @shelf.prompt()
    def greeting(who: str) -> str:
        return f"Say hello to {who}."

    async with MultiServerClient({"shelf": shelf}) as client:
        await client.read("note://planted-secret")
        await client.prompt("greeting", who="Ada")
    read, prompted = ours(spans)
    assert (read.name, prompted.name) == ("resources/read", "prompts/get greeting")
    assert prompted.attributes["gen_ai.prompt.name"] == "greeting"
    assert "gen_ai.tool.name" not in {*read.attributes, *prompted.attributes}
    assert "planted-secret" not in read.to_json() + metrics.get_metrics_data().to_json()


async def test_a_resource_that_was_not_read_is_not_named_by_its_address(spans):
    shelf, reading = MCPServer("shelf", log_level="ERROR"), asyncio.Event()

    @shelf.resource("note://{name}")
    async def note(name: str) -> str:
        reading.set()
        return await asyncio.Event().wait()

    async with MultiServerClient({"shelf": shelf}) as client:
        read = asyncio.create_task(client.options(retries=0).read("note://planted-secret"))
        await reading.wait()
        await client.remove("shelf", drain=False)
        with pytest.raises(mcpnb.ServerDisconnected, match="note://planted-secret"):
            await read
    (span,) = ours(spans)
    assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, "disconnected")
    assert "planted-secret" not in span.to_json()


async def test_durations_are_measured_per_attempt_and_per_call(metrics):
    async with MultiServerClient({"alpha": server()}, name="lab") as client:
        for _ in range(3):
            await client.call("seen")
        with pytest.raises(mcpnb.ToolError):
            await client.call("fail", reason="x")
    requests = {p.attributes["gen_ai.tool.name"]: p for p in points(metrics, "mcp.client.operation.duration")}
    assert (requests["seen"].count, requests["fail"].count) == (3, 1)
    assert requests["seen"].attributes["mcpnb.server"] == "alpha"
    assert requests["fail"].attributes["error.type"] == "tool_error"
    calls = {p.attributes["gen_ai.tool.name"]: p for p in points(metrics, "mcpnb.call.duration")}
    assert calls["seen"].count == 3
    assert calls["seen"].sum >= requests["seen"].sum
    assert {p.attributes["mcpnb.outcome"] for p in calls.values()} == {"ok", "tool_error"}


async def test_attempts_in_flight_are_observed_per_server(metrics):
    entered, leave, waiting = asyncio.Event(), asyncio.Event(), server()

    @waiting.tool()
    async def stay() -> None:
        entered.set()
        await leave.wait()

    def observed() -> dict[str, int]:
        found = points(metrics, "mcpnb.attempts.in_flight")
        return {p.attributes["mcpnb.server"]: p.value for p in found if p.attributes["mcpnb.fleet"] == "busy"}

    source = {"alpha": waiting, "beta": server("beta")}
    async with MultiServerClient(source, name="busy") as client:
        await client.call("beta:seen")
        call = asyncio.create_task(client.call("stay"))
        await entered.wait()
        assert observed() == {"alpha": 1, "beta": 0}
        leave.set()
        await call
        assert observed() == {"alpha": 0, "beta": 0}


async def test_a_provider_that_is_set_later_is_told_from_then_on(monkeypatch):
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with MultiServerClient({"alpha": server()}) as client:
        await client.call("seen")
        assert client._telemetry.span(Request(99, "seen", ())) is None
        use_tracing(monkeypatch, provider)
        await client.call("seen")
    assert [span.attributes["mcpnb.call"] for span in ours(exporter)] == [2]
    provider.shutdown()


async def test_a_provider_of_the_api_itself_counts_as_none(monkeypatch):
    monkeypatch.setattr(opentelemetry.trace, "_TRACER_PROVIDER", opentelemetry.trace.NoOpTracerProvider())
    telemetry = Telemetry("lab", {}, lambda server: 0, time.monotonic)
    assert telemetry.span(Request(1, "echo", ())) is None


class Receiver(BaseHTTPRequestHandler):
    """An OTLP/HTTP receiver: keeps what is posted, decoded."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        traces = self.path == "/v1/traces"
        message = ExportTraceServiceRequest if traces else ExportMetricsServiceRequest
        self.server.received.append(message.FromString(body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as listening:
        listening.received = []
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


async def test_spans_and_metrics_arrive_at_an_otlp_receiver(receiver, monkeypatch):
    url = f"http://127.0.0.1:{receiver.server_port}/v1"
    tracing, never = TracerProvider(shutdown_on_exit=False), 3_600_000
    tracing.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{url}/traces")))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{url}/metrics"), never)
    metering = MeterProvider([reader], shutdown_on_exit=False)
    use_tracing(monkeypatch, tracing)
    monkeypatch.setattr(opentelemetry.metrics._internal, "_METER_PROVIDER", metering)
    async with MultiServerClient({"alpha": server()}) as client:
        await client.call("seen")
    await asyncio.to_thread(metering.shutdown)
    await asyncio.to_thread(tracing.shutdown)
    scopes = [
        scope
        for request in receiver.received
        for resource in getattr(request, "resource_spans", None) or request.resource_metrics
        for scope in (
            resource.scope_spans if isinstance(request, ExportTraceServiceRequest) else resource.scope_metrics
        )
        if scope.scope.name == "mcpnb"
    ]
    (span,) = [span for scope in scopes for span in getattr(scope, "spans", ())]
    told = {pair.key: pair.value for pair in span.attributes}
    assert (span.name, told["mcpnb.server"].string_value) == ("tools/call seen", "alpha")
    assert [event.name for event in span.events] == ["mcpnb.attempt"]
    assert {metric.name for scope in scopes for metric in getattr(scope, "metrics", ())} == {
        "mcp.client.operation.duration",
        "mcpnb.call.duration",
        "mcpnb.attempts",
        "mcpnb.attempts.in_flight",
    }
