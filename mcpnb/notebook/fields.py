"""The fields of a form, and what a person's words mean in each.

It owns kinds of fields, hints and checks. Which fields a schema describes `shapes` reads; how a field is
shown, as a widget or a prompt, others decide. Whatever a schema says is foreign text, to be escaped by
whoever shows it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, Literal, NamedTuple, NoReturn
from urllib.parse import urlsplit

__all__ = ["Choice", "Field", "Kind"]

Kind = Literal[
    "text", "number", "integer", "boolean", "choice", "choices", "json", "constant", "object", "list", "ways"
]
"""`ways` is one of several forms; the last three have fields of their own and no words."""

_HELD: Final[Mapping[Kind, tuple[type[object], ...]]] = {
    "text": (str,), "number": (int, float), "integer": (int,), "boolean": (bool,), "choices": (list,),
    "object": (dict,), "list": (list,),
}  # fmt: skip
"""What a field of that kind holds."""
_YES: Final = frozenset({"y", "yes", "true", "1"})
_NO: Final = frozenset({"n", "no", "false", "0"})
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_WHOLE: Final = re.compile(r"[+-]?\d{1,400}", re.ASCII)
_FILLED_IN: Final = 100_000
"""Characters of a default beyond which it stays with the server: no page is for that."""
_FORMATS: Final = {
    "email": "an e-mail address",
    "uri": "a URI such as https://example.com",
    "date": "a date such as 2026-07-28",
    "date-time": "a time such as 2026-07-28T09:30:00Z",
}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


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
    """The smallest number, or the fewest characters, choices or items."""
    most: float | None = None
    nullable: bool = False
    """Whether it may also be null."""
    step: float | None = None
    """What a number is a multiple of."""
    long: bool = False
    """Whether a text has several lines."""
    examples: tuple[str, ...] = ()
    schema: Mapping[str, object] = field(default_factory=dict[str, object], repr=False, hash=False)
    """What was read, its references followed."""
    depth: int = 0
    """How many fields it stands in."""
    above: float | None = None
    """What a number is greater than, where that is no bound that it may have itself."""
    below: float | None = None

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
            "constant": "always the same",
            "object": "fields of its own",
            "list": "a list",
            "ways": "one of several forms",
        }[self.kind]
        bounds = self._bounds()
        return f"{what}, {bounds}" if bounds else what

    def accepts(self, value: Any) -> bool:
        """Whether its input can show the value: such a default is filled in, others are not."""
        truth = isinstance(value, bool) and self.kind in {"number", "integer"}
        kinds: Any = _HELD.get(self.kind, (object,))
        if truth or not isinstance(value, kinds):
            return False
        if self.kind in {"choice", "constant"}:
            return self.place(value) is not None
        if isinstance(value, list) and self.kind == "choices":
            return all(self.place(one) is not None for one in value)  # pyright: ignore[reportUnknownVariableType] - of whatever
        return not (isinstance(value, str | list | dict) and len(str(value)) > _FILLED_IN)  # pyright: ignore[reportUnknownArgumentType] - of whatever

    def place(self, value: Any) -> int | None:
        """Which of the choices it is. Other than in Python, 1 is not True."""
        for place, choice in enumerate(self.choices):
            if choice.value == value and isinstance(choice.value, bool) == isinstance(value, bool):
                return place
        return None

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
        if low or high or self._beyond(measured) or not self._formatted(value):
            raise ValueError(f"this needs {self.hint}")
        return value

    def _beyond(self, number: float | None) -> bool:
        """Whether a number is none of those between the bounds that are out of bounds themselves."""
        low = self.above is not None and number is not None and number <= self.above
        return low or (self.below is not None and number is not None and number >= self.below)

    def _bounds(self) -> str:
        ends = (("above", self.above), ("below", self.below))
        open_ = [f"{word} {end:g}" for word, end in ends if end is not None]
        return ", ".join(filter(None, (self._closed_bounds(), *open_)))

    def _closed_bounds(self) -> str:
        unit = {"text": " characters", "choices": " of them", "list": " items"}.get(self.kind, "")
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
        if _WHOLE.fullmatch(text):  # a number is whole, too: as text it stays exact
            return int(text)
        try:
            number = math.nan if self.kind == "integer" else float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"this needs {self.hint}")
        return number

    def _json(self, text: str) -> Any:
        try:
            return json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            why = "it is nested too deeply" if isinstance(error, RecursionError) else error
            raise ValueError(f"this needs JSON: {why}") from None

    def _formatted(self, value: Any) -> bool:
        if not isinstance(value, str):
            return True
        try:
            if self.format == "date":
                date.fromisoformat(value)
            elif self.format == "date-time":
                datetime.fromisoformat(value)
            elif self.format == "uri":
                return bool(urlsplit(value).scheme)
        except ValueError:
            return False
        return self.format != "email" or _EMAIL.fullmatch(value) is not None
