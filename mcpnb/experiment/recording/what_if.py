"""What another strategy would have made of a recording: its arrivals and latencies drive the dispatcher.

It owns the way from lines to what a dispatcher was told, and from a workload to calls of the recorded tools.
It decides nothing, and it cannot know how servers would have taken another load: recorded latencies do not
react to new picks, which is what open-loop means here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, overload

import numpy as np

from mcpnb.client.documents import key_of
from mcpnb.experiment.recording.reader import endpoint_of, lines
from mcpnb.experiment.recording.recalled import RecordedCall
from mcpnb.experiment.recording.recording import Recording
from mcpnb.experiment.recording.settings import protection_of
from mcpnb.experiment.simulate import Run
from mcpnb.experiment.simulated import Study
from mcpnb.experiment.timetable import Timetable
from mcpnb.experiment.workload import Workload
from mcpnb.model import USABLE_STATES, Endpoint, Priority, Request
from mcpnb.resilience.settings import Resilience
from mcpnb.routing.strategies import StrategySpec
from mcpnb.simulation.recorded import Arrived, Ended, Happened, Joined, Marked, Recorded
from mcpnb.simulation.replayer import what_if

__all__ = ["study_of", "told_of", "workload_of"]

_GIVEN_UP = frozenset({"cancelled", "timeout"})
"""Outcomes that say how long somebody waited, not how long the server took."""

_OPEN_LOOP = (
    "Open-loop: recorded latencies do not react to new picks, so a strategy that sends a server more than it"
    " got looks better here than it would be."
)

UNNAMED = "tool"
"""What a workload calls that names no tool."""


def told_of(recording: Recording) -> Recorded:
    """What the dispatcher was told while it was recorded, as far as the file says.

    Raises:
        RecordingError: A line is damaged.
    """
    calls = [event for call in recording.each() for event in _of_call(call)]
    events = [*_of_servers(recording), *calls]
    return Recorded(tuple(sorted(events, key=_when)))


def _when(event: Happened) -> tuple[float, int]:
    """Of what happened at one time, servers come first and ends last."""
    order = 1 if isinstance(event, Arrived) else 2 if isinstance(event, Ended) else 0
    return event.at, order


def _of_call(call: RecordedCall) -> Iterator[Happened]:
    yield Arrived(call.at, call.request)
    for record in call.attempts:
        at = record.attempt.sent_at + record.latency
        yield Ended.of(record.attempt, at, record.outcome, given_up=record.outcome in _GIVEN_UP)


def _of_servers(recording: Recording) -> Iterator[Joined | Marked]:
    known: dict[str, tuple[Endpoint, str]] = {}
    for _, _, stated in lines(recording.path, str(recording.path)):
        if stated is None or stated.fields.get("type") != "server":
            continue
        name, at, state = stated.text("server"), stated.number("at"), stated.state()
        now = endpoint_of(stated), "" if state in USABLE_STATES else state
        before = known.get(name)
        if before is None or before[0] != now[0]:
            # Whoever is there when the recording begins was there before its first call.
            yield Joined(0.0 if before is None and not known else at, *now)
        elif before[1] != now[1]:
            yield Marked(at, name, now[1])
        known[name] = now


class _Arguments(Sequence[Mapping[str, object]]):
    """The arguments of recorded calls, read when somebody wants them."""

    def __init__(self, recording: Recording, ordinals: Sequence[int]) -> None:
        self._recording, self._ordinals = recording, ordinals

    @overload
    def __getitem__(self, i: int) -> Mapping[str, object]: ...
    @overload
    def __getitem__(self, i: slice) -> _Arguments: ...
    def __getitem__(self, i: int | slice) -> Mapping[str, object] | _Arguments:
        if isinstance(i, slice):
            return _Arguments(self._recording, self._ordinals[i])
        return self._recording.recall(self._ordinals[i]).stated.object("arguments").fields

    def __len__(self) -> int:
        return len(self._ordinals)


def timetable_of(recording: Recording, *, everything: bool = False) -> Timetable:
    """The recorded calls as arrivals; the first comes at 0.

    Args:
        recording: Whose calls.
        everything: Resources, prompts and what was meant for one server (as all that `gather` sends is) too;
            else only calls of tools that any server could take.

    Raises:
        ValueError: There are none.
    """
    found: list[tuple[float, int, str, Priority]] = [
        (call.at, call.ordinal, call.stated.text("name"), call.request.priority)
        for call in recording.each()
        if everything or (call.stated.text("kind") == "tool" and call.only is None)
    ]
    if not found:
        raise ValueError(f"{recording.path.name} has no calls of tools that could be repeated")
    found.sort()
    times = np.array([at for at, *_ in found])
    ordinals, names = [ordinal for _, ordinal, *_ in found], [name for _, _, name, _ in found]
    priorities: list[Priority] = [row[3] for row in found]
    arguments = _Arguments(recording, ordinals)
    return Timetable(times - times[0], names, arguments, priorities, recording.path.name)


def workload_of(recording: Recording, given: Workload | None) -> Workload:
    """The workload of a what-if: the recorded calls, or the one given, with tools that were recorded.

    Raises:
        ValueError: A tool that was not recorded, or callers that wait for answers.
    """
    if given is None:
        return Workload(arrivals=timetable_of(recording, everything=True))
    if not given.open_loop:
        raise ValueError(
            "recorded latencies do not react to callers: a what-if takes open arrivals, with rate="
        )
    known = Counter(_names(recording))
    if given.tools == (UNNAMED,) and UNNAMED not in known:
        mix = next(iter(known)) if len(known) == 1 else {name: float(count) for name, count in known.items()}
        given = replace(given, tool=mix)
    if unknown := [tool for tool in given.tools if tool not in known]:
        raise ValueError(f"not recorded: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return given


def _names(recording: Recording) -> Iterator[str]:
    calls = recording.calls
    yield from calls.loc[calls["kind"] == "tool", "tool"].astype(str)


@dataclass(frozen=True, slots=True)
class _WhatIf:
    """Runs a workload over a recording; see `Simulate`."""

    told: Recorded
    resilience: Resilience
    home: str | None
    distances: Mapping[str, Mapping[str, float]]
    own: bool
    """Whether the recorded calls come, as they came."""

    def __call__(self, strategy: StrategySpec, workload: Workload, seed: int, repeat: int, /) -> Run:
        own_seed = int(np.random.SeedSequence([seed, repeat]).generate_state(1)[0]) if repeat else seed
        run = what_if(
            self.told,
            strategy,
            resilience=self.resilience,
            seed=own_seed,
            home=self.home,
            distances=self.distances,
            arrivals=None if self.own else list(self._arrivals(workload, seed, repeat)),
        )
        found: dict[str, Any] = {field.name: getattr(run, field.name) for field in fields(run)}
        found["warmup"] = workload.warmup
        return Run(**found)

    def _arrivals(self, workload: Workload, seed: int, repeat: int) -> Iterator[Arrived]:
        """The workload's calls, each as a recorded call of its tool was made."""
        arrivals = self.told.arrivals
        models: dict[str, Request] = {}
        for arrived in arrivals:
            models.setdefault(arrived.request.tool, arrived.request)
        begin = self.told.events[0].at
        first = 1 + max(arrived.request.id for arrived in arrivals)
        for call in workload.calls(seed=seed, repeat=repeat):
            model, at = models[call.tool], begin + call.at
            timeout = model.timeout if workload.timeout is None else workload.timeout
            yield Arrived(
                at,
                model._replace(
                    id=first + call.i,
                    requirement=None,
                    affinity=None,
                    key=key_of(call.tool, call.arguments),
                    timeout=timeout,
                    deadline=None if timeout is None else at + timeout,
                    priority=call.priority,
                ),
            )


def study_of(recording: Recording, given: Workload | None) -> Study:
    """What `compare` runs for a recording.

    Raises:
        RecordingError: A line is damaged.
    """
    header = recording.contents.header
    distances: dict[str, Any] = dict(header.object("distances").fields)
    what_if_run = _WhatIf(
        told_of(recording), protection_of(recording), header.text_or_none("home"), distances, given is None
    )
    return Study(
        what_if_run,
        f"what-if over {recording.path.name} (open-loop)",
        remarks=(
            _OPEN_LOOP,
            *(f"{recording.path.name}: {note}." for note in recording.notes),
        ),
        word="What-if",
    )
