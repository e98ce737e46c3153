"""How far sources are believed before their answers are compared, and how that becomes a confidence."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from mcpnb.aggregation.names import MOMENTS
from mcpnb.aggregation.reading import seconds_of
from mcpnb.aggregation.shapes import is_number
from mcpnb.aggregation.values import Answer, Trust

# Unix time in milliseconds is beyond this, in seconds below it, for some thousand years.
_MILLISECONDS = 1e11


def trusted(answers: Sequence[Answer], half_life: float) -> dict[str, Trust]:
    """Server → what speaks for its answer, agreement still left open.

    Args:
        answers: What the servers said.
        half_life: Seconds after which an older answer counts half.
    """
    ages = _ages(answers)
    return {
        answer.server: Trust(
            reported=share(answer.confidence),
            reliability=share(answer.reliability),
            freshness=0.5 ** (age / half_life),
        )
        for answer, age in zip(answers, ages, strict=True)
    }


def compared(trust: Mapping[str, Trust], agreement: Mapping[str, float]) -> dict[str, Trust]:
    """The same once the answers were compared; who could not be compared with anybody is not doubted."""
    return {server: replace(each, agreement=agreement.get(server, 1.0)) for server, each in trust.items()}


def overall(trust: Mapping[str, Trust], servers: Collection[str]) -> float:
    """The mean confidence of these servers; 0 when there is none."""
    given = [each.confidence for server, each in trust.items() if server in servers]
    return math.fsum(given) / len(given) if given else 0.0


def share(number: float) -> float:
    """The number, when it is between 0 and 1; what is not says nothing, and counts as 1."""
    return number if 0 <= number <= 1 else 1.0


def _ages(answers: Sequence[Answer]) -> list[float]:
    """Seconds by which each answer is older than the newest, as they say; at least those in a cache."""
    moments = [_moment(answer.value) for answer in answers]
    newest = max(_known(moments), default=0.0)
    behind = [0.0 if moment is None else newest - moment for moment in moments]
    kept = [answer.age if answer.age > 0 else 0.0 for answer in answers]
    return [max(pair) for pair in zip(behind, kept, strict=True)]


def _known(moments: Iterable[float | None]) -> list[float]:
    return [moment for moment in moments if moment is not None]


def _moment(value: object) -> float | None:
    """When what the answer says was so, in Unix time; None when it does not say."""
    fields = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    given = next((fields[name] for name in MOMENTS if name in fields), None)
    if isinstance(given, str):
        return seconds_of(given)
    if not is_number(given) or not 0 < cast("float", given) < 1e15:
        return None
    number = float(cast("float", given))
    return number / 1000 if number > _MILLISECONDS else number
