"""A fleet of servers that repeat the secrets they are given."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mcp.shared._otel
import opentelemetry.metrics._internal
import opentelemetry.trace
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import mcpnb

from .planting import PLANTED, SERVER, Lines, Planted, configuration, free_port


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """The URL of another origin, and what it was sent."""
    sent: list[str] = []

    class Noting(BaseHTTPRequestHandler):
        def handle(self) -> None:
            sent.append(self.rfile.readline().decode())

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Noting)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_address[1]}/mcp", sent
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, elsewhere: tuple[str, list[str]]) -> Iterator[Path]:
    """A configuration with a secret in every place, and the HTTP servers that it speaks of."""
    port = free_port()
    command = [sys.executable, str(SERVER), "http", str(port)]
    environ = {**os.environ, "ELSEWHERE": elsewhere[0]}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        folder = tmp_path_factory.mktemp("planted")
        (folder / "secret.txt").write_text(PLANTED["file"])
        path = folder / "mcp.json"
        path.write_text(json.dumps(configuration(f"127.0.0.1:{port}")))
        yield path
        running.kill()


@pytest.fixture(scope="module")
def spans() -> Iterator[InMemorySpanExporter]:
    """All that is traced meanwhile, by us and by the SDK, which keeps its tracer for good."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opentelemetry.trace, "_TRACER_PROVIDER", provider)
        patch.setattr(mcp.shared._otel, "_tracer", provider.get_tracer("mcp-python-sdk"))
        yield exporter
    provider.shutdown()


@pytest.fixture(scope="module")
def metrics() -> Iterator[InMemoryMetricReader]:
    """All that is measured meanwhile."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opentelemetry.metrics._internal, "_METER_PROVIDER", provider)
        yield reader
    provider.shutdown()


@pytest.fixture(scope="module")
def planted(
    file: Path,
    elsewhere: tuple[str, list[str]],
    spans: InMemorySpanExporter,
    metrics: InMemoryMetricReader,
) -> Iterator[Planted]:
    handler = Lines()
    before = logging.root.level
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.NOTSET)
    try:
        with mcpnb.connect(
            file, name="planted", ask=lambda _: PLANTED["input"], token=PLANTED["fleet"], seed=1
        ) as fleet:
            yield Planted(fleet, file, handler.lines, elsewhere[1])
    finally:
        logging.root.setLevel(before)
        logging.root.removeHandler(handler)


@pytest.fixture(scope="module")
def failures(planted: Planted) -> list[BaseException]:
    """What came of calls that went wrong in every way there is, the last of them where nobody answered."""
    fleet = planted.fleet
    caught: list[BaseException] = []

    def attempt(call: Callable[..., object], *args: object) -> None:
        try:
            call(*args)
        except mcpnb.McpnbError as error:
            caught.append(error)

    for server in ("child", "web", "events", "user", "shared", "plain"):
        attempt(fleet.options(server=server).call, "gossip")
        attempt(fleet.options(server=server).call, "fail")
        attempt(fleet.options(server=server).call, "refuse")
    for server in ("dying", "denied", "broken", "moved", "nobody"):
        attempt(fleet.options(server=server).call, "know")
    attempt(fleet.gather, "fail")
    attempt(fleet.call, "no.such.tool")
    return caught
