"""`fuse`: the one way in. It reads the answers alike, picks the method, and says how far to believe it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace

from mcpnb.aggregation.align import align
from mcpnb.aggregation.concat import concat
from mcpnb.aggregation.draft import Draft
from mcpnb.aggregation.fields import mean, median, merge, vote, weighted
from mcpnb.aggregation.pick import best, first
from mcpnb.aggregation.rules import METHOD_NAMES, Fuser, Rules
from mcpnb.aggregation.shapes import alike, method_for
from mcpnb.aggregation.trust import compared, overall, trusted
from mcpnb.aggregation.values import Answer, Fused, FusedRow, LeftOut, Option, Reading, Trust
from mcpnb.aggregation.voices import Voice

Method = Callable[[Sequence[Voice], Rules], Draft]
"""What the sources say and the rules → the fused value."""

METHODS: Mapping[str, Method] = dict(
    zip(METHOD_NAMES, (concat, mean, median, weighted, vote, best, merge, first), strict=True)
)
"""Name → method."""


def fuse(
    answers: Sequence[Answer],
    method: str | Fuser | None = None,
    *,
    tolerance: float | None = None,
    rules: Rules | None = None,
) -> Fused:
    """Many answers made one. The answers are never changed, and none is dropped without a word.

    Args:
        answers: What the servers said, one each.
        method: A name of `METHODS`; None takes the rules', else lets the shape of the answers decide; a
            callable takes copies of the answers and returns the value, or a `Fused`.
        tolerance: Numbers further apart than this share of the greatest of them are listed as a
            disagreement; None takes the rules'.
        rules: What was declared for the tool; see `Declared.rules`.

    Raises:
        ValueError: For an unknown method (lists the known ones) or a negative tolerance.
    """
    rules = rules or Rules()
    if method is not None or tolerance is not None:
        tolerance = rules.tolerance if tolerance is None else tolerance
        rules = replace(rules, method=method or rules.method, tolerance=tolerance)
    read, readings = align(answers, rules)
    trust = trusted(read, rules.half_life)
    if callable(rules.method):
        return _fuse_with(read, rules.method, trust, readings)
    name = rules.method or method_for([answer.value for answer in read])
    voices = [Voice(each.server, each.value, trust[each.server].weight, each.latency) for each in read]
    draft = METHODS[name](voices, rules)
    trust = compared(trust, draft.agreement)
    return Fused(
        value=draft.value,
        method=name,
        rows=draft.rows,
        conflicts=draft.conflicts,
        confidence=overall(trust, _contributing(draft)),
        left_out=(*draft.left_out, *_unmentioned(draft, read)),
        alternatives=() if draft.complete else _alternatives(answers, read, trust, draft.value),
        readings=readings,
        trust=trust,
    )


def _fuse_with(
    answers: Sequence[Answer], method: Fuser, trust: dict[str, Trust], readings: tuple[Reading, ...]
) -> Fused:
    value = method([copy.deepcopy(answer) for answer in answers])
    if isinstance(value, Fused):
        return value
    servers = tuple(answer.server for answer in answers)
    name = getattr(method, "__name__", type(method).__name__)
    row = FusedRow("", value, servers)
    return Fused(value, name, (row,), (), overall(trust, servers), trust=trust, readings=readings)


def _contributing(draft: Draft) -> set[str]:
    if draft.taken is not None:
        return {draft.taken}
    return {server for row in draft.rows for server in row.servers}


def _unmentioned(draft: Draft, answers: Sequence[Answer]) -> list[LeftOut]:
    """Sources that differ in nothing but what they say of themselves: they must not go without a word."""
    seen = {server for row in draft.rows for server in row.servers}
    seen |= {server for conflict in draft.conflicts for server in conflict.values}
    seen |= {part.server for part in draft.left_out}
    reason = "only says of its own answer what another says of its own"
    return [LeftOut(answer.server, "", reason) for answer in answers if answer.server not in seen]


def _alternatives(
    answers: Sequence[Answer], read: Sequence[Answer], trust: Mapping[str, Trust], value: object
) -> tuple[Option, ...]:
    """The answers that say something else than the fused value, the most trusted first."""
    chosen = alike(value)
    found: dict[Hashable, list[Answer]] = {}
    for given, its_reading in sorted(zip(answers, read, strict=True), key=lambda pair: pair[0].server):
        said = alike(its_reading.value)
        if given.value is not None and said != chosen:
            found.setdefault(said, []).append(given)
    options = [
        Option(
            those[0].value,
            tuple(each.server for each in those),
            max(trust[each.server].confidence for each in those),
        )
        for those in found.values()
    ]
    return tuple(sorted(options, key=lambda option: (-option.confidence, option.servers)))
