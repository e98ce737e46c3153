"""A simulated run as it shows itself at the end of a cell."""

from __future__ import annotations

import pytest

from mcpnb.experiment import Workload
from mcpnb.experiment.palette import DASH
from mcpnb.experiment.simulate import simulate
from mcpnb.resilience.settings import Resilience
from mcpnb.simulation import At, Scenario, SimServer, service

WORKLOAD = Workload(rate=15, requests=400, warmup=20)


def shown(run):
    bundle = run._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    return bundle["text/plain"], bundle["text/html"]


@pytest.fixture(scope="module")
def run():
    crowd = [SimServer(f"s{i:02}", service.exponential(0.1)) for i in range(14)]
    failing = Scenario(
        crowd, timeline=[At(5, "s03", fail=True)], resilience=Resilience(breaker=True, retry=True, hedge=0.3)
    )
    return simulate(failing, "p2c", WORKLOAD, seed=4)


def test_a_run_says_what_became_of_its_calls_server_by_server(run):
    text, html = shown(run)
    assert text.splitlines()[0] == "p2c over 14 servers: 380 calls, none failed"
    share = f"{run.shares[0] * 100:.1f} %"
    calls = int((run.servers == 0).sum())
    (row,) = (line for line in text.splitlines() if line.startswith("s00 "))
    assert row.split()[:2] == ["s00", str(calls)]
    assert share in row
    assert share in html
    assert f"p95 {run.summary['p95_ms']:.0f} ms" in text


def test_of_many_servers_the_first_are_shown_and_the_others_counted(run):
    text, html = shown(run)
    assert "s11" in text
    assert "s12" not in text
    assert "and 2 more servers" in text
    assert html.count('<th scope="row"') == 12


def test_what_its_protections_did_is_said(run):
    text, _ = shown(run)
    assert f"{run.summary['retries']} retries and {run.summary['hedges']} hedges" in text
    assert f"openings of breakers: {run.summary['breaker_trips']}" in text
    assert "No steady state" not in text


def test_calls_that_wait_and_a_load_without_a_steady_state_are_said():
    full = Scenario([SimServer("one", service.deterministic(0.1), max_in_flight=1)])
    text, html = shown(simulate(full, "random", WORKLOAD))
    assert "calls waited for a free server" in text
    assert "No steady state: 15 calls/s arrive and the servers can do 10/s." in html


def test_a_run_in_which_nothing_was_answered_has_dashes_for_latencies():
    dead = Scenario([SimServer("dead", service.exponential(0.1), error_rate=1.0)])
    text, _ = shown(simulate(dead, "random", Workload(rate=1, requests=3)))
    assert "100 % failed" in text
    (row,) = (line for line in text.splitlines() if line.startswith("dead"))
    assert row.split()[3:5] == [DASH, DASH]


def test_names_of_servers_are_escaped():
    strange = Scenario([SimServer("<script>", service.exponential(0.1))])
    assert "<script>" not in shown(simulate(strange, "random", Workload(rate=1, requests=3)))[1]
