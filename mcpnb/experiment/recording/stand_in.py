"""What stands in for a recorded server: a connection that lists what was listed, and asks for its answers.

It owns the connection's life, which is short: it is there if the server ever was. Which answer a call gets,
and when, it is told.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from mcpnb.config import ServerConfig
from mcpnb.errors import RecordingError
from mcpnb.experiment.recording.news import News
from mcpnb.experiment.recording.reader import SeenServer
from mcpnb.model import Event

if TYPE_CHECKING:
    from mcp import Client

    from mcpnb.connection import Connection

__all__ = ["Answer", "server_of"]

T = TypeVar("T")

Answer = Callable[[str], Awaitable[object]]
"""What the server of that name answers to the call that is being routed."""


def server_of(seen: SeenServer, answer: Answer, changes: Sequence[tuple[float, str]]) -> object:
    """The stand-in for a server. Made here, so that only a replay imports the SDK.

    Args:
        seen: What the recording says of it.
        answer: What it answers.
        changes: Of resources, that it tells of: seconds from the beginning, and which.
    """
    from mcp_types import Prompt, Resource, ResourceTemplate, Tool  # noqa: PLC0415 - as said

    from mcpnb.connection import Connection, Listing, Understudy  # noqa: PLC0415 - as said

    listing = Listing(
        tools=_items(seen, "tools", Tool),
        resources=_items(seen, "resources", Resource),
        templates=_items(seen, "templates", ResourceTemplate),
        prompts=_items(seen, "prompts", Prompt),
    )

    class RecordedConnection(Connection):
        """A server of a recording. It is there if it ever was; else it says why it was not."""

        @property
        def transport(self) -> str:
            return "recorded"

        def start(self) -> None:
            self.protocol = seen.fields.text_or_none("protocol")
            self.server_name = seen.fields.text_or_none("title")
            self.server_version = seen.fields.text_or_none("version")
            self.completes = seen.fields.flag("completes")
            self.listing = listing
            self._news = News(
                changes,
                self.on_resource,
                unchanged=lambda uri: self._tell(
                    "recording", f"no change of {uri} was recorded: none will be told"
                ),
            )
            self._enter("connecting")
            if _was_there(seen):
                self.connected_at = time.time()
                self._tell("tools_changed", f"{len(listing.tools)} tools")
                self._enter("connected")
            else:
                self._enter("failed", seen.error or "it was never connected while this was recorded")
            self._settled.set()

        async def reconnect(self) -> None:
            """There is nothing to connect to."""

        async def exchange(
            self,
            what: str,
            send: Callable[[Client], Awaitable[T]],
            timeout: float | None,  # noqa: ASYNC109 - the dispatcher keeps the deadline
        ) -> T:
            del what, send, timeout
            return cast("T", await answer(self.name))

        async def subscribe(self, uri: str) -> None:
            """Have the recorded changes told; says so where there are none."""
            self._subscribed[uri] = None
            self._news.follow(uri)

        async def unsubscribe(self, uri: str) -> None:
            """Tell no more of a resource."""
            self._subscribed.pop(uri, None)
            self._news.leave(uri)

        async def close(self) -> None:
            """Tell nothing more."""
            await self._news.close()
            await super().close()

    class RecordedServer(Understudy):
        """The server of a recording."""

        def connection(
            self, config: ServerConfig, *, on_change: Callable[[Connection, Event], None], rng: random.Random
        ) -> Connection:
            return RecordedConnection(config, on_change=on_change, rng=rng)

    return RecordedServer()


def _was_there(seen: SeenServer) -> bool:
    return any(seen.listing.values()) or seen.state in {"connected", "degraded", "draining"}


def _items(seen: SeenServer, kind: str, model: Any) -> tuple[Any, ...]:
    try:
        return tuple(model.model_validate(item) for item in seen.listing.get(kind, {}).values())
    except ValueError as error:
        where, first = seen.fields, str(error).partition("\n")[0]
        raise RecordingError(where.file, f"{kind} of {seen.name}: {first}", line=where.line) from None
