"""Rings and circles of hashed places, and the tree that finds the next server with room."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from mcpnb.model import Endpoint
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.hashing import places, units
from mcpnb.routing.strategies.ring import PLACES, Circle, Ring, Row

LOADS = st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, math.inf]), min_size=1, max_size=20)


def nodes(count: int) -> list[Node]:
    return [Node(Endpoint(f"s{i}"), i) for i in range(count)]


@given(
    values=LOADS,
    changes=st.lists(st.tuples(st.integers(0, 19), st.floats(0, 3))),
    limit=st.floats(0, 3),
    start=st.integers(0, 20),
)
def test_the_first_below_a_limit_is_the_one_a_walk_would_find(values, changes, limit, start):
    row = Row(list(values))
    for at, value in changes:
        row.put(at % len(values), value)
        values[at % len(values)] = value
    start %= len(values) + 1
    walk = [*range(start, len(values)), *range(start)]
    assert row.below(limit, start) == next((at for at in walk if values[at] < limit), None)


def test_every_server_keeps_its_places_when_others_come_and_go():
    ring, fleet = Ring(50), nodes(12)
    for node in fleet[:10]:
        ring.add(node)
    asked = [i / 1000 for i in range(1000)]
    before = [ring.after(place) for place in asked]
    ring.add(fleet[10])
    after = [ring.after(place) for place in asked]
    assert {new for old, new in zip(before, after, strict=True) if old is not new} == {fleet[10]}
    ring.keep(fleet[:10])
    assert [ring.after(place) for place in asked] == before


def test_a_ring_stays_within_its_size_however_many_servers_it_has():
    ring = Ring(1000)
    for node in nodes(1000):
        ring.add(node)
    shares = ring.shares()
    assert len(ring._places) <= PLACES
    assert math.isclose(sum(shares.values()), 1.0)
    assert max(shares.values()) < 2 / 1000


def test_a_circle_finds_the_next_with_room_and_passes_over_who_is_out():
    circle, fleet = Circle(), nodes(5)
    for node in fleet:
        circle.put(node, 1.0)
    assert circle.below(1.0, 0.5) is None
    order = []
    for _ in fleet:
        node = circle.below(2.0, 0.5)
        order.append(node)
        circle.pass_over(node)
    assert circle.below(2.0, 0.5) is None
    assert set(order) == set(fleet)
    circle.put(order[3], 0.0)
    circle.put(order[1], 1.5)
    assert circle.below(2.0, 0.5) is order[1]
    circle.keep(order[2:])
    assert circle.below(2.0, 0.5) is order[3]


def test_hashed_numbers_lie_between_0_and_1_and_differ_by_key():
    found = places("s", 1000)
    assert len(set(found)) == 1000
    assert 0.0 < min(found) < 0.01
    assert 0.99 < max(found) < 1.0
    assert places("s", 3) == found[:3]
    assert places("t", 3) != found[:3]
    assert units("a")("s") != units("b")("s")
