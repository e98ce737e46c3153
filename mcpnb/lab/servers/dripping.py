"""Answers that arrive drop by drop: an ASGI wrapper that lets only so many bytes per second through.

Each drop resets a client's read timeout, so only a deadline for the whole call helps against it. It knows no
MCP; how fast the drops come, it asks before every answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio

__all__ = ["Dripping"]

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_BEAT = 0.1
"""Seconds between two drops."""


class Dripping:
    """An app whose answers are slowed down while `pace` says so.

    Args:
        app: Whose answers.
        pace: Bytes per second, or None for all at once.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        app: App,
        pace: Callable[[], float | None],
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._app, self._pace, self._sleep = app, pace, sleep

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """The ASGI face."""
        pace = self._pace() if scope["type"] == "http" else None
        if pace is None:
            await self._app(scope, receive, send)
            return

        async def drip(message: Message) -> None:
            await self._drip(message, pace, send)

        await self._app(scope, receive, drip)

    async def _drip(self, message: Message, pace: float, send: Send) -> None:
        body: bytes = message.get("body", b"") if message["type"] == "http.response.body" else b""
        if not body:
            await send(message)
            return
        size = max(1, round(pace * _BEAT))
        for begin in range(0, len(body), size):
            drop = body[begin : begin + size]
            await self._sleep(len(drop) / pace)
            last = begin + size >= len(body)
            await send({**message, "body": drop, "more_body": not last or message.get("more_body", False)})
