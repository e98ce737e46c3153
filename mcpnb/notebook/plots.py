"""Final pictures with matplotlib: latency, timeline, errors and share of traffic from the log of attempts.

It owns one style and the drawing. It never touches pyplot, so that any thread may draw, and it returns Axes
that a notebook shows as their picture. Each picture brings its own light card, readable on any page.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from mcpnb.metrics import AttemptLog, Columns, Series, series
from mcpnb.metrics.quantiles import grouped_quantiles
from mcpnb.metrics.summary import answered
from mcpnb.model import FAULTS, OUTCOMES
from mcpnb.notebook.markup import count, number, visible
from mcpnb.notebook.palette import SERVERS, STRATEGIES, Palette
from mcpnb.notebook.svg import spread

if TYPE_CHECKING:
    from mcpnb.notebook.palette import Accent

__all__ = ["PictureAxes", "Plots", "errors", "latency", "share", "timeline"]

Floats = npt.NDArray[np.float64]

CARD: Final = "#fbfcfd"
INK: Final = "#17191c"
SOFT: Final = "#5a6270"
RULE: Final = "#dfe3e8"
_TOOLS: Final = Palette()
_PALETTES: Final = {"server": SERVERS, "strategy": STRATEGIES, "tool": _TOOLS}
_DPI: Final = 160
_BUCKETS: Final = 60
_ROWS: Final = 30
"""Rows that one picture can hold and still be read."""
_OUTCOME_TONES: Final = {
    "ok": "#d9dee5", "tool_error": "#c79a2b", "timeout": "#c4201c", "disconnected": "#7b1fa2",
    "refused": "#e07a5f", "rejected": "#46627f", "cancelled": "#9aa3af",
}  # fmt: skip


class PictureAxes(Axes):
    """Axes that a notebook shows as their figure."""

    def _repr_mimebundle_(
        self,
        include: object = None,  # noqa: ARG002 - IPython's signature
        exclude: object = None,  # noqa: ARG002
    ) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
        figure = self.get_figure(root=True)
        assert figure is not None  # noqa: S101 - axes are made with their figure
        width, height = figure.get_size_inches() * 100
        data = {"image/png": base64.b64encode(png(figure)).decode(), "text/plain": repr(self)}
        return data, {"image/png": {"width": int(width), "height": int(height)}}


def png(figure: Figure, dpi: int = _DPI) -> bytes:
    """The picture as PNG, sharp on fine screens."""
    buffer = io.BytesIO()
    canvas = FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", dpi=dpi)
    del canvas
    return buffer.getvalue()


class Plots:
    """The pictures of one log: `fleet.plot`."""

    def __init__(self, log: AttemptLog) -> None:
        self._log = log

    def latency(self, ax: Axes | None = None, *, by: str = "server", window: float | None = None) -> Axes:
        """See `plots.latency`."""
        return latency(self._log, ax, by=by, window=window)

    def timeline(self, ax: Axes | None = None, *, window: float | None = None) -> Axes:
        """See `plots.timeline`."""
        return timeline(self._log, ax, window=window)

    def errors(self, ax: Axes | None = None, *, by: str = "server", window: float | None = None) -> Axes:
        """See `plots.errors`."""
        return errors(self._log, ax, by=by, window=window)

    def share(self, ax: Axes | None = None, *, window: float | None = None) -> Axes:
        """See `plots.share`."""
        return share(self._log, ax, window=window)

    def cdf(self, ax: Axes | None = None, *, by: str = "server", window: float | None = None) -> Axes:
        """See `distributions.cdf`."""
        from mcpnb.notebook import distributions  # noqa: PLC0415 - it stands on this module

        return distributions.cdf(self._log, ax, by=by, window=window)

    def heatmap(self, ax: Axes | None = None, *, window: float | None = None) -> Axes:
        """See `distributions.heatmap`."""
        from mcpnb.notebook import distributions  # noqa: PLC0415 - as above

        return distributions.heatmap(self._log, ax, window=window)

    def __repr__(self) -> str:
        kinds = ".latency(), .cdf(), .timeline(), .heatmap(), .errors(), .share()"
        return f"<Plots of {len(self._log):,} attempts: {kinds}>"


# -- pictures


def latency(
    log: AttemptLog, ax: Axes | None = None, *, by: str = "server", window: float | None = None
) -> Axes:
    """How long answers took: a line from the fastest to p99, thick from p25 to p75, p50 and p95 marked.

    Args:
        log: The attempts.
        ax: Where to draw; by default on a figure of its own.
        by: A row for each `server`, `tool` or `strategy`.
        window: Seconds to look back from the newest attempt; None is all.

    Raises:
        ValueError: For anything else to group by.
    """
    columns = windowed(log, window)
    sent = len(columns)
    columns = columns.where(answered(columns))
    names, codes = groups(columns, by)
    ax = ax if ax is not None else new_axes(height=1.5 + 0.42 * max(min(len(names), _ROWS), 2))
    quantiles = grouped_quantiles(
        codes, columns.latency * 1000, len(names), (0.0, 0.25, 0.5, 0.75, 0.95, 0.99)
    )
    counts = np.bincount(codes, minlength=len(names))
    for row, name in enumerate(names[:_ROWS]):
        _latency_row(ax, row, quantiles[row], accent_of(by, name).tone.light)
    _rows(ax, [f"{name}  ({count(int(n))})" for name, n in zip(names, counts, strict=True)], sent)
    titled(ax, f"Latency by {by}", "latency, ms")
    _log_scale(ax, quantiles)
    _legend_line(ax, "● p50   | p95   thick: p25 to p75   thin: fastest to p99   (answers)")
    return ax


def _latency_row(ax: Axes, row: int, q: Floats, colour: str) -> None:
    fastest, p25, p50, p75, p95, p99 = (float(value) for value in q)
    ax.plot([fastest, p99], [row, row], color=colour, lw=1.4, alpha=0.55, solid_capstyle="round")
    ax.plot([p25, p75], [row, row], color=colour, lw=7, alpha=0.45, solid_capstyle="butt")
    ax.plot([p50], [row], "o", color=colour, ms=7)
    ax.plot([p95], [row], "|", color=colour, ms=15, mew=2.2)
    _beside(ax, f"{number(p50, 2)} · {number(p95, 2)}", (p99, row), SOFT, gap=8)


def timeline(log: AttemptLog, ax: Axes | None = None, *, window: float | None = None) -> Axes:
    """p95 per server over time, labelled at the lines' ends; failed attempts as crosses on the time axis."""
    columns = windowed(log, window)
    ax = ax if ax is not None else new_axes()
    cut, middles, span = cut_in_time(columns, _BUCKETS)
    for name, p95 in zip(cut.servers, cut.p95_ms, strict=True):
        _line(ax, middles, p95, name)
    for name, failed in zip(cut.servers, cut.errors, strict=True):
        where = middles[failed > 0]
        ax.plot(where, np.zeros_like(where), "x", color=SERVERS.accent(name).tone.light, ms=6, mew=1.6)
    titled(ax, "p95 by server", "seconds since the first call shown", "p95 latency, ms")
    if cut.errors.any():
        _legend_line(ax, "\N{MULTIPLICATION SIGN} attempts that failed")
    _over_time(ax, span, len(columns))
    return ax


def _line(ax: Axes, x: Floats, y: Floats, name: str) -> None:
    accent = SERVERS.accent(name)
    ax.plot(
        x, y, color=accent.tone.light, lw=1.9, ls=dash_of(accent), label=visible(name), marker=".", ms=3.5
    )


def errors(
    log: AttemptLog, ax: Axes | None = None, *, by: str = "server", window: float | None = None
) -> Axes:
    """How attempts ended, as shares per row; the share of good answers is left pale."""
    columns = windowed(log, window)
    names, codes = groups(columns, by)
    ax = ax if ax is not None else new_axes(height=1.5 + 0.42 * max(min(len(names), _ROWS), 2))
    counts = np.zeros((len(names), len(OUTCOMES)))
    np.add.at(counts, (codes, columns.outcome), 1)
    totals = counts.sum(axis=1)
    _outcome_bars(ax, 100 * counts / np.maximum(totals, 1)[:, None])
    _rows(ax, [f"{name}  ({count(int(total))})" for name, total in zip(names, totals, strict=True)])
    _failed_words(ax, counts[:_ROWS], totals[:_ROWS])
    titled(ax, f"How attempts ended, by {by}", "share of attempts, %", pad=24)
    ax.set_xlim(0, 100)
    if len(names):
        ax.legend(
            loc="lower right", bbox_to_anchor=(1.015, 0.985), ncols=7, frameon=False, fontsize=8,
            labelcolor=SOFT, borderpad=0.2, columnspacing=1.2, handlelength=1,
        )  # fmt: skip
    return ax


def _outcome_bars(ax: Axes, shares: Floats) -> None:
    """Stacked bars of shape (rows, outcomes), faults first and good answers last."""
    left = np.zeros(len(shares))
    for place in sorted(range(len(OUTCOMES)), key=lambda place: OUTCOMES[place] == "ok"):
        if shares[:, place].any():
            kind, width = OUTCOMES[place], shares[:, place]
            tone = _OUTCOME_TONES[kind]
            ax.barh(range(len(shares)), width, left=left, height=0.55, color=tone, label=_words(kind))
            left = left + width


def _words(kind: str) -> str:
    return f"{kind.replace('_', ' ')}{' (a fault)' if kind in FAULTS else ''}"


def _failed_words(ax: Axes, counts: Floats, totals: Floats) -> None:
    faults = counts[:, [kind in FAULTS for kind in OUTCOMES]].sum(axis=1)
    for row, (bad, total) in enumerate(zip(faults, totals, strict=True)):
        words = f"{bad:.0f} of {total:.0f} failed" if bad else "none failed"
        _beside(ax, words, (100, row), "#a81b17" if bad else SOFT)


def share(log: AttemptLog, ax: Axes | None = None, *, window: float | None = None) -> Axes:
    """Which server got which share of the attempts over time, stacked."""
    columns = windowed(log, window)
    ax = ax if ax is not None else new_axes()
    cut, x, span = cut_in_time(columns, _BUCKETS // 3)
    totals = cut.count.sum(axis=0)
    shares = 100 * cut.count / np.where(totals, totals, 1)
    filled = totals > 0
    if filled.any():
        tones = [SERVERS.accent(name).tone.light for name in cut.servers]
        bands, places = shares[:, filled], x[filled]
        if len(places) == 1:  # a moment has no width of its own
            bands, places = np.repeat(bands, 2, axis=1), np.array([0.0, span])
        ax.stackplot(places, bands, colors=tones, alpha=0.85, edgecolor=CARD, linewidth=0.8)
        _band_labels(ax, cut.servers, shares[:, filled][:, -1], cut.count.sum(axis=1))
    else:
        say_nothing(ax)
    titled(ax, "Share of traffic", "seconds since the first call shown", "share of attempts, %")
    ax.set_ylim(0, 100)
    ax.set_xlim(*((float(x[filled][0]), float(x[filled][-1])) if filled.sum() > 1 else (0, span)))
    return ax


def _band_labels(ax: Axes, names: Sequence[str], last: Floats, totals: npt.NDArray[np.int64]) -> None:
    middles = np.cumsum(last) - last / 2
    of = max(int(totals.sum()), 1)
    for name, middle, total in zip(names, apart(middles, 6.0, 100.0), totals, strict=True):
        text = f"{visible(name)} {100 * total / of:.0f} % of all"
        label_beside(ax, middle, text, SERVERS.accent(name).tone.light)


# -- style


def new_axes(width: float = 7.6, height: float = 3.4) -> Axes:
    """Axes on a card of their own; inches."""
    figure = Figure(
        figsize=(width, height), facecolor=CARD, edgecolor=RULE, linewidth=1.5, layout="constrained"
    )
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)  # noqa: S101 - asked for above
    engine.set(w_pad=0.16, h_pad=0.14)  # inches around the drawing, so that the card frames it
    ax = figure.add_subplot(axes_class=PictureAxes)
    ax.set_facecolor(CARD)
    return ax


def titled(ax: Axes, title: str, x: str, y: str = "", *, pad: float = 12) -> None:
    """A picture's title, what its axes are in which unit, and a quiet grid; `pad` points above the plot."""
    ax.set_title(title, loc="left", color=INK, fontsize=11, fontweight="bold", pad=pad)
    ax.set_xlabel(x, color=SOFT, fontsize=9)
    ax.set_ylabel(y, color=SOFT, fontsize=9)
    ax.tick_params(colors=SOFT, labelsize=8.5, length=0)
    ax.grid(visible=True, axis="both" if y else "x", color=RULE, lw=0.8)
    ax.set_axisbelow(True)
    for side in ax.spines.values():
        side.set_visible(False)


def _rows(ax: Axes, names: Sequence[str], sent: int = 0) -> None:
    """Names as the rows of the picture, the first on top; where there are none, of how many attempts."""
    shown = [visible(name) for name in names[:_ROWS]]
    if len(names) > _ROWS:
        shown[-1] += f"  … {len(names) - _ROWS} more not shown"
    ax.set_yticks(range(len(shown)), shown)
    ax.set_ylim(max(len(shown), 1) - 0.45, -0.55)
    if not names:
        ax.set_yticks([])
        say_nothing(ax, sent)


def say_nothing(ax: Axes, sent: int = 0) -> None:
    """Say that there is nothing to draw, instead of axes that measure nothing; `sent` are attempts."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
    words = f"none of {count(sent)} attempts was answered" if sent else "no calls yet"
    ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center", color=SOFT)


def _legend_line(ax: Axes, text: str) -> None:
    ax.text(1, 1.02, text, transform=ax.transAxes, ha="right", va="bottom", color=SOFT, fontsize=8)


def _log_scale(ax: Axes, quantiles: Floats) -> None:
    """Decades side by side need a logarithmic axis; else it starts at zero, where lengths can be compared."""
    known = quantiles[np.isfinite(quantiles)]
    if known.size and known.max() > 30 * max(float(np.median(known)), 1e-6):
        ax.set_xscale("log")
        ax.set_xlabel("latency, ms (logarithmic)", color=SOFT, fontsize=9)
    else:
        ax.set_xlim(0, (float(known.max()) if known.size else 1.0) * 1.16)


def _over_time(ax: Axes, span: float, sent: int) -> None:
    ax.set_xlim(0, span)
    top = max((float(np.nanmax(line.get_ydata())) for line in ax.lines if _known(line)), default=1.0) or 1.0
    ax.set_ylim(-0.035 * top, top * 1.08)
    ends = [
        (line, _last(line)) for line in ax.lines if _known(line) and not str(line.get_label()).startswith("_")
    ]
    places = apart(np.array([y for _, y in ends]), 0.075 * top, top * 1.05)
    for (line, _), place in zip(ends, places, strict=True):
        label_beside(ax, place, str(line.get_label()), str(line.get_color()))
    if not ends:
        say_nothing(ax, sent)


def _known(line: Any) -> bool:
    return bool(np.isfinite(np.asarray(line.get_ydata(), dtype=float)).any())


def _last(line: Any) -> float:
    y = np.asarray(line.get_ydata(), dtype=float)
    return float(y[np.isfinite(y)][-1])


def label_beside(ax: Axes, y: float, text: str, colour: str) -> None:
    """A label right of the plot at height `y`, in data units."""
    _beside(ax, text, (1, y), colour, xycoords=ax.get_yaxis_transform(), fontsize=9, fontweight="bold")


def _beside(
    ax: Axes, text: str, at: tuple[float, float], colour: str, *, gap: float = 6, **style: Any
) -> None:
    """Words `gap` points right of a place, inside of the plot or not."""
    style = {"fontsize": 8.5, "annotation_clip": False, **style}
    ax.annotate(text, at, xytext=(gap, 0), textcoords="offset points", va="center", color=colour, **style)


def apart(places: Floats, step: float, high: float) -> list[float]:
    """Places of labels, moved so that each is a step away from the next."""
    return spread(places.tolist(), 0.0, high, step)


def dash_of(accent: Accent) -> Any:
    """The dashes of an accent, as matplotlib has them."""
    return (0, tuple(float(part) for part in accent.dash.split())) if accent.dash else "-"


def accent_of(by: str, name: str) -> Accent:
    """The accent of a server, a tool or a strategy."""
    return _PALETTES[by].accent(name)


# -- data


def windowed(log: AttemptLog, window: float | None) -> Columns:
    """The attempts of that many last seconds; None is all."""
    columns = log.columns()
    if window is None or not len(columns):
        return columns
    return columns.where(columns.started_at >= columns.started_at.max() - window)


def cut_in_time(columns: Columns, buckets: int) -> tuple[Series, Floats, float]:
    """The attempts in buckets; the middles of these and the end, in seconds from the first start on."""
    begin = float(columns.started_at.min()) if len(columns) else 0.0
    span = max(float(columns.started_at.max()) - begin, 1.0) if len(columns) else 1.0
    # Edges are multiples of the width: one bucket more than asked for covers both ends.
    cut = series(columns, buckets=buckets + 1, span=span * (buckets + 1) / buckets, now=begin + span)
    return cut, np.maximum((cut.edges[:-1] + cut.edges[1:]) / 2 - begin, 0.0), span


def groups(columns: Columns, by: str) -> tuple[list[str], npt.NDArray[np.intp]]:
    """The names of the groups, in the order of their accents, and each row's group."""
    if by not in _PALETTES:
        raise ValueError(f"cannot group attempts by {by!r}: choose among {', '.join(_PALETTES)}")
    codes, names = columns.coded(by)
    present, groups = np.unique(codes, return_inverse=True)
    palette = _PALETTES[by]
    order = sorted(range(len(present)), key=lambda place: palette.place(names[present[place]]))
    ranks = np.empty(len(present), dtype=np.intp)
    ranks[order] = np.arange(len(present))
    return [names[present[place]] or "(none)" for place in order], ranks[groups]
