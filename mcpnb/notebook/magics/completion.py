"""What Tab offers in `%mcp` lines and `%%mcp` cells: words of the magic, tools, servers, arguments, values.

It owns what may stand where. It reads the catalog and asks no server; what it knows of IPython is the shape
of one answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from mcpnb.client.documents import choices
from mcpnb.errors import McpnbError
from mcpnb.notebook.magics.request import KINDS, OPTIONS

if TYPE_CHECKING:
    from mcpnb.catalog import Catalog, ToolEntry

__all__ = ["Offer", "Words", "matcher", "offer"]

FORMS: Final = (
    "call", "connect", "doctor", "help", "login", "logout", "nest", "status", "strategy", "tools",
)  # fmt: skip

_LINE: Final = re.compile(r"^(?:.*=)?\s*%mcp(?P<rest>\s.*)$")
_CELL: Final = re.compile(r"^\s*%%mcp(?P<rest>\s.*)$")
_ASSIGNED: Final = re.compile(r"^\s*\w+\s*<<\s*")
_FRAGMENT: Final = re.compile(r"[^\s]*$")
_GIVEN: Final = re.compile(r"(?:^|\s)([^\s=]+)=")
_YAML_LINE: Final = re.compile(r"^([^\s:#][^:]*):\s*(.*)$")


class Offer(NamedTuple):
    """What may stand at the end of a text."""

    fragment: str
    """What was typed of it."""
    words: tuple[str, ...]
    kind: str = ""
    """What they are, for the list."""


class Words(Protocol):
    """What there is to offer."""

    def tools(self) -> Iterable[str]:
        """Names of tools."""
        ...

    def servers(self, tool: str) -> Iterable[str]:
        """Servers that have it; of no tool, all that have any."""
        ...

    def strategies(self) -> Iterable[str]:
        """Names of routing strategies."""
        ...

    def logins(self) -> Iterable[str]:
        """Servers that one logs in to."""
        ...

    def arguments(self, tool: str) -> Iterable[str]:
        """Names of a tool's arguments, required ones first."""
        ...

    def values(self, tool: str, argument: str) -> Iterable[str]:
        """What an argument may be, where its schema lists that."""
        ...


class FleetWords:
    """The words of a fleet's catalog; none while there is no fleet."""

    def __init__(
        self,
        catalog: Callable[[], Catalog | None],
        strategies: Callable[[], Iterable[str]],
        logins: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._catalog, self._strategies, self._logins = catalog, strategies, logins

    def tools(self) -> Iterable[str]:
        """See `Words`."""
        catalog = self._catalog()
        return () if catalog is None else catalog.names

    def servers(self, tool: str) -> Iterable[str]:
        """See `Words`."""
        catalog = self._catalog()
        if not tool and catalog is not None:
            return [entry.server for entry in catalog.entries]
        return [entry.server for entry in self._entries(tool)]

    def strategies(self) -> Iterable[str]:
        """See `Words`."""
        return self._strategies()

    def logins(self) -> Iterable[str]:
        """See `Words`."""
        return self._logins()

    def arguments(self, tool: str) -> Iterable[str]:
        """See `Words`."""
        return dict.fromkeys(each.name for entry in self._entries(tool) for each in entry.parameters)

    def values(self, tool: str, argument: str) -> Iterable[str]:
        """See `Words`."""
        for entry in self._entries(tool):
            if found := choices(entry.input_schema, argument):
                return found
        return ()

    def _entries(self, tool: str) -> Sequence[ToolEntry]:
        catalog = self._catalog()
        if catalog is None:
            return ()
        try:
            return (catalog.resolve(tool).entry, *catalog.providers(tool))
        except McpnbError:  # nobody has it, or it is ambiguous: then there is nothing to offer
            return ()


def offer(text: str, words: Words) -> Offer | None:
    """What may stand at the end of a cell's text up to the cursor; None where it is none of our business."""
    first, _, body = text.partition("\n")
    if cell := _CELL.match(first):
        rest = _ASSIGNED.sub("", cell["rest"]).lstrip()
        tool = _tool_of(rest.split())
        if "\n" in text:
            return _in_body(tool, body, words) if tool else None
        return _in_call(rest, words, cell=True)
    line = _LINE.match(text.rpartition("\n")[2])
    return _in_line(_ASSIGNED.sub("", line["rest"]).lstrip(), words) if line else None


def _in_line(rest: str, words: Words) -> Offer | None:
    form, space, after = rest.partition(" ")
    if not space:
        return _offered(form, FORMS, "magic")
    fragment = _fragment(after)
    match form:
        case "call":
            return _in_call(after, words, cell=False)
        case "strategy":
            return _offered(fragment, words.strategies(), "strategy")
        case "login" | "logout":
            return _offered(fragment, words.logins(), "server")
        case "nest":
            return _offered(fragment, ("on", "off"), "magic")
        case _:
            return None  # a file, most likely: IPython knows these


def _in_call(rest: str, words: Words, *, cell: bool) -> Offer | None:
    fragment = _fragment(rest)
    before = rest[: len(rest) - len(fragment)].split()
    tool = _tool_of(before)
    if before and before[-1] == "--server":
        return _offered(fragment, dict.fromkeys(words.servers(tool)), "server")
    if before and before[-1] == "--as":
        return _offered(fragment, KINDS, "magic")
    if fragment.startswith("-"):
        return _offered(fragment, [name for name in OPTIONS if name not in before], "option")
    if not tool:
        return _offered(fragment, words.tools(), "tool")
    return None if cell else _in_arguments(rest, fragment, tool, words)


def _in_arguments(rest: str, fragment: str, tool: str, words: Words) -> Offer:
    name, is_value, begun = fragment.partition("=")
    if is_value:
        return _offered(begun, map(_quoted, words.values(tool, name)), "value")
    given = set(_GIVEN.findall(rest))
    names = [f"{name}=" for name in words.arguments(tool) if name not in given]
    return _offered(fragment, names, "argument")


def _in_body(tool: str, body: str, words: Words) -> Offer | None:
    *before, line = body.split("\n")
    if body.lstrip().startswith(("{", "[")):
        return None
    if value := _YAML_LINE.match(line):
        return _offered(value[2], words.values(tool, value[1].strip()), "value")
    given = {match[1].strip() for each in before if (match := _YAML_LINE.match(each))}
    names = [f"{name}: " for name in words.arguments(tool) if name not in given]
    return None if line[:1].isspace() else _offered(line, names, "argument")


def _tool_of(written: Iterable[str]) -> str:
    """The tool that the words of a call name, options and their values aside."""
    parts = iter(written)
    for part in parts:
        if part in {"--server", "--as"}:
            next(parts, None)
        elif not part.startswith("--"):
            return part
    return ""


def _fragment(text: str) -> str:
    match = _FRAGMENT.search(text)
    return match[0] if match else ""


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if re.search(r"\s", value) else value


def _offered(fragment: str, words: Iterable[str], kind: str) -> Offer:
    return Offer(fragment, tuple(word for word in words if word.startswith(fragment)), kind)


def matcher(words: Words) -> Callable[[Any], Mapping[str, Any]]:
    """The completion as IPython's completer calls it."""
    from IPython.core.completer import SimpleCompletion, context_matcher  # noqa: PLC0415 - IPython is there

    @context_matcher()  # pyright: ignore[reportUntypedFunctionDecorator] - IPython's is untyped
    def mcp_matcher(context: Any) -> Mapping[str, Any]:
        found = offer(_until_cursor(context), words)
        if found is None:
            return {"completions": [], "suppress": False}
        made = [SimpleCompletion(word, type=found.kind) for word in found.words]
        return {"completions": made, "suppress": True, "matched_fragment": found.fragment, "ordered": True}

    return mcp_matcher


def _until_cursor(context: Any) -> str:
    """The cell's text up to the cursor."""
    before = context.full_text.split("\n")[: context.cursor_line]
    return "\n".join([*before, context.line_with_cursor[: context.cursor_position]])
