"""One line of a recording, read with suspicion: anybody may have written it.

It owns the errors that name file and line. What the fields mean is for others to say.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, cast, get_args

from mcpnb.errors import RecordingError
from mcpnb.model import OUTCOMES, OutcomeKind, ServerState

__all__ = ["Stated", "parse"]

_STATES = get_args(ServerState)
_OUTCOMES: dict[str, OutcomeKind] = {kind: kind for kind in OUTCOMES}


class Stated(NamedTuple):
    """An object of a line, and where it stands. Every reading raises `RecordingError` for a wrong type."""

    fields: Mapping[str, Any]
    file: str
    line: int

    def wrong(self, key: str, problem: str) -> NoReturn:
        """Refuse a field."""
        raise RecordingError(self.file, f"{key} {problem}", line=self.line)

    def text(self, key: str, default: str | None = None) -> str:
        """A text."""
        value = self.fields.get(key, default)
        return value if isinstance(value, str) else self.wrong(key, f"is no text: {_short(value)}")

    def text_or_none(self, key: str) -> str | None:
        """A text, or nothing."""
        return None if self.fields.get(key) is None else self.text(key)

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = self.fields.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.wrong(key, f"is no number: {_short(value)}")
        return float(value)

    def number_or_none(self, key: str) -> float | None:
        """A finite number, or nothing."""
        return None if self.fields.get(key) is None else self.number(key)

    def whole(self, key: str, default: int | None = None) -> int:
        """A whole number of at least 0."""
        value = self.fields.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.wrong(key, f"is no count: {_short(value)}")
        return value

    def flag(self, key: str) -> bool:
        """True or false; false when it is not there."""
        value = self.fields.get(key, False)
        return (
            value
            if isinstance(value, bool)
            else self.wrong(key, f"is neither true nor false: {_short(value)}")
        )

    def outcome(self) -> OutcomeKind:
        """How a call or an attempt ended."""
        kind = self.fields.get("outcome")
        known = _OUTCOMES.get(kind) if isinstance(kind, str) else None
        return known or self.wrong("outcome", f"is none of {', '.join(OUTCOMES)}: {_short(kind)}")

    def state(self) -> ServerState:
        """How a server is."""
        value = self.text("state")
        return (
            cast("ServerState", value)
            if value in _STATES
            else self.wrong("state", f"is none: {_short(value)}")
        )

    def object(self, key: str) -> Stated:
        """A JSON object; an empty one when it is not there."""
        value = self.fields.get(key)
        if value is None:
            return self._replace(fields={})
        return self._of(key, value)

    def objects(self, key: str) -> list[Stated]:
        """A list of JSON objects; none when it is not there."""
        return [self._of(key, item) for item in self.items(key)]

    def items(self, key: str) -> Sequence[Any]:
        """A list; an empty one when it is not there."""
        value = self.fields.get(key, ())
        if not isinstance(value, list | tuple):
            self.wrong(key, f"is no list: {_short(value)}")
        return cast("Sequence[Any]", value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        found = tuple(self.items(key))
        return (
            found if all(isinstance(each, str) for each in found) else self.wrong(key, "is no list of texts")
        )

    def _of(self, key: str, value: Any) -> Stated:
        if not isinstance(value, dict):
            self.wrong(key, f"is no object: {_short(value)}")
        return self._replace(fields=cast("dict[str, Any]", value))


def parse(text: bytes, file: str, line: int) -> Stated:
    """The object that a line holds.

    Raises:
        RecordingError: It holds none.
    """
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordingError(file, f"is not JSON ({error})", line=line) from None
    if not isinstance(value, dict):
        raise RecordingError(file, f"is no JSON object: {_short(value)}", line=line)
    return Stated(cast("dict[str, Any]", value), file, line)


def _short(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
