"""Cells of a column in little room: numbers as numbers, texts and nested values as bytes.

It owns that what comes out is what went in, and that a column gets the dtype which all of its cells would get
at once. It knows no rows and no answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from mcpnb.notebook.tables import series

__all__ = ["Packed", "joined", "packed", "unpacked"]

_NUMBERS: Final[dict[type, type]] = {int: np.int64, float: np.float64, bool: np.bool_}
_SINGLE: Final = frozenset({str, int, float, bool, type(None)})


class Packed(NamedTuple):
    """Some cells of a column, in their order."""

    kind: type | None
    """Of all cells: a number's type, `str`, `type(None)`; None when they differ or are nested."""
    size: int
    data: Any
    """An array of numbers, JSON text, or the cells themselves when they have none."""

    def cells(self) -> list[Any]:
        """What was packed."""
        match self.data:
            case np.ndarray():
                return self.data.tolist()
            case bytes():
                return json.loads(self.data.decode("utf-8", "surrogatepass"))
            case None:
                return [None] * self.size
            case _:
                return list(self.data)


def packed(cells: Sequence[Any]) -> Packed:
    """Pack cells, a few thousand at best; what is neither a number nor JSON is kept as it is."""
    kinds = set(map(type, cells))
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is type(None):
        return Packed(kind, len(cells), None)
    if kind in _NUMBERS:
        try:
            return Packed(kind, len(cells), np.array(cells, _NUMBERS[kind]))
        except OverflowError:  # a whole number of more than 64 bits
            kind = None
    kind = kind if kind is str else None
    try:
        return Packed(kind, len(cells), _text(cells))
    except (TypeError, ValueError, RecursionError):
        return Packed(None, len(cells), tuple(cells))


def _text(cells: Sequence[Any]) -> bytes:
    """The cells as JSON text. Escaped, halves of surrogate pairs that stand side by side would become one."""
    if not all(map(_is_json, cells)):
        raise TypeError("JSON text would not give these cells back")
    text = json.dumps(cells, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def _is_json(value: Any) -> bool:
    """Whether JSON text gives back just this: no tuple, no subclass of anything, no key but texts."""
    kind = type(value)
    if kind in _SINGLE:
        return True
    if kind is list:
        return all(map(_is_json, value))
    return kind is dict and all(type(key) is str for key in value) and all(map(_is_json, value.values()))


def joined(parts: Sequence[Packed]) -> pd.Series:
    """The cells of all parts as one column, with the dtype that `tables.series` gives them."""
    kinds = {part.kind for part in parts if part.size}
    if len(kinds) == 1 and not kinds.isdisjoint(_NUMBERS):
        return pd.Series(np.concatenate([part.data for part in parts if part.size]))
    if kinds == {str}:
        # Bit by bit, so that there are never as many Python texts as cells.
        bits = [series(part.cells()) for part in parts if part.size]
        if len({bit.dtype for bit in bits}) == 1:
            return pd.concat(bits, ignore_index=True)
    return series(unpacked(parts))


def unpacked(parts: Iterable[Packed]) -> list[Any]:
    """What was packed in all of them."""
    return [cell for part in parts for cell in part.cells()]
