"""SSE, the transport before Streamable HTTP: one stream of events brings the answers, requests are posted.

Instead of the SDK's `sse_client`, which reads no event of more than 1 MiB, less than one picture takes, and
ends the session at it. It knows the two ways and the messages on them; what goes wrong there, `http` tells.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
import httpx2
from anyio.abc import TaskStatus
from anyio.streams.memory import MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from .http import WatchedHttp
from .messages import MAX_BYTES, message

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

__all__ = ["sse_transport"]

_LISTENING = {"accept": "text/event-stream", "cache-control": "no-store"}
_TELLING = {"content-type": "application/json"}

Incoming = MemoryObjectSendStream[SessionMessage | Exception]


@asynccontextmanager
async def sse_transport(url: str, client: WatchedHttp) -> AsyncGenerator[TransportStreams]:
    """Listen at `url` and post to where it says, both over `client`, which ends with it.

    Raises:
        httpx2.HTTPStatusError, httpx2.SSEError: There is no stream of events.
        ValueError: It has the messages posted to another server.
    """
    incoming, read_stream = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    try:
        async with client, incoming, read_stream, anyio.create_task_group() as tasks:
            endpoint: httpx2.URL = await tasks.start(_listen, url, client, incoming)
            yield read_stream, _Outgoing(client, endpoint)
            tasks.cancel_scope.cancel()
    finally:
        client.drop_background()


async def _listen(
    url: str, client: WatchedHttp, incoming: Incoming, *, task_status: TaskStatus[httpx2.URL]
) -> None:
    """Hear the stream to its end; started once it has said where messages are posted."""
    response = await client.send(client.build_request("GET", url, headers=_LISTENING), stream=True)
    told = False
    try:
        response.raise_for_status()
        async for event in httpx2.EventSource(response, max_event_size=MAX_BYTES):
            if event.event == "endpoint" and not told:
                task_status.started(_endpoint(url, event.data))
                told = True
            elif event.event == "message" and event.data:  # some keep the stream alive by empty ones
                await incoming.send(_received(event.data))
    finally:
        incoming.close()
        await response.aclose()


def _endpoint(url: str, said: str) -> httpx2.URL:
    """Where messages are posted: on the server that we know, for which headers and arguments are meant."""
    here, there = httpx2.URL(url), httpx2.URL(url).join(said)
    if (here.scheme, here.host, here.port) != (there.scheme, there.host, there.port):
        elsewhere = there.copy_with(userinfo=b"", query=None, fragment=None)
        raise ValueError(f"it has messages posted to another server, {elsewhere}")
    return there


def _received(text: str) -> SessionMessage | Exception:
    try:
        return SessionMessage(message(text))
    except ValueError as error:
        return error


class _Outgoing:
    """The SDK's way out: each message is posted in its sender's task, so that it is known whose it is."""

    def __init__(self, client: WatchedHttp, endpoint: httpx2.URL) -> None:
        self._client, self._endpoint = client, endpoint
        self._closed = False

    async def send(self, item: SessionMessage) -> None:
        """Post it. Returns before the server has taken it, unless what follows depends on that.

        Raises:
            anyio.ClosedResourceError: The transport has ended.
            httpx2.HTTPStatusError: The server did not take what was waited for.
        """
        if self._closed:
            raise anyio.ClosedResourceError
        text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        request = self._client.build_request("POST", self._endpoint, content=text, headers=_TELLING)
        (await self._client.send(request)).raise_for_status()

    async def aclose(self) -> None:
        """Take no more."""
        self._closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.aclose()
