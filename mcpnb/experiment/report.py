"""A comparison in words: verdicts, notes, a table for the terminal, a table for the notebook.

It owns phrases and markup. It computes no statistics of its own: what it says follows from the intervals
that `Comparison` gives it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from mcpnb.experiment import statistics
from mcpnb.experiment.palette import DASH, TIMES, accents, number, percent, whole
from mcpnb.experiment.timetable import Timetable

if TYPE_CHECKING:
    import pandas as pd

    from mcpnb.experiment.comparison import Comparison

TIE = 0.5  # of the leader's p95: an interval that reaches further does not show a tie, it shows too few calls
REPEATS = 8  # runs that are independent of each other, and enough for intervals over them
_MORE_RUNS = f"Give repeats={REPEATS}, or a longer workload."
LATE_MS = 5.0  # a client that starts calls later than this has something to say for itself


def verdicts(c: Comparison) -> list[str]:
    """One phrase per strategy, in the order of `c.strategies`.

    Judged by p95 against the strategy with the lowest one, at a level that allows for the number of
    strategies. A strategy that clearly fails more often than the best is not in the race: its slow calls
    may be missing from its latencies.
    """
    if len(c.strategies) == 1:
        return ["nothing to compare with"]
    failing = _failing(c)
    racing = [s for s in c.strategies if s not in failing and math.isfinite(c.points[s]["p95"])]
    words = {s: f"fails {percent(share)} of its calls" for s, share in failing.items()}
    if racing:
        words |= _race(c, racing)
    return [words.get(s, "no call succeeded") for s in c.strategies]


def _failing(c: Comparison) -> dict[str, float]:
    """Strategies whose share of failures is above the best one's beyond doubt, with that share."""
    counts = {s: (int(c.summary.loc[s, "errors"]), int(c.summary.loc[s, "requests"])) for s in c.strategies}  # type: ignore[arg-type]
    bounds = {s: statistics.wilson(errors, n) for s, (errors, n) in counts.items() if n}
    if not bounds:
        return {}
    ceiling = min(high for _, high in bounds.values())
    return {s: counts[s][0] / counts[s][1] for s, (low, _) in bounds.items() if low > ceiling}


def _race(c: Comparison, racing: list[str]) -> dict[str, str]:
    leader = min(racing, key=lambda s: c.points[s]["p95"])
    if len(racing) == 1:
        return {leader: "lowest p95 of those that answer"}
    if not c.paired_by_block:
        return dict.fromkeys(racing, "too few blocks to tell")
    # Who leads was not known before: any two might have been compared (Bonferroni).
    level = 1 - 0.05 / math.comb(len(c.strategies), 2)
    words = {s: _standing(c, s, leader, level) for s in racing if s != leader}
    words[leader] = _lead(words, leader)
    quickest = min(racing, key=lambda s: c.points[s]["p50"])
    if words[quickest] != "lowest p95" and _slower(c, quickest, "p50", level) >= {*racing} - {quickest}:
        words[quickest] += "; best p50"
    return words


def _standing(c: Comparison, strategy: str, leader: str, level: float) -> str:
    """How far a strategy is behind the leader: clearly, not at all, or the interval does not say."""
    rows = c.against(leader, level=level)
    row = rows[(rows["strategy"] == strategy) & (rows["metric"] == "p95")].iloc[0]
    here, there = c.points[strategy]["p95"], c.points[leader]["p95"]
    if c.leaning & {strategy, leader}:
        return "one run is too short to tell"
    if not row["low_ms"] > 0:
        return f"tied with {leader}" if row["high_ms"] <= TIE * there else f"not clearly slower than {leader}"
    if here >= 2 * there > 0:
        return f"p95 {here / there:.1f}{TIMES} that of {leader}"
    return f"p95 {number(here - there)} ms above {leader}"


def _lead(others: dict[str, str], leader: str) -> str:
    tied = [s for s, words in others.items() if words == f"tied with {leader}"]
    if tied:
        return f"tied with {', '.join(tied)}"
    clear = all(words.startswith("p95 ") for words in others.values())
    return "lowest p95" if clear else "lowest p95, not clearly"


def _slower(c: Comparison, baseline: str, metric: str, level: float) -> set[str]:
    """Strategies that are slower than `baseline` beyond doubt."""
    rows = c.against(baseline, level=level)
    return set(rows.loc[(rows["metric"] == metric) & rows["conclusive"] & (rows["low_ms"] > 0), "strategy"])


def notes(c: Comparison) -> tuple[str, ...]:
    """What one should know before believing the numbers, most general first."""
    start = "Latency counts from a call's intended start; failed" if c.workload.open_loop else "Failed"
    said = [f"{start} calls count as errors and are in no latency.", _interval_note(c)]
    fewest = min((len(c.latencies(s)) for s in c.strategies), default=0)
    if 0 < fewest < 1000:
        said.append(
            f"The p99 rests on the slowest {math.ceil(fewest / 100)} of {fewest} calls: "
            "a hint, not a measurement."
        )
    if c.paired_by_block and c.leaning:
        said.append(_leaning(c))
    slow = [s for s in c.strategies if not c.summary.loc[s, "kept_up"]]
    if slow:
        said.append(_late(c, slow))
    return tuple(said)


def _leaning(c: Comparison) -> str:
    some = [s for s in c.strategies if s in c.leaning]
    who = "" if len(some) == len(c.strategies) else f" under {', '.join(some)}"
    more = "A longer recording tells." if isinstance(c.workload.arrivals, Timetable) else _MORE_RUNS
    return (
        f"Slow calls come together{who}, in stretches that are long beside a block: intervals are too narrow,"
        f" and differences are not judged. {more}"
    )


def late_enough(typical: float) -> float:
    """How many ms late 1 % of the calls may start until it matters, given the median latency."""
    return max(LATE_MS, 0.1 * typical) if math.isfinite(typical) else LATE_MS


def _late(c: Comparison, slow: list[str]) -> str:
    p99, worst = (max(float(c.summary.loc[s, f"late_{name}_ms"]) for s in slow) for name in ("p99", "max"))  # type: ignore[arg-type]
    who = "" if len(slow) == len(c.strategies) else f" under {', '.join(slow)}"
    return (
        f"This client could not keep up{who}: it started 1 % of the calls more than {number(p99)} ms late"
        f" (the worst {number(worst)} ms), and that is in the latencies: send at a lower rate, or on a"
        " quieter machine."
    )


def _interval_note(c: Comparison) -> str:
    if c.paired_by_block:
        return (
            f"95 % intervals by bootstrap over {c.block_count} blocks; "
            "verdicts from p95 differences paired by block."
        )
    advice = "" if c.interrupted else f" Send more calls, or give blocks={statistics.MIN_BLOCKS} or more."
    return (
        f"Only {c.block_count} block{'s' * (c.block_count != 1)}: intervals take calls as independent, and "
        f"differences are not judged.{advice}"
    )


def title(c: Comparison) -> str:
    """What was compared, in one line."""
    n = len(c.strategies)
    calls = max((int(x) for x in c.summary["requests"]), default=0)
    return (
        f"{n} strateg{'y' if n == 1 else 'ies'} {TIMES} {whole(calls)} calls, {c.kind} · "
        f"{c.workload.describe()} · seed {c.seed}"
    )


def one_line(c: Comparison) -> str:
    """For `repr`."""
    p95 = ", ".join(f"{s} {number(c.points[s]['p95'])} ms" for s in ranking(c))
    calls = max((int(n) for n in c.summary["requests"]), default=0)
    behind = "" if c.summary["kept_up"].all() else "; the client could not keep up"
    cut = "; interrupted" if c.interrupted else ""
    return f"<Comparison of {len(c.strategies)} {TIMES} {whole(calls)} calls, p95: {p95}{behind}{cut}>"


def ranking(c: Comparison) -> list[str]:
    """Strategies, best first: those that answer, by p95; then those that fail, by how much."""
    failing = _failing(c) if len(c.strategies) > 1 else {}

    def key(s: str) -> tuple[float, float]:
        p95 = c.points[s]["p95"]
        return failing.get(s, 0.0), p95 if math.isfinite(p95) else math.inf

    return sorted(c.strategies, key=key)


HEAD = ("strategy", "calls", "errors", "goodput", "p50 ms", "p95 ms", "95 % interval", "p99 ms", "verdict")
PICTURES: list[Callable[[Comparison], str]] = []
"""What rooms above add to the HTML, each a piece of it."""
LEFT = frozenset({"strategy", "95 % interval", "verdict"})


def _cells(c: Comparison, strategy: str) -> tuple[str, ...]:
    row: pd.Series[float] = c.summary.loc[strategy]  # type: ignore[assignment]
    low, high = float(row["p95_ms_low"]), float(row["p95_ms_high"])
    return (
        strategy, whole(int(row["requests"])), whole(int(row["errors"])), f"{number(row['goodput'])}/s",
        number(row["p50_ms"]), number(row["p95_ms"]),
        f"{number(low)} {DASH} {number(high)}" if math.isfinite(low) else "",
        number(row["p99_ms"]), str(c.verdict[strategy]),
    )  # fmt: skip


def text(c: Comparison) -> str:
    """The table and the notes, aligned for a terminal."""
    rows = [HEAD, *(_cells(c, s) for s in ranking(c))]
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEAD))]
    lines = [
        "  ".join(_fit(cell, w, h) for cell, w, h in zip(row, widths, HEAD, strict=True)).rstrip()
        for row in rows
    ]
    rule = "─" * max(map(len, lines))
    return "\n".join([title(c), "", lines[0], rule, *lines[1:], "", *(f"  {note}" for note in c.notes)])


def _fit(cell: str, width: int, head: str) -> str:
    return cell.ljust(width) if head in LEFT else cell.rjust(width)


def html(c: Comparison) -> str:
    """The same for a notebook: a table with a drawing of the p95 intervals; no script, both themes."""
    scale = _Scale(c)
    colours = accents(c.strategies)
    head = "".join(f'<th scope="col" class="{_align(name)}">{escape(name)}</th>' for name in HEAD)
    body = "".join(_html_row(c, s, colours[s], scale) for s in ranking(c))
    hints = "".join(f"<li>{escape(note)}</li>" for note in c.notes)
    return (
        f'<div class="mcpnb-comparison"><style>{STYLE}</style><table><caption>{escape(title(c))}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><ul>{hints}</ul></div>"
        f"{''.join(picture(c) for picture in PICTURES)}"
    )


def _align(name: str) -> str:
    return "l" if name in LEFT else "r"


def _html_row(c: Comparison, strategy: str, colour: str, scale: _Scale) -> str:
    cells = dict(zip(HEAD, _cells(c, strategy), strict=True))
    swatch = f'<span class="swatch" style="background:{colour}" aria-hidden="true"></span>'
    found = [f'<th scope="row" class="l">{swatch}{escape(strategy)}</th>']
    for name, cell in list(cells.items())[1:]:
        drawn = scale.draw(c, strategy, colour) if name == "95 % interval" else ""
        found.append(f'<td class="{_align(name)}">{drawn}{escape(cell)}</td>')
    return f"<tr>{''.join(found)}</tr>"


class _Scale:
    """Where a p95 lies between the lowest and the highest bound of all, as pixels of a small drawing."""

    WIDTH, HEIGHT, MARGIN = 120, 14, 6

    def __init__(self, c: Comparison) -> None:
        columns = c.summary[["p95_ms", "p95_ms_low", "p95_ms_high"]].to_numpy().ravel()
        known = [float(x) for x in columns if math.isfinite(x) and x > 0]
        low, high = min(known, default=1.0), max(known, default=1.0)
        self.log = high > 5 * low
        self.low, self.high = self._map(low), self._map(high)

    def _map(self, value: float) -> float:
        return math.log(max(value, 1e-9)) if self.log else value

    def x(self, value: float) -> float:
        reach = self.high - self.low
        share = (self._map(value) - self.low) / reach if reach > 0 else 0.5
        return self.MARGIN + share * (self.WIDTH - 2 * self.MARGIN)

    def draw(self, c: Comparison, strategy: str, colour: str) -> str:
        at, low, high = (float(c.summary.loc[strategy, f"p95_ms{end}"]) for end in ("", "_low", "_high"))  # type: ignore[arg-type]
        if not math.isfinite(at):
            return ""
        bar = ""
        if math.isfinite(low):
            bar = f'<line x1="{self.x(low):.1f}" x2="{self.x(high):.1f}" y1="7" y2="7" stroke="{colour}"/>'
        said = f"p95 of {escape(strategy, quote=True)}: {number(at)} ms"
        return (
            f'<svg width="{self.WIDTH}" height="{self.HEIGHT}" role="img" aria-label="{said}">'
            f'<title>{said}</title>{bar}<circle cx="{self.x(at):.1f}" cy="7" r="4" fill="{colour}"/></svg>'
        )


STYLE = """
.mcpnb-comparison{color:var(--jp-ui-font-color1,inherit);overflow-x:auto;
font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif)}
.mcpnb-comparison table{color:inherit;border-collapse:collapse;font-variant-numeric:tabular-nums;margin:0}
.mcpnb-comparison caption{caption-side:top;text-align:left;font-weight:600;padding:4px 8px 8px;
white-space:nowrap;color:inherit}
.mcpnb-comparison tr{background:none!important}
.mcpnb-comparison th,.mcpnb-comparison td{padding:5px 7px;border:0;white-space:nowrap;
border-bottom:1px solid var(--jp-border-color2,rgba(128,128,128,.3))}
.mcpnb-comparison td:last-child{white-space:normal;min-width:9em}
.mcpnb-comparison thead th{font-weight:400;color:var(--jp-ui-font-color2,inherit);opacity:.9}
.mcpnb-comparison tbody th{font-weight:600}
.mcpnb-comparison .l{text-align:left!important}.mcpnb-comparison .r{text-align:right!important}
.mcpnb-comparison .swatch{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:7px}
.mcpnb-comparison svg{max-width:none;vertical-align:-2px;margin-right:8px;
background:rgba(128,128,128,.1);border-radius:3px}
.mcpnb-comparison svg line{stroke-width:4;stroke-linecap:round;opacity:.45}
[data-jp-theme-light=false] .mcpnb-comparison .swatch,[data-jp-theme-light=false] .mcpnb-comparison svg,
[data-theme=dark] .mcpnb-comparison .swatch,[data-theme=dark] .mcpnb-comparison svg,
body.vscode-dark .mcpnb-comparison .swatch,body.vscode-dark .mcpnb-comparison svg{filter:brightness(1.6)}
.mcpnb-comparison ul{margin:6px 0 0;padding:0 8px;list-style:none;font-size:12px;
color:var(--jp-ui-font-color2,inherit);opacity:.9}
""".replace("\n", "")
