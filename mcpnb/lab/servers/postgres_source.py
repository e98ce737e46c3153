"""A PostgreSQL database that is only read: in read-only transactions with a time limit, one statement each.

It owns the connections. Whether a query should be tried at all, the caller has decided. psycopg is an extra:
`pip install "mcpnb[postgres]"`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, Literal, cast

from mcpnb.errors import McpnbError
from mcpnb.lab.servers.gateway import Column, Limits, Parameters, QueryAnswer, Schema, Shown, Table, answer
from mcpnb.lab.servers.refusal import Refused

if TYPE_CHECKING:
    import psycopg

__all__ = ["PostgresSource"]

_COLUMNS = """
    SELECT t.table_schema, t.table_name, t.table_type, c.column_name, c.data_type, c.is_nullable = 'YES',
        EXISTS (
            SELECT FROM information_schema.key_column_usage k JOIN information_schema.table_constraints x
                USING (constraint_schema, constraint_name)
            WHERE x.constraint_type = 'PRIMARY KEY' AND k.column_name = c.column_name
                AND (k.table_schema, k.table_name) = (t.table_schema, t.table_name)
        )
    FROM information_schema.tables t JOIN information_schema.columns c USING (table_schema, table_name)
    WHERE t.table_schema NOT IN ('pg_catalog', 'information_schema')
        AND t.table_type IN ('BASE TABLE', 'VIEW')
    ORDER BY t.table_schema, t.table_name, c.ordinal_position
"""


class PostgresSource:
    """A database by URL. Each query has a connection of its own.

    Args:
        url: `postgresql://...`; it never appears in a message, because it may hold a password.
        limits: What one query may cost.

    Raises:
        McpnbError: psycopg is not installed.
    """

    def __init__(self, url: str, limits: Limits | None = None) -> None:
        try:
            self._psycopg: Any = import_module("psycopg")
        except ImportError as error:
            raise McpnbError('PostgreSQL needs psycopg: pip install "mcpnb[postgres]"') from error
        self._url, self._limits = url, limits or Limits()

    def query(self, query: str, parameters: Parameters) -> QueryAnswer:
        """The rows of a query; parameters (a list) stand for `$1`, `$2`, ...

        Where there are no rows the columns' names are not known either.

        Raises:
            Refused: PostgreSQL turned it down, it took too long, or nobody answers.
        """
        if isinstance(parameters, Mapping):
            raise Refused("PostgreSQL takes a list of parameters, for $1, $2, ...; not an object")
        with self._cursor() as cursor, ExitStack() as ends:
            # Row by row, in the protocol that takes one statement only; ended early, it cancels the query.
            rows = cast("Generator[Any]", cursor.stream(query.encode(), tuple(parameters or ())))
            ends.callback(rows.close)
            first = next(rows, None)
            columns = [each.name for each in cursor.description or ()]
            return answer(columns, chain(() if first is None else (first,), rows), self._limits)

    def schema(self, shown: Shown) -> Schema:
        """Its tables and views outside the system's own schemas; `schema.name` where that is not `public`.

        Raises:
            Refused: Nobody answers.
        """
        with self._cursor() as cursor:
            rows = cursor.execute(_COLUMNS).fetchall()
        tables = [
            Table(name=_name(*key[:2]), kind=_kind(key[2]), columns=[_column(row) for row in group])
            for key, group in groupby(rows, key=lambda row: row[:3])
        ]
        return Schema(dialect="postgres", tables=[t for t in tables if shown in {"all", f"{t['kind']}s"}])

    @contextmanager
    def _cursor(self) -> Generator[psycopg.RawCursor[Any]]:
        milliseconds = max(1, round(self._limits.seconds * 1000))
        options = (
            f"-c default_transaction_read_only=on -c statement_timeout={milliseconds}"
            f" -c lock_timeout={milliseconds} -c idle_in_transaction_session_timeout={2 * milliseconds}"
        )
        with self._told():
            connection = self._psycopg.connect(
                self._url, options=options, connect_timeout=10, application_name="mcpnb lab"
            )
            try:
                connection.read_only = True
                yield self._psycopg.RawCursor(connection)
            finally:
                connection.close()

    @contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except self._psycopg.errors.QueryCanceled:
            raise Refused(f"the query took longer than {self._limits.seconds:g} s and was ended") from None
        except self._psycopg.Error as error:
            raise Refused(_words(error)) from None


def _words(error: psycopg.Error) -> str:
    """What the server said. A failure to connect is put in our words: the driver's may quote the URL."""
    said = error.diag.message_primary
    return f"PostgreSQL turned it down: {said}" if said else f"PostgreSQL: {type(error).__name__}"


def _name(schema: str, table: str) -> str:
    return table if schema == "public" else f"{schema}.{table}"


def _kind(table_type: str) -> Literal["table", "view"]:
    return "view" if table_type == "VIEW" else "table"


def _column(row: tuple[Any, ...]) -> Column:
    return Column(name=row[3], type=row[4], nullable=row[5], primary_key=row[6])
