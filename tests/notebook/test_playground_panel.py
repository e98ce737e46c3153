"""The playground's panel: controls change the state, findings come onto the page, nothing is left behind."""

from __future__ import annotations

import gc
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm

import mcpnb
from mcpnb.notebook.playground import Playground, State, made
from mcpnb.notebook.playground.compute import Found, Worker, looks
from mcpnb.notebook.playground.latest import Latest
from mcpnb.notebook.playground.rows import MOST
from mcpnb.notebook.playground.state import Choice
from mcpnb.simulation import At, Load, SimServer
from mcpnb.simulation.service import Exponential

EVIL = "<img src=x onerror=alert(1)>"


class Hand:
    """A scheduler and a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        return self.now

    def later(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        entry = (self.now + seconds, callback)
        self.due.append(entry)
        return lambda: self.due.remove(entry) if entry in self.due else None

    def advance(self, seconds: float) -> None:
        self.now += seconds
        ready = [entry for entry in self.due if entry[0] <= self.now]
        for entry in ready:
            self.due.remove(entry)
            entry[1]()


class Wire(BaseComm):
    """A comm that keeps what would go to the page."""

    sent: list[dict[str, Any]] = []  # noqa: RUF012 - one wire for all widgets of a test

    def publish_msg(self, msg_type: str, data: Any = None, **rest: Any) -> None:
        if msg_type == "comm_msg" and (data or {}).get("method") == "update":
            Wire.sent.append(data["state"])


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The messages to the page, with a kernel's kind of comm in place."""
    import ipywidgets

    ipywidgets.Widget.close_all()  # what other tests left open belongs to the manager that is in place now
    Wire.sent = []
    manager = comm.CommManager()
    monkeypatch.setattr(comm, "create_comm", Wire)
    monkeypatch.setattr(comm, "get_comm_manager", lambda: manager)

    yield Wire.sent
    ipywidgets.Widget.close_all()


def state(**changes: Any) -> State:
    servers = tuple(SimServer(name, Exponential(0.05)) for name in ("a", "b", "c"))
    usual = {"load": Load(20.0, 10.0), "strategies": (Choice("random"), Choice("p2c")), "repeats": 2}
    timeline = (At(3.0, "a", slow=8.0), At(6.0, "a", slow=1.0))
    return State(servers, timeline, **{**usual, **changes})


class Bench:
    """A panel on a page whose time, simulations and live runs a test sets going."""

    def __init__(self, begin: State | None = None, live: Any = None) -> None:
        self.hand, self.started = Hand(), list[Callable[[], None]]()
        self.ran: list[State] = []
        self.panel = Playground(
            begin or state(),
            live=live,
            scheduler=self.hand,
            clock=self.hand,
            run=lambda act: act(),
            worker=self.worker,
        )
        self.bundle = self.panel._repr_mimebundle_()
        self.settle()

    def worker(self, publish: Callable[[Found], None]) -> Worker:
        return Worker(publish, clock=self.hand, look=self.look, start=self.started.append)

    def look(self, asked: State, wanted: Callable[[], bool]) -> Iterator[Found]:
        self.ran.append(asked)
        yield from looks(asked, wanted)

    def settle(self) -> None:
        """Let the hand rest, simulate what was asked, and let all of it come onto the page."""
        self.hand.advance(1.0)
        while self.started:
            self.started.pop(0)()
        self.hand.advance(1.0)

    @property
    def view(self) -> Any:
        assert self.panel._view is not None
        return self.panel._view

    @property
    def picture(self) -> str:
        return self.view._body.value


@pytest.fixture
def bench(wire) -> Bench:
    return Bench()


def sent_pictures(wire: list[dict[str, Any]]) -> list[str]:
    return [s["value"] for s in wire if "mcpnb-four" in str(s.get("value", ""))]


def test_a_first_picture_is_there_with_the_panel(bench):
    html = bench.bundle["text/html"]
    assert "mcpnb-four" in html
    assert "a 8\N{MULTIPLICATION SIGN} as slow" in html
    assert bench.bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == bench.view.model_id
    assert "random" in bench.bundle["text/plain"]


def test_moving_a_control_redraws_the_picture_with_what_it_says(bench, wire):
    before = bench.picture
    bench.view.load.rate.value = 40.0
    assert bench.panel.state.load.rate == 40.0
    bench.settle()
    assert bench.picture != before
    assert "poisson 40.0 calls/s" in bench.picture
    assert bench.panel.comparison is not None
    assert len(sent_pictures(wire)) > 0


def test_controls_that_move_together_are_simulated_once(bench):
    bench.ran.clear()
    for rate in (21.0, 25.0, 30.0):
        bench.view.load.rate.value = rate
    bench.settle()
    assert [asked.load.rate for asked in bench.ran] == [30.0]


def test_a_page_that_moves_a_slider_onto_its_step_asks_nothing(bench):
    load = bench.panel.state.load
    bench.panel.state = replace(bench.panel.state, load=replace(load, rate=20.3))
    bench.settle()
    bench.ran.clear()
    bench.view.load.rate.value = round(20.3 / bench.view.load.rate.step) * bench.view.load.rate.step
    bench.settle()
    assert bench.panel.state.load.rate == 20.3
    assert bench.ran == []


def test_nothing_is_sent_when_nothing_changed(bench, wire):
    wire.clear()
    bench.panel.state = bench.panel.state
    bench.panel._draw(bench.panel._found)
    bench.view.follow(bench.panel.state)
    bench.settle()
    assert wire == []


def test_a_scenario_of_the_menu_sets_every_control_and_asks_once(bench):
    bench.ran.clear()
    bench.panel.change(lambda s: replace(s, repeats=1))
    bench.view.load.preset.value = "black_hole"
    bench.settle()
    assert [asked.preset for asked in bench.ran] == ["black_hole"]
    assert bench.view.load.rate.value == 70.0
    assert "fails in a millisecond" in bench.view.load.about.value
    assert [choice.name for choice in bench.panel.state.strategies] == ["random", "p2c"]


def test_a_ticked_strategy_takes_part_with_controls_for_its_parameters(bench):
    bench.view.compared.ticks["latency"].value = True
    assert [knob.description for knob in bench.view.compared.settings.children] == [
        "latency epsilon",
        "latency tau, s",
    ]
    bench.view.compared.knobs["latency"][1].value = 2.0
    bench.settle()
    assert "latency(tau=2)" in bench.picture
    bench.view.compared.ticks["latency"].value = False
    assert bench.view.compared.settings.children == ()


def test_protections_are_toggled(bench):
    bench.view.compared.protections["retry"].value = True
    assert bench.panel.state.resilience.retry is not None
    bench.view.compared.protections["retry"].value = False
    assert bench.panel.state == state()


def test_the_table_of_servers_edits_adds_and_removes(bench):
    bench.view._fold_servers.value = True
    rows = bench.view.servers
    assert [cell.value for cell in rows._rows[0]] == ["a", 50.0, "exponential", 1, 0.0, 0.0, "", 1.0]
    rows._rows[0][1].value = 80.0
    rows._rows[1][3].value = 4
    rows._rows[0][0].value = "alpha"
    rows._add.click()
    servers = bench.panel.state.servers
    assert (servers[0].service, servers[1].workers, len(servers)) == (Exponential(0.08), 4, 4)
    assert bench.panel.state.timeline[0].server == "alpha"
    rows._removers[1].click()
    assert [server.name for server in bench.panel.state.servers] == ["alpha", "c", "s3"]
    assert rows._rows[1][0].value == "c"


def test_the_table_of_faults_edits_adds_and_removes(bench):
    bench.view._fold_faults.value = True
    rows = bench.view.faults
    rows._rows[0][0].value = 4.0
    rows._rows[0][3].value = 3.0
    assert bench.panel.state.timeline[0] == At(4.0, "a", slow=3.0)
    assert rows._rows[0][3].disabled is False
    rows._rows[0][2].value = "crashes"
    assert rows._rows[0][3].disabled is True
    rows._rows[1][2].value = "recovers"
    assert bench.panel.state.timeline == (At(4.0, "a", crash=True), At(6.0, "a", recover=True))
    rows._add.click()
    assert [(at.server, at.t) for at in bench.panel.state.timeline[2:]] == [("b", 3.3), ("b", 6.7)]
    rows._removers[0].click()
    assert len(bench.panel.state.timeline) == 3


def test_a_table_of_very_many_shows_the_first_few_and_says_so(wire):
    servers = tuple(SimServer(f"s{n:02}", Exponential(0.05)) for n in range(40))
    bench = Bench(State(servers, load=Load(20.0, 5.0), strategies=(Choice("p2c"),), repeats=1))
    bench.view._fold_servers.value = True
    assert len(bench.view.servers._rows) == MOST
    assert "and 28 more" in bench.view.servers._more.value


def test_a_value_that_cannot_be_is_refused_in_one_line_and_taken_back(bench):
    bench.view._fold_servers.value = True
    name = bench.view.servers._rows[0][0]
    name.value = "b"
    assert "servers of one name: b" in bench.view._trouble.value
    assert bench.view._trouble.layout.display is None
    assert name.value == "a"
    bench.view.load.seed.value = 5
    assert bench.view._trouble.layout.display == "none"


def test_every_control_has_a_label_that_says_what_it_is_about(bench):
    bench.view._fold_servers.value = bench.view._fold_faults.value = True
    bench.view.compared.ticks["peak_ewma"].value = True
    for kind in ("value", "options"):
        for widget in controls(bench.view.root):
            if hasattr(widget, kind) and hasattr(widget, "description") and type(widget).__name__ != "HTML":
                assert widget.description, widget
    labels = [cell.description for row in bench.view.servers._rows for cell in row]
    assert len(set(labels)) == len(labels)
    assert "mean ms of a" in labels


def controls(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from controls(child)


def test_show_code_shows_the_source_escaped_and_it_follows_the_state(wire):
    bench = Bench(replace(state(), timeline=()))
    source = bench.view.source
    assert (source.shown.layout.display, source.shown.value) == ("none", "")
    bench.panel.change(lambda s: replace(s, servers=(replace(s.servers[0], name=EVIL), *s.servers[1:])))
    assert source.shown.value == ""  # out of sight nothing is sent
    source.toggle.value = True
    assert "mcpnb.compare(" in source.shown.value
    assert "<img" not in source.shown.value
    assert source.shown.layout.display is None
    bench.view.load.seed.value = 77
    assert "seed=77" in source.shown.value
    source.toggle.value = False
    assert source.shown.layout.display == "none"


class Button(HTMLParser):
    """The one button of some HTML."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.attributes: dict[str, str | None] = {}
        self.feed(markup)

    def handle_starttag(self, tag, attrs):
        if tag == "button":
            self.attributes = dict(attrs)


def test_the_source_goes_into_the_next_cell_by_the_pages_own_commands(wire):
    bench = Bench(replace(state(), timeline=()))
    bench.panel.change(lambda s: replace(s, servers=(replace(s.servers[0], name=EVIL), *s.servers[1:])))
    assert "<img" not in bench.view.source.button.value
    button = Button(bench.view.source.button.value).attributes
    assert button["data-commandlinker-command"] == "apputils:run-all-enabled"
    asked = json.loads(button["data-commandlinker-args"] or "")
    assert asked["args"] == {"text": bench.panel.code}
    assert asked["commands"][-1] == "notebook:replace-selection"


def test_what_has_no_source_leaves_a_button_that_says_why(wire):
    class Own:
        mean = 0.1

        def sample(self, rng):
            return 0.1

    bench = Bench(replace(state(), timeline=()))
    bench.view.source.toggle.value = True
    odd = replace(bench.panel.state.servers[0], service=Own())
    bench.panel.change(lambda s: replace(s, servers=(odd, *s.servers[1:])))
    button = Button(bench.view.source.button.value).attributes
    assert "disabled" in button
    assert "there is no source for" in (button["title"] or "")
    assert "there is no source for" in bench.view.source.shown.value


# -- pace


def test_values_are_handed_on_four_times_a_second_at_most_and_the_last_one_always():
    hand, got = Hand(), list[int]()
    latest = Latest(got.append, hand, clock=hand)
    for number in range(100):
        latest.put(number)
        hand.advance(0.01)
    hand.advance(1.0)
    assert got[0] == 0
    assert got[-1] == 99
    assert len(got) <= 6
    latest.close()
    latest.put(100)
    hand.advance(1.0)
    assert got[-1] == 99


def test_states_from_many_threads_end_in_one_of_them_and_one_picture(bench):
    seeds = range(1, 41)
    threads = [
        threading.Thread(target=lambda seed=seed: bench.panel.change(lambda s: replace(s, seed=seed)))
        for seed in seeds
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.settle()
    assert bench.panel.state.seed in seeds
    assert bench.panel._found.state == bench.panel.state
    assert f"seed {bench.panel.state.seed}" in bench.picture


# -- live


class FakeLab:
    """Somebody who has real servers."""

    def __init__(self) -> None:
        self.asked: list[State] = []
        self.error: Exception | None = None
        self.cancel: Callable[[], None] | None = None

    def __call__(self, asked: State, progress: Any, cancelled: Callable[[], bool]) -> Any:
        self.asked.append(asked)
        progress(0.5, f"halfway {EVIL}")
        if self.cancel is not None:
            self.cancel()
        if self.error is not None:
            raise self.error
        return None if cancelled() else list(looks(asked))[-1].comparison


def test_a_live_comparison_stands_beside_the_simulated_one(wire):
    lab = FakeLab()
    bench = Bench(live=lab)
    bench.view._live.click()
    bench.hand.advance(1.0)
    assert lab.asked == [bench.panel.state]
    assert "Live, on servers of this machine" in bench.picture
    assert "mcpnb-ring" in bench.picture
    assert bench.panel.live is not None
    progress = [s["value"] for s in wire if "<progress" in str(s.get("value", ""))]
    assert "halfway &lt;img" in progress[0]
    assert (bench.view._live.disabled, bench.view._stop.layout.display) == (False, "none")
    bench.view.load.seed.value = 7
    bench.settle()
    assert "before the last change" in bench.picture
    assert "mcpnb-ring" not in bench.picture


def test_a_live_comparison_that_fails_is_told_in_one_line(wire):
    lab = FakeLab()
    lab.error = RuntimeError("no server started")
    bench = Bench(live=lab)
    bench.view._live.click()
    assert "live: no server started" in bench.view._trouble.value
    assert bench.view._live.disabled is False


def test_a_live_comparison_can_be_cancelled(wire):
    lab = FakeLab()
    bench = Bench(live=lab)
    lab.cancel = bench.view._stop.click
    bench.view._live.click()
    assert bench.panel.live is None
    assert "Live, on" not in bench.picture


def test_without_servers_to_offer_there_is_no_button_for_it(bench):
    assert bench.view._live.layout.display == "none"


# -- life


def test_closing_leaves_no_widget_no_thread_and_no_picture_to_come(wire):
    from ipywidgets.widgets.widget import _instances as widgets

    bench = Bench()
    bench.view._fold_servers.value = bench.view._fold_faults.value = True
    bench.view.compared.ticks["latency"].value = True
    bench.view.compared.ticks["latency"].value = False
    bench.view.load.rate.value = 33.0
    bench.panel.close()
    gc.collect()
    assert list(widgets.values()) == []
    bench.settle()
    assert bench.panel._found.state.load.rate == 20.0
    bench.panel.close()
    assert "closed" in repr(bench.panel)
    bench.panel.change(lambda s: replace(s, seed=9))
    assert bench.panel.state.seed == 0


def test_where_no_page_listens_the_bundle_has_the_picture_alone():
    panel = Playground(state())
    bundle = panel._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert "mcpnb-four" in bundle["text/html"]
    assert "snapshot of" in bundle["text/html"]
    assert not re.search(r"<script|onerror", bundle["text/html"])
    json.dumps(bundle)
    panel.close()


def test_where_no_page_listens_every_strategy_is_in_the_picture_however_slow_the_machine_is():
    moments = iter(range(10_000))
    panel = Playground(state(), clock=lambda: float(next(moments)))
    shown = panel._repr_mimebundle_()["text/plain"]
    assert [choice.name for choice in state().strategies if choice.name not in shown] == []
    panel.close()


def test_a_real_thread_brings_the_whole_comparison(wire):
    done = threading.Event()
    panel = Playground(state())
    take = panel._worker._publish

    def heard(found: Found) -> None:
        take(found)
        if found.settled:
            done.set()

    panel._worker._publish = heard
    panel._repr_mimebundle_()
    assert done.wait(30)
    assert panel.comparison is not None
    panel.close()


def test_the_public_face_begins_as_it_is_told():
    panel = mcpnb.playground("uniform", ["p2c"], seed=3, repeats=2)
    assert panel.state == made("uniform", ["p2c"], 3, 2)
    assert panel._live is not None
    assert panel.scenario == panel.state.scenario()
    panel.close()
