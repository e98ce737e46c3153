from __future__ import annotations

import math

import pytest

from mcpnb.simulation import At, Scenario, SimServer, service

MODEL = service.deterministic(1.0)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"name": ""}, "needs a name"),
        ({"workers": 0}, "a: workers must be at least 1"),
        ({"discipline": "lifo"}, "a: discipline must be one of fcfs, ps"),
        ({"rtt": -1}, "a: rtt must be"),
        ({"error_rate": 1.1}, "a: error_rate must lie between 0 and 1"),
        ({"fail_time": math.nan}, "a: fail_time must be"),
        ({"weight": 0}, "a: weight must be"),
        ({"max_queue": -1}, "a: max_queue must be"),
    ],
)
def test_a_server_out_of_bounds_names_the_field(properties, message):
    with pytest.raises(ValueError, match=message):
        SimServer(**{"name": "a", "service": MODEL, **properties})


def test_what_is_not_simulated_yet_is_refused_not_ignored():
    with pytest.raises(TypeError, match="max_in_flight"):
        SimServer("a", MODEL, max_in_flight=3)
    with pytest.raises(TypeError, match="resilience"):
        Scenario([SimServer("a", MODEL)], resilience=None)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: At(-1, "a", fail=True), "t must be"),
        (lambda: At(1, "a"), "changes nothing"),
        (lambda: At(1, "a", leave=True, join=True), "at the same time"),
        (lambda: At(1, "a", error_rate=2), "error_rate must lie"),
    ],
)
def test_an_impossible_change_says_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_setting_a_number_to_zero_or_healing_is_a_change():
    assert At(1, "a", error_rate=0.0).error_rate == 0.0
    assert At(1, "a", fail=False).fail is False


@pytest.mark.parametrize(
    ("servers", "timeline", "message"),
    [
        ([], [], "at least one server"),
        (["a", "b", "a"], [], "servers of one name: a"),
        (["a"], [At(1, "c", fail=True)], "do not exist: c"),
    ],
)
def test_an_impossible_scenario_says_what_is_wrong(servers, timeline, message):
    with pytest.raises(ValueError, match=message):
        Scenario([SimServer(name, MODEL) for name in servers], timeline)


def test_a_server_that_joins_before_it_leaves_is_not_there_at_the_start():
    timeline = [At(5, "b", leave=True), At(2, "b", join=True), At(1, "a", leave=True), At(3, "a", join=True)]
    assert Scenario([SimServer("a", MODEL), SimServer("b", MODEL)], timeline).absent == {"b"}


def test_a_scenario_is_a_value():
    one, two = (Scenario([SimServer("a", MODEL)], [At(1, "a", fail=True)]) for _ in range(2))
    assert one == two
