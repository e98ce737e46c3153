"""What became of the rows of a bulk call, in columns, and the DataFrame of it.

It owns that memory stays near that of the DataFrame itself, or below: of an answer only its value is kept,
packed. Whatever moment an interrupt picks, nothing is half written: a row's end is one assignment, and a
second one of the same row changes nothing. It knows no servers, no files and no event loop.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from mcpnb.model import OUTCOMES, OutcomeKind
from mcpnb.notebook.bulk.packed import Packed, joined, packed, unpacked
from mcpnb.notebook.tables import TEXT, series

__all__ = ["COLUMNS", "Answers", "Ended", "well_formed"]

COLUMNS: Final = ("value", "server", "latency_ms", "attempts", "outcome", "error")
"""What a bulk call adds to its inputs."""
NOT_SENT: Final = "not sent: the bulk call was interrupted before"

_Number = TypeVar("_Number", bound=np.generic)
_CODES: Final = {kind: code for code, kind in enumerate(OUTCOMES)}


class Ended(NamedTuple):
    """How the call of one row ended."""

    place: int
    value: Any
    server: str | None
    latency: float
    """Seconds; not a number when nothing was sent."""
    attempts: int
    outcome: OutcomeKind
    error: str | None
    key: str
    """The arguments as JSON text."""
    exception: Exception | None = None
    """Why there is no answer, where the caller wants it raised."""
    kept: bool = False
    """Whether a checkpoint has it already."""


class _Part(NamedTuple):
    """Rows that ended, in columns, in the order in which they did."""

    place: npt.NDArray[np.int64]
    value: Packed
    server: npt.NDArray[np.int32]
    """Its place among the names of servers; -1 for none."""
    latency: npt.NDArray[np.float64]
    attempts: npt.NDArray[np.int32]
    outcome: npt.NDArray[np.int8]
    error: Packed


class Answers:
    """The ends of rows, as they come in: about 33 bytes a row, and its value as numbers or JSON text."""

    def __init__(self) -> None:
        self.recent: dict[int, Ended] = {}
        """Those that are not in columns yet."""
        self._parts: list[_Part] = []
        self._servers: dict[str, int] = {}
        self._same = array("q")  # pairs: a row, and the earlier one whose arguments it has

    def add(self, ended: Ended) -> None:
        """Take in how a row ended."""
        self.recent[ended.place] = ended

    def add_same(self, place: int, first: int) -> None:
        """A row is answered by what an earlier one with the same arguments is answered."""
        self._same.extend((place, first))

    def pack(self) -> None:
        """Put what came lately into columns."""
        if self.recent:
            self._parts.append(self._part(self.recent.values()))
            self.recent = {}

    def columns(self, rows: int) -> pd.DataFrame:
        """`COLUMNS` of the first `rows` rows; those that have not ended are `cancelled`."""
        parts = [*self._parts, self._part(self.recent.values())]
        place = np.concatenate([part.place for part in parts])
        known = place < rows
        at = np.full(rows, -1, np.int64)  # where a row's end is among all ends; the last is that of no row
        at[place[known]] = np.flatnonzero(known)
        same = np.array(self._same, np.int64).reshape(-1, 2)
        same = same[same[:, 0] < rows]
        at[same[:, 0]] = at[same[:, 1]]
        return self._framed([*parts, _UNSENT] if (at < 0).any() else parts, at, same[:, 0])

    def _part(self, ended: Iterable[Ended]) -> _Part:
        rows = list(ended)
        names = [-1 if row.server is None else self._code(row.server) for row in rows]
        return _Part(
            np.array([row.place for row in rows], np.int64),
            packed([row.value for row in rows]),
            np.array(names, np.int32),
            np.array([row.latency for row in rows], np.float64),
            np.array([row.attempts for row in rows], np.int32),
            np.array([_CODES[row.outcome] for row in rows], np.int8),
            packed([row.error and well_formed(row.error) for row in rows]),
        )

    def _code(self, server: str) -> int:
        return self._servers.setdefault(server, len(self._servers))

    def _framed(
        self, parts: Sequence[_Part], at: npt.NDArray[np.int64], same: npt.NDArray[np.int64]
    ) -> pd.DataFrame:
        attempts = _taken([part.attempts for part in parts], at)
        attempts[same] = 0
        outcome = _taken([part.outcome for part in parts], at)
        columns = {
            "value": _values([part.value for part in parts]).iloc[at].reset_index(drop=True),
            "server": self._named(_taken([part.server for part in parts], at)),
            "latency_ms": _taken([part.latency for part in parts], at) * 1000.0,
            "attempts": attempts,
            "outcome": pd.Categorical.from_codes(outcome, pd.Index(OUTCOMES, dtype=TEXT), validate=False),
            "error": joined([part.error for part in parts]).astype(TEXT).iloc[at].reset_index(drop=True),
        }
        return pd.DataFrame(columns, copy=False)

    def _named(self, codes: npt.NDArray[np.int32]) -> pd.Categorical:
        """Servers by their codes; the categories in the order of the rows, whoever answered first."""
        seen = pd.unique(codes)
        seen = seen[seen >= 0]
        rank = np.full(len(self._servers) + 1, -1)
        rank[seen] = np.arange(len(seen))
        names = np.array([*self._servers], object)[seen]
        return pd.Categorical.from_codes(rank[codes], pd.Index(names, dtype=TEXT), validate=False)


_UNSENT: Final = _Part(
    np.array([0]),
    packed([None]),
    np.array([-1], np.int32),
    np.array([np.nan]),
    np.array([0], np.int32),
    np.array([_CODES["cancelled"]], np.int8),
    packed([NOT_SENT]),
)
"""The end of a row that has none."""


def well_formed(text: str) -> str:
    """Text that Arrow takes: halves of surrogate pairs, which only Python knows, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _taken(parts: Sequence[npt.NDArray[_Number]], at: npt.NDArray[np.int64]) -> npt.NDArray[_Number]:
    return np.concatenate(parts)[at]


def _values(parts: Sequence[Packed]) -> pd.Series:
    """The answers with the dtype that fits all of them; whole numbers stay whole beside empty cells."""
    kinds = {part.kind for part in parts if part.size}
    if None not in kinds and not kinds >= {int, type(None)}:
        return joined(parts)
    values = unpacked(parts)
    if set(map(type, values)) != {int, type(None)}:
        return series(values)
    try:
        return pd.Series(values, dtype="Int64")
    except OverflowError:
        return pd.Series(values, dtype=object)
