"""Requests to authorization servers, and the rule for redirects that every request of ours follows.

A request that carries a secret, or that asks where to send one, ends at the server that it was meant for: it
is redirected within its origin only. It owns that, time and size; what is asked is the business of others.
"""

from __future__ import annotations

import functools
import os
import ssl

import httpx2

from .refusal import NoToken

__all__ = ["Web", "onward", "same_origin", "tls"]

_TIMEOUT = httpx2.Timeout(10.0, connect=5.0)
_REDIRECTS = 5
_MOST = 1 << 20
"""Bytes of an answer: the longest metadata in the field have some 10 kB."""


def onward(response: httpx2.Response) -> httpx2.Request | None:
    """The request that follows a redirect, by the SDK's rule: it keeps its method and stays at its server."""
    there = response.next_request
    if there is None or there.method != response.request.method:
        return None
    return there if same_origin(response.request.url, there.url) else None


def same_origin(here: httpx2.URL, there: httpx2.URL) -> bool:
    """Whether what was meant for `here` may be sent `there`: its origin, or the same host secured."""
    upgrade = here.scheme == "http" and there.scheme == "https" and here.port is there.port is None
    same = (here.scheme, here.port) == (there.scheme, there.port)
    return here.host == there.host and (same or upgrade)


def tls() -> ssl.SSLContext:
    """What connections are secured with: made once, because reading the certificates stops the loop.

    A notebook may correct its environment, which counts from the next attempt to connect.
    """
    return _tls_of(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@functools.cache
def _tls_of(file: str | None, folder: str | None) -> ssl.SSLContext:
    del file, folder  # httpx reads them itself
    return httpx2.create_ssl_context()


class Web:
    """One HTTP client for all authorization servers; opened when first needed.

    `transport` is for tests: an application in this process instead of the network.
    """

    def __init__(self, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._transport = transport
        self._client: httpx2.AsyncClient | None = None

    async def send(self, request: httpx2.Request) -> httpx2.Response:
        """The whole answer, whatever its status.

        Raises:
            NoToken: There was none, it was too long, or it sent us elsewhere.
        """
        try:
            for _ in range(_REDIRECTS + 1):
                response = await self._send(request)
                if response.next_request is None:
                    return response
                following = onward(response)
                if following is None:
                    there = _where(response.next_request)
                    raise NoToken(f"{_where(request)} redirects to {there}, which is not followed")
                request = following
        except (httpx2.RequestError, OSError) as error:
            if isinstance(error, NoToken):
                raise
            why = str(error) or type(error).__name__
            passing = not isinstance(error, httpx2.UnsupportedProtocol)
            raise NoToken(f"{_where(request)} cannot be reached: {why}", passing=passing) from None
        raise NoToken(f"{_where(request)} redirects without end")

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        if self._client is None:
            verify = True if self._transport is not None else tls()
            self._client = httpx2.AsyncClient(transport=self._transport, timeout=_TIMEOUT, verify=verify)
        request.headers.setdefault("accept", "application/json")
        response = await self._client.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MOST:
                    raise NoToken(f"{_where(request)} answers with more than {_MOST >> 20} MiB")
        finally:
            await response.aclose()
        return _whole(response, bytes(body))

    async def aclose(self) -> None:
        """Close its connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _whole(response: httpx2.Response, body: bytes) -> httpx2.Response:
    """The same answer with its body read and decoded."""
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_BODY]
    whole = httpx2.Response(response.status_code, headers=headers, content=body, request=response.request)
    whole.next_request = response.next_request
    return whole


_OF_THE_BODY = frozenset({"content-encoding", "content-length", "transfer-encoding"})


def _where(request: httpx2.Request) -> str:
    """An address for people: without what may be secret."""
    return str(request.url.copy_with(userinfo=b"", query=None, fragment=None))
