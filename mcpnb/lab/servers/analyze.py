"""Figures about a text: counts, readability, frequent words, language, mood.

It owns the tool and the command line. Every figure's rule is in `measures`.

    python -m mcpnb.lab.servers.analyze
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from mcpnb.lab.profile import Behaviour
from mcpnb.lab.servers import serving
from mcpnb.lab.servers.measures import Analysis, analyze

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

__all__ = ["build", "main", "make", "parser"]

ABOUT = "Measures texts: counts, readability, frequent words, language and mood, always by the same rules."

MAX_TEXT = 200_000
"""Characters of a text."""

Text = Annotated[
    str, Field(min_length=1, max_length=MAX_TEXT, pattern=r"\S", description="The text; plain, any language")
]


def build(who: serving.Identity, *, behaviour: Behaviour | None = None) -> MCPServer[Any]:
    """A text analysis server."""
    from mcp_types import ToolAnnotations  # noqa: PLC0415 - takes a second

    server = serving.new_server(who, about=ABOUT, behaviour=behaviour)
    harmless = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)

    # Not async: the SDK runs it on a thread, so that a long text stops nobody else.
    @server.tool(name="analyze.text", title="Analyse a text", annotations=harmless)
    def text(text: Text) -> Analysis:
        """Counts, Flesch reading ease (English), frequent words, a guess at the language, and the mood."""
        return analyze(text)

    _ = text  # the decorator has registered it
    return server


def parser() -> argparse.ArgumentParser:
    """The command line."""
    return serving.arguments("analyze", ABOUT)


def make(options: argparse.Namespace) -> MCPServer[Any]:
    """The server that the command line asks for."""
    return build(serving.identity(options), behaviour=serving.behaviour(options))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server from a command line. Returns the exit status."""
    return serving.run(parser().parse_args(arguments), make)


if __name__ == "__main__":
    sys.exit(main())
