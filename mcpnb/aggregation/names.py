"""Names of fields: the words in them, the unit at their end, and which two mean the same."""

from __future__ import annotations

import re
from functools import lru_cache

from mcpnb.aggregation.units import units_of

_SEPARATORS = re.compile(r"[\s_\-.]+")
# windSpeed, HTTPStatus; digits stay with their letters: pm25.
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

_SHORT = {
    "addr": "address",
    "avg": "average",
    "cond": "condition",
    "desc": "description",
    "dir": "direction",
    "hum": "humidity",
    "lang": "language",
    "lat": "latitude",
    "lng": "longitude",
    "lon": "longitude",
    "precip": "precipitation",
    "qty": "quantity",
    "temp": "temperature",
    "vis": "visibility",
}
"""Short words for which services disagree on the spelling."""

TOLD_OF_ITSELF = frozenset(
    {"confidence", "certainty", "probability", "score", "_score", "relevance", "rank", "bm25", "similarity"}
)
"""What a source says of its own answer: another source's other number is no disagreement."""

MOMENTS = (
    "timestamp", "observed_at", "updated_at", "last_updated", "as_of", "generated_at", "measured_at",
    "observation_time",
)  # fmt: skip
"""Fields in which an answer says when what it says was so."""


@lru_cache(maxsize=4096)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name in lower case: `windSpeed_kmh` → wind, speed, kmh."""
    parts = _SEPARATORS.split(_HUMPS.sub("_", name))
    return tuple(part.lower() for part in parts if part)


@lru_cache(maxsize=4096)
def parted(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a name is about, and the units that its end may mean: `temp_f` → (temperature), (degF).

    The last words are read as a unit only when something is left before them.
    """
    words = words_of(name)
    for length in (3, 2, 1):
        units = units_of("_".join(words[-length:])) if len(words) > length else ()
        if units:
            return stem_of(words[:-length]), units
    return stem_of(words), ()


def stem_of(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words with short ones written out."""
    return tuple(_SHORT.get(word, word) for word in words)
