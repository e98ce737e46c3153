"""Hashes that are the same in every process: Python's own `hash()` of a text is salted anew in each.

A key has to lead to the same server after a restart, in the replayer and on every machine: this is BLAKE2b.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from struct import unpack

_BYTES = 8
_SPARE, _TOP = 12, 1 << 52  # bits that a float between 0 and 1 does not hold
_BATCH = 8  # numbers that one digest of full length gives


def units(key: str) -> Callable[[str], float]:
    """A function of a name to a number in (0, 1), another one for each key."""
    base = blake2b(key.encode() + b"\0", digest_size=_BYTES)

    def of(name: str) -> float:
        state = base.copy()
        state.update(name.encode())
        return ((int.from_bytes(state.digest(), "big") >> _SPARE) + 0.5) / _TOP

    return of


def places(name: str, count: int) -> list[float]:
    """The first numbers in (0, 1) of a name's endless sequence."""
    base = blake2b(name.encode() + b"\0")
    found: list[float] = []
    for batch in range(-(-count // _BATCH)):
        state = base.copy()
        state.update(str(batch).encode())
        found += [((number >> _SPARE) + 0.5) / _TOP for number in unpack(">8Q", state.digest())]
    return found[:count]
