"""What one pick, start and finish costs as the fleet grows, for every strategy.

    python tests/bench/picks.py [p2c latency ...] [--picks 20000] [--rounds 5]

Each strategy is driven as the dispatcher drives it: pick, lease, `started`; and, with half as many calls out
as there are servers, the oldest one's release and `finished`. Every server is known before the clock starts;
latencies differ, and some calls fail. CPU time of this process in nanoseconds, the best of the rounds, since
other work on the machine only ever adds; the sizes take turns, so that what is left of it hits all alike.

The budget: at 10 000 servers at most three times what it is at 10.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections import deque

from mcpnb.model import Endpoint, OutcomeKind
from mcpnb.routing.node import Node
from mcpnb.routing.strategies import Strategy, available, spec

SIZES = (10, 1_000, 10_000)
BUDGET = 3.0
LATENCY = 0.1
"""Seconds of a typical answer; calls come so fast that half as many are out as there are servers."""
MIXED = " (mixed weights)"
WEIGHED = ("least_request", "weighted_round_robin")
"""Strategies whose cost may depend on how the weights differ; they run a second time with such weights."""


class Fleet:
    """Servers under one strategy, with a window of calls that are out."""

    def __init__(self, label: str, size: int) -> None:
        name, mixed = label.removesuffix(MIXED), label.endswith(MIXED)
        self.rng = random.Random(1)
        weights = [self._weight(i) if mixed else 1.0 for i in range(size)]
        self.nodes = [
            Node(Endpoint(f"s{i}", weight=weight, priority=i % 2, region=f"r{i % 4}"), i)
            for i, weight in enumerate(weights)
        ]
        self.strategy: Strategy = spec(name).build()
        self.strategy.key = "tool"
        self.strategy.locate("r0", {"r1": 1.0, "r2": 2.0})
        self.now, self.step = 0.0, 2.0 * LATENCY / size
        self.out: deque[Node] = deque()
        for node in self.nodes:
            self.strategy.added(node, self.now)
            self._answer(node)
        self.run(2 * size)

    def run(self, picks: int) -> float:
        """CPU seconds of that many picks, each with its start and a finish."""
        strategy, nodes, rng, out = self.strategy, self.nodes, self.rng, self.out
        window = len(nodes) // 2
        began = time.process_time()
        for _ in range(picks):
            self.now += self.step
            node = strategy.pick(nodes, self.now, rng)
            node.lease()
            strategy.started(node, self.now)
            out.append(node)
            if len(out) > window:
                done = out.popleft()
                done.release()
                self._answer(done)
        return time.process_time() - began

    def _weight(self, place: int) -> float:
        """Uneven, and one in a hundred outweighs the rest."""
        return 1000.0 if place % 100 == 9 else 0.5 + self.rng.random()

    def _answer(self, node: Node) -> None:
        kind: OutcomeKind = "ok" if node.index % 50 or self.rng.random() < 0.5 else "refused"
        self.strategy.finished(node, kind, LATENCY * (0.5 + self.rng.random()), self.now)


def measured(label: str, picks: int, rounds: int) -> list[float]:
    """Nanoseconds of one pick, start and finish at each size."""
    fleets = [Fleet(label, size) for size in SIZES]
    gc.collect()
    gc.disable()
    try:
        best = [
            min(times) for times in zip(*[[f.run(picks) for f in fleets] for _ in range(rounds)], strict=True)
        ]
    finally:
        gc.enable()
    return [seconds / picks * 1e9 for seconds in best]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("strategies", nargs="*", help="all when none is named")
    parser.add_argument("--picks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    labels = options.strategies or [*available(), *[name + MIXED for name in WEIGHED]]
    print(f"{'ns per pick + start + finish':38}" + "".join(f"{size:>10,}" for size in SIZES) + "     ratio")
    for label in labels:
        costs = measured(label, options.picks, options.rounds)
        ratio = costs[-1] / costs[0]
        verdict = "" if ratio <= BUDGET else f"  over the budget of {BUDGET:g}"
        print(
            f"{label:38}" + "".join(f"{cost:10,.0f}" for cost in costs) + f"{ratio:10.2f}{verdict}",
            flush=True,
        )


if __name__ == "__main__":
    main()
