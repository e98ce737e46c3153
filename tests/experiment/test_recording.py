"""The file: what is in it, what is not, and what becomes of damage."""

from __future__ import annotations

import asyncio
import errno
import json
from datetime import date
from typing import Annotated

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve
from pydantic import BaseModel

import mcpnb
from mcpnb.client.documents import Question
from mcpnb.errors import RecordingError
from mcpnb.experiment.recording import Recording, record
from mcpnb.experiment.recording.answers import arguments_of, dump_answer, dump_error, load_answer, load_error
from mcpnb.experiment.recording.discreet import discreet
from mcpnb.experiment.recording.protection import dump_resilience, load_resilience
from mcpnb.experiment.recording.writer import Writer

from .recorded import fleet


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """The lines of a small recording, as bytes."""
    path = tmp_path_factory.mktemp("lines") / "x.jsonl"
    with fleet() as f, f.record(path):
        for a in (1, 2, 3):
            f.call("add", a=a)
        f.gather("add", a=4)
        f.read("docs://x")
    return path.read_bytes().splitlines(keepends=True)


class City(BaseModel):
    name: str


async def which_city() -> Elicit[City]:
    return Elicit("Which city?", City)


def loaded(tmp_path, *lines):
    (tmp_path / "made.jsonl").write_bytes(b"".join(lines))
    return Recording.load(tmp_path / "made.jsonl")


# -- what is in it


def test_every_line_is_one_json_object_of_a_known_type_after_a_versioned_header(lines):
    first, *rest = (json.loads(line) for line in lines)
    assert (first["mcpnb"], first["version"], first["strategy"], first["replicas"]) == (
        "recording",
        1,
        "p2c",
        True,
    )
    assert [line["type"] for line in rest] == ["server"] * 2 + ["group"] + ["call"] * 3 + [
        "group",
        "call",
    ] * 2 + ["group", "call"] * 0 + ["call", "end"]


def test_the_time_that_a_person_took_is_written_apart_from_a_call_s_latency(tmp_path):
    server = MCPServer("asking", log_level="ERROR")

    @server.tool()
    async def book(city: Annotated[City, Resolve(which_city)]) -> str:
        return f"booked {city.name}"

    path = tmp_path / "asked.jsonl"
    asking = mcpnb.connect({"here": server}, on_elicit=lambda question: {"name": "Oslo"})
    with asking, asking.record(path):
        asking.call("book")
    _, *rest = map(json.loads, path.read_text().splitlines())
    (call,) = (line for line in rest if line["type"] == "call")
    (attempt,) = call["attempts"]
    assert call["asked"] == attempt["asked"] > 0
    assert Recording.load(path).calls["latency_ms"][0] == pytest.approx(1e3 * call["latency"])


def test_frames_say_what_was_recorded(lines, tmp_path):
    found = loaded(tmp_path, *lines)
    assert found.calls.columns.tolist() == [
        "call", "at_s", "started_at", "kind", "tool", "server", "strategy", "outcome", "latency_ms",
        "attempts", "hedges", "error",
    ]  # fmt: skip
    assert found.calls["kind"].tolist() == ["tool"] * 5 + ["resource"]
    assert isinstance(found.calls["started_at"].dtype, pd.DatetimeTZDtype)
    assert found.calls["latency_ms"].gt(0).all()
    assert found.servers["server"].tolist() == ["a", "b"]
    assert found.servers["calls"].sum() == 6
    assert set(found.tools["tool"]) == {"add", "echo", "refuse", "die", "wait", "turn"}
    assert found.tools["calls"].sum() == 5
    assert found.notes == ()
    assert repr(found).startswith("<Recording made.jsonl: 6 calls at 2 servers in ")
    bundle = found._repr_mimebundle_()
    assert "6 calls" in bundle["text/plain"]
    assert "<table>" in bundle["text/html"]


def test_an_empty_recording_has_the_same_columns(lines, tmp_path):
    empty = loaded(tmp_path, *lines[:3])
    full = loaded(tmp_path, *lines)
    for name in ("calls", "servers", "tools"):
        assert getattr(empty, name).columns.tolist() == getattr(full, name).columns.tolist()
    assert len(empty) == 0
    assert "it was cut off" in empty.notes[0]
    assert empty._repr_mimebundle_()


def test_names_from_a_hostile_file_are_shown_as_text(lines, tmp_path):
    evil = "<img src=x onerror=alert(1)>\u202e"
    made = [line.replace(b'"server":"a"', b'"server":' + json.dumps(evil).encode()) for line in lines]
    bundle = loaded(tmp_path, *made)._repr_mimebundle_()
    assert "<img" not in bundle["text/html"]
    assert "\u202e" not in bundle["text/html"] + bundle["text/plain"]


def test_servers_that_join_or_change_while_it_runs_are_in_it(tmp_path):
    from .recorded import server

    with fleet("a") as f, f.record(tmp_path / "x.jsonl"):
        f.call("add", a=1)
        f.add("late", server("late"))
        f.options(server="late").call("add", a=1)
        f.remove("late")
    found = Recording.load(tmp_path / "x.jsonl")
    assert found.servers["server"].tolist() == ["a", "late"]
    assert found.servers.set_index("server").loc["late", "tools"] == 6


def test_calls_at_once_are_a_whole_line_each(tmp_path):
    with fleet() as f, f.record(tmp_path / "x.jsonl") as running:
        futures = [f.submit("echo", value="x" * (i % 7) * 1000) for i in range(200)]
        for future in futures:
            future.result()
        assert running.calls == 200
    found = Recording.load(tmp_path / "x.jsonl")
    assert len(found) == 200
    assert found.calls["outcome"].unique().tolist() == ["ok"]


# -- its life


def test_it_runs_from_when_it_is_made_until_it_is_stopped(tmp_path):
    with fleet() as f:
        f.call("add", a=1)
        running = f.record(tmp_path / "x.jsonl")
        f.call("add", a=2)
        assert repr(running).startswith("<LiveRecording x.jsonl: 1 calls, ")
        running.stop()
        running.stop()
        f.call("add", a=3)
        assert running.calls == 1
        assert repr(running).endswith("stopped>")
    assert [call.stated.fields["arguments"] for call in Recording.load(tmp_path / "x.jsonl").each()] == [
        {"a": 2}
    ]


def test_closing_the_fleet_stops_it(tmp_path):
    f = fleet()
    running = f.record(tmp_path / "x.jsonl")
    f.call("add", a=1)
    f.close()
    assert "stopped" in repr(running)
    assert Recording.load(tmp_path / "x.jsonl").notes == ()


def test_what_is_there_is_not_overwritten_unless_asked(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("precious")
    with fleet() as f:
        with pytest.raises(RecordingError, match="overwrite=True"):
            f.record(path)
        assert path.read_text() == "precious"
        with f.record(path, overwrite=True):
            pass
        with pytest.raises(RecordingError, match="is no file"):
            f.record(tmp_path)
        with pytest.raises(RecordingError, match="cannot be written"):
            f.record(tmp_path / "no" / "such" / "folder.jsonl")
        assert f.call("add", a=1).ok
    assert len(Recording.load(path)) == 0


def test_a_full_disk_ends_the_recording_and_not_the_calls(tmp_path, monkeypatch):
    with fleet() as f:
        running = f.record(tmp_path / "x.jsonl")
        f.call("add", a=1)

        def full(self, line):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Writer, "write", full)
        assert f.call("add", a=2).ok
        assert f.call("add", a=3).ok
        monkeypatch.undo()
        assert "No space left" in running.problem
        (told,) = f.events.loc[f.events["kind"] == "recording_failed", "detail"]
        assert "1 calls are in it" in told
        running.stop()
    assert len(Recording.load(tmp_path / "x.jsonl")) == 1


def test_a_client_without_a_notebook_is_recorded_on_its_own_loop(tmp_path):
    from .recorded import server

    async def main():
        async with mcpnb.MultiServerClient({"a": server("a")}) as client:
            running = record(client, tmp_path / "x.jsonl")
            await client.call("add", a=1)
            running.close()

    asyncio.run(main())
    assert len(Recording.load(tmp_path / "x.jsonl")) == 1


# -- damage


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_what_a_killed_process_leaves_is_read_up_to_its_last_whole_line(lines, tmp_path, cut):
    whole, last = lines[:-2], lines[-2]
    found = loaded(tmp_path, *whole, last[:cut])
    assert len(found) == 5
    assert found.notes == ("its last line was left unfinished, and is passed over",)


def test_a_last_line_that_only_lacks_its_end_counts(lines, tmp_path):
    assert len(loaded(tmp_path, *lines[:-2], lines[-2].rstrip(b"\n"))) == 6


@pytest.mark.parametrize(
    ("number", "damage", "said"),
    [
        (5, b"not json\n", "is not JSON"),
        (5, b"[1, 2]\n", "is no JSON object"),
        (5, b"\xff\xfe\n", "is not JSON"),
        (5, b"[" * 100_000 + b"\n", "is not JSON"),
        (5, b"{}\n", "type is no text"),
        (5, b'{"type": "cal"}\n', "type is none that there is: 'cal'"),
        (5, b'{"type": "call"}\n', "kind is no text"),
        (5, b'{"type": "group", "group": -1}\n', "group is no count"),
        (5, b'{"type": "group", "group": 9, "servers": [1]}\n', "servers is no list of texts"),
        (2, b'{"type": "server", "server": "a", "state": "asleep"}\n', "state is none: 'asleep'"),
    ],
)
def test_a_damaged_line_is_named_by_its_number(lines, tmp_path, number, damage, said):
    made = [*lines[: number - 1], damage, *lines[number:]]
    with pytest.raises(RecordingError) as caught:
        loaded(tmp_path, *made)
    assert caught.value.line == number
    assert str(caught.value).startswith(f"{tmp_path / 'made.jsonl'}:{number}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "dance"), ("group", 77), ("at", "soon"), ("latency", None), ("latency", 1e999),
        ("outcome", "fine"), ("attempts", 3), ("attempts", [3]), ("attempts", [{"server": "a"}]),
        ("arguments", []), ("server", 5),
    ],
)  # fmt: skip
def test_a_call_of_another_form_is_damage(lines, tmp_path, field, value):
    call = {**json.loads(lines[4]), field: value}
    with pytest.raises(RecordingError, match=f":5: .*{field if field != 'attempts' else ''}"):
        loaded(tmp_path, *lines[:4], json.dumps(call).encode() + b"\n", *lines[5:])


def test_an_answer_that_is_none_is_named_when_it_is_wanted(lines, tmp_path):
    call = {**json.loads(lines[4]), "answer": {"content": "?"}}
    loaded(tmp_path, *lines[:4], json.dumps(call).encode() + b"\n", *lines[5:])
    with (
        mcpnb.replay(tmp_path / "made.jsonl") as f,
        pytest.raises(RecordingError, match=r"jsonl:5: answer is no tool's"),
    ):
        f.call("add", call["arguments"])


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (b"", "is empty"),
        (b'{"mcpServers": {}}\n', "is no recording of mcpnb's"),
        (b'{"mcpnb": "recording"}\n', "version is no count"),
        (b'{"mcpnb": "recording", "version": 99, "made_by": "9.0"}\n', r"newer mcpnb \(9.0, format 99"),
    ],
)
def test_what_is_no_recording_is_refused_clearly(tmp_path, first, said):
    with pytest.raises(RecordingError, match=said):
        loaded(tmp_path, first)


def test_a_file_that_is_not_there_is_refused_clearly(tmp_path):
    with pytest.raises(RecordingError, match="cannot be read: No such file"):
        Recording.load(tmp_path / "none.jsonl")
    with pytest.raises(RecordingError, match="cannot be read"):
        mcpnb.replay(tmp_path / "none.jsonl")


def test_a_file_that_changed_since_is_refused_when_it_is_asked(lines, tmp_path):
    found = loaded(tmp_path, *lines)
    (tmp_path / "made.jsonl").write_bytes(b'{"type": "end", "at": 0, "calls": 0}\n' * 500)
    with pytest.raises(RecordingError, match=r"another file|not JSON"):
        found.recall(0)
    (tmp_path / "made.jsonl").unlink()
    with pytest.raises(RecordingError, match="cannot be read any more"):
        found.recall(0)


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_anywhere_is_a_recording_error_or_leaves_a_recording(lines, tmp_path, data):
    whole = b"".join(lines)
    at = data.draw(st.integers(0, len(whole) - 1))
    junk = data.draw(st.binary(max_size=6))
    gone = data.draw(st.integers(0, 6))
    try:
        found = loaded(tmp_path, whole[:at], junk, whole[at + gone :])
        for call in found.each():
            assert call.finish(call.request, 0.0, pace=1.0)
    except RecordingError as error:
        said = str(error)
    else:
        said = str(tmp_path)
    assert str(tmp_path) in said


# -- forms

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def echoing():
    with fleet("a") as f:
        yield f


@given(st.lists(JSON, min_size=1, max_size=6))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_tool_answers_comes_back_as_it_was(echoing, tmp_path, values):
    path = tmp_path / "x.jsonl"
    with echoing.record(path, overwrite=True):
        before = [echoing.call("echo", value=value) for value in values]
    after = [call.outcome.value for call in Recording.load(path).each()]
    assert after == [result.raw for result in before]
    with mcpnb.replay(path) as again:
        answers = [again.call("echo", value=value) for value in values]
    assert [(each.raw, each.value) for each in answers] == [(each.raw, each.value) for each in before]


@given(JSON, st.sampled_from(["tool", "resource", "prompt"]), st.text(), st.text())
@settings(max_examples=100, deadline=None)
def test_answers_questions_and_errors_go_through_a_file_unchanged(value, kind, words, more):
    from mcp_types import CallToolResult, GetPromptResult, PromptMessage, ReadResourceResult
    from mcp_types import TextContent as Text
    from mcp_types import TextResourceContents as Part

    answer = {
        "tool": CallToolResult(content=[Text(type="text", text=words)], structured_content={"v": value}),
        "resource": ReadResourceResult(contents=[Part(uri="a://b", text=words, mime_type=more)]),
        "prompt": GetPromptResult(
            messages=[PromptMessage(role="user", content=Text(type="text", text=words))]
        ),
    }[kind]
    assert load_answer(kind, json.loads(json.dumps(dump_answer(answer)))) == answer
    question = Question("tool", words, {"v": value, words: more})
    turned = Question("tool", words, dict(reversed(question.arguments.items())))
    again = Question("tool", words, json.loads(arguments_of(question)))
    assert arguments_of(question) == arguments_of(turned) == arguments_of(again)
    error = mcpnb.ToolError(words, more, words, code=-32602)
    back = load_error(json.loads(json.dumps(dump_error(error))))
    assert (type(back), str(back), back.code) == (mcpnb.ToolError, str(error), -32602)


@pytest.mark.parametrize(
    "error",
    [
        mcpnb.ToolError("a", "t", "no", code=7),
        mcpnb.CallTimeout("t", 1.5, server="a"),
        mcpnb.CallTimeout("t", None),
        mcpnb.ServerDisconnected("a", "t", "gone"),
        mcpnb.AuthError("a", "401"),
        mcpnb.ConnectError("a", "refused", retry_after=3.0),
        mcpnb.NoServerAvailable("t", {"a": "down", "b": "open"}, retry_after=2.0),
        mcpnb.Overloaded("t", "full"),
        mcpnb.McpnbError("something else"),
    ],
)
def test_every_error_of_a_call_has_a_form(error):
    again = load_error(json.loads(json.dumps(dump_error(error))))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_half_a_character_is_written_and_read(echoing, tmp_path):
    with Writer_closing(tmp_path / "x.jsonl") as writer:
        writer.write({"text": "\ud800 and ü"})
    assert json.loads((tmp_path / "x.jsonl").read_bytes())["text"] == "\ud800 and ü"


class Writer_closing(Writer):  # noqa: N801 - reads as what it does
    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def test_arguments_without_a_json_form_are_written_as_they_would_be_sent(echoing, tmp_path):
    assert (
        json.loads(arguments_of(Question("tool", "t", {"d": date(2026, 1, 2), "o": object})))["d"]
        == "2026-01-02"
    )


def test_secrets_are_hidden_however_deep_they_stand():
    secrets = frozenset({"s3cr3t-token", "12345678"})
    import base64

    blob = base64.b64encode(b"\x00 s3cr3t-token \x00").decode()
    value = {
        "a": ["x s3cr3t-token y", {"s3cr3t-token": 12345678}], "blob": blob, "data": "AAAA", "n": 5,
        "nested": json.dumps({"k": "s3cr3t-token"}), "no": None, "yes": True, "f": 1.5,
    }  # fmt: skip
    hidden = discreet(value, secrets)
    text = json.dumps(hidden, ensure_ascii=False)
    assert "s3cr3t" not in text
    assert "12345678" not in text
    assert blob not in text
    assert (hidden["data"], hidden["n"], hidden["no"], hidden["yes"], hidden["f"]) == (
        "AAAA",
        5,
        None,
        True,
        1.5,
    )
    assert discreet(value, frozenset()) is value


def test_protections_have_a_form_and_functions_have_none():
    from mcpnb import BreakerPolicy, HedgePolicy, QueuePolicy, Resilience, RetryPolicy

    wanted = Resilience(
        breaker=BreakerPolicy(consecutive_failures=3, per_tool=True), retry=RetryPolicy(retries=4),
        hedge=HedgePolicy(delay=0.2), panic=0.4, outlier=True, queue=QueuePolicy(length=9),
    )  # fmt: skip
    assert load_resilience(json.loads(json.dumps(dump_resilience(wanted)))) == wanted
    assert load_resilience(json.loads(json.dumps(dump_resilience(Resilience())))) == Resilience()
    judged = Resilience(breaker=BreakerPolicy(failure=lambda outcome: True))
    assert load_resilience(json.loads(json.dumps(dump_resilience(judged)))).breaker == BreakerPolicy()
