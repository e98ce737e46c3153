"""A SQLite database that can only be read: by its open mode, by a pragma, and by an authorizer.

It owns the connections and their limits. Whether a query should be tried at all, the caller has decided.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mcpnb.errors import McpnbError
from mcpnb.lab.servers.gateway import Column, Limits, Parameters, QueryAnswer, Schema, Shown, Table, answer
from mcpnb.lab.servers.refusal import Refused
from mcpnb.lab.servers.sql_guard import FUNCTIONS, MAX_QUERY

__all__ = ["SqliteFile", "SqliteImage"]

_STEPS = 1_000
"""Instructions of SQLite's machine between two looks at the clock."""

_READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})

_BOUNDS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 1_000_000,  # bytes of one value: zeroblob(1e9) would be a gigabyte
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 4 * MAX_QUERY,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,  # its cost grows with pattern times text
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}

_TABLES = """
    SELECT name, type FROM sqlite_schema
    WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name
"""


class _Sqlite:
    """What is the same for every SQLite database. Each query has a connection of its own."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits, self._clock = limits, clock

    def _open(self) -> sqlite3.Connection:
        raise NotImplementedError

    def query(self, query: str, parameters: Parameters) -> QueryAnswer:
        """The rows of a query; parameters stand for `?` (a list) or `:name` (an object).

        Raises:
            Refused: SQLite turned it down, or it took too long.
        """
        bound = dict(parameters) if isinstance(parameters, Mapping) else tuple(parameters or ())
        with self._connection() as connection, _told(self._limits):
            connection.set_authorizer(_authorize)
            cursor = connection.execute(query, bound)
            columns = [each[0] for each in cursor.description or ()]
            return answer(columns, cursor, self._limits)

    def schema(self, shown: Shown) -> Schema:
        """Its tables and views.

        Raises:
            Refused: It is no SQLite database, or damaged.
        """
        with self._connection() as connection, _told(self._limits):
            found = connection.execute(_TABLES).fetchall()
            tables = [
                Table(name=name, kind=kind, columns=_columns(connection, name))
                for name, kind in found
                if shown in {"all", f"{kind}s"}
            ]
        return Schema(dialect="sqlite", tables=tables)

    @contextmanager
    def _connection(self) -> Generator[sqlite3.Connection]:
        with _told(self._limits):
            connection = self._open()
        with contextlib.closing(connection):
            for what, bound in _BOUNDS.items():
                connection.setlimit(what, bound)
            connection.text_factory = _text
            with _told(self._limits):
                connection.execute("PRAGMA query_only = ON")
                connection.execute("PRAGMA trusted_schema = OFF")
                connection.execute("PRAGMA cell_size_check = ON")
                # A table of functions declares itself on its first use, which the authorizer would take for
                # a change of the schema.
                connection.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')")
            end = self._clock() + self._limits.seconds
            connection.set_progress_handler(lambda: self._clock() > end, _STEPS)
            yield connection


class SqliteFile(_Sqlite):
    """A database in a file, opened in SQLite's read-only mode.

    Raises:
        McpnbError: There is no such file.
    """

    def __init__(
        self, path: Path, limits: Limits | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(limits or Limits(), clock)
        if not path.is_file():
            raise McpnbError(f"there is no database {str(path)!r}")
        self._uri = f"file:{quote(str(path.absolute()))}?mode=ro"

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._uri, uri=True, isolation_level=None, timeout=self._limits.seconds)


class SqliteImage(_Sqlite):
    """A database in memory. Each query gets a copy, so nothing that is done to it lasts."""

    def __init__(
        self, image: bytes, limits: Limits | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(limits or Limits(), clock)
        self._image = image

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.deserialize(self._image)
        return connection


def _authorize(action: int, _one: str | None, two: str | None, *_: str | None) -> int:
    """SQLite asks before it compiles each part of a query: reading is allowed, and what only computes."""
    if action in _READS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and two is not None and two.lower() in _CALLABLE:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


# SQLite calls some operators and casts by names of its own.
_CALLABLE = FUNCTIONS["sqlite"] | {
    "->",
    "->>",
    "like",
    "glob",
    "current_date",
    "current_time",
    "current_timestamp",
}


@contextmanager
def _told(limits: Limits) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            raise Refused(f"the query took longer than {limits.seconds:g} s and was ended") from None
        raise Refused(f"SQLite turned it down: {error}") from None
    except (OverflowError, sqlite3.Warning, UnicodeEncodeError) as error:
        raise Refused(f"SQLite cannot take it: {error}") from None


def _columns(connection: sqlite3.Connection, table: str) -> list[Column]:
    rows: list[tuple[Any, ...]] = connection.execute(
        'SELECT name, type, "notnull", pk FROM pragma_table_info(?)', (table,)
    ).fetchall()
    return [
        Column(name=name, type=kind, nullable=not required and not key, primary_key=bool(key))
        for name, kind, required, key in rows
    ]


def _text(stored: bytes) -> str:
    return stored.decode(errors="replace")  # SQLite does not check what it stores
