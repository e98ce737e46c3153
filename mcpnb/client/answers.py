"""From how a call ended to what its caller gets: a result, an aggregate or an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mcpnb.aggregation import Answer, LeftOut, fuse
from mcpnb.catalog import ToolEntry
from mcpnb.errors import ArgumentError, McpnbError, NoServerAvailable
from mcpnb.fanout import SourceOutcome
from mcpnb.result import Aggregate, Result, Source
from mcpnb.routing import Finish

if TYPE_CHECKING:
    from mcp_types import CallToolResult


def answer(entry: ToolEntry, finish: Finish, note: str, *, raise_on_error: bool) -> Result:
    """The result of a call that is over.

    Raises:
        ToolError: The tool said no, and `raise_on_error`.
        McpnbError: The call ended without an answer.
    """
    call, outcome = finish.call, finish.outcome
    if outcome.value is None:
        raise outcome.error or McpnbError(f"{entry.ref.tool} ended as {outcome.kind}")
    raw: CallToolResult = outcome.value  # pyright: ignore[reportAssignmentType] - the driver's job put it there
    total = (call.finished or call.arrived) - call.arrived
    result = Result(
        entry.ref.tool, call.ended[-1].attempt.server, raw, total, call, note, entry.output_schema
    )
    return result.raise_for_error() if raise_on_error else result


def fused(tool: str, outcomes: Sequence[SourceOutcome[Result]], method: Any) -> Aggregate:
    """The answers of all servers as one, with what each contributed.

    Raises:
        ArgumentError: The arguments fit no provider's schema.
        NoServerAvailable: Nobody answered; a line per server.
    """
    results = {o.server: o.value for o in outcomes if o.value is not None}
    if not results:
        raise _nobody(tool, outcomes)
    answers = [Answer(name, r.value, r.latency, _confidence(r.value)) for name, r in results.items()]
    whole = fuse(answers, method)
    confidence = {given.server: given.confidence for given in answers}
    sources = tuple(
        Source(o.server, o.kind, o.latency, confidence.get(o.server, 0.0), _why_not(o, whole.left_out))
        for o in outcomes
    )
    return Aggregate(
        tool, whole.value, whole.method, results, sources, whole.conflicts, whole.rows, whole.confidence
    )


def _why_not(outcome: SourceOutcome[Result], left_out: Sequence[LeftOut]) -> str:
    """Why a source gave nothing, or which of what it gave was left out."""
    if outcome.error is not None:
        return str(outcome.error)
    return "; ".join(f"{part.key}: {part.reason}" for part in left_out if part.server == outcome.server)


def _nobody(tool: str, outcomes: Sequence[SourceOutcome[Result]]) -> McpnbError:
    refusals = [o.error for o in outcomes if isinstance(o.error, ArgumentError)]
    if refusals and len(refusals) == len(outcomes):
        return refusals[0]
    return NoServerAvailable(tool, {o.server: str(o.error or o.kind) for o in outcomes})


def size_of(raw: CallToolResult) -> int:
    """Bytes of the answer's content: text in UTF-8, binary blocks as their base64 text."""
    size = 0
    for block in raw.content:
        if block.type == "text":
            size += len(block.text.encode())
        elif block.type == "image" or block.type == "audio":  # noqa: PLR1714 - a type checker narrows by this
            size += len(block.data)
    return size


def _confidence(value: Any) -> float:
    """What the server itself says of its confidence, when it says something between 0 and 1; else 1."""
    if isinstance(value, Mapping):
        reported: Any = value.get("confidence")  # pyright: ignore[reportUnknownVariableType]
        if isinstance(reported, int | float) and not isinstance(reported, bool) and 0 <= reported <= 1:
            return float(reported)
    return 1.0
