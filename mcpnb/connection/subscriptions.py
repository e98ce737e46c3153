"""Being told when resources change: one session's subscriptions.

Until 2025-11-25 a client subscribes by a request; since 2026-07-28 it keeps a stream open for it. It owns
that difference, and that a stream which breaks is opened again. Which resources, and what an update means
to anybody, is not its business; nor is the end of the session, after which the next one subscribes anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import anyio
import mcp_types
from mcp import Client, MCPError
from mcp.client.subscriptions import Subscription, SubscriptionLost
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcpnb.errors import CallTimeout, McpnbError, ServerDisconnected, ToolError

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from .session import Session

__all__ = ["Subscriptions"]

_UNTOLD = "it announces no changes of this resource"


class Subscriptions:
    """The resources that one session is subscribed to. Its streams run in the session's own task group."""

    def __init__(self, session: Session, tasks: TaskGroup) -> None:
        self._session, self._tasks = session, tasks
        self._streams: dict[str, anyio.CancelScope] = {}

    async def resume(self, uris: Iterable[str]) -> None:
        """Subscribe to what the last session was subscribed to. Each may have changed meanwhile."""
        for uri in uris:
            try:
                await self.add(uri)
            except McpnbError as error:
                if not self._session.lost.is_set():
                    self._session.listener.on_log("warning", f"no subscription to {uri} any more: {error}")
            else:
                self._session.listener.on_resource(uri)

    async def add(self, uri: str) -> None:
        """Subscribe; returns once the server has agreed.

        Raises:
            ToolError: The server does not tell of changes of this resource.
            CallTimeout, ConnectError, ServerDisconnected: No answer, and why.
        """
        if uri in self._streams:
            return
        if self._session.protocol in MODERN_PROTOCOL_VERSIONS:
            await self._open(uri)
        else:
            request = mcp_types.SubscribeRequest(params=mcp_types.SubscribeRequestParams(uri=uri))
            await self._session.exchange(uri, lambda client: _send(client, request), self._patience)

    async def drop(self, uri: str) -> None:
        """Unsubscribe. Raises as `add` does."""
        if self._session.protocol in MODERN_PROTOCOL_VERSIONS:
            if scope := self._streams.pop(uri, None):
                scope.cancel()
        else:
            request = mcp_types.UnsubscribeRequest(params=mcp_types.UnsubscribeRequestParams(uri=uri))
            await self._session.exchange(uri, lambda client: _send(client, request), self._patience)

    @property
    def _patience(self) -> float:
        return self._session.pace.listing_timeout

    async def _open(self, uri: str) -> None:
        agreed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        scope = self._streams[uri] = anyio.CancelScope()
        self._tasks.start_soon(self._keep, uri, scope, agreed)
        try:
            async with asyncio.timeout(self._patience):
                await agreed
        except BaseException as error:
            self._streams.pop(uri, None)
            scope.cancel()
            if isinstance(error, TimeoutError):
                raise CallTimeout(uri, self._patience, server=self._session.name) from None
            raise

    async def _keep(self, uri: str, scope: anyio.CancelScope, agreed: asyncio.Future[None]) -> None:
        """Keep a stream open until it is dropped. Until the server `agreed`, a failure is the caller's."""
        attempt = 0
        try:
            with scope:
                while not self._session.lost.is_set():
                    began = self._session.clock()
                    await self._hear_out(uri, agreed)
                    lived = self._session.clock() - began
                    attempt = 0 if lived >= self._session.pace.stable_after else attempt + 1
                    await asyncio.sleep(self._session.backoff(attempt))
        finally:
            if not agreed.done():
                agreed.set_exception(ServerDisconnected(self._session.name, uri, "the session ended"))

    async def _hear_out(self, uri: str, agreed: asyncio.Future[None]) -> None:
        """One stream, until it ends. Updates are only drained: the SDK hands each to the session, too."""
        try:
            async with AsyncExitStack() as stack:
                client = self._session.client
                if client is None:
                    return
                events: Subscription = await stack.enter_async_context(
                    client.listen(resource_subscriptions=[uri])
                )
                self._agree(uri, events, agreed)
                async for _ in events:
                    pass
        except SubscriptionLost:
            self._session.suspect()
        except MCPError as error:
            if not agreed.done():
                agreed.set_exception(ToolError(self._session.name, uri, error.message, code=error.code))

    def _agree(self, uri: str, events: Subscription, agreed: asyncio.Future[None]) -> None:
        if agreed.done():
            self._session.listener.on_resource(uri)  # what changed while nobody listened is not told
        elif events.honored.resource_subscriptions:
            agreed.set_result(None)
        else:
            agreed.set_exception(ToolError(self._session.name, uri, _UNTOLD))


async def _send(
    client: Client, request: mcp_types.SubscribeRequest | mcp_types.UnsubscribeRequest
) -> mcp_types.EmptyResult:
    # Not the SDK's own method: that warns, for the sake of the other era.
    return await client.session.send_request(request, mcp_types.EmptyResult)
