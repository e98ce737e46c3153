"""Is this value of the right kind? Owns the words for a wrong one; knows no keys' meanings.

Every check returns the value with its type, or raises `ConfigError` with the key and a fix. Texts are
never quoted back, because any of them may be a secret; numbers are.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TypeGuard, cast

from mcpnb.errors import ConfigError

__all__ = [
    "boolean",
    "count",
    "integer",
    "is_mapping",
    "is_sequence",
    "kind_of",
    "mapping",
    "non_empty",
    "positive",
    "strings",
    "text",
    "whole",
]


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),  # before numbers, which it is one of
    ((int, float), "a number"),
    (str, "a string"),
    ((list, tuple), "a list"),
    (Mapping, "an object"),
    (type(None), "null"),
)


def kind_of(value: object) -> str:
    """What a JSON reader would call the value, for an error's text."""
    known = (name for kind, name in _KINDS if isinstance(value, kind))
    return next(known, f"a value of type {type(value).__name__}")


def text(value: object, key: str) -> str:
    """A string (or a path) without NUL."""
    if isinstance(value, os.PathLike):
        value = os.fspath(cast("os.PathLike[str]", value))
    if not isinstance(value, str):
        raise ConfigError(f"is {kind_of(value)}, not a string.", key=key, fix="Put it in double quotes.")
    if "\0" in value:
        raise ConfigError("contains a NUL character.", key=key, fix="Remove it.")
    return value


def non_empty(value: object, key: str, example: str) -> str:
    """A string that is more than white space."""
    checked = text(value, key)
    if not checked.strip():
        raise ConfigError("is empty.", key=key, fix=f'Write for example "{key}": {example}.')
    return checked


def is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    """Whether this is what a JSON list becomes, or its immutable twin."""
    return isinstance(value, list | tuple)


def is_mapping(value: object) -> TypeGuard[Mapping[str, object]]:
    """Whether this is what a JSON object becomes. Its keys are strings; `mapping` checks that."""
    return isinstance(value, Mapping)


def strings(value: object, key: str) -> tuple[str, ...]:
    """A list of strings; each wrong item is named by its index."""
    if not is_sequence(value):
        fix = 'Write it as a list: ["one", "two"].'
        raise ConfigError(f"is {kind_of(value)}, not a list of strings.", key=key, fix=fix)
    return tuple(text(item, f"{key}[{index}]") for index, item in enumerate(value))


def mapping(value: object, key: str | None, example: str) -> Mapping[str, object]:
    """An object whose keys are strings."""
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"is {kind_of(value)}, not an object.", key=key, fix=f"Write for example {example}."
        )
    checked = cast("Mapping[object, object]", value)
    for name in checked:
        if not isinstance(name, str):
            raise ConfigError(f"has {kind_of(name)} among its keys.", key=key, fix="Use strings as keys.")
    return cast("Mapping[str, object]", value)


def boolean(value: object, key: str) -> bool:
    """True or false, nothing that merely looks so."""
    if not isinstance(value, bool):
        fix = "Write true or false, without quotes."
        raise ConfigError(f"is {kind_of(value)}, not true or false.", key=key, fix=fix)
    return value


def integer(value: object, key: str) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        fix = "Write a whole number, without quotes."
        raise ConfigError(f"is {_shown(value)}, not a whole number.", key=key, fix=fix)
    return value


def count(value: object, key: str) -> int:
    """A whole number from 1."""
    checked = integer(value, key)
    if checked < 1:
        raise ConfigError(f"is {checked}.", key=key, fix="It must be 1 or more.")
    return checked


def whole(value: object, key: str) -> int:
    """A whole number from 0."""
    checked = integer(value, key)
    if checked < 0:
        raise ConfigError(f"is {checked}.", key=key, fix="It must be 0 or more.")
    return checked


def positive(value: object, key: str) -> float:
    """A finite number greater than 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        fix = "Write a number, without quotes."
        raise ConfigError(f"is {kind_of(value)}, not a number.", key=key, fix=fix)
    if not 0 < value < math.inf or _overflows(value):
        raise ConfigError(f"is {_shown(value)}.", key=key, fix="It must be finite and greater than 0.")
    return float(value)


def _overflows(value: float) -> bool:
    return isinstance(value, int) and value.bit_length() > 1023


def _shown(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return kind_of(value)
    return "too large a number" if _overflows(value) else repr(value)
