"""Arguments for calls: one dict, rows in turn, whatever an iterator brings, a function, or a template.

It owns the forms and how a call's arguments come of them. It knows no tools and no schedule.
"""

from __future__ import annotations

import contextlib
import inspect
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np

__all__ = ["Arguments", "ArgumentsOf", "Remembered", "arguments_for", "check_arguments"]

Rng = np.random.Generator


class Remembered:
    """Rows that an iterator brings, kept so that every strategy gets the same."""

    def __init__(self, rows: Iterable[Mapping[str, object]]) -> None:
        self._rest: Iterator[Mapping[str, object]] = iter(rows)
        self._rows: list[Mapping[str, object]] = []
        if not self._upto(0):
            raise ValueError("arguments: the iterator brings nothing")

    def _upto(self, i: int) -> bool:
        """Have row `i`, if there is one."""
        while len(self._rows) <= i and (row := next(self._rest, None)) is not None:
            self._rows.append(_row(row))
        return i < len(self._rows)

    def row(self, i: int) -> Mapping[str, object]:
        """The row of a call's number: from the beginning again after the last."""
        return self._rows[i if self._upto(i) else i % len(self._rows)]


ArgumentsOf = (
    Mapping[str, object] | Sequence[Mapping[str, object]] | Iterator[Mapping[str, object]] | Remembered
    | Callable[[int, Rng], Mapping[str, object]]
)  # fmt: skip
"""One dict for every call; a list or an iterator of dicts, used in turn and then from the beginning again; or
a function of the call's number and an rng.

A dict may be a template: what in it is a function, however deep, is called with the call's number and the rng
and stands for what it returns, as in `{"city": lambda i, rng: rng.choice(["Oslo", "Rome"]), "days": 3}`.
"""

Arguments = ArgumentsOf | Mapping[str, ArgumentsOf]
"""Arguments for every tool; with a mix of tools also a dict with an entry for each tool of the mix."""


def check_arguments(arguments: object, *, mix: bool) -> object:
    """The arguments, if they are some; an iterator as what it will have brought.

    Raises:
        TypeError, ValueError: They are none.
    """
    _check_functions(arguments)
    if callable(arguments) or isinstance(arguments, Remembered):
        return arguments
    if isinstance(arguments, Mapping):
        entries = cast("Mapping[str, object]", arguments)
        return {key: _entry(value) for key, value in entries.items()} if mix else entries
    if isinstance(arguments, str) or not isinstance(arguments, Iterable):
        raise TypeError(f"arguments must be a dict, a list of dicts or a function, not {arguments!r}")
    if hasattr(cast("object", arguments), "to_dict"):
        raise TypeError('arguments must be rows: of a DataFrame, df.to_dict("records")')
    if not isinstance(arguments, Sequence):
        return Remembered(cast("Iterable[Mapping[str, object]]", arguments))
    rows = cast("Sequence[object]", arguments)
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        raise ValueError("arguments: a list needs at least one row, and every row must be a dict")
    return rows


def _check_functions(value: object) -> None:
    """Nothing, when every function in a template takes what it will be called with.

    Raises:
        TypeError: One does not.
    """
    if callable(value):
        with contextlib.suppress(ValueError):  # some that are written in C do not say what they take
            signature = inspect.signature(value)
            if not _binds(signature):
                raise TypeError(f"arguments: a function is called as f(i, rng); this one takes {signature}")
    elif isinstance(value, Mapping):
        for item in cast("Mapping[object, object]", value).values():
            _check_functions(item)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            _check_functions(item)


def _binds(signature: inspect.Signature) -> bool:
    try:
        signature.bind(0, None)
    except TypeError:
        return False
    return True


def _entry(value: object) -> object:
    """What may be one tool's arguments: iterators are kept there, too."""
    return Remembered(cast("Iterable[Any]", value)) if isinstance(value, Iterator) else value


def arguments_for(arguments: Arguments, tool: str, i: int, rng: Rng, *, mix: bool) -> Mapping[str, object]:
    """The arguments of call number `i`.

    Raises:
        TypeError: A function or an iterator brought something else than a dict.
    """
    if callable(arguments):
        return _row(_plain(arguments(i, rng)))
    if isinstance(arguments, Remembered):
        return _filled(arguments.row(i), i, rng)
    if not isinstance(arguments, Mapping):
        rows = cast("Sequence[Mapping[str, object]]", arguments)  # iterators were taken in by the check
        return _filled(rows[i % len(rows)], i, rng)
    if mix and tool in arguments:
        return arguments_for(cast("ArgumentsOf", arguments[tool]), tool, i, rng, mix=False)
    return _filled(cast("Mapping[str, object]", arguments), i, rng)


def _row(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"arguments of a call must be a dict, not {value!r}")
    return cast("Mapping[str, object]", value)


def _filled(row: Mapping[str, object], i: int, rng: Rng) -> Mapping[str, object]:
    """The row with its functions called; itself when there are none, which is the common case."""
    filled = {key: _value(value, i, rng) for key, value in row.items()}
    return row if all(filled[key] is row[key] for key in row) else filled


def _value(value: object, i: int, rng: Rng) -> object:
    if callable(value):
        return _plain(value(i, rng))
    if isinstance(value, Mapping):
        return _filled(cast("Mapping[str, object]", value), i, rng)
    if isinstance(value, list):
        items = cast("list[object]", value)
        found = [_value(item, i, rng) for item in items]
        return items if all(map(operator.is_, found, items)) else found
    return value


def _plain(value: object) -> object:
    """What NumPy drew as Python's own number or text, which is what JSON has."""
    if isinstance(value, np.generic | np.ndarray):
        return cast("object", value.tolist())
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[object]", value)]
    return value
