"""Charts as inline SVG on CSS variables: they follow the theme, stretch with the page and run no script.

It owns scales, paths and the placing of labels. It knows no servers, no logs and no clock: it draws numbers
that others worked out. Shapes live in a nested, stretched coordinate system; text stands outside of it in
percent and pixels, so that it never stretches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from typing import Final, Literal, NamedTuple

from mcpnb.notebook.marks import Mark, Spot, Words, placed, together
from mcpnb.notebook.markup import duration, escape, number, shorten, visible
from mcpnb.notebook.palette import Accent

WIDTH: Final = 590
"""Units of the nested coordinate system from left to right."""
FINE: Final = 4
"""Units per pixel of its height: whole numbers are short, and a quarter of a pixel is fine enough."""
LEFT, PLOT, RIGHT = 8.0, 64.0, 73.0
"""Percent: where the plot begins, how wide it is, where the direct labels begin."""
TOP: Final = 34
"""Pixels above the plot, for two rows of the marks' words."""
BOTTOM: Final = 22
_LABEL_STEP: Final = 14
_MARK_ROW: Final = 13
_NAME: Final = 12
"""Characters of a name right of the plot."""


class Line(NamedTuple):
    """One line of a chart; NaN where there is nothing to draw."""

    name: str
    values: Sequence[float]
    accent: Accent | None
    """None is quiet: it stands for many others."""


@cache
def _places(count: int, width: int) -> str:
    """The points of `count` values as a format: written at once, they cost a tenth of one by one."""
    step = width / max(count - 1, 1)
    return "L".join(f"{place * step:.0f} %.0f" for place in range(count))


def _path(values: Sequence[float], top: float, height: float, width: int = WIDTH) -> str:
    """A polyline with gaps where values are missing. A lonely point becomes a dot by its round cap."""
    scale = height / top
    points = _places(len(values), width) % tuple([height - value * scale for value in values])
    if "nan" not in points:
        return f"M{points}"
    runs = groupby(points.split("L"), lambda point: point.endswith("nan"))
    return "".join(f"M{'L'.join(run)}h0" for missing, run in runs if not missing)


def nice_ceiling(value: float) -> float:
    """The next round number at or above `value` whose half and quarter are round as well."""
    if not value > 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(
        step * power for step in (1, 1.2, 1.6, 2, 3, 4, 6, 8, 10) if value <= step * power * (1 + 1e-9)
    )


def sparkline(
    values: Sequence[float], accent: Accent, *, title: str, width: int = 112, height: int = 24
) -> str:
    """A small line from zero to its own maximum; words instead when there is nothing to draw."""
    highest = max((value for value in values if value == value), default=math.nan)  # noqa: PLR0124 - not NaN
    if math.isnan(highest):
        return '<span class="mcpnb-dim">no calls</span>'
    path = _path(values, highest * 1.08 or 1.0, (height - 4) * FINE, width)
    return (
        f'<svg class="mcpnb-spark {accent.css}" width="{width}" height="{height}" '
        f'viewBox="0 {-2 * FINE} {width} {height * FINE}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}">{_stroke(path, accent)}</svg>'
    )


def _stroke(path: str, accent: Accent | None) -> str:
    if accent is None:
        return f'<path class="mcpnb-line mcpnb-quiet" d="{path}"/>'
    dash = f' stroke-dasharray="{accent.dash}"' if accent.dash else ""
    return f'<path class="mcpnb-line" d="{path}"{dash}/>'


def meter(share: float, accent: Accent, *, title: str) -> str:
    """A small filled bar for a share between 0 and 1."""
    filled = 100 * min(max(share, 0.0), 1.0)
    bar = f'<rect class="mcpnb-fill" width="{filled:.0f}%" height="8" rx="4"/>' if filled else ""
    return (
        f'<svg class="mcpnb-meter {accent.css}" width="56" height="8" role="img"'
        f' aria-label="{escape(title)}">'
        f'<rect class="mcpnb-track" width="100%" height="8" rx="4"/>{bar}</svg>'
    )


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    start: str,
    end: str = "now",
    marks: Sequence[Mark] = (),
    height: int = 150,
) -> str:
    """Lines from zero up over time, labelled at their ends, with marks on the time axis.

    Args:
        lines: All of one length, the last value being the newest.
        title: What is drawn, for readers of the page without eyes on it.
        start: The words at the left end of the time axis.
        end: Those at its right end.
        marks: What happened when.
        height: Of the plot, in pixels.
    """
    top = nice_ceiling(max((v for line in lines for v in line.values if v == v), default=1.0))  # noqa: PLR0124
    shapes = "".join(
        _line(line, top, height) for line in sorted(lines, key=lambda line: line.accent is not None)
    )
    grid = "".join(_gridline(top * part, height * (1 - part)) for part in (0, 0.25, 0.5, 0.75, 1))
    labels = [_end(line, top, height) for line in lines]
    axis = _axis(start, end, marks, height)
    return _chart(title, height, grid + _nested(shapes, height) + _labels(labels, height) + axis)


def _line(line: Line, top: float, height: float) -> str:
    if line.accent is None:
        return _stroke(_path(line.values, top, height * FINE), None)
    return f'<g class="{line.accent.css}">{_stroke(_path(line.values, top, height * FINE), line.accent)}</g>'


def _gridline(value: float, y: float) -> str:
    tick = place_text(LEFT - 1, TOP + y + 3.5, number(value, 2), anchor="end")
    return _rule(LEFT, LEFT + PLOT, TOP + y) + tick


def _rule(begin: float, end: float, y: float) -> str:
    return f'<line class="mcpnb-grid" x1="{begin}%" x2="{end}%" y1="{y:g}" y2="{y:g}"/>'


def place_text(
    x: float, y: float, text: str, *, css: str = "mcpnb-tick", anchor: str = "start", dx: int = 0
) -> str:
    """Words at `x` percent and `y` pixels; `text` is HTML already."""
    shift = f' dx="{dx}"' if dx else ""
    turn = f' text-anchor="{anchor}"' if anchor != "start" else ""
    css = f' class="{css}"' if css else ""
    return f'<text{css} x="{x:.4g}%" y="{y:g}"{shift}{turn}>{text}</text>'


_SILENT: Final = 6
"""Values that may be missing at the end of a line that still goes on."""


class _Label(NamedTuple):
    y: float
    text: str
    figure: str
    css: str


def _end(line: Line, top: float, height: float) -> _Label:
    """A label at the line's last value; the figure only while the line goes on."""
    missing, last = next(
        ((n, v) for n, v in enumerate(reversed(line.values)) if math.isfinite(v)), (0, math.nan)
    )
    y = height * (1 - last / top) if math.isfinite(last) else height
    figure = number(last, 2) if missing <= _SILENT else "—"
    return _Label(y, line.name, figure, line.accent.css if line.accent else "mcpnb-rest-label")


def spread(places: Sequence[float], low: float, high: float, step: float) -> list[float]:
    """Places moved apart to at least `step`, in their order, within `low` to `high` as far as they fit."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    floor = low
    for i in order:
        moved[i] = floor = max(moved[i], floor)
        floor += step
    ceiling = high
    for i in reversed(order):
        moved[i] = ceiling = min(moved[i], ceiling)
        ceiling -= step
    return moved


def _labels(labels: Sequence[_Label], height: float) -> str:
    """Direct labels right of the plot, moved apart where they would overlap."""
    places = spread([label.y for label in labels], 0, height, _LABEL_STEP)
    return "".join(
        place_text(RIGHT, round(TOP + y + 4, 1), _named(label), css=f"mcpnb-direct {label.css}")
        for label, y in zip(labels, places, strict=True)
    )


def _named(label: _Label) -> str:
    said, whole = shorten(visible(label.text), _NAME), visible(label.text)
    title = "" if said == whole else f"<title>{escape(whole)}</title>"
    return f'{title}{escape(said)}<tspan class="mcpnb-figure" dx="4">{label.figure}</tspan>'


def _axis(start: str, end: str, marks: Sequence[Mark], height: float) -> str:
    """The words at both ends; the marks' lines, and over all of these the words that have room."""
    y = TOP + height + 16
    ends = place_text(LEFT, y, escape(start)) + place_text(LEFT + PLOT, y, escape(end), anchor="end")
    spots = list(placed(together(marks)))
    lines = "".join(_mark_line(spot, height, words) for spot, words in spots)
    words = "".join(_mark_words(spot, words) for spot, words in spots if words is not None)
    return ends + lines + words


def _place(spot: Spot) -> float:
    return LEFT + PLOT * min(max(spot.at, 0.0), 1.0)


def _mark_line(spot: Spot, height: float, words: Words | None) -> str:
    x, top = _place(spot), TOP - 4 if words is None else TOP - 16 - _MARK_ROW * words.row
    return (
        f'<g class="mcpnb-mark mcpnb-{spot.tone}"><title>{escape(spot.title)}</title>'
        f'<line x1="{x:.4g}%" x2="{x:.4g}%" y1="{top}" y2="{TOP + height}"/></g>'
    )


def _mark_words(spot: Spot, words: Words) -> str:
    x, y = _place(spot), TOP - 8 - _MARK_ROW * words.row
    anchor = "start" if words.side > 0 else "end"
    said = place_text(x, y, escape(spot.words), css="", anchor=anchor, dx=4 * words.side)
    return f'<g class="mcpnb-said mcpnb-{spot.tone}">{said}</g>'


def _nested(shapes: str, height: float) -> str:
    return (
        f'<svg x="{LEFT}%" y="{TOP}" width="{PLOT}%" height="{height}" viewBox="0 0 {WIDTH} {height * FINE}" '
        f'preserveAspectRatio="none" overflow="visible">{shapes}</svg>'
    )


def _chart(title: str, height: float, body: str) -> str:
    return (
        f'<svg class="mcpnb-chart" width="100%" height="{TOP + height + BOTTOM}" role="img" '
        f'aria-label="{escape(title)}">{body}</svg>'
    )


def share_chart(
    lines: Sequence[Line], *, title: str, start: str, end: str = "now", marks: Sequence[Mark] = (),
    height: int = 150,
) -> str:  # fmt: skip
    """Counts per bucket as stacked shares of the whole, labelled at the right with the share of now.

    A bucket without calls keeps the shares of the one before, drawn as a gap.
    """
    bands = _stack([line.values for line in lines])
    shapes = "".join(
        f'<g class="{line.accent.css if line.accent else "mcpnb-rest"}">{_area(low, high, height * FINE)}</g>'
        for line, (low, high) in zip(lines, bands, strict=True)
    )
    grid = "".join(_gridline(100 * part, height * (1 - part)) for part in (0, 0.25, 0.5, 0.75, 1))
    labels = [_band_label(line, band, height) for line, band in zip(lines, bands, strict=True)]
    shown = [label for label in labels if label is not None]
    axis = _axis(start, end, marks, height)
    return _chart(title, height, grid + _nested(shapes, height) + _labels(shown, height) + axis)


def _stack(counts: Sequence[Sequence[float]]) -> list[tuple[list[float], list[float]]]:
    """Lower and upper edge of each band per bucket, as shares of one; NaN in empty buckets."""
    totals = [sum(column) for column in zip(*counts, strict=True)]
    floor = [0.0 if total else math.nan for total in totals]
    bands: list[tuple[list[float], list[float]]] = []
    for row in counts:
        roof = [
            low + value / total if total else math.nan
            for low, value, total in zip(floor, row, totals, strict=True)
        ]
        bands.append((floor, roof))
        floor = roof
    return bands


def _area(low: Sequence[float], high: Sequence[float], height: float) -> str:
    """The area between two edges, one closed piece per run of buckets with calls."""
    step = WIDTH / max(len(low), 1)
    pieces: list[str] = []
    for first, last in _runs(high):
        # A bucket is as wide as its share of the time axis, so that a lonely one is still to be seen.
        places = [first * step, *((i + 0.5) * step for i in range(first, last)), last * step]
        roof = [high[first], *high[first:last], high[last - 1]]
        base = [low[first], *low[first:last], low[last - 1]]
        there = "L".join(f"{x:.0f} {height * (1 - y):.0f}" for x, y in zip(places, roof, strict=True))
        back = "L".join(
            f"{x:.0f} {height * (1 - y):.0f}" for x, y in zip(reversed(places), reversed(base), strict=True)
        )
        pieces.append(f"M{there}L{back}Z")
    return f'<path class="mcpnb-band" d="{"".join(pieces)}"/>'


def _runs(values: Sequence[float]) -> Iterable[tuple[int, int]]:
    """Half-open ranges of places without NaN."""
    first: int | None = None
    for place, value in enumerate(values):
        if math.isnan(value):
            if first is not None:
                yield first, place
            first = None
        elif first is None:
            first = place
    if first is not None:
        yield first, len(values)


def _band_label(line: Line, band: tuple[Sequence[float], Sequence[float]], height: float) -> _Label | None:
    low, high = next(
        ((a, b) for a, b in zip(reversed(band[0]), reversed(band[1]), strict=True) if math.isfinite(b)),
        (0.0, 0.0),
    )
    if high - low < 0.005:
        return None
    css = line.accent.css if line.accent else "mcpnb-rest-label"
    return _Label(height * (1 - (low + high) / 2), line.name, f"{(high - low) * 100:.0f} %", css)


class Bar(NamedTuple):
    """One stretch of a race: from when to when (seconds), whose, how it ended."""

    start: float
    end: float
    accent: Accent
    ending: Literal["won", "lost", "wasted", "cancelled", "queued"]
    text: str
    """Words right of it; without any, it shares the row of the next bar. Of a wait they are its title."""
    title: str = ""
    """What it means, for those who point at it."""


class Lane(NamedTuple):
    """One line of a race: its label and its bars."""

    label: str
    bars: Sequence[Bar]
    note: str = ""
    """Small words below the lane."""


_BAR: Final = 13
_ROW: Final = 24
_NOTE: Final = 15
_NAMES: Final = 23.0
"""Percent of the width kept for the lanes' labels."""
_LABEL: Final = 18
"""Characters of a lane's label: what fits there on a narrow page."""
_TRACK: Final = 40.0
"""Percent of the width that the longest race takes; the rest is for its words."""


def race_strip(lanes: Sequence[Lane], *, title: str) -> str:
    """Who ran against whom, a lane each: won full, cancelled pale, wasted hollow, lost dashed, waits dotted.

    Whoever cannot see it is told the title and every bar's words.
    """
    longest = max((bar.end for lane in lanes for bar in lane.bars), default=0.0) or 1.0
    top, parts = 2, list[str]()
    for lane in lanes:
        label = escape(shorten(visible(lane.label), _LABEL))
        parts.append(f'<text class="mcpnb-lane" x="0" y="{top + 10.5}">{label}</text>')
        parts.append(_bars(lane.bars, longest, top))
        top += (max(sum(map(_ends_row, lane.bars)), 1) - 1) * (_BAR + 4) + _ROW
        if lane.note:
            parts.append(place_text(_NAMES, top + 1, escape(lane.note)))
            top += _NOTE
    scale, told = _scale(longest, top), "; ".join((title, *map(_told, lanes)))
    return (
        f'<svg class="mcpnb-race" width="100%" height="{top + 18}" role="img" aria-label="{escape(told)}">'
        f"<title>{escape(title)}</title>{scale}{''.join(parts)}</svg>"
    )


def _ends_row(bar: Bar) -> bool:
    return bool(bar.text) and bar.ending != "queued"


def _told(lane: Lane) -> str:
    return f"{lane.label}: {', '.join(bar.title or bar.text for bar in lane.bars)}"


def _bars(bars: Sequence[Bar], longest: float, top: float) -> str:
    drawn: list[str] = []
    y = top
    for bar in bars:
        x, width = _NAMES + _TRACK * bar.start / longest, _TRACK * (bar.end - bar.start) / longest
        titled = f"<title>{escape(bar.title or bar.text)}</title>"
        if bar.ending == "queued":
            middle = y + _BAR / 2
            drawn.append(
                f'<line class="mcpnb-wait" x1="{x:.2f}%" x2="{x + width:.2f}%" y1="{middle}" y2="{middle}">'
                f"{titled}</line>"
            )
            continue
        drawn.append(
            f'<g class="{bar.accent.css}"><rect class="mcpnb-bar mcpnb-{bar.ending}" x="{x:.2f}%" y="{y}" '
            f'width="{max(width, 0.3):.2f}%" height="{_BAR}" rx="2.5">{titled}</rect></g>'
        )
        if _ends_row(bar):
            drawn.append(place_text(round(x + width, 2), y + 10.5, escape(bar.text), dx=6))
            y += _BAR + 4
    return "".join(drawn)


def _scale(longest: float, top: float) -> str:
    first = place_text(_NAMES, top + 12, "0")
    last = place_text(_NAMES + _TRACK, top + 12, duration(longest), anchor="end")
    return _rule(_NAMES, _NAMES + _TRACK, top) + first + last
