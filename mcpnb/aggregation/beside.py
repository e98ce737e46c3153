"""Units in words beside a number: `{"speed": 10, "unit": "mph"}`, `{"wind": 10, "wind_unit": "kn"}`.

It finds the text that speaks of a field. What the text means, and what becomes of the number, it leaves open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from mcpnb.aggregation.names import MOMENTS, TOLD_OF_ITSELF, parted, words_of
from mcpnb.aggregation.reading import number_of
from mcpnb.aggregation.shapes import is_number

_QUANTITIES = frozenset({"value", "amount", "magnitude", "quantity"})

_ENDINGS = ("unit", "units", "Unit")

_HAVE_THEIR_OWN = frozenset(
    (word,)
    for word in ("bearing", "code", "count", "degrees", "direction", "humidity", "id", "index", "lat", "lon")
)
"""Last words of names whose numbers a `unit` beside them does not mean: of a wind it is the speed's."""


def may_tell(fields: Mapping[str, object]) -> bool:
    """Whether any field could be such a text: what is asked of every object must cost little."""
    # What is no JSON may have keys of any kind.
    return any(isinstance(cast("object", name), str) and name.endswith(_ENDINGS) for name in fields)


def text_of_unit(name: str, fields: Mapping[str, object]) -> str | None:
    """The name of the field that says in words what unit another is in.

    `unit` speaks of a `value`, or of the only number that could be meant.
    """
    candidates = [f"{name}_unit", f"{name}_units", f"{name}Unit"]
    found = next((each for each in candidates if isinstance(fields.get(each), str)), None)
    if found is not None:
        return found
    bare = next((each for each in ("unit", "units") if isinstance(fields.get(each), str)), None)
    if bare is None or name == bare:
        return None
    return bare if name in _QUANTITIES or _meant(fields) == [name] else None


def _meant(fields: Mapping[str, object]) -> list[str]:
    """The numbers that a `unit` may speak of."""
    if not _QUANTITIES.isdisjoint(fields):
        return []
    return [name for name, value in fields.items() if _is_bare(name, value)]


def _is_bare(name: object, value: object) -> bool:
    if not isinstance(name, str) or name in TOLD_OF_ITSELF or name in MOMENTS or parted(name)[1]:
        return False
    return words_of(name)[-1:] not in _HAVE_THEIR_OWN and _reads_as_number(value)


def _reads_as_number(value: object) -> bool:
    return number_of(value) is not None if isinstance(value, str) else is_number(value)
