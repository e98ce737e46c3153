"""Which calls are told attempt by attempt: few, and the same in every run."""

from __future__ import annotations

from mcpnb.model import Attempt, AttemptRecord
from mcpnb.simulation.told import Told


def record(at: float) -> AttemptRecord:
    return AttemptRecord(Attempt(0, 0, 1, "a", "t", "p2c", at, 0.0, False, "first", ()), "ok", 0.1)


def test_attempts_count_from_their_calls_arrival():
    told = Told()
    told.note(4, 10.0, [record(10.5)])
    assert told.calls[4][0].attempt.sent_at == 0.5


def test_of_many_calls_every_so_many_is_kept_whatever_their_number():
    few, many = Told(), Told()
    for number in range(3_000):
        few.note(number, 0.0, [record(0.0)])
    for number in range(20_000):
        many.note(number, 0.0, [record(0.0)])
    assert list(few.calls) == list(range(0, 3_000, 4))
    assert {n for n in many.calls if n < 3_000} < set(few.calls)
    assert len(many.calls) <= 1_024
