"""From how a call ended to what its caller gets: a result, an aggregate or an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from mcpnb.aggregation import Answer, Fused, Rules, Trust, fuse, reported_confidence, units_in
from mcpnb.catalog import ToolEntry
from mcpnb.client.cache import Hit
from mcpnb.errors import ArgumentError, McpnbError, NoServerAvailable, ToolChanged
from mcpnb.fanout import SourceOutcome
from mcpnb.result import Aggregate, Result, Source
from mcpnb.routing import Finish
from mcpnb.routing.call import Call

if TYPE_CHECKING:
    from mcp_types import CallToolResult

_REMARKS: Final = 8
_PLACES: Final = 6
"""Remarks on a source, and fields that share one, which are told in its row; `Aggregate.left_out` has all."""


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
    answered = call.answered
    server = answered.attempt.server if answered else ""
    result = Result(entry.name, server, raw, total, call, note, entry.at(server).output_schema)
    return result.raise_for_error() if raise_on_error and raw.is_error else result


def kept_answer(entry: ToolEntry, hit: Hit, call: Call, note: str, *, raise_on_error: bool) -> Result:
    """The result of a call for which nothing was sent, because the answer was there.

    Raises:
        ToolError: The tool said no to the identical call for which this one waited, and `raise_on_error`.
    """
    total = (call.finished or call.arrived) - call.arrived
    result = Result(
        entry.name,
        hit.server,
        hit.raw,
        total,
        call,
        note,
        entry.at(hit.server).output_schema,
        hit.origin,
        hit.age or 0.0,
    )
    return result.raise_for_error() if raise_on_error else result


def fused(
    tool: str,
    outcomes: Sequence[SourceOutcome[Result]],
    rules: Rules,
    reliability: Mapping[str, float],
) -> Aggregate:
    """The answers of all servers as one, with what each contributed.

    Args:
        tool: What was called.
        outcomes: One per server that was asked.
        rules: How to fuse.
        reliability: Server → the share of its calls that went well lately; 1 where it is missing.

    Raises:
        ArgumentError: The arguments fit no provider's schema.
        NoServerAvailable: Nobody answered; a line per server.
    """
    results = {o.server: o.value for o in outcomes if o.value is not None}
    if not results:
        raise _nobody(tool, outcomes)
    whole = fuse([_answer(name, r, reliability.get(name, 1.0)) for name, r in results.items()], rules=rules)
    return Aggregate(
        tool=tool,
        value=whole.value,
        method=whole.method,
        results=results,
        sources=tuple(_source(outcome, whole) for outcome in outcomes),
        conflicts=whole.conflicts,
        rows=whole.rows,
        confidence=whole.confidence,
        alternatives=whole.alternatives,
        left_out=whole.left_out,
    )


def _answer(server: str, result: Result, reliability: float) -> Answer:
    reported = reported_confidence(result.value)
    return Answer(
        server=server,
        value=result.value,
        latency=result.latency,
        confidence=1.0 if reported is None else reported,
        reliability=reliability,
        age=result.age,
        units=units_in(result.output_schema),
    )


def _source(outcome: SourceOutcome[Result], whole: Fused) -> Source:
    """A server's row: its outcome, how far it is believed and why, what was left out, how it was read."""
    trust = whole.trust.get(outcome.server, Trust()) if outcome.ok else None
    return Source(
        server=outcome.server,
        outcome=outcome.kind,
        latency=outcome.latency,
        confidence=0.0 if trust is None else trust.confidence,
        error=_why_not(outcome, whole),
        note=_told((r.key, r.what) for r in whole.readings if r.server == outcome.server),
        trust=trust,
    )


def _why_not(outcome: SourceOutcome[Result], whole: Fused) -> str:
    """Why a source gave nothing, or which of what it gave was left out."""
    if outcome.error is not None:
        return _reason(outcome)
    if outcome.kind == "cancelled":
        return "given up, since enough others had answered"
    return _told((part.key, part.reason) for part in whole.left_out if part.server == outcome.server)


def _told(remarks: Iterable[tuple[str, str]]) -> str:
    """Remarks about fields in one line; what is said of many fields is said once."""
    places: dict[str, list[str]] = {}
    for key, words in remarks:
        places.setdefault(words, []).append(key)
    told = [f"{_listed(keys)}: {words}" if any(keys) else words for words, keys in places.items()]
    return "; ".join(told[:_REMARKS]) + _more(len(told) - _REMARKS)


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(keys[:_PLACES]) + _more(len(keys) - _PLACES)


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _nobody(tool: str, outcomes: Sequence[SourceOutcome[Result]]) -> McpnbError:
    refusals = [o.error for o in outcomes if isinstance(o.error, ArgumentError)]
    if refusals and len(refusals) == len(outcomes):
        return refusals[0]
    return NoServerAvailable(tool, {o.server: _reason(o) for o in outcomes})


def _reason(outcome: SourceOutcome[Result]) -> str:
    """Why one server gave nothing: in one line, also where nobody could be asked at all."""
    if isinstance(outcome.error, NoServerAvailable):
        return outcome.error.reasons.get(outcome.server, str(outcome.error))
    if isinstance(outcome.error, ToolChanged):
        changed = outcome.error.changes.get(outcome.server, "")
        return f"it changed since it was approved ({changed}); approve({outcome.error.tool!r}) takes it"
    return str(outcome.error or outcome.kind)


def size_of(raw: CallToolResult) -> int:
    """Bytes of the answer's content: text in UTF-8, binary blocks as their base64 text."""
    size = 0
    for block in raw.content:
        if block.type == "text":
            size += len(block.text.encode())
        elif block.type == "image" or block.type == "audio":  # noqa: PLR1714 - a type checker narrows by this
            size += len(block.data)
    return size
