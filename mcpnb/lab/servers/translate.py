"""Translation of names: countries, languages, currencies, months, days, units.

It owns the tool and the command line. Where the names come from, and how sure a match is, is in `terms`.

    python -m mcpnb.lab.servers.translate
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from mcpnb.lab.profile import Behaviour
from mcpnb.lab.servers import serving
from mcpnb.lab.servers.refusal import as_tool_errors
from mcpnb.lab.servers.terms import Translation, translate

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

__all__ = ["build", "main", "make", "parser"]

ABOUT = "Translates names of countries, languages, currencies, months, days and units (Unicode CLDR)."

Term = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"\S", description="A name, such as Germany or Tuesday")
]
To = Annotated[
    str, Field(min_length=2, max_length=40, description="Language to translate to, such as de or pt-BR")
]
From = Annotated[
    str, Field(alias="from", min_length=2, max_length=40, description="Language that the term is in")
]


def build(who: serving.Identity, *, behaviour: Behaviour | None = None) -> MCPServer[Any]:
    """A translation server."""
    from mcp_types import ToolAnnotations  # noqa: PLC0415 - takes a second

    server = serving.new_server(who, about=ABOUT, behaviour=behaviour)
    harmless = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)

    def term(term: Term, to: To, source: From = "en") -> Translation:
        """A name in another language, with a confidence from 0 to 1 and other readings of it."""
        with as_tool_errors():
            return translate(term, to, source)

    # The SDK passes an argument by the name it has outside, and `from` cannot be a parameter in Python.
    @wraps(term)
    def by_outer_names(**given: Any) -> Translation:
        return term(given["term"], given["to"], given["from"])

    server.add_tool(by_outer_names, name="translate.term", title="Translate a name", annotations=harmless)
    return server


def parser() -> argparse.ArgumentParser:
    """The command line."""
    return serving.arguments("translate", ABOUT)


def make(options: argparse.Namespace) -> MCPServer[Any]:
    """The server that the command line asks for."""
    return build(serving.identity(options), behaviour=serving.behaviour(options))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server from a command line. Returns the exit status."""
    return serving.run(parser().parse_args(arguments), make)


if __name__ == "__main__":
    sys.exit(main())
