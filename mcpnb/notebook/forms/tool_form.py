"""A form for a tool: its arguments as fields, a button that calls it, the answer below.

It owns what happens between a click and an answer: checking, asking first where something may be lost,
progress, cancelling. Nothing is sent but by the buttons. Handlers may run on any thread: they never raise,
wait for nothing, and tell the reader of the page what went wrong. What is called, and how, the subject knows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from mcpnb.errors import ArgumentError, McpnbError, ToolError
from mcpnb.notebook import cells
from mcpnb.notebook.cells import Cell
from mcpnb.notebook.forms.checking import Rules, lost
from mcpnb.notebook.forms.controls import Hidden
from mcpnb.notebook.forms.inputs import Problem, Wrong
from mcpnb.notebook.forms.panel import Panel, Pressed, error_html
from mcpnb.notebook.forms.subject import Subject
from mcpnb.notebook.pulse import TIMERS, Pulse, Scheduler
from mcpnb.result import Result

if TYPE_CHECKING:
    from mcpnb.notebook.future import CallFuture

__all__ = ["FormOutdated", "ToolForm"]

_VIEW: Final = "application/vnd.jupyter.widget-view+json"


class FormOutdated(McpnbError):
    """The tool takes something else than when its form was made. Nothing was sent."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} takes other arguments than when this form was made. Make a new form.")


def _told(handler: Callable[..., None]) -> Callable[..., None]:
    """A handler whose errors are told on the page: nobody else would hear of them."""

    @wraps(handler)
    def carry_out(form: ToolForm, *args: Any) -> None:
        try:
            with form.lock:
                handler(form, *args)
        except Exception as error:  # noqa: BLE001 - a widget has no caller; its reader is told instead
            form.panel.complain(error)

    return carry_out


class ToolForm:
    """A form for one tool. Show it in a cell; `.arguments`, `.code` and `.result` say what is in it.

    Args:
        subject: What it calls.
        start: Arguments that are filled in at first; others have their defaults.
        scheduler: Beats while a call runs.
        clock: Unix time, for the snapshot that a saved notebook shows.

    Raises:
        ArgumentError: No field can hold an argument of `start`, such as a text where a number belongs.
    """

    def __init__(
        self,
        subject: Subject,
        start: Mapping[str, Any] | None = None,
        *,
        scheduler: Scheduler = TIMERS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._subject, self._clock = subject, clock
        self._schema, self._verb = subject.schema, subject.verbs[0]
        self._rules = Rules(self._schema)
        self.lock = threading.RLock()
        self.result: Any = None
        """What the last call answered, a `Result` or an `Aggregate`; None before, and when it failed."""
        self._pulse = Pulse(self._beat, scheduler)
        self._future: CallFuture[Any] | None = None
        self._sent = ""
        self._asked: tuple[str, dict[str, Any]] | None = None
        self._tried = self._busy = self._closed = self._built = False
        self._cell: Cell | None = None
        self._handles: list[Any] = []
        self._unfollow: Callable[[], None] | None = None
        suggest = self._suggest if subject.suggests else None
        pressed = Pressed(self._changed, self._run, self._stop, self._answered, suggest)
        self.panel = Panel(self._schema, dict(start or {}), subject.head(), subject.verbs, pressed)
        self._check(start or {})
        self._built = True
        self._settle()
        self._changed()

    def _check(self, start: Mapping[str, Any]) -> None:
        """Nothing, when the form holds all that it was given."""
        value, wrong = self.panel.read()
        if start and (why := lost(start, value, wrong, self._rules.broken(start))) is not None:
            self.panel.close()
            raise ArgumentError(self._subject.name, *why)

    # -- what is in it

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments as they are filled in.

        Raises:
            ArgumentError: They do not fit; names the field and says what is wrong with it.
        """
        value, wrong = self._read()
        for place, problem in wrong.items():
            raise ArgumentError(self._subject.name, place, problem.text)
        return _plain(value)

    @property
    def code(self) -> str:
        """The line of Python that does the same. What a password field holds reads `•••`."""
        return self._subject.code(self._verb, self._read()[0])

    def _read(self) -> tuple[dict[str, Any], Wrong]:
        value, wrong = self.panel.read()
        return value, {**self._rules.broken(value), **wrong}

    # -- handlers

    @_told
    def _changed(self) -> None:
        """Something was filled in: say what is wrong with it, and show the code."""
        if not self._built or self._future is not None:
            return
        value, wrong = self._read()
        shown = {place: each for place, each in wrong.items() if self._tried or not each.missing}
        self.panel.blame(shown, counted=False)
        self.panel.show_code(self._subject.code(self._verb, value))

    @_told
    def _run(self, verb: str) -> None:
        """A button that calls."""
        if self._future is not None or self._asked is not None or self._closed:
            return
        self._tried = True
        value, wrong = self._read()
        self.panel.blame(wrong, counted=True)
        self.panel.show_code(self._subject.code(self._verb, value))
        if wrong:
            return
        if self._subject.schema != self._schema:
            raise FormOutdated(self._subject.name)
        if self._subject.destructive:
            self._asked = (verb, value)
            self.panel.ask(self._subject.code(verb, value))
            self._settle()
        else:
            self._start(verb, value)

    @_told
    def _answered(self, sure: bool) -> None:
        """Whether it shall really run."""
        asked, self._asked = self._asked, None
        self._settle()
        if asked is not None and sure:
            self._start(*asked)

    @_told
    def _stop(self) -> None:
        if self._future is not None:
            self._future.cancel()

    @_told
    def _rest(self, busy: bool) -> None:
        """A cell has begun or ended: until it ends a page holds back what is typed, but no clicks."""
        self._busy = busy
        self._settle()

    @_told
    def _suggest(self, argument: str, text: str, take: Callable[[Sequence[str]], None]) -> None:
        known = {name: value for name, value in self.panel.read()[0].items() if name != argument}
        self._subject.suggest(argument, text, known, take)

    def _start(self, verb: str, value: dict[str, Any]) -> None:
        self.result = None
        self.panel.show_outcome("", "")
        self._sent = self._subject.code(verb, value)
        self._future = self._subject.begin(verb, _plain(value), self._cell)
        self._settle()
        self._pulse.start()
        self._future.add_done_callback(lambda _future: self._pulse.hurry())

    def _settle(self) -> None:
        self.panel.settle(running=self._future is not None, asking=self._asked is not None, busy=self._busy)

    # -- while a call runs; this runs on the timer's thread

    @_told
    def _beat(self) -> None:
        from mcpnb.notebook.future import future_html  # noqa: PLC0415 - a future asks with forms, too

        future = self._future
        if future is not None and not future.done():
            self.panel.show_progress(future_html(future))
            return
        self._pulse.stop()
        self.panel.show_progress("")
        self._future = None
        self._settle()
        if future is not None:
            self._show_end(future)

    def _show_end(self, future: CallFuture[Any]) -> None:
        if future.cancelled():
            shown = '<p class="mcpnb-dim">⊘ cancelled</p>'
        elif (error := future.exception(0)) is None:
            self.result = future.result(0)
            shown = _picture(self.result)
        else:
            shown = _error_html(error)
            if isinstance(error, ArgumentError):  # what could not be found out here
                self.panel.blame({error.field: Problem(error.problem)}, counted=False)
        self.panel.show_outcome(self._sent, shown)

    # -- on the page

    def __repr__(self) -> str:
        state = "closed" if self._closed else "running" if self._future is not None else "ready"
        return f"<ToolForm {self._subject.name}: {cells.without_kernel(state, self._closed)}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:  # noqa: ARG002
        if self._closed or not self.panel.connected:
            why = "its fleet is closed" if self._closed else f"a form needs {cells.PAGE}"
            return self._still(f"{why}; this is what it takes")
        if self._unfollow is None:
            self._unfollow = cells.follow(self._rest)
        view = {"version_major": 2, "version_minor": 0, "model_id": self.panel.root.model_id}
        return {**self._still("the form lives in a running notebook; this is what it takes"), _VIEW: view}

    def _still(self, why: str) -> dict[str, str]:
        taken = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._clock()))
        return self._subject.still(f"Snapshot of {taken}: {why}.")

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415 - only IPython calls this

        self._cell = Cell()
        self._handles.append(display(self._repr_mimebundle_(), raw=True, display_id=True))

    def close(self) -> None:
        """Cancel what runs, and leave a table in place of the widgets. Closing twice is fine."""
        with self.lock:
            if self._closed:
                return
            self._closed = True
            self._pulse.stop()
            if self._unfollow is not None:
                self._unfollow()
            if self._future is not None:
                self._future.cancel()
            for handle in self._handles:
                handle.update(self._repr_mimebundle_(), raw=True)
            self.panel.close()


def _plain(value: Any) -> Any:
    """A value as it is sent: what the page does not show is in it."""
    if isinstance(value, Hidden):
        return value.shown
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def _picture(result: Any) -> str:
    """What a cell would show for it."""
    return result._repr_mimebundle_()["text/html"]  # pyright: ignore[reportPrivateUsage] - as a cell asks


def _error_html(error: BaseException) -> str:
    """What went wrong; of a tool that said no, all that it answered."""
    if not isinstance(error, ToolError) or not isinstance(error.result, Result):
        return error_html(error)
    from mcpnb.notebook import results  # noqa: PLC0415 - loads pandas

    return _picture(results.Result.of(error.result))
