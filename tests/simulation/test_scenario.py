from __future__ import annotations

import math

import pytest

from mcpnb.simulation import At, Scenario, SimServer, service

MODEL = service.deterministic(1.0)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"name": ""}, "needs a name"),
        ({"workers": 0}, "a: workers must be a whole number of at least 1"),
        ({"workers": 1.5}, "a: workers must be a whole number of at least 1"),
        ({"workers": "2"}, "a: workers must be a number"),
        ({"weight": True}, "a: weight must be a number"),
        ({"discipline": "lifo"}, "a: discipline must be one of fcfs, ps"),
        ({"rtt": -1}, "a: rtt must be"),
        ({"error_rate": 1.1}, "a: error_rate must lie between 0 and 1"),
        ({"fail_time": math.nan}, "a: fail_time must be"),
        ({"weight": 0}, "a: weight must be"),
        ({"max_queue": -1}, "a: max_queue must be"),
        ({"max_in_flight": 0}, "a: max_in_flight must be"),
    ],
)
def test_a_server_out_of_bounds_names_the_field(properties, message):
    with pytest.raises(ValueError, match=message):
        SimServer(**{"name": "a", "service": MODEL, **properties})


def test_a_number_is_no_service_and_says_what_would_be():
    with pytest.raises(TypeError, match=r"a: service must be a distribution, such as mcpnb\.service"):
        SimServer("a", 0.1)


def test_resilience_of_another_type_is_refused():
    with pytest.raises(TypeError, match="resilience must be a mcpnb"):
        Scenario([SimServer("a", MODEL)], resilience={"retry": 2})


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


def test_the_capacity_is_that_of_the_servers_there_at_the_start():
    fleet = [SimServer("a", MODEL, workers=3), SimServer("b", MODEL), SimServer("c", MODEL)]
    assert Scenario(fleet, [At(5, "c", join=True)]).capacity == 4


def test_behind_a_bulkhead_the_network_takes_capacity_too():
    assert SimServer("a", MODEL, workers=2, rtt=1.0, max_in_flight=2).capacity == 1.0
    assert SimServer("a", MODEL, workers=2, rtt=1.0, max_in_flight=9).capacity == 2.0


def test_a_server_that_fails_everything_has_no_limit():
    assert SimServer("a", MODEL, error_rate=1.0).capacity == math.inf
