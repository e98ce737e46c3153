"""The playground's four pictures as inline SVG: numbers in, shapes out, in both themes and at any width.

It owns shapes and the placing of words; where values lie, `axes` says. Shapes stand in a stretched coordinate
system and words outside of it, in percent and pixels, so that they never stretch. It knows no runs, no states
and no widgets.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from mcpnb.notebook.markup import escape, number, shorten, trimmed
from mcpnb.notebook.palette import Accent
from mcpnb.notebook.playground.axes import Axis, Frame, covering
from mcpnb.notebook.svg import place_text, spread

_UNITS: Final = 1000
"""Of the stretched system, from left to right."""
_FINE: Final = 4
"""Units per pixel of its height."""
_LINE: Final = 14
"""Pixels between two lines of words."""
_NUMBERED: Final = 14
"""Servers whose shares are written out; of more, only the shade is left."""
_ROOMY: Final = 10
"""Servers whose names stand in the usual size."""
_LANES: Final = 4
"""Servers whose faults have a lane of their own."""


class Line(NamedTuple):
    """A curve, with a band around it where something is known of its range."""

    name: str
    accent: Accent
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


class Span(NamedTuple):
    """A time of trouble of one server, in the units of the time axis."""

    name: str
    accent: Accent
    begin: float
    end: float
    words: str


# -- drawing


def _picture(title: str, height: float, parts: Iterable[str]) -> str:
    return (
        f'<svg class="mcpnb-chart" width="100%" height="{height:g}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _stretched(frame: Frame, shapes: str) -> str:
    return (
        f'<svg class="mcpnb-clip" x="{frame.left:g}%" y="{frame.top:g}" width="{frame.width:g}%" '
        f'height="{frame.height:g}" viewBox="0 0 {_UNITS} {frame.height * _FINE:g}" '
        f'preserveAspectRatio="none">'
        f"{shapes}</svg>"
    )


def _across(frame: Frame, share: float, words: str) -> str:
    """A horizontal line of the grid, with its words at the left."""
    y = frame.y(share)
    line = f'<line class="mcpnb-grid" x1="{frame.left:g}%" x2="{frame.x(1):g}%" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + place_text(frame.left - 1.2, round(y + 3.5, 1), words, anchor="end")


def _below(frame: Frame, share: float, words: str) -> str:
    """Words below the plot, with a line of the grid up from there; at its ends they lean inwards."""
    x = frame.x(share)
    anchor = "start" if share < 0.03 else "end" if share > 0.97 else "middle"
    line = f'<line class="mcpnb-grid" x1="{x:.4g}%" x2="{x:.4g}%" y1="{frame.top:g}" y2="{frame.y(0):g}"/>'
    return line + place_text(x, frame.y(0) + 15, words, anchor=anchor)


def _curve(line: Line, across: Axis, up: Axis, frame: Frame) -> str:
    """The band and the line itself, in the stretched system."""
    tall = frame.height * _FINE
    xs = [across.share(x) * _UNITS for x in line.x]

    def points(values: Sequence[float]) -> list[tuple[float, float]]:
        return [(x, tall * (1 - up.share(value))) for x, value in zip(xs, values, strict=True)]

    dash = f' stroke-dasharray="{line.accent.dash}"' if line.accent.dash else ""
    haze = _haze(points(line.low), points(line.high)) if len(line.low) else ""
    drawn = "".join(f"M{_joined(run)}h0" for run in _runs(points(line.y)))
    return f'<g class="{line.accent.css}">{haze}<path class="mcpnb-line" d="{drawn}"{dash}/></g>'


def _haze(low: Sequence[tuple[float, float]], high: Sequence[tuple[float, float]]) -> str:
    pieces = [
        f"M{_joined([up for up, _ in run])}L{_joined([down for _, down in reversed(run)])}Z"
        for known, group in groupby(
            zip(high, low, strict=True), lambda pair: math.isfinite(pair[0][1] + pair[1][1])
        )
        if known and len(run := list(group)) > 1
    ]
    return f'<path class="mcpnb-haze" d="{"".join(pieces)}"/>' if pieces else ""


def _runs(points: Sequence[tuple[float, float]]) -> Iterable[list[tuple[float, float]]]:
    """The stretches without a gap."""
    return (list(run) for known, run in groupby(points, lambda point: math.isfinite(point[1])) if known)


def _joined(points: Iterable[tuple[float, float]]) -> str:
    return "L".join(f"{x:.0f} {y:.0f}" for x, y in points)


def _key(line: Line, x: float, y: float) -> str:
    """A short piece of a line with its name."""
    dash = f' stroke-dasharray="{line.accent.dash}"' if line.accent.dash else ""
    return (
        f'<g class="{line.accent.css}"><svg x="{x:g}%" y="{y - 4:g}" width="20" height="4">'
        f'<path class="mcpnb-line" d="M0 0L18 0"{dash}/></svg></g>'
        + place_text(x, y, escape(shorten(line.name, 26)), css=f"mcpnb-direct {line.accent.css}", dx=24)
    )


# -- the four pictures


def slower_chart(lines: Sequence[Line], floor: float, *, title: str, height: int = 190) -> str:
    """The share of calls slower than each latency (ms), both axes logarithmic, from all down to `floor`.

    The names stand in the corner below the curves, which is empty whatever the latencies are.
    """
    frame = Frame(12, 86, 8, height)
    xs = [x for line in lines for x in (line.x[0], line.x[-1])]
    across, up = Axis(min(xs, default=1.0), max(xs, default=10.0), log=True), Axis(floor, 1.1, log=True)
    shares = [10.0**-k for k in range(round(-math.log10(floor)) + 1)]
    parts = [
        _across(frame, up.share(share), "all" if share == 1 else f"{share * 100:g} %") for share in shares
    ]
    parts += [_below(frame, across.share(tick), trimmed(tick)) for tick in across.ticks()]
    parts.append(_stretched(frame, "".join(_curve(line, across, up, frame) for line in lines)))
    first = frame.y(0) - 8 - _LINE * (len(lines) - 1)
    parts += [_key(line, frame.left + 2, first + _LINE * k) for k, line in enumerate(lines)]
    parts.append(place_text(frame.x(1), frame.y(0) + 30, "latency, ms", anchor="end"))
    return _picture(title, frame.y(0) + 36, parts)


def time_chart(
    lines: Sequence[Line], spans: Sequence[Span], seconds: float, *, title: str, height: int = 190
) -> str:
    """Lines over time, named at their ends; times of trouble are shaded, with a lane per server below."""
    frame = Frame(12, 60, 8, height)
    # A band may reach far beyond its line; the axis is the lines'.
    up = covering(value for line in lines for value in line.y)
    across = Axis(0.0, seconds)
    shades = "".join(_shade(begin, end, seconds, frame) for begin, end in union(spans))
    parts = [_across(frame, up.share(tick), trimmed(tick)) for tick in up.ticks()]
    ticks = across.ticks()
    parts += [_below(frame, across.share(tick), f"{tick:g}{' s' * (tick == ticks[-1])}") for tick in ticks]
    parts.append(_stretched(frame, shades + "".join(_curve(line, across, up, frame) for line in lines)))
    parts += _ends(lines, up, frame)
    lanes, depth = _lanes(spans, across, frame, frame.y(0) + 26)
    parts += lanes
    return _picture(title, max(frame.y(0) + 36, depth), parts)


def _shade(begin: float, end: float, seconds: float, frame: Frame) -> str:
    x, width = begin / seconds * _UNITS, (end - begin) / seconds * _UNITS
    return (
        f'<rect class="mcpnb-fault" x="{x:.0f}" y="0" width="{width:.0f}" height="{frame.height * _FINE:g}"/>'
    )


def union(spans: Sequence[Span]) -> list[tuple[float, float]]:
    """The times in which any of them lasts."""
    found: list[tuple[float, float]] = []
    for span in sorted(spans, key=lambda span: span.begin):
        if found and span.begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], span.end))
        else:
            found.append((span.begin, span.end))
    return found


def _ends(lines: Sequence[Line], up: Axis, frame: Frame) -> list[str]:
    """Each line's name right of its last value, moved apart where they would overlap."""
    lasts = [next((y for y in reversed(line.y) if math.isfinite(y)), math.nan) for line in lines]
    places = [frame.y(up.share(last)) if math.isfinite(last) else frame.y(0) for last in lasts]
    moved = spread([min(max(y, frame.top), frame.y(0)) for y in places], frame.top, frame.y(0), _LINE)
    return [
        place_text(
            frame.x(1),
            round(y + 4, 1),
            escape(shorten(line.name, 15)),
            css=f"mcpnb-direct {line.accent.css}",
            dx=7,
        )
        for line, y in zip(lines, moved, strict=True)
    ]


def _lanes(spans: Sequence[Span], across: Axis, frame: Frame, top: float) -> tuple[list[str], float]:
    """A lane per server in trouble, and where they end, in pixels."""
    by_server: dict[str, list[Span]] = {}
    for span in spans:
        by_server.setdefault(span.name, []).append(span)
    parts = list[str]()
    shown = list(by_server.values())[: _LANES if len(by_server) <= _LANES else _LANES - 1]
    for row, mine in enumerate(shown):
        parts += _lane(mine, across, frame, top + _LINE * row)
    left = len(by_server) - len(shown)
    if left:
        parts.append(place_text(frame.x(0), top + _LINE * len(shown) + 9, f"… {left} more servers"))
    return parts, top + _LINE * (len(shown) + bool(left)) + 4


def _lane(spans: Sequence[Span], across: Axis, frame: Frame, top: float) -> list[str]:
    accent = spans[0].accent
    bars = [
        f'<rect class="mcpnb-fill" x="{frame.x(across.share(s.begin)):.4g}%" y="{top:g}" height="8" rx="2" '
        f'width="{max(frame.width * (across.share(s.end) - across.share(s.begin)), 0.4):.3g}%">'
        f"<title>{escape(f'{s.name}: {s.words}, {s.begin:g} to {s.end:g} s')}</title></rect>"
        for s in spans
    ]
    words = f"{shorten(spans[0].name, 12)} {spans[0].words}"
    x = frame.x(across.share(max(s.end for s in spans)))
    said = place_text(x, top + 8, escape(shorten(words, 34)), dx=6)
    if x > 62:  # no room at its right
        said = place_text(
            frame.x(across.share(spans[0].begin)), top + 8, escape(shorten(words, 34)), anchor="end", dx=-6
        )
    return [f'<g class="{accent.css}">{"".join(bars)}</g>', said]


class Row(NamedTuple):
    """One strategy's shares of the servers, each 0 to 1."""

    name: str
    accent: Accent
    shares: Sequence[float]


def share_chart(rows: Sequence[Row], servers: Sequence[tuple[str, Accent]], *, title: str) -> str:
    """Which server got which share of each strategy's calls, in percent; the fuller, the darker."""
    tall = 30 if len(rows) <= 6 else 22
    frame = Frame(29, 70, 8, tall * len(rows))
    wide = frame.width / max(len(servers), 1)
    top = max([share for row in rows for share in row.shares] + [1.5 / max(len(servers), 1)])
    parts = list[str]()
    for k, row in enumerate(rows):
        y = frame.top + tall * k
        name = escape(shorten(row.name, 15))
        parts.append(place_text(0, y + tall / 2 + 4, name, css=f"mcpnb-direct {row.accent.css}"))
        parts.append(f'<g class="{row.accent.css}">{_cells(row, servers, frame, y, tall, top)}</g>')
        if len(servers) <= _NUMBERED:
            parts += [
                place_text(frame.left + wide * (i + 0.5), y + tall / 2 + 4, _share(share), css="mcpnb-cell",
                           anchor="middle")
                for i, share in enumerate(row.shares)
            ]  # fmt: skip
    return _picture(title, frame.y(0) + 32, [*parts, *_heads(servers, frame, wide)])


def _cells(
    row: Row, servers: Sequence[tuple[str, Accent]], frame: Frame, y: float, tall: float, top: float
) -> str:
    wide = frame.width / max(len(servers), 1)
    gap = 0.4 if len(servers) <= _NUMBERED else 0.0
    return "".join(
        f'<rect class="mcpnb-fill" x="{frame.left + wide * i:.4g}%" y="{y + 1:g}" width="{wide - gap:.4g}%" '
        f'height="{tall - 2:g}" rx="2" fill-opacity="{0.05 + 0.4 * share / top:.2f}">'
        f"<title>{escape(f'{row.name}: {_share(share)} % to {server}')}</title></rect>"
        for i, (share, (server, _)) in enumerate(zip(row.shares, servers, strict=True))
    )


def _share(share: float) -> str:
    percent = share * 100
    return "0" if percent == 0 else "<1".replace("<", "&lt;") if percent < 0.5 else f"{percent:.0f}"


def _heads(servers: Sequence[tuple[str, Accent]], frame: Frame, wide: float) -> Iterable[str]:
    """The servers' names below the columns, each with its swatch; of very many just two."""
    y = frame.y(0) + 16
    if len(servers) > _NUMBERED:
        yield place_text(frame.left, y, escape(shorten(servers[0][0], 16)))
        yield place_text(frame.left + frame.width / 2, y, f"{len(servers)} servers", anchor="middle")
        yield place_text(frame.x(1), y, escape(shorten(servers[-1][0], 16)), anchor="end")
        return
    fits = max(2, int(wide / 2.1))
    for i, (server, accent) in enumerate(servers):
        x = frame.left + wide * (i + 0.5)
        yield (
            f'<svg x="{x:.4g}%" y="{y - 12:g}" width="1" height="4"><g class="{accent.css}">'
            f'<rect class="mcpnb-fill" x="-7" width="14" height="3" rx="1.5"/></g></svg>'
        )
        css = "mcpnb-tick mcpnb-tight" if len(servers) > _ROOMY else "mcpnb-tick"
        yield place_text(x, y + 5, escape(shorten(server, fits)), css=css, anchor="middle")


class Dot(NamedTuple):
    """One strategy's figure: the value, what each repeat gave, and an interval where one is known."""

    name: str
    accent: Accent
    value: float
    each: Sequence[float] = ()
    interval: tuple[float, float] | None = None
    note: str = ""
    live: float | None = None
    """What real servers gave, drawn as a ring."""


def dot_chart(dots: Sequence[Dot], *, title: str) -> str:
    """A figure per strategy in ms, with its repeats as ticks and its interval as a bar."""
    tall = 30 if len(dots) <= 6 else 24
    frame = Frame(29, 42, 8, tall * max(len(dots), 1))
    seen = [v for d in dots for v in (d.value, *d.each, *(d.interval or ()), d.live or math.nan)]
    across = covering(seen)
    parts = [_below(frame, across.share(tick), trimmed(tick)) for tick in across.ticks(3)]
    for k, dot in enumerate(dots):
        y = frame.top + tall * (k + 0.5)
        name = escape(shorten(dot.name, 15))
        parts.append(place_text(0, y + 4, name, css=f"mcpnb-direct {dot.accent.css}"))
        parts.append(_dot(dot, across, frame, y))
    parts.append(place_text(frame.x(1), frame.y(0) + 15, "ms", dx=10))
    return _picture(title, frame.y(0) + 32, parts)


def _dot(dot: Dot, across: Axis, frame: Frame, y: float) -> str:
    if not math.isfinite(dot.value):
        return place_text(frame.x(0), y + 4, "no call was answered", dx=6)

    def x(value: float) -> str:
        return f"{frame.x(across.share(value)):.4g}%"

    ticks = "".join(
        f'<line class="mcpnb-each" x1="{x(v)}" x2="{x(v)}" y1="{y - 7:g}" y2="{y + 7:g}"/>'
        for v in dot.each
        if v > 0
    )
    bar = ""
    if dot.interval is not None and min(dot.interval) > 0:
        low, high = dot.interval
        bar = f'<line class="mcpnb-interval" x1="{x(low)}" x2="{x(high)}" y1="{y:g}" y2="{y:g}"/>'
    ring = "" if dot.live is None else f'<circle class="mcpnb-ring" cx="{x(dot.live)}" cy="{y:g}" r="6"/>'
    at = f'<circle class="mcpnb-fill" cx="{x(dot.value)}" cy="{y:g}" r="4.5"/>'
    right = max([dot.value, *dot.each, *(dot.interval or ()), dot.live or 0.0])
    said = number(dot.value) + (f" · live {number(dot.live)}" if dot.live is not None else "")
    words = f'{said}<tspan class="mcpnb-figure" dx="5">{escape(dot.note)}</tspan>'
    drawn = f'<g class="{dot.accent.css}">{bar}{ticks}{at}{ring}</g>'
    return drawn + place_text(frame.x(across.share(right)), y + 4, words, css="mcpnb-value", dx=11)
