"""`%load_ext mcpnb`: what loading the extension changes in IPython, and that unloading undoes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from mcpnb.notebook import nest
from mcpnb.notebook.doctor import shell_message_hazard
from mcpnb.notebook.magics.line import HELP, McpMagic, NoFleet

if TYPE_CHECKING:
    from mcpnb.catalog import Catalog

__all__ = [
    "HELP",
    "McpMagic",
    "NoFleet",
    "cell_function",
    "line_function",
    "load_ipython_extension",
    "unload_ipython_extension",
]

LOADED: Final = "mcpnb: asyncio.run(main()) works in cells now, on its own thread. See %mcp help."

_matchers: dict[int, Any] = {}
"""What completes in a shell, by the shell's identity."""


class Shell(Protocol):
    """IPython's shell, as far as loading needs it."""

    user_ns: dict[str, Any]

    def register_magic_function(self, func: Callable[..., Any], magic_kind: str, magic_name: str) -> None:
        """Make `%magic_name` call `func` with the rest of the line."""
        ...


def line_function(magic: McpMagic) -> Callable[[str], Any]:
    """The line magic as IPython wants it: a function with a docstring, whose line comes as it was typed."""
    from IPython.core.magic import no_var_expand  # noqa: PLC0415 - IPython is loaded when first needed

    def mcp(line: str) -> Any:
        return magic(line)

    mcp.__doc__ = f"Many MCP servers from one line.\n\n{HELP}"
    return no_var_expand(mcp)  # it would format {"days": 3} as if it were a template


def cell_function(magic: McpMagic) -> Callable[[str, str], Any]:
    """The cell magic, likewise."""
    from IPython.core.magic import no_var_expand  # noqa: PLC0415 - as above

    def mcp(line: str, cell: str) -> Any:
        return magic.cell(line, cell)

    mcp.__doc__ = f"One call of an MCP tool, its arguments in the lines below.\n\n{HELP}"
    return no_var_expand(mcp)


def load_ipython_extension(shell: Shell) -> None:
    """What `%load_ext mcpnb` does: `asyncio.run` works in cells, and `%mcp` exists. Prints one line."""
    magic = McpMagic(shell.user_ns)
    shell.register_magic_function(line_function(magic), "line", "mcp")
    shell.register_magic_function(cell_function(magic), "cell", "mcp")
    _complete(shell)
    nest.install()
    print(LOADED)  # noqa: T201 - the one line that loading promises
    if (hazard := shell_message_hazard(nest.ipykernel_version())) is not None:
        print(f"mcpnb: {hazard.what} {hazard.fix}")  # noqa: T201 - once, where the reader is


def unload_ipython_extension(shell: Any) -> None:
    """Undo what loading did."""
    nest.uninstall()
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("mcp", None)
    matcher = _matchers.pop(id(shell), None)
    if matcher is not None and matcher in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.remove(matcher)


def _complete(shell: Any) -> None:
    """Have Tab know the magic's words; IPython before 8.6 cannot be told."""
    matchers = getattr(getattr(shell, "Completer", None), "custom_matchers", None)
    if matchers is None or id(shell) in _matchers:
        return
    from mcpnb.notebook.magics.completion import FleetWords, matcher  # noqa: PLC0415 - where it is needed

    _matchers[id(shell)] = made = matcher(FleetWords(_catalog, _strategies, _logins))
    matchers.append(made)


def _catalog() -> Catalog | None:
    from mcpnb.notebook.fleet import current  # noqa: PLC0415 - loading the extension must stay quick

    fleet = current()
    return None if fleet is None else fleet.client.catalog


def _logins() -> list[str]:
    from mcpnb.notebook.fleet import current  # noqa: PLC0415 - loading the extension must stay quick
    from mcpnb.notebook.login.words import oauth  # noqa: PLC0415 - as above

    fleet = current()
    return [] if fleet is None else [row.server for row in oauth(fleet.login_rows())]


def _strategies() -> list[str]:
    from mcpnb.routing.strategies import available  # noqa: PLC0415 - as above

    return list(available())
