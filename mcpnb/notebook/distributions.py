"""Two more pictures of the calls: which share of them took how long, and where and when it took long.

It owns their drawing; the style is that of `mcpnb.notebook.plots`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from mcpnb.experiment.plots import HEAT
from mcpnb.metrics import AttemptLog
from mcpnb.metrics.summary import answered
from mcpnb.notebook.markup import number, visible
from mcpnb.notebook.plots import (
    CARD,
    SOFT,
    Floats,
    accent_of,
    apart,
    cut_in_time,
    dash_of,
    groups,
    label_beside,
    new_axes,
    say_nothing,
    titled,
    windowed,
)

__all__ = ["cdf", "heatmap"]

_LINES: Final = 12
"""Lines that one picture can hold and still be read."""
_STEPS: Final = 400
"""Points of a line: more are not seen."""
_ROWS: Final = 40
_BUCKETS: Final = 48


def cdf(log: AttemptLog, ax: Axes | None = None, *, by: str = "server", window: float | None = None) -> Axes:
    """The share of answers that came within a time, a line for each name, labelled at its end.

    Args:
        log: The attempts.
        ax: Where to draw; by default on a figure of its own.
        by: A line for each `server`, `tool` or `strategy`.
        window: Seconds to look back from the newest attempt; None is all.

    Raises:
        ValueError: For anything else to group by.
    """
    columns = windowed(log, window)
    sent = len(columns)
    columns = columns.where(answered(columns))
    names, codes = groups(columns, by)
    ax = ax if ax is not None else new_axes()
    titled(ax, f"How fast answers came, by {by}", "latency, ms (logarithmic)", "share of answers, %")
    if not names:
        say_nothing(ax, sent)
        return ax
    ends: list[float] = []
    for group, name in enumerate(names[:_LINES]):
        took = np.sort(np.maximum(columns.latency[codes == group] * 1000, 1e-3))
        x, y = _steps(took)
        accent = accent_of(by, name)
        ax.plot(x, y, color=accent.tone.light, lw=1.9, ls=dash_of(accent), drawstyle="steps-post")
        ends.append(float(np.median(took)))
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(_tick))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_ylim(0, 102)
    _name_lines(ax, by, names, ends)
    return ax


def _tick(x: float, _place: int | None) -> str:
    return number(x, 1)


def _steps(took: Floats) -> tuple[Floats, Floats]:
    """The line from 0 through sorted latencies: `_STEPS` of them at most, the first and the last too."""
    places = np.unique(np.linspace(0, len(took) - 1, min(len(took), _STEPS)).astype(np.intp))
    return np.append(took[:1], took[places]), np.append(0.0, 100 * (places + 1) / len(took))


def _name_lines(ax: Axes, by: str, names: list[str], medians: list[float]) -> None:
    """Names beside the plot in the order of the medians, the fastest on top, as the lines stand."""
    order = sorted(range(len(medians)), key=medians.__getitem__)
    heights = apart(np.linspace(94, 94 - 9.0 * (len(order) - 1), len(order))[::-1], 7.0, 98.0)[::-1]
    for height, place in zip(heights, order, strict=True):
        text = f"{visible(names[place])}  {number(medians[place], 2)} ms"
        label_beside(ax, height, text, accent_of(by, names[place]).tone.light)
    left_out = len(names) - _LINES
    said = "name  median" + (f"   … {left_out} more not shown" if left_out > 0 else "")
    if names:
        ax.text(
            1.01, 1.02, said, transform=ax.transAxes, ha="left",
            va="bottom", color=SOFT, fontsize=8,
        )  # fmt: skip


def heatmap(log: AttemptLog, ax: Axes | None = None, *, window: float | None = None) -> Axes:
    """p95 of each server over time as colour, the darker the slower; empty where there were no answers."""
    columns = windowed(log, window)
    cut, _, span = cut_in_time(columns, _BUCKETS)
    shown = cut.servers[:_ROWS]
    ax = ax if ax is not None else new_axes(height=1.5 + 0.34 * max(len(shown), 2))
    titled(ax, "p95 by server over time", "seconds since the first call shown")
    ax.grid(visible=False)
    p95 = np.ma.masked_invalid(np.asarray(cut.p95_ms, dtype=float)[:_ROWS])
    if not shown or not p95.count():
        say_nothing(ax, len(columns))
        return ax
    mesh = ax.imshow(
        p95, aspect="auto", cmap=HEAT, vmin=0, extent=(0, span, len(shown) - 0.5, -0.5),
        interpolation="nearest",
    )  # fmt: skip
    for row in range(1, len(shown)):
        ax.axhline(row - 0.5, color=CARD, lw=2)
    ax.set_yticks(range(len(shown)), [visible(name) for name in shown])
    figure = ax.get_figure(root=True)
    assert figure is not None  # noqa: S101 - axes are made with their figure
    bar = figure.colorbar(mesh, ax=ax, pad=0.02, fraction=0.04)
    bar.set_label("p95 latency, ms", color=SOFT, fontsize=9)
    bar.ax.tick_params(colors=SOFT, labelsize=8.5, length=0)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue] - a Spine, whatever its stub says
    return ax
