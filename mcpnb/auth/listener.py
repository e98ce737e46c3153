"""Where the browser comes back to: a listener on this computer, for one login. It knows no tokens.

It answers on the loopback interface only, to one path, with one small page, and is gone with the login.
"""

from __future__ import annotations

import asyncio
import html
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from mcpnb.errors import AuthError

from .refusal import NoToken
from .request import LoginRequest

__all__ = ["Listener"]

_PATH = "/callback"
_PATIENCE = 10.0
"""Seconds for a browser to send its request: it comes from this computer."""
_LONGEST = 16384
"""Bytes of a request's head."""

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem;
color-scheme:light dark}}</style><h1>{title}</h1><p>{text}</p></html>
"""
_HEADERS = (
    "Content-Type: text/html; charset=utf-8",
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'",
    "Referrer-Policy: no-referrer",
    "Cache-Control: no-store",
    "Connection: close",
)


class Listener:
    """Listens once opened, answers once it has a login to hand answers to; `async with` closes it."""

    def __init__(self, servers: list[asyncio.Server], redirect_uri: str) -> None:
        self._servers = servers
        self.redirect_uri = redirect_uri
        """The address to come back to, with the port that it got."""
        self._request: LoginRequest | None = None
        self._talks: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, redirect_uri: str | None = None, port: int | None = None) -> Listener:
        """Listen at that address, at that port, or at any free one.

        Raises:
            NoToken: The port is taken.
        """
        parts = urlsplit(redirect_uri or f"http://127.0.0.1:{port or 0}{_PATH}")
        listener = cls([], redirect_uri or "")
        hosts = ("127.0.0.1", "::1") if parts.hostname == "localhost" else (parts.hostname or "127.0.0.1",)
        for host in hosts:
            try:
                server = await asyncio.start_server(listener.met, host, parts.port or 0, limit=_LONGEST)
            except OSError as error:
                if listener._servers:  # no IPv6 here: the browser finds the other one
                    break
                why = error.strerror or str(error)
                raise NoToken(f"nobody can come back to {host}:{parts.port or 0}: {why}") from None
            listener._servers.append(server)
        if redirect_uri is None:
            listener.redirect_uri = f"http://127.0.0.1:{listener.port}{_PATH}"
        return listener

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._servers[0].sockets[0].getsockname()[1])

    def serve(self, request: LoginRequest) -> None:
        """Hand what browsers bring to this login from now on."""
        self._request = request

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.close()
        if self._talks:  # a page that is being sent still arrives
            _, late = await asyncio.wait(self._talks, timeout=1.0)
            for task in late:
                task.cancel()
        for server in self._servers:
            await server.wait_closed()

    async def met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a browser."""
        task = asyncio.current_task()
        if task is not None:
            self._talks.add(task)
            task.add_done_callback(self._talks.discard)
        try:
            async with asyncio.timeout(_PATIENCE):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, _, rest = head.partition("\r\n")[0].partition(" ")
                writer.write(_response(*self._said(method, rest.partition(" ")[0])))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # no browser: it gets no answer
        finally:
            writer.close()

    def _said(self, method: str, target: str) -> tuple[HTTPStatus, str, str]:
        request = self._request
        if method != "GET" or urlsplit(target).path != urlsplit(self.redirect_uri).path or request is None:
            return HTTPStatus.NOT_FOUND, "Nothing here", "This address only takes the end of a login."
        try:
            request.answer(f"http://127.0.0.1{target}")
        except AuthError as error:
            return HTTPStatus.BAD_REQUEST, "Not this login", str(error)
        if request.error is not None:
            return HTTPStatus.OK, "Not logged in", request.error
        where = f"The login at {request.issuer} has come back. You can close this window."
        return HTTPStatus.OK, "Thank you", where


def _response(status: HTTPStatus, title: str, text: str) -> bytes:
    body = _PAGE.format(title=html.escape(title), text=html.escape(text)).encode()
    head = (f"HTTP/1.1 {status} {status.phrase}", *_HEADERS, f"Content-Length: {len(body)}", "", "")
    return "\r\n".join(head).encode("latin-1") + body
