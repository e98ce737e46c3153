"""One pass over a recording: who was there, where each call stands in the file, and what to remember of it.

It owns the file's structure and its faults. Answers stay in the file until somebody wants one: of a call some
hundred bytes are kept.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mcpnb.errors import RecordingError
from mcpnb.experiment.recording.answers import canonical, digest
from mcpnb.experiment.recording.stated import Stated, parse
from mcpnb.experiment.recording.tap import VERSION
from mcpnb.model import OUTCOMES, Endpoint, ServerState

__all__ = ["KINDS", "Contents", "Names", "SeenServer", "Update", "endpoint_of", "lines", "scan"]

KINDS = ("tool", "resource", "prompt", "completion")

_OUTCOME = {kind: index for index, kind in enumerate(OUTCOMES)}
_KIND = {kind: index for index, kind in enumerate(KINDS)}


class Names:
    """Texts as small numbers, in the order in which they came."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str | None) -> int:
        """The number of a text; -1 of None."""
        return -1 if text is None else self._numbers.setdefault(text, len(self._numbers))

    @property
    def known(self) -> list[str]:
        """All texts, by their numbers."""
        return list(self._numbers)


@dataclass(slots=True)
class SeenServer:
    """What a recording says of a server: the last state, and everything it ever listed."""

    name: str
    state: ServerState
    error: str | None
    fields: Stated
    endpoint: Endpoint
    listing: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Kind → name or URI → the item as in MCP."""


class Update(NamedTuple):
    """A change of a resource that somebody was subscribed to, as its server told of it."""

    at: float
    """Seconds from the beginning of the recording."""
    server: str
    uri: str


@dataclass(slots=True)
class Columns:
    """One value per call, and per attempt."""

    offset: array[int] = field(default_factory=lambda: array("Q"))
    line: array[int] = field(default_factory=lambda: array("L"))
    at: array[float] = field(default_factory=lambda: array("d"))
    latency: array[float] = field(default_factory=lambda: array("d"))
    kind: array[int] = field(default_factory=lambda: array("b"))
    name: array[int] = field(default_factory=lambda: array("l"))
    server: array[int] = field(default_factory=lambda: array("l"))
    strategy: array[int] = field(default_factory=lambda: array("l"))
    outcome: array[int] = field(default_factory=lambda: array("b"))
    error: array[int] = field(default_factory=lambda: array("l"))
    attempts: array[int] = field(default_factory=lambda: array("l"))
    hedges: array[int] = field(default_factory=lambda: array("l"))


@dataclass(slots=True)
class Contents:
    """What a pass over a recording finds."""

    path: Path
    header: Stated
    servers: dict[str, SeenServer] = field(default_factory=dict[str, SeenServer])
    groups: dict[int, tuple[str, ...]] = field(default_factory=dict[int, tuple[str, ...]])
    columns: Columns = field(default_factory=Columns)
    names: Names = field(default_factory=Names)
    tried: Names = field(default_factory=Names)
    """Servers that calls went to."""
    strategies: Names = field(default_factory=Names)
    errors: Names = field(default_factory=Names)
    asked: dict[bytes, array[int]] = field(default_factory=dict[bytes, "array[int]"])
    """Digest of a question → the calls that asked it. Plain arrays: the collector has no work with them."""
    updates: list[Update] = field(default_factory=list[Update])
    """In their order."""
    ended: bool = False
    """Whether it says that it was stopped."""
    torn: bool = False
    """Whether the last line was left unfinished."""


def lines(path: Path, shown: str) -> Iterator[tuple[int, int, Stated | None]]:
    """(offset, number from 1, what it says) of every line; None of an unfinished last one.

    Raises:
        RecordingError: It cannot be read, or a line is damaged.
    """
    try:
        with path.open("rb") as file:
            offset = 0
            for number, text in enumerate(file, 1):
                if text.endswith(b"\n"):
                    yield offset, number, parse(text, shown, number)
                else:
                    yield offset, number, _last(text, shown, number)
                offset += len(text)
    except OSError as error:
        raise RecordingError(shown, f"cannot be read: {error.strerror or error}") from None


def _last(text: bytes, shown: str, number: int) -> Stated | None:
    """A last line without an end: whole, or what a killed process left."""
    try:
        return parse(text, shown, number)
    except RecordingError:
        return None


def scan(path: str | os.PathLike[str]) -> Contents:
    """Read the whole file once.

    Raises:
        RecordingError: It is no recording, is of a newer version, or a line of it is damaged; names the line.
    """
    shown, contents = os.fspath(path), None
    where = Path(path).expanduser().absolute()
    for offset, number, stated in lines(where, shown):
        if contents is None:
            contents = Contents(where, _header(stated or Stated({}, shown, number)))
        elif stated is None:
            contents.torn = True
        else:
            _take(contents, stated, offset, number)
    if contents is None:
        raise RecordingError(shown, "is empty")
    return contents


def _header(stated: Stated) -> Stated:
    if stated.fields.get("mcpnb") != "recording":
        raise RecordingError(stated.file, "is no recording of mcpnb's: its first line does not say so")
    if (version := stated.whole("version")) > VERSION:
        raise RecordingError(
            stated.file,
            f"was written by a newer mcpnb ({stated.fields.get('made_by', '?')}, format {version};"
            f" this one reads up to {VERSION}): upgrade mcpnb to read it",
        )
    return stated


def _take(contents: Contents, stated: Stated, offset: int, number: int) -> None:
    kind = stated.text("type")
    if kind == "call":
        _call(contents, stated, offset, number)
    elif kind == "server":
        _server(contents, stated)
    elif kind == "group":
        contents.groups[stated.whole("group")] = stated.texts("servers")
    elif kind == "update":
        contents.updates.append(Update(stated.number("at"), stated.text("server"), stated.text("uri")))
    elif kind == "end":
        contents.ended = True
    else:
        stated.wrong("type", f"is none that there is: {kind!r}")


def _call(contents: Contents, stated: Stated, offset: int, number: int) -> None:
    columns, attempts = contents.columns, stated.objects("attempts")
    kind, name, server = stated.text("kind"), stated.text("name"), stated.text_or_none("server")
    if kind not in _KIND:
        stated.wrong("kind", f"is none of {', '.join(KINDS)}: {kind!r}")
    if stated.whole("group") not in contents.groups:
        stated.wrong("group", "is none that was named before")
    ordinal = len(columns.offset)
    columns.offset.append(offset)
    columns.line.append(number)
    columns.at.append(stated.number("at"))
    columns.latency.append(stated.number("latency"))
    columns.kind.append(_KIND[kind])
    columns.name.append(contents.names.number(name))
    columns.server.append(contents.tried.number(server))
    columns.outcome.append(_OUTCOME[stated.outcome()])
    columns.strategy.append(contents.strategies.number(attempts[0].text("strategy") if attempts else None))
    columns.error.append(contents.errors.number(_words(stated)))
    columns.attempts.append(len(attempts))
    columns.hedges.append(sum(_is_hedge(attempt) for attempt in attempts))
    key = digest(kind, name, canonical(stated.object("arguments").fields))
    if key in contents.asked:
        contents.asked[key].append(ordinal)
    else:
        contents.asked[key] = array("L", (ordinal,))


def _is_hedge(attempt: Stated) -> bool:
    """Whether an attempt was one; the rest is looked at too, so that damage is found when it is loaded."""
    attempt.text("server")
    attempt.outcome()
    return attempt.flag("hedge")


def _words(stated: Stated) -> str | None:
    error = stated.fields.get("error")
    if error is None:
        return None
    facts = stated.object("error").fields
    return str(facts.get("words") or facts.get("message") or facts.get("reason") or facts.get("type"))


def _server(contents: Contents, stated: Stated) -> None:
    name = stated.text("server")
    seen = contents.servers.get(name)
    listing = {} if seen is None else seen.listing
    for kind, key in (
        ("tools", "name"),
        ("resources", "uri"),
        ("templates", "uriTemplate"),
        ("prompts", "name"),
    ):
        here = listing.setdefault(kind, {})
        here.update({item.text(key): dict(item.fields) for item in stated.object("listing").objects(kind)})
    contents.servers[name] = SeenServer(
        name, stated.state(), stated.text_or_none("error"), stated, endpoint_of(stated), listing
    )


def endpoint_of(stated: Stated) -> Endpoint:
    """What routing knew of a server, from its line."""
    name, said = stated.text("server"), stated.object("endpoint")
    return Endpoint(
        name,
        weight=said.number("weight", 1.0),
        priority=int(said.number("priority", 0)),
        region=said.text_or_none("region"),
        tags=frozenset(said.texts("tags")),
        version=said.text_or_none("version"),
        max_in_flight=None if said.number_or_none("max_in_flight") is None else said.whole("max_in_flight"),
        rate_limit=said.number_or_none("rate_limit"),
        max_queue=None if said.number_or_none("max_queue") is None else said.whole("max_queue"),
        tool_versions={key: str(value) for key, value in said.object("tool_versions").fields.items()},
    )
