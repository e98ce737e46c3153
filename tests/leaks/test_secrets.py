"""Wherever a person or a file could see something, planted secrets are looked for: none may be there.

The servers of these tests repeat all they were given. An answer that is no error is data and is not changed;
everything else that a server says goes through redaction.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import mcpnb
from mcpnb import cli
from mcpnb.model import Event

from .planting import BASIC, PLANTED, Planted, found

pytestmark = pytest.mark.filterwarnings("ignore:The logging capability is deprecated")


def shown(value: Any) -> str:
    """All the ways in which a notebook or a print shows a value."""
    bundle = getattr(value, "_repr_mimebundle_", None)
    html = getattr(value, "_repr_html_", None)
    return "\n".join([repr(value), str(value), str(bundle() if bundle else ""), str(html() if html else "")])


def test_the_servers_were_given_their_secrets_and_no_others(planted: Planted) -> None:
    known = {
        server: set(found(planted.fleet.options(server=server).call("know").text))
        for server in ("child", "web", "events", "user", "shared", "plain")
    }
    assert known == {
        "child": {"env", "argument", "input", "file"},
        "web": {"header", "token", "query"},
        "events": {"header", "token"},
        "user": {"header", "basic", "query"},
        "shared": {"shared"},
        "plain": {"fleet"},
    }


def test_a_redirect_to_another_origin_takes_nothing_along(planted: Planted) -> None:
    status = {s.server: s for s in planted.fleet.status()}["moved"]
    assert status.state != "connected"
    assert planted.elsewhere == []


def test_errors_and_their_tracebacks_show_no_secret(
    failures: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(failures) == 6 * 2 + 5 + 2
    for error in failures:
        assert found(shown(error)) == []
        assert found(str(vars(error))) == []
        assert found("".join(traceback.format_exception(error))) == []
        assert isinstance(error, mcpnb.McpnbError)
        assert found("".join(error._render_traceback_())) == []
        mcpnb.tb()
    assert found(capsys.readouterr().out) == []


def test_what_a_tool_says_of_its_failure_is_kept_but_for_the_secrets(failures: list[BaseException]) -> None:
    said = [str(error) for error in failures if isinstance(error, mcpnb.ToolError)]
    assert len(said) == 6 * 2
    assert all("argv=" in text and "•••" in text for text in said)


def test_frames_show_no_secret(planted: Planted, failures: list[BaseException]) -> None:
    fleet = planted.fleet
    frames = {
        name: getattr(fleet, name)
        for name in ("servers", "tools", "calls", "events", "conflicts", "breakers")
    }
    frames["latency"] = fleet.latency(by=["server", "tool"])
    assert len(failures) <= len(frames["calls"])
    for name, frame in frames.items():
        assert found(frame.to_csv() + frame.to_html() + repr(frame.to_dict())) == [], name


def test_events_and_statuses_show_no_secret(planted: Planted, failures: list[BaseException]) -> None:
    assert failures
    said: list[Event] = list(planted.fleet.client.events.snapshot())
    assert {"server_state", "server_log"} <= {event.kind for event in said}
    for event in said:
        assert found(f"{event!r} {event.data}") == []
    for status in planted.fleet.status():
        assert found(repr(status)) == []
    dying = next(status for status in planted.fleet.status() if status.server == "dying")
    assert any("cannot start with" in line and "•••" in line for line in dying.stderr)


def test_reprs_show_no_secret(planted: Planted, failures: list[BaseException]) -> None:
    fleet, client = planted.fleet, planted.fleet.client
    things = [
        fleet, fleet.options(server="web"), fleet.aio, client, client.options(server="web"), client.addresses,
        client.configs, *client.configs, *client.members.connections.values(), fleet.dashboard(),
        *(config.headers for config in client.configs), *(config.env for config in client.configs), *failures,
    ]  # fmt: skip
    for thing in things:
        assert found(shown(thing)) == [], type(thing)


def test_results_of_failed_calls_and_what_explains_them_show_no_secret(planted: Planted) -> None:
    for server in ("child", "web", "user"):
        view = planted.fleet.options(server=server, raise_on_error=False)
        result = view.call("fail")
        assert not result.ok
        for thing in (result, result.explain(), result.raw, result.text, result.value):
            assert found(shown(thing)) == []
    assert found(shown(planted.fleet.call("gossip").explain())) == []


def test_no_logger_of_any_library_writes_a_secret_even_at_debug_level(
    planted: Planted, failures: list[BaseException]
) -> None:
    assert failures
    said = {line.partition(":")[0] for line in planted.lines}
    assert {"httpx2", "httpcore2.http11", "mcp.client.streamable_http"} <= said
    for line in list(planted.lines):
        assert found(line) == []
    assert any("/mcp?api_key=•••" in line for line in planted.lines if line.startswith("httpx2"))


def test_no_span_of_ours_or_of_the_sdk_holds_a_secret_and_no_metric_does(
    spans: InMemorySpanExporter, metrics: InMemoryMetricReader, failures: list[BaseException]
) -> None:
    assert failures
    told = spans.get_finished_spans()
    assert {span.instrumentation_scope.name for span in told} == {"mcpnb", "mcp-python-sdk"}
    for span in told:
        assert found(span.to_json()) == [], span.name
    measured = metrics.get_metrics_data().to_json()
    assert all(name in measured for name in ("mcpnb.call.duration", "mcp.client.operation.duration"))
    assert found(measured) == []


def test_a_recording_holds_no_secret_even_where_a_tool_answers_with_it(
    planted: Planted, spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    """An answer is data and comes as it is; but files are shown around, so in them secrets are hidden."""
    path = tmp_path / "session.jsonl"
    with planted.fleet.record(path):
        for server in ("child", "web", "events", "user", "shared", "plain"):
            view = planted.fleet.options(server=server, raise_on_error=False)
            assert found(view.call("know").text) != []
            view.call("fail")
            with pytest.raises(mcpnb.McpnbError):
                view.call("refuse")
            with pytest.raises(mcpnb.McpnbError):
                planted.fleet.options(server="denied", retries=0).call("know")
    text = path.read_text()
    assert found(text) == []
    assert [found(repr(json.loads(line))) for line in text.splitlines()] == [[]] * len(text.splitlines())
    assert "argv=['--token', '•••'" in text
    recording = mcpnb.Recording.load(path)
    for frame in (recording.calls, recording.servers, recording.tools):
        assert found(frame.to_csv() + frame.to_html()) == []
    assert found(shown(recording)) == []
    with mcpnb.replay(path) as again:
        assert "•••" in again.options(server="child").call("know").text
        assert found(shown(again) + again.servers.to_csv()) == []
    assert found("".join(span.to_json() for span in spans.get_finished_spans())) == []


def without_questions(planted: Planted, folder: Path, *servers: str) -> str:
    """The same configuration for a command that nobody is there to answer, with these servers or all."""
    document = json.loads(planted.file.read_text())
    del document["servers"]["child"]["args"][-2:], document["servers"]["dying"]["args"][-2:]
    if servers:
        document["servers"] = {server: document["servers"][server] for server in servers}
    path = folder / "mcp.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_the_command_shows_no_secret(planted: Planted, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mcpnb.cli", "status", without_questions(planted, tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert found(done.stdout + done.stderr) == []
    assert "•••" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "server"),
    [(["status", "--json"], "dying"), (["call", "web:fail"], "web"), (["call", "child:refuse"], "child")],
)
def test_no_command_line_shows_a_secret(
    planted: Planted, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], server: str
) -> None:
    command, *more = arguments
    assert cli.main([command, without_questions(planted, tmp_path, server), *more]) == 1
    said = "".join(capsys.readouterr())
    assert found(said) == []
    assert "•••" in said or "\\u2022" in said


CELLS = """
import mcpnb, logging
logging.basicConfig(level=0)
fleet = mcpnb.connect({file!r}, ask=lambda _: {answer!r}, token={fleet!r})
fleet
---
fleet.servers
---
fleet.events
---
fleet.options(server="web").call("fail")
---
mcpnb.tb()
---
fleet.options(server="child").call("refuse")
---
mcpnb.tb()
---
fleet.dashboard()
---
fleet.client.configs
---
mcpnb.connect({file!r})
---
fleet.options(server="child", raise_on_error=False).call("fail").explain()
---
fleet.calls
---
fleet.close()
"""


def test_a_notebook_that_was_run_and_saved_holds_no_secret(planted: Planted) -> None:
    hidden = planted.file.with_name("answers.py")
    hidden.write_text(f"ANSWER, FLEET = {PLANTED['input']!r}, {PLANTED['fleet']!r}\n")
    first = (
        f"import sys; sys.path.insert(0, {str(planted.file.parent)!r}); from answers import ANSWER, FLEET\n"
    )
    text = CELLS.replace("{answer!r}", "ANSWER").replace("{fleet!r}", "FLEET")
    cells = [
        nbformat.v4.new_code_cell(cell.strip()) for cell in text.format(file=str(planted.file)).split("---")
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(first), *cells])
    NotebookClient(notebook, timeout=60, allow_errors=True).execute()
    saved = io.StringIO()
    nbformat.write(notebook, saved)
    assert "says: Error executing tool fail" in saved.getvalue()
    assert "refused: argv=" in saved.getvalue()
    assert "asks for the input 'key', and nobody can answer" in saved.getvalue()
    assert found(saved.getvalue()) == []


def test_the_search_itself_finds_every_form_of_every_secret() -> None:
    for place, secret in PLANTED.items():
        assert found(f"x{secret}y") == [place]
    assert found("planted%20query%2F7F3a9C planted%20user/7F3a9C") == ["user", "query"]
    assert found(f"Basic {BASIC}") == ["basic"]
