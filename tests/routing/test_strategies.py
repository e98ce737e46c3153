"""Each strategy: what it picks, what it learns, what it refuses to be fooled by."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from mcpnb.errors import StrategyError
from mcpnb.model import Endpoint, Outcome, Request
from mcpnb.routing import Dispatcher, Send
from mcpnb.routing.node import Node
from mcpnb.routing.strategies import Strategy, available, spec
from mcpnb.routing.strategies.latency import FAULT_LATENCY, Latency
from mcpnb.routing.strategies.round_robin import RoundRobin

EVERY = sorted(available())


def nodes(count: int, **fields) -> list[Node]:
    return [Node(Endpoint(f"s{i}", **fields), i) for i in range(count)]


def adopted(name: str, eligible: list[Node], **values) -> Strategy:
    strategy = spec(name, **values).build()
    for node in eligible:
        strategy.added(node, 0.0)
    return strategy


def shares(strategy: Strategy, eligible: list[Node], picks: int, rng: random.Random) -> dict[str, float]:
    counts = Counter(strategy.pick(eligible, 0.0, rng).name for _ in range(picks))
    return {node.name: counts[node.name] / picks for node in eligible}


@pytest.mark.parametrize("name", [name for name in EVERY if not spec(name).build().keyed])
def test_idle_servers_that_are_all_alike_share_alike(name):
    eligible = nodes(10)
    strategy = adopted(name, eligible)
    for node in eligible if name == "latency" else ():
        strategy.finished(node, "ok", 0.1, 0.0)
    picks = 20_000  # the standard error of a share is then 0.002
    for share in shares(strategy, eligible, picks, random.Random(3)).values():
        assert share == pytest.approx(0.1, abs=0.008)


@pytest.mark.parametrize("name", ["p2c", "least_request"])
def test_ties_are_not_broken_by_the_order_of_the_list(name):
    """Oracle blackhole_firsttie, turned round: the first of many idle servers gets no more than its share."""
    eligible = nodes(9)
    assert shares(adopted(name, eligible), eligible, 20_000, random.Random(5))["s0"] == pytest.approx(
        1 / 9, abs=0.01
    )


@pytest.mark.parametrize("name", ["p2c", "least_request"])
def test_the_busier_of_two_is_never_picked(name):
    busy, idle = nodes(2)
    strategy = adopted(name, [busy, idle])
    busy.lease()
    assert shares(strategy, [busy, idle], 1000, random.Random(1)) == {"s0": 0.0, "s1": 1.0}


@pytest.mark.parametrize("name", ["p2c", "least_request"])
def test_load_counts_per_weight(name):
    heavy, light = Node(Endpoint("heavy", weight=4.0), 0), Node(Endpoint("light"), 1)
    strategy = adopted(name, [heavy, light])
    for _ in range(3):
        heavy.lease()
    light.lease()
    assert strategy.pick([heavy, light], 0.0, random.Random(1)) is heavy


def test_least_request_follows_loads_up_and_down_whoever_caused_them():
    eligible = nodes(5)
    strategy = adopted("least_request", eligible)
    rng, model = random.Random(2), Counter()
    for _ in range(5000):
        node = rng.choice(eligible)
        if model[node.name] and rng.random() < 0.5:
            node.release()
            model[node.name] -= 1
        else:
            node.lease()
            model[node.name] += 1
        picked = strategy.pick(eligible, 0.0, rng)
        assert model[picked.name] == min(model[node.name] for node in eligible)


def test_round_robin_gives_equal_shares_while_servers_come_and_go():
    eligible, rng, strategy = nodes(10), random.Random(1), RoundRobin()
    counts = Counter()
    for i in range(10_000):
        away = eligible[(i // 7) % 10]
        counts[strategy.pick([node for node in eligible if node is not away], 0.0, rng).name] += 1
    assert max(counts.values()) / min(counts.values()) < 1.1


def test_round_robin_rebuilt_every_three_picks_still_shares_alike():
    """Oracle rr_rebuild: a restart at 0 would overload the first servers."""
    eligible, rng, counts = nodes(10), random.Random(4), Counter()
    strategy = RoundRobin()
    for i in range(100_000):
        if i % 3 == 0:
            strategy = RoundRobin()
        counts[strategy.pick(eligible, 0.0, rng).name] += 1
    for node in eligible:
        assert counts[node.name] / 100_000 == pytest.approx(0.1, abs=0.006)


@pytest.mark.parametrize("seed", range(3))
def test_round_robin_resonates_with_an_alternating_workload_and_p2c_does_not(seed):
    """Oracle smallN_aliasing: over two servers, one gets all the expensive calls, wherever it starts."""
    eligible, rng = nodes(2), random.Random(seed)
    turns, choices = adopted("round_robin", eligible), adopted("p2c", eligible)
    picks = [turns.pick(eligible, 0.0, rng) for _ in range(100)]
    assert len(set(picks[::2])) == 1
    expensive = Counter()
    for _ in range(4000):  # the cheap call is over when the expensive one begins; that one, at the next
        expensive[choices.pick(eligible, 0.0, rng).name] += 1
        choices.pick(eligible, 0.0, rng)
    assert expensive["s0"] / 4000 == pytest.approx(0.5, abs=0.03)


@pytest.mark.long
def test_random_visits_every_server_as_the_coupon_collector_says():
    """Oracle coupon: N·H_N = 518.7 picks for 100 servers."""
    eligible, rng, strategy, tries = nodes(100), random.Random(6), spec("random").build(), 0
    for _ in range(5000):  # the standard error is then 1.8 picks
        seen = set()
        while len(seen) < 100:
            seen.add(strategy.pick(eligible, 0.0, rng))
            tries += 1
    assert tries / 5000 == pytest.approx(518.74, rel=0.02)


def test_round_robin_visits_every_server_in_as_many_picks_as_there_are():
    """Oracle coupon, the other half: N picks."""
    eligible, rng, strategy = nodes(100), random.Random(6), RoundRobin()
    assert len({strategy.pick(eligible, 0.0, rng) for _ in range(100)}) == 100


@pytest.mark.parametrize(("name", "empty"), [("random", math.exp(-1)), ("p2c", 1 - math.tanh(1))])
def test_as_many_calls_as_servers_leave_as_many_idle_as_the_mean_field_says(name, empty):
    """Oracle bins_d1, 0.368 by Poisson; with two choices s' = 1 - s^2, which ends at tanh 1."""
    eligible, rng = nodes(100_000), random.Random(2)
    strategy = spec(name).build()
    for _ in eligible:
        strategy.pick(eligible, 0.0, rng).lease()
    assert sum(node.in_flight == 0 for node in eligible) / 100_000 == pytest.approx(empty, abs=0.004)


def test_latency_samples_every_server_before_it_judges():
    eligible, rng = nodes(5), random.Random(1)
    strategy = adopted("latency", eligible)
    seen = []
    for _ in range(5):
        node = strategy.pick(eligible, 0.0, rng)
        seen.append(node.name)
        strategy.finished(node, "ok", 0.01, 0.0)
    assert len(set(seen)) == 5


def test_latency_does_not_flood_a_slow_server_until_its_first_answer():
    eligible, rng = nodes(3), random.Random(1)
    strategy = adopted("latency", eligible, epsilon=0.0)
    slow, counts = eligible[2], Counter()
    for call in range(60):  # 20 a second; the slow one answers after two seconds
        node = strategy.pick(eligible, call / 20, rng)
        counts[node.name] += 1
        strategy.started(node, call / 20)
        if node is not slow:
            strategy.finished(node, "ok", 0.02, call / 20 + 0.02)
        elif call >= 40:
            strategy.finished(node, "ok", 2.0, call / 20)
    assert counts["s2"] == 1


def test_latency_explores_at_the_rate_it_promises():
    """Oracle eps_greedy: ε(N-1)/N of the calls go to servers that are not the best."""
    eligible, rng = nodes(10), random.Random(8)
    strategy = adopted("latency", eligible, epsilon=0.1)
    for node in eligible:
        strategy.finished(node, "ok", 0.01 if node.name == "s3" else 0.02, 0.0)
    assert 1 - shares(strategy, eligible, 200_000, rng)["s3"] == pytest.approx(0.09, abs=0.003)


def test_latency_is_not_fooled_by_a_server_that_fails_fast():
    good, bad = nodes(2)
    strategy = adopted("latency", [good, bad], epsilon=0.0)
    strategy.finished(good, "ok", 0.2, 0.0)
    strategy.finished(bad, "refused", 0.001, 0.0)
    assert strategy.measure(bad, 0.0) == FAULT_LATENCY
    assert strategy.pick([good, bad], 0.0, random.Random(1)) is good


def test_latency_learns_nothing_from_cancelled_attempts():
    (node,) = nodes(1)
    strategy = Latency()
    strategy.finished(node, "cancelled", 9.0, 0.0)
    assert strategy.measure(node, 0.0) == 0.0


def test_latency_forgets_with_time():
    (node,) = nodes(1)
    strategy = Latency(tau=10.0)
    strategy.finished(node, "ok", 1.0, 0.0)
    strategy.finished(node, "ok", 0.0, 10.0)
    assert strategy.measure(node, 10.0) == pytest.approx(0.36788, rel=1e-4)


@pytest.mark.parametrize("name", EVERY)
def test_a_dispatcher_with_one_server_uses_it(name):
    brain = Dispatcher(name, rng=random.Random(1))
    brain.add(Endpoint("only"))
    for number in range(5):
        (send,) = [a for a in brain.submit(Request(number, "t", ("only",)), 0.0) if isinstance(a, Send)]
        brain.on_outcome(send.attempt.id, Outcome("ok"), 0.1)


def test_aliases_of_the_courses_names_work():
    assert spec("least_connections").name == spec("load_balanced").name == "least_request"
    assert spec("latency_based").name == "latency"


def test_an_unknown_strategy_names_the_known_ones_and_the_nearest():
    with pytest.raises(StrategyError, match=r"Did you mean round_robin\b") as caught:
        spec("round_robbin")
    assert set(EVERY) <= set(caught.value.known)


def test_the_nearest_name_may_be_an_alias():
    with pytest.raises(StrategyError, match=r"Did you mean least_connections\b"):
        spec("least_conections")


@pytest.mark.parametrize("values", [{"epsilon": 2.0}, {"epsilon": "much"}, {"temperature": 1.0}])
def test_a_wrong_parameter_is_refused_with_the_reason(values):
    with pytest.raises(StrategyError, match=next(iter(values))):
        spec("latency", **values)
