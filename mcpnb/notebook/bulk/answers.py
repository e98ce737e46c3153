"""What became of the rows of a bulk call, in columns, and the DataFrame of it.

It owns that memory stays near that of the DataFrame itself: of an answer only its value is kept. Whatever
moment an interrupt picks, nothing is half written: a row's end is one assignment, and a second one of the
same row changes nothing. It knows no servers, no files and no event loop.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from mcpnb.model import OUTCOMES, OutcomeKind
from mcpnb.notebook.tables import TEXT, series

__all__ = ["COLUMNS", "Answers", "Ended"]

COLUMNS: Final = ("value", "server", "latency_ms", "attempts", "outcome", "error")
"""What a bulk call adds to its inputs."""
NOT_SENT: Final = "not sent: the bulk call was interrupted before"

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
    """Rows that ended, in columns."""

    place: npt.NDArray[np.int64]
    value: npt.NDArray[np.object_]
    server: npt.NDArray[np.object_]
    latency: npt.NDArray[np.float64]
    attempts: npt.NDArray[np.int32]
    outcome: npt.NDArray[np.int8]
    error: npt.NDArray[np.object_]


class Answers:
    """The ends of rows, as they come in."""

    def __init__(self) -> None:
        self.recent: dict[int, Ended] = {}
        """Those that are not in columns yet."""
        self._parts: list[_Part] = []
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
            self._parts.append(_part(self.recent.values()))
            self.recent = {}

    def columns(self, rows: int) -> pd.DataFrame:
        """`COLUMNS` of the first `rows` rows; those that have not ended are `cancelled`."""
        whole = _unsent(rows)
        for part in self._parts if not self.recent else [*self._parts, _part(self.recent.values())]:
            known = part.place < rows
            for target, cells in zip(whole[1:], part[1:], strict=True):
                target[part.place[known]] = cells[known]
        self._answer_same(whole, rows)
        return _framed(whole)

    def _answer_same(self, whole: _Part, rows: int) -> None:
        if not self._same:
            return
        pairs = np.array(self._same, np.int64).reshape(-1, 2)
        place, first = pairs[pairs[:, 0] < rows].T
        for column in whole[1:]:
            column[place] = column[first]
        whole.attempts[place] = 0


def _part(ended: Iterable[Ended]) -> _Part:
    rows = list(ended)
    return _Part(
        np.array([row.place for row in rows], np.int64),
        _objects([row.value for row in rows]),
        _objects([row.server for row in rows]),
        np.array([row.latency for row in rows], np.float64),
        np.array([row.attempts for row in rows], np.int32),
        np.array([_CODES[row.outcome] for row in rows], np.int8),
        _objects([row.error for row in rows]),
    )


def _unsent(rows: int) -> _Part:
    error = _objects([None]).repeat(rows)
    error[:] = NOT_SENT
    return _Part(
        np.arange(rows),
        _objects([None]).repeat(rows),
        _objects([None]).repeat(rows),
        np.full(rows, np.nan),
        np.zeros(rows, np.int32),
        np.full(rows, _CODES["cancelled"], np.int8),
        error,
    )


def _objects(cells: Sequence[Any]) -> npt.NDArray[np.object_]:
    made = np.empty(len(cells), dtype=object)
    for place, cell in enumerate(cells):  # at once, NumPy would take lists apart
        made[place] = cell
    return made


def _framed(part: _Part) -> pd.DataFrame:
    servers = dict.fromkeys(name for name in part.server if name is not None)
    return pd.DataFrame(
        {
            "value": _values(part.value),
            "server": pd.Categorical(part.server, categories=pd.Index(list(servers), dtype=TEXT)),
            "latency_ms": part.latency * 1000.0,
            "attempts": part.attempts,
            "outcome": pd.Categorical.from_codes(
                part.outcome, categories=pd.Index(OUTCOMES, dtype=TEXT), validate=False
            ),
            "error": pd.Series(part.error, dtype=TEXT),
        }
    )


def _values(values: npt.NDArray[np.object_]) -> pd.Series:
    """The answers with the dtype that fits all of them; whole numbers stay whole beside empty cells."""
    kinds = {type(value) for value in values}
    if kinds == {int, type(None)}:
        try:
            return pd.Series(values, dtype="Int64")
        except OverflowError:
            return pd.Series(values, dtype=object)
    return series(list(values))
