"""Hashes that are the same in every process: Python's own `hash()` of a text is salted anew in each.

A key has to lead to the same server after a restart, in the replayer and on every machine: this is BLAKE2b.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

_BYTES = 8
_TOP = 1 << 64


def units(key: str) -> Callable[[str], float]:
    """A function of a name to a number in (0, 1), another one for each key."""
    base = blake2b(key.encode() + b"\0", digest_size=_BYTES)

    def of(name: str) -> float:
        state = base.copy()
        state.update(name.encode())
        return (int.from_bytes(state.digest(), "big") + 0.5) / (_TOP + 1)

    return of
