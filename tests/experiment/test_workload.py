"""Schedules: rates are what they say, seeds decide everything, nonsense is refused by name."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from mcpnb.experiment import Workload


def open_loop(**fields):
    return Workload(**{"tool": "echo", "rate": 100.0, "requests": 50, **fields})


def test_the_same_seed_gives_the_same_calls():
    workload = open_loop(
        tool={"a": 1, "b": 3}, arguments=lambda i, rng: {"i": i, "x": int(rng.integers(1000))}
    )
    assert list(workload.calls(seed=4)) == list(workload.calls(seed=4))
    assert list(workload.calls(seed=4)) != list(workload.calls(seed=5))
    assert list(workload.calls(repeat=0)) != list(workload.calls(repeat=1))


def test_the_tool_mix_and_the_arguments_do_not_move_the_arrivals():
    plain = open_loop().times()
    mixed = open_loop(tool={"a": 1, "b": 3}, arguments=lambda i, rng: {"x": float(rng.random())}).times()
    np.testing.assert_array_equal(plain, mixed)


@pytest.mark.parametrize("arrivals", ["poisson", "constant", "bursty"])
def test_open_arrivals_keep_their_mean_rate_and_their_order(arrivals):
    runs = [open_loop(arrivals=arrivals, requests=5_000).times(seed=seed) for seed in range(100)]
    assert all(len(times) == 5_000 and times[0] > 0 and (np.diff(times) >= 0).all() for times in runs)
    assert 5_000 / np.mean([times[-1] for times in runs]) == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize("arrivals", ["poisson", "bursty"])
def test_a_duration_holds_about_rate_times_duration_calls(arrivals):
    runs = [
        open_loop(arrivals=arrivals, requests=None, duration=50.0).times(seed=seed) for seed in range(100)
    ]
    assert all(times[-1] < 50 for times in runs)
    assert np.mean([len(times) for times in runs]) == pytest.approx(5_000, rel=0.05)


def test_constant_arrivals_are_evenly_spaced_and_fill_the_duration():
    times = open_loop(arrivals="constant", rate=10.0, requests=None, duration=0.7).times()
    np.testing.assert_allclose(times, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])


def test_poisson_gaps_are_exponential():
    gaps = np.diff(open_loop(requests=50_000).times())
    assert gaps.std() / gaps.mean() == pytest.approx(1, rel=0.03)
    assert (gaps > gaps.mean()).mean() == pytest.approx(math.exp(-1), rel=0.03)


def test_bursty_arrivals_come_in_clusters_of_the_given_share_and_ratio():
    workload = open_loop(
        arrivals="bursty",
        requests=None,
        duration=4000.0,
        burst_ratio=20.0,
        burst_share=0.1,
        burst_seconds=2.0,
    )
    per_half_second = np.bincount((workload.times() / 0.5).astype(int)) / 0.5
    assert per_half_second.var() > 20 * 100 / 0.5  # Poisson would have 100 / 0.5
    # 0.1 * 20 r + 0.9 * r = 100, so that calm is 34.5/s and a burst 690/s.
    assert np.median(per_half_second) == pytest.approx(34.5, rel=0.1)
    assert (per_half_second > 300).mean() == pytest.approx(0.1, rel=0.25)


def test_a_closed_loop_has_no_times_and_is_endless_for_a_duration():
    workload = Workload(tool="echo", arrivals="closed", concurrency=4, duration=2.0)
    assert workload.times() is None
    assert workload.count() is None
    assert [call.i for call in itertools.islice(workload.calls(), 3)] == [0, 1, 2]
    counted = Workload(tool="echo", arrivals="closed", concurrency=4, requests=7)
    assert counted.count() == len(list(counted.calls())) == 7


def test_a_mix_follows_its_weights():
    names = Counter(call.tool for call in open_loop(tool={"a": 1, "b": 3}, requests=8000).calls())
    assert names["b"] / names["a"] == pytest.approx(3, rel=0.1)


def test_a_list_of_arguments_is_used_in_turn():
    rows = [{"city": "Oslo"}, {"city": "Rome"}]
    assert [c.arguments["city"] for c in open_loop(arguments=rows, requests=3).calls()] == [
        "Oslo",
        "Rome",
        "Oslo",
    ]


def test_each_tool_of_a_mix_may_have_arguments_of_its_own():
    workload = open_loop(tool={"a": 1, "b": 1}, arguments={"a": {"x": 1}, "b": [{"y": 2}]}, requests=40)
    assert {call.tool: dict(call.arguments) for call in workload.calls()} == {"a": {"x": 1}, "b": {"y": 2}}


def test_an_argument_named_like_the_tool_is_an_argument():
    (call,) = open_loop(tool="a", arguments={"a": 1}, requests=1).calls()
    assert call.arguments == {"a": 1}


def test_the_first_calls_are_the_warm_up():
    assert [call.warmup for call in open_loop(requests=4, warmup=2).calls()] == [True, True, False, False]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rate": None}, "rate"),
        ({"rate": 0}, "rate"),
        ({"rate": math.inf}, "rate"),
        ({"rate": True}, "rate"),
        ({"requests": None}, "requests= or duration="),
        ({"duration": 2.0}, "requests= or duration="),
        ({"requests": 0}, "requests"),
        ({"requests": 2.5}, "requests"),
        ({"requests": None, "duration": -1}, "duration"),
        ({"warmup": -1}, "warmup"),
        ({"warmup": 50}, "nothing of requests=50"),
        ({"arrivals": "pareto"}, "poisson, constant, bursty, closed"),
        ({"arrivals": "closed"}, "concurrency="),
        ({"arrivals": "closed", "rate": None}, "concurrency"),
        ({"concurrency": 3}, 'arrivals="closed"'),
        ({"burst_share": 1.0}, "burst_share"),
        ({"burst_ratio": 0}, "burst_ratio"),
        ({"timeout": 0}, "timeout"),
        ({"tool": {"a": -1}}, "'a': -1"),
        ({"arguments": []}, "at least one row"),
        ({"arguments": [3]}, "every row must be a dict"),
        ({"arrivals": np.arange(3.0)}, "a recording, not ndarray"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": None}, "seed must be a whole number"),
    ],
)
def test_a_workload_that_cannot_be_is_refused_with_the_field_named(fields, said):
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        open_loop(**fields)


@pytest.mark.parametrize(
    "fields", [{"tool": ""}, {"tool": {}}, {"tool": 3}, {"arguments": "x"}, {"arguments": 3}]
)
def test_a_tool_or_arguments_of_another_type_are_a_type_error(fields):
    with pytest.raises(TypeError, match=next(iter(fields))):
        open_loop(**fields)


@pytest.mark.parametrize(
    "arguments", [lambda rng: {}, {"city": lambda: "Oslo"}, {"rows": [{"n": lambda i: i}]}]
)
def test_a_function_that_cannot_be_called_is_refused_before_anything_is_sent(arguments):
    with pytest.raises(TypeError, match=r"called as f\(i, rng\)"):
        open_loop(arguments=arguments)


def test_a_frame_is_told_how_it_becomes_rows():
    with pytest.raises(TypeError, match=r'to_dict\("records"\)'):
        open_loop(arguments=pd.DataFrame({"city": ["Oslo"]}))


def test_numbers_out_of_an_array_are_as_good_as_pythons():
    found = open_loop(rate=np.float32(2), requests=np.int64(7), warmup=np.int32(1))
    assert [type(x) for x in (found.rate, found.requests, found.warmup)] == [float, int, int]


def test_it_describes_itself_in_a_line():
    assert open_loop(tool={"a": 1, "b": 2}).describe() == "a + b · poisson 100/s"
    assert (
        Workload(tool="a", arrivals="closed", concurrency=4, requests=9).describe() == "a · 4 callers in turn"
    )


def test_priorities_are_a_mix_that_moves_nothing_else():
    plain = open_loop(tool={"a": 1, "b": 3}, arguments=lambda i, rng: {"x": float(rng.random())})
    mixed = open_loop(
        tool={"a": 1, "b": 3},
        arguments=lambda i, rng: {"x": float(rng.random())},
        priorities={"high": 1, "low": 3},
        requests=2_000,
    )
    calls = list(mixed.calls())
    assert [call[:4] for call in plain.calls()] == [call[:4] for call in calls[:50]]
    assert {call.priority for call in plain.calls()} == {"normal"}
    assert Counter(call.priority for call in calls)["low"] == pytest.approx(1_500, rel=0.05)


@pytest.mark.parametrize(
    ("priorities", "error", "message"),
    [
        ({}, TypeError, "priorities must be a mix"),
        (["high"], TypeError, "priorities must be a mix"),
        ({"urgent": 1}, ValueError, "'urgent' is none of high, normal, low"),
        ({"high": 0}, ValueError, "the weight of high must be"),
        ({"high": True}, ValueError, "the weight of high must be"),
    ],
)
def test_impossible_priorities_are_refused_by_name(priorities, error, message):
    with pytest.raises(error, match=message):
        open_loop(priorities=priorities)


def test_a_workload_for_simulations_need_not_name_a_tool():
    assert Workload(rate=1, requests=1).tools == ("tool",)


def arguments_of(workload, **seeds):
    return [dict(call.arguments) for call in workload.calls(**seeds)]


def test_an_iterator_brings_arguments_in_turn_and_the_same_for_every_strategy():
    workload = Workload("t", ({"n": n} for n in range(3)), rate=10.0, requests=5)
    assert arguments_of(workload) == [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 0}, {"n": 1}]
    assert arguments_of(workload) == arguments_of(workload, repeat=1)


def test_an_endless_iterator_is_asked_for_no_more_than_is_needed():
    taken = []
    workload = Workload("t", ({"n": taken.append(n) or n} for n in itertools.count()), rate=10.0, requests=4)
    assert [each["n"] for each in arguments_of(workload)] == [0, 1, 2, 3]
    assert len(taken) == 4


def test_a_template_calls_the_functions_in_it():
    template = {
        "city": lambda i, rng: rng.choice(["Oslo", "Rome"]),
        "days": 3,
        "deep": {"n": lambda i, rng: i, "list": [1, lambda i, rng: rng.integers(10)]},
    }
    first, second = (arguments_of(Workload("t", template, rate=10.0, requests=20)) for _ in range(2))
    assert first == second  # the same seed draws the same
    assert {type(each["city"]) for each in first} == {str}
    assert {each["city"] for each in first} == {"Oslo", "Rome"}
    assert [each["deep"]["n"] for each in first] == list(range(20))
    assert {type(each["deep"]["list"][1]) for each in first} == {int}
    assert first[0]["days"] == 3


def test_what_a_function_draws_with_numpy_is_json():
    workload = Workload("t", lambda i, rng: {"x": rng.integers(5), "y": rng.random(2)}, rate=10.0, requests=3)
    for each in arguments_of(workload):
        assert json.loads(json.dumps(each)) == each


def test_templates_stand_in_lists_and_for_single_tools_of_a_mix_too():
    rows = Workload("t", [{"n": lambda i, rng: i}, {"n": -1}], rate=10.0, requests=4)
    assert [each["n"] for each in arguments_of(rows)] == [0, -1, 2, -1]
    mix = Workload(
        {"a": 1, "b": 1},
        {"a": iter([{"x": 1}, {"x": 2}]), "b": {"y": lambda i, rng: i}},
        rate=10.0,
        requests=30,
    )
    for call in mix.calls():
        assert call.arguments == ({"x": 1 + call.i % 2} if call.tool == "a" else {"y": call.i})


def test_arguments_that_are_no_dicts_are_refused():
    with pytest.raises(ValueError, match="brings nothing"):
        Workload("t", iter(()), rate=10.0, requests=3)
    with pytest.raises(TypeError, match="must be a dict, not 3"):
        Workload("t", iter([3]), rate=10.0, requests=3)
    with pytest.raises(TypeError, match="must be a dict, not 3"):
        list(Workload("t", lambda i, rng: 3, rate=10.0, requests=3).calls())
