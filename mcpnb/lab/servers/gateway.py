"""What the databases behind the gateway have in common: limits, answers, descriptions, values as JSON.

It knows no particular database.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from math import inf, isfinite
from typing import Any, Literal, Protocol

from typing_extensions import TypedDict

from mcpnb.errors import McpnbError

__all__ = ["Column", "Limits", "Parameters", "QueryAnswer", "Schema", "Shown", "Source", "Table", "answer"]

Parameters = Sequence[Any] | Mapping[str, Any] | None
Shown = Literal["tables", "views", "all"]


class QueryAnswer(TypedDict):
    """The rows of a query; `truncated` when there are more than the server hands out."""

    columns: list[str]
    rows: list[dict[str, Any]]
    row_count: int
    truncated: bool


class Column(TypedDict):
    """One column of a table."""

    name: str
    type: str
    nullable: bool
    primary_key: bool


class Table(TypedDict):
    """One table or view."""

    name: str
    kind: Literal["table", "view"]
    columns: list[Column]


class Schema(TypedDict):
    """What a database holds, by name."""

    dialect: str
    tables: list[Table]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may cost."""

    rows: int = 1_000
    seconds: float = 5.0
    size: int = 2_000_000
    """Characters of all values together, roughly."""

    def __post_init__(self) -> None:
        if self.rows < 1 or self.size < 1 or not 0 < self.seconds < inf:
            raise McpnbError("limits: rows, seconds and size must be above 0")


class Source(Protocol):
    """A database. Safe to use from several threads."""

    def query(self, query: str, parameters: Parameters) -> QueryAnswer:
        """The rows of a query that reads; `Refused` says why there are none."""
        ...

    def schema(self, shown: Shown) -> Schema:
        """Its tables and views."""
        ...


def answer(columns: Sequence[str], rows: Iterable[Sequence[Any]], limits: Limits) -> QueryAnswer:
    """As many rows as the limits allow, as JSON values; no more than one row further is fetched."""
    names, taken, room, truncated = _distinct(columns), list[dict[str, Any]](), limits.size, False
    for row in rows:
        values = [_plain(value) for value in row]
        room -= sum(len(value) if isinstance(value, str) else 8 for value in values)
        if len(taken) == limits.rows or room < 0:
            truncated = True
            break
        taken.append(dict(zip(names, values, strict=True)))
    return QueryAnswer(columns=names, rows=taken, row_count=len(taken), truncated=truncated)


def _distinct(columns: Sequence[str]) -> list[str]:
    """Names that occur twice get a number, so that a row can be an object."""
    names: dict[str, None] = {}
    for column in columns:
        name, number = column, 2
        while name in names:
            name, number = f"{column}_{number}", number + 1
        names[name] = None
    return list(names)


def _plain(value: Any) -> Any:
    """A value as JSON: bytes in base64; exact numbers, times and what JSON has no form for as text."""
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value)):
        return value
    for kinds, plain in _FORMS:
        if isinstance(value, kinds):
            return plain(value)
    return str(value)


_FORMS: tuple[tuple[tuple[type, ...], Callable[[Any], Any]], ...] = (
    ((bytes, memoryview), lambda value: base64.b64encode(value).decode()),
    ((date, time), lambda value: value.isoformat()),
    ((timedelta,), lambda value: value.total_seconds()),
    ((dict,), lambda value: {str(key): _plain(each) for key, each in value.items()}),
    ((list, tuple), lambda value: [_plain(each) for each in value]),
)
