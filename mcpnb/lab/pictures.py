"""Pictures for lessons: the lives of connections, and two pieces of code side by side.

It owns how they look. What it draws, events and functions tell; it starts nothing and changes nothing.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from mcpnb.model import Event
from mcpnb.notebook.cards import card, head
from mcpnb.notebook.fleet import Fleet
from mcpnb.notebook.markup import bundle, escape

__all__ = ["Life", "Picture", "lives", "lives_of", "side_by_side"]

_TONES: Final[Mapping[str, str]] = {
    "connected": "mcpnb-good",
    "connecting": "mcpnb-warn",
    "reconnecting": "mcpnb-warn",
    "degraded": "mcpnb-warn",
    "failed": "mcpnb-bad",
    "watching": "mcpnb-good",
    "away": "mcpnb-warn",
}
"""State → its colour; others are grey."""

_ROW, _BAR, _LEFT, _SPAN = 40, 16, 14.0, 84.0
"""Pixels of a row and of its bar; percent where the time begins and how wide it is."""

_CODE = "max-height:none;margin:0;font-size:11px"
_HANGING = 4
"""Characters by which the rest of a long line of code stands further right than its beginning."""

_CHARACTER = 0.9
"""Percent that a character of a state's word is wide, on the wide side."""


@dataclass(frozen=True, slots=True)
class Picture:
    """HTML that a notebook shows, and its words for those who see none."""

    body: str
    words: str

    def __repr__(self) -> str:
        return self.words

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return bundle(self.body, self.words)


class Life(NamedTuple):
    """A server's states in their order, and what was done to it; times in seconds from the first event.

    A directory that lists servers has one, too: whether it can be asked, and what it said.
    """

    server: str
    states: Sequence[tuple[float, str]]
    done: Sequence[tuple[float, str]]


def lives(fleet: Fleet) -> Picture:
    """The states of every server of a fleet over time, with what was done to it on purpose.

    Below them stand the directories that list servers, with what they said.
    """
    told = lives_of(fleet.event_log.snapshot())
    return Picture(card(head("Lives of the connections", ()), _svg(*told)), _words(told[0]))


def lives_of(events: Iterable[Event]) -> tuple[list[Life], float]:
    """A life per server in the order of joining, then one per directory; seconds from first to last."""
    seen = [event for event in events if event.kind in {"server_state", "lab"} or _is_listing(event)]
    begin = min((event.at for event in seen), default=0.0)
    end = max((event.at for event in seen), default=0.0)
    servers = list(dict.fromkeys(event.server for event in seen if event.server))
    directories = list(dict.fromkeys(str(event.data["backend"]) for event in seen if _is_listing(event)))

    def told(server: str, kind: str) -> list[tuple[float, str]]:
        own = [event for event in seen if (event.server, event.kind) == (server, kind)]
        return [(event.at - begin, event.detail) for event in own]

    found = [Life(s, told(s, "server_state"), told(s, "lab")) for s in servers]
    listing = [_directory(label, seen, begin) for label in directories]
    return found + listing, end - begin


def _is_listing(event: Event) -> bool:
    """Whether a directory says something, rather than somebody of a server that it published."""
    return event.kind == "discovery" and "backend" in event.data


def _directory(label: str, seen: Iterable[Event], begin: float) -> Life:
    """A directory's life, watched from the beginning unless it says otherwise; its kind is its name."""
    own = [event for event in seen if _is_listing(event) and event.data["backend"] == label]
    states = [(event.at - begin, str(event.data["state"])) for event in own if "state" in event.data]
    said = [
        (event.at - begin, _shortly(event.detail.removeprefix(f"{label}: ")))
        for event in own
        if "state" not in event.data
    ]
    if "state" not in own[0].data:
        states.insert(0, (0.0, "watching"))
    return Life(label.partition(" ")[0], states, said)


def _shortly(words: str) -> str:
    """What a directory said, with a sign for the two things that it says most often."""
    for ending, sign in ((" found", "+"), (" is gone", "-")):
        if words.endswith(ending):
            return f"{sign} {words.removesuffix(ending)}"
    return words


def _words(told: Sequence[Life]) -> str:
    return "\n".join(
        f"{life.server}: " + ", ".join(f"{at:.1f} s {_state(what)}" for at, what in life.states)
        for life in told
    )


def _state(detail: str) -> str:
    """The state's own word; a reason may follow it."""
    return detail.partition(":")[0].strip()


def _svg(told: Sequence[Life], seconds: float) -> str:
    span = max(seconds * 1.04, 0.1)  # the last state is seen for a moment, too
    height = len(told) * _ROW + 24
    rows = "".join(_row(life, number * _ROW + 8, span) for number, life in enumerate(told))
    axis = "".join(
        f'<text class="mcpnb-tick" x="{_LEFT + _SPAN * part}%" y="{height - 6}" text-anchor="{anchor}">'
        f"{span * part:.1f} s</text>"
        for part, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    )
    label = escape("; ".join(_words(told).splitlines()))
    return f'<svg width="100%" height="{height}" role="img" aria-label="{label}">{rows}{axis}</svg>'


def _row(life: Life, top: float, span: float) -> str:
    ends = [at for at, _ in life.states[1:]] + [span]
    spans = [
        _stretch(_state(what), at / span, end / span, top)
        for (at, what), end in zip(life.states, ends, strict=True)
    ]
    marks = [_mark(what, at / span, top) for at, what in _together(life.done, span)]
    name = f'<text class="mcpnb-lane" x="0" y="{top + 12}">{escape(life.server)}</text>'
    return name + "".join(spans) + "".join(marks)


def _stretch(state: str, begin: float, end: float, top: float) -> str:
    x, width = _LEFT + _SPAN * begin, _SPAN * max(end - begin, 0.0)
    word = ""
    if width > _CHARACTER * len(state):
        word = (
            f'<text class="mcpnb-direct" x="{x + 0.5:.2f}%" y="{top + 12}" '
            f'style="fill:var(--mcpnb-card);font-weight:600">{escape(state)}</text>'
        )
    return (
        f'<g class="{_TONES.get(state, "mcpnb-dim")}"><title>{escape(state)}</title>'
        f'<rect x="{x:.2f}%" y="{top}" width="{max(width, 0.25):.2f}%" height="{_BAR}" fill="currentColor"/>'
        f"</g>{word}"
    )


def _together(done: Sequence[tuple[float, str]], span: float) -> list[tuple[float, str]]:
    """What would be written over each other, written one after the other at the first one's place."""
    shown: list[tuple[float, str]] = []
    for at, what in done:
        if shown and _SPAN * (at - shown[-1][0]) / span < _CHARACTER * (len(shown[-1][1]) + 3):
            shown[-1] = (shown[-1][0], f"{shown[-1][1]}, {what}")
        else:
            shown.append((at, what))
    return shown


def _mark(what: str, at: float, top: float) -> str:
    x = _LEFT + _SPAN * at
    anchor = "end" if at > 0.75 else "start"
    return (
        f'<text class="mcpnb-tick" x="{x:.2f}%" y="{top + _BAR + 12}" text-anchor="{anchor}">'
        f"▲ {escape(what)}</text>"
    )


def side_by_side(
    by_hand: Any, with_mcpnb: Any, *, titles: tuple[str, str] = ("by hand", "with mcpnb")
) -> Picture:
    """The source of two functions or classes in two columns, with how many lines each takes.

    Args:
        by_hand: A function or class.
        with_mcpnb: Another one that does the same.
        titles: What stands above each.
    """
    sources = [textwrap.dedent(_source(each)).rstrip() for each in (by_hand, with_mcpnb)]
    columns = [_column(title, source) for title, source in zip(titles, sources, strict=True)]
    style = "display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:12px"
    words = "\n\n".join(f"# {title}\n{source}" for title, source in zip(titles, sources, strict=True))
    return Picture(f'<div style="{style}">{"".join(columns)}</div>', words)


def _source(written: Any) -> str:
    """The source of a function, or of a class, which Python 3.11 does not find when a cell defined it."""
    if not inspect.isclass(written):
        return inspect.getsource(written)
    method = next(each for each in vars(written).values() if inspect.isfunction(each))
    whole = "".join(linecache.getlines(method.__code__.co_filename))
    for node in ast.walk(ast.parse(whole)):
        if isinstance(node, ast.ClassDef) and node.name == written.__name__:
            return ast.get_source_segment(whole, node, padded=True) or ""
    raise OSError(f"the source of {written.__name__} is not known")


def _column(title: str, source: str) -> str:
    lines = sum(bool(line.strip()) and not line.strip().startswith("#") for line in source.splitlines())
    code = f'<pre class="mcpnb-whole" style="{_CODE}">{"".join(map(_code_line, source.splitlines()))}</pre>'
    return card(head(escape(title), (f"{lines} lines",)), code)


def _code_line(line: str) -> str:
    """A line that, where it is too long for its column, goes on below its own beginning.

    It is broken between words; JupyterLab would break what is in a `pre` anywhere.
    """
    bare = line.lstrip()
    indent = len(line) - len(bare)
    breaks = "display:block;word-break:normal;overflow-wrap:break-word"
    style = f"{breaks};padding-left:{indent + _HANGING}ch;text-indent:-{_HANGING}ch"
    return f'<span style="{style}">{escape(bare) or "&nbsp;"}</span>'
