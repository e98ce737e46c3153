"""What another strategy would have made of a recording: same arrivals, recorded latencies, and said so."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import mcpnb
from mcpnb.errors import RecordingError, StrategyError
from mcpnb.experiment import Comparison, Workload, compare
from mcpnb.experiment.recording import Recording
from mcpnb.experiment.recording.what_if import study_of, told_of

from .recorded import fleet

SECONDS = {"quick": 0.02, "slow": 0.2}


def made(path, *, calls=240, rate=40.0, servers=SECONDS, **request):
    """A recording as round robin would have left it, with latencies that never vary."""
    header = {
        "mcpnb": "recording", "version": 1, "began": "2026-01-02T03:04:05+00:00", "name": "made",
        "strategy": "round_robin", "timeout": 30.0, "protection": {},
    }  # fmt: skip
    lines = [header]
    for name in servers:
        state = {"state": "connected", "transport": "http", "listing": {"tools": [TOOL]}}
        lines.append({"type": "server", "at": 0.0, "server": name, **state})
    lines.append({"type": "group", "group": 0, "servers": list(servers)})
    for i in range(calls):
        at, server = i / rate, list(servers)[i % len(servers)]
        took = {"at": at, "latency": servers[server], "outcome": "ok", "server": server}
        attempt = {"number": 1, "strategy": "round_robin", **took}
        call = {
            "type": "call",
            "call": i + 1,
            "kind": "tool",
            "name": "work",
            "arguments": {"n": i},
            "group": 0,
            **took,
        }
        lines.append({**call, "answer": {"content": []}, "attempts": [attempt], "request": request})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Recording.load(path)


TOOL = {"name": "work", "inputSchema": {"type": "object"}}


@pytest.fixture
def recording(tmp_path):
    return made(tmp_path / "made.jsonl")


def test_a_strategy_by_key_goes_by_what_was_recorded_that_was_asked(recording):
    found = compare(recording, ["rendezvous", "p2c"], progress=False)
    assert set(found.calls.query("strategy == 'rendezvous'")["server"]) == set(SECONDS)
    again = Workload("work", {"n": 1}, rate=40, requests=60)
    assert compare(recording, ["rendezvous"], workload=again, progress=False).calls["server"].nunique() == 1


def test_the_recorded_strategy_finds_what_was_recorded(recording):
    found = compare(recording, ["round_robin"], progress=False)
    recorded = recording.calls
    assert sorted(found.calls["latency_ms"]) == pytest.approx(sorted(recorded["latency_ms"]))
    assert found.calls["server"].value_counts().to_dict() == recorded["server"].value_counts().to_dict()
    assert found.calls["intended_at"].to_numpy() == pytest.approx(np.arange(240) / 40)


def test_a_strategy_that_looks_at_latencies_would_have_been_quicker(recording):
    found = compare(recording, ["round_robin", "peak_ewma"], progress=False)
    assert isinstance(found, Comparison)
    assert found.summary.loc["peak_ewma", "mean_ms"] < 0.5 * found.summary.loc["round_robin", "mean_ms"]
    assert found.share.loc["peak_ewma", "quick"] > 0.8
    assert set(found.calls["latency_ms"].round(6)) == {20.0, 200.0}


def test_it_says_that_it_is_open_loop(recording):
    found = compare(recording, ["round_robin", "p2c"], progress=False)
    assert found.kind == "what-if over made.jsonl (open-loop)"
    assert any(
        note.startswith("Open-loop: recorded latencies do not react to new picks") for note in found.notes
    )
    assert "open-loop" in found.text().splitlines()[0]
    assert "open-loop" in found._repr_html_()
    texts = [text.get_text() for text in found.plot().texts]
    assert any("open-loop" in text for text in texts)


def test_other_calls_take_what_the_servers_ever_did(recording):
    workload = Workload(rate=100.0, requests=2_000)
    found = compare(recording, ["round_robin", "random"], workload=workload, seed=3, progress=False)
    assert found.summary["requests"].tolist() == [2_000, 2_000]
    assert found.share.loc["round_robin"].tolist() == [0.5, 0.5]
    assert set(found.calls["latency_ms"].round(6)) == {20.0, 200.0}
    assert found.calls["tool"].unique().tolist() == ["work"]
    again = compare(recording, ["round_robin", "random"], workload=workload, seed=3, progress=False)
    assert again.calls.equals(found.calls)


def test_repeats_differ_in_what_the_strategies_draw(recording):
    found = compare(recording, ["random"], repeats=2, progress=False)
    first, second = (found.calls.loc[found.calls["repeat"] == n, "server"].tolist() for n in (0, 1))
    assert first != second
    assert found.summary.loc["random", "requests"] == 480


def test_it_runs_in_other_processes_too(recording):
    study = study_of(recording, None)
    assert pickle.loads(pickle.dumps(study.simulate)) == study.simulate
    with ThreadPoolExecutor(2) as pool:
        spread = compare(recording, ["random", "p2c"], executor=pool, progress=False)
    assert spread.calls.equals(compare(recording, ["random", "p2c"], progress=False).calls)


def test_a_server_that_was_away_takes_nothing_meanwhile(tmp_path):
    recording = made(tmp_path / "x.jsonl")
    gone = {"type": "server", "at": 2.0, "server": "quick", "state": "reconnecting"}
    back = {"type": "server", "at": 4.0, "server": "quick", "state": "connected"}
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    (tmp_path / "x.jsonl").write_text("\n".join([*lines, json.dumps(gone), json.dumps(back)]) + "\n")
    recording = Recording.load(tmp_path / "x.jsonl")
    calls = compare(recording, ["random"], progress=False).calls
    away = calls[calls["intended_at"].between(2.001, 3.999)]
    assert set(away["server"]) == {"slow"}
    assert set(calls["server"]) == {"quick", "slow"}


def test_what_cannot_be_asked_is_refused_clearly(recording, tmp_path):
    with pytest.raises(ValueError, match="not recorded: dance; there are work"):
        compare(recording, ["p2c"], workload=Workload("dance", rate=1, requests=5))
    with pytest.raises(ValueError, match="a what-if takes open arrivals"):
        compare(recording, ["p2c"], workload=Workload(arrivals="closed", concurrency=2, requests=5))
    with pytest.raises(StrategyError):
        compare(recording, ["p2cc"])
    lonely = made(tmp_path / "y.jsonl", servers={"a": 0.1, "b": 0.1}, calls=1)
    with pytest.raises(ValueError, match="nothing is known of b: no call went there"):
        compare(lonely, ["round_robin"], workload=Workload(rate=10, requests=20), progress=False)
    empty = made(tmp_path / "z.jsonl", calls=0)
    with pytest.raises(ValueError, match="has no calls"):
        compare(empty, ["p2c"])


def test_a_workload_repeats_the_recorded_calls(recording):
    workload = Workload(arrivals=recording)
    calls = list(workload.calls())
    assert [call.at for call in calls] == pytest.approx(np.arange(240) / 40)
    assert [call.arguments for call in calls[:3]] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert (workload.tools, workload.count(), workload.open_loop) == (("work",), 240, True)
    assert workload.describe() == "work · as in made.jsonl"
    twice = Workload(arrivals=recording, speed=2.0, duration=1.0, arguments={"n": 7}, priorities={"low": 1})
    assert twice.times() == pytest.approx(np.arange(80) / 80)
    assert {(call.arguments["n"], call.priority) for call in twice.calls()} == {(7, "low")}
    assert "2 times as fast" in twice.describe()
    assert Workload(arrivals=recording, requests=5).count() == 5


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rate": 5.0}, "a recording has its own rate"),
        ({"concurrency": 5}, "a recording has its own rate"),
        ({"speed": 0}, "speed"),
        ({"requests": 0}, "requests"),
        ({"duration": -1.0}, "duration"),
        ({"warmup": 240}, "leaves nothing"),
    ],
)
def test_impossible_workloads_of_a_recording_are_named(recording, fields, said):
    with pytest.raises(ValueError, match=said):
        Workload(arrivals=recording, **fields)


def test_speed_without_a_recording_is_refused():
    with pytest.raises(ValueError, match="speed is that of a recording"):
        Workload(rate=5.0, requests=5, speed=2.0)


def test_a_recorded_session_drives_a_live_fleet(tmp_path):
    with fleet() as f:
        with f.record(tmp_path / "x.jsonl"):
            for a in (1, 2, 3):
                f.options(priority="high").call("add", a=a)
            f.gather("add", a=9)
            f.read("docs://x")
        recording = Recording.load(tmp_path / "x.jsonl")
        again = tmp_path / "again.jsonl"
        with f.record(again):
            compare(f, ["round_robin"], workload=Workload(arrivals=recording, speed=50.0), progress=False)
    seen = [call.stated.fields for call in Recording.load(again).each()]
    assert sorted(call["arguments"]["a"] for call in seen) == [1, 2, 3]
    assert {call["request"]["priority"] for call in seen} == {"high"}
    everything = compare(recording, ["round_robin"], progress=False)
    assert everything.summary.loc["round_robin", "requests"] == 6


def failing(path, **request):
    """A recording in which one server of two refused every call."""
    made(path, **request)
    ok, refused = (f'"outcome": "{kind}", "server": "quick"' for kind in ("ok", "refused"))
    path.write_text(path.read_text().replace(ok, refused))
    return Recording.load(path)


def test_calls_are_retried_as_often_as_they_were_meant_to_be(tmp_path):
    once = compare(failing(tmp_path / "x.jsonl", retries=0), ["round_robin"], progress=False).summary
    retried = compare(failing(tmp_path / "y.jsonl", retries=2), ["round_robin"], progress=False).summary
    assert once.loc["round_robin", "errors"] == 120
    assert retried.loc["round_robin", "errors"] == 0
    assert retried.loc["round_robin", "retries"] >= 120


def test_the_recorded_protections_hold(tmp_path):
    path = tmp_path / "x.jsonl"
    failing(path, retries=0)
    text, breaker = (
        path.read_text(),
        json.dumps({"breaker": {"consecutive_failures": 3, "reset_after": 60.0}}),
    )
    path.write_text(text.replace('"protection": {}', f'"protection": {breaker}'))
    guarded = compare(Recording.load(path), ["round_robin"], progress=False).summary
    assert guarded.loc["round_robin", "errors"] == 3
    path.write_text(text.replace('"protection": {}', '"protection": {"retry": {"retries": -1}}'))
    with pytest.raises(RecordingError, match="protection cannot be"):
        compare(Recording.load(path), ["p2c"])


def test_what_a_dispatcher_was_told_is_in_order(recording):
    times = [event.at for event in told_of(recording).events]
    assert times == sorted(times)
    assert told_of(recording).servers == ("quick", "slow")
    assert len(told_of(recording).arrivals) == 240
    assert mcpnb.Recording is Recording
