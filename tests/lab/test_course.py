"""What a simulated server and its timeline mean for a live one."""

from __future__ import annotations

import math

import pytest

from mcpnb.errors import McpnbError
from mcpnb.lab.course import Course, profile_of, require_playable, require_playable_timeline
from mcpnb.lab.profile import Profile
from mcpnb.resilience.settings import Resilience
from mcpnb.simulation import At, Scenario, SimServer, scenarios, service

USUAL = Profile(latency_ms=20, jitter=0.5, capacity=2)


def after(*changes: At, start: Profile = USUAL) -> Profile:
    """How a server behaves when all that has happened."""
    course = Course.of(start)
    return [course.after(at) for at in changes][-1]


def test_a_simulated_server_becomes_a_profile() -> None:
    server = SimServer("a", service.lognormal(0.1, 0.5), workers=3, rtt=0.04, error_rate=0.1, fail_time=0.2)
    assert profile_of(server, seed=7) == Profile(
        latency_ms=100, jitter=0.5, capacity=3, rtt_ms=40, fault_rate=0.1, fault_ms=200, seed=7
    )
    assert profile_of(SimServer("a", service.deterministic(0.02))).jitter == 0


def test_slow_and_a_latency_stretch_what_is_usual_and_the_usual_pace_comes_back() -> None:
    assert after(At(1, "a", slow=3)).latency_ms == 60
    assert after(At(1, "a", slow=3), At(2, "a", slow=2)).latency_ms == 40
    assert after(At(1, "a", latency_ms=500)).latency_ms == pytest.approx(500)
    assert after(At(1, "a", latency_ms=500), At(2, "a", slow=1)).latency_ms == 20
    assert after(At(1, "a", latency_ms=50), start=Profile()).latency_ms == 50


def test_properties_change_and_recovering_undoes_all_of_it() -> None:
    changes = (
        At(1, "a", service=service.lognormal(0.05, 1.0), workers=5),
        At(2, "a", rtt=0.1, error_rate=0.2, fail_time=0.3, slow=2),
    )
    assert after(*changes) == Profile(
        latency_ms=100, jitter=1.0, capacity=5, rtt_ms=100, fault_rate=0.2, fault_ms=300
    )
    assert after(*changes, At(3, "a", recover=True)) == USUAL


def test_failing_comes_before_hanging_and_each_ends_by_itself() -> None:
    assert after(At(1, "a", fail=True)).fault_rate == 1
    hanging = after(At(1, "a", hang=True))
    assert (hanging.fault_rate, hanging.fault_ms) == (1, math.inf)
    both = after(At(1, "a", hang=True), At(2, "a", fail=True, fail_time=0.5))
    assert (both.fault_rate, both.fault_ms) == (1, 500)
    assert after(At(1, "a", hang=True), At(2, "a", hang=False)) == USUAL


PRESETS = [
    "uniform", "heterogeneous", "one_slow", "black_hole", "flapping", "brownout", "regional",
    "thundering_herd", "rolling_restart",
]  # fmt: skip


@pytest.mark.parametrize("preset", PRESETS)
def test_every_ready_made_scenario_can_be_played_live(preset: str) -> None:
    require_playable(getattr(scenarios, preset)())


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (SimServer("a", service.exponential(1.0)), "a: a live server takes mcpnb.service.lognormal"),
        (
            SimServer("a", service.deterministic(1), discipline="ps"),
            "a: discipline='ps' can be simulated only",
        ),
        (SimServer("a", service.deterministic(1), stops=False), "stops=False can be simulated only"),
        (SimServer("a", service.deterministic(1), max_queue=3), "max_queue without max_in_flight"),
    ],
)
def test_what_can_only_be_simulated_is_said_by_name(server: SimServer, why: str) -> None:
    with pytest.raises(McpnbError, match=why):
        require_playable(Scenario([server]))


def test_so_are_sessions_and_changes_of_what_the_router_knows() -> None:
    servers = [SimServer("a", service.deterministic(1))]
    with pytest.raises(McpnbError, match="affinity can be simulated only"):
        require_playable(Scenario(servers, resilience=Resilience(affinity=3)))
    with pytest.raises(McpnbError, match=r"At\(3, 'a'\): weight and max_in_flight"):
        require_playable_timeline([At(3, "a", weight=2)])
