"""Streamable HTTP: an HTTP client that tells each call what went wrong with it, over SSE (`sse`) as well.

The SDK turns every HTTP failure into the same two errors, and a network error into the end of the whole
session with every call on it. So this client never raises at the SDK. What went wrong is written on the
flight whose request it was (and reported to the session); the SDK gets an answer it knows how to pass on.

It classifies nothing (`faults` does) and decides nothing about the session (`session` does).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import httpx2
from mcp.client.streamable_http import streamable_http_client

from mcpnb.auth.web import onward, tls

from .bodies import OnPiece, unhurried
from .faults import NOT_EXECUTED, Fault, fault_of_error, fault_of_response
from .flight import FLIGHT, Flight
from .messages import MAX_BYTES
from .pace import Pace
from .replies import understood

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

__all__ = ["WatchedHttp", "http_transport"]

_TIMEOUT = httpx2.Timeout(30.0, connect=5.0, read=300.0)
"""The SDK's own, but for connecting: a call that nobody takes should be free to go elsewhere soon."""

# Below the 5 s after which uvicorn and Node close idle connections: a request must not meet the closing.
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=4.0)

_PROBE, _HANDSHAKE = b'"method":"server/discover"', b'"method":"initialize"'
_IN_ORDER = (_HANDSHAKE, b'"method":"notifications/initialized"')
_OUTAGE = frozenset({429, 502, 503, 504})
"""Statuses that say nothing of the server's era; an old server may answer what it does not know with 500."""

_CANCELLATION = b'"method":"notifications/cancelled"'
_METHOD_IS_WITHIN = 120
"""Bytes of a JSON-RPC message in which the SDK has written the method."""

Report = Callable[[Fault, Flight | None], None]


class WatchedHttp(httpx2.AsyncClient):
    """The HTTP client of one session.

    `where` is the address for people. `report` hears of every fault, with the flight it happened to, if any.
    `auth` brings tokens; where it has none, that is a fault like others. `on_piece` is awaited between pieces
    of long answers.
    """

    def __init__(
        self,
        *,
        headers: Mapping[str, str],
        where: str,
        report: Report,
        pace: Pace,
        answers_elsewhere: bool = False,
        auth: httpx2.Auth | None = None,
        on_piece: OnPiece | None = None,
    ) -> None:
        super().__init__(headers=dict(headers), auth=auth, timeout=_TIMEOUT, limits=_LIMITS, verify=tls())
        self._where, self._report, self.pace = where, report, pace
        self._on_piece = on_piece
        self.answers_elsewhere = answers_elsewhere
        """SSE: a POST only delivers; the answer comes over the one stream."""
        self._background: set[asyncio.Task[None]] = set()
        self.last_status: int | None = None
        self.gone = False
        """True once there is nobody left to say goodbye to."""
        self._probed_in_vain = False
        """The question for the era never reached a server."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send it; answer with a substitute where the SDK would be hurt by the truth."""
        flight = FLIGHT.get()
        if request.method == "DELETE":
            return await self._farewell(request, options)
        if _takes_back(request, flight):
            return httpx2.Response(202, request=request)
        if request.method == "POST":
            await request.aread()  # the one that follows a redirect has a body that was not read yet
            if self._probed_in_vain and _HANDSHAKE in request.content[:_METHOD_IS_WITHIN]:
                # The SDK takes an outage for an old server, and one that is back by now would stay one.
                return httpx2.Response(502, request=request)
        if request.method == "POST" and self._can_wait(request.content[:_METHOD_IS_WITHIN]):
            task = asyncio.create_task(self._post_beside(request, flight, options))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
            return httpx2.Response(202, request=request)
        if self.answers_elsewhere:
            return await self._send_following(request, flight, options)
        return await self._send_watched(request, flight, options)

    def drop_background(self) -> None:
        """Give up what is still being posted beside the calls."""
        for task in tuple(self._background):
            task.cancel()

    def _can_wait(self, start: bytes) -> bool:
        """Whether nothing that is sent later depends on this message having arrived.

        The SDK posts what needs no answer one after the other, and a server that hangs on one of them would
        stop all. Over SSE no caller waits for his POST: its answer comes elsewhere, or his time ends.
        Cancellations are only a courtesy.
        """
        if _CANCELLATION in start:
            return True
        return self.answers_elsewhere and not any(method in start for method in _IN_ORDER)

    async def _post_beside(
        self, request: httpx2.Request, flight: Flight | None, options: dict[str, Any]
    ) -> None:
        if _CANCELLATION in request.content[:_METHOD_IS_WITHIN]:
            request.extensions = {
                **request.extensions,
                "timeout": httpx2.Timeout(self.pace.courtesy).as_dict(),
            }
            flight = None
        response = await self._send_following(request, flight, options)
        await response.aclose()
        if response.status_code == 404 and self.answers_elsewhere and flight is not None:
            self._tell(Fault("lost", "the server no longer knows this session"), flight)
        fault = flight.fault if flight is not None else None
        if flight is not None and (fault is not None or response.status_code >= 400):
            flight.cut(
                fault or Fault("broken", f"HTTP {response.status_code} {response.reason_phrase}".rstrip())
            )

    async def _send_following(
        self, request: httpx2.Request, flight: Flight | None, options: dict[str, Any]
    ) -> httpx2.Response:
        """As the SDK does where it waits for the answer itself: follow redirects within the server."""
        response = await self._send_watched(request, flight, options)
        for _ in range(self.max_redirects):
            following = onward(response)
            if following is None:
                break
            await response.aclose()
            await following.aread()
            response = await self._send_watched(following, flight, options)
        return response

    async def _farewell(self, request: httpx2.Request, options: dict[str, Any]) -> httpx2.Response:
        if not self.gone:
            try:
                async with asyncio.timeout(self.pace.farewell):
                    return await super().send(request, **options)
            except (httpx2.RequestError, OSError, TimeoutError):
                self.gone = True
        return httpx2.Response(204, request=request)

    async def _send_watched(
        self, request: httpx2.Request, flight: Flight | None, options: dict[str, Any]
    ) -> httpx2.Response:
        try:
            response = await super().send(request, **options)
        except (httpx2.RequestError, OSError) as error:
            return self._substitute(request, flight, error)
        following = onward(response)
        fault = None if following is not None else _moved(response) or fault_of_response(response)
        if fault is not None:
            self._tell(fault, flight)
        if response.status_code in _OUTAGE:
            self._note_probe(request)
        self.last_status = response.status_code
        if flight is not None and following is None:
            flight.status = flight.status or response.status_code
        unhurried(response, self._on_piece)
        if response.headers.get("content-type", "").startswith("application/json"):
            response = await self._whole(request, response, flight)
        else:
            response.stream = _WatchedStream(response, self, flight)
        if request.method != "POST" or self.answers_elsewhere:
            return response
        told = understood(request, response)
        if told is not response:
            await response.aclose()
        return told

    async def _whole(
        self, request: httpx2.Request, response: httpx2.Response, flight: Flight | None
    ) -> httpx2.Response:
        """Read a JSON body here: the SDK would let a break in it end the session."""
        try:
            await response.aread()
        except (httpx2.RequestError, OSError) as error:
            await response.aclose()
            return self._substitute(request, flight, error)
        return response

    def _substitute(
        self, request: httpx2.Request, flight: Flight | None, error: Exception
    ) -> httpx2.Response:
        self.broke(error, flight)
        self._note_probe(request)
        return httpx2.Response(502, request=request)

    def _note_probe(self, request: httpx2.Request) -> None:
        if request.method == "POST" and _PROBE in request.content[:_METHOD_IS_WITHIN]:
            self._probed_in_vain = True

    def broke(self, error: Exception, flight: Flight | None) -> None:
        """Tell of an error of the network."""
        self._tell(fault_of_error(error, self._where), flight)

    def ended(self, method: str) -> None:
        """A body came to its end. Over SSE every answer arrives in one that never should."""
        if self.answers_elsewhere and method == "GET":
            self._tell(Fault("lost", f"{self._where} ended its stream of answers"), None)

    def _tell(self, fault: Fault, flight: Flight | None) -> None:
        if flight is not None:
            flight.met(fault)
        self._report(fault, flight)


def _takes_back(request: httpx2.Request, flight: Flight | None) -> bool:
    """Whether it cancels a request that was never taken: the SDK does for each whose task we cut short."""
    if flight is None or flight.fault is None or flight.fault.kind not in NOT_EXECUTED:
        return False
    return request.method == "POST" and _CANCELLATION in request.content[:_METHOD_IS_WITHIN]


def _moved(response: httpx2.Response) -> Fault | None:
    """A redirect that is not followed: headers and arguments were meant for the server that we know."""
    if response.next_request is None:
        return None
    address = response.next_request.url.copy_with(userinfo=b"", query=None, fragment=None)
    return Fault("refused", f"HTTP {response.status_code}: it says that it has moved to {address}")


class _WatchedStream(httpx2.AsyncByteStream):
    """A body that ends when its connection breaks, after saying so to the flight it belongs to."""

    def __init__(self, response: httpx2.Response, client: WatchedHttp, flight: Flight | None) -> None:
        self._inner = cast("httpx2.AsyncByteStream", response.stream)
        self._chunks = aiter(self._inner)
        self._client, self._flight = client, flight
        self._method = response.request.method
        self._ended = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except (httpx2.RequestError, OSError) as error:
            self._client.broke(error, self._flight)
            self._client.ended(self._method)
            raise StopAsyncIteration from None
        except StopAsyncIteration:
            self._ended = True
            self._client.ended(self._method)
            raise

    async def aclose(self) -> None:
        """Close; an answer that was read to its last event ends by itself, and its connection is kept then.

        The SDK closes at that event, a moment before the server ends the body, and so would have every call
        over an event stream open a connection of its own.
        """
        try:
            if self._method == "POST" and not self._ended:
                async with asyncio.timeout(self._client.pace.last_chunk):
                    async for _ in self:
                        pass
        except TimeoutError:
            pass  # it stays open: then the connection is given up
        finally:
            await self._inner.aclose()


@asynccontextmanager
async def http_transport(url: str, client: WatchedHttp) -> AsyncGenerator[TransportStreams]:
    """The SDK's Streamable HTTP transport over `client`, which ends with it."""
    try:
        async with (
            client,
            # Its own bound for an event, 1 MiB, is less than one picture takes.
            streamable_http_client(url, http_client=client, max_sse_event_size=MAX_BYTES) as streams,
        ):
            yield streams
    finally:
        client.drop_background()
