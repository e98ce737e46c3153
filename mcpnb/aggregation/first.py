"""`first`: the answer that came first, as it is. The one method in which order is the point."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mcpnb.aggregation.shapes import alike
from mcpnb.aggregation.values import Answer, Disagreement, Fused, FusedRow, LeftOut, confidence_of


def first(answers: Sequence[Answer], tolerance: float) -> Fused:  # noqa: ARG001 - every method has this face
    """The fastest answer that is not null; by the given order where latencies are equal or unknown."""
    given = [answer for answer in answers if answer.value is not None]
    if not given:
        return _nothing(answers)
    best = min(given, key=lambda answer: math.inf if math.isnan(answer.latency) else answer.latency)
    same = tuple(answer.server for answer in given if alike(answer.value) == alike(best.value))
    differ = len(same) < len(given)
    conflicts = (Disagreement("", {answer.server: answer.value for answer in given}),) if differ else ()
    return Fused(
        value=best.value,
        method="first",
        rows=(FusedRow("", best.value, same),),
        conflicts=conflicts,
        confidence=confidence_of(answers, [best.server], len(same) / len(given)),
        left_out=tuple(LeftOut(answer.server, "", "null") for answer in answers if answer.value is None),
    )


def _nothing(answers: Sequence[Answer]) -> Fused:
    servers = tuple(answer.server for answer in answers)
    rows = (FusedRow("", None, servers),) if servers else ()
    return Fused(value=None, method="first", rows=rows, confidence=confidence_of(answers, servers))
