"""Full servers: who waits, in which order, for how long, and who is sent away."""

from __future__ import annotations

from mcpnb.errors import CallTimeout, NoServerAvailable, Overloaded
from mcpnb.model import Alternative, Endpoint, Requirement
from mcpnb.resilience.admission import QueuePolicy
from mcpnb.resilience.breaker import BreakerPolicy
from mcpnb.routing import BreakerChanged


def full(bench, *, limit=1, servers=("only",), **options):
    """Servers with so many places each, all of them taken by calls 1, 2, ..."""
    made = bench(*(Endpoint(name, max_in_flight=limit) for name in servers), **options)
    for number in range(limit * len(servers)):
        made.call(1000 + number)
    return made, list(made.out.values())


def test_a_full_server_makes_calls_wait_until_a_place_is_free(bench):
    b, (first,) = full(bench)
    assert b.call(1) == []
    assert b.brain.queued("only") == 1
    b.now = 2.0
    (attempt,) = b.end(first)
    assert (attempt.request, attempt.queued, attempt.why) == (1, 2.0, "first")
    b.end(attempt)
    assert b.stories[1].queued == 2.0
    assert b.idle()


def test_no_server_has_more_in_flight_than_its_limit(bench):
    b, out = full(bench, limit=2, servers=("alpha", "beta"), strategy="random")
    for number in range(20):
        b.call(number)
    while out:
        out += b.end(out.pop(0))
        assert all(b.brain.in_flight(name) <= 2 for name in b.names)
    assert len(b.ends) == 24


def test_calls_of_a_higher_class_go_first_and_equal_ones_in_the_order_of_arrival(bench):
    b, (busy,) = full(bench)
    for number, priority in enumerate(["low", "normal", "high", "normal", "high"], 1):
        b.now += 0.01
        b.call(number, priority=priority)
    order = []
    while b.brain.queued("only"):
        (busy,) = b.end(busy)
        order.append(busy.request)
    assert order == [3, 5, 2, 4, 1]


def test_a_low_call_is_not_starved_by_high_ones_that_keep_coming(bench):
    b, (busy,) = full(bench, queue=QueuePolicy(aging=5.0))
    b.call(1, priority="low")
    number = 1
    while busy.request != 1:
        b.now += 1.0
        number += 1
        b.call(number, priority="high")
        (busy,) = b.end(busy)
    assert b.now <= 12.0  # two classes of five seconds, and a moment


def test_beyond_its_bound_the_queue_sheds_at_once(bench):
    b, _ = full(bench, queue=QueuePolicy(length=2))
    for number in range(1, 4):
        b.call(number)
    assert list(b.ends) == [3]
    assert b.ends[3].kind == "rejected"
    assert isinstance(b.ends[3].error, Overloaded)


def test_servers_bound_their_own_queues_together(bench):
    b = bench(*(Endpoint(name, max_in_flight=1, max_queue=1) for name in ("alpha", "beta")))
    for number in range(1, 6):
        b.call(number)
    assert list(b.ends) == [5]


def test_a_call_whose_time_is_over_before_its_turn_is_shed(bench):
    b, (busy,) = full(bench)
    b.call(1, deadline=3.0, timeout=3.0)
    b.wait(3.0)
    assert isinstance(b.ends[1].error, Overloaded)
    assert b.end(busy) == []
    assert b.idle()


def test_a_waiting_call_that_is_cancelled_leaves_the_queue(bench):
    b, (busy,) = full(bench)
    b.call(1)
    b.call(2)
    b.take(b.brain.on_cancel(1, b.now))
    (attempt,) = b.end(busy)
    assert attempt.request == 2


def test_when_the_last_server_goes_those_who_wait_are_told(bench):
    b, _ = full(bench)
    b.call(1)
    b.take(b.brain.mark("only", "reconnecting", 1.0))
    assert isinstance(b.ends[1].error, NoServerAvailable)


def test_when_a_waiting_calls_pool_is_made_anew_it_waits_on(bench):
    b, (busy,) = full(bench)
    b.call(1)
    b.take(b.brain.add(Endpoint("only", max_in_flight=2), now=b.now))
    assert [attempt.request for attempt in b.sent] == [1000, 1]
    b.end(busy)
    assert 1 not in b.ends


def test_a_retry_waits_for_a_server_that_did_not_have_its_chance(bench):
    b = bench("alpha", Endpoint("beta", max_in_flight=1), strategy="round_robin")
    (on_beta,) = b.call(1, requirement=Requirement(server="beta"))
    (on_alpha,) = b.call(2, repeatable=True)
    assert b.end(on_alpha, "disconnected") == []
    (again,) = b.end(on_beta)
    assert (again.request, again.server) == (2, "beta")


def test_a_free_place_goes_to_whoever_came_first_across_different_demands(bench):
    tagged = Requirement(tags=frozenset({"gpu"}))
    b = bench(Endpoint("alpha", max_in_flight=1, tags=frozenset({"gpu"})))
    (busy,) = b.call(1)
    b.now = 1.0
    b.call(2, requirement=tagged)
    b.now = 2.0
    b.call(3)
    (busy,) = b.end(busy)
    assert busy.request == 2
    (busy,) = b.end(busy)
    assert busy.request == 3


def test_calls_that_other_servers_can_take_do_not_wait(bench):
    b = bench(Endpoint("alpha", max_in_flight=1), "beta", strategy="random")
    for number in range(1, 6):
        assert b.call(number)
    assert b.brain.in_flight("alpha") <= 1


def test_full_servers_are_named_in_the_explanation(bench):
    b = bench(Endpoint("alpha", max_in_flight=1), "beta", strategy="least_request")
    b.call(1, requirement=Requirement(server="alpha"))
    (attempt,) = b.call(2)
    b.end(attempt)
    assert b.stories[2].excluded == {"alpha": "full: 1 of 1 places taken"}


def test_a_rate_limit_spaces_calls_out_and_none_is_lost(bench):
    b = bench(Endpoint("only", rate_limit=2.0))
    for number in range(1, 7):
        b.call(number)
    assert len(b.sent) == 2  # the burst: what a second brings
    b.wait(2.0)
    assert [attempt.sent_at for attempt in b.sent] == [0.0, 0.0, 0.5, 1.0, 1.5, 2.0]


def test_a_server_at_its_rate_limit_is_passed_over_while_another_is_not(bench):
    b = bench(Endpoint("alpha", rate_limit=1.0), "beta", strategy="random")
    for number in range(1, 20):
        b.end(*b.call(number))
    assert sum(attempt.server == "alpha" for attempt in b.sent) <= 1


def test_panic_does_not_overfill_a_server(bench):
    b = bench(Endpoint("only", max_in_flight=1), breaker=True, panic=True)
    b.take(b.brain.trip("only", 0.0))
    (attempt,) = b.call(1)
    assert attempt.why.startswith("panic")
    assert b.call(2) == []
    assert b.brain.queued("only") == 1
    (waited,) = b.end(attempt)
    assert waited.request == 2
    assert waited.why.startswith("panic")
    b.end(waited)
    assert b.idle()


def test_a_call_that_waits_in_panic_ends_when_its_servers_leave(bench):
    b = bench(Endpoint("alpha", max_in_flight=1), Endpoint("beta", max_in_flight=1), breaker=True, panic=True)
    for name in b.names:
        b.take(b.brain.trip(name, 0.0))
    first, second = *b.call(1), *b.call(2)
    assert b.call(3) == []
    b.take(b.brain.remove(first.server, 0.0))
    assert 3 not in b.ends
    b.take(b.brain.remove(second.server, 0.0))
    assert isinstance(b.ends[3].error, NoServerAvailable)


def test_calls_that_wait_in_panic_are_let_in_when_a_breaker_closes(bench):
    b = bench(Endpoint("alpha", max_in_flight=1), Endpoint("beta", max_in_flight=1), breaker=True, panic=True)
    for name in b.names:
        b.take(b.brain.trip(name, 0.0))
    first, second = *b.call(1), *b.call(2)
    b.call(3)
    b.take(b.brain.reset(first.server, 0.0))
    (third,) = b.end(first)
    assert (third.request, third.server) == (3, first.server)
    b.end(second)
    b.end(third)
    assert b.idle()


def test_a_timeout_of_a_call_that_was_sent_is_a_timeout_not_an_overload(bench):
    b, _ = full(bench, limit=1, servers=("alpha", "beta"))
    b.call(1, deadline=5.0, timeout=5.0, repeatable=True)
    (attempt,) = b.end(b.out[1])
    b.end(attempt, "disconnected")  # the other server is full: the call waits for it
    b.wait(5.0)
    assert isinstance(b.ends[1].error, CallTimeout)


def test_breakers_still_tell_while_calls_wait(bench):
    b, (busy,) = full(bench, breaker=True)
    b.call(1)
    b.take(b.brain.trip("only", 0.0))
    assert [change.state for change in b.told if isinstance(change, BreakerChanged)] == ["open"]
    assert isinstance(b.ends[1].error, NoServerAvailable)  # nobody is left who only has to get free
    b.end(busy)
    assert b.idle()


def test_a_call_that_stood_back_for_others_is_not_forgotten_beside_an_idle_server(bench):
    b = bench(Endpoint("x", max_in_flight=1), "y")
    stand_in = Alternative("u", ("y",))
    (first,) = b.call(1, servers=("x",), retries=0, alternatives=(stand_in,))
    b.call(2, servers=("x",))
    started = b.end(first, "refused")
    assert {(attempt.request, attempt.server) for attempt in started} == {(1, "y"), (2, "x")}


def test_a_retry_that_waits_for_a_busy_server_goes_elsewhere_when_that_one_is_gone(bench):
    b = bench("x", Endpoint("y", max_in_flight=1))
    attempts = {attempt.server: attempt for attempt in b.call(1) + b.call(2)}
    mine = attempts["x"].request
    b.end(attempts["x"], "refused")
    b.take(b.brain.mark("y", "gone", 1.0))
    b.wait(30.0)
    assert b.sent[-1].request == mine
    assert b.sent[-1].server == "x"


def test_a_refused_call_of_a_full_fleet_does_not_come_back_ahead_of_those_who_wait(bench):
    b = bench(Endpoint("x", max_in_flight=1), Endpoint("y", max_in_flight=1))
    (first,) = b.call(1)
    b.call(2)
    b.call(3)
    (next_one,) = b.end(first, "refused")
    assert next_one.request == 3


def test_calls_that_wait_for_a_tool_are_told_when_its_breaker_opens(bench):
    b = bench(Endpoint("x", max_in_flight=1), breaker=BreakerPolicy(consecutive_failures=1, per_tool=True))
    (first,) = b.call(1, retries=0)
    b.call(2)
    b.end(first, "disconnected")
    assert isinstance(b.ends[2].error, NoServerAvailable)


def test_a_server_that_leaves_and_comes_back_has_no_full_rate_limit(bench):
    made = bench(Endpoint("a", rate_limit=2.0))
    for number in (1, 2):
        made.end(*made.call(number))
    made.take(made.brain.remove("a", 0.0))
    made.take(made.brain.add(Endpoint("a", rate_limit=2.0), now=0.0))
    assert made.call(3) == []  # it waits
    (third,) = made.wait(0.5)
    assert third.server == "a"


def test_a_server_that_was_away_for_long_has_a_full_rate_limit(bench):
    made = bench(Endpoint("a", rate_limit=2.0))
    for number in (1, 2):
        made.end(*made.call(number))
    made.take(made.brain.remove("a", 0.0))
    made.wait(1.0)
    made.take(made.brain.remove("nobody", 1.0))
    made.take(made.brain.add(Endpoint("a", rate_limit=2.0), now=1.0))
    assert [len(made.call(number)) for number in (3, 4, 5)] == [1, 1, 0]
    assert len(made.wait(1.5)) == 1


def test_a_server_that_comes_back_with_another_rate_limit_begins_anew(bench):
    made = bench(Endpoint("a", rate_limit=1.0))
    made.end(*made.call(1))
    made.take(made.brain.remove("a", 0.0))
    made.take(made.brain.add(Endpoint("a", rate_limit=3.0), now=0.0))
    assert [len(made.call(number)) for number in (2, 3, 4, 5)] == [1, 1, 1, 0]
