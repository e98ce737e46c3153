"""`priority`: falls at once, returns only to a group that has come to stay."""

from __future__ import annotations

import random

from mcpnb.model import Endpoint, Outcome, Request
from mcpnb.routing import Dispatcher, Send
from mcpnb.routing.node import Node
from mcpnb.routing.strategies import spec
from mcpnb.routing.strategies.priority import Priority


class Fleet:
    """Servers `a`, `b` of priority 1 and `c` of priority 0, and who is up."""

    def __init__(self, **values) -> None:
        endpoints = [Endpoint("a", priority=1), Endpoint("b", priority=1), Endpoint("c")]
        self.nodes = {endpoint.name: Node(endpoint, i) for i, endpoint in enumerate(endpoints)}
        self.strategy, self.rng, self.up = Priority(**values), random.Random(1), dict[str, Node]()

    def add(self, names: str, now: float) -> None:
        for name in names:
            self.up[name] = self.nodes[name]
            self.strategy.added(self.nodes[name], now)

    def remove(self, names: str, now: float) -> None:
        for name in names:
            self.strategy.removed(self.up.pop(name), now)

    def picks(self, now: float) -> str:
        eligible = sorted(self.up.values(), key=lambda node: node.index)
        return "".join(sorted({self.strategy.pick(eligible, now, self.rng).name for _ in range(50)}))


def test_the_highest_priority_takes_everything():
    fleet = Fleet()
    fleet.add("cba", 0.0)
    assert fleet.picks(0.0) == "ab"


def test_calls_fall_to_the_next_group_when_the_last_server_goes_and_not_before():
    fleet = Fleet()
    fleet.add("abc", 0.0)
    fleet.remove("a", 1.0)
    assert fleet.picks(1.0) == "b"
    fleet.remove("b", 2.0)
    assert fleet.picks(2.0) == "c"


def test_calls_return_when_the_first_group_has_stayed_for_a_while():
    fleet = Fleet(hold=5.0)
    fleet.add("abc", 0.0)
    fleet.remove("ab", 1.0)
    fleet.add("a", 2.0)
    assert fleet.picks(6.9) == "c"
    assert fleet.picks(7.0) == "a"


def test_a_server_that_flaps_does_not_drag_the_traffic_with_it():
    fleet = Fleet()
    fleet.add("ac", 0.0)
    for second in range(1, 30):
        fleet.remove("a", second)
        fleet.add("a", second + 0.5)
        assert fleet.picks(second + 0.9) == "c"


def test_a_young_group_is_better_than_none():
    fleet = Fleet()
    fleet.add("ac", 0.0)
    fleet.remove("a", 1.0)
    fleet.add("a", 2.0)
    fleet.remove("c", 2.5)
    assert fleet.picks(2.5) == "a"


def test_a_server_that_connects_late_for_the_first_time_is_used_at_once():
    fleet = Fleet()
    fleet.add("c", 0.0)
    fleet.add("a", 1.0)
    assert fleet.picks(1.0) == "a"


def test_a_retry_elsewhere_does_not_count_as_a_break():
    brain = Dispatcher("failover", rng=random.Random(1))
    brain.add(Endpoint("first", priority=1))
    brain.add(Endpoint("second"))

    def sent(actions) -> str:
        return next(action.attempt for action in actions if isinstance(action, Send))

    attempt = sent(brain.submit(Request(1, "t", ("first", "second")), 1.0))
    assert attempt.server == "first"
    again = sent(brain.on_outcome(attempt.id, Outcome("refused"), 1.1))
    assert again.server == "second"
    brain.on_outcome(again.id, Outcome("ok"), 1.2)
    assert sent(brain.submit(Request(2, "t", ("first", "second")), 1.3)).server == "first"


def test_inside_a_group_the_less_loaded_is_picked():
    fleet = Fleet()
    fleet.add("abc", 0.0)
    fleet.nodes["a"].lease()
    assert fleet.picks(0.0) == "b"


def test_its_other_name_is_failover():
    assert spec("failover", hold=0.0).build().name == "priority"
    assert spec("failover").name == "priority"


def test_without_a_hold_calls_return_at_once():
    fleet = Fleet(hold=0.0)
    fleet.add("ac", 0.0)
    fleet.remove("a", 1.0)
    fleet.add("a", 2.0)
    assert fleet.picks(2.0) == "a"


def test_a_group_that_is_only_full_is_used_again_as_soon_as_it_has_room():
    brain = Dispatcher("failover", rng=random.Random(1))
    brain.add(Endpoint("first", priority=1, max_in_flight=1))
    brain.add(Endpoint("second"))
    servers = ("first", "second")

    def sent(number: int, now: float):
        actions = brain.submit(Request(number, "t", servers), now)
        return next(action.attempt for action in actions if isinstance(action, Send))

    attempt = sent(1, 1.0)
    assert attempt.server == "first"
    assert sent(2, 1.1).server == "second"
    brain.on_outcome(attempt.id, Outcome("ok"), 1.2)
    assert sent(3, 1.3).server == "first"


def test_a_server_whose_priority_changes_moves_to_its_new_group():
    fleet = Fleet()
    fleet.add("abc", 0.0)
    fleet.nodes["c"].endpoint = Endpoint("c", priority=9)
    fleet.remove("c", 1.0)
    fleet.add("c", 1.0)
    assert fleet.picks(1.0) == "c"
