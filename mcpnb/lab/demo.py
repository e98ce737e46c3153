"""The demo: three real servers, one of which dies while it works, and nobody notices.

It owns the order of events and the words. Everything that it shows is done by the public face of mcpnb.
Whoever kills servers while it runs will see it go on: every call is answered as long as one server lives.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcpnb.errors import McpnbError
from mcpnb.lab.background import PLACES, Traffic, traffic
from mcpnb.lab.terminal import indented, table, troubles
from mcpnb.model import USABLE_STATES

if TYPE_CHECKING:
    from mcpnb.experiment import Comparison
    from mcpnb.experiment.live import Progress
    from mcpnb.lab.fleet import LabFleet
    from mcpnb.notebook.results import Result

__all__ = ["MOMENTS", "Demo", "Size"]

MOMENTS = ("started", "routed", "busy", "dead", "healed", "comparing", "compared")
"""Points of the demo at which a test may intervene, in their order."""

VICTIM = "weather-2"
"""Who is killed: an HTTP server, because it stays dead until somebody restarts it."""

SLOW = "weather-3"
"""Who is made slow for the comparison."""

STRATEGIES = ("round_robin", "random", "least_request", "p2c")
"""Two that look at nothing and two that look at the load."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much the demo does. The defaults take about half a minute and show clear differences."""

    calls: int = 8
    """Calls of the routing step."""
    rate: float = 40.0
    """Calls per second of the background traffic."""
    phase: int = 40
    """Calls answered in each phase of the failure step: before, while one is dead, after."""
    requests: int = 96
    """Calls per strategy."""
    compare_rate: float = 45.0
    """Calls per second of the comparison."""
    patience: float = 15.0
    """Seconds to wait for any one thing before saying that it did not happen."""


@dataclass(slots=True)
class _Tally:
    """Every call of the demo, and how many of them were not answered."""

    calls: int = 0
    unanswered: int = 0
    errors: Counter[str] = field(default_factory=Counter[str])

    def add(self, calls: int, answered: int, errors: Iterable[str] = ()) -> None:
        self.calls += calls
        self.unanswered += calls - answered
        self.errors.update(errors)


class Demo:
    """One run of the demo.

    Args:
        out: Where the picture of the comparison goes (PNG).
        seed: Of the servers, the routing's dice and the workloads.
        size: How much of everything.
        say: Takes each line of the story.
        moment: Called at every one of `MOMENTS`, with its name and the fleet.
    """

    def __init__(
        self,
        *,
        out: Path,
        seed: int = 0,
        size: Size | None = None,
        say: Callable[[str], None] = print,
        moment: Callable[[str, LabFleet], None] = lambda _name, _fleet: None,
    ) -> None:
        self._out, self._seed, self._size, self._say, self._moment = out, seed, size or Size(), say, moment
        self._tally = _Tally()

    def run(self) -> bool:
        """Run it. Returns whether every single call was answered.

        Raises:
            McpnbError: The servers could not be started.
        """
        began = time.monotonic()
        with self._start() as fleet:
            self._moment("started", fleet)
            self._route(fleet)
            self._moment("routed", fleet)
            self._survive(fleet)
            self._moment("healed", fleet)
            self._compare(fleet)
            self._moment("compared", fleet)
        self._conclude(time.monotonic() - began)
        return not self._tally.unanswered

    # -- 1

    def _start(self) -> LabFleet:
        from mcpnb.lab.fleet import start  # noqa: PLC0415 - takes a second; the first line should not

        self._head("1. Three servers, each a process of its own")
        began = time.monotonic()
        fleet = start(
            "weather",
            replicas=3,
            transport=["http", "http", "stdio"],
            latency_ms=40,
            seed=self._seed,
            name="demo",
        )
        self._say(f"  started and connected in {time.monotonic() - began:.1f} s\n")
        self._servers(fleet)
        return fleet

    def _servers(self, fleet: LabFleet) -> None:
        heads = ["server", "state", "transport", "protocol", "pid", "calls", "faults", "p50 ms"]
        statuses = fleet.status()
        rows = [
            [s.server, s.state, s.transport, s.protocol, fleet.pid(s.server), s.calls, s.errors, s.p50_ms]
            for s in statuses
        ]
        self._say(_table(heads, rows))
        if trouble := troubles(statuses):
            self._say(f"\n{indented(trouble)}")

    # -- 2

    def _route(self, fleet: LabFleet) -> None:
        self._head(f"2. Calls, and where they went (strategy: {fleet.strategy})")
        results = [
            self._ask(fleet, "weather.current", location=place) for place in PLACES[: self._size.calls]
        ]
        answers = [result for result in results if result is not None]
        rows = [
            [r.value["location"], r.value["condition"], r.value["temperature_c"], r.server, r.latency * 1000]
            for r in answers
        ]
        self._say(_table(["weather.current", "condition", "°C", "answered by", "ms"], rows))
        if answers:
            self._say("\n  Why there? result.explain() of the last one:\n")
            self._say(indented(str(answers[-1].explain())))

    def _ask(self, fleet: LabFleet, tool: str, **arguments: Any) -> Result | None:
        try:
            result = fleet.call(tool, arguments)
        except McpnbError as error:
            self._tally.add(1, 0, [str(error)])
            return None
        self._tally.add(1, 1)
        return result

    # -- 3

    def _survive(self, fleet: LabFleet) -> None:
        size = self._size
        self._head(f"3. {size.rate:g} calls per second, and {VICTIM} is killed among them")
        calls = traffic(fleet, rate=size.rate, seed=self._seed)
        marks = [time.time()]
        calls.let_pass(size.phase, size.patience)
        self._moment("busy", fleet)
        at_work = self._catch_at_work(fleet, calls)
        fleet.crash(VICTIM)
        marks.append(time.time())
        self._say(f"  killed {VICTIM} (SIGKILL) after {calls.sent} calls, {at_work} of them in its hands\n")
        calls.let_pass(size.phase, size.patience)
        self._servers(fleet)
        self._moment("dead", fleet)
        self._heal(fleet)
        marks.append(time.time())
        calls.let_pass(size.phase, size.patience)
        calls.stop(size.patience)
        self._tally.add(calls.sent, calls.answered, calls.failures.elements())
        self._say(_table(*_phases(fleet, marks)))
        self._say(f"\n  {calls.sent} calls sent, {calls.answered} answered, {calls.failed} failed\n")
        self._servers(fleet)

    def _catch_at_work(self, fleet: LabFleet, calls: Traffic) -> int:
        """Wait until the victim has a call in its hands; how many those are."""
        for _ in range(self._size.phase):
            busy = next(status.in_flight for status in fleet.status() if status.server == VICTIM)
            if busy:
                return busy
            calls.let_pass(1, self._size.patience)
        return 0

    def _heal(self, fleet: LabFleet) -> None:
        """Start what is dead again, and see everything connected without being asked to."""
        began = time.monotonic()
        dead = [status.server for status in fleet.status() if fleet.pid(status.server) is None]
        for server in dead:
            self._restart(fleet, server)
        back = _until(fleet, lambda: _all_connected(fleet), self._size.patience)
        who = " and ".join(dead) or "nobody"
        how = (
            f"all connected again after {time.monotonic() - began:.1f} s" if back else "not all connected yet"
        )
        self._say(f"\n  started {who} again: {how}\n")

    def _restart(self, fleet: LabFleet, server: str) -> None:
        try:
            fleet.restart(server)
        except McpnbError as error:
            # Somebody keeps killing it. That is no reason to stop: the others answer.
            self._say(f"  {error}")

    # -- 4

    def _compare(self, fleet: LabFleet) -> None:
        from mcpnb.experiment import Workload, compare  # noqa: PLC0415 - pandas and all

        size = self._size
        self._head(f"4. Four strategies, the same {size.requests} calls each, while {SLOW} is slow")
        for status in fleet.status():
            fleet.profile(status.server, latency_ms=20)
        fleet.profile(SLOW, latency_ms=130, capacity=1)
        self._say(f"  {SLOW}: 130 ms per call, one call at a time; the others: 20 ms\n")
        workload = Workload(
            tool="weather.forecast",
            arguments=[{"location": place} for place in PLACES],
            rate=size.compare_rate,
            requests=size.requests,
        )
        watch = _Halfway(lambda: self._moment("comparing", fleet))
        comparison = compare(fleet, STRATEGIES, workload=workload, seed=self._seed, blocks=6, progress=watch)
        failed = comparison.calls[comparison.calls["outcome"] != "ok"]
        self._tally.add(len(comparison.calls), len(comparison.calls) - len(failed), failed["error"])
        self._say(indented(comparison.text()))
        self._draw(comparison)

    def _draw(self, comparison: Comparison) -> None:
        comparison.plot().savefig(self._out, dpi=110)
        self._say(f"\n  picture: {self._out}")

    # -- words

    def _conclude(self, seconds: float) -> None:
        tally = self._tally
        self._head("Done")
        self._say(f"  {tally.calls} calls, {tally.unanswered} of them not answered; {seconds:.0f} s in all")
        for error, count in tally.errors.most_common(5):
            self._say(f"  {count} x {error}")

    def _head(self, text: str) -> None:
        self._say(f"\n{text}\n")


class _Halfway:
    """Calls something once, when half of a comparison's calls have ended."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then, self._due = then, True

    def __call__(self, progress: Progress) -> None:
        if self._due and progress.total and progress.done * 2 >= progress.total:
            self._due = False
            self._then()


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return indented(table(heads, rows))


def _all_connected(fleet: LabFleet) -> bool:
    return all(status.state in USABLE_STATES for status in fleet.status())


def _until(fleet: LabFleet, holds: Callable[[], bool], timeout: float) -> bool:
    """Wait for something about the servers' states, woken by their changes."""
    changed = threading.Event()
    deadline = time.monotonic() + timeout
    stop = fleet.on("server_state", lambda _event: changed.set())
    try:
        while not holds():
            if not changed.wait(deadline - time.monotonic()):
                return holds()
            changed.clear()
    finally:
        stop()
    return True


def _phases(fleet: LabFleet, marks: Sequence[float]) -> tuple[list[str], list[list[object]]]:
    """Who answered how many calls in each phase of the failure step, and how many attempts went wrong."""
    import pandas as pd  # noqa: PLC0415

    calls = fleet.calls
    names = ["before", "while it was dead", "after it was back"]
    edges = [pd.Timestamp(mark, unit="s", tz="UTC") for mark in marks]
    edges.append(pd.Timestamp.now("UTC"))
    servers = [status.server for status in fleet.status()]
    rows: list[list[object]] = []
    for name, (begin, end) in zip(names, itertools.pairwise(edges), strict=True):
        phase = calls[(calls["started_at"] >= begin) & (calls["started_at"] < end)]
        ok = phase["outcome"] == "ok"
        answered = phase.loc[ok, "server"].value_counts()
        rows.append([name, *(int(answered.get(server, 0)) for server in servers), int((~ok).sum())])
    return ["answered by", *servers, "failed attempts, sent again"], rows
