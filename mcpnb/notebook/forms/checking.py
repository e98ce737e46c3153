"""Whether what a form holds fits the schema, found out here, without sending anything.

It owns the way from a validator's errors to the fields of a form that are to blame. A schema that cannot be
used here finds nothing: the server checks its arguments itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mcpnb.notebook.forms.inputs import Input, Problem, Wrong, inner

__all__ = ["Rules", "blame", "lost"]

_NO_FIELD = "no field of the form can hold this"


class Rules:
    """A schema's rules, read once, when they are first needed."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._checked: Any = None
        self._unusable = False

    def broken(self, value: Mapping[str, Any]) -> Wrong:
        """Place → what is wrong there; empty as well when the rules cannot be used."""
        from mcpnb.catalog.validator import Checked, TooLong, Unusable  # noqa: PLC0415 - imports jsonschema
        from mcpnb.catalog.words import explained  # noqa: PLC0415 - as above

        if self._unusable:
            return {}
        try:
            self._checked = self._checked or Checked(self._schema)
            errors = self._checked.errors(value)
        except (TooLong, Unusable):
            self._unusable = True
            return {}
        found: Wrong = {}
        for error in errors:
            place, text = explained(error)
            found.setdefault(place, Problem(text, missing=error.validator == "required"))
        return found


def lost(given: Mapping[str, Any], held: object, wrong: Wrong, broken: Wrong) -> tuple[str, str] | None:
    """The first place at which a form does not hold what it was given, and why; None when it holds all.

    Args:
        given: What it was given.
        held: What is read from it.
        wrong: What its fields say is wrong with what stands in them.
        broken: What the schema says of `given`.
    """
    shown = {place for place, problem in wrong.items() if not problem.missing}
    for place in _missing("", given, held):
        within = any(each.startswith(f"{place}[") for each in shown)  # what is wrong is read as left out
        if place not in shown and not within:
            return place, broken[place].text if place in broken else _NO_FIELD
    return None


def _missing(at: str, given: object, held: object) -> Iterator[str]:
    """The places at which the second value is not as the first."""
    if isinstance(given, Mapping) and isinstance(held, Mapping):
        for name, part in given.items():  # pyright: ignore[reportUnknownVariableType] - of whatever
            yield from _missing(inner(at, str(name)), part, held.get(name, _NO_FIELD))  # pyright: ignore[reportUnknownArgumentType] - as above
    elif isinstance(given, list) and isinstance(held, list) and len(given) == len(held):  # pyright: ignore[reportUnknownArgumentType] - as above
        for place, (part, other) in enumerate(zip(given, held, strict=True)):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - as above
            yield from _missing(f"{at}[{place}]", part, other)
    elif given != held or isinstance(given, bool) != isinstance(held, bool):
        yield at


def blame(places: Iterable[tuple[str, Input]], wrong: Wrong) -> dict[str, str]:
    """Have each field say what is wrong with it. Returns what no field is there for, by place."""
    places = list(places)
    inputs = dict(places)  # of several at one place the innermost
    said: dict[str, list[str]] = {}
    homeless: dict[str, str] = {}
    for place, problem in wrong.items():
        home = _home(place, inputs)
        rest = place.removeprefix(home).lstrip(".") if home else place
        text = f"{rest}: {problem.text}" if rest else problem.text
        if home in inputs and (home or not place):
            said.setdefault(home, []).append(text)
        else:
            homeless[place] = text
    for place, each in places:
        each.say("; ".join(said.get(place, ())) if inputs[place] is each else "")
    return homeless


def _home(place: str, inputs: Mapping[str, Input]) -> str:
    """The innermost field at or around a place; empty for none."""
    while place and place not in inputs:
        place = place[: max(place.rfind("."), place.rfind("["), 0)]
    return place
