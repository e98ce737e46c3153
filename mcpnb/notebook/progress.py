"""A bar below the cell that waits for a call, once the server has said how far it is.

It owns when the bar comes and goes. What it looks like is the future's own picture, and how often it may
change is the pulse's business.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from mcpnb.notebook.cells import Cell, Place
from mcpnb.notebook.future import CallFuture, future_html
from mcpnb.notebook.markup import bundle, shorten, style
from mcpnb.notebook.pulse import TIMERS, Cancel, Pulse, Scheduler
from mcpnb.portal import current_future

__all__ = ["Bar", "WaitedCall", "reporter"]

T = TypeVar("T")

GRACE: Final = 0.4
"""Seconds that a call may take without a bar: what is gone before it is read only flickers."""
_MESSAGE: Final = 160
"""Characters of a server's message that the bar shows."""
_VIEW: Final = "application/vnd.jupyter.widget-view+json"
_NOTHING: Final = {"text/plain": "", "text/html": ""}

_log = logging.getLogger(__name__)

Report = Callable[[float, float | None, str | None], None]


def reporter() -> Report | None:
    """What takes a server's progress for the running call; None when nobody would see it."""
    future = current_future()
    if not isinstance(future, CallFuture):
        return None

    def report(done: float, total: float | None, message: str | None) -> None:
        future.report(done, total, shorten(message or "", _MESSAGE))

    return report


class WaitedCall(CallFuture[T]):
    """A call that a cell waits for. Its bar shows below that cell until `close`."""

    def __init__(
        self, label: str, *, scheduler: Scheduler = TIMERS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(label, scheduler=scheduler, clock=clock)
        self._bar: Bar | None = None

    def show_below(self, cell: Cell) -> None:
        """Have the bar, should there be one, below this cell."""
        self._bar = Bar(self, cell, self._scheduler)

    def report(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """See `Future.report`."""
        super().report(done, total, message)
        if self._bar is not None:
            self._bar.heard()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()


class Bar:
    """The bar of one call: it appears after the first report and a moment's grace, and leaves no trace."""

    def __init__(self, future: CallFuture[Any], cell: Cell, scheduler: Scheduler = TIMERS) -> None:
        self._future, self._cell, self._scheduler = future, cell, scheduler
        self._pulse = Pulse(self._beat, scheduler)
        self._lock = threading.Lock()
        self._begun = self._closed = False
        self._waiting: Cancel | None = None
        self._widgets: list[Any] = []
        self._place: Place | None = None

    def heard(self) -> None:
        """The server has said how far it is. Quick, and safe on any thread."""
        if self._begun:
            self._pulse.hurry()
        else:
            self._begun = True
            self._waiting = self._scheduler.later(max(0.0, GRACE - self._future.elapsed), self._pulse.start)

    def close(self) -> None:
        """Take it off the page, whatever state it is in."""
        if self._waiting is not None:
            self._waiting()
        with self._lock:
            self._closed = True
            self._pulse.stop()
            if self._place is not None:
                self._place.update(_NOTHING, raw=True)
            for widget in self._widgets:
                widget.close()

    def _beat(self) -> None:
        with self._lock:
            if self._closed:
                return
            try:
                self._draw()
            except Exception:  # noqa: BLE001 - a beat has no caller, and the timer thread serves others
                self._pulse.stop()
                _log.exception("the progress of %s is no longer shown", self._future.label)

    def _draw(self) -> None:
        line = f'<div class="mcpnb">{future_html(self._future)}</div>'
        if self._widgets:
            self._widgets[0].value = line
            return
        import ipywidgets  # noqa: PLC0415 - a third of a second, spent when a bar is first shown

        shown = ipywidgets.HTML(line)
        sheet = ipywidgets.HTML(style(), layout={"display": "none"})
        root = ipywidgets.HBox([sheet, shown])
        self._widgets = [shown, sheet, root]
        view = {"version_major": 2, "version_minor": 0, "model_id": root.model_id}
        still = bundle(future_html(self._future), repr(self._future))
        self._place = self._cell.show({**still, _VIEW: view})
