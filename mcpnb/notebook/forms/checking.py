"""Whether what a form holds fits the schema, found out here, without sending anything.

It owns the way from a validator's errors to the fields of a form that are to blame. A schema that cannot be
used here finds nothing: the server checks its arguments itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mcpnb.notebook.forms.inputs import Input, Problem, Wrong

__all__ = ["Rules", "blame"]


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
