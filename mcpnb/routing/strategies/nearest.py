"""`nearest`: the nearest region that is well, two choices inside it, and a share for the next when it is not.

Source of the spill-over: Envoy's priority levels, where a level takes all traffic while health x 1.4 >= 1. A
region that is half gone would otherwise press all of its calls onto the servers that remain.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from typing import ClassVar

from mcpnb.routing.node import Node
from mcpnb.routing.strategies.bags import Bag
from mcpnb.routing.strategies.base import Parameter
from mcpnb.routing.strategies.p2c import P2C


class _Zone(Bag):
    """The eligible servers at one distance, and how many were ever seen there."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        super().__init__()
        self.known: set[Node] = set()


class Nearest(P2C):
    """`p2c` among the nearest servers. O(1) while few distances exist.

    Below `threshold` of its servers eligible, a distance keeps eligible / (threshold x known) of the calls,
    and the next one gets the rest. Regions of one distance stand together, those without a declared
    distance come last. Without a home every server is equally near, which is `p2c`.
    Inside a distance the less loaded server is preferred; failing ones have to be taken out by filters.

    Args:
        home: The client's region.
        distances: Region to distance from home, in any unit.
        threshold: Share of eligible servers below which calls spill over.
    """

    name: ClassVar[str] = "nearest"
    help: ClassVar[str] = "own region first, then by distance"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("threshold", 0.7, 0.01, 1.0, "share of a region's servers below which calls spill over"),
    )

    def __init__(
        self,
        threshold: float = 0.7,
        *,
        home: str | None = None,
        distances: Mapping[str, float] | None = None,
    ) -> None:
        self._home, self._distances, self._threshold = home, dict(distances or {}), threshold
        self._zones: dict[float, _Zone] = {}
        self._near: list[float] = []  # the distances at which somebody is eligible, ascending

    def added(self, node: Node, now: float) -> None:  # noqa: ARG002 - distance has no age
        """Put the server to the others of its distance."""
        distance = self._distance(node.endpoint.region)
        zone = self._zones.setdefault(distance, _Zone())
        if not zone.nodes:
            insort(self._near, distance)
        zone.known.add(node)
        zone.add(node)

    def removed(self, node: Node, now: float) -> None:  # noqa: ARG002 - distance has no age
        """Take the server out; it still counts as one that should be there."""
        distance = self._distance(node.endpoint.region)
        zone = self._zones[distance]
        zone.remove(node)
        if not zone.nodes:
            del self._near[bisect_left(self._near, distance)]

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:  # noqa: ARG002 - kept in zones
        """Two choices at the distance that the draw falls into."""
        return super().pick(self._zone(rng).nodes, now, rng)

    def _zone(self, rng: random.Random) -> _Zone:
        zones = [self._zones[distance] for distance in self._near]
        if len(zones) == 1:
            return zones[0]
        shares = spilled([len(zone.nodes) / len(zone.known) for zone in zones], self._threshold)
        draw = rng.random()
        for zone, share in zip(zones, shares, strict=True):
            draw -= share
            if draw < 0.0:
                return zone
        return zones[0]  # the shares' sum was rounded

    def _distance(self, region: str | None) -> float:
        if self._home is None or region == self._home:
            return 0.0
        return math.inf if region is None else self._distances.get(region, math.inf)


def spilled(health: Sequence[float], threshold: float) -> list[float]:
    """The calls' share of each group, nearest first, when each can take health / threshold of all."""
    left, shares = 1.0, list[float]()
    for share in health:
        shares.append(min(left, share / threshold))
        left -= shares[-1]
    total = 1.0 - left
    return [share / total for share in shares]
