"""How many requests a second one core simulates, and how much of each is the dispatcher's own time.

    python tests/bench/simulator.py [--requests 100000] [--rounds 3] [--strategy p2c]

Exponential service at load 0.8, everything else off; or with --bulkhead one call at a time per server, and
the others wait at the router. `dispatcher` is the same number of submits and outcomes without clock, servers
and record: what no simulator around it can go below. CPU time of this process, the best of the rounds,
because other work on the machine only ever adds.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import deque

from mcpnb.experiment import Workload
from mcpnb.experiment.simulate import simulate
from mcpnb.model import Endpoint, Outcome, Request
from mcpnb.routing import Dispatcher, Send
from mcpnb.simulation import Scenario, SimServer, service

SIZES = (10, 1_000, 10_000)
BUDGET = 150_000


def simulated(servers: int, requests: int, strategy: str, bulkhead: int | None) -> float:
    """CPU seconds of one whole run."""
    shape = service.exponential(1.0)
    scenario = Scenario([SimServer(f"s{i}", shape, max_in_flight=bulkhead) for i in range(servers)])
    workload = Workload(rate=0.8 * servers, requests=requests)
    began = time.process_time()
    simulate(scenario, strategy, workload)
    return time.process_time() - began


def dispatched(servers: int, requests: int, strategy: str) -> float:
    """CPU seconds of the dispatcher alone, with the same number of calls out as the simulation has."""
    dispatcher = Dispatcher(strategy, rng=random.Random(0))
    group = tuple(f"s{i}" for i in range(servers))
    for name in group:
        dispatcher.add(Endpoint(name))
    out: deque[int] = deque()
    ok = Outcome("ok")
    began = time.process_time()
    for number in range(requests):
        for action in dispatcher.submit(Request(number, "tool", group), float(number)):
            if isinstance(action, Send):
                out.append(action.attempt.id)
        if len(out) > 2 * servers:
            dispatcher.on_outcome(out.popleft(), ok, float(number))
    while out:
        dispatcher.on_outcome(out.popleft(), ok, float(requests))
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--strategy", default="p2c")
    parser.add_argument("--bulkhead", action="store_const", const=1)
    options = parser.parse_args()
    n = options.requests
    for servers in SIZES:
        whole = min(simulated(servers, n, options.strategy, options.bulkhead) for _ in range(options.rounds))
        bare = min(dispatched(servers, n, options.strategy) for _ in range(options.rounds))
        print(
            f"{servers:6d} servers  {n / whole:8,.0f} requests/s ({n / whole / BUDGET:4.0%} of the budget)"
            f"   {whole / n * 1e6:5.1f} µs each, dispatcher alone {bare / n * 1e6:5.1f} µs"
        )


if __name__ == "__main__":
    main()
