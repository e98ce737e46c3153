"""Resources, prompts and completions: found, and asked for through routing like a tool call.

It owns which servers are candidates (replicas are declared, as for tools) and what comes back (`Document`).
Which of the candidates answers, and what happens when one fails, is routing's business.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, cast

from mcpnb.catalog import Catalog, Kind
from mcpnb.catalog.parameters import mapping, sequence
from mcpnb.client.arguments import carried
from mcpnb.client.cache import canonical
from mcpnb.client.membership import Membership
from mcpnb.errors import ArgumentError, McpnbError, NoServerAvailable, ToolNotFound, suggest
from mcpnb.model import USABLE_STATES, CallOptions, Outcome
from mcpnb.result import Result
from mcpnb.routing import Finish

if TYPE_CHECKING:
    from mcp_types import (
        BlobResourceContents,
        Completion,
        ContentBlock,
        GetPromptResult,
        Prompt,
        ReadResourceResult,
        TextResourceContents,
    )

    from mcpnb.connection import Connection, ConnectionPool, Listing

    Link = Connection | ConnectionPool
    Contents = TextResourceContents | BlobResourceContents

__all__ = ["Document", "Documents", "Job", "Question", "key_of"]


class Question(NamedTuple):
    """What a call asks, whoever it is sent to: the same question may be answered by a recording."""

    kind: Literal["tool", "resource", "prompt", "completion"]
    name: str
    """A tool's or a prompt's name, a resource's URI."""
    arguments: Mapping[str, object]
    """As the caller gave them."""

    @property
    def key(self) -> str:
        """See `key_of`."""
        return key_of(self.name, self.arguments)


def key_of(name: str, arguments: Mapping[str, object]) -> str:
    """What is asked, as 32 letters: the arguments in any order, or the name where there are none."""
    asked = (canonical(arguments) if arguments else None) or name
    return hashlib.blake2b(asked.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class Job(Protocol):
    """What the attempts of one call send."""

    @property
    def question(self) -> Question:
        """What it asks."""
        ...

    async def send(self, connection: Link, tool: str) -> Outcome:
        """Send it once; `tool` is what routing calls it.

        Raises:
            ConnectError, ServerDisconnected, CallTimeout, ToolError: No answer, or an error instead of one.
        """
        ...


Run = Callable[[str, tuple[str, ...], Job, CallOptions], Awaitable[Finish]]
"""Routes a job: the name it goes by, its candidates, the job, the call's options."""


@dataclass(frozen=True, repr=False)
class Document(Result):
    """A resource or a prompt, and why it came from where it came from."""

    raw: ReadResourceResult | GetPromptResult  # pyright: ignore[reportIncompatibleVariableOverride] - no tool's
    """The SDK's result as it came."""

    @property
    def ok(self) -> bool:
        """True: what is no answer is an error, and raised."""
        return True

    @cached_property
    def content(self) -> list[ContentBlock]:  # pyright: ignore[reportIncompatibleMethodOverride] - kept
        """A prompt's pieces; a resource's parts as text, pictures and sounds, or else embedded resources."""
        from mcp_types import ReadResourceResult  # noqa: PLC0415 - the SDK is loaded by now

        if isinstance(self.raw, ReadResourceResult):
            return [_block(part) for part in self.raw.contents]
        return [message.content for message in self.raw.messages]

    @property
    def text(self) -> str:
        """All text in it; a prompt's messages are a paragraph each."""
        return "\n\n".join(text for block in self.content if (text := _text(block)) is not None)

    @cached_property
    def value(self) -> Any:
        """A resource's text (parsed when it says that it is JSON) or bytes, a list of these when it has
        several parts; a prompt's messages as `{"role": ..., "content": text}`, as model APIs take them.
        """  # noqa: D205 - one sentence
        from mcp_types import ReadResourceResult  # noqa: PLC0415 - as above

        if isinstance(self.raw, ReadResourceResult):
            parts = [_value(part) for part in self.raw.contents]
            return parts[0] if len(parts) == 1 else parts
        return [
            {"role": m.role, "content": m.content if (text := _text(m.content)) is None else text}
            for m in self.raw.messages
        ]

    def __repr__(self) -> str:
        return super().__repr__().replace("Result", "Document", 1)


def _block(part: Contents) -> ContentBlock:
    from mcp_types import (  # noqa: PLC0415 - as above
        AudioContent,
        EmbeddedResource,
        ImageContent,
        TextContent,
        TextResourceContents,
    )

    if isinstance(part, TextResourceContents):
        return TextContent(type="text", text=part.text)
    mime = part.mime_type or ""
    if mime.startswith("image/"):
        return ImageContent(type="image", data=part.blob, mime_type=mime)
    if mime.startswith("audio/"):
        return AudioContent(type="audio", data=part.blob, mime_type=mime)
    return EmbeddedResource(type="resource", resource=part)


def _text(block: ContentBlock) -> str | None:
    if block.type == "text":
        return block.text
    return getattr(block.resource, "text", None) if block.type == "resource" else None


def _value(part: Contents) -> Any:
    text: str | None = getattr(part, "text", None)
    if text is None:
        return base64.b64decode(getattr(part, "blob", ""))
    mime = (part.mime_type or "").partition(";")[0].strip()
    if mime == "application/json" or mime.endswith("+json"):
        try:
            return json.loads(text)
        except ValueError:
            return text  # it says so, and is not
    return text


class _Read(NamedTuple):
    uri: str

    @property
    def question(self) -> Question:
        return Question("resource", self.uri, {})

    async def send(self, connection: Link, tool: str) -> Outcome:
        del tool
        raw = await connection.read_resource(self.uri)
        sizes = (len(getattr(c, "text", "").encode()) + len(getattr(c, "blob", "")) for c in raw.contents)
        return Outcome("ok", raw, None, sum(sizes))


class _Get(NamedTuple):
    name: str
    arguments: dict[str, str]

    @property
    def question(self) -> Question:
        return Question("prompt", self.name, self.arguments)

    async def send(self, connection: Link, tool: str) -> Outcome:
        del tool
        raw = await connection.get_prompt(self.name, self.arguments)
        return Outcome("ok", raw, None, sum(len((_text(m.content) or "").encode()) for m in raw.messages))


class _Complete(NamedTuple):
    template: bool
    name: str
    argument: str
    value: str
    context: Mapping[str, str]

    @property
    def question(self) -> Question:
        asked = {"argument": self.argument, "value": self.value, "template": self.template}
        return Question("completion", self.name, {**asked, "context": dict(self.context)})

    async def send(self, connection: Link, tool: str) -> Outcome:
        from mcp_types import PromptReference, ResourceTemplateReference  # noqa: PLC0415 - the SDK is loaded by now

        del tool
        ref = (
            ResourceTemplateReference(type="ref/resource", uri=self.name)
            if self.template
            else PromptReference(type="ref/prompt", name=self.name)
        )
        found = await connection.complete(ref, self.argument, self.value, self.context or None)
        return Outcome("ok", found)


class Documents:
    """The resources and prompts of a client's servers.

    Args:
        members: Who offers what.
        catalog: What a name means that several of them offer.
        run: Routes a job.
    """

    def __init__(self, members: Membership, catalog: Catalog, run: Run) -> None:
        self._members, self._catalog, self._run = members, catalog, run

    async def read(self, uri: str, options: CallOptions) -> Document:
        """A resource, from one of the servers that have it; see `Verbs.read`."""
        listed, servers, note = self._find(uri, "resource", lambda listing: listing.resource(uri), options)
        finish = await self._run(f"resource {listed}", servers, _Read(uri), options)
        return _document(uri, finish, note)

    async def prompt(self, name: str, arguments: Mapping[str, Any], options: CallOptions) -> Document:
        """A prompt with its arguments filled in; see `Verbs.prompt`."""
        _, servers, note = self._find(name, "prompt", lambda listing: _named(listing, name), options)
        filled = carried(name, {str(key): str(value) for key, value in arguments.items()})
        _check_filled(self._members[servers[0]].listing.prompt(name), filled)
        job = _Get(name, cast("dict[str, str]", filled))
        return _document(name, await self._run(f"prompt {name}", servers, job, options), note)

    async def complete(
        self, name: str, argument: str, value: str, context: Mapping[str, str], options: CallOptions
    ) -> list[str]:
        """What may follow; empty where nobody knows. See `Verbs.complete`."""
        try:
            template, servers = self._completing(name, options)
        except ToolNotFound:
            schema = self._catalog.resolve(name, server=options.server).entry.input_schema
            return [choice for choice in choices(schema, argument) if choice.startswith(value)]
        if not servers:
            return []
        job = _Complete(template, name, argument, value, context)
        finish = await self._run(f"completion {name}", servers, job, options)
        if finish.outcome.value is None:
            raise finish.outcome.error or McpnbError(f"{name} ended as {finish.outcome.kind}")
        found: Completion = finish.outcome.value  # pyright: ignore[reportAssignmentType] - its job put it there
        return found.values

    def _completing(self, name: str, options: CallOptions) -> tuple[bool, tuple[str, ...]]:
        """Whether it is a template rather than a prompt, and those of its servers that complete."""
        try:
            template = False
            _, servers, _ = self._find(name, "prompt", lambda listing: _named(listing, name), options)
        except ToolNotFound:
            template = True
            _, servers, _ = self._find(name, "resource", lambda listing: listing.resource(name), options)
        return template, tuple(server for server in servers if self._members[server].completes)

    async def subscribe(self, uri: str, options: CallOptions) -> str:
        """Subscribe at the first usable server that has the resource; which one it is."""
        _, servers, _ = self._find(uri, "resource", lambda listing: listing.resource(uri), options)
        reasons: dict[str, str] = {}
        for server in servers:
            connection = self._members[server]
            if connection.state in USABLE_STATES:
                await connection.subscribe(uri)
                return server
            reasons[server] = connection.last_error or connection.state
        raise NoServerAvailable(f"resource {uri}", reasons, retry_after=self._members.next_chance(servers))

    async def unsubscribe(self, uri: str) -> None:
        """Hear no more of it, from any server."""
        for connection in list(self._members.connections.values()):
            await connection.unsubscribe(uri)

    # -- who has it

    def _find(
        self, wanted: str, kind: Kind, offered: Callable[[Listing], str | None], options: CallOptions
    ) -> tuple[str, tuple[str, ...], str]:
        """What it is listed as, the candidates in order, and how the choice among several fell."""
        if not isinstance(wanted, str):  # pyright: ignore[reportUnnecessaryIsInstance] - people pass others
            raise TypeError(f"a {kind} is named by a text, not by {wanted!r}")
        found: dict[str, str] = {}
        for name, connection in self._members.connections.items():
            listed = offered(connection.listing) if options.server in {None, name} else None
            if listed is not None:
                found[name] = listed
        if not found:
            raise ToolNotFound(wanted, self._known(kind), kind=kind, note=self._members.away(options.server))
        return self._catalog.resolve_document(kind, wanted, found, version=options.version)

    def _known(self, kind: str) -> Iterable[str]:
        listings = [connection.listing for connection in self._members.connections.values()]
        if kind == "prompt":
            return {prompt.name for listing in listings for prompt in listing.prompts}
        return {resource.uri for listing in listings for resource in listing.resources}


def choices(schema: Mapping[str, object], argument: str) -> list[str]:
    """What a JSON Schema says an argument may be: its enumerated or boolean values, as text."""
    field = mapping(mapping(schema.get("properties")).get(argument))
    values = [*sequence(field.get("enum")), *([field["const"]] if "const" in field else ())]
    if field.get("type") == "boolean":
        values += [True, False]
    return [value if isinstance(value, str) else json.dumps(value) for value in values]


def _named(listing: Listing, name: str) -> str | None:
    return None if listing.prompt(name) is None else name


def _check_filled(prompt: Prompt | None, arguments: Mapping[str, str]) -> None:
    """Nothing, when nothing is missing.

    Raises:
        ArgumentError: One that the server requires is missing.
    """
    known = () if prompt is None else prompt.arguments or ()
    missing = [each.name for each in known if each.required and each.name not in arguments]
    if prompt is not None and missing:
        near = suggest(missing[0], [name for name in arguments if name not in {each.name for each in known}])
        instead = f"; {near[0]!r} was given instead" if near else ""
        others = f" (and {len(missing) - 1} more)" if missing[1:] else ""
        raise ArgumentError(prompt.name, missing[0], f"is required and missing{instead}{others}")


def _document(name: str, finish: Finish, note: str) -> Document:
    """What was asked for.

    Raises:
        McpnbError: The call ended without it.
    """
    call, outcome = finish.call, finish.outcome
    if outcome.value is None:
        raise outcome.error or McpnbError(f"{name} ended as {outcome.kind}")
    server = call.answered.attempt.server if call.answered else ""
    total = (call.finished or call.arrived) - call.arrived
    raw: Any = outcome.value
    return Document(name, server, raw, total, call, note)
