"""`nearest`: own region first, a share for the next when it is half gone, `p2c` without a home."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from mcpnb.model import Endpoint
from mcpnb.routing.node import Node
from mcpnb.routing.strategies import spec
from mcpnb.routing.strategies.nearest import Nearest, spilled

REGIONS = ["eu"] * 4 + ["us"] * 4 + ["asia"] * 2 + [None]


def adopted(strategy: Nearest) -> dict[int, Node]:
    up = {i: Node(Endpoint(f"s{i}", region=region), i) for i, region in enumerate(REGIONS)}
    for node in up.values():
        strategy.added(node, 0.0)
    return up


def shares(strategy: Nearest, up: dict[int, Node], picks: int = 10_000) -> dict[str | None, float]:
    rng = random.Random(1)
    regions = Counter(strategy.pick(list(up.values()), 0.0, rng).endpoint.region for _ in range(picks))
    return {region: count / picks for region, count in regions.items()}


def european() -> Nearest:
    return Nearest(home="eu", distances={"us": 80.0, "asia": 200.0})


def test_calls_stay_in_their_own_region_while_it_is_well():
    strategy = european()
    up = adopted(strategy)
    strategy.removed(up.pop(0), 1.0)  # 3 of 4 are above the threshold
    assert shares(strategy, up) == {"eu": 1.0}


def test_a_region_that_is_half_gone_passes_the_rest_on_to_the_next():
    strategy = european()
    up = adopted(strategy)
    for i in (0, 1):
        strategy.removed(up.pop(i), 1.0)
    assert shares(strategy, up) == pytest.approx({"eu": 0.5 / 0.7, "us": 1 - 0.5 / 0.7}, abs=0.02)


def test_a_region_that_is_gone_is_replaced_by_the_next_by_distance():
    strategy = european()
    up = adopted(strategy)
    for i in range(4):
        strategy.removed(up.pop(i), 1.0)
    assert shares(strategy, up) == {"us": 1.0}
    for i in range(4, 8):
        strategy.removed(up.pop(i), 2.0)
    assert shares(strategy, up) == {"asia": 1.0}
    for i in (8, 9):
        strategy.removed(up.pop(i), 3.0)
    assert shares(strategy, up) == {None: 1.0}


def test_the_shares_are_envoys_for_its_overprovisioning():
    """Oracles envoy_priority_71, envoy_priority_50, envoy_priority_norm and envoy_priority_3: factor 1.4."""
    assert spilled([0.71, 1.0], 1 / 1.4) == [0.99, 0.01]
    assert spilled([0.5, 1.0], 1 / 1.4) == [0.7, 0.3]
    assert spilled([0.25, 0.25], 1 / 1.4) == [0.5, 0.5]
    assert spilled([0.25, 0.25, 0.2], 1 / 1.4) == [0.36, 0.36, 0.28]


@pytest.mark.parametrize("count", [1, 2, 7, 300])
def test_shares_of_any_number_of_groups_add_up(count):
    for health in (1 / count, 0.001, 0.7, 1.0):
        shares = spilled([health] * count, 0.7)
        assert len(shares) == count
        assert min(shares) >= 0.0
        assert sum(shares) == pytest.approx(1.0)


def test_servers_that_are_not_up_yet_count_as_missing():
    strategy = european()
    up = [Node(Endpoint("near", region="eu"), 0), Node(Endpoint("far", region="us"), 1)]
    for i in range(3):
        strategy.expected(Node(Endpoint(f"late{i}", region="eu"), 2 + i), 0.0)
    for node in up:
        strategy.added(node, 0.0)
    assert shares(strategy, dict(enumerate(up)))["eu"] == pytest.approx(0.25 / 0.7, abs=0.02)


def test_a_home_told_by_the_fleet_counts_unless_it_has_one_of_its_own():
    for strategy, home in ((Nearest(), "us"), (european(), "eu")):
        strategy.locate("us", {"eu": 80.0})
        assert shares(strategy, adopted(strategy)) == {home: 1.0}


def test_without_a_home_it_is_p2c_over_all():
    strategy = spec("nearest").build()
    up = adopted(strategy)
    assert shares(strategy, up)["us"] == pytest.approx(4 / 11, abs=0.02)


def test_inside_a_region_the_less_loaded_is_picked():
    strategy = european()
    up = adopted(strategy)
    for i in (0, 1, 2):
        up[i].lease()
    rng = random.Random(1)
    picks = Counter(strategy.pick(list(up.values()), 0.0, rng).index for _ in range(4000))
    assert picks[3] / 4000 == pytest.approx(0.5, abs=0.03)


def test_regions_of_unknown_distance_stand_together_and_last():
    strategy = Nearest(home="eu")
    up = adopted(strategy)
    for i in range(4):
        strategy.removed(up.pop(i), 1.0)
    assert set(shares(strategy, up)) == {"us", "asia", None}


def test_a_users_object_is_built_afresh_for_each_pool():
    choice = spec(european())
    first, second = choice.build(), choice.build()
    up = adopted(first)
    assert first is not second
    assert shares(first, up) == {"eu": 1.0}
    assert shares(second, adopted(second)) == {"eu": 1.0}
