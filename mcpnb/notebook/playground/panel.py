"""`mcpnb.playground()`: the panel itself. It joins state, simulation, pictures and widgets.

It owns what is asked now and what was found last. Widgets' handlers run on the main thread or on threads of
their own, findings come on the worker's: every change of the state is made under one lock, nothing raises
into any of them, and what goes wrong stands in the panel in one line.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from mcpnb.notebook.background import in_background
from mcpnb.notebook.cells import PAGE, without_kernel
from mcpnb.notebook.markup import bundle, escape
from mcpnb.notebook.playground import code
from mcpnb.notebook.playground import state as st
from mcpnb.notebook.playground.compute import Found, Worker, looks
from mcpnb.notebook.playground.latest import Latest
from mcpnb.notebook.playground.picture import headline, picture_html, picture_text, status_words
from mcpnb.notebook.playground.state import Choice, State
from mcpnb.notebook.pulse import TIMERS, Scheduler
from mcpnb.routing.strategies import spec
from mcpnb.simulation import Scenario

if TYPE_CHECKING:
    from mcpnb.experiment import Comparison
    from mcpnb.notebook.playground.view import View

_VIEW: Final = "application/vnd.jupyter.widget-view+json"
_AT_ONCE: Final = 0.6
"""Seconds that a panel's first picture may hold the cell up; what is not known by then comes later."""


class Live(Protocol):
    """Whoever can ask the same question of real servers, such as the lab."""

    def __call__(
        self, state: State, progress: Callable[[float, str], None], cancelled: Callable[[], bool]
    ) -> Comparison | None:
        """Carry the comparison out; None when it was cancelled. Called on a thread of its own.

        `progress` takes the share that is done, 0 to 1, and what goes on.
        """
        ...


class Playground:
    """A comparison of strategies that follows its controls. Made by `mcpnb.playground`.

    Show it by making it the last line of a cell. `.state` is what the controls say, `.code` the same as
    Python, `.comparison` what was found (None while it is being simulated), `.live` the last live one.

    Args:
        state: What the controls say at first.
        live: Runs the same comparison on real servers; None leaves the button away.
        scheduler, clock, run: For tests: what calls back later, the time, and what carries out a live run.
        worker: For tests: makes what simulates, given where findings go.
    """

    def __init__(
        self,
        state: State,
        *,
        live: Live | None = None,
        scheduler: Scheduler = TIMERS,
        clock: Callable[[], float] = time.monotonic,
        run: Callable[[Callable[[], None]], None] = in_background,
        worker: Callable[[Callable[[Found], None]], Worker] = Worker,
    ) -> None:
        self._state, self._found = state, Found(state)
        self._live, self._clock, self._run = live, clock, run
        self._lock = threading.RLock()
        self._view: View | None = None
        self._latest = Latest(self._draw, scheduler, clock=clock)
        self._worker = worker(self._take)
        self._closed = False
        self._real: Comparison | None = None
        self._asked_live: State | None = None
        self._cancel = threading.Event()
        self._handles: list[Any] = []

    def __repr__(self) -> str:
        what = without_kernel("closed" if self._closed else status_words(self._found), self._closed)
        return f"<Playground of {self._state.title}: {headline(self._state)}; {what}>"

    # -- what it holds

    @property
    def state(self) -> State:
        """What the controls say."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self.change(lambda _: state)

    @property
    def scenario(self) -> Scenario:
        """What is simulated."""
        return self._state.scenario()

    @property
    def code(self) -> str:
        """The same comparison as Python."""
        return code.source(self._state)

    @property
    def comparison(self) -> Comparison | None:
        """What was found, as `mcpnb.compare` gives it; None until all repeats are done."""
        return self._found.comparison if self._found.state == self._state else None

    @property
    def live(self) -> Comparison | None:
        """The last comparison on real servers."""
        return self._real

    # -- what its controls do

    def change(self, how: Callable[[State], State]) -> None:
        """Ask another question: `how` makes the new state of the old one. Its errors show in the panel."""
        with self._lock:
            if self._closed:
                return
            state, trouble = self._state, ""
            try:
                state = how(state)
            except Exception as error:  # noqa: BLE001 - a control has no caller; its user is told instead
                trouble = str(error) or type(error).__name__
            fresh = state != self._state
            if fresh:
                self._state = state
                self._worker.ask(state)
            if (view := self._view) is not None:
                view.complain(trouble)
                view.follow(state)  # a control that was refused goes back, too
                if fresh:
                    view.say("simulating …")

    def _choose(self, preset: str) -> None:
        kept = ("strategies", "resilience", "seed", "repeats")
        self.change(lambda old: st.of_preset(preset, **{name: getattr(old, name) for name in kept}))

    def _complain(self, text: str) -> None:
        if self._view is not None and not self._closed:
            self._view.complain(text)

    # -- simulated

    def _take(self, found: Found) -> None:
        """Something was found: of the newest state, or of one that the hand moved on from meanwhile.

        A part of the strategies is only shown while there is nothing else.
        """
        with self._lock:
            if self._closed:
                return
            if not (found.complete or found.settled) and self._found.runs:
                return
            self._found = found
        self._latest.put(found)

    def _draw(self, found: Found) -> None:
        """Bring the page up to date. Runs on the worker's thread or the scheduler's."""
        try:
            view = self._view
            if view is not None and not self._closed:
                view.show(self._html(found))
                if found.state == self._state:
                    view.say(escape(status_words(found)))
        except Exception as error:  # noqa: BLE001 - a beat has no caller; the reader of the page is told instead
            self._complain(f"{type(error).__name__}: {error}")

    def _html(self, found: Found) -> str:
        title = f"{found.state.title} · {headline(found.state)}"
        earlier = self._real is not None and self._asked_live != found.state
        shown = picture_html(found, self._real, earlier=earlier)
        return f'<p class="mcpnb-dim mcpnb-asked">{escape(title)}</p>{shown}'

    # -- live

    def run_live(self) -> None:
        """Ask the same of real servers, in the background; the result stands beside the simulated one."""
        with self._lock:
            if self._live is None or self._closed:
                return
            self._cancel.clear()
            if self._view is not None:
                self._view.running(True)
                self._view.complain("")
        state = self._state
        self._run(lambda: self._ask_live(state))

    def stop_live(self) -> None:
        """End a live run soon."""
        self._cancel.set()

    def _ask_live(self, state: State) -> None:
        said = Latest(self._tell_progress, clock=self._clock)
        try:
            assert self._live is not None  # noqa: S101 - `run_live` saw to it
            found = self._live(state, lambda share, what: said.put((share, what)), self._cancel.is_set)
            if found is not None:
                self._real, self._asked_live = found, state
        except Exception as error:  # noqa: BLE001 - a control has no caller; its user is told instead
            self._complain(f"live: {error}")
        finally:
            said.close()
            if self._view is not None and not self._closed:
                self._view.running(False)
            self._latest.put(self._found)

    def _tell_progress(self, said: tuple[float, str]) -> None:
        share, what = said
        if self._view is not None and not self._closed:
            bar = f'<progress value="{share:.3f}" aria-label="live comparison">{share:.0%}</progress>'
            self._view.say(f"{bar} {escape(what)}")

    # -- life

    def close(self) -> None:
        """Stop simulating, end a live run, and leave the pictures in place of the widgets. Twice is fine."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._cancel.set()
        self._worker.close()
        self._latest.close()
        for handle in self._handles:
            handle.update(self.snapshot(), raw=True)
        if self._view is not None:
            self._view.close()

    def snapshot(self, why: str = "") -> dict[str, str]:
        """The pictures as they are now, as a MIME bundle that needs nothing else.

        It says its time, and why it has no controls, where `why` says so.
        """
        taken = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime())
        said = f"snapshot of {taken}{f': {why}' if why else ''}"
        foot = f'<p class="mcpnb-dim">{escape(status_words(self._found))} · {escape(said)}</p>'
        body = f'<section class="mcpnb-card">{self._html(self._found)}{foot}</section>'
        return bundle(body, f"{picture_text(self._found)}\n{said}")

    def look(self, patience: float = _AT_ONCE) -> None:
        """Have something to show at once: as much of a first look as fits into that many seconds."""
        begun = self._clock()
        try:
            for found in looks(self._state):
                self._found = found
                if found.complete or self._clock() - begun > patience:
                    break
        except Exception as error:  # noqa: BLE001 - what is wrong with a question stands in its picture
            self._found = Found(self._state, error=str(error) or type(error).__name__)

    def _appear(self) -> View | None:
        """The widgets, made when first shown; None where no page could talk to them."""
        if self._view is None and not self._closed:
            from mcpnb.notebook.playground.view import Actions, View  # noqa: PLC0415 - ipywidgets, when first shown

            live = self.run_live if self._live is not None else None
            view = View(self._state, self.change, Actions(self._choose, live, self.stop_live))
            if not view.connected:
                view.close()
                return None
            self._view = view
        return self._view

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:  # noqa: ARG002
        if not self._found.runs and not self._closed:
            self.look()
        view = self._appear()
        if view is None:
            if not (self._closed or self._found.complete):
                self.look(math.inf)  # nothing comes later: a strategy that is missing now would be missing
            return self.snapshot("" if self._closed else f"a playground needs {PAGE}")
        self._draw(self._found)
        if not self._found.settled:
            self._worker.ask(self._state)
        return {**self.snapshot(), _VIEW: {"version_major": 2, "version_minor": 0, "model_id": view.model_id}}

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415 - only IPython calls this

        self._handles.append(display(self._repr_mimebundle_(), raw=True, display_id=True))


def made(
    scenario: str | Scenario | None,
    strategies: Sequence[str] | None,
    seed: int,
    repeats: int,
) -> State:
    """The state that a panel begins with.

    Raises:
        ValueError: There is no such scenario, or it cannot be run.
        TypeError: The scenario is neither a name nor a `Scenario`.
        StrategyError: There is no such strategy.
    """
    chosen = tuple(Choice(spec(name).name) for name in (st.USUAL if strategies is None else strategies))
    others: dict[str, Any] = {"strategies": chosen, "seed": seed, "repeats": repeats}
    if scenario is None or isinstance(scenario, str):
        return st.of_preset(scenario or "one_slow", **others)
    if not isinstance(scenario, Scenario):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
        raise TypeError(f"scenario must be a name or a mcpnb.Scenario, not {type(scenario).__name__}")
    return replace(st.of_scenario(scenario), **others)
