"""Servers that come and go are kept out for a while; steady ones never are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpnb.discovery import Added, Changed, Damping, Removed
from mcpnb.discovery.damping import Damper

from .given import at

ONE, OTHER = at(1), at(2)


def see(damper: Damper, now: float, *configs) -> list[str]:
    changes = damper.see({config.name: config for config in configs}, now)
    return [type(change).__name__ for change in changes]


def test_a_new_server_is_let_in_at_once_and_one_that_is_gone_is_gone_at_once():
    damper = Damper()
    assert see(damper, 0.0, ONE) == ["Added"]
    assert see(damper, 0.0) == ["Removed"]


def test_a_server_that_vanishes_three_times_in_a_row_is_kept_out_until_it_was_steady():
    damper = Damper(Damping(half_life=10.0, suppress=2.5, reuse=1.0))
    for second in range(3):
        assert see(damper, float(second), ONE) == ["Added"]
        assert see(damper, second + 0.1) == ["Removed"]
    assert see(damper, 3.0, ONE) == []
    assert list(damper.held) == ["weather"]
    at_last = damper.next_at
    assert at_last is not None
    assert damper.settle(at_last - 0.001) == []
    assert damper.settle(at_last) == [Added(ONE)]
    assert not damper.held


def test_while_it_is_kept_out_every_further_flap_makes_that_longer_up_to_a_bound():
    rules = Damping(half_life=10.0, suppress=2.0, reuse=1.0, ceiling=4.0)
    damper = Damper(rules)
    now = 0.0
    for _ in range(50):
        see(damper, now, ONE)
        see(damper, now + 0.1)
        now += 0.2
    see(damper, now, ONE)
    assert damper.next_at is not None
    assert damper.next_at - now <= rules.longest == 20.0


def test_a_server_that_moves_to_another_address_over_and_over_counts_as_flapping():
    damper = Damper()
    see(damper, 0.0, ONE)
    assert see(damper, 0.1, OTHER) == ["Changed"]
    assert see(damper, 0.2, ONE) == ["Changed"]
    assert see(damper, 0.3, OTHER) == ["Removed"]


def test_what_only_routing_looks_at_may_change_as_often_as_it_likes():
    damper = Damper()
    see(damper, 0.0, ONE)
    for weight in range(2, 50):
        assert see(damper, 0.01 * weight, at(1, weight=weight)) == ["Changed"]


def test_a_damping_that_could_never_end_is_refused():
    with pytest.raises(ValueError, match="reuse < suppress"):
        Damping(suppress=1.0, reuse=2.0)


steps = st.lists(
    st.tuples(st.floats(0.0, 5.0), st.dictionaries(st.sampled_from("ab"), st.integers(1, 3), max_size=2)),
    max_size=40,
)


@given(steps)
def test_whatever_is_seen_the_changes_lead_to_what_is_shown_and_shown_is_only_what_is_listed(seen):
    damper, shown, now = Damper(), {}, 0.0
    for pause, ports in seen:
        now += pause
        listed = {name: at(port, name) for name, port in ports.items()}
        for change in damper.see(listed, now):
            match change:
                case Added(config):
                    assert config.name not in shown
                    shown[config.name] = config
                case Changed(before, config):
                    assert shown[config.name] == before
                    shown[config.name] = config
                case Removed(config):
                    assert shown.pop(config.name) == config
        assert shown == damper.shown
        assert shown.items() <= listed.items()
        assert (damper.next_at is None) == (shown == listed)


@given(steps)
def test_when_nothing_changes_any_more_everything_listed_is_shown_within_the_bound(seen):
    damper, now, listed = Damper(), 0.0, {}
    for pause, ports in seen:
        now += pause
        listed = {name: at(port, name) for name, port in ports.items()}
        damper.see(listed, now)
    damper.settle(now + Damping().longest)
    assert damper.shown == listed


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=200))
def test_however_it_flaps_a_server_joins_only_so_often_in_a_minute(pauses):
    damper, now, joined = Damper(), 0.0, []
    for pause in pauses:
        now += pause
        joined += [now for change in damper.see({"weather": ONE}, now) if isinstance(change, Added)]
        damper.see({}, now)
    for since in joined:
        assert sum(since <= one < since + 60.0 for one in joined) <= 8
