"""`mcpnb.playground()`: the notebook's panel, with real servers to ask the same question of.

It owns what a simulated question means for a lab on this machine: a shorter story, servers that can be
started here, and what is said about the difference. How servers behave and how strategies are compared is
others' business.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mcpnb.errors import McpnbError
from mcpnb.model import OUTCOMES
from mcpnb.notebook.playground import Playground, State, made
from mcpnb.resilience.settings import Resilience
from mcpnb.simulation import At, Scenario, SimServer
from mcpnb.simulation.service import Deterministic, Exponential, Hyperexponential, Lognormal, Service

if TYPE_CHECKING:
    from mcpnb.experiment import Comparison, Workload
    from mcpnb.experiment.live import Progress
    from mcpnb.lab.fleet import LabFleet

__all__ = ["playground"]

SECONDS: Final = 15.0
"""The longest that one strategy's turn may take: longer stories are told faster."""
RATE: Final = 150.0
"""Calls per second that one process can send without being what is measured."""
SERVERS: Final = 16
"""Servers that a machine for lessons can start."""
_SPREAD: Final = 2.0
"""Standard deviation over mean of a lognormal that stands in for a power law, which may have none."""

Tell = Callable[[float, str], None]


class _Cancelled(Exception):
    """The user wants no more of it."""


def playground(
    scenario: str | Scenario | None = None,
    strategies: Sequence[str] | None = None,
    *,
    seed: int = 0,
    repeats: int = 6,
) -> Playground:
    """A panel to try strategies in: change servers, load, faults and strategies, and see what becomes of it.

    What it shows is simulated; a button asks the same of real MCP servers on this machine, another writes
    the comparison as Python. Show it by making it the last line of a cell.

    Args:
        scenario: The name of a ready-made one (`mcpnb.scenarios`), or one of your own; `one_slow` by default.
        strategies: Names of those that take part at first.
        seed: Draws all that is random: the same seed gives the same pictures.
        repeats: Independent runs of each strategy: the more, the surer.

    Raises:
        ValueError: There is no such scenario, or it cannot be simulated.
        StrategyError: There is no such strategy.
    """
    return Playground(made(scenario, strategies, seed, repeats), live=run_live)


def run_live(state: State, progress: Tell, cancelled: Callable[[], bool]) -> Comparison | None:
    """The comparison that a state stands for, on real servers of this machine; None when it was cancelled.

    Raises:
        McpnbError: This machine cannot do what the state asks for, and why.
    """
    scenario, remarks = playable(state)
    crashes = any(at.crash for at in scenario.timeline)
    progress(0.0, f"starting {len(scenario.servers)} servers …")
    from mcpnb.lab.stage import live  # noqa: PLC0415 - loads the SDK

    try:
        with closing(live(scenario, transport="http" if crashes else "in-process", seed=state.seed)) as fleet:
            return _compared(fleet, scenario, state, _Watch(state, progress, cancelled), remarks)
    except _Cancelled:
        return None


def playable(state: State) -> tuple[Scenario, list[str]]:
    """What of a state can be done live, and what is different about it, in sentences.

    Raises:
        McpnbError: Too many servers or calls for one machine, or no strategy to be compared.
    """
    if not state.strategies:
        raise McpnbError("choose at least one strategy")
    if len(state.servers) > SERVERS:
        raise McpnbError(f"{len(state.servers)} servers are too many for one machine: {SERVERS} at most")
    if state.load.rate > RATE:
        raise McpnbError(
            f"{state.load.rate:g} calls/s are more than one process can send and measure:"
            f" lower the rate to {RATE:g} or less"
        )
    pace = min(1.0, SECONDS / state.load.seconds)
    seconds = state.load.seconds * pace
    remarks = [] if pace == 1 else [f"Told {1 / pace:.3g} times as fast: {seconds:g} s for each strategy."]
    servers = tuple(_playable_server(server, remarks) for server in state.servers)
    resilience = state.resilience
    if resilience.affinity is not None:
        policies = ("breaker", "retry", "hedge", "panic", "outlier", "queue")
        resilience = Resilience(**{name: getattr(resilience, name) for name in policies})
        remarks.append("Without affinity, which is simulated only.")
    load = replace(state.load, seconds=seconds)
    timeline = tuple(_playable_change(at, pace) for at in state.timeline if at.t < state.load.seconds)
    named = replace(state, servers=servers, timeline=timeline, resilience=resilience, load=load).scenario()
    return replace(named, title="playground"), list(dict.fromkeys(remarks))


def _playable_server(server: SimServer, remarks: list[str]) -> SimServer:
    changes: dict[str, Any] = {
        "service": _playable_service(server.service),
        "discipline": "fcfs",
        "stops": True,
    }
    if server.max_in_flight is None:
        changes["max_queue"] = None
    told = replace(server, **changes)
    if told != server:
        remarks.append(
            "Times of calls are lognormal with the same mean and spread where they are simulated otherwise."
        )
    return told


def _playable_change(at: At, pace: float) -> At:
    service = None if at.service is None else _playable_service(at.service)
    return replace(at, t=at.t * pace, service=service)


def _playable_service(service: Service) -> Service:
    """A distribution that live servers draw, with the same mean and, where there is one, the same spread."""
    if isinstance(service, Lognormal | Deterministic):
        return service
    if isinstance(service, Exponential):
        return Lognormal(service.mean, 1.0)
    if isinstance(service, Hyperexponential):
        whole = sum(service.weights)
        square = sum(2 * m * m * w / whole for w, m in zip(service.weights, service.means, strict=True))
        return Lognormal(service.mean, math.sqrt(square - service.mean**2) / service.mean)
    return Lognormal(service.mean, _SPREAD)


class _Watch:
    """Tells how far the calls are, and ends it when the user has enough."""

    def __init__(self, state: State, progress: Tell, cancelled: Callable[[], bool]) -> None:
        self._progress, self._cancelled = progress, cancelled
        self._strategies = len(state.strategies)
        self._behind = 0

    def turn_is_over(self) -> None:
        """One strategy has had its story."""
        self._behind += 1

    def all_at_once(self, seen: Progress) -> None:
        """A call of a comparison of all strategies has ended."""
        self._tell(seen.done / max(seen.total or 1, 1), seen.strategy)

    def one_by_one(self, seen: Progress) -> None:
        """A call of one strategy's own story has ended."""
        self._tell((self._behind + seen.done / max(seen.total or 1, 1)) / self._strategies, seen.strategy)

    def _tell(self, share: float, strategy: str) -> None:
        if self._cancelled():
            raise _Cancelled
        self._progress(share, f"live: {strategy}")


def _compared(
    fleet: LabFleet, scenario: Scenario, state: State, watch: _Watch, remarks: list[str]
) -> Comparison:
    from mcpnb.experiment import Workload, compare  # noqa: PLC0415 - loads pandas

    assert scenario.load is not None  # noqa: S101 - `State.scenario` gives it
    load = scenario.load
    workload = Workload(
        "weather.current", {"location": "London"}, arrivals=load.arrivals, rate=load.rate,
        duration=load.seconds, timeout=load.timeout, burst_ratio=load.burst_ratio,
        burst_share=load.burst_share, burst_seconds=load.burst_seconds,
    )  # fmt: skip
    if scenario.timeline:
        found = _story_by_story(fleet, state, workload, watch)
        remarks.append("Each strategy had the whole story to itself, one after the other.")
    else:
        found = compare(
            fleet, state.specs, workload=workload, seed=state.seed, blocks=6, progress=watch.all_at_once
        )
        remarks.append("The strategies took turns.")
    found.remarks = (*found.remarks, *remarks)
    return found


def _story_by_story(fleet: LabFleet, state: State, workload: Workload, watch: _Watch) -> Comparison:
    """Every strategy meets the same faults at the same times, with servers that are whole again before."""
    from mcpnb.experiment import Comparison, compare  # noqa: PLC0415 - loads pandas

    whole = {server.name: fleet.profile(server.name) for server in state.servers}
    found: list[Comparison] = []
    for label, strategy in state.specs.items():
        with fleet.script():
            one = compare(
                fleet,
                {label: strategy},
                workload=workload,
                seed=state.seed,
                blocks=1,
                progress=watch.one_by_one,
            )
        found.append(one)
        watch.turn_is_over()
        for server, profile in whole.items():
            fleet.behave(server, profile, "as it was")
            fleet.join(server)
    calls, blocks = _joined([each.calls for each in found]), _joined([each.blocks for each in found])
    return Comparison(calls, blocks, strategies=tuple(state.specs), workload=workload, seed=state.seed)


def _joined(frames: Sequence[Any]) -> Any:
    """Frames of one strategy each, below each other, with their categories."""
    import pandas as pd  # noqa: PLC0415 - as above

    whole = pd.concat([frame.astype({"strategy": str}) for frame in frames], ignore_index=True)
    whole["strategy"] = pd.Categorical(whole["strategy"], categories=list(dict.fromkeys(whole["strategy"])))
    if "outcome" in whole:
        whole["outcome"] = pd.Categorical(whole["outcome"], categories=list(OUTCOMES))
    return whole
