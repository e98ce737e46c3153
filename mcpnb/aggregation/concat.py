"""`concat`: the records of all sources in one list, equal ones once, each with everybody who gave it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import cast

from mcpnb.aggregation.shapes import alike, described, wrapped_list
from mcpnb.aggregation.values import Answer, Fused, FusedRow, LeftOut, confidence_of


def concat(answers: Sequence[Answer], tolerance: float) -> Fused:  # noqa: ARG001 - every method has this face
    """All records, by the names of the servers, so that the order in which they answered does not matter.

    A record that one source gives twice stays twice; only what another source repeats is merged. An answer
    that is one object counts as one record, and an object that wraps a single list as that list.
    """
    left_out: list[LeftOut] = []
    records = any(isinstance(answer.value, (list, dict)) for answer in answers)
    found: dict[tuple[Hashable, int], tuple[object, list[str]]] = {}
    for answer in sorted(answers, key=lambda answer: answer.server):
        items = _items(answer.value, records=records)
        if not items:
            left_out.append(LeftOut(answer.server, "", _why_nothing(answer.value)))
        seen: Counter[Hashable] = Counter()
        for item in items:
            key = alike(item)
            sources = found.setdefault((key, seen[key]), (item, []))[1]
            sources.append(answer.server)
            seen[key] += 1
    rows = tuple(FusedRow(f"[{i}]", item, tuple(by)) for i, (item, by) in enumerate(found.values()))
    return Fused(
        value=_rewrapped([row.value for row in rows], answers),
        method="concat",
        rows=rows,
        confidence=confidence_of(answers, {server for row in rows for server in row.servers}),
        left_out=tuple(left_out),
    )


def _items(value: object, *, records: bool) -> list[object]:
    if isinstance(value, list):
        return cast("list[object]", value)
    if wrapped := wrapped_list(value):
        return wrapped[1]
    if isinstance(value, dict):
        return [cast("object", value)]
    # A lone word beside records is a remark, not a record.
    return [] if records or value is None else [value]


def _why_nothing(value: object) -> str:
    if isinstance(value, (list, dict)):
        return "an empty list"
    return "null" if value is None else f"{described(value)}, where others gave records"


def _rewrapped(items: list[object], answers: Sequence[Answer]) -> object:
    """The list in the wrapper that all answers share, else the list."""
    wrappers = [wrapped_list(answer.value) for answer in answers if answer.value is not None]
    names = {wrapper[0] if wrapper else None for wrapper in wrappers}
    name = names.pop() if len(names) == 1 else None
    return items if name is None else {name: items}
