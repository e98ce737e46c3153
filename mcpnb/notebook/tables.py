"""The table in an answer: which shapes of JSON count as one, and how each becomes a DataFrame.

It owns the rules, which look at shapes only and never at a tool's name. What it cannot take for a table it
refuses in words. It never changes what it is given. Text is `mcpnb.notebook.text_tables`' business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeGuard

import pandas as pd

from mcpnb.errors import McpnbError
from mcpnb.notebook.text_tables import TextTable, find_table, unfenced

__all__ = ["TEXT", "NoTable", "records_frame", "series", "to_frame"]

TEXT: Final = pd.Series(["a"]).dtype
"""The dtype of texts: `str` in pandas 3, `object` before."""

_DEEPEST = 16  # levels that become dotted columns; deeper ones stay objects in their cell

Json = Any
Record = Mapping[str, Json]


class NoTable(McpnbError, ValueError):
    """There is no table in an answer.

    Attributes:
        found: What is there instead, in words.
    """

    def __init__(self, found: str) -> None:
        self.found = found
        super().__init__(f"There is no table in this answer: it is {found}. See .value or .text instead.")


def to_frame(value: Json, text: str = "") -> pd.DataFrame:
    """The table in an answer, given its value and its text.

    In this order: a list of objects (a row each, nested objects spread over dotted columns); an object whose
    fields are lists of one length (columns; `columns` and `rows` or `data` as such); an object with exactly
    one list of objects inside, at any depth (the rows are that list, everything else becomes constant
    columns); at least two parallel lists beside single values (columns, and constant ones); any other object
    (one row); a list of single values (the column `value`); a list of equally long lists. A text may hold
    JSON, one Markdown table or CSV. When the value has no table, the text is tried.

    Two columns that would get the same name are told apart by `_` at the end of the later one.

    Raises:
        NoTable: None of these; says what is there instead.
    """
    try:
        return _of(value if value is not None else text)
    except NoTable:
        if not text or text == value:
            raise
        return _of_second_choice(value, text)


def _of_second_choice(value: Json, text: str) -> pd.DataFrame:
    try:
        return _of(text)
    except NoTable:
        return _refuse(value)


def _of(value: Json) -> pd.DataFrame:
    match value:
        case str():
            return _of_text(value)
        case Mapping():
            return _of_object(value)
        case list() | tuple():
            return _of_list(value)
        case _:
            return _refuse(value)


def _of_text(text: str) -> pd.DataFrame:
    parsed = _json(unfenced(text))
    if isinstance(parsed, (dict, list)):
        return _of(parsed)
    table = find_table(text)
    if isinstance(table, TextTable):
        names = _distinct(table.header)
        return _frame(dict(zip(names, table.columns, strict=True)))
    raise NoTable(table)


def _json(text: str) -> Json:
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _of_list(items: Sequence[Json]) -> pd.DataFrame:
    if not items:
        return pd.DataFrame()
    if _are_objects(items):
        return records_frame(items)
    if all(_is_single(item) for item in items):
        return _frame({"value": list(items)})
    if _are_lists(items) and len({len(row) for row in items}) == 1:
        return pd.DataFrame([list(row) for row in items])
    return _refuse(items)


def _of_object(value: Record) -> pd.DataFrame:
    while set(value) == {"result"} and isinstance(value["result"], Mapping):
        value = value["result"]
    if set(value) == {"result"} and isinstance(value["result"], str):
        return _of_text(value["result"])  # how SDKs wrap an answer that is not an object
    split = _split(value)
    if split is not None:
        return split
    leaves = _flat(value)
    lists = {name: leaf for name, leaf in leaves.items() if _is_list(leaf)}
    tables = [name for name, leaf in lists.items() if leaf and _are_objects(leaf)]
    if len(tables) > 1:
        raise NoTable(f"an object with {len(tables)} tables: {_listed(tables)}. Take one of them")
    if tables:
        return _with_constants(leaves, tables[0])
    if lists and len(lists) == len(leaves):
        return _of_columns(lists)
    if _are_parallel(lists.values()):
        return _frame({name: _column(leaf, lists) for name, leaf in leaves.items()})
    return records_frame([value]) if leaves else _refuse(value)


def _split(value: Record) -> pd.DataFrame | None:
    """The frame of `{"columns": [...], "rows": [...]}`, each row a list or an object of these columns."""
    names = value.get("columns")
    body = next((key for key in ("rows", "data") if _is_list(value.get(key))), None)
    if body is None or not _is_list(names) or not all(isinstance(name, str) for name in names):
        return None
    rows = value[body]
    if rows and all(isinstance(row, Mapping) and set(row) == set(names) for row in rows):
        return records_frame(rows)[names]
    if not _are_lists(rows) or any(len(row) != len(names) for row in rows):
        return None
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return _frame({name: list(cells) for name, cells in zip(_distinct(names), columns, strict=True)})


def _of_columns(lists: Mapping[str, Sequence[Json]]) -> pd.DataFrame:
    lengths = {name: len(cells) for name, cells in lists.items()}
    if len(set(lengths.values())) > 1:
        several = _listed(f"{name} has {n}" for name, n in lengths.items())
        raise NoTable(f"an object of lists that are not equally long: {several}")
    return _frame({name: list(cells) for name, cells in lists.items()})


def _with_constants(leaves: Record, table: str) -> pd.DataFrame:
    """The records of one leaf, with every other leaf the same in each row, in the answer's order."""
    records = leaves[table]
    frame = records_frame(records)
    names = dict.fromkeys(frame.columns)
    for name in (name for name in leaves if name != table):
        fresh = _fresh(name, names)
        names[fresh] = None
        frame[fresh] = series([leaves[name]] * len(records))
    own = len(frame.columns) - (len(leaves) - 1)
    before = list(leaves).index(table)
    columns = list(frame.columns)
    constants = columns[own:]
    return frame[[*constants[:before], *columns[:own], *constants[before:]]]


def records_frame(records: Sequence[Record], *, taken: Iterable[str] = ()) -> pd.DataFrame:
    """A row per object; nested objects spread over dotted columns; absent fields are missing.

    A field whose name is in `taken` gets `_` at its end.
    """
    rows = [_flat(record, taken) for record in records]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: series([row.get(name) for row in rows]) for name in names}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(rows)))


def _flat(record: Record, taken: Iterable[str] = ()) -> dict[str, Json]:
    """Name → value with nested objects spread over dotted names, down to `_DEEPEST` levels."""
    flat: dict[str, Json] = {}
    _spread(record, flat, frozenset(taken))
    return flat


def _spread(
    part: Record, flat: dict[str, Json], taken: frozenset[str], prefix: str = "", depth: int = 1
) -> None:
    for key, value in part.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and depth < _DEEPEST:
            _spread(value, flat, taken, f"{name}.", depth + 1)
            continue
        while name in flat or name in taken:
            name += "_"
        flat[name] = value


def _fresh(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _distinct(names: Iterable[str]) -> list[str]:
    seen: dict[str, None] = {}
    for name in names:
        seen[_fresh(name, seen)] = None
    return list(seen)


def _frame(columns: Mapping[str, Sequence[Json]]) -> pd.DataFrame:
    return pd.DataFrame({name: series(cells) for name, cells in columns.items()})


def series(cells: Sequence[Json]) -> pd.Series:
    """The cells with the dtype that fits; mixed ones, and texts that Arrow refuses, stay Python objects."""
    raw = pd.Series(list(cells), dtype=object)
    if any(isinstance(cell, (Mapping, list, tuple)) for cell in cells):
        return raw
    try:
        return pd.Series(list(cells)) if len(raw) else raw
    except (UnicodeEncodeError, OverflowError):
        return raw


def _column(leaf: Json, lists: Mapping[str, Sequence[Json]]) -> list[Json]:
    length = len(next(iter(lists.values())))
    return list(leaf) if _is_list(leaf) else [leaf] * length


def _are_parallel(lists: Iterable[Sequence[Json]]) -> bool:
    """Whether these are at least two lists of one length, which is at least two."""
    lengths = [len(cells) for cells in lists]
    return len(lengths) >= 2 and len(set(lengths)) == 1 and lengths[0] >= 2


def _is_list(value: Json) -> TypeGuard[Sequence[Json]]:
    return isinstance(value, (list, tuple))


def _are_lists(items: Sequence[Json]) -> bool:
    return all(_is_list(item) for item in items)


def _are_objects(items: Sequence[Json]) -> bool:
    return all(isinstance(item, Mapping) for item in items)


def _is_single(value: Json) -> bool:
    return value is None or isinstance(value, (str, int, float))


def _listed(names: Iterable[str], most: int = 6) -> str:
    shown = list(names)
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def _refuse(value: Json) -> pd.DataFrame:
    """Say what the value is.

    Raises:
        NoTable: Always.
    """
    match value:
        case None | "":
            raise NoTable("empty")
        case str():
            found = find_table(value)
            raise NoTable(found if isinstance(found, str) else "text")
        case bool() | int() | float():
            raise NoTable(f"the single value {value!r}")
        case Mapping():
            raise NoTable("an empty object")
        case list() | tuple():
            kinds = {
                "objects" if isinstance(i, Mapping) else "lists" if _is_list(i) else "single values"
                for i in value
            }
            mixed = " and ".join(sorted(kinds)) if len(kinds) > 1 else "lists that are not equally long"
            raise NoTable(f"a list of {mixed}")
        case _:
            raise NoTable(f"a Python object of the type {type(value).__name__}")
