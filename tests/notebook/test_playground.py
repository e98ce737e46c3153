"""What the playground's controls say, as values and as code, and what is simulated of it."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hyp

import mcpnb
from mcpnb.errors import StrategyError
from mcpnb.notebook.playground import charts, code, compute, picture
from mcpnb.notebook.playground import figures as fig
from mcpnb.notebook.playground import state as st
from mcpnb.notebook.playground import vocabulary as voc
from mcpnb.notebook.playground.compute import Found, Stale, Worker, looks
from mcpnb.notebook.playground.panel import made
from mcpnb.notebook.playground.state import Choice, State
from mcpnb.routing.strategies import spec
from mcpnb.simulation import At, Load, Scenario, SimServer
from mcpnb.simulation.service import Empirical, Exponential, Lognormal

EVIL = "<script>alert('x')</script>\"'&\u202e"


def small(**changes) -> State:
    """Three servers and three hundred calls: a simulation of some milliseconds."""
    servers = tuple(SimServer(name, Exponential(0.05)) for name in ("a", "b", "c"))
    usual = {"load": Load(20.0, 15.0), "strategies": (Choice("random"), Choice("p2c")), "repeats": 3}
    return State(servers, **{**usual, **changes})


FAULTY = small(timeline=(At(5.0, "a", slow=8.0), At(10.0, "a", slow=1.0)))


# -- states


def test_a_ready_made_scenario_is_known_until_something_of_it_changes():
    state = st.of_preset("one_slow")
    assert (state.title, state.ready_made) == ("one_slow", True)
    changed = st.edit_server(state, 0, workers=2)
    assert (changed.title, changed.ready_made) == ("one_slow, changed", False)
    assert state.servers[0].workers == 1


def test_every_ready_made_scenario_can_be_run_as_it_is():
    for name in mcpnb.scenarios.PRESETS:
        state = st.of_preset(name)
        known = mcpnb.scenarios.preset(name)
        assert state.scenario() == known, name


def test_a_new_name_of_a_server_is_carried_into_its_faults():
    state = st.edit_server(FAULTY, 0, name="alpha")
    assert {at.server for at in state.timeline} == {"alpha"}


def test_a_server_that_goes_takes_its_faults_along_and_the_last_one_stays():
    state = st.remove_server(FAULTY, 0)
    assert ([s.name for s in state.servers], state.timeline) == (["b", "c"], ())
    alone = st.remove_server(state, 0)
    with pytest.raises(ValueError, match="at least one server"):
        st.remove_server(alone, 0)


def test_servers_added_one_after_the_other_have_names_of_their_own():
    state = st.add_server(st.add_server(small()))
    assert len({server.name for server in state.servers}) == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: st.edit_server(s, 0, name="b"), "servers of one name: b"),
        (lambda s: st.edit_server(s, 0, workers=0), "workers must be a whole number of at least 1"),
        (lambda s: st.edit_fault(s, 0, At(1.0, "nobody", crash=True)), "do not exist: nobody"),
        (lambda s: st.edit_fault(s, 0, At(1.0, "a", hang=True)), "give the load a timeout"),
        (lambda s: replace(s, load=Load(0.0, 5.0)), "rate and a length above 0"),
        (lambda s: replace(s, seed=-1), "the seed must be at least 0"),
    ],
)
def test_a_change_that_cannot_be_run_is_refused_in_one_line(change, words):
    with pytest.raises(ValueError, match=words) as refused:
        change(FAULTY)
    assert "\n" not in str(refused.value)


def test_a_strategys_parameter_at_its_default_is_not_written_down():
    state = small(strategies=(Choice("peak_ewma"),))
    changed = st.set_parameter(state, "peak_ewma", "tau", 2.0)
    assert changed.strategies == (Choice("peak_ewma", (("tau", 2.0),)),)
    assert changed.strategies[0].label == "peak_ewma(tau=2)"
    assert st.set_parameter(changed, "peak_ewma", "tau", 10.0) == state
    with pytest.raises(StrategyError, match="tau must lie between"):
        st.set_parameter(state, "peak_ewma", "tau", -1.0)


def test_a_toggled_strategy_comes_last_and_goes_without_trace():
    state = st.toggle_strategy(small(), "latency", True)
    assert [choice.name for choice in state.strategies] == ["random", "p2c", "latency"]
    assert st.toggle_strategy(state, "latency", True) == state
    assert st.toggle_strategy(state, "latency", False) == small()


@pytest.mark.parametrize("name", st.PROTECTIONS)
def test_a_protection_is_on_as_usual_and_off_again(name):
    on = st.protect(small(), name, True)
    assert getattr(on.resilience, name) is not None
    assert st.protect(on, name, True) is on
    assert st.protect(on, name, False) == small()


# -- words


def test_every_kind_of_change_is_read_as_it_was_made():
    for word, kind in voc.FAULTS.items():
        assert voc.fault_of(kind.make(3.0, "a", kind.amount)) == (word, pytest.approx(kind.amount))
    assert voc.fault_of(At(1.0, "a", slow=2.0, error_rate=0.1)) == ("as given", 0.0)


def test_every_shape_keeps_the_mean_that_it_was_given():
    for word, shape in voc.SHAPES.items():
        made_ = shape.make(0.08)
        assert made_.mean == pytest.approx(0.08)
        assert voc.shape_of(made_) == word
        assert voc.reshaped(made_, mean=0.2).mean == pytest.approx(0.2)
    assert voc.reshaped(Lognormal(0.1, 3.0), mean=0.2) == Lognormal(0.2, 3.0)
    with pytest.raises(ValueError, match="choose a distribution first"):
        voc.reshaped(Empirical((0.1, 0.2)), mean=0.5)


def test_trouble_lasts_from_the_first_change_for_the_worse_to_the_recovery():
    timeline = [
        At(2.0, "a", slow=2.0), At(3.0, "a", slow=9.0), At(6.0, "a", recover=True),
        At(4.0, "b", crash=True), At(99.0, "c", leave=True),
    ]  # fmt: skip
    found = voc.episodes(timeline, 60.0)
    assert [(e.server, e.begin, e.end) for e in found] == [("a", 2.0, 6.0), ("b", 4.0, 60.0)]
    assert [e.words for e in found] == ["9\N{MULTIPLICATION SIGN} as slow", "crashed"]


def test_a_time_that_is_named_is_trouble_when_it_is_longer_than_usual():
    timeline = [At(2.0, "a", latency_ms=900.0), At(6.0, "a", latency_ms=50.0)]
    (found,) = voc.episodes(timeline, 60.0, {"a": 50.0})
    assert found == ("a", 2.0, 6.0, "900 ms per call")
    assert voc.fault_of(timeline[0]) == ("takes (ms)", 900.0)


# -- code


def run(source: str) -> dict:
    """What a cell with this source leaves behind."""
    names: dict = {}
    exec(source, names)
    return names


def asked(state: State) -> Scenario:
    """What the source of a state asks: the workload stands beside the scenario."""
    return replace(state.scenario(), load=None)


@pytest.mark.parametrize("preset", mcpnb.scenarios.PRESETS)
def test_the_source_of_a_ready_made_scenario_is_its_name_and_the_same_question(preset):
    state = st.of_preset(preset)
    cell = code.source(state).partition("comparison =")[0]
    assert f"mcpnb.scenarios.{preset}()" in cell
    names = run(cell)
    assert names["scenario"] == state.scenario()
    assert names["workload"].rate == state.load.rate


names_ = hyp.text(min_size=1, max_size=6)
shapes = hyp.sampled_from([shape.make for shape in voc.SHAPES.values()])
means = hyp.floats(0.001, 10.0)


@hyp.composite
def states(draw) -> State:
    """States of all kinds, with names of all characters."""
    known = draw(hyp.lists(names_, min_size=1, max_size=4, unique=True))
    servers = tuple(
        SimServer(
            name, draw(shapes)(draw(means)), workers=draw(hyp.integers(1, 9)), rtt=draw(hyp.floats(0, 1)),
            error_rate=draw(hyp.floats(0, 1)), weight=draw(hyp.floats(0.1, 9)),
            region=draw(hyp.none() | hyp.text(max_size=3)),
            max_in_flight=draw(hyp.none() | hyp.integers(1, 9)),
        )
        for name in known
    )  # fmt: skip
    kinds = hyp.sampled_from([kind for word, kind in voc.FAULTS.items() if word != "joins"])
    timeline = tuple(
        draw(kinds).make(draw(hyp.floats(0, 60)), draw(hyp.sampled_from(known)), draw(hyp.floats(1, 50)))
        for _ in range(draw(hyp.integers(0, 4)))
    )
    load = Load(draw(hyp.floats(0.1, 500)), draw(hyp.floats(1, 300)),
                draw(hyp.sampled_from(["poisson", "bursty"])),
                timeout=draw(hyp.floats(0.1, 9)))  # fmt: skip
    state = State(
        servers,
        timeline,
        load,
        seed=draw(hyp.integers(0, 99)),
        preset=draw(hyp.sampled_from(["", "uniform"])),
    )
    for name in draw(hyp.sets(hyp.sampled_from(sorted(st.PROTECTIONS)))):
        state = st.protect(state, name, True)
    return st.set_parameter(state, "peak_ewma", "tau", draw(hyp.floats(0.2, 99)))


@settings(max_examples=25, deadline=None)
@given(states())
def test_the_source_asks_the_same_question_whatever_it_is(state):
    cell, _, asked_for = code.source(state).partition("comparison = ")
    names = run(cell)
    assert names["scenario"] == asked(state)
    workload = names["workload"]
    assert (workload.rate, workload.duration, workload.timeout, workload.arrivals) == (
        state.load.rate, state.load.seconds, state.load.timeout, state.load.arrivals,
    )  # fmt: skip
    call = asked_for.rpartition("\ncomparison")[0].replace("mcpnb.compare(", "asked(", 1)
    found = run(f"{cell}\ndef asked(scenario, strategies, **rest): return strategies, rest\nresult = {call}")[
        "result"
    ]
    assert [spec(name) for name in found[0]] == list(state.specs.values())
    assert (found[1]["seed"], found[1]["repeats"]) == (state.seed, state.repeats)


def test_running_the_source_finds_what_the_panel_found():
    state = st.protect(FAULTY, "retry", True)
    *_, last = looks(state)
    found = run(code.source(state))["comparison"]
    assert last.comparison is not None
    assert found.summary.equals(last.comparison.summary)
    assert found.calls.equals(last.comparison.calls)
    digests = [
        mcpnb.simulate(state.scenario(), name, seed=state.seed).decisions_digest for name in state.specs
    ]
    assert [runs[0].decisions_digest for runs in last.runs.values()] == digests


def test_every_value_that_is_written_by_name_is_public():
    for kind in code.PUBLIC:
        assert getattr(mcpnb, kind.__name__) is kind


def test_what_has_no_source_is_said_in_one_line():
    class Own:
        mean = 0.1

        def sample(self, rng, count):
            return np.full(count, 0.1)

    with pytest.raises(ValueError, match="there is no source for"):
        code.source(st.edit_server(small(), 0, service=Own()))


# -- looks


def test_looks_grow_from_one_strategy_to_all_repeats_and_the_comparison():
    found = list(looks(FAULTY))
    assert [len(each.runs) for each in found] == [1, 2, 2, 2, 2]
    assert [each.repeats for each in found] == [1, 1, 2, 3, 3]
    assert [each.settled for each in found] == [False] * 4 + [True]


def test_a_long_question_begins_with_a_look_at_its_first_calls():
    found = list(looks(small(load=Load(100.0, 40.0)), draft=2_000))
    drafts = [each for each in found if each.first]
    assert [each.first for each in drafts] == [1_000, 1_000]
    assert {len(run.starts) for each in drafts for runs in each.runs.values() for run in runs} == {1_000}
    assert all(each.complete for each in found[len(drafts) :])


def test_a_run_that_nobody_wants_any_more_ends_in_the_middle():
    looked = []

    def wanted() -> bool:
        looked.append(1)
        return len(looked) < 4

    with pytest.raises(Stale):
        list(looks(small(load=Load(1000.0, 600.0)), wanted))
    assert len(looked) == 4


def test_without_strategies_there_is_nothing_to_run():
    (only,) = looks(small(strategies=()))
    assert only.settled
    assert "Choose at least one strategy" in picture.picture_html(only)


def complete(state: State) -> Found:
    """A look at every strategy."""
    return Found(state, dict.fromkeys(state.specs, ()))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_only_the_newest_of_many_states_is_run_once_the_hand_rests():
    clock, ran, started = Clock(), [], []

    def look(state, wanted):
        ran.append(state.seed)
        yield Found(state)

    published = []
    worker = Worker(
        lambda found: published.append(found.state.seed), clock=clock, look=look, start=started.append
    )
    for seed in range(5):
        worker.ask(small(seed=seed))
        clock.now += 0.01
    assert len(started) == 1
    clock.now += compute.REST
    started[0]()
    assert (ran, published, worker.busy) == ([4], [4], False)


def test_a_stale_run_is_dropped_and_the_newer_one_is_shown():
    clock, published, started = Clock(), [], []

    def look(state, wanted):
        yield complete(state)
        if state.seed == 1:
            worker.ask(small(seed=2))
            clock.now += compute.REST
        if not wanted():
            raise Stale
        yield complete(state)

    worker = Worker(
        lambda found: published.append(found.state.seed), clock=clock, look=look, start=started.append
    )
    worker.ask(small(seed=1))
    clock.now += compute.REST
    started[0]()
    assert published == [1, 2, 2]


@pytest.mark.parametrize(("took", "published"), [(compute.GRACE / 2, [1, 2]), (compute.GRACE * 2, [2])])
def test_what_was_begun_may_finish_its_first_look_in_bounded_time(took, published):
    clock, seen, started = Clock(), [], []

    def look(state, wanted):
        if state.seed == 1:
            worker.ask(small(seed=2))
            clock.now += took
        if not wanted():
            raise Stale
        yield complete(state)

    worker = Worker(lambda found: seen.append(found.state.seed), clock=clock, look=look, start=started.append)
    worker.ask(small(seed=1))
    clock.now += compute.REST
    started[0]()
    assert seen == published


def test_while_a_hand_keeps_moving_a_run_is_given_time_for_its_first_look():
    clock = Clock()
    worker = Worker(
        lambda found: None, clock=clock, look=lambda state, wanted: iter(()), start=lambda work: None
    )
    worker.ask(small(seed=1))
    for seed in range(100):
        clock.now += 0.02
        worker.ask(small(seed=seed))
        if worker._due() <= clock.now:
            break
    assert clock.now == pytest.approx(compute.PATIENCE)


def test_an_error_of_a_simulation_is_handed_on_and_the_next_one_runs():
    clock, published, started = Clock(), [], []

    def look(state, wanted):
        if state.seed == 1:
            raise ValueError("no such thing")
        yield Found(state)

    worker = Worker(published.append, clock=clock, look=look, start=started.append)
    for seed in (1, 2):
        worker.ask(small(seed=seed))
        clock.now += compute.REST
        started[-1]()
    assert [found.error for found in published] == ["no such thing", ""]


def test_a_closed_worker_publishes_nothing_and_takes_nothing():
    published, started = [], []
    worker = Worker(published.append, clock=Clock(), look=lambda s, w: iter([Found(s)]), start=started.append)
    worker.ask(small())
    worker.close()
    started[0]()
    worker.ask(small(seed=1))
    assert (published, len(started), worker.busy) == ([], 1, False)


# -- figures and pictures


@pytest.fixture(scope="module")
def found() -> list[Found]:
    return list(looks(FAULTY))


def test_the_first_figures_are_those_of_the_comparison(found):
    seen, whole = fig.of_runs(found[-1].runs), found[-1].comparison
    assert whole is not None
    for figures in seen:
        row = whole.summary.loc[figures.label]
        assert [figures.points[q] for q in ("p50", "p95", "p99")] == pytest.approx(
            [row["p50_ms"], row["p95_ms"], row["p99_ms"]]
        )
        assert (figures.calls, figures.errors) == (row["requests"], row["errors"])
        assert figures.shares.sum() == pytest.approx(1.0)


def test_p95_over_time_is_that_of_each_stretch_and_unknown_where_nothing_was_answered(found):
    figures = fig.of_runs(found[0].runs)[0]
    cuts = np.array([0.0, 5.0, 10.0, 15.0, 40.0, 45.0])
    curve = fig.p95_over_time(figures, cuts)
    run_ = figures.runs[0]
    for k, (begin, end) in enumerate(pairwise(cuts)):
        here = run_.latencies[(run_.starts >= begin) & (run_.starts < end)] * 1e3
        assert curve.y[k] == pytest.approx(np.quantile(here, 0.95)) if len(here) else math.isnan(curve.y[k])


def test_a_band_goes_from_the_lowest_to_the_highest_repeat(found):
    figures = fig.of_runs(found[-1].runs)[0]
    grid = fig.latency_grid([figures], 0.01)
    curve = fig.slower_than(figures, 0.01, grid)
    assert curve.banded
    known = np.isfinite(curve.y) & np.isfinite(curve.high)
    assert (curve.low[known] <= curve.y[known]).all()
    assert (curve.y[known] <= curve.high[known]).all()
    assert not fig.slower_than(fig.of_runs(found[0].runs)[0], 0.01, grid).banded


def test_the_picture_tells_faults_strategies_servers_and_how_sure_it_is(found):
    html = picture.picture_html(found[-1])
    for words in (
        "a 8\N{MULTIPLICATION SIGN} as slow", "during the trouble", "random", "p2c",
        "How many calls are slower than", "p95 over time",
        "Bands: from the lowest to the highest of 3 repeats", "Fairness", "Verdict",
    ):  # fmt: skip
        assert words in html, words
    assert html.count("mcpnb-haze") >= 2
    assert picture.picture_html(found[-1]) == html


def test_names_of_servers_cannot_leave_their_place():
    evil = st.edit_server(FAULTY, 0, name=EVIL)
    *_, last = looks(replace(evil, repeats=1))
    html = picture.picture_html(last)
    assert "<script" not in html
    assert "\u202e" not in html
    assert "\u202e" not in picture.picture_text(Found(evil, error=EVIL))


def test_many_servers_and_faults_still_make_a_picture():
    servers = tuple(SimServer(f"server-{n:03}", Exponential(0.05)) for n in range(60))
    timeline = tuple(At(1.0 + n, f"server-{n:03}", crash=True) for n in range(9))
    state = State(servers, timeline, Load(100.0, 10.0), small().strategies, repeats=1)
    *_, last = looks(state)
    html = picture.picture_html(last)
    assert "60 servers" in html
    assert "… 6 more servers" in html


def test_spans_that_touch_are_one_shade():
    accent = picture.accent_of(Choice("p2c"))
    spans = [
        charts.Span("a", accent, 1, 3, ""),
        charts.Span("b", accent, 2, 5, ""),
        charts.Span("a", accent, 7, 8, ""),
    ]
    assert charts.union(spans) == [(1, 5), (7, 8)]


def test_what_a_playground_begins_with_is_checked():
    assert made("uniform", ["p2c"], 3, 2).strategies == (Choice("p2c"),)
    own = Scenario([SimServer("a", Exponential(0.1))])
    assert made(own, None, 0, 6).load.rate == pytest.approx(7.0)
    assert made(own, None, 0, 6).title == "your own scenario"
    named = made(replace(own, title="mine"), None, 0, 6)
    assert (named.title, named.scenario().title) == ("mine", "mine")
    assert 'title="mine"' in code.source(named)
    with pytest.raises(ValueError, match="there is no scenario 'slow'"):
        made("slow", None, 0, 6)
    with pytest.raises(TypeError, match=r"must be a name or a mcpnb\.Scenario"):
        made(3, None, 0, 6)  # type: ignore[arg-type]
    with pytest.raises(StrategyError):
        made(None, ["nonsense"], 0, 6)
