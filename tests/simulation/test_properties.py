"""What holds for any scenario: calls end in time, nothing is left out, and the seed decides everything."""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcpnb.resilience.settings import Resilience
from mcpnb.simulation import At, Demand, Scenario, SimServer, service, simulate

NAMES = ("a", "b", "c")
TIMEOUT = 2.0
SHAPES = [
    service.exponential(0.5), service.deterministic(0.5), service.lognormal(0.5, 2.0),
    service.hyperexponential([1, 3], [1.0, 0.1]), service.pareto(1.5, 0.1), service.empirical([0.1, 1.0]),
]  # fmt: skip

server = st.builds(
    SimServer,
    name=st.just("a"),
    service=st.sampled_from(SHAPES),
    workers=st.integers(1, 3),
    discipline=st.sampled_from(["fcfs", "ps"]),
    rtt=st.sampled_from([0.0, 0.3]),
    error_rate=st.sampled_from([0.0, 0.0, 0.3, 1.0]),
    fail_time=st.sampled_from([0.0, 0.1, float("inf")]),
    weight=st.sampled_from([1.0, 3.0]),
    region=st.sampled_from([None, "eu"]),
    priority=st.integers(0, 1),
    max_in_flight=st.sampled_from([None, None, 1, 2]),
    max_queue=st.sampled_from([None, 0, 2]),
    stops=st.booleans(),
)
change = st.builds(
    lambda t, name, what: At(t, name, **what),
    st.floats(0, 10),
    st.sampled_from(NAMES),
    st.sampled_from([
        {"leave": True}, {"join": True}, {"crash": True}, {"recover": True}, {"slow": 5.0}, {"fail": True},
        {"fail": False}, {"hang": True}, {"hang": False}, {"workers": 2}, {"max_in_flight": 1},
        {"weight": 2.0}, {"service": SHAPES[1]}, {"rtt": 0.1},
    ]),
)  # fmt: skip
resilience = st.builds(
    Resilience,
    breaker=st.booleans(),
    retry=st.sampled_from([None, 1, 3]),
    hedge=st.sampled_from([None, 0.0, 0.2]),
    panic=st.sampled_from([None, 0.5]),
    outlier=st.booleans(),
    affinity=st.sampled_from([None, 3]),
)
scenario = st.builds(
    lambda servers, timeline, on: Scenario(servers, timeline, on, home="eu"),
    st.tuples(*[server] * 3).map(
        lambda servers: [replace(each, name=name) for name, each in zip(NAMES, servers, strict=True)]
    ),
    st.lists(change, max_size=6),
    resilience,
)  # fmt: skip


def _open(scene, strategy, seed):
    times = np.cumsum(np.random.default_rng(seed).exponential(0.1, 80))
    return simulate(scene, strategy, Demand(tools=repeat("t"), times=times, timeout=TIMEOUT), seed=seed)


def _closed(scene, strategy, seed):
    demand = Demand(tools=repeat("t"), callers=4, requests=60, timeout=TIMEOUT)
    return simulate(scene, strategy, demand, seed=seed)


CHOICES = ["p2c", "least_request", "round_robin", "peak_ewma", "rendezvous", "priority", "nearest", "prequal"]


@given(scenario, st.sampled_from(CHOICES), st.integers(0, 5), st.sampled_from([_open, _closed]))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
def test_every_call_ends_in_time_and_nothing_is_left_out(scene, strategy, seed, run_it):
    run = run_it(scene, strategy, seed)
    assert run.in_flight_after == 0
    assert len(run.latencies) == (80 if run_it is _open else 60)
    assert ((run.latencies >= 0) & (run.latencies <= TIMEOUT + 1e-9)).all()
    assert set(run.outcomes.tolist()) <= {"ok", "timeout", "disconnected", "refused", "rejected"}
    assert (run.queued <= run.latencies + 1e-9).all()
    assert (run.servers[run.attempts == 0] == -1).all()
    assert (run.servers[run.attempts > 0] >= 0).all()
    retries = 0 if scene.resilience.retry is None else scene.resilience.retry.retries
    assert (run.retries <= retries).all()
    assert (run.hedges <= (scene.resilience.hedge is not None)).all()
    assert run_it(scene, strategy, seed).decisions_digest == run.decisions_digest
