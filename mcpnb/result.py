"""What comes back from a call, and from the same call at many servers. It knows no frames and no widgets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from mcpnb.errors import ToolError
from mcpnb.model import Explanation, OutcomeKind

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock

    from mcpnb.aggregation import Disagreement, FusedRow, LeftOut, Option, Trust
    from mcpnb.routing.call import Call


@dataclass(frozen=True, init=False)
class Result:
    """The answer of one tool, and why it came from where it came from.

    Not slotted: `value` is worked out once, when somebody looks.
    """

    tool: str
    server: str
    raw: CallToolResult
    """The SDK's result as it came."""
    latency: float
    """Seconds from the call's arrival to its end: retries, a person's answers and our own work included."""
    _call: Call = field(repr=False)
    _resolution: str = field(default="", repr=False)
    _schema: Mapping[str, object] | None = field(default=None, repr=False)
    """The tool's output schema."""
    _origin: str = field(default="", repr=False)
    """Of an answer for which nothing was sent: whose it was, and how old."""
    _age: float = field(default=0.0, repr=False)
    """Seconds for which the answer was kept in a cache."""

    def __init__(
        self,
        tool: str,
        server: str,
        raw: CallToolResult,
        latency: float,
        call: Call,
        resolution: str = "",
        schema: Mapping[str, object] | None = None,
        origin: str = "",
        age: float = 0.0,
    ) -> None:
        # All at once: what a frozen dataclass does by itself, field by field, is 1 % of an in-process call.
        self.__dict__.update(
            tool=tool, server=server, raw=raw, latency=latency,
            _call=call, _resolution=resolution, _schema=schema, _origin=origin, _age=age,
        )  # fmt: skip

    @property
    def ok(self) -> bool:
        """False when the tool marked its answer as an error."""
        return not self.raw.is_error

    @property
    def content(self) -> list[ContentBlock]:
        """The content blocks: text, images, audio, resources, links."""
        return self.raw.content

    @property
    def text(self) -> str:
        """The text blocks, joined by newlines."""
        return "\n".join(block.text for block in self.raw.content if block.type == "text")

    @cached_property
    def value(self) -> Any:
        """The structured content; else JSON that the text holds; else the text.

        A value that the server's SDK wrapped as `{"result": value}` comes back unwrapped; `raw` has both.
        """
        structured: Any = self.raw.structured_content
        if structured is None:
            return _parsed(self.text)
        if not isinstance(structured, dict):
            return structured
        fields = cast("dict[str, Any]", structured)
        return fields["result"] if set(fields) == {"result"} and _wraps(self._schema) else fields

    @property
    def attempts(self) -> int:
        """Attempts that were sent, the one that answered included."""
        return self._call.sent

    @property
    def age(self) -> float:
        """Seconds for which the answer was kept in a cache; 0 when it was sent for."""
        return self._age

    @property
    def output_schema(self) -> Mapping[str, object] | None:
        """What the tool declares of its answers, when it does."""
        return self._schema

    @property
    def cached(self) -> bool:
        """Whether the answer is that of another call, so that nothing was sent for this one."""
        return bool(self._origin)

    def explain(self) -> Explanation:
        """Candidates, who was filtered out, what the strategy saw, every attempt."""
        story = self._call.explanation(self._resolution)
        return replace(story, cached=True, origin=self._origin, queued=0.0) if self.cached else story

    def raise_for_error(self) -> Result:
        """This result, unless the tool marked it as an error.

        Raises:
            ToolError: With this result as `.result`.
        """
        if not self.ok:
            raise ToolError(self.server, self.tool, self.text or "no reason given", result=self)
        return self

    def __repr__(self) -> str:
        state = "ok" if self.ok else "tool error"
        shown = _short(self.value)
        return f"<Result {self.tool} from {self.server}: {state}, {self.latency * 1000:.1f} ms, {shown}>"


def _wraps(schema: Mapping[str, object] | None) -> bool:
    """Whether the output schema has the one field `result`, in which SDKs put values that are no objects."""
    properties = None if schema is None else schema.get("properties")
    return isinstance(properties, Mapping) and set(cast("Mapping[str, object]", properties)) == {"result"}


def _parsed(text: str) -> Any:
    # Only what can be an object, a list, a number or a word of JSON is tried; prose is the common case.
    if not text or text[0] not in '{["-0123456789tfn':
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _short(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


@dataclass(frozen=True, slots=True)
class Source:
    """What one server contributed to an aggregate."""

    server: str
    outcome: OutcomeKind
    latency: float
    """Seconds."""
    confidence: float
    """0 to 1; 0 when it did not answer. The product of the parts of `trust`."""
    error: str = ""
    """Why it did not answer, or which part of its answer did not go into the fused value and why."""
    note: str = ""
    """How its answer was read so that it compares with the others': renamed fields, converted units."""
    trust: Trust | None = None
    """What its confidence is made of; None when it did not answer."""


@dataclass(frozen=True)
class Aggregate:
    """The answers of many servers made one, with what each of them said."""

    tool: str
    value: Any
    method: str
    """How the answers were fused."""
    results: Mapping[str, Result]
    """Server → its own answer, of those that answered."""
    sources: tuple[Source, ...]
    """One per server that was asked, in the catalog's order."""
    conflicts: tuple[Disagreement, ...]
    """One per field on which the sources disagree."""
    rows: tuple[FusedRow, ...]
    """One per fused item or field, with its source."""
    confidence: float
    """The mean confidence of the sources that contributed, 0 to 1."""
    alternatives: tuple[Option, ...] = ()
    """Other answers that could have been taken, best first."""
    left_out: tuple[LeftOut, ...] = ()
    """Everything that did not go into the value, field by field, and why."""

    def __repr__(self) -> str:
        answered = f"{len(self.results)} of {len(self.sources)} servers"
        return f"<Aggregate {self.tool} from {answered}: {self.method}, {_short(self.value)}>"
