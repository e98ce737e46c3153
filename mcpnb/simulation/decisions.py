"""The stream of decisions, boiled down to a digest: equal digests mean that two runs decided alike.

It takes what the dispatcher asked for, in order, and leaves out times: a live clock never repeats them.
"""

from __future__ import annotations

import hashlib

_FLUSH = 4096
"""Lines hashed at a time: one call of the hash for each line would cost more than the line."""


class Decisions:
    """Hashes who was sent what, what was cancelled, and how each call ended."""

    __slots__ = ("_hash", "_lines", "_note")

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._lines: list[str] = []
        self._note = self._lines.append

    def sent(self, request: int, number: int, server: str) -> None:
        """Attempt `number` of a call goes to this server."""
        self._note(f"send {request} {number} {server}\n")

    def cancelled(self, request: int, number: int) -> None:
        """Attempt `number` of a call is given up."""
        self._note(f"cancel {request} {number}\n")

    def finished(self, request: int, outcome: str) -> None:
        """A call is over."""
        self._note(f"finish {request} {outcome}\n")
        if len(self._lines) >= _FLUSH:
            self._flush()

    def digest(self) -> str:
        """32 hexadecimal digits: blake2b over all lines so far."""
        self._flush()
        return self._hash.hexdigest()

    def _flush(self) -> None:
        self._hash.update("".join(self._lines).encode())
        self._lines.clear()
