"""A timeline carried out on live servers, in the background: what `fleet.script` gives back.

It owns the order and the times of the changes, and tells how each went. A server's changes wait for each
other, but not for another server's: a process that takes a second to start is late, and nobody else. What a
change does to a server, the stage knows, which is a fleet.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Self

from mcpnb.errors import McpnbError
from mcpnb.lab.course import Course
from mcpnb.lab.profile import Profile
from mcpnb.notebook.cards import card, head
from mcpnb.notebook.markup import Column, bundle, escape, name, table
from mcpnb.simulation import At

__all__ = ["Script", "Stage", "Step"]

State = Literal["to come", "done", "failed", "left out"]

_MARKS: Mapping[State, tuple[str, str]] = {
    "to come": ("○", "mcpnb-dim"),
    "done": ("✓", "mcpnb-good"),
    "failed": ("✗", "mcpnb-bad"),
    "left out": ("·", "mcpnb-dim"),
}
"""State → its symbol and its colour."""


class Stage(Protocol):
    """Servers to which things happen."""

    def behave(self, server: str, profile: Profile, what: str) -> None:
        """A server behaves so from now on; `what` says it in words."""
        ...

    def crash(self, server: str) -> None:
        """Kill a server."""
        ...

    def leave(self, server: str) -> None:
        """A server takes no new calls."""
        ...

    def join(self, server: str) -> None:
        """A server takes calls again, whatever became of it."""
        ...


@dataclass(slots=True)
class Step:
    """One change, and what became of it."""

    at: At
    state: State = "to come"
    late: float = 0.0
    """Seconds after its time at which it was done."""
    error: str = ""


class Script:
    """A timeline that is being carried out. `.stop()` ends it; so does leaving it as a context manager.

    Args:
        stage: Whose servers.
        timeline: What happens, with times in seconds from now on.
        profiles: How each server that is named behaves at the start.
        clock: Monotonic seconds.
        pause: Waits for so many seconds or until it is stopped, and says whether it was; by default an event.
    """

    def __init__(
        self,
        stage: Stage,
        timeline: Sequence[At],
        profiles: Mapping[str, Profile],
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], bool] | None = None,
    ) -> None:
        self._stage, self._clock = stage, clock
        self._courses = {server: Course.of(profile) for server, profile in profiles.items()}
        self.steps = [Step(at) for at in sorted(timeline, key=lambda at: at.t)]
        """The changes in their order, each with what became of it."""
        self._stopped = threading.Event()
        self._pause = pause or self._stopped.wait
        self._began = clock()
        self._threads = [
            threading.Thread(target=self._run, args=(server,), name=f"mcpnb-script {server}", daemon=True)
            for server in dict.fromkeys(step.at.server for step in self.steps)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def running(self) -> bool:
        """Whether something is still to come."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self, timeout: float | None = 10.0) -> Self:
        """Leave out what is still to come. What was done to the servers stays; `restart` brings one back."""
        self._stopped.set()
        return self.wait(timeout)

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until the last change is done, at most `timeout` seconds."""
        last = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            thread.join(None if last is None else max(0.0, last - time.monotonic()))
        return self

    def _run(self, server: str) -> None:
        own = [step for step in self.steps if step.at.server == server]
        for step in own:
            due = self._began + step.at.t
            if self._stopped.is_set() or self._pause(max(0.0, due - self._clock())):
                break
            self._carry_out(step)
            step.late = max(0.0, self._clock() - due)
        for step in own:
            if step.state == "to come":
                step.state = "left out"

    def _carry_out(self, step: Step) -> None:
        try:
            self._change(step.at)
        except McpnbError as error:
            # One server that cannot follow does not save the others from what is to come.
            step.error, step.state = str(error), "failed"
        else:
            step.state = "done"

    def _change(self, at: At) -> None:
        course = self._courses[at.server]
        before = replace(course)
        profile = course.after(at)
        if at.crash:
            self._stage.crash(at.server)
        elif at.leave:
            self._stage.leave(at.server)
        if at.recover or course != before:
            self._stage.behave(at.server, profile, at.words)
        if at.comes:
            self._stage.join(at.server)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        done = sum(step.state == "done" for step in self.steps)
        ahead = next((step.at for step in self.steps if step.state == "to come"), None)
        then = f"; at {ahead.t:g} s: {ahead.server} {ahead.words}" if ahead else ""
        failed = sum(step.state == "failed" for step in self.steps)
        wrong = f", {failed} failed" if failed else ""
        state = "running" if self.running else "over"
        return f"<Script {state}: {done} of {len(self.steps)} changes done{wrong}{then}>"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return bundle(_html(self.steps, running=self.running), repr(self))


def _html(steps: Sequence[Step], *, running: bool) -> str:
    columns = [Column("at s", numeric=True), Column("server"), Column("what happens"), Column("state")]
    rows = [[f"{step.at.t:g}", name(step.at.server), escape(step.at.words), _state(step)] for step in steps]
    word = "running" if running else "over"
    return card(head("Script", (word, f"{len(steps)} changes")), table(columns, rows))


def _state(step: Step) -> str:
    mark, colour = _MARKS[step.state]
    late = f' <span class="mcpnb-dim">{step.late:.1f} s late</span>' if step.late >= 0.1 else ""
    why = f'<span class="mcpnb-small">{escape(step.error)}</span>' if step.error else ""
    return f'<span class="mcpnb-state {colour}">{mark} {step.state}</span>{late}{why}'
