"""Which arguments were there before, and in which row: an index that takes 30 to 36 bytes an entry.

It owns the table; a dict of the same would take 120. What is looked up is a digest, so that long arguments
take no more room than short ones.
"""

from __future__ import annotations

import hashlib
from array import array
from typing import Final

__all__ = ["Seen"]

_SLOTS: Final = 1_024
"""To begin with; a power of two, as it stays."""
_HALF: Final = 64
"""Bits."""


class Seen:
    """Rows by their arguments: a hash table with open addressing, at most two thirds full."""

    def __init__(self) -> None:
        # Sixteen bytes of a digest: no two of a billion rows share one. In the order in which they came.
        self._low, self._high = array("Q"), array("Q")
        self._rows = array("q")
        self._table = array("I", bytes(4 * _SLOTS))  # 1 + an entry's place in the lists above; 0 for none

    def first(self, key: str, row: int) -> int:
        """The first row that had this text; `row` itself, and it is kept, when none had."""
        digest = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "little")
        low, high = digest & (1 << _HALF) - 1, digest >> _HALF
        table, mask = self._table, len(self._table) - 1
        slot = low & mask
        while entry := table[slot]:
            if self._low[entry - 1] == low and self._high[entry - 1] == high:
                return self._rows[entry - 1]
            slot = slot + 1 & mask
        self._low.append(low)
        self._high.append(high)
        self._rows.append(row)
        table[slot] = len(self._rows)
        if 3 * len(self._rows) > 2 * len(table):
            self._grow()
        return row

    def _grow(self) -> None:
        table = array("I", bytes(8 * len(self._table)))
        mask = len(table) - 1
        for entry, low in enumerate(self._low, 1):
            slot = low & mask
            while table[slot]:
                slot = slot + 1 & mask
            table[slot] = entry
        self._table = table
