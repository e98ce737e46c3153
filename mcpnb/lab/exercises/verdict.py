"""What a checker says of an answer, and how an answer is read before it is judged.

It owns the three verdicts and their pictures. It knows no exercise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from mcpnb.notebook.cards import card, head
from mcpnb.notebook.markup import bundle, escape

__all__ = ["Check", "Unreadable", "Verdict", "mapping", "names", "number", "right", "text", "wrong"]

State = Literal["right", "not yet", "no answer"]

_MARKS: Mapping[State, tuple[str, str]] = {
    "right": ("✓", "mcpnb-good"),
    "not yet": ("✗", "mcpnb-bad"),
    "no answer": ("○", "mcpnb-dim"),
}
"""State → its symbol and its colour."""


_LONGEST = 200
"""Characters of an answer in words."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of an answer. True where the answer is right."""

    state: State
    says: str
    """What is right or wrong about it; never the answer itself."""
    hint: str = ""
    """Where to look next."""
    exercise: str = ""

    def __bool__(self) -> bool:
        return self.state == "right"

    def __repr__(self) -> str:
        hint = f"\n  Hint: {self.hint}" if self.hint else ""
        return f"{_MARKS[self.state][0]} {self.exercise} {self.state}: {self.says}{hint}"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        mark, colour = _MARKS[self.state]
        title = f'<span class="{colour}">{mark} {self.state}</span>'
        hint = f'<p class="mcpnb-dim">Hint: {escape(self.hint)}</p>' if self.hint else ""
        body = card(head(title, (escape(self.exercise),)), f"<p>{escape(self.says)}</p>", hint)
        return bundle(body, repr(self))


@dataclass(frozen=True, slots=True)
class Check:
    """One exercise: how its answer is judged, and what its notebook hands out for it."""

    judge: Callable[[Any], Verdict]
    """Takes the answer, returns a `Verdict`; raises `Unreadable` for one of another kind."""
    material: Callable[[], Any] | None = None
    """Makes what the exercise is about, anew for each who asks; None where there is nothing."""


class Unreadable(Exception):
    """An answer of another kind than the exercise asks for; the message says which kind."""


def right(says: str) -> Verdict:
    """The answer is right; what it means, in a sentence."""
    return Verdict("right", says)


def wrong(says: str, hint: str) -> Verdict:
    """The answer is not right yet."""
    return Verdict("not yet", says, hint)


def _kind(answer: object) -> str:
    return "nothing (None)" if answer is None else f"a {type(answer).__name__}"


def _as_python(answer: object, method: str) -> object:
    """What NumPy and pandas hold, as plain Python, without importing either; else the answer itself."""
    if isinstance(answer, str):
        return answer
    try:
        return getattr(answer, method)()
    except Exception:  # noqa: BLE001 - whatever a student has in a variable: it is judged as what it is
        return answer


def number(answer: object, what: str) -> float:
    """The answer as a finite number."""
    value = _as_python(answer, "item")
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        pass
    raise Unreadable(f"The answer is {what}, a number; this is {_kind(answer)}.")


def text(answer: object, what: str) -> str:
    """The answer as a word without space around it."""
    if not isinstance(answer, str) or not answer.strip():
        raise Unreadable(f"The answer is {what}, a text in quotes; this is {_kind(answer)}.")
    if len(answer) > _LONGEST:
        raise Unreadable(f"The answer is {what}, a word or two; this is a text of {len(answer)} characters.")
    return answer.strip()


def names(answer: object, what: str) -> list[str]:
    """The answer as a list of texts; any collection of them will do."""
    values = _as_python(answer, "tolist")
    if isinstance(values, set | frozenset | tuple):
        values = list(cast("Sequence[object]", values))
    if not isinstance(values, list) or not all(
        isinstance(each, str) for each in cast("list[object]", values)
    ):
        raise Unreadable(
            f"The answer is {what}, a list of texts such as ['a', 'b']; this is {_kind(answer)}."
        )
    return cast("list[str]", values)


def mapping(answer: object, what: str) -> dict[str, Any]:
    """The answer as a dict with texts for keys; a pandas Series will do."""
    values = _as_python(answer, "to_dict")
    if not isinstance(values, Mapping):
        raise Unreadable(f"The answer is {what}, a dict such as {{'a': 1}}; this is {_kind(answer)}.")
    found = cast("Mapping[object, Any]", values)
    return {str(key): value for key, value in found.items()}
