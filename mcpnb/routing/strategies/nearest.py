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
from mcpnb.routing.strategies.memory import ABSENT
from mcpnb.routing.strategies.p2c import P2C


class _Zone(Bag):
    """The eligible servers at one distance, and those that should be there as well."""

    __slots__ = ("distance", "out")

    def __init__(self, distance: float) -> None:
        super().__init__()
        self.distance = distance
        self.out: dict[Node, None] = {}
        """The longest absent first; no more than a strategy remembers."""

    def add(self, node: Node) -> None:
        """Put a server in."""
        self.out.pop(node, None)
        super().add(node)

    def remove(self, node: Node) -> None:
        """Take a server out."""
        super().remove(node)
        self.miss(node)

    def miss(self, node: Node) -> None:
        """A server should be here and is not."""
        self.out[node] = None
        if len(self.out) > ABSENT:
            del self.out[next(iter(self.out))]

    def health(self) -> float:
        """The share that is eligible."""
        return len(self.nodes) / (len(self.nodes) + len(self.out))


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
        self._zone: dict[Node, _Zone] = {}  # who is here; its region may change before it is taken out
        self._near: list[float] = []  # the distances at which somebody is eligible, ascending

    def locate(self, home: str, distances: Mapping[str, float]) -> None:
        """Measure from there, unless it was made with a home of its own."""
        if self._home is None:
            self._home, self._distances = home, dict(distances)

    def expected(self, node: Node, now: float) -> None:  # noqa: ARG002 - distance has no age
        """A region whose servers are not up yet is not well."""
        self._at(node).miss(node)

    def added(self, node: Node, now: float) -> None:  # noqa: ARG002 - distance has no age
        """Put the server to the others of its distance."""
        zone = self._zone[node] = self._at(node)
        if not zone.nodes:
            insort(self._near, zone.distance)
        zone.add(node)

    def removed(self, node: Node, now: float) -> None:  # noqa: ARG002 - distance has no age
        """Take the server out; it still counts as one that should be there."""
        zone = self._zone.pop(node)
        zone.remove(node)
        if not zone.nodes:
            del self._near[bisect_left(self._near, zone.distance)]

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:  # noqa: ARG002 - kept in zones
        """Two choices at the distance that the draw falls into."""
        return super().pick(self._drawn(rng).nodes, now, rng)

    def _drawn(self, rng: random.Random) -> _Zone:
        zones = [self._zones[distance] for distance in self._near]
        if len(zones) == 1:
            return zones[0]
        shares = spilled([zone.health() for zone in zones], self._threshold)
        draw = rng.random()
        for zone, share in zip(zones, shares, strict=True):
            draw -= share
            if draw < 0.0:
                return zone
        return zones[0]  # the shares' sum was rounded

    def _at(self, node: Node) -> _Zone:
        distance = self._distance(node.endpoint.region)
        return self._zones.setdefault(distance, _Zone(distance))

    def _distance(self, region: str | None) -> float:
        if self._home is None or region == self._home:
            return 0.0
        return math.inf if region is None else self._distances.get(region, math.inf)


def spilled(health: Sequence[float], threshold: float) -> list[float]:
    """The calls' share of each group, nearest first, when each can take health / threshold of all.

    Whole per cents as in Envoy: they add up exactly. The last group that gets any takes what rounding left.
    """
    left, takes = 1.0, list[float]()
    for share in health:
        takes.append(min(left, share / threshold))
        left -= takes[-1]
    last = max(place for place, take in enumerate(takes) if take > 0.0)
    cents = [round(100.0 * take / (1.0 - left)) for take in takes[:last]]
    return [*[cent / 100.0 for cent in cents], (100 - sum(cents)) / 100.0, *[0.0] * (len(takes) - last - 1)]
