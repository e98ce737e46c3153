"""The rows of a bulk call: pulled one by one, each as a tool's arguments; in the end, the frame's inputs.

It owns what may be a row and how cells of DataFrames become JSON. It never looks ahead: a generator is
pulled only when somebody asks for the next row. It knows no servers and no event loop.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import pandas as pd

from mcpnb.catalog import ToolEntry
from mcpnb.client.cache import canonical
from mcpnb.errors import ArgumentError
from mcpnb.notebook.bulk.packed import Packed, joined, packed

__all__ = ["Row", "Rows", "rows_of"]

_CHUNK: Final = 4_096
"""Rows that are kept as they came before they become columns, which take less room."""
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


class Row(NamedTuple):
    """One row as the arguments of a call."""

    place: int
    """From 0, in the order of the rows."""
    arguments: dict[str, Any]
    key: str
    """The arguments as JSON text, the same for the same arguments; empty when they have no JSON form."""
    problem: str = ""
    """Why it can be no call; empty when it can."""


class Rows(Protocol):
    """Where rows come from."""

    total: int | None
    """How many there are; None when only the end will tell."""

    def pull(self) -> Row | None:
        """The next row; None after the last one. Raises whatever the rows' own code raises."""
        ...

    def pull_rest(self) -> None:
        """Where the rows are all there, go to their end without making calls of them."""
        ...

    def inputs(self, taken: Iterable[str]) -> pd.DataFrame:
        """A row for each one pulled; a column whose name is in `taken` gets `_` at its end."""
        ...


def rows_of(rows: object, entry: ToolEntry) -> Rows:
    """The rows that a caller gave.

    Raises:
        TypeError: They are no rows, such as one text or one dict.
        ArgumentError: Columns that cannot be arguments.
    """
    if isinstance(rows, pd.DataFrame):
        return _FrameRows(rows, entry)
    if isinstance(rows, pd.Series):
        name = rows.name if rows.name in {each.name for each in entry.parameters} else _only(entry)
        if name is None:
            raise _not_one(entry)
        return _FrameRows(rows.to_frame(name), entry)
    if isinstance(rows, Mapping):
        raise TypeError("rows is one dict: for one row write [row], for columns pandas.DataFrame(rows)")
    if isinstance(rows, str | bytes) or not isinstance(rows, Iterable):
        raise TypeError(
            f"rows is one {type(rows).__name__}: give a DataFrame, a list of dicts, or any iterable of rows"
        )
    return _ListedRows(rows, entry)


# -- DataFrames


class _FrameRows:
    """The rows of a DataFrame: each column is an argument, an empty cell is an argument that is not given."""

    def __init__(self, frame: pd.DataFrame, entry: ToolEntry) -> None:
        names: list[Any] = list(frame.columns)
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise ArgumentError(
                entry.name, "", "each column of the rows must be an argument, under a name of its own"
            )
        self.total: int | None = len(frame)
        self._frame, self._place = frame, 0
        whole = {p.name for p in entry.parameters if p.annotation in {"int", "int | None"}}
        self._columns = [(name, _cell_of(frame[name], name in whole)) for name in names]

    def pull(self) -> Row | None:
        place = self._place
        if place == self.total:
            return None
        self._place = place + 1
        cells = ((name, cell(place)) for name, cell in self._columns)
        return _row(place, {name: value for name, value in cells if value is not _EMPTY})

    def pull_rest(self) -> None:
        self._place = self.total or 0

    def inputs(self, taken: Iterable[str]) -> pd.DataFrame:
        frame = self._frame.iloc[: self._place].copy(deep=False)
        names: dict[str, None] = {}
        for name in frame.columns:
            names[_beside(name, {*taken, *names})] = None
        frame.columns = pd.Index(list(names), dtype=object) if names else frame.columns
        return frame


_EMPTY: Final = object()
"""What an empty cell is read as."""


def _cell_of(column: pd.Series, whole: bool) -> Callable[[int], Any]:
    """Reads a column's cells: as JSON, whole floats as integers where the tool wants these."""
    values = column.array
    empty = np.asarray(column.isna(), dtype=bool)
    whole = whole and pd.api.types.is_float_dtype(column.dtype)

    def cell(place: int) -> Any:
        if empty[place]:
            return _EMPTY
        value = plain(values[place])
        return int(value) if whole and value.is_integer() else value

    return cell


# -- everything else


class _ListedRows:
    """Rows of any iterable: dicts of arguments, or single values for a tool that takes one."""

    def __init__(self, rows: Iterable[object], entry: ToolEntry) -> None:
        self.total = len(rows) if isinstance(rows, Sized) else None
        self._iterator: Iterator[object] = iter(rows)
        self._listed = isinstance(rows, Sized)
        self._entry, self._only = entry, _only(entry)
        # What was pulled last, and for which place: what an interrupt left there is taken up again.
        self._next: list[object] = []
        self._at = -1
        self._chunks: dict[int, dict[str, Packed]] = {}
        # The rows that are in no chunk, and from where on.
        self._tail: tuple[int, list[Mapping[str, Any]]] = (0, [])
        self._pulled = 0

    def pull(self) -> Row | None:
        if self._at < self._pulled:
            self._next, self._at = list(islice(self._iterator, 1)), self._pulled
        return self._take(self._next[0]) if self._next else None

    def pull_rest(self) -> None:
        if self._listed:
            while self.pull() is not None:
                pass

    def _take(self, given: object) -> Row:
        place, problem = self._pulled, ""
        if isinstance(given, Mapping):
            arguments = {str(name): plain(value) for name, value in given.items()}
        elif self._only is not None:
            arguments = {self._only: plain(given)}
        elif place == 0:
            raise _not_one(self._entry)
        else:
            arguments, problem = {}, f"the row is a {type(given).__name__}, not a dict of arguments"
        row = _row(place, arguments, problem)
        self._keep(arguments)
        return row

    def _keep(self, arguments: Mapping[str, Any]) -> None:
        start, recent = self._tail
        recent[self._pulled - start :] = [arguments]
        if len(recent) >= _CHUNK:
            self._chunks[start] = _columns(recent)
            self._tail = (self._pulled + 1, [])
        self._pulled += 1

    def inputs(self, taken: Iterable[str]) -> pd.DataFrame:
        start, recent = self._tail
        chunks = {**self._chunks, start: _columns(recent[: self._pulled - start])}
        starts = sorted(chunks)
        counts = np.diff([*starts, self._pulled]).tolist()
        columns: dict[str, Any] = {}
        for name in dict.fromkeys(name for start in starts for name in chunks[start]):
            parts = [
                chunks[start].get(name) or Packed(type(None), count, None)
                for start, count in zip(starts, counts, strict=True)
            ]
            columns[_beside(name, {*taken, *columns})] = joined(parts)
        return pd.DataFrame(columns, index=pd.RangeIndex(self._pulled), copy=False)


def _columns(rows: list[Mapping[str, Any]]) -> dict[str, Packed]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: packed([row.get(name) for row in rows]) for name in names}


# -- rows and cells


def _row(place: int, arguments: dict[str, Any], problem: str = "") -> Row:
    key = canonical(arguments) or ""
    if not key and not problem:
        odd = next((name for name, value in arguments.items() if canonical({"": value}) is None), "")
        kind = type(arguments[odd]).__name__ if odd in arguments else "dict"
        problem = f"{odd}: a {kind} has no JSON form"
    return Row(place, arguments, key, problem)


def plain(value: Any) -> Any:
    """A cell as JSON has it: NumPy's numbers and arrays as Python's, moments as ISO 8601 text."""
    if type(value) in _PLAIN:
        return value
    match value:
        case np.generic() | np.ndarray():
            return plain(value.tolist())
        case Mapping():
            return {str(name): plain(part) for name, part in value.items()}
        case list() | tuple():
            return [plain(part) for part in value]
        case dt.datetime() | dt.date() | dt.time():
            return None if value is pd.NaT else value.isoformat()
        case _:
            return None if value is pd.NA else value


def _only(entry: ToolEntry) -> str | None:
    """The argument that a single value is: the one that is required, or the only one there is."""
    required = [each.name for each in entry.parameters if each.required]
    names = required or [each.name for each in entry.parameters]
    return names[0] if len(names) == 1 else None


def _not_one(entry: ToolEntry) -> ArgumentError:
    takes = entry.signature or "no arguments"
    return ArgumentError(
        entry.name, "", f"rows of single values need a tool with one required argument; it takes {takes}"
    )


def _beside(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name
