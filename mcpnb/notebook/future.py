"""A background call as a cell shows it: its state, its progress, and a Stop button.

It owns that picture. The call itself is the portal's `Future`, which knows no widgets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mcpnb.notebook.markup import bundle, escape
from mcpnb.notebook.pulse import TIMERS, Pulse, Scheduler
from mcpnb.portal import Future

T = TypeVar("T")

_VIEW = "application/vnd.jupyter.widget-view+json"
_OUTCOMES = {
    "running": ("◌", ""),
    "done": ("✓", "mcpnb-good"),
    "failed": ("✗", "mcpnb-bad"),
    "cancelled": ("×", "mcpnb-dim"),
}


class CallFuture(Future[T]):
    """A background call that a cell shows with its progress, and with a Stop button while it runs."""

    def __init__(self, label: str, *, scheduler: Scheduler = TIMERS) -> None:
        super().__init__(label)
        self._scheduler = scheduler

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ARG002
        still = bundle(future_html(self), repr(self))
        if self.done():
            return still
        return {**still, _VIEW: _live(self, self._scheduler)}


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


def _canceller(future: Future[Any]) -> Callable[[Any], None]:
    def cancel(_button: Any) -> None:
        future.cancel()

    return cancel


def _live(future: Future[Any], scheduler: Scheduler) -> dict[str, Any]:
    """The widget's part of the bundle. The widget follows the call until it ends."""
    import ipywidgets  # noqa: PLC0415 - loaded when first shown

    from mcpnb.notebook.markup import style  # noqa: PLC0415 - as above

    line = ipywidgets.HTML()
    stop = ipywidgets.Button(description="Stop", tooltip="Cancel this call", layout={"width": "auto"})
    stop.on_click(_canceller(future))

    def draw() -> None:
        shown = f'{style()}<div class="mcpnb">{future_html(future)}</div>'
        if line.value != shown:
            line.value = shown
        if future.done():
            stop.disabled = True
            pulse.stop()

    pulse = Pulse(draw, scheduler)
    draw()
    pulse.start()
    future.add_done_callback(lambda _future: pulse.hurry())
    return ipywidgets.HBox([line, stop])._repr_mimebundle_()[_VIEW]
