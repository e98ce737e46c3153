"""An ASGI application served on this loop, on a port of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn


class Announced(uvicorn.Server):
    """Tells when it takes connections, and leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        self.up.set()

    def capture_signals(self):
        from contextlib import nullcontext

        return nullcontext()


@asynccontextmanager
async def served(app, port: int = 0) -> AsyncIterator[str]:
    """The application's URL while it is served."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen()
        settings = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=0)
        server = Announced(settings)
        running = asyncio.create_task(server.serve(sockets=[listening]))
        await server.up.wait()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running
