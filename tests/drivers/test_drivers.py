"""One brain, three bodies: the live client, the simulator and the replayer decide alike, byte for byte."""

from __future__ import annotations

import pytest

from mcpnb.simulation.recorded import Joined, Marked, Recorded
from mcpnb.simulation.recorder import Recorder

from .bodies import lived, replayed, seen, simulated
from .cases import CASES, Case

STRATEGIES = ("p2c", "round_robin", "least_request", "peak_ewma", "latency")
BLIND_TO_LATENCY = ("p2c", "round_robin")  # the others may stay away from what the case is about
SEED = 3

in_every_case = pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
under_every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


@in_every_case
@under_every_strategy
def test_live_simulator_and_replay_decide_alike(case: Case, strategy: str):
    live = lived(case, strategy, SEED)
    again = replayed(case, strategy, SEED, live)
    assert again.decisions_digest == live.digest
    assert again.in_flight_after == 0
    if strategy in BLIND_TO_LATENCY:
        assert case.shows in {"", *seen(again, live)}
    if not case.not_simulated:
        run, simulator = simulated(case, strategy, SEED)
        assert run.decisions_digest == live.digest, _first_difference(live, simulator)
        assert replayed(case, strategy, SEED, simulator).decisions_digest == live.digest


# Where chance has a say: one free place at a time, or a session's own server, leave it none.
@pytest.mark.parametrize("name", ["all healthy", "hedging", "callers give up"])
def test_another_seed_decides_otherwise(name: str):
    case = CASES[name]
    live = lived(case, "p2c", SEED)
    assert lived(case, "p2c", SEED).digest == live.digest
    others = {lived(case, "p2c", SEED + 1).digest, replayed(case, "p2c", SEED + 1, live).decisions_digest}
    assert live.digest not in others


def _first_difference(live: Recorder, simulator: Recorder) -> str:
    for one, other in zip(_calls(live.recorded), _calls(simulator.recorded), strict=False):
        if one != other:
            return f"they part at\n  live:      {one}\n  simulator: {other}"
    return "one of them goes on when the other has ended"


def _calls(recorded: Recorded) -> list[tuple[object, ...]]:
    """What happened to calls, with these numbered alike."""
    first = min((arrived.request.id for arrived in recorded.arrivals), default=0)
    events = []
    for event in recorded.events:
        if hasattr(event, "request"):
            events.append(event._replace(request=event.request._replace(id=event.request.id - first)))
        elif hasattr(event, "call"):
            events.append(event._replace(call=event.call - first))
        elif not isinstance(event, Joined | Marked):  # a live server says in other words why it is away
            events.append(event)
    return events
