"""The fields of a form that a JSON Schema describes, and what a person's words mean in each.

It owns kinds of fields, hints and checks: plain fields only, as servers may ask for. How a field is shown,
as a widget or a prompt, others decide. Whatever a schema says is foreign text, to be escaped by whoever
shows it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from mcpnb.catalog.parameters import mapping, sequence

__all__ = ["Choice", "Field", "fields_of"]

Kind = Literal["text", "number", "integer", "boolean", "choice", "choices", "json"]

_KINDS: Final[Mapping[object, Kind]] = {
    "string": "text", "number": "number", "integer": "integer", "boolean": "boolean",
}  # fmt: skip
_YES: Final = frozenset({"y", "yes", "true", "1"})
_NO: Final = frozenset({"n", "no", "false", "0"})
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_FORMATS: Final = {
    "email": "an e-mail address",
    "uri": "a URI such as https://example.com",
    "date": "a date such as 2026-07-28",
    "date-time": "a time such as 2026-07-28T09:30:00Z",
}


class Choice(NamedTuple):
    """One of the values that a field may have."""

    label: str
    value: Any


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form."""

    name: str
    """Its key in the answer."""
    title: str
    kind: Kind
    required: bool = False
    default: Any = None
    """None when there is none."""
    description: str = ""
    format: str = ""
    choices: tuple[Choice, ...] = ()
    least: float | None = None
    """The smallest number, or the fewest characters or choices."""
    most: float | None = None

    @property
    def secret(self) -> bool:
        """Whether it should not be seen while it is typed."""
        return self.format == "password"

    @property
    def hint(self) -> str:
        """What fits, in a few words."""
        what = {
            "text": _FORMATS.get(self.format, "text"),
            "number": "a number",
            "integer": "a whole number",
            "boolean": "yes or no",
            "choice": "one of the choices",
            "choices": "any of the choices",
            "json": "JSON",
        }[self.kind]
        bounds = self._bounds()
        return f"{what}, {bounds}" if bounds else what

    def parse(self, text: str) -> Any:
        """The value that a person means by what he typed.

        Raises:
            ValueError: It fits no value; says what would.
        """
        text = text.strip()
        if self.kind == "boolean":
            return self._truth(text)
        if self.kind == "choice":
            return self._chosen(text)
        if self.kind == "choices":
            parts = [part.strip() for part in text.split(",")]
            return self.check([self._chosen(part) for part in parts if part])
        if self.kind == "text":
            return self.check(text)
        return self.check(self._number(text) if self.kind != "json" else self._json(text))

    def check(self, value: Any) -> Any:
        """The value itself.

        Raises:
            ValueError: It is out of bounds or in the wrong format.
        """
        measured = value if self.kind in {"number", "integer"} else None
        if isinstance(value, str | list):
            measured = len(value)  # pyright: ignore[reportUnknownArgumentType] - of whatever
        low = self.least is not None and measured is not None and measured < self.least
        high = self.most is not None and measured is not None and measured > self.most
        if low or high or not self._formatted(value):
            raise ValueError(f"this needs {self.hint}")
        return value

    def _bounds(self) -> str:
        unit = {"text": " characters", "choices": " of them"}.get(self.kind, "")
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}{unit}"
        if self.least is not None:
            return f"at least {self.least:g}{unit}"
        return "" if self.most is None else f"at most {self.most:g}{unit}"

    def _truth(self, text: str) -> bool:
        if text.lower() not in _YES | _NO:
            raise ValueError("this needs yes or no")
        return text.lower() in _YES

    def _chosen(self, text: str) -> Any:
        for choice in self.choices:
            if text in {choice.label, str(choice.value)}:
                return choice.value
        if text.isdecimal() and 1 <= int(text) <= len(self.choices):
            return self.choices[int(text) - 1].value
        raise ValueError(f"this needs one of the choices, or a number from 1 to {len(self.choices)}")

    def _number(self, text: str) -> float:
        try:
            number = int(text) if self.kind == "integer" else float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"this needs {self.hint}")
        return number

    def _json(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise ValueError(f"this needs JSON: {error}") from None

    def _formatted(self, value: Any) -> bool:
        if not isinstance(value, str):
            return True
        try:
            if self.format == "date":
                date.fromisoformat(value)
            elif self.format == "date-time":
                datetime.fromisoformat(value)
        except ValueError:
            return False
        if self.format == "uri":
            return bool(urlsplit(value).scheme)
        return self.format != "email" or _EMAIL.fullmatch(value) is not None


def fields_of(schema: Mapping[str, Any]) -> tuple[Field, ...]:
    """The fields of an object's schema, in its order. What is no plain field takes JSON."""
    needed = set(map(str, sequence(schema.get("required"))))
    properties = mapping(schema.get("properties"))
    return tuple(_field(str(name), mapping(about), str(name) in needed) for name, about in properties.items())


def _field(name: str, about: Mapping[str, Any], required: bool) -> Field:
    about = _without_null(about)
    kind, choices = _kind(about)
    low, high = {
        "number": ("minimum", "maximum"), "integer": ("minimum", "maximum"),
        "text": ("minLength", "maxLength"), "choices": ("minItems", "maxItems"),
    }.get(kind, ("", ""))  # fmt: skip
    return Field(
        name,
        str(about.get("title") or name),
        kind,
        required,
        about.get("default"),
        str(about.get("description") or ""),
        str(about.get("format") or ""),
        choices,
        _bound(about.get(low)),
        _bound(about.get(high)),
    )


def _without_null(about: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a field is when it is there: some write that it may be absent as a type of its own."""
    others = [mapping(one) for one in sequence(about.get("anyOf")) if mapping(one).get("type") != "null"]
    return {**about, **others[0]} if len(others) == 1 else about


def _kind(about: Mapping[str, Any]) -> tuple[Kind, tuple[Choice, ...]]:
    if choices := _choices(about):
        return "choice", choices
    if about.get("type") == "array" and (choices := _choices(mapping(about.get("items")))):
        return "choices", choices
    return _KINDS.get(about.get("type"), "json"), ()


def _choices(about: Mapping[str, Any]) -> tuple[Choice, ...]:
    """The values of an enumeration with their titles, in each of the three ways to write one."""
    values: Sequence[Any] = sequence(about.get("enum"))
    names = [str(title) for title in sequence(about.get("enumNames"))]
    if values:
        names = names if len(names) == len(values) else [str(value) for value in values]
        return tuple(map(Choice, names, values))
    titled = [mapping(one) for one in sequence(about.get("oneOf")) or sequence(about.get("anyOf"))]
    if not titled or not all("const" in one for one in titled):
        return ()
    return tuple(Choice(str(one.get("title") or one["const"]), one["const"]) for one in titled)


def _bound(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
