"""What happened, as people read it: marks on the charts' time axis, and lines of the list of events.

It owns which events are worth either, and their words. It draws no chart and keeps no state.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mcpnb.model import USABLE_STATES, Event
from mcpnb.notebook import servers
from mcpnb.notebook.login.words import login_event
from mcpnb.notebook.marks import Mark
from mcpnb.notebook.markup import cut, join, name

_EVENTS: Final = 7
_MARKS: Final = 12
_FLEETING: Final = 0.04
"""Part of the window within which a setting that is changed again has one mark."""
_QUIET: Final = frozenset({"call_finished", "server_log", "attempt"})
"""Kinds of events that are too many for a list that people read."""


def clock_time(at: float) -> str:
    """A Unix time as the hour, minute and second of the reader's day."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def state_of(event: Event) -> str | None:
    """The state that a `server_state` or `breaker_state` event announces, from its data or its words."""
    said = event.data.get("state")
    if isinstance(said, str):
        return said
    known = servers.STATES if event.kind == "server_state" else servers.BREAKERS
    return next(
        (word for word in known if word in event.detail.split(":")[-1].replace("-", "_").split()), None
    )


def marks_of(events: Iterable[Event], begin: float, end: float) -> Iterable[Mark]:
    """What happened between two Unix times that may explain a bend in a line, the newest few.

    Becoming connected is worth a mark only when it ends a time of being down.
    """
    down: set[str] = set()
    marks: list[Mark] = []
    settings: dict[object, Mark] = {}
    for event in events:
        mark = _mark(event, down)
        if mark and begin <= event.at <= end:
            made, subject = Mark((event.at - begin) / (end - begin), *mark), _setting(event)
            last = settings.get(subject)
            if last is not None and made.at - last.at < _FLEETING:
                marks.remove(last)  # a control that was still moving
            if subject is not None:
                settings[subject] = made
            marks.append(made)
    return marks[-_MARKS:]


def _setting(event: Event) -> object:
    """Which setting an event changes, so that the next change takes its place; None for anything else."""
    if event.kind == "strategy":
        return event.kind
    changed = event.data.get("settings")
    return (event.server, changed) if isinstance(changed, tuple) else None


def _mark(event: Event, down: set[str]) -> tuple[str, Any] | None:
    match event.kind:
        case "server_state":
            return _state_mark(event.server or "", state_of(event) or "", down)
        case "breaker_state":
            state = state_of(event) or event.detail
            if state == "half_open":  # it lasts for a probe, and bends no line
                return None
            shown = servers.look(servers.BREAKERS, state)
            return f"{event.server} breaker {shown.word}", shown.tone
        case "strategy":
            return event.detail.removeprefix("strategy is ").removesuffix(" now"), "dim"
        case "fault" | "profile" | "lab":
            named = event.server and not event.detail.startswith(event.server)
            return f"{event.server} {event.detail}" if named else event.detail, "warn"
        case _:
            return None


def _state_mark(server: str, state: str, down: set[str]) -> tuple[str, Any] | None:
    shown = servers.look(servers.STATES, state)
    if state in USABLE_STATES:
        back = server in down
        down.discard(server)
        return (f"{server} is back", "good") if back else None
    if shown.tone != "bad" or server in down:
        return None
    down.add(server)
    return f"{server} {shown.word}", "bad"


_KINDS: Final[Mapping[str, servers.Look]] = {
    "conflict": servers.Look("⇄", "conflict", "warn"),
    "tools_changed": servers.Look("✎", "tools changed", "warn"),
    "tool_held": servers.Look("!", "tool held", "bad"),
    "pin_failed": servers.Look("!", "pin failed", "bad"),
    "lab": servers.Look("⚑", "lab", "warn"),
    "strategy": servers.Look("⇢", "strategy", "dim"),
    "listing_failed": servers.Look("!", "listing failed", "warn"),
    "callback_failed": servers.Look("!", "callback failed", "bad"),
}


def event_look(event: Event) -> servers.Look:
    """Symbol, word and tone of an event."""
    if event.kind == "server_state":
        return servers.look(servers.STATES, state_of(event) or "state")
    if event.kind == "breaker_state":
        shown = servers.look(servers.BREAKERS, state_of(event) or "state")
        return shown._replace(word=f"breaker {shown.word}")
    if event.kind == "auth":
        return login_event(event.data.get("state"))
    return _KINDS.get(event.kind) or servers.Look("•", event.kind.replace("_", " "), "dim")


def told(events: Sequence[Event]) -> list[Event]:
    """The newest few that people want to read, oldest first."""
    return [event for event in events if event.kind not in _QUIET][-_EVENTS:]


def events_html(events: Sequence[Event]) -> str:
    """The list of the newest few, in a card."""
    items = (
        "".join(_event(event) for event in reversed(told(events))) or '<li class="mcpnb-dim">nothing yet</li>'
    )
    return (
        f'<section class="mcpnb-card mcpnb-last"><h4 class="mcpnb-sub">Events</h4>'
        f'<ol class="mcpnb-events">{items}</ol></section>'
    )


def _event(event: Event) -> str:
    shown = event_look(event)
    server = f'<span class="mcpnb-who">{name(event.server)}</span> ' if event.server else ""
    return (
        f"<li><time>{clock_time(event.at)}</time>"
        f"<span>{shown.html} {server}{cut(_detail(event, shown), 400)}</span></li>"
    )


def _detail(event: Event, shown: servers.Look) -> str:
    """The event's words without the server and the state that already stand before them."""
    text = event.detail
    for said in (event.server, shown.word):
        # A server `c` has not said the first letter of "connected".
        if said and text.startswith(said) and not text[len(said) : len(said) + 1].isalnum():
            text = text[len(said) :].lstrip(" :")
    return text


def event_text(event: Event) -> str:
    """One of them as a line of plain text."""
    shown = event_look(event)
    return join((clock_time(event.at), str(shown), event.server or "", _detail(event, shown)), " ")
