"""The state machine of calls, driven by hand: events in, actions out."""

from __future__ import annotations

import random
import warnings

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mcpnb.errors import CallTimeout, ConnectError, NoServerAvailable, ServerDisconnected, StrategyError
from mcpnb.model import Alternative, Attempt, Endpoint, Outcome, Request, Requirement
from mcpnb.resilience.admission import QueuePolicy
from mcpnb.resilience.breaker import BreakerPolicy
from mcpnb.resilience.outlier import OutlierPolicy
from mcpnb.resilience.retry import RetryPolicy
from mcpnb.resilience.settings import Resilience
from mcpnb.routing import BreakerChanged, Cancel, Dispatcher, Finish, Send, WaitUntil
from mcpnb.routing.node import Node
from mcpnb.routing.strategies import Strategy

SERVERS = ("alpha", "beta", "gamma")
REFUSED = Outcome("refused", error=ConnectError("alpha", "connection refused"))
LOST = Outcome("disconnected", error=ServerDisconnected("alpha"))


def dispatcher(strategy: str | Strategy = "round_robin", servers=SERVERS, **protections) -> Dispatcher:
    made = Dispatcher(strategy, rng=random.Random(1), resilience=Resilience(panic=True, **protections))
    for name in servers:
        made.add(Endpoint(name))
    return made


def request(number: int = 1, servers=SERVERS, **fields) -> Request:
    return Request(number, "weather.forecast", tuple(servers), **fields)


def sent(actions) -> list[Attempt]:
    return [action.attempt for action in actions if isinstance(action, Send)]


def finished(actions) -> list[Outcome]:
    return [action.outcome for action in actions if isinstance(action, Finish)]


def test_a_call_is_sent_to_a_server_and_finishes_with_its_answer():
    brain = dispatcher()
    (attempt,) = sent(brain.submit(request(), 0.0))
    assert brain.in_flight(attempt.server) == 1
    actions = brain.on_outcome(attempt.id, Outcome("ok", value=42), 0.25)
    assert finished(actions)[0].value == 42
    story = actions[-1].call.explanation()
    assert (story.total, story.attempts[0].latency) == (0.25, 0.25)
    assert brain.in_flight(attempt.server) == 0


def test_an_attempt_that_did_not_execute_goes_to_another_server_at_once():
    brain = dispatcher()
    (first,) = sent(brain.submit(request(), 0.0))
    (second,) = sent(brain.on_outcome(first.id, REFUSED, 0.1))
    assert second.server != first.server
    assert second.why.startswith("retry: refused")
    assert finished(brain.on_outcome(second.id, Outcome("ok"), 0.2))[0].kind == "ok"


def test_a_call_that_may_have_run_is_not_sent_again():
    brain = dispatcher()
    (attempt,) = sent(brain.submit(request(), 0.0))
    actions = brain.on_outcome(attempt.id, LOST, 0.1)
    assert not sent(actions)
    assert isinstance(finished(actions)[0].error, ServerDisconnected)


def test_a_repeatable_call_survives_a_server_that_dies_under_it():
    brain = dispatcher()
    (first,) = sent(brain.submit(request(repeatable=True), 0.0))
    (second,) = sent(brain.on_outcome(first.id, LOST, 0.1))
    assert second.server != first.server


def test_a_tool_that_says_no_is_an_answer_and_is_not_retried():
    brain = dispatcher()
    (attempt,) = sent(brain.submit(request(repeatable=True), 0.0))
    assert finished(brain.on_outcome(attempt.id, Outcome("tool_error"), 0.1))[0].kind == "tool_error"


def test_two_servers_one_dead_two_attempts_always_succeed():
    """Oracle retry_other_server: servers that had their attempt are excluded."""
    for strategy in ("random", "round_robin", "least_request", "p2c", "latency"):
        brain = dispatcher(strategy, servers=("dead", "alive"))
        for number in range(50):
            (attempt,) = sent(brain.submit(request(number, ("dead", "alive"), retries=1), float(number)))
            if attempt.server == "dead":
                (attempt,) = sent(brain.on_outcome(attempt.id, REFUSED, number + 0.1))
            assert finished(brain.on_outcome(attempt.id, Outcome("ok"), number + 0.2))[0].kind == "ok"


def test_the_only_server_gets_the_call_again_after_a_backoff():
    brain = dispatcher(servers=("only",))
    (first,) = sent(brain.submit(request(servers=("only",)), 0.0))
    (wait,) = brain.on_outcome(first.id, REFUSED, 1.0)
    assert isinstance(wait, WaitUntil)
    assert 1.0 <= wait.at <= 1.1
    (second,) = sent(brain.on_timer(wait.at))
    assert (second.server, second.number) == ("only", 2)


def limited(seconds: float) -> Outcome:
    return Outcome("refused", error=ConnectError("any", "HTTP 429", retry_after=seconds))


def test_a_server_that_says_when_to_come_back_gets_the_call_again_then():
    brain = dispatcher(servers=("only",))
    (first,) = sent(brain.submit(request(servers=("only",), deadline=30.0), 0.0))
    (wait,) = brain.on_outcome(first.id, limited(7.0), 1.0)
    assert wait.at == 8.0
    (second,) = sent(brain.on_timer(wait.at))
    assert (second.server, second.number) == ("only", 2)
    (wait,) = brain.on_outcome(second.id, REFUSED, 8.5)  # that was for once
    assert wait.at < 9.0


def test_a_call_that_cannot_wait_until_then_ends_at_once():
    brain = dispatcher(servers=("only",))
    (first,) = sent(brain.submit(request(servers=("only",), deadline=30.0), 0.0))
    (outcome,) = finished(brain.on_outcome(first.id, limited(60.0), 1.0))
    assert (outcome.kind, outcome.error.retry_after) == ("refused", 60.0)


def test_of_several_servers_the_first_that_wants_a_call_again_is_waited_for():
    brain = dispatcher(servers=("alpha", "beta"))
    (first,) = sent(brain.submit(request(servers=("alpha", "beta"), deadline=30.0), 0.0))
    (second,) = sent(brain.on_outcome(first.id, limited(5.0), 0.0))  # the other one at once
    (wait,) = brain.on_outcome(second.id, limited(60.0), 1.0)
    assert wait.at == 5.0


def test_when_nobody_can_take_the_call_the_error_says_why_per_server():
    brain = dispatcher()
    brain.mark("alpha", "reconnecting: connection refused", 0.0)
    brain.mark("beta", "failed: command not found", 0.0)
    (third,) = sent(brain.submit(request(), 0.0))
    brain.mark("gamma", "reconnecting", 0.1)
    (outcome,) = finished(brain.on_outcome(third.id, REFUSED, 0.1))
    assert isinstance(outcome.error, NoServerAvailable)
    assert outcome.error.reasons == {
        "alpha": "reconnecting: connection refused",
        "beta": "failed: command not found",
        "gamma": "refused: connection refused",
    }


@pytest.mark.parametrize(
    ("why", "told"), [("the connection ended", "the connection ended"), ("", "went away")]
)
def test_of_a_server_that_went_away_it_says_why_and_gives_no_advice_that_was_taken_already(why, told):
    brain = dispatcher(servers=("only",))
    (attempt,) = sent(brain.submit(request(servers=("only",), repeatable=True), 0.0))
    brain.mark("only", "reconnecting", 0.1)
    lost = Outcome("disconnected", error=ServerDisconnected("only", "weather.forecast", why))
    (finish,) = (each for each in brain.on_outcome(attempt.id, lost, 0.1) if isinstance(each, Finish))
    assert finish.outcome.error.reasons == {"only": f"disconnected: {told}"}
    assert finish.call.explanation().attempts[0].error == told


def test_the_deadline_ends_the_whole_call_and_cancels_what_is_out():
    brain = dispatcher()
    actions = brain.submit(request(deadline=5.0, timeout=5.0), 0.0)
    (attempt,) = sent(actions)
    assert actions[-1] == WaitUntil(5.0)
    cancel, finish = brain.on_timer(5.0)
    assert cancel == Cancel(attempt)
    assert isinstance(finish.outcome.error, CallTimeout)
    assert brain.in_flight(attempt.server) == 0
    assert brain.on_outcome(attempt.id, Outcome("ok"), 5.1) == []


def test_a_retry_waiting_for_its_backoff_ends_at_the_deadline_too():
    brain = dispatcher(servers=("only",))
    (first,) = sent(brain.submit(request(servers=("only",), deadline=1.0), 0.0))
    brain.on_outcome(first.id, REFUSED, 0.999999)
    outcomes = finished(brain.on_timer(1.0)) + finished(brain.on_timer(2.0))
    assert [outcome.kind for outcome in outcomes] == ["timeout"]


def test_a_caller_that_gives_up_gets_every_lease_back():
    brain = dispatcher()
    (attempt,) = sent(brain.submit(request(), 0.0))
    cancel, finish = brain.on_cancel(1, 0.5)
    assert (cancel, finish.outcome.kind) == (Cancel(attempt), "cancelled")
    assert brain.in_flight(attempt.server) == 0
    assert brain.on_cancel(1, 0.6) == []


def test_servers_that_do_not_qualify_are_named_with_the_reason():
    brain = Dispatcher("p2c", rng=random.Random(1))
    brain.add(Endpoint("alpha", tags=frozenset({"gpu"})))
    brain.add(Endpoint("beta"))
    (attempt,) = sent(
        brain.submit(
            request(servers=("alpha", "beta"), requirement=Requirement(tags=frozenset({"gpu"}))), 0.0
        )
    )
    assert attempt.server == "alpha"
    (finish,) = brain.on_outcome(attempt.id, Outcome("ok"), 0.1)
    assert finish.call.explanation().excluded == {"beta": "lacks the tag gpu"}


def test_a_server_that_comes_back_is_picked_again():
    brain = dispatcher(servers=("alpha",))
    brain.mark("alpha", "reconnecting", 0.0)
    assert finished(brain.submit(request(servers=("alpha",)), 0.0))[0].kind == "rejected"
    brain.mark("alpha", "", 1.0)
    assert sent(brain.submit(request(2, servers=("alpha",)), 1.0))


def test_an_attempt_at_a_server_that_left_still_ends_as_usual():
    brain = dispatcher()
    (attempt,) = sent(brain.submit(request(), 0.0))
    brain.remove(attempt.server, 0.1)
    assert finished(brain.on_outcome(attempt.id, Outcome("ok"), 0.2))[0].kind == "ok"


def test_a_server_added_anew_keeps_its_calls_in_flight():
    brain = dispatcher(servers=("alpha",))
    (attempt,) = sent(brain.submit(request(servers=("alpha",)), 0.0))
    brain.add(Endpoint("alpha", weight=2.0))
    assert brain.in_flight("alpha") == 1
    brain.on_outcome(attempt.id, Outcome("ok"), 0.2)
    assert brain.in_flight("alpha") == 0


def test_a_strategy_can_be_switched_while_calls_are_running():
    brain = dispatcher("round_robin")
    (attempt,) = sent(brain.submit(request(), 0.0))
    brain.use("p2c", 0.1)
    assert sent(brain.submit(request(2), 0.2))[0].strategy == "p2c"
    assert finished(brain.on_outcome(attempt.id, Outcome("ok"), 0.3))


def test_a_defined_strategy_has_a_state_of_its_own():
    brain = dispatcher("random")
    brain.define("trial", "round_robin")
    picks = []
    for number in range(6):
        (attempt,) = sent(brain.submit(request(number, strategy="trial"), 0.0))
        brain.on_outcome(attempt.id, Outcome("ok"), 0.0)
        picks.append(attempt.server)
    assert picks[:3] == picks[3:]
    assert set(picks) == set(SERVERS)


@pytest.mark.parametrize("fault", ["raises", "invents"])
def test_a_strategy_that_misbehaves_is_replaced_by_chance_and_named_once(fault):
    class Broken(Strategy):
        name = "broken"

        def pick(self, eligible, now, rng):
            if fault == "raises":
                raise ZeroDivisionError("oops")
            return Node(Endpoint("alpha"), 1)

    brain = dispatcher(Broken())
    with pytest.warns(RuntimeWarning, match="broken"):
        assert sent(brain.submit(request(), 0.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sent(brain.submit(request(2), 0.0))


def test_retries_stop_when_the_budget_is_spent():
    brain = dispatcher(retry=RetryPolicy(budget_percent=0, budget_per_second=0))
    (attempt,) = sent(brain.submit(request(), 0.0))
    actions = brain.on_outcome(attempt.id, REFUSED, 0.1)
    assert finished(actions)[0].kind == "refused"


def test_same_seed_and_same_events_give_the_same_decisions():
    def run() -> list[tuple[str, int]]:
        brain, picks = dispatcher("p2c"), []
        for number in range(200):
            (attempt,) = sent(brain.submit(request(number), number * 0.1))
            picks.append((attempt.server, attempt.id))
            if number % 3:
                brain.on_outcome(attempt.id, Outcome("ok"), number * 0.1 + 0.05)
        return picks

    assert run() == run()


def broken(brain: Dispatcher, server: str, now: float = 0.0) -> list:
    """Five faults in a row at one server, by calls that ask for it."""
    actions = []
    for number in range(1000, 1005):
        only = Requirement(server=server)
        (attempt,) = sent(brain.submit(request(number, requirement=only, retries=0), now))
        actions = brain.on_outcome(attempt.id, REFUSED, now)
    return actions


def test_a_breaker_takes_its_server_out_and_only_that_one():
    """Oracle breaker_isolation."""
    brain = dispatcher("p2c", breaker=BreakerPolicy())
    (change,) = [action for action in broken(brain, "beta") if isinstance(action, BreakerChanged)]
    assert (change.server, change.state) == ("beta", "open")
    for number in range(100):
        (attempt,) = sent(brain.submit(request(number), 0.1))
        assert attempt.server != "beta"
        brain.on_outcome(attempt.id, Outcome("ok"), 0.1)
    (attempt,) = sent(brain.submit(request(200), 0.1))
    story = brain.on_outcome(attempt.id, Outcome("ok"), 0.2)[-1].call.explanation()
    assert story.excluded == {"beta": "breaker open: 5 faults in a row"}


def test_a_breaker_lets_one_probe_through_when_its_time_is_over_and_heals():
    brain = dispatcher("round_robin", servers=("alpha", "beta"), breaker=BreakerPolicy(reset_after=10))
    pair = ("alpha", "beta")
    wait = [action for action in broken(brain, "beta") if isinstance(action, WaitUntil)][-1]
    assert 5 <= wait.at <= 15
    brain.on_timer(wait.at)
    probes = [sent(brain.submit(request(n, pair), wait.at))[0] for n in range(10)]
    (probe,) = [attempt for attempt in probes if attempt.server == "beta"]
    for attempt in probes:
        brain.on_outcome(attempt.id, Outcome("ok"), wait.at)
    assert brain.breaker("beta").state == "half_open"
    for number in range(20, 24):
        (attempt,) = sent(brain.submit(request(number, pair), wait.at))
        brain.on_outcome(attempt.id, Outcome("ok"), wait.at)
    assert brain.breaker("beta").state == "closed"
    assert probe.number == 1


def test_with_every_breaker_open_calls_are_sent_all_the_same():
    brain = dispatcher("p2c", breaker=BreakerPolicy())
    for server in SERVERS:
        brain.trip(server, 0.0)
    (attempt,) = sent(brain.submit(request(), 0.0))
    assert attempt.why.startswith("panic")
    assert finished(brain.on_outcome(attempt.id, Outcome("ok"), 0.1))[0].kind == "ok"
    assert all(brain.breaker(server).state == "open" for server in SERVERS)


def test_there_is_no_panic_while_most_servers_are_down_for_another_reason():
    brain = dispatcher("p2c", breaker=BreakerPolicy())
    brain.trip("alpha", 0.0)
    brain.mark("beta", "failed", 0.0)
    brain.mark("gamma", "failed", 0.0)
    (outcome,) = finished(brain.submit(request(), 0.0))
    assert outcome.error.reasons["alpha"] == "breaker open: tripped by hand"


def test_a_new_session_is_probed_at_once():
    brain = dispatcher("p2c", breaker=BreakerPolicy())
    brain.trip("alpha", 0.0)
    brain.mark("alpha", "reconnecting", 1.0)
    (change,) = brain.mark("alpha", "", 2.0)
    assert (change.server, change.state) == ("alpha", "half_open")


def test_a_breaker_can_be_reset_by_hand():
    brain = dispatcher(servers=("alpha", "beta", "gamma"), breaker=BreakerPolicy())
    brain.trip("alpha", 0.0)
    brain.reset("alpha", 0.0)
    assert {sent(brain.submit(request(n), 0.0))[0].server for n in range(3)} == set(SERVERS)


def test_a_call_that_times_out_counts_against_its_server():
    brain = dispatcher(servers=("only",), breaker=BreakerPolicy(consecutive_failures=2))
    for number in range(2):
        brain.submit(request(number, ("only",), deadline=1.0 + number), float(number))
        brain.on_timer(1.0 + number)
    assert brain.breaker("only").state == "open"


def answer_everything(machine) -> None:
    """Whatever was asked has its answer; what was not asked takes no harm from it."""
    for attempt in sorted(machine.out):
        for _ in range(60):
            machine.take(machine.brain.on_resumed(attempt, machine.now))


class Leases(RuleBasedStateMachine):
    """Any interleaving of events leaves no lease behind and finishes every call exactly once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.brain = dispatcher("least_request", retry=True, breaker=BreakerPolicy(consecutive_failures=2))
        self.out: dict[int, Attempt] = {}
        self.submitted: set[int] = set()
        self.done: list[int] = []

    def take(self, actions) -> None:
        for action in actions:
            if isinstance(action, Send):
                self.out[action.attempt.id] = action.attempt
            elif isinstance(action, Cancel):
                self.out.pop(action.attempt.id)
            elif isinstance(action, Finish):
                self.done.append(action.call.request.id)

    @rule(repeatable=st.booleans(), retries=st.integers(0, 4), patience=st.floats(0.01, 20))
    def submit(self, repeatable, retries, patience):
        number = len(self.submitted) + 1
        self.submitted.add(number)
        self.take(
            self.brain.submit(
                request(number, repeatable=repeatable, retries=retries, deadline=self.now + patience),
                self.now,
            )
        )

    @rule(data=st.data(), kind=st.sampled_from(["ok", "tool_error", "timeout", "disconnected", "refused"]))
    def end(self, data, kind):
        if self.out:
            attempt = self.out.pop(data.draw(st.sampled_from(sorted(self.out))))
            self.take(self.brain.on_outcome(attempt.id, Outcome(kind), self.now))

    @rule(data=st.data(), how=st.sampled_from(["on_paused", "on_paused", "on_resumed"]))
    def ask(self, data, how):
        if self.out:
            attempt = data.draw(st.sampled_from([*sorted(self.out), 10_000]))
            self.take(getattr(self.brain, how)(attempt, self.now))

    @rule(number=st.integers(1, 30))
    def cancel(self, number):
        self.take(self.brain.on_cancel(number, self.now))

    @rule(server=st.sampled_from(SERVERS), why=st.sampled_from(["", "reconnecting"]))
    def mark(self, server, why):
        self.take(self.brain.mark(server, why, self.now))

    @rule(server=st.sampled_from(SERVERS), by_hand=st.sampled_from(["trip", "reset"]))
    def breaker(self, server, by_hand):
        self.take(getattr(self.brain, by_hand)(server, self.now))

    @rule(server=st.sampled_from(SERVERS))
    def leave_and_join(self, server):
        self.brain.remove(server, self.now)
        self.brain.add(Endpoint(server))

    @rule(strategy=st.sampled_from(["random", "round_robin", "least_request", "latency", "p2c"]))
    def switch(self, strategy):
        self.brain.use(strategy, self.now)

    @rule(seconds=st.floats(0.0, 5.0))
    def wait(self, seconds):
        self.now += seconds
        self.take(self.brain.on_timer(self.now))

    @invariant()
    def every_call_finishes_at_most_once(self):
        assert len(self.done) == len(set(self.done))

    def teardown(self):
        answer_everything(self)
        self.now += 100.0
        self.take(self.brain.on_timer(self.now))
        assert set(self.done) == self.submitted
        assert not self.out
        assert all(self.brain.in_flight(server) == 0 for server in SERVERS)


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


class Everything(RuleBasedStateMachine):
    """All protections at once, in any interleaving: every counter ends at 0 and every call ends once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.brain = Dispatcher(
            "p2c",
            rng=random.Random(3),
            resilience=Resilience(
                breaker=BreakerPolicy(consecutive_failures=2, per_tool=True, reset_after=1.0),
                retry=True,
                hedge=0.5,
                panic=True,
                outlier=OutlierPolicy(interval=1.0, minimum_hosts=2, request_volume=2, ejection_time=2.0),
                queue=QueuePolicy(length=3, aging=1.0),
            ),
        )
        self.out: dict[int, Attempt] = {}
        self.submitted: set[int] = set()
        self.done: list[int] = []
        for name in SERVERS:
            self.join(name, 1)

    def join(self, name, limit):
        server = Endpoint(name, region=name[0], max_in_flight=limit, rate_limit=20.0)
        self.take(self.brain.add(server, now=self.now))

    def take(self, actions) -> None:
        for action in actions:
            if isinstance(action, Send):
                self.out[action.attempt.id] = action.attempt
            elif isinstance(action, Cancel):
                self.out.pop(action.attempt.id)
            elif isinstance(action, Finish):
                self.done.append(action.call.request.id)

    @rule(
        repeatable=st.booleans(),
        retries=st.integers(0, 3),
        patience=st.floats(0.01, 20),
        priority=st.sampled_from(["high", "normal", "low"]),
        affinity=st.sampled_from([None, "a", "b"]),
        region=st.sampled_from([None, "a", "b"]),
        tool=st.sampled_from(["t", "u"]),
        stand_in=st.booleans(),
    )
    def submit(self, repeatable, retries, patience, priority, affinity, region, tool, stand_in):
        number = len(self.submitted) + 1
        self.submitted.add(number)
        asked = Request(
            number,
            tool,
            SERVERS,
            deadline=self.now + patience,
            repeatable=repeatable,
            retries=retries,
            requirement=None if region is None else Requirement(region=region),
            affinity=affinity,
            priority=priority,
            alternatives=(Alternative("v", ("beta",), True),) if stand_in else (),
        )
        self.take(self.brain.submit(asked, self.now))

    @rule(data=st.data(), kind=st.sampled_from(["ok", "tool_error", "timeout", "disconnected", "refused"]))
    def end(self, data, kind):
        if self.out:
            attempt = self.out.pop(data.draw(st.sampled_from(sorted(self.out))))
            self.take(self.brain.on_outcome(attempt.id, Outcome(kind), self.now))

    @rule(data=st.data(), how=st.sampled_from(["on_paused", "on_paused", "on_resumed"]))
    def ask(self, data, how):
        if self.out:
            attempt = data.draw(st.sampled_from([*sorted(self.out), 10_000]))
            self.take(getattr(self.brain, how)(attempt, self.now))

    @rule(number=st.integers(1, 30))
    def cancel(self, number):
        self.take(self.brain.on_cancel(number, self.now))

    @rule(server=st.sampled_from(SERVERS), why=st.sampled_from(["", "reconnecting"]))
    def mark(self, server, why):
        self.take(self.brain.mark(server, why, self.now))

    @rule(
        server=st.sampled_from(SERVERS),
        tool=st.sampled_from([None, "t"]),
        by=st.sampled_from(["trip", "reset"]),
    )
    def breaker(self, server, tool, by):
        self.take(getattr(self.brain, by)(server, self.now, tool))

    @rule(server=st.sampled_from(SERVERS))
    def leave_and_join(self, server):
        self.take(self.brain.remove(server, self.now))
        self.join(server, 2)

    @rule(server=st.sampled_from(SERVERS), limit=st.sampled_from([None, 1, 2]))
    def change(self, server, limit):
        self.take(self.brain.add(Endpoint(server, max_in_flight=limit), now=self.now))

    @rule(seconds=st.floats(0.0, 5.0))
    def wait(self, seconds):
        self.now += seconds
        self.take(self.brain.on_timer(self.now))

    @invariant()
    def every_call_finishes_at_most_once(self):
        assert len(self.done) == len(set(self.done))

    @invariant()
    def what_is_out_is_what_is_counted(self):
        # An attempt at a server that left and came back is counted by the server that left.
        assert sum(self.brain.in_flight(server) for server in SERVERS) <= len(self.out)

    def teardown(self):
        answer_everything(self)
        for _ in range(3):
            self.now += 400.0
            self.take(self.brain.on_timer(self.now))
        assert set(self.done) == self.submitted
        assert not self.out
        assert all(self.brain.in_flight(s) == 0 and self.brain.queued(s) == 0 for s in SERVERS)
        for breakers in (self.brain.breakers(server) for server in SERVERS):
            assert all(breaker._out == 0 for breaker in breakers.values())


TestEverything = Everything.TestCase
TestEverything.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_call_that_names_no_strategy_we_have_is_refused_before_anything_happens():
    brain = dispatcher()
    with pytest.raises(StrategyError):
        brain.submit(request(strategy="nonesuch"), 0.0)
    assert brain.on_timer(100.0) == []


def test_a_strategy_that_is_dropped_while_its_call_is_out_leaves_the_retry_to_the_default():
    brain = dispatcher("p2c")
    brain.define("trial", "round_robin")
    (first,) = sent(brain.submit(request(strategy="trial"), 0.0))
    brain.undefine("trial", 0.1)
    (second,) = sent(brain.on_outcome(first.id, REFUSED, 0.2))
    assert second.strategy == "p2c"


def test_news_of_a_server_that_is_up_anyway_leave_its_breaker_alone():
    brain = dispatcher(servers=("only",), breaker=BreakerPolicy())
    brain.trip("only", 0.0)
    brain.mark("only", "", 1.0)
    assert brain.breaker("only").state == "open"


def test_after_its_deadline_nothing_is_sent_for_a_call():
    brain = dispatcher()
    assert finished(brain.submit(request(deadline=1.0), 2.0))[0].kind == "timeout"
    (attempt,) = sent(brain.submit(request(2, deadline=5.0), 2.0))
    actions = brain.on_outcome(attempt.id, REFUSED, 6.0)
    assert not sent(actions)
    assert finished(actions)[0].kind == "timeout"


@pytest.mark.parametrize("hook", ["added", "removed", "expected", "locate", "__deepcopy__"])
def test_a_strategy_that_raises_when_it_is_told_of_servers_loses_no_call(hook):
    class Broken(Strategy):
        name = "broken"

        def pick(self, eligible, now, rng):
            return eligible[0]

    def oops(self, *arguments):
        raise ZeroDivisionError("oops")

    brain = Dispatcher(Broken, rng=random.Random(1), home="eu")
    for server in SERVERS:
        brain.add(Endpoint(server, region="eu"))
    brain.mark("alpha", "reconnecting", 0.0)
    setattr(Broken, hook, oops)

    def one_call(number: int, now: float) -> str:
        (attempt,) = sent(brain.submit(request(number), now))
        assert finished(brain.on_outcome(attempt.id, Outcome("ok"), now))[0].kind == "ok"
        return attempt.server

    def servers_change() -> None:
        assert one_call(1, 0.0) != "alpha"
        brain.mark("alpha", "", 1.0)
        brain.mark("beta", "reconnecting", 1.0)
        assert one_call(2, 2.0) != "beta"

    with pytest.warns(RuntimeWarning, match=r"broken.*ZeroDivisionError: oops") as said:
        servers_change()
    assert len(said) == 1
    assert all(brain.in_flight(server) == 0 for server in SERVERS)


@pytest.mark.parametrize("hook", ["started", "finished", "measure"])
def test_a_strategy_that_raises_while_it_learns_loses_no_call_and_no_lease(hook):
    class Broken(Strategy):
        name = "broken"

        def pick(self, eligible, now, rng):
            self.compared = eligible
            return eligible[0]

    def oops(self, *arguments):
        raise ZeroDivisionError("oops")

    setattr(Broken, hook, oops)
    brain = dispatcher(Broken())

    def one_call() -> None:
        (attempt,) = sent(brain.submit(request(), 0.0))
        assert finished(brain.on_outcome(attempt.id, Outcome("ok"), 0.1))[0].kind == "ok"

    with pytest.warns(RuntimeWarning, match="broken"):
        one_call()
    assert all(brain.in_flight(server) == 0 for server in SERVERS)


def test_a_retry_in_panic_goes_to_another_server_while_there_is_one():
    brain = dispatcher("p2c", servers=("alpha", "beta"), breaker=BreakerPolicy())
    for server in ("alpha", "beta"):
        brain.trip(server, 0.0)
    (first,) = sent(brain.submit(request(servers=("alpha", "beta")), 0.0))
    (second,) = sent(brain.on_outcome(first.id, REFUSED, 0.1))
    assert second.server != first.server
    assert not sent(brain.on_outcome(second.id, REFUSED, 0.2))
