"""`fuse`: the one way in. It picks the method, by name, by shape or as a callable, and runs it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence

from mcpnb.aggregation.concat import concat
from mcpnb.aggregation.first import first
from mcpnb.aggregation.mean import mean
from mcpnb.aggregation.shapes import method_for
from mcpnb.aggregation.values import Answer, Fused, FusedRow, confidence_of
from mcpnb.errors import suggest

Method = Callable[[Sequence[Answer], float], Fused]
"""Answers and tolerance → the fused value."""

METHODS: Mapping[str, Method] = {"first": first, "concat": concat, "mean": mean}
"""Name → method."""


def fuse(
    answers: Sequence[Answer],
    method: str | Callable[[list[Answer]], object] | None = None,
    *,
    tolerance: float = 0.05,
) -> Fused:
    """Many answers made one. The answers are never changed, and none is dropped without a word.

    Args:
        answers: What the servers said, one each.
        method: A name of `METHODS`; None lets the shape of the answers decide; a callable takes copies of the
            answers and returns the value, or a `Fused`.
        tolerance: Numbers further apart than this share of the greatest of them are listed as a disagreement.

    Raises:
        ValueError: For an unknown method (lists the known ones) or a negative tolerance.
    """
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance={tolerance} must be a share of the greatest number: 0 or more.")
    if method is not None and not isinstance(method, str):
        return _fuse_with(answers, method)
    name = method or method_for([answer.value for answer in answers])
    if name not in METHODS:
        near = "".join(f" Did you mean {each}?" for each in suggest(name, METHODS, n=1))
        raise ValueError(f"unknown fusion method {name!r}.{near} Known methods: {', '.join(METHODS)}.")
    return METHODS[name](answers, tolerance)


def _fuse_with(answers: Sequence[Answer], method: Callable[[list[Answer]], object]) -> Fused:
    value = method([copy.deepcopy(answer) for answer in answers])
    if isinstance(value, Fused):
        return value
    servers = tuple(answer.server for answer in answers)
    name = getattr(method, "__name__", type(method).__name__)
    return Fused(value, name, (FusedRow("", value, servers),), (), confidence_of(answers, servers))
