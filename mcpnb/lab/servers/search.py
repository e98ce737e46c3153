"""Full-text search over a folder of documents.

It owns the tool, the resource and the command line. What is found, and in which order, is in `index`.

    python -m mcpnb.lab.servers.search --root notes
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from mcpnb.lab.profile import Behaviour
from mcpnb.lab.servers import serving
from mcpnb.lab.servers.index import Found, Index, documents_in
from mcpnb.lab.servers.refusal import as_tool_errors

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

__all__ = ["CORPUS", "build", "main", "make", "parser"]

ABOUT = "Searches documents by their words, best match first (BM25)."

CORPUS = Path(__file__).parent / "corpus"
"""Short documents on MCP, routing and the weather, for lessons."""

MAX_RECENT = 100

Query = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1000,
        description='Words, any of which may match; "several words" are a phrase',
    ),
]
Limit = Annotated[int, Field(ge=1, le=100, description="How many documents at most")]


def build(
    who: serving.Identity, index: Index | None = None, *, behaviour: Behaviour | None = None
) -> MCPServer[Any]:
    """A search server; without an index, over the shipped documents."""
    from mcp.server.mcpserver.exceptions import ResourceNotFoundError  # noqa: PLC0415 - takes a second
    from mcp_types import ToolAnnotations  # noqa: PLC0415 - takes a second

    documents = index or Index(documents_in(CORPUS))
    server = serving.new_server(who, about=ABOUT, behaviour=behaviour)
    harmless = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)

    @server.tool(name="search.documents", title="Search documents", annotations=harmless)
    def search(query: Query, limit: Limit = 10) -> Found:
        """The documents that match a query best, each with its score and the place that matches."""
        with as_tool_errors():
            return documents.search(query, limit)

    @server.resource(
        "documents://recent/{count}",
        name="recent documents",
        description=f"The latest documents, newest first, as JSON; count is 1 to {MAX_RECENT}.",
        mime_type="application/json",
    )
    def recent(count: str) -> str:
        if not (count.isascii() and count.isdigit() and 1 <= int(count[:4]) <= MAX_RECENT):
            raise ResourceNotFoundError(f"count must be a number from 1 to {MAX_RECENT}, not {count[:20]!r}")
        return json.dumps(documents.recent(int(count)), ensure_ascii=False)

    _ = search, recent  # the decorators have registered them
    return server


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = serving.arguments("search", ABOUT)
    parser.add_argument(
        "--root",
        type=Path,
        default=CORPUS,
        metavar="DIR",
        help="folder of .md, .txt and .rst files, read once at the start (default: shipped documents)",
    )
    return parser


def make(options: argparse.Namespace) -> MCPServer[Any]:
    """The server that the command line asks for.

    Raises:
        McpnbError: There is no such folder.
    """
    index = Index(documents_in(options.root))
    return build(serving.identity(options), index, behaviour=serving.behaviour(options))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server from a command line. Returns the exit status."""
    return serving.run(parser().parse_args(arguments), make)


if __name__ == "__main__":
    sys.exit(main())
