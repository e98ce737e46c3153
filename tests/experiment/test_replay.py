"""What was recorded is answered again: the same values, servers, attempts and errors, and nothing else."""

from __future__ import annotations

import threading

import pytest

import mcpnb
from mcpnb.errors import CallTimeout, NotRecorded, ServerDisconnected, ToolError
from mcpnb.experiment.recording import Recording

from .recorded import WAITING, fleet


def seen(result):
    """Everything of a result that is not time, and its time to the nanosecond."""
    story = result.explain()
    steps = [
        (
            r.attempt.number,
            r.attempt.server,
            r.attempt.why,
            r.attempt.strategy,
            r.attempt.hedge,
            r.outcome,
            r.error,
        )
        for r in story.attempts
    ]
    told = (story.tool, story.candidates, story.excluded, story.strategy, story.looked_at, story.resolution)
    return result.value, result.raw, result.server, result.attempts, result.ok, told, steps


def session(f):
    """What somebody does in a notebook, and what comes of it."""
    results = [f.call("add", a=a) for a in (1, 2, 1, 1, 3, 1)]
    results += [f.call("add", {"b": 5, "a": 1}), f.call("add", {"a": 1, "b": 5})]
    results += [
        f.options(server="b").call("add", a=1),
        f.options(raise_on_error=False).call("refuse", why="no"),
    ]
    results += [f.options(idempotent=True).call("die", of="a") for _ in range(4)]
    results += [f.read("docs://x"), f.prompt("greet", who="Ada")]
    gathered = f.gather("add", a=9)
    return results, gathered


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A session: its file, what it gave, and what the fleet offered."""
    path = tmp_path_factory.mktemp("recorded") / "session.jsonl"
    with fleet(breaker=False) as f:
        with f.record(path):
            found = session(f)
        return path, found, (f.tools, f.resources, f.prompts)


@pytest.mark.parametrize("latencies", [False, True])
def test_a_session_again_gives_the_same_results(recorded, latencies):
    path, (results, gathered), offered = recorded
    with mcpnb.replay(path, latencies=latencies) as f:
        again, gathered_again = session(f)
        assert f.strategy == "as_recorded"
        assert [f.tools.equals(offered[0]), f.resources.equals(offered[1]), f.prompts.equals(offered[2])] == [
            True
        ] * 3
        assert f.servers["state"].tolist() == ["connected"] * 2
        assert f.calls["outcome"].value_counts().to_dict()["disconnected"] >= 1
    assert [seen(result) for result in again] == [seen(result) for result in results]
    assert any(result.attempts == 2 for result in again)
    assert gathered_again.value == gathered.value
    assert {name: r.value for name, r in gathered_again.results.items()} == {
        name: r.value for name, r in gathered.results.items()
    }
    if latencies:
        took = [result.latency for result in results]
        assert [result.latency for result in again] == pytest.approx(took, abs=1e-8)


def test_several_answers_to_one_question_come_in_their_order_and_then_the_last_again(recorded):
    path, (results, _), _ = recorded
    turns = [results[i].value["turn"] for i in (0, 2, 3, 5)]
    with mcpnb.replay(path) as f:
        again = [f.call("add", a=1).value["turn"] for _ in range(6)]
    assert again == [*turns, turns[-1], turns[-1]]


def test_under_another_strategy_calls_are_routed_among_those_that_know_the_answer(recorded):
    path, _, _ = recorded
    with mcpnb.replay(path) as f:
        f.strategy = "round_robin"
        first, second = f.call("add", a=9), f.call("add", a=9)
        assert {first.server, second.server} == {"a", "b"}
        assert first.value["by"] == first.server
        only = f.options(raise_on_error=False).call("refuse", why="no")
        assert [f.options(raise_on_error=False).call("refuse", why="no").server for _ in range(3)] == [
            only.server
        ] * 3
        assert not only.ok
        assert f.options(idempotent=True, strategy="random").call("die", of="a").value == "b lives"
        assert f.read("docs://x").value.startswith("x at ")
        with pytest.raises(NotRecorded):
            f.call("add", a=77)


def test_what_was_never_asked_is_an_error_that_names_the_nearest(recorded):
    path, (results, _), _ = recorded
    with mcpnb.replay(path) as f:
        with pytest.raises(NotRecorded) as caught:
            f.call("add", a=1, b=6)
        with pytest.raises(NotRecorded, match="It has no call of 'echo'"):
            f.call("echo", value=1)
        other = {"a": "b", "b": "a"}[results[9].server]
        with pytest.raises(NotRecorded, match=f"no answer from {other} to refuse") as elsewhere:
            f.options(server=other).call("refuse", why="no")
        assert f.call("add", a=2).ok  # and the fleet stays usable
    assert caught.value.tool == "add"
    assert caught.value.arguments == '{"a":1,"b":6}'
    assert caught.value.nearest[0] == '{"a":1,"b":5}'
    assert str(path) in str(caught.value)
    assert elsewhere.value.server == other


def test_mistakes_are_found_before_anything_is_looked_up(recorded):
    with mcpnb.replay(recorded[0]) as f:
        with pytest.raises(mcpnb.ArgumentError):
            f.call("add", a="one")
        with pytest.raises(mcpnb.ToolNotFound, match="add"):
            f.call("ad", a=1)


def test_errors_are_raised_again_with_their_facts(tmp_path):
    def failing(f):
        caught = []
        for view, tool, arguments in (
            (f, "refuse", {"why": "not today"}),
            (f.options(server="a", retries=0), "die", {"of": "a"}),
            (f.options(timeout=0.05, retries=0), "wait", {}),
        ):
            with pytest.raises(mcpnb.McpnbError) as error:
                view.call(tool, arguments)
            caught.append(error.value)
        return caught

    with fleet() as f, f.record(tmp_path / "x.jsonl"):
        before = failing(f)
    with mcpnb.replay(tmp_path / "x.jsonl") as f:
        after = failing(f)
    assert [type(error) for error in after] == [ToolError, ServerDisconnected, CallTimeout]
    assert [(type(error), str(error)) for error in before] == [(type(error), str(error)) for error in after]
    assert after[0].result.raw == before[0].result.raw


def test_a_call_that_was_given_up_has_no_answer(tmp_path):
    with fleet() as f:
        with f.record(tmp_path / "x.jsonl") as running:
            WAITING.clear()
            future = f.submit("wait")
            assert WAITING.wait(20)
            future.cancel()
            f.call("add", a=1)
        assert running.calls == 2
    assert Recording.load(tmp_path / "x.jsonl").calls["outcome"].tolist().count("cancelled") == 1
    with mcpnb.replay(tmp_path / "x.jsonl") as f, pytest.raises(NotRecorded):
        f.call("wait")


def test_servers_that_were_down_say_so_in_a_replay(tmp_path):
    source = {"a": ["mcpnb-no-such-command"]}
    with mcpnb.connect(source, name="down") as f, f.record(tmp_path / "x.jsonl"):
        pass
    with mcpnb.replay(tmp_path / "x.jsonl") as f:
        (row,) = f.servers.to_dict("records")
    assert row["state"] == "failed"
    assert "command not found" in row["last_error"]


def test_choices_and_limits_of_the_recorded_fleet_hold_in_a_replay(tmp_path):
    with fleet(replicas=False, timeout=7.0, breaker=False, retry=4) as f:
        f.prefer("add", "b")
        with f.record(tmp_path / "x.jsonl"):
            assert f.call("add", a=1).server == "b"
    with mcpnb.replay(tmp_path / "x.jsonl") as f:
        assert f.call("add", a=1).server == "b"
        assert f.client.timeout == 7.0
        assert f.client.resilience.breaker is None
        assert f.client.resilience.retry.retries == 4
        assert f.conflicts["chosen"].tolist() != []


def test_a_replay_can_be_recorded_itself(recorded, tmp_path):
    path, _, _ = recorded
    with mcpnb.replay(path) as f, f.record(tmp_path / "again.jsonl"):
        first = f.call("add", a=2)
    with mcpnb.replay(tmp_path / "again.jsonl") as f:
        assert seen(f.call("add", a=2)) == seen(first)


def test_an_unfinished_last_line_is_told_as_an_event(recorded, tmp_path):
    whole = recorded[0].read_bytes().splitlines(keepends=True)
    (tmp_path / "x.jsonl").write_bytes(b"".join(whole[:-2]) + whole[-2][:50])
    with mcpnb.replay(tmp_path / "x.jsonl") as f:
        (told,) = f.events.loc[f.events["kind"] == "recording", "detail"]
    assert "its last line was left unfinished" in told


def test_strategies_can_be_compared_live_on_a_replay(recorded):
    path, _, _ = recorded
    with mcpnb.replay(path) as f:
        found = mcpnb.compare(
            f,
            ["round_robin", "p2c"],
            workload=mcpnb.Workload("add", {"a": 9}, rate=400, requests=20),
            progress=False,
        )
    assert found.summary["errors"].tolist() == [0, 0]


def test_latencies_are_waited_for_when_asked(tmp_path):
    """A recorded second is waited for; without latencies the same call is there at once."""
    with fleet() as f, f.record(tmp_path / "x.jsonl"):
        f.call("add", a=1)
    text = (tmp_path / "x.jsonl").read_text()
    line = next(line for line in text.splitlines() if '"type":"call"' in line)
    slow = (
        line.partition('"latency":')[0]
        + '"latency":3600.0,'
        + line.partition('"latency":')[2].partition(",")[2]
    )
    (tmp_path / "x.jsonl").write_text(text.replace(line, slow))
    with mcpnb.replay(tmp_path / "x.jsonl") as f:
        assert f.call("add", a=1).ok
    with mcpnb.replay(tmp_path / "x.jsonl", latencies=True) as f:
        with pytest.raises(CallTimeout):
            f.options(timeout=0.05).call("add", a=1)
        assert f.calls["outcome"].tolist() == ["timeout"]


def heard(f, uris, count, *, then=lambda: None):
    """The changes that are told after subscribing, until there are so many of them."""
    told, enough = [], threading.Event()

    def hear(event):
        told.append((event.server, event.detail))
        if len(told) == count:
            enough.set()

    leave = f.on("resource_updated", hear)
    for uri in uris:
        f.subscribe(uri)
    then()
    assert enough.wait(20)
    leave()
    return told


@pytest.mark.parametrize("latencies", [False, True])
def test_changes_of_resources_are_told_again_to_who_subscribes(tmp_path, latencies):
    path = tmp_path / "changes.jsonl"

    def read_on(f, *turned):
        for page in turned:
            f.options(server="a").call("turn", page=page)

    with fleet("a") as f, f.record(path):
        told = heard(f, ["docs://x", "docs://y"], 3, then=lambda: read_on(f, "x", "y", "x"))
    assert list(Recording.load(path).updates["uri"]) == [uri for _, uri in told]
    with mcpnb.replay(path, latencies=latencies) as f:
        assert heard(f, ["docs://x"], 2) == [("a", "docs://x")] * 2
        assert heard(f, ["docs://y"], 1) == [("a", "docs://y")]
        f.unsubscribe("docs://x")
        f.subscribe("docs://x")  # each is told once
        assert f.subscribe("docs://z") == "a"
        events = f.events
        said = events.loc[events["kind"] == "recording", "detail"].tolist()
        assert said == ["no change of docs://z was recorded: none will be told"]
        assert (events["kind"] == "resource_updated").sum() == 3
