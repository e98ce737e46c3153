"""Short ways to say a scenario."""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat

import numpy as np
import pytest

from mcpnb.experiment import Workload
from mcpnb.resilience.retry import RetryPolicy
from mcpnb.resilience.settings import Resilience
from mcpnb.simulation import Demand, Scenario, SimServer, service, simulate


def servers(count, model=None, **properties):
    model = model or service.exponential(1.0)
    return [SimServer(f"s{i}", model, **properties) for i in range(count)]


def made(scenario, retries):
    """A scenario from servers; with `retries` as often as that, whatever it costs."""
    if not isinstance(scenario, Scenario):
        scenario = Scenario(scenario)
    if retries:
        scenario = replace(scenario, resilience=Resilience(retry=RetryPolicy(retries, budgeted=False)))
    return scenario


@pytest.fixture
def at_times():
    """Run calls that start at given times."""

    def run(times, scenario, strategy="round_robin", *, seed=0, retries=0, **demand):
        asked = Demand(tools=repeat("tool"), times=np.array(times, dtype=np.float64), **demand)
        return simulate(made(scenario, retries), strategy, asked, seed=seed)

    return run


@pytest.fixture(scope="session")
def poisson():
    """Run Poisson arrivals of a total rate, unless others are asked for."""

    def run(scenario, strategy, *, rate, requests, warmup=0, seed=0, retries=0, arrivals="poisson", **demand):
        plan = Workload(arrivals=arrivals, rate=rate, requests=requests, warmup=warmup)
        times = plan.times(seed=seed)
        asked = Demand(tools=repeat("tool"), times=times, rate=rate, warmup=warmup, **demand)
        return simulate(made(scenario, retries), strategy, asked, seed=seed)

    return run


@pytest.fixture(scope="session")
def fleet_of():
    return servers
