"""Calls that are told attempt by attempt: a sample of those of which one row does not say everything.

It owns which calls these are: the same numbers in every run, so that strategies can be seen side by side.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mcpnb.model import AttemptRecord

__all__ = ["Told"]

_MOST: Final = 1_024
"""Calls that are kept; with more of them, every second number, every fourth, ..."""


class Told:
    """The attempts of calls that were sent more than once, or waited for a free server."""

    __slots__ = ("_stride", "calls")

    def __init__(self) -> None:
        self.calls: dict[int, tuple[AttemptRecord, ...]] = {}
        """Number of the call → its attempts; their `sent_at` counts from the call's arrival."""
        self._stride = 1

    def note(self, number: int, arrived: float, records: Iterable[AttemptRecord]) -> None:
        """A call is over; `arrived` is on the clock of its attempts."""
        if number % self._stride:
            return
        self.calls[number] = tuple([_since(arrived, record) for record in records])
        if len(self.calls) > _MOST:
            self._stride *= 2
            self.calls = {n: told for n, told in self.calls.items() if n % self._stride == 0}


def _since(arrived: float, record: AttemptRecord) -> AttemptRecord:
    attempt = record.attempt
    return record._replace(attempt=attempt._replace(sent_at=attempt.sent_at - arrived, saw=()))
