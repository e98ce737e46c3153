"""The listings of one session: fetched when it opens, and again whenever the server says they changed.

Until 2025-11-25 servers notify; since 2026-07-28 one subscribes. It owns when to list and what to do when
that fails: say so, keep the last good listing, try again. What a listing is, `listing` knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

import anyio
import mcp_types
from mcp import Client, MCPError
from mcp.client.subscriptions import (
    PromptsListChanged,
    ResourcesListChanged,
    SubscriptionLost,
    ToolsListChanged,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcpnb.errors import McpnbError, ToolError

from .listing import Kind, fetch, offered

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Freshness"]

_CHANGED: Mapping[type[object], tuple[Kind, ...]] = {
    mcp_types.ToolListChangedNotification: ("tools",),
    mcp_types.ResourceListChangedNotification: ("resources", "templates"),
    mcp_types.PromptListChangedNotification: ("prompts",),
    ToolsListChanged: ("tools",),
    ResourcesListChanged: ("resources", "templates"),
    PromptsListChanged: ("prompts",),
}
"""What to list again: by notification and by event."""


_REFUSALS = frozenset({mcp_types.METHOD_NOT_FOUND, mcp_types.INVALID_REQUEST, mcp_types.INVALID_PARAMS})
"""Answers after which asking for a subscription again is useless. Others come from what is in between."""


_AT_ONCE = 5
"""Refreshes that need not wait: a server that starts may add its tools one by one."""


class _Announced(TypedDict):
    """Which changes to subscribe to."""

    tools_list_changed: bool
    prompts_list_changed: bool
    resources_list_changed: bool


class Freshness:
    """Keeps one session's listings fresh. Its coroutines run in the session's own task group."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stale: set[Kind] = set()
        self._missing: set[Kind] = set()
        self._wanted = asyncio.Event()
        self._listed = False
        self._tuned_in = asyncio.Event()
        """Subscribed, or not going to be."""
        self._allowed, self._counted_at = float(_AT_ONCE), session.clock()

    async def list_all(self, client: Client, *, within: float) -> None:
        """The first listing: every kind the server has, at once; `within` is in seconds.

        It waits for the subscription, if there is to be one, so that no change falls between the two.
        """
        with anyio.move_on_after(min(within / 2, self._session.pace.subscribing)):
            await self._tuned_in.wait()
        await self._list(offered(client.server_capabilities), within)
        self._listed = True

    async def keep(self) -> None:
        """List again whatever became stale, until cancelled."""
        while True:
            await self._wanted.wait()
            await self._turn()
            self._wanted.clear()
            kinds, self._stale = self._stale, set()
            await self._list(sorted(kinds), self._session.pace.listing_timeout)

    async def _turn(self) -> None:
        """Wait until one more refresh is no flood; whatever becomes stale meanwhile is a part of it."""
        every, now = self._session.pace.refresh_every, self._session.clock()
        self._allowed = min(float(_AT_ONCE), self._allowed + (now - self._counted_at) / every)
        self._counted_at = now
        if self._allowed < 1.0:
            await asyncio.sleep((1.0 - self._allowed) * every)
            self._allowed, self._counted_at = 1.0, self._session.clock()
        self._allowed -= 1.0

    def retry(self) -> None:
        """Ask again for listings that could not be had."""
        if self._missing:
            self._want(self._missing)

    def heard(self, message: object) -> None:
        """A notification or an event of a subscription: list again what it says has changed."""
        kinds = _CHANGED.get(type(message), ())
        if kinds:
            self._want(kinds)

    async def listen(self, client: Client) -> None:
        """Keep a subscription to changes open, where the protocol has them and the server announces some."""
        announced = _announced(client.server_capabilities)
        wanted = client.protocol_version in MODERN_PROTOCOL_VERSIONS and any(announced.values())
        attempt = 0
        while wanted:
            began = self._session.clock()
            wanted = await self._hear_out(client, announced)
            lived = self._session.clock() - began
            attempt = 0 if lived >= self._session.pace.stable_after else attempt + 1
            if wanted:
                await asyncio.sleep(self._session.backoff(attempt))
        self._tuned_in.set()

    async def _hear_out(self, client: Client, announced: _Announced) -> bool:
        """One subscription, until it ends. Whether to subscribe again."""
        try:
            async with client.listen(**announced) as events:
                self._tuned_in.set()
                # What changed while nobody listened is not told.
                if self._listed:
                    self._want(offered(client.server_capabilities))
                async for event in events:
                    self.heard(event)
        except SubscriptionLost:
            self._session.suspect()
        except MCPError as error:
            if error.code in _REFUSALS:
                self._session.listener.on_log("info", f"it announces no changes: {error.message}")
                return False
        return True

    def _want(self, kinds: Iterable[Kind]) -> None:
        self._stale.update(kinds)
        self._wanted.set()

    async def _list(self, kinds: Iterable[Kind], within: float) -> None:
        found: dict[Kind, tuple[Any, ...]] = {}
        async with anyio.create_task_group() as tasks:
            for kind in kinds:
                tasks.start_soon(self._list_one, kind, within, found)
        if "tools" in found:
            self._session.outputs.learn(found["tools"])
        if found:
            listener = self._session.listener
            drafts = await listener.on_tools(found["tools"]) if "tools" in found else None
            listener.on_listing(self._session, found, drafts)

    async def _list_one(self, kind: Kind, within: float, found: dict[Kind, tuple[Any, ...]]) -> None:
        session = self._session
        flight = session.own_flight(within)

        async def rest(items: int) -> None:
            flight.stand()  # it is the server's time that is counted
            try:
                await session.listener.on_page(items)
            finally:
                flight.go_on(answered=True)

        try:
            found[kind] = await session.exchange(
                f"the listing of {kind}", lambda client: fetch(client, kind, rest), flight=flight
            )
        except (McpnbError, ValueError) as error:
            if not session.lost.is_set():
                self._missing.add(kind)
                session.listener.on_listing_failed(kind, _words(error))
        else:
            self._missing.discard(kind)


def _announced(capabilities: mcp_types.ServerCapabilities) -> _Announced:
    tools, prompts, resources = capabilities.tools, capabilities.prompts, capabilities.resources
    return _Announced(
        tools_list_changed=bool(tools and tools.list_changed),
        prompts_list_changed=bool(prompts and prompts.list_changed),
        resources_list_changed=bool(resources and resources.list_changed),
    )


def _words(error: Exception) -> str:
    return error.message if isinstance(error, ToolError) else str(error)
