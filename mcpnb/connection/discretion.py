"""What a server says when something went wrong, without the secrets it was given.

Servers like to repeat what they were sent: a tool's error quotes the token that it refused, and both the
error and the traceback end up in a notebook. Answers that are no errors are data, and stay as they are.

It owns which texts of an error are looked through; what is secret it is told.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import Context
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from mcp import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError

if TYPE_CHECKING:
    import mcp_types
    from mcp.client._transport import ReadStream, TransportStreams

__all__ = ["discreet_cause", "discreet_error", "discreet_transport"]

Redact = Callable[[str], str]


def discreet_error(result: mcp_types.CallToolResult, redact: Redact) -> mcp_types.CallToolResult:
    """A tool's result; where the tool marked it as an error, its texts are redacted."""
    if not result.is_error:
        return result
    content = [
        block.model_copy(update={"text": redact(block.text)}) if block.type == "text" else block
        for block in result.content
    ]
    structured = _redacted(result.structured_content, redact)
    return result.model_copy(update={"content": content, "structured_content": structured})


def discreet_cause(error: Exception, redact: Redact) -> Exception:
    """What the SDK raised, fit to be shown as a cause: itself, unless its words have to change."""
    said = str(error)
    shown = redact(said)
    if shown == said:
        return error
    told = MCPError(error.code, shown) if isinstance(error, MCPError) else RuntimeError(shown)
    return told.with_traceback(error.__traceback__)


@asynccontextmanager
async def discreet_transport(
    transport: AbstractAsyncContextManager[TransportStreams], redact: Redact
) -> AsyncGenerator[TransportStreams]:
    """A transport whose errors are redacted before the SDK has them, which tells OpenTelemetry of them."""
    async with transport as (incoming, outgoing):
        yield _DiscreetStream(incoming, redact), outgoing


class _DiscreetStream:
    """What comes from a server, as the SDK reads it."""

    def __init__(self, inner: ReadStream[SessionMessage | Exception], redact: Redact) -> None:
        self._inner, self._redact = inner, redact

    @property
    def last_context(self) -> Context | None:
        """The context that the last message was sent in, where the transport knows it."""
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        """The next message."""
        return self._looked_through(await self._inner.receive())

    def _looked_through(self, item: SessionMessage | Exception) -> SessionMessage | Exception:
        if isinstance(item, SessionMessage) and isinstance(item.message, JSONRPCError):
            item.message.error.message = self._redact(item.message.error.message)
        return item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        return self._looked_through(await self._inner.__anext__())

    async def aclose(self) -> None:
        """Read no more."""
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        return await self._inner.__aexit__(exc_type, exc_val, exc_tb)


def _redacted(value: Any, redact: Redact) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_redacted(item, redact) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _redacted(item, redact) for key, item in cast("dict[str, Any]", value).items()}
    return value
