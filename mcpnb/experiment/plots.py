"""Pictures of a comparison, made with matplotlib's own `Figure` so that no global state is touched.

It owns axes, ticks and labels. It computes nothing: numbers come from the `Comparison`. The room loads
matplotlib, so `Comparison` enters it only when something is to be drawn.

Every picture stands on a light card of its own, readable whatever the theme around it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from mcpnb.experiment import report
from mcpnb.experiment.palette import THIN, accents, number, percent

if TYPE_CHECKING:
    import pandas as pd

    from mcpnb.experiment.comparison import Comparison

INK, MUTED, GRID, CARD, EDGE = "#1f2937", "#5b6472", "#e5e7eb", "#ffffff", "#d9dde3"
FAULT = "#b45309"
HEAT = LinearSegmentedColormap.from_list(
    "mcpnb share", ["#eef4fb", "#c7dcf0", "#6aaed6", "#2f7fbc", "#1f5f9e"]
)
FONT = ["DejaVu Sans"]  # comes with matplotlib: the same picture on every machine
MANY_SERVERS = 16
MANY_STRATEGIES = 6
NAME = 5.6  # the width of a letter of a line's name, in points
LETTER = 0.0066  # the width of a letter of a tick's label, as a share of the overview's width


class Card(Figure):
    """A figure that a notebook shows as a picture without pyplot being loaded."""

    def _repr_png_(self) -> bytes:
        return _png(self)


class CardAxes(Axes):
    """Axes that a notebook shows as the picture they are in."""

    def _repr_png_(self) -> bytes:
        return _png(cast("Figure", self.get_figure(root=True)))


def _png(figure: Figure) -> bytes:
    with io.BytesIO() as out:
        figure.savefig(out, format="png", dpi=110)
        return out.getvalue()


def overview(c: Comparison) -> Figure:
    """The four pictures in a 2 by 2 card."""
    rows = len(c.strategies)
    figure = _card(11.6, 7.4 + 0.22 * max(rows - 4, 0))
    names = 0.026 + LETTER * max((len(_short(s)) for s in c.strategies), default=0)
    left, right = max(names, 0.075), 0.965
    width = (right - left - names - 0.015) / 2
    gap = (names + 0.015) / width
    grid = figure.add_gridspec(2, 2, hspace=0.42, wspace=gap, left=left, right=right, top=0.93, bottom=0.115)
    axes = [figure.add_subplot(cell, axes_class=CardAxes) for cell in grid]
    cdf(c, axes[0])
    timeline(c, axes[1])
    share(c, axes[2])
    intervals(c, axes[3])
    figure.text(0.02, 0.028, report.title(c), fontsize=9, color=MUTED)
    return figure


def cdf(c: Comparison, ax: Axes | None = None) -> Axes:
    """The share of successful calls slower than each latency, both axes logarithmic."""
    ax = _axes(ax, "How many calls are slower than …")
    floor, start, end = 1.0, math.inf, 0.0
    for strategy, colour in accents(c.strategies).items():
        latencies = np.sort(c.latencies(strategy))
        n = len(latencies)
        if not n:
            continue
        # Each call is a step down; the last one would go to zero, which a logarithmic axis does not have.
        slower = np.append(1 - np.arange(n) / n, 0.5 / n)
        ax.plot(
            np.append(latencies, latencies[-1]), slower, color=colour, label=strategy, drawstyle="steps-pre"
        )
        floor = min(floor, 1 / n)
        start, end = min(start, float(np.quantile(latencies, 0.01))), max(end, float(latencies[-1]))
    ax.set(xscale="log", yscale="log", ylim=(max(0.6 * floor, 1e-5), 1.15))
    if 0 < start <= end:
        # From the first percentile on: a single call that took no time would stretch the axis by decades.
        ax.set_xlim(0.85 * start, 1.18 * end)
    _share_ticks(ax, floor)
    _ms_ticks(ax)
    ax.set_xlabel("latency, ms")
    _legend(ax)
    return ax


def _share_ticks(ax: Axes, floor: float) -> None:
    ticks = [10.0**-k for k in range(1 + max(1, math.ceil(-math.log10(floor))))]
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_major_formatter(FuncFormatter(_share_tick))
    ax.yaxis.set_minor_locator(NullLocator())


def _share_tick(share: float, _position: int | None = None) -> str:
    return "all" if share > 0.99 else f"{share * 100:g} %"


def timeline(c: Comparison, ax: Axes | None = None) -> Axes:
    """p95 of each bucket of the workload's time."""
    ax = _axes(ax, "p95 over time, ms")
    frame, colours = c.timeline, accents(c.strategies)
    for strategy, colour in colours.items():
        part = frame[(frame["strategy"] == strategy) & frame["p95_ms"].notna()]
        middle = part["at_s"] + c.bucket_seconds / 2
        ax.plot(middle, part["p95_ms"], color=colour, marker="o" if len(part) < 12 else "", markersize=4)
    top = cast("pd.Series[float]", frame["p95_ms"]).max()
    low = cast("pd.Series[float]", frame["p95_ms"]).min()
    if math.isfinite(top) and top > 6 * low > 0:
        ax.set_yscale("log")
        _ms_ticks(ax, axis="y")
    else:
        ax.set_ylim(0, 1.12 * top if top > 0 else 1)
        ax.yaxis.set_major_formatter(FuncFormatter(_tick))
    ends = _ends(frame)
    end = ax.get_xlim()[1]
    ax.set_xlim(0, end / (1 - _room(ax, ends)))
    ticks = MaxNLocator(7, steps=[1, 2, 5, 10]).tick_values(0, end)
    ax.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if 0 <= tick <= end]))
    _marks(c, ax)
    _name_lines(ax, end, ends, colours)
    ax.set_xlabel("seconds of the workload")
    return ax


def _ends(frame: pd.DataFrame) -> dict[str, float]:
    """Strategy → where its line ends, in ms."""
    known = frame[frame["p95_ms"].notna()]
    return {str(s): float(part["p95_ms"].iloc[-1]) for s, part in known.groupby("strategy", sort=False)}


def _points(ax: Axes) -> tuple[float, float]:
    """The size of the axes in points."""
    width, height = cast("Figure", ax.get_figure(root=True)).get_size_inches()
    return 72 * width * ax.get_position().width, 72 * height * ax.get_position().height


def _room(ax: Axes, names: Iterable[str]) -> float:
    """The share of the axes' width that names at the right end need."""
    longest = max((len(_short(name)) for name in names), default=0)
    return min((NAME * longest + 6) / _points(ax)[0], 0.45)


def _name_lines(ax: Axes, end: float, ends: dict[str, float], colours: dict[str, str]) -> None:
    """Each line's name at its right end, in its colour; names that would overlap are moved apart."""
    places = _apart({name: _upward(ax, value) for name, value in ends.items()}, 13 / _points(ax)[1])
    for name, place in places.items():
        ax.annotate(
            _short(name), (end, place), xycoords=("data", "axes fraction"), xytext=(1, 0),
            textcoords="offset points", va="center", fontsize=9.5, color=colours[name],
            bbox={"facecolor": CARD, "edgecolor": "none", "pad": 1.2},
        )  # fmt: skip


def _upward(ax: Axes, value: float) -> float:
    """How far up the axes a value lies, 0 to 1."""
    low, high = ax.get_ylim()
    if ax.get_yscale() == "log":
        low, high, value = math.log(low), math.log(high), math.log(max(value, 1e-9))
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _apart(places: dict[str, float], gap: float) -> dict[str, float]:
    """The places, at least `gap` from each other, in their order; within 0 to 1 while there is room."""
    ordered = sorted(places, key=lambda name: places[name])
    found: list[float] = []
    for name in ordered:
        found.append(max(places[name], found[-1] + gap) if found else places[name])
    ceiling = max(1.0, gap * (len(found) - 1))
    for i in range(len(found) - 1, -1, -1):
        found[i] = min(found[i], ceiling)
        ceiling = found[i] - gap
    return dict(zip(ordered, found, strict=True))


def _marks(c: Comparison, ax: Axes) -> None:
    rows = _rows(c, ax)
    if rows:
        low, high = ax.get_ylim()
        more = 0.1 * (1 + max(rows))  # for the labels
        ax.set_ylim(top=high * (high / low) ** more if ax.get_yscale() == "log" else high * (1.02 + more))
    for mark, row in zip(c.marks, rows, strict=True):
        if mark.end is None:
            ax.axvline(mark.begin, color=FAULT, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
        else:
            ax.axvspan(mark.begin, mark.end, color=FAULT, alpha=0.11, linewidth=0, zorder=0)
        ax.annotate(
            mark.label, (mark.begin, 1), xycoords=("data", "axes fraction"), xytext=(4, -4 - 14 * row),
            textcoords="offset points", va="top", fontsize=9, color=MUTED,
        )  # fmt: skip


def _rows(c: Comparison, ax: Axes) -> list[int]:
    """The row of each mark's label, from the top: the first in which it does not run into the one before."""
    low, high = ax.get_xlim()
    point = (high - low) / _points(ax)[0]
    taken: list[float] = []
    rows: list[int] = []
    for mark in c.marks:
        row = next((i for i, until in enumerate(taken) if until <= mark.begin), len(taken))
        taken[row : row + 1] = [mark.begin + (NAME * len(mark.label) + 8) * point]
        rows.append(row)
    return rows


def share(c: Comparison, ax: Axes | None = None) -> Axes:
    """Which server answered which share of each strategy's calls, in per cent."""
    ax = _axes(ax, "Share of calls per server, %")
    table = c.share.to_numpy(np.float64) * 100
    servers = [str(name) for name in c.share.columns]
    top = max(float(table.max()) if table.size else 0.0, 1.0)
    if servers:
        # Not quite down to black: the numbers inside stay readable, and an even split does not look alarming.
        ax.pcolormesh(
            table, cmap=HEAT, vmin=0, vmax=max(top, 150 / len(servers)), edgecolors=CARD, linewidth=1.5
        )
    ax.invert_yaxis()
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.set_yticks(np.arange(len(c.strategies)) + 0.5, [_short(s) for s in c.strategies])
    _server_ticks(ax, servers)
    if len(servers) <= MANY_SERVERS:
        _numbers(ax, table, max(top, 150 / max(len(servers), 1)))
    return ax


def _server_ticks(ax: Axes, servers: list[str]) -> None:
    if len(servers) <= MANY_SERVERS:
        tilt = sum(len(_short(name)) for name in servers) > 44
        ax.set_xticks(
            np.arange(len(servers)) + 0.5, [_short(name, 12 if tilt else 18) for name in servers],
            rotation=30 if tilt else 0, ha="right" if tilt else "center",
        )  # fmt: skip
    else:
        ax.set_xticks([0.5, len(servers) - 0.5], [_short(servers[0]), _short(servers[-1])])
        ax.set_xlabel(f"{len(servers)} servers")


def _numbers(ax: Axes, table: np.ndarray[Any, Any], top: float) -> None:
    for (row, column), value in np.ndenumerate(table):
        text = "0" if value == 0 else "<1" if value < 0.5 else f"{value:.0f}"
        colour = "#ffffff" if value > 0.52 * top else INK
        ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, fontsize=10)


def intervals(c: Comparison, ax: Axes | None = None, *, metric: str = "p99") -> Axes:
    """One statistic of each strategy as a dot, with its 95 % interval as a bar."""
    if f"{metric}_ms_low" not in c.summary.columns:
        raise ValueError(f"metric must be mean, p50, p95 or p99, not {metric!r}")
    ax = _axes(ax, f"{metric} with 95 % interval, ms")
    table = c.summary[[f"{metric}_ms", f"{metric}_ms_low", f"{metric}_ms_high"]].to_numpy(np.float64)
    known = table[np.isfinite(table) & (table > 0)]
    if known.size and known.max() > 5 * known.min():
        ax.set_xscale("log")
    colours = accents(c.strategies)
    for row, strategy in enumerate(c.strategies):
        _dot(ax, row, table[row], colours[strategy], _failures(c, strategy))
    _room_for_numbers(ax, known, 0.7 if any(_failures(c, s) for s in c.strategies) else 0.3)
    ax.set_ylim(len(c.strategies) - 0.5, -0.5)
    ax.set_yticks(range(len(c.strategies)), [_short(s) for s in c.strategies])
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)
    return ax


def _failures(c: Comparison, strategy: str) -> str:
    errors, requests = (int(n) for n in c.summary.loc[strategy, ["errors", "requests"]])  # type: ignore[union-attr]
    return f"   {percent(errors / requests)} failed" if errors >= 0.01 * requests > 0 else ""


def _dot(ax: Axes, row: int, numbers: np.ndarray[Any, Any], colour: str, failures: str) -> None:
    at, low, high = (float(x) for x in numbers)
    if not math.isfinite(at):
        where = {"xy": (0.02, row), "xycoords": ("axes fraction", "data")}
        ax.annotate("no call succeeded", **where, va="center", color=MUTED, fontsize=9.5)  # type: ignore[arg-type]
        return
    if math.isfinite(low):
        ax.plot([low, high], [row, row], color=colour, linewidth=5, alpha=0.38, solid_capstyle="round")
    ax.plot([at], [row], marker="o", markersize=9, color=colour)
    right = max(at, high) if math.isfinite(high) else at
    ax.annotate(
        number(at) + failures, (right, row), xytext=(10, 0), textcoords="offset points", va="center",
        color=INK, fontsize=10,
    )  # fmt: skip


def _room_for_numbers(ax: Axes, known: np.ndarray[Any, Any], room: float) -> None:
    """Widen the axis on the right by `room` of its width, where the words stand, and tick it."""
    if not known.size:
        ax.set_xticks([])
        return
    low, high = float(known.min()), float(known.max())
    if ax.get_xscale() == "log":
        reach = math.log(high / low)
        ax.set_xlim(low * math.exp(-0.08 * reach), high * math.exp(room * reach))
        _ms_ticks(ax)
    else:
        reach = max(high - low, 0.1 * high)
        ax.set_xlim(max(low - 0.2 * reach, 0), high + room * reach)
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.xaxis.set_major_formatter(FuncFormatter(_tick))


def _ms_ticks(ax: Axes, *, axis: str = "x") -> None:
    """Ticks on a logarithmic axis of milliseconds, as plain numbers; 2 and 5 as well when there is room."""
    which = ax.xaxis if axis == "x" else ax.yaxis
    low, high = ax.get_xlim() if axis == "x" else ax.get_ylim()
    decades = math.log10(high / low) if low > 0 else 3
    steps = (1.0, 2.0, 5.0) if decades < 2.2 else (1.0,)
    which.set_major_locator(LogLocator(subs=steps, numticks=20))
    which.set_major_formatter(FuncFormatter(_tick))
    which.set_minor_formatter(NullFormatter())


def _tick(value: float, _position: int | None = None) -> str:
    return f"{value:,.0f}".replace(",", THIN) if value >= 1000 else f"{value:.4g}"


def _legend(ax: Axes) -> None:
    columns = 1 if len(ax.get_lines()) <= MANY_STRATEGIES else 2
    if ax.get_lines():
        ax.legend(
            loc="lower left", framealpha=0.85, facecolor=CARD, edgecolor="none", fontsize=9.5, ncols=columns,
            handlelength=1.8, labelcolor=INK, borderpad=0.2,
        )  # fmt: skip


def _short(name: str, limit: int = 18) -> str:
    shown = "".join(ch if ch.isprintable() else "\ufffd" for ch in name).replace("$", r"\$")
    if len(shown) <= limit:
        return shown
    head = limit // 2  # names of a kind differ at the end: keep both ends
    return f"{shown[:head]}…{shown[head + 1 - limit :]}"


def _card(width: float, height: float) -> Figure:
    figure = Card(figsize=(width, height), facecolor=CARD, dpi=110)
    FigureCanvasAgg(figure)
    edge = FancyBboxPatch(
        (0.004, 0.006), 0.992, 0.988, boxstyle="round,pad=0,rounding_size=0.012",
        transform=figure.transFigure, facecolor="none", edgecolor=EDGE, linewidth=1,
    )  # fmt: skip
    figure.add_artist(edge)
    return figure


def _axes(ax: Axes | None, title: str) -> Axes:
    """The axes given, or new ones on a card; dressed either way."""
    if ax is None:
        figure = _card(6.2, 4.0)
        ax = figure.add_axes((0.19, 0.16, 0.76, 0.70), axes_class=CardAxes)
    ax.set_facecolor(CARD)
    ax.set_title(title, loc="left", fontsize=12.5, color=INK, pad=9, fontfamily=FONT)
    ax.tick_params(which="both", colors=MUTED, labelsize=9.5, length=0)
    ax.grid(visible=True, color=GRID, linewidth=0.9)
    ax.set_axisbelow(True)
    ax.spines[:].set_visible(False)
    ax.xaxis.label.set(color=MUTED, fontsize=10)
    ax.yaxis.label.set(color=MUTED, fontsize=10)
    return ax
