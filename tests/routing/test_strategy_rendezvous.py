"""`rendezvous`: one key, one server; only the keys of a lost server move."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter

import pytest

from mcpnb.model import Attempt, Endpoint, Outcome, Request
from mcpnb.routing import Dispatcher, Send
from mcpnb.routing.node import Node
from mcpnb.routing.strategies import rendezvous
from mcpnb.routing.strategies.rendezvous import CACHED, KEPT, Rendezvous

KEYS = [f"session-{i}" for i in range(10_000)]


def adopted(count: int = 10, **weights: float) -> tuple[Rendezvous, list[Node]]:
    strategy = Rendezvous()
    names = [f"s{i}" for i in range(count)]
    eligible = [Node(Endpoint(name, weight=weights.get(name, 1.0)), i) for i, name in enumerate(names)]
    for node in eligible:
        strategy.added(node, 0.0)
    return strategy, eligible


def placed(strategy: Rendezvous, eligible: list[Node], keys=KEYS) -> dict[str, str]:
    places = {}
    for key in keys:
        strategy.key = key
        places[key] = strategy.pick(eligible, 0.0, random.Random(1)).name
    return places


def test_keys_spread_evenly():
    strategy, eligible = adopted()
    for count in Counter(placed(strategy, eligible).values()).values():
        assert count / len(KEYS) == pytest.approx(0.1, abs=0.012)


def test_keys_spread_by_weight():
    strategy, eligible = adopted(4, s1=2.0, s2=3.0, s3=4.0)
    counts = Counter(placed(strategy, eligible).values())
    for i in range(4):
        assert counts[f"s{i}"] / len(KEYS) == pytest.approx((i + 1) / 10, abs=0.02)


def test_only_the_keys_of_a_lost_server_move_and_they_return_with_it():
    """Oracle modulo_moved, turned round: `hash % n` moves 0.9 of the keys from 10 to 9 servers; this, 0.1."""
    strategy, eligible = adopted()
    before = placed(strategy, eligible)
    strategy.removed(eligible[3], 1.0)
    after = placed(strategy, [node for node in eligible if node.index != 3])
    moved = [key for key in KEYS if before[key] != after[key]]
    assert {before[key] for key in moved} == {"s3"}
    assert len(moved) / len(KEYS) == pytest.approx(0.1, abs=0.012)
    strategy.added(eligible[3], 2.0)
    assert placed(strategy, eligible) == before


def test_a_new_server_takes_keys_and_moves_no_others():
    strategy, eligible = adopted()
    before = placed(strategy, eligible)
    eligible.append(Node(Endpoint("new"), 10))
    strategy.added(eligible[-1], 1.0)
    after = placed(strategy, eligible)
    assert {after[key] for key in KEYS if before[key] != after[key]} == {"new"}


def test_when_every_kept_place_is_out_the_rest_is_ranked():
    strategy, eligible = adopted(20)
    strategy.key = "k"
    order = [node.name for node in rendezvous.rank("k", eligible, 20)]
    for expected in order[: KEPT + 3]:
        node = strategy.pick(eligible, 0.0, random.Random(1))
        assert node.name == expected
        strategy.removed(node, 0.0)
        eligible.remove(node)


def test_what_is_remembered_of_keys_is_bounded():
    """Oracle affinity_bounded: the table must not grow with the sessions."""
    strategy, eligible = adopted(2)
    placed(strategy, eligible, [f"k{i}" for i in range(3 * CACHED)])
    assert len(strategy._rankings) == CACHED


def test_another_process_places_keys_alike():
    """Python's own `hash` would differ from process to process."""
    code = "from mcpnb.routing.strategies.hashing import units; print(units('k')('s'))"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


def sent(actions) -> Attempt:
    return next(action.attempt for action in actions if isinstance(action, Send))


def brain_of_three() -> Dispatcher:
    brain = Dispatcher("rendezvous", rng=random.Random(1))
    for name in ("a", "b", "c"):
        brain.add(Endpoint(name))
    return brain


def test_calls_of_one_affinity_key_stay_together_and_calls_without_go_by_their_tool():
    brain, servers = brain_of_three(), {}
    for number in range(300):
        affinity = f"user-{number % 30}" if number % 2 else None
        attempt = sent(brain.submit(Request(number, f"t{number % 7}", tuple("abc"), affinity=affinity), 0.0))
        assert servers.setdefault(affinity or attempt.tool, attempt.server) == attempt.server
        brain.on_outcome(attempt.id, Outcome("ok"), 0.0)
    assert set(servers.values()) == {"a", "b", "c"}


def test_calls_that_ask_the_same_stay_together_and_say_so_when_they_cannot():
    brain, servers = brain_of_three(), {}
    for number in range(300):
        key = f"arguments {number % 30}"
        attempt = sent(brain.submit(Request(number, "t", tuple("abc"), key=key), 0.0))
        assert servers.setdefault(key, attempt.server) == attempt.server
        assert attempt.why == "first"
        brain.on_outcome(attempt.id, Outcome("ok"), 0.0)
    assert set(servers.values()) == {"a", "b", "c"}
    home = servers["arguments 7"]
    brain.mark(home, "reconnecting", 1.0)
    away = sent(brain.submit(Request(301, "t", tuple("abc"), key="arguments 7"), 1.0))
    assert f"its key belongs to {home}, which is out (reconnecting)" in away.why
    bound = sent(brain.submit(Request(302, "t", tuple("abc"), affinity="me", key="arguments 7"), 1.0))
    assert bound.server == sent(brain.submit(Request(303, "u", tuple("abc"), affinity="me"), 1.0)).server


def test_which_strategies_go_by_a_key_is_known_before_a_call_is_made():
    brain = brain_of_three()
    assert brain.keyed(None)
    assert not brain.keyed("p2c")
    brain.use("p2c", 0.0)
    assert not brain.keyed(None)
    brain.define("trial", "bounded_hash")
    assert brain.keyed("trial")
    brain.undefine("trial", 0.0)
    assert not brain.keyed("trial")


def test_a_call_whose_server_is_out_goes_to_the_next_in_rank_and_says_so():
    brain = brain_of_three()
    home = sent(brain.submit(Request(1, "t", tuple("abc"), affinity="me"), 0.0))
    assert home.saw == ((home.server, 1.0),)
    brain.mark(home.server, "reconnecting", 1.0)
    away = sent(brain.submit(Request(2, "t", tuple("abc"), affinity="me"), 1.0))
    assert away.saw == ((home.server, 1.0), (away.server, 2.0))
    brain.mark(home.server, "", 2.0)
    assert sent(brain.submit(Request(3, "t", tuple("abc"), affinity="me"), 2.0)).server == home.server
