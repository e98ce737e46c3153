"""The lab's MCP servers, each a module that runs on its own: `python -m mcpnb.lab.servers.weather`.

It owns the list of them. How a server is served is in `serving`; what it offers is in its own module.
"""

from __future__ import annotations

from mcpnb.errors import McpnbError, suggest

__all__ = ["KINDS", "module_of"]

KINDS: dict[str, str] = {
    kind: f"mcpnb.lab.servers.{kind}"
    for kind in ("weather", "search", "translate", "analyze", "filesystem", "database")
}
"""Kind → the module that serves it: `parser()` is its command line, `make(options)` the server itself."""


def module_of(kind: str) -> str:
    """The module that serves a kind of lab server.

    Raises:
        McpnbError: There is no such kind.
    """
    if kind in KINDS:
        return KINDS[kind]
    near = suggest(kind, KINDS)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise McpnbError(f"the lab has no {kind!r} server; it has {', '.join(KINDS)}.{hint}")
