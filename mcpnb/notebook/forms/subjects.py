"""What a form is for: a tool of a fleet, a prompt, a template of resources.

It owns what each of them takes, how a call of it begins, and the line of Python that does the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mcp.shared.uri_template import UriTemplate
from mcp_types import Prompt, ResourceTemplate, Tool, ToolAnnotations

from mcpnb.catalog.entry import from_tool
from mcpnb.errors import ToolNotFound
from mcpnb.model import CallOptions
from mcpnb.notebook import cells
from mcpnb.notebook.cells import Cell
from mcpnb.notebook.forms.code import call_text, name_of, options_text
from mcpnb.notebook.forms.subject import Subject
from mcpnb.notebook.future import CallFuture
from mcpnb.notebook.tool import entry_of
from mcpnb.notebook.tool_card import tool_bundle, tool_head
from mcpnb.portal import Future, get_portal

if TYPE_CHECKING:
    from mcpnb.catalog import Catalog, ToolEntry
    from mcpnb.connection import Listing
    from mcpnb.notebook.fleet import Fleet, View

__all__ = ["PromptSubject", "TemplateSubject", "ToolSubject", "subject_of"]


class ToolSubject:
    """A tool, under a fleet's call options or a view's.

    Args:
        fleet: Whose verbs call it.
        catalog: What its name means.
        name: `tool`, or `server:tool`.

    Raises:
        ToolNotFound: No server offers it; suggests near names.
    """

    def __init__(self, fleet: Fleet | View, catalog: Catalog, name: str) -> None:
        self._fleet, self._catalog, self.name = fleet, catalog, name
        entry_of(catalog, name)
        self._known = catalog.providers(name)
        """Who offered it when it was last offered."""

    @property
    def _entry(self) -> ToolEntry:
        return entry_of(self._catalog, self.name)

    @property
    def schema(self) -> Mapping[str, Any]:
        """See `Subject.schema`."""
        return self._entry.input_schema

    @property
    def destructive(self) -> bool:
        """See `Subject.destructive`: also when only one of the servers says so."""
        return any(entry.destructive for entry in self._providers)

    @property
    def _providers(self) -> Sequence[ToolEntry]:
        with suppress(ToolNotFound):  # a form stays on its page when its tool has left
            self._known = self._catalog.providers(self.name)
        return self._known

    @property
    def verbs(self) -> tuple[str, ...]:
        """See `Subject.verbs`."""
        return ("call", "gather") if len(self._providers) > 1 else ("call",)

    def begin(self, verb: str, arguments: Mapping[str, Any], cell: Cell | None) -> CallFuture[Any]:
        """See `Subject.begin`."""
        work = self._fleet.gathered if verb == "gather" else self._fleet.routed
        return started(self._fleet, cell, self.name, work, self.name, arguments, {})

    def code(self, verb: str, arguments: Mapping[str, Any]) -> str:
        """See `Subject.code`."""
        return call_text(written(self._fleet), verb, self.name, arguments)

    def suggest(
        self, argument: str, text: str, known: Mapping[str, Any], take: Callable[[Sequence[str]], None]
    ) -> None:
        """See `Subject.suggest`: the protocol has no such question for tools."""

    suggests = False

    def head(self) -> str:
        """See `Subject.head`."""
        return tool_head(self.name, self._providers)

    def still(self, note: str) -> dict[str, str]:
        """See `Subject.still`."""
        return tool_bundle(self.name, self._providers, note)


class _Document:
    """What a prompt and a template of resources share: texts as arguments, which their servers complete."""

    destructive = False
    suggests = True

    def __init__(self, fleet: Fleet | View, name: str, offers: Mapping[str, Tool]) -> None:
        self._fleet, self.name = fleet, name
        self.schema: Mapping[str, Any] = next(iter(offers.values())).input_schema
        self._entries = [from_tool(server, tool) for server, tool in offers.items()]

    def suggest(
        self, argument: str, text: str, known: Mapping[str, Any], take: Callable[[Sequence[str]], None]
    ) -> None:
        """See `Subject.suggest`: its server is asked, where it completes."""
        future = CallFuture[list[str]](f"completion of {argument}")
        given = {name: str(value) for name, value in known.items()}

        async def ask() -> list[str]:
            return await self._fleet.completions(self.name, argument, text, given)

        def told(ended: Future[list[str]]) -> None:
            # A server that does not answer suggests nothing; the call's own error is in the fleet's events.
            if not ended.cancelled() and ended.exception(0) is None:
                take(ended.result(0))

        future.add_done_callback(told)  # pyright: ignore[reportArgumentType] - it is told itself
        get_portal().start(future, ask)

    def head(self) -> str:
        """See `Subject.head`."""
        return tool_head(self.name, self._entries)

    def still(self, note: str) -> dict[str, str]:
        """See `Subject.still`."""
        return tool_bundle(self.name, self._entries, note)


class PromptSubject(_Document):
    """A prompt: its arguments are texts."""

    verbs = ("prompt",)

    def begin(self, verb: str, arguments: Mapping[str, Any], cell: Cell | None) -> CallFuture[Any]:
        """See `Subject.begin`."""
        del verb
        return started(self._fleet, cell, self.name, self._fleet.prompted, self.name, arguments, {})

    def code(self, verb: str, arguments: Mapping[str, Any]) -> str:
        """See `Subject.code`."""
        return call_text(written(self._fleet), verb, self.name, arguments)


class TemplateSubject(_Document):
    """A template of resources: its variables make the URI that is read."""

    verbs = ("read",)

    def begin(self, verb: str, arguments: Mapping[str, Any], cell: Cell | None) -> CallFuture[Any]:
        """See `Subject.begin`."""
        del verb
        return started(self._fleet, cell, self.name, self._fleet.fetched, self._uri(arguments))

    def code(self, verb: str, arguments: Mapping[str, Any]) -> str:
        """See `Subject.code`."""
        return call_text(written(self._fleet), verb, self._uri(arguments), {})

    def _uri(self, arguments: Mapping[str, Any]) -> str:
        return UriTemplate.parse(self.name).expand(dict(arguments))


def subject_of(fleet: Fleet | View, catalog: Catalog, listings: Mapping[str, Listing], name: str) -> Subject:
    """What a name is: a tool; else a prompt, or a template of resources.

    Raises:
        ToolNotFound: It is none of these; suggests near tools.
    """
    try:
        return ToolSubject(fleet, catalog, name)
    except ToolNotFound:
        if prompts := {s: _from_prompt(p) for s, each in listings.items() if (p := each.prompt(name))}:
            return PromptSubject(fleet, name, prompts)
        templates = {
            server: _from_template(template)
            for server, each in listings.items()
            for template in each.templates
            if template.uri_template == name
        }
        if not templates:
            raise
        return TemplateSubject(fleet, name, templates)


def _from_prompt(prompt: Prompt) -> Tool:
    """A prompt as if it were a tool: a form is the same."""
    known = prompt.arguments or []
    needed = [each.name for each in known if each.required]
    said = {each.name: each.description or "" for each in known}
    return _as_tool(prompt.name, prompt.description, said, needed)


def _from_template(template: ResourceTemplate) -> Tool:
    parsed = UriTemplate.parse(template.uri_template)
    optional = set(parsed.query_variable_names)
    needed = [name for name in parsed.variable_names if name not in optional]
    said = dict.fromkeys(parsed.variable_names, "")
    return _as_tool(template.uri_template, template.description, said, needed)


def _as_tool(name: str, description: str | None, arguments: Mapping[str, str], needed: list[str]) -> Tool:
    properties = {key: {"type": "string", "description": said} for key, said in arguments.items()}
    schema = {"type": "object", "properties": properties, "required": needed}
    hints = ToolAnnotations(read_only_hint=True)
    return Tool(name=name, description=description, input_schema=schema, annotations=hints)


def started(
    fleet: Fleet | View, cell: Cell | None, label: str, work: Callable[..., Awaitable[Any]], *args: Any
) -> CallFuture[Any]:
    """A call that runs in the background, on behalf of a cell."""
    fleet.check_open()
    future = CallFuture[Any](label)
    if cells.in_kernel():
        cells.enter(future, cell)
    get_portal().start(future, work, *args)
    return future


def written(fleet: Fleet | View) -> str:
    """What the notebook calls it, or how it comes from a fleet."""
    if own := name_of(fleet, ""):
        return own
    options = getattr(fleet, "call_options", None)
    return "fleet" if options is None else f"fleet{options_text(options, CallOptions())}"
