"""The queue of calls that wait for a free place."""

from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mcpnb.model import PRIORITIES
from mcpnb.resilience.admission import AdmissionQueue, QueuePolicy


class Waiting:
    """A call, as the queue sees it: hashable by identity."""


def queue(**policy) -> AdmissionQueue:
    return AdmissionQueue(QueuePolicy(**policy))


def drain(subject: AdmissionQueue) -> list:
    return [subject.pop() for _ in range(len(subject))]


@pytest.mark.parametrize("priority", PRIORITIES)
def test_within_a_class_it_is_first_come_first_served_even_at_the_same_moment(priority):
    subject = queue()
    for number, now in enumerate((0.0, 0.0, 1.0, 1.0, 1.0, 7.5)):
        assert subject.push(number, priority, now)
    assert drain(subject) == [0, 1, 2, 3, 4, 5]


def test_high_goes_before_normal_before_low():
    subject = queue()
    for number, priority in enumerate(("low", "normal", "high", "low", "normal", "high")):
        subject.push(number, priority, 0.0)
    assert drain(subject) == [2, 5, 1, 4, 0, 3]


def test_low_is_overtaken_by_high_for_twice_the_aging_and_by_normal_for_once():
    subject = queue(aging=5.0)
    subject.push("low", "low", 0.0)
    for now in (4.9, 5.0, 9.9, 10.0, 11.0):
        subject.push(("high", now), "high", now)
        subject.push(("normal", now), "normal", now)
    overtook = drain(subject)
    overtook = overtook[: overtook.index("low")]
    assert overtook == [("high", 4.9), ("high", 5.0), ("normal", 4.9), ("high", 9.9)]


def test_low_gets_its_turn_while_high_never_stops():
    subject = queue(aging=5.0)
    subject.push("low", "low", 0.0)
    turns = 0
    while True:  # one call of class high a second, and one free place a second
        subject.push(turns, "high", float(turns))
        if subject.pop() == "low":
            break
        turns += 1
    assert turns == 10


def test_without_aging_classes_do_not_matter():
    subject = queue(aging=0.0)
    for number, priority in enumerate(("low", "high", "normal")):
        subject.push(number, priority, float(number))
    assert drain(subject) == [0, 1, 2]


def test_a_full_queue_refuses_whatever_the_priority_until_somebody_leaves():
    subject = queue(length=2)
    assert subject.push("a", "low", 0.0)
    assert subject.push("b", "low", 0.0)
    assert not subject.push("c", "high", 0.0)
    assert (len(subject), "c" in subject) == (2, False)
    subject.remove("a")
    assert subject.push("c", "high", 0.0)
    assert not queue(length=0).push("a", "high", 0.0)


def test_a_shorter_bound_throws_nobody_out_and_a_longer_one_lets_more_in():
    subject = queue(length=3)
    for number in range(3):
        subject.push(number, "normal", 0.0)
    subject.length = 1
    assert (len(subject), subject.push(3, "normal", 0.0)) == (3, False)
    subject.length = 4
    assert subject.push(3, "normal", 0.0)


def test_who_stopped_waiting_is_never_served_and_may_come_again_at_the_end():
    subject = queue()
    for number in range(3):
        subject.push(number, "normal", 0.0)
    assert subject.remove(0)
    assert not subject.remove(0)
    assert not subject.remove("a stranger")
    assert subject.push(0, "normal", 1.0)
    assert drain(subject) == [1, 2, 0]


def test_looking_does_not_take():
    subject = queue(aging=2.0)
    assert (subject.peek(), subject.pop()) == (None, None)
    subject.push("a", "normal", 3.0)
    key, _, item = subject.peek()
    assert (key, item, len(subject)) == (5.0, "a", 1)
    assert subject.peek()[2] == subject.pop() == "a"


def test_an_unknown_priority_and_waiting_twice_are_refused():
    subject = queue()
    with pytest.raises(ValueError, match="high, normal, low, not 'urgent'"):
        subject.push("a", "urgent", 0.0)
    subject.push("a", "low", 0.0)
    with pytest.raises(ValueError, match="waits already: 'a'"):
        subject.push("a", "high", 0.0)
    assert len(subject) == 1


@pytest.mark.parametrize("wrong", [{"length": -1}, {"aging": -1.0}, {"aging": float("inf")}])
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="queue"):
        QueuePolicy(**wrong)


def test_memory_is_bounded_by_who_waits_although_nobody_is_ever_served():
    subject = queue()
    subject.push("stays", "high", 0.0)
    gone = []
    for number in range(10_000):
        call = Waiting()
        gone.append(weakref.ref(call))
        subject.push(call, "low", float(number))
        subject.remove(call)
        del call
    gc.collect()
    assert sum(ref() is not None for ref in gone) < 50
    assert drain(subject) == ["stays"]


@given(st.lists(st.tuples(st.sampled_from(PRIORITIES), st.floats(0, 3)), max_size=60), st.floats(0, 10))
def test_who_arrives_two_agings_later_never_goes_first(arrivals, aging):
    """Nobody starves, whatever the classes."""
    subject, now, times = queue(aging=aging), 0.0, []
    for number, (priority, gap) in enumerate(arrivals):
        now += gap
        times.append(now)
        subject.push(number, priority, now)
    latest = 0.0
    for item in drain(subject):
        latest = max(latest, times[item])
        assert times[item] >= latest - 2 * aging - 1e-9


class Queues(RuleBasedStateMachine):
    """The queue against a sorted list."""

    def __init__(self) -> None:
        super().__init__()
        self.subject = queue(length=12, aging=2.0)
        self.model: list[tuple[float, int, Waiting]] = []
        self.now, self.pushed, self.length = 0.0, 0, 12

    @rule(priority=st.sampled_from(PRIORITIES), gap=st.sampled_from([0.0, 0.0, 0.5, 2.0, 4.0]))
    def push(self, priority, gap):
        self.now += gap
        call = Waiting()
        taken = self.subject.push(call, priority, self.now)
        assert taken == (len(self.model) < self.length)
        if taken:
            self.pushed += 1
            self.model.append((self.now + 2.0 * PRIORITIES.index(priority), self.pushed, call))
            self.model.sort(key=lambda entry: entry[:2])

    @rule(times=st.integers(1, 30))
    def push_and_think_again(self, times):
        for _ in range(times):
            call = Waiting()
            if self.subject.push(call, "low", self.now):
                self.pushed += 1
                assert self.subject.remove(call)

    @precondition(lambda self: self.model)
    @rule(pick=st.integers(0, 50))
    def remove(self, pick):
        _, _, call = self.model.pop(pick % len(self.model))
        assert self.subject.remove(call)

    @rule()
    def pop(self):
        assert self.subject.pop() is (self.model.pop(0)[2] if self.model else None)

    @rule(length=st.integers(0, 20))
    def bound(self, length):
        self.subject.length = self.length = length

    @invariant()
    def it_agrees_with_the_list(self):
        head = self.subject.peek()
        assert len(self.subject) == len(self.model)
        assert (head is None) == (not self.model)
        if head is not None:
            assert (head[0], head[2]) == (self.model[0][0], self.model[0][2])

    @invariant()
    def leftovers_are_never_the_larger_part(self):
        assert len(self.subject._heap) <= 2 * len(self.model) + 16


TestQueues = Queues.TestCase
TestQueues.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
