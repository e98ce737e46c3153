"""A database that can be asked and not changed: SQLite in a file or shipped, PostgreSQL by URL.

It owns the tools and the command line. What may be asked is decided in `sql_guard`; the sources see to it
again.

    python -m mcpnb.lab.servers.database --url sqlite:///measurements.db
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import Field

from mcpnb.errors import McpnbError
from mcpnb.lab.profile import Behaviour
from mcpnb.lab.servers import serving, shop
from mcpnb.lab.servers.gateway import Limits, QueryAnswer, Schema, Source
from mcpnb.lab.servers.postgres_source import PostgresSource
from mcpnb.lab.servers.refusal import Refused, as_tool_errors
from mcpnb.lab.servers.sql_guard import Dialect, require_reading
from mcpnb.lab.servers.sqlite_source import SqliteFile, SqliteImage

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

__all__ = ["Database", "build", "connect", "main", "make", "parser"]

ABOUT = "Answers SQL queries that read, one statement at a time, with a limit on rows and time."

MAX_PARAMETERS = 500
"""Values that one query may bind."""

Scalar = str | int | float | bool | None
Query = Annotated[str, Field(min_length=1, description="One SELECT, WITH, VALUES or EXPLAIN statement")]
Bound = Annotated[
    list[Scalar] | dict[str, Scalar] | None,
    Field(description="Values for ? (SQLite) or $1 (PostgreSQL) as a list, for :name (SQLite) as an object"),
]
Shown = Annotated[Literal["tables", "views", "all"], Field(description="What to list")]


class Database:
    """A source and the dialect it is asked in."""

    def __init__(self, source: Source, dialect: Dialect) -> None:
        self._source = source
        self.dialect: Dialect = dialect

    def query(self, query: str, parameters: list[Scalar] | dict[str, Scalar] | None = None) -> QueryAnswer:
        """The rows of a query.

        Raises:
            Refused: It does more than read, or the database turns it down.
        """
        require_reading(query, self.dialect)
        if parameters and len(parameters) > MAX_PARAMETERS:
            raise Refused(f"{len(parameters)} parameters; at most {MAX_PARAMETERS} are taken")
        return self._source.query(query, parameters)

    def schema(self, shown: Literal["tables", "views", "all"] = "tables") -> Schema:
        """What there is to ask about."""
        return self._source.schema(shown)


def connect(url: str | None, limits: Limits | None = None) -> Database:
    """The database of a URL: `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://...`.

    None is the example shop.

    Raises:
        McpnbError: The URL is of no such kind, or the file is not there.
    """
    if url is None:
        return Database(SqliteImage(shop.image(), limits), "sqlite")
    if url.startswith("sqlite:///"):
        return Database(SqliteFile(Path(unquote(url.removeprefix("sqlite:///"))), limits), "sqlite")
    if url.startswith(("postgresql://", "postgres://")):
        return Database(PostgresSource(url, limits), "postgres")
    raise McpnbError(f"a database URL begins with sqlite:/// or postgresql://, not {url.partition(':')[0]!r}")


def build(
    who: serving.Identity, database: Database | None = None, *, behaviour: Behaviour | None = None
) -> MCPServer[Any]:
    """A database server; without a database, over the example shop."""
    from mcp_types import ToolAnnotations  # noqa: PLC0415 - takes a second

    asked = database or connect(None)
    server = serving.new_server(who, about=f"{ABOUT} Dialect: {asked.dialect}.", behaviour=behaviour)
    harmless = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)

    # Not async: the SDK runs them on a thread, so that a long query stops nobody else.
    @server.tool(name="database.query", title="Ask the database", annotations=harmless)
    def query(query: Query, parameters: Bound = None) -> QueryAnswer:
        """The rows of an SQL query that reads, one object per row."""
        with as_tool_errors():
            return asked.query(query, parameters)

    @server.tool(name="database.schema", title="Tables and columns", annotations=harmless)
    def schema(type: Shown = "tables") -> Schema:  # noqa: A002 - the tool's own word
        """The tables or views, with the columns of each."""
        with as_tool_errors():
            return asked.schema(type)

    _ = query, schema  # the decorators have registered them
    return server


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = serving.arguments("database", ABOUT)
    add = parser.add_argument
    add("--url", default=None, help="sqlite:///file.db or postgresql://... (default: an example shop)")
    add("--max-rows", type=int, default=1_000, metavar="N", help="rows of an answer (default: 1000)")
    add("--max-seconds", type=float, default=5.0, metavar="S", help="time for a query (default: 5)")
    return parser


def make(options: argparse.Namespace) -> MCPServer[Any]:
    """The server that the command line asks for.

    Raises:
        McpnbError: There is no such database, or a limit makes no sense.
    """
    limits = Limits(rows=options.max_rows, seconds=options.max_seconds)
    database = connect(options.url, limits)
    return build(serving.identity(options), database, behaviour=serving.behaviour(options))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server from a command line. Returns the exit status."""
    return serving.run(parser().parse_args(arguments), make)


if __name__ == "__main__":
    sys.exit(main())
