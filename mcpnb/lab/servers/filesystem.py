"""Files below one folder: read, write, list.

It owns the tools and the command line. What a path may be, and how it is opened, is in `rooted`.

    python -m mcpnb.lab.servers.filesystem --root notes --transport http --port 8000
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from mcpnb.lab.profile import Behaviour
from mcpnb.lab.servers import serving
from mcpnb.lab.servers.refusal import as_tool_errors
from mcpnb.lab.servers.rooted import FileText, Listing, Rooted, Written

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

__all__ = ["build", "main", "make", "parser"]

ABOUT = "Reads, writes and lists text files below one folder. Paths are relative to it, with / between names."

FilePath = Annotated[str, Field(description="Path of a file below the root, such as notes/today.md")]
FolderPath = Annotated[str, Field(description="Path of a folder below the root; '.' is the root")]
Content = Annotated[str, Field(description="The whole new text of the file")]


def build(who: serving.Identity, files: Rooted, *, behaviour: Behaviour | None = None) -> MCPServer[Any]:
    """A filesystem server over `files`."""
    from mcp_types import ToolAnnotations  # noqa: PLC0415 - takes a second

    server = serving.new_server(who, about=ABOUT, behaviour=behaviour)
    reads = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
    writes = ToolAnnotations(
        read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
    )

    # Not async: the SDK runs them on a thread, so that a slow disk stops nobody else.
    @server.tool(name="file.read", title="Read a file", annotations=reads)
    def read(path: FilePath) -> FileText:
        """The text of a file (UTF-8)."""
        with as_tool_errors():
            return files.read(path)

    @server.tool(name="file.write", title="Write a file", annotations=writes)
    def write(path: FilePath, content: Content) -> Written:
        """Replace a file in one step, or create it together with the folders that lead to it."""
        with as_tool_errors():
            return files.write(path, content)

    @server.tool(name="directory.list", title="List a folder", annotations=reads)
    def entries(path: FolderPath = ".") -> Listing:
        """The names in a folder, each with its kind and, for a file, its size in bytes."""
        with as_tool_errors():
            return files.entries(path)

    _ = read, write, entries  # the decorators have registered them
    return server


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = serving.arguments("filesystem", ABOUT)
    add = parser.add_argument
    add("--root", type=Path, required=True, metavar="DIR", help="the folder; nothing outside is touched")
    add("--max-bytes", type=int, default=1_000_000, metavar="N", help="largest file (default: 1000000)")
    add("--max-entries", type=int, default=1_000, metavar="N", help="longest listing (default: 1000)")
    return parser


def make(options: argparse.Namespace) -> MCPServer[Any]:
    """The server that the command line asks for.

    Raises:
        McpnbError: The folder cannot be served.
    """
    files = Rooted(options.root, max_bytes=options.max_bytes, max_entries=options.max_entries)
    return build(serving.identity(options), files, behaviour=serving.behaviour(options))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server from a command line. Returns the exit status."""
    return serving.run(parser().parse_args(arguments), make)


if __name__ == "__main__":
    sys.exit(main())
