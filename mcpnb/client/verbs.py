"""The verbs that a client and its views share: what a user says, before anything is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from mcpnb.client.arguments import given
from mcpnb.client.call_options import changed, showing_options
from mcpnb.client.documents import Document
from mcpnb.model import CallOptions, Priority
from mcpnb.result import Aggregate, Result
from mcpnb.routing import Finish

if TYPE_CHECKING:
    from mcpnb.catalog import Catalog, ToolEntry
    from mcpnb.client.core import MultiServerClient
    from mcpnb.connection import Listing


_NONE = CallOptions()


class Verbs:
    """The verbs of the client and of its views. A view differs in the options of its calls only."""

    _client: MultiServerClient
    _options: CallOptions

    def check_open(self) -> None:
        """Nothing, as long as the client was not closed.

        Raises:
            ConfigError: It was.
        """
        self._client.check_open()

    def meaning(self, tool: str) -> tuple[str, ToolEntry, bool]:
        """What a name means under these options: the tool's name, the tool, and if calls may be sent again.

        The tool is another one when nobody has this one and that was declared to stand in.

        Raises:
            ToolNotFound, AmbiguousTool, ToolChanged, NoServerAvailable: As a call does.
        """
        name, entry = self._client.meant(tool, self._options)
        repeatable = self._options.idempotent
        return name, entry, entry.idempotent if repeatable is None else repeatable

    async def call(self, tool: str, arguments: Mapping[str, Any] | None = None, /, **named: Any) -> Result:
        """Call a tool on the server that routing picks. Every keyword is an argument of the tool.

        Raises:
            ToolNotFound, AmbiguousTool, ArgumentError: Before anything is sent.
            ToolError: The tool said no (unless `raise_on_error=False`).
            NoServerAvailable, ServerDisconnected, CallTimeout: No answer, and why.
        """
        return await self._client.route(tool, given(tool, arguments, named), self._options)

    async def call_tool(self, name: str, arguments: Mapping[str, Any] | None = None) -> Result:
        """The SDK's shape of `call`."""
        return await self._client.route(name, given(name, arguments, {}), self._options)

    async def gather(
        self, tool: str, arguments: Mapping[str, Any] | None = None, /, **named: Any
    ) -> Aggregate:
        """Call a tool on every server that has it, at once, and fuse the answers.

        Raises:
            NoServerAvailable: All of them failed; a line per server.
        """
        return await self._client.fan_out(tool, given(tool, arguments, named), self._options)

    async def read(self, uri: str) -> Document:
        """Read a resource (a template's too: the URI filled in) from the server that routing picks.

        Raises:
            ToolNotFound: No server lists it, and no template fits.
            ToolError: The server would not give it.
            NoServerAvailable, ServerDisconnected, CallTimeout: No answer, and why.
        """
        return await self._client.documents.read(uri, self._options)

    async def prompt(
        self, name: str, arguments: Mapping[str, Any] | None = None, /, **named: Any
    ) -> Document:
        """Get a prompt from the server that routing picks. Every keyword is an argument of the prompt.

        Raises as `read` does; `ArgumentError` when one that is required is missing.
        """
        return await self._client.documents.prompt(name, given(name, arguments, named), self._options)

    async def complete(self, name: str, argument: str, value: str = "", **known: str) -> list[str]:
        """What an argument of a prompt, of a resource template (its URI) or of a tool may be.

        A prompt's and a template's server is asked, where it completes; a tool's schema is looked at, since
        the protocol has no question for tools. `known` are arguments that were filled in before.

        Raises as `read` does.
        """
        return await self._client.documents.complete(name, argument, value, known, self._options)

    async def subscribe(self, uri: str) -> str:
        """Have an event `resource_updated` told when a resource changes; returns the server that tells.

        It outlives reconnections: after a gap one is told as well, since the resource may have changed.

        Raises as `read` does; `ToolError` when the server does not tell of changes.
        """
        return await self._client.documents.subscribe(uri, self._options)

    async def unsubscribe(self, uri: str) -> None:
        """Hear no more of a resource."""
        await self._client.documents.unsubscribe(uri)

    def listings(self) -> dict[str, Listing]:
        """Server → everything that it said it offers."""
        # A copy: the loop adds and removes servers meanwhile.
        return {name: link.listing for name, link in list(self._client.members.connections.items())}

    @showing_options
    def options(self, **changes: Any) -> CallView:
        """The same verbs with other call options (the fields of `CallOptions`). Cheap; shares everything.

        Raises:
            TypeError: An unknown option.
            ValueError: A value that is none for its option.
            StrategyError: An unknown strategy.
        """
        return CallView(self._client, changed(self._options, changes))


class CallView(Verbs):
    """The client's verbs under other call options."""

    def __init__(self, client: MultiServerClient, options: CallOptions) -> None:
        self._client, self._options = client, options

    @property
    def catalog(self) -> Catalog:
        """What the client's servers offer."""
        return self._client.catalog

    @property
    def call_options(self) -> CallOptions:
        """The options of its calls."""
        return self._options

    def __repr__(self) -> str:
        said = [
            f"{each.name}={value!r}"
            for each in fields(self._options)
            if (value := getattr(self._options, each.name)) != getattr(_NONE, each.name)
            and each.name != "fuse"  # which `method` says, too
        ]
        shown = ", ".join(said) or "no options"
        return f"<CallView of {self._client.name}: {shown}>"


class Trial(CallView):
    """A view under a strategy of its own that starts without history; see `MultiServerClient.trial`."""

    @property
    def strategy(self) -> str:
        """The name under which routing keeps this trial's strategy."""
        return self._options.strategy or ""

    async def trace(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the call's own deadline
        priority: Priority = "normal",
    ) -> Finish:
        """One call as routing saw it, whatever its end."""
        options = replace(self._options, timeout=timeout, priority=priority)
        return await self._client.trace(tool, dict(arguments), options)

    def close(self) -> None:
        """Drop the strategy and what it learned."""
        self._client.end_trial(self)
