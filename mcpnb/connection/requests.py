"""The requests that a server takes, as verbs. Over which session they go, the class that has them says."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import mcp_types
from mcp import Client
from mcp.shared.dispatcher import ProgressFnT

from .discretion import discreet_error

__all__ = ["OnProgress", "Requests"]

T = TypeVar("T")

OnProgress = Callable[[float, float | None, str | None], object]
"""Called with progress, total and message, as far as the server tells them; a coroutine is awaited."""


class Requests:
    """Requests to one server, each sent once. `timeout` is in seconds.

    Every verb raises:
        ConnectError: It was certainly not executed.
        ServerDisconnected: The server went away meanwhile; it may have been executed.
        CallTimeout: No answer in time; it may have been executed.
        ToolError: The answer is an error of the protocol (`code`), or does not fit it.
    """

    def exchange(
        self, what: str, send: Callable[[Client], Awaitable[T]], timeout: float | None
    ) -> Awaitable[T]:
        """One request over a session that takes some; `what` names it in errors."""
        raise NotImplementedError

    def redacted(self, text: str) -> str:
        """The text without this server's secrets."""
        raise NotImplementedError

    async def call_tool(
        self,
        tool: str,
        arguments: dict[str, Any],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - kept by the flight, which is cheaper
        on_progress: OnProgress | None = None,
    ) -> mcp_types.CallToolResult:
        """Call a tool. A result that the tool marked as an error is returned like any other."""
        progress = None if on_progress is None else _awaitable(on_progress)
        result = await self.exchange(
            tool, lambda client: client.call_tool(tool, arguments, progress_callback=progress), timeout
        )
        return discreet_error(result, self.redacted)

    async def read_resource(
        self,
        uri: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as in call_tool
    ) -> mcp_types.ReadResourceResult:
        """Read a resource."""
        return await self.exchange(uri, lambda client: client.read_resource(uri), timeout)

    async def get_prompt(
        self,
        name: str,
        arguments: dict[str, str] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as in call_tool
    ) -> mcp_types.GetPromptResult:
        """Get a prompt."""
        return await self.exchange(name, lambda client: client.get_prompt(name, arguments), timeout)

    async def complete(
        self,
        ref: mcp_types.PromptReference | mcp_types.ResourceTemplateReference,
        argument: str,
        value: str,
        context: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as in call_tool
    ) -> mcp_types.Completion:
        """What may follow `value` in an argument of a prompt or template.

        `context` has the arguments that were filled in before. A server without `completes` refuses.
        """
        known = None if context is None else dict(context)
        asked = {"name": argument, "value": value}
        result = await self.exchange(
            f"the completion of {argument}", lambda client: client.complete(ref, asked, known), timeout
        )
        return result.completion


def _awaitable(on_progress: OnProgress) -> ProgressFnT:
    async def call(progress: float, total: float | None, message: str | None) -> None:
        waiting = on_progress(progress, total, message)
        if inspect.isawaitable(waiting):
            await waiting

    return call
