"""The playground's question, asked of real servers: what is told faster, left out, and found."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from mcpnb.errors import McpnbError
from mcpnb.lab.playground import RATE, SECONDS, playable, run_live
from mcpnb.notebook.playground.state import Choice, State, of_preset, protect
from mcpnb.simulation import At, Load, SimServer
from mcpnb.simulation.service import Deterministic, Exponential, Hyperexponential, Lognormal, Pareto

live = pytest.mark.slow
"""Starts servers."""


def state(**changes) -> State:
    servers = tuple(SimServer(name, Lognormal(0.01, 0.5)) for name in ("a", "b"))
    usual = {"load": Load(40.0, 1.5), "strategies": (Choice("p2c"), Choice("round_robin"))}
    return State(servers, **{**usual, **changes})


def test_a_long_story_is_told_faster_with_its_faults_at_the_same_share_of_it():
    scenario, remarks = playable(of_preset("one_slow"))
    assert scenario.load is not None
    assert scenario.load.seconds == SECONDS
    assert [at.t for at in scenario.timeline] == [SECONDS / 3, SECONDS * 2 / 3]
    assert remarks == ["Told 4 times as fast: 15 s for each strategy."]


def test_distributions_that_no_live_server_draws_keep_their_mean():
    given = (
        Exponential(0.02),
        Hyperexponential((0.9, 0.1), (0.01, 0.09)),
        Pareto(1.8, 0.01),
        Deterministic(0.05),
    )
    servers = tuple(SimServer(f"s{k}", service) for k, service in enumerate(given))
    scenario, remarks = playable(State(servers, load=Load(10.0, 5.0)))
    means = [server.service.mean for server in scenario.servers]
    assert means == pytest.approx([service.mean for service in given])
    assert scenario.servers[0].service == Lognormal(0.02, 1.0)
    assert scenario.servers[3].service == Deterministic(0.05)
    assert len(remarks) == 1


def test_what_is_simulated_only_is_left_out_and_said():
    scenario, remarks = playable(protect(state(), "affinity", True))
    assert scenario.resilience.affinity is None
    assert remarks == ["Without affinity, which is simulated only."]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"load": Load(RATE + 1, 5.0)}, "calls/s are more than one process can send"),
        (
            {"servers": tuple(SimServer(f"s{n}", Exponential(0.1)) for n in range(17))},
            "too many for one machine",
        ),
        ({"strategies": ()}, "choose at least one strategy"),
    ],
)
def test_what_this_machine_cannot_do_is_refused_in_one_line(changes, words):
    with pytest.raises(McpnbError, match=words):
        playable(replace(state(), **changes))


@live
def test_a_quiet_question_is_answered_by_servers_in_turns():
    told = list[tuple[float, str]]()
    found = run_live(state(), lambda share, what: told.append((share, what)), lambda: False)
    assert found is not None
    assert found.strategies == ("p2c", "round_robin")
    assert found.summary["errors"].sum() == 0
    assert {str(name) for name in found.share.columns} == {"a", "b"}
    assert told[0][1] == "starting 2 servers …"
    assert told[-1][0] == 1.0
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert "The strategies took turns." in found.notes


@live
def test_each_strategy_meets_the_same_faults_with_servers_that_are_whole_again():
    faulty = state(timeline=(At(0.0, "a", fail=True, fail_time=0.0), At(0.7, "a", recover=True)))
    found = run_live(faulty, lambda share, what: None, lambda: False)
    assert found is not None
    errors = found.summary["errors"]
    assert (errors > 0).all()
    late = found.calls[found.calls["intended_at"] > 1.0]
    assert set(late["outcome"].astype(str)) == {"ok"}
    assert "Each strategy had the whole story to itself, one after the other." in found.notes


@live
def test_a_cancelled_run_gives_nothing_and_leaves_nothing():
    asked = threading.Event()

    def cancelled() -> bool:
        return asked.is_set()

    def progress(share: float, what: str) -> None:
        if share > 0:
            asked.set()

    assert run_live(state(load=Load(40.0, 15.0)), progress, cancelled) is None
    assert not [t for t in threading.enumerate() if t.name.startswith("mcpnb-script")]
