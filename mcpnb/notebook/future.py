"""A background call as a cell shows it: its state, its progress, and a Stop button.

It owns that picture. The call itself is the portal's `Future`, which knows no widgets.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from mcpnb.notebook import cells
from mcpnb.notebook.markup import bundle, escape, style
from mcpnb.notebook.pulse import TIMERS, Pulse, Scheduler
from mcpnb.notebook.questions import DESK
from mcpnb.portal import Future

T = TypeVar("T")

_log = logging.getLogger(__name__)

_VIEW = "application/vnd.jupyter.widget-view+json"
_OUTCOMES = {
    "running": ("◌", ""),
    "done": ("✓", "mcpnb-good"),
    "failed": ("✗", "mcpnb-bad"),
    "cancelled": ("⊘", "mcpnb-dim"),
}


class CallFuture(Future[T]):
    """A background call that a cell shows with its progress, and with a Stop button while it runs."""

    def __init__(
        self, label: str, *, scheduler: Scheduler = TIMERS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(label, clock=clock)
        self._scheduler = scheduler

    def result(self, timeout: float | None = None) -> T:
        """See `Future.result`. A cell that waits here is asked here what servers ask."""
        if timeout is None and not self.done() and cells.in_kernel() and cells.on_main_thread():
            DESK.serve(self)
        return super().result(timeout)

    def __await__(self) -> Generator[Any, None, T]:
        return self._awaited().__await__()

    async def _awaited(self) -> T:
        if not self.done() and cells.in_kernel() and cells.on_main_thread():
            await DESK.attend(self)
        return await asyncio.wrap_future(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ARG002
        still = bundle(future_html(self), repr(self))
        if self.done():
            return still
        root = _Live(self, self._scheduler).root
        return {**still, _VIEW: {"version_major": 2, "version_minor": 0, "model_id": root.model_id}}


def future_html(future: Future[Any]) -> str:
    """One line: what is called, its state in a symbol and words, a bar while its end is known."""
    symbol, colour = _OUTCOMES[_outcome(future)]
    state = f'<span class="mcpnb-state {colour}">{symbol} {escape(future.describe())}</span>'
    return f"<div>{escape(future.label)} {_bar(future)}{state}</div>"


def _outcome(future: Future[Any]) -> str:
    if not future.done():
        return "running"
    if future.cancelled():
        return "cancelled"
    return "done" if future.exception(0) is None else "failed"


def _bar(future: Future[Any]) -> str:
    progress = future.progress
    if future.done() or progress is None or not progress.total:
        return ""
    return f'<progress value="{progress.done:g}" max="{progress.total:g}"></progress> '


class _Live:
    """The widget: it follows the call until it ends, four times a second at most."""

    def __init__(self, future: Future[Any], scheduler: Scheduler) -> None:
        import ipywidgets  # noqa: PLC0415 - a third of a second, spent when a call is first shown

        self._future = future
        self._line = ipywidgets.HTML()
        self._stop = ipywidgets.Button(
            description="Stop", tooltip="Cancel this call", layout={"width": "auto"}
        )
        self._stop.on_click(self._cancel)
        sheet = ipywidgets.HTML(style(), layout={"display": "none"})
        self.root = ipywidgets.HBox([sheet, self._line, self._stop])
        self._pulse = Pulse(self._beat, scheduler)
        self._draw()
        self._pulse.start()
        future.add_done_callback(lambda _future: self._pulse.hurry())

    def _cancel(self, _button: Any) -> None:
        self._future.cancel()

    def _beat(self) -> None:
        try:
            self._draw()
        except Exception:  # noqa: BLE001 - a beat has no caller, and the timer thread serves others
            self._pulse.stop()
            _log.exception("%s is no longer shown", self._future.label)

    def _draw(self) -> None:
        self._line.value = f'<div class="mcpnb">{future_html(self._future)}</div>'
        if self._future.done():
            self._stop.disabled = True
            self._pulse.stop()
