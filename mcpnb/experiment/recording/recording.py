"""`Recording`: what was recorded, to look at and to ask.

It owns the frames, and finds the call that asked a question. It routes nothing and answers nobody by itself;
the file is read once, and again for each answer that somebody wants.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeGuard

import numpy as np
import pandas as pd

from mcpnb.client.documents import Question
from mcpnb.errors import NotRecorded, RecordingError
from mcpnb.experiment.palette import number, whole
from mcpnb.experiment.recording import look
from mcpnb.experiment.recording.answers import arguments_of, canonical, digest
from mcpnb.experiment.recording.reader import KINDS, Contents, SeenServer, lines, scan
from mcpnb.experiment.recording.recalled import RecordedCall
from mcpnb.experiment.recording.stated import Stated, parse
from mcpnb.experiment.timetable import Timetable
from mcpnb.model import OUTCOMES

__all__ = ["Recording"]

_LOOKED_AT = 500
"""Recorded questions among which the nearest are sought: enough for a person, quick for a million."""


class Asked(NamedTuple):
    """One question, and the calls that asked it by their places among all."""

    key: bytes
    calls: Sequence[int]


class Recording:
    """A recorded session. Made by `Recording.load(path)`.

    Attributes:
        path: The file.
        notes: What one should know of it: that it was cut off, for instance.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self.path: Path = contents.path
        self.notes = tuple(_notes(contents))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a recording that `fleet.record(path)` wrote.

        An unfinished last line, which a killed process leaves, is passed over and noted.

        Raises:
            RecordingError: It is no recording, of a newer version, or damaged; names the line.
        """
        return cls(scan(path))

    # -- what it says

    @property
    def name(self) -> str:
        """What the fleet was called."""
        return self._contents.header.text("name", "fleet")

    @property
    def strategy(self) -> str:
        """The strategy by which the fleet routed when the recording began."""
        return self._contents.header.text("strategy", "")

    @property
    def contents(self) -> Contents:
        """What the file says, as plain values."""
        return self._contents

    @property
    def seen(self) -> Sequence[SeenServer]:
        """The servers, in the order of joining."""
        return tuple(self._contents.servers.values())

    @cached_property
    def began(self) -> datetime:
        """When the recording began, in UTC."""
        stated = self._contents.header
        try:
            return datetime.fromisoformat(stated.text("began"))
        except ValueError:
            return stated.wrong("began", "is no time")

    @property
    def seconds(self) -> float:
        """From the beginning to the end of the last call."""
        columns = self._contents.columns
        ends = np.array(columns.at) + np.array(columns.latency)
        return float(ends.max(initial=0.0))

    def __len__(self) -> int:
        return len(self._contents.columns.offset)

    @cached_property
    def calls(self) -> pd.DataFrame:
        """One row per call, in the order in which they ended.

        Columns: `call`, `at_s` (seconds from the beginning), `started_at` (UTC), `kind`, `tool` (a resource's
        URI, a prompt's name), `server`, `strategy`, `outcome`, `latency_ms`, `attempts`, `hedges`, `error`.
        """
        c, names = self._contents.columns, self._contents
        at = np.array(c.at)
        frame = {
            "call": np.arange(1, len(at) + 1),
            "at_s": at,
            "started_at": pd.Timestamp(self.began) + pd.to_timedelta(at, unit="s"),
            "kind": _category(c.kind, KINDS),
            "tool": _category(c.name, names.names.known),
            "server": _category(c.server, names.tried.known),
            "strategy": _category(c.strategy, names.strategies.known),
            "outcome": _category(c.outcome, OUTCOMES),
            "latency_ms": np.array(c.latency) * 1e3,
            "attempts": np.array(c.attempts, np.int64),
            "hedges": np.array(c.hedges, np.int64),
            "error": _category(c.error, names.errors.known),
        }
        return pd.DataFrame(frame)

    @cached_property
    def servers(self) -> pd.DataFrame:
        """One row per server.

        Columns: `server, state, transport, protocol, version, region, tools, resources, prompts`, and of the
        calls that it ended `calls, errors, p50_ms, p95_ms`.
        """
        rows = [self._server_row(seen) for seen in self.seen]
        columns = ("server", "state", "transport", "protocol", "version", "region", "tools", "resources",
                   "prompts", "calls", "errors", "p50_ms", "p95_ms")  # fmt: skip
        return pd.DataFrame(rows, columns=list(columns))

    def _server_row(self, seen: SeenServer) -> tuple[object, ...]:
        mine = self.calls[self.calls["server"] == seen.name]
        good = mine.loc[mine["outcome"] == "ok", "latency_ms"].to_numpy(np.float64)
        p50, p95 = np.quantile(good, [0.5, 0.95]).tolist() if len(good) else (math.nan, math.nan)
        offered = {kind: len(items) for kind, items in seen.listing.items()}
        said = seen.fields
        return (
            seen.name, seen.state, said.text("transport", ""), said.text_or_none("protocol"),
            said.text_or_none("version"), seen.endpoint.region, offered.get("tools", 0),
            offered.get("resources", 0) + offered.get("templates", 0), offered.get("prompts", 0),
            len(mine), len(mine) - len(good), p50, p95,
        )  # fmt: skip

    @cached_property
    def updates(self) -> pd.DataFrame:
        """One row per change of a resource that a server told of.

        Columns: `at_s` (seconds from the beginning), `server`, `uri`.
        """
        return pd.DataFrame(self._contents.updates, columns=["at_s", "server", "uri"])

    @cached_property
    def tools(self) -> pd.DataFrame:
        """One row per tool and server: `tool, server, title, description, calls` (those that it ended)."""
        counts = self.calls[self.calls["kind"] == "tool"].groupby(["tool", "server"], observed=True).size()
        rows = [
            (
                name,
                seen.name,
                item.get("title"),
                item.get("description"),
                int(counts.get((name, seen.name), 0)),
            )
            for seen in self.seen
            for name, item in seen.listing.get("tools", {}).items()
        ]
        return pd.DataFrame(rows, columns=["tool", "server", "title", "description", "calls"])

    def __repr__(self) -> str:
        cut = "" if not self.notes else f"; {'; '.join(self.notes)}"
        return (
            f"<Recording {self.path.name}: {whole(len(self))} calls at {len(self.seen)} servers in"
            f" {number(self.seconds)} s{cut}>"
        )

    def _repr_html_(self) -> str:
        return look.html(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:  # noqa: ARG002 - IPython's face
        return {"text/plain": look.text(self), "text/html": self._repr_html_()}

    def timetable(self) -> Timetable:
        """Its calls of tools as arrivals, for `Workload(arrivals=recording)`.

        Calls that were meant for one server, as all that `gather` sends are, are not among them.

        Raises:
            ValueError: There are none.
        """
        from mcpnb.experiment.recording.what_if import timetable_of  # noqa: PLC0415 - which knows this module

        return timetable_of(self)

    # -- one call at a time

    def recall(self, ordinal: int) -> RecordedCall:
        """A call by its place among all, from 0.

        Raises:
            RecordingError: The file is another one now.
        """
        columns = self._contents.columns
        number_of, shown = columns.line[ordinal], str(self.path)
        try:
            with self.path.open("rb") as file:
                file.seek(columns.offset[ordinal])
                stated = parse(file.readline(), shown, number_of)
        except OSError as error:
            raise RecordingError(shown, f"cannot be read any more: {error.strerror or error}") from None
        if stated.fields.get("type") != "call":
            raise RecordingError(shown, "is another file than it was", line=number_of)
        return self._recalled(stated, ordinal)

    def each(self) -> Iterator[RecordedCall]:
        """Every call, in the order in which they ended; one at a time is in memory."""
        found = (stated for _, _, stated in lines(self.path, str(self.path)) if _is_call(stated))
        for ordinal, stated in enumerate(found):
            if ordinal < len(self):  # else somebody is still recording
                yield self._recalled(stated, ordinal)

    def _recalled(self, stated: Stated, ordinal: int) -> RecordedCall:
        return RecordedCall(stated, self._contents.groups.get(stated.whole("group"), ()), ordinal)

    def asked(self, question: Question) -> Asked | None:
        """The calls that asked this; None when none did."""
        key = digest(question.kind, question.name, arguments_of(question))
        calls = self._contents.asked.get(key)
        return None if calls is None else Asked(key, calls)

    def answered(self, asked: Asked) -> frozenset[str]:
        """The servers that ended a call that asked this, with whatever but that it was given up."""
        columns, known = self._contents.columns, self._contents.tried.known
        given_up = OUTCOMES.index("cancelled")
        ended = {columns.server[i] for i in asked.calls if columns.outcome[i] != given_up}
        return frozenset(known[server] for server in ended if server >= 0)

    def no_answer(self, question: Question, server: str | None) -> NotRecorded:
        """The error that says so, with what comes nearest."""
        wanted = arguments_of(question)
        return NotRecorded(
            question.name, wanted, str(self.path), server=server, nearest=self._nearest(question, wanted)
        )

    def _nearest(self, question: Question, wanted: str) -> Sequence[str]:
        columns, known = self._contents.columns, self._contents.names.known
        if question.name not in known:
            return ()
        name, kind = known.index(question.name), KINDS.index(question.kind)
        alike = np.flatnonzero((np.array(columns.name) == name) & (np.array(columns.kind) == kind))
        texts = dict.fromkeys(self._arguments(int(ordinal)) for ordinal in alike[:_LOOKED_AT])
        return difflib.get_close_matches(wanted, list(texts), n=3, cutoff=0.0)

    def _arguments(self, ordinal: int) -> str:
        return canonical(self.recall(ordinal).stated.object("arguments").fields)


def _is_call(stated: Stated | None) -> TypeGuard[Stated]:
    return stated is not None and stated.fields.get("type") == "call"


def _notes(contents: Contents) -> Iterator[str]:
    if contents.torn:
        yield "its last line was left unfinished, and is passed over"
    elif not contents.ended:
        yield "it was cut off, or is still running"


def _category(codes: Any, names: Sequence[str]) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(
        np.array(codes, np.int64).tolist(), categories=pd.Index(list(names), dtype=object)
    )
