"""What a server offers, every page of it.

It owns `Listing` and the walk through the pages. It judges no errors and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, Protocol, TypeVar

import mcp_types
from mcp import Client
from mcp.shared.uri_template import InvalidUriTemplate, UriTemplate

__all__ = ["KINDS", "Kind", "Listing", "Reader", "fetch", "offered"]

Kind = Literal["tools", "resources", "templates", "prompts"]
KINDS: tuple[Kind, ...] = ("tools", "resources", "templates", "prompts")

_MAX_PAGES = 1000
"""A server that invents a new cursor for ever must not be listened to for ever."""


class Reader(Protocol):
    """Whoever keeps listings. Long ones, and long answers, are read so that others get the loop meanwhile."""

    async def rest(self, items: int) -> None:
        """Awaited after each page but the last, of so many items."""
        ...

    async def give_way(self, server: str, size: int) -> None:
        """Awaited after each piece of a long answer of that server, of so many bytes."""
        ...

    async def draft(self, tools: Sequence[mcp_types.Tool]) -> Any:
        """What it wants to find out about the tools of a listing before it is told of it."""
        ...


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything that a server said it offers, as the SDK's own types."""

    tools: tuple[mcp_types.Tool, ...] = ()
    resources: tuple[mcp_types.Resource, ...] = ()
    templates: tuple[mcp_types.ResourceTemplate, ...] = ()
    prompts: tuple[mcp_types.Prompt, ...] = ()
    drafts: Any = field(default=None, compare=False, repr=False)
    """What the `Reader` drafted for these tools; None when there is none."""

    def resource(self, uri: str) -> str | None:
        """What a resource is listed as: its URI, else the template that it fits; None when neither is."""
        if any(resource.uri == uri for resource in self.resources):
            return uri
        templates = (template.uri_template for template in self.templates)
        return next((text for text in templates if text == uri or _fits(uri, text)), None)

    def prompt(self, name: str) -> mcp_types.Prompt | None:
        """The prompt of that name."""
        return next((prompt for prompt in self.prompts if prompt.name == name), None)


def _fits(uri: str, template: str) -> bool:
    parsed = _parsed(template)
    return parsed is not None and parsed.match(uri) is not None


@lru_cache(maxsize=1024)
def _parsed(template: str) -> UriTemplate | None:
    """None for one that nobody can match, which a server may list all the same."""
    try:
        return UriTemplate.parse(template)
    except InvalidUriTemplate:
        return None


Rest = Callable[[int], Awaitable[None]]


class _Page(Protocol):
    next_cursor: str | None


PageT = TypeVar("PageT", bound=_Page)


def offered(capabilities: mcp_types.ServerCapabilities) -> tuple[Kind, ...]:
    """The kinds a server has; it is not asked for others."""
    has: dict[Kind, object] = {
        "tools": capabilities.tools,
        "resources": capabilities.resources,
        "templates": capabilities.resources,
        "prompts": capabilities.prompts,
    }
    return tuple(kind for kind in KINDS if has[kind] is not None)


async def fetch(client: Client, kind: Kind, rest: Rest) -> tuple[Any, ...]:
    """All items of one kind, from every page, in the server's order; `rest` as a `Reader` does.

    Raises:
        ValueError: The pages never end.
        mcp.MCPError: The server refused, or the connection ended.
    """
    match kind:
        case "tools":
            return await _walk(lambda cursor: client.list_tools(cursor=cursor), lambda page: page.tools, rest)
        case "resources":
            return await _walk(
                lambda cursor: client.list_resources(cursor=cursor), lambda page: page.resources, rest
            )
        case "templates":
            return await _walk(
                lambda cursor: client.list_resource_templates(cursor=cursor),
                lambda page: page.resource_templates,
                rest,
            )
        case "prompts":
            return await _walk(
                lambda cursor: client.list_prompts(cursor=cursor), lambda page: page.prompts, rest
            )


async def _walk(
    ask: Callable[[str | None], Awaitable[PageT]], items_of: Callable[[PageT], Sequence[Any]], rest: Rest
) -> tuple[Any, ...]:
    items: list[Any] = []
    cursor: str | None = None
    seen: set[str] = set()
    for _ in range(_MAX_PAGES):
        page = await ask(cursor)
        found = items_of(page)
        items += found
        cursor = page.next_cursor
        # An empty cursor is what some servers send for "no more".
        if not cursor:
            return tuple(items)
        if cursor in seen:
            raise ValueError(f"the server sends the same page again and again (cursor {cursor[:40]!r})")
        seen.add(cursor)
        await rest(len(found))
    raise ValueError(f"the listing has more than {_MAX_PAGES} pages")
