"""The dashboard, without a kernel: a recording comm stands in for the page."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm

from mcpnb.auth import LoginRow
from mcpnb.metrics import AttemptLog, EventLog
from mcpnb.model import Event, ServerStatus
from mcpnb.notebook.board import board_html
from mcpnb.notebook.dashboard import Dashboard, Panel
from mcpnb.notebook.happened import marks_of
from mcpnb.notebook.pulse import Pulse, TimerThread

NOON = 1_800_000_000.0


class FakeFleet:
    """Three servers that do as they are told."""

    def __init__(self) -> None:
        self.name = "weather"
        self._strategy = "p2c"
        self.log, self.event_log = AttemptLog(), EventLog()
        self.down: set[str] = set()
        self.breakers: dict[str, str] = {}
        self.error: Exception | None = None
        self.asked: list[str] = []
        self.extra: list[Panel] = []
        self.logins: list[LoginRow] = []
        self.in_flight = 0
        self._calls = itertools.count(1)

    @property
    def strategy(self) -> str:
        return self._strategy

    @strategy.setter
    def strategy(self, name: str) -> None:
        if self.error:
            raise self.error
        self._strategy = name

    def status(self) -> list[ServerStatus]:
        return [
            ServerStatus(
                name,
                "reconnecting" if name in self.down else "connected",
                "http",
                last_error="gone",
                in_flight=self.in_flight,
                breaker=self.breakers.get(name, "off"),
            )
            for name in ("alpha", "beta", "gamma")
        ]

    def strategies(self) -> Mapping[str, str]:
        return {"p2c": "power of two choices", "round_robin": "one after the other"}

    def reconnect(self, name: str) -> None:
        self.asked.append(name)
        if self.error:
            raise self.error
        self.down.discard(name)

    def trip(self, name: str) -> None:
        self.breakers[name] = "open"

    def reset(self, name: str) -> None:
        self.breakers[name] = "closed"

    def login_rows(self) -> list[LoginRow]:
        return self.logins

    def log_in(self, name: str) -> None:
        self.asked.append(f"log in {name}")

    def logout(self, name: str) -> None:
        self.asked.append(f"log out {name}")

    def panels(self) -> list[Panel]:
        return self.extra

    def call(self, server: str, at: float, latency: float = 0.05) -> None:
        self.log.append(
            call=next(self._calls), attempt=1, started_at=at, tool="t", server=server, strategy="p2c",
            outcome="ok", latency=latency, queued=0.0, hedge=False, cached=False, size=0, error="",
        )  # fmt: skip


class Hand:
    """A scheduler and a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def later(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        entry = (self.now + seconds, callback)
        self.due.append(entry)
        return lambda: self.due.remove(entry) if entry in self.due else None

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while ready := [entry for entry in self.due if entry[0] <= end]:
            entry = min(ready, key=lambda entry: entry[0])
            self.due.remove(entry)
            self.now = max(self.now, entry[0])
            entry[1]()
        self.now = end


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

    # What other tests left open belongs to the manager that is in place now.
    ipywidgets.Widget.close_all()
    Wire.sent = []
    manager = comm.CommManager()
    monkeypatch.setattr(comm, "create_comm", Wire)
    monkeypatch.setattr(comm, "get_comm_manager", lambda: manager)

    yield Wire.sent
    ipywidgets.Widget.close_all()


@pytest.fixture
def fleet() -> FakeFleet:
    return FakeFleet()


@pytest.fixture
def hand() -> Hand:
    return Hand()


def shown(fleet: FakeFleet, hand: Hand, **options: Any) -> Dashboard:
    """A dashboard on a page; actions of its controls run at once."""
    board = Dashboard(
        fleet, scheduler=hand, clock=lambda: NOON + hand.now, run=lambda action: action(), **options
    )
    board._pulse._clock = lambda: hand.now
    board._repr_mimebundle_()
    return board


def boards(wire: list[dict[str, Any]]) -> list[str]:
    """The boards that were sent."""
    return [state["value"] for state in wire if "mcpnb-top" in str(state.get("value", ""))]


def controls(board: Dashboard) -> Any:
    face = board._face
    assert face is not None
    return face


# -- refreshing


def test_a_refresh_is_one_message(fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]) -> None:
    shown(fleet, hand)
    hand.advance(1)
    wire.clear()
    fleet.call("alpha", NOON + hand.now)
    hand.advance(0.26)
    assert len(wire) == 1
    assert list(wire[0]) == ["value"]


def test_nothing_is_sent_when_nothing_changed(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    shown(fleet, hand)
    hand.advance(1)
    wire.clear()
    hand.advance(60)
    assert wire == []


def test_once_traffic_has_ended_the_picture_settles_and_nothing_is_sent(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    shown(fleet, hand)
    for _ in range(80):
        fleet.call("alpha", NOON + hand.now, 0.05)
        hand.advance(0.25)
    hand.advance(3)
    assert "0 calls/s" in boards(wire)[-1]
    assert re.search(r"1 min up to \d\d:\d\d:\d\d", boards(wire)[-1])
    assert ">now<" not in boards(wire)[-1]
    wire.clear()
    hand.advance(50)
    assert wire == []
    hand.advance(20)
    assert len(wire) == 1  # the last call has left the window
    assert "no calls in this time" in boards(wire)[-1]
    wire.clear()
    hand.advance(60)
    assert wire == []


def test_a_pause_between_rare_calls_is_no_end_of_traffic(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    shown(fleet, hand)
    for _ in range(4):
        fleet.call("alpha", NOON + hand.now, 0.05)
        hand.advance(3)
        assert "last 1 min" in boards(wire)[-1]
        assert ">now<" in boards(wire)[-1]


def test_while_calls_are_in_flight_time_goes_on(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    shown(fleet, hand)
    fleet.call("alpha", NOON + hand.now, 0.05)
    fleet.in_flight = 1
    hand.advance(30)
    wire.clear()
    hand.advance(10)
    assert len(boards(wire)) >= 9
    assert "last 1 min" in boards(wire)[-1]


def test_traffic_that_comes_back_is_shown_at_once(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    shown(fleet, hand)
    fleet.call("alpha", NOON + hand.now, 0.05)
    hand.advance(30)
    wire.clear()
    fleet.call("beta", NOON + hand.now, 0.05)
    hand.advance(0.3)
    assert "last 1 min" in boards(wire)[-1]


def test_busy_traffic_is_shown_four_times_a_second(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    shown(fleet, hand)
    hand.advance(1)
    wire.clear()
    for n in range(1_000):
        fleet.call("alpha", NOON + hand.now, 0.01 + n / 1_000)
        hand.advance(0.01)
    assert 38 <= len(boards(wire)) <= 41


def test_a_burst_of_events_is_shown_at_most_ten_times_a_second_and_to_the_end(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    shown(fleet, hand)
    hand.advance(1)
    wire.clear()
    for n in range(500):
        fleet.event_log.append(Event(NOON, "conflict", None, f"event number {n}"))
        hand.advance(0.002)
    hand.advance(0.3)
    assert 8 <= len(boards(wire)) <= 12
    assert "event number 499" in boards(wire)[-1]


def test_more_than_ten_refreshes_a_second_are_refused(fleet: FakeFleet) -> None:
    with pytest.raises(ValueError, match="at most 10"):
        Dashboard(fleet, rate=20)


def test_it_does_not_refresh_before_it_is_shown(fleet: FakeFleet, hand: Hand) -> None:
    board = Dashboard(fleet, scheduler=hand)
    assert not board.live
    assert hand.due == []


def test_it_stops_when_no_page_shows_it_and_goes_on_when_one_does(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    board = shown(fleet, hand)
    root = controls(board).root
    root._view_count = 1
    root._view_count = 0
    assert not board.live
    assert hand.due == []
    root._view_count = 1
    assert board.live


def test_it_stops_when_closed_and_drops_its_widgets(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    import ipywidgets

    board = shown(fleet, hand)
    board.close()
    board.close()
    wire.clear()
    fleet.event_log.append(Event(NOON, "conflict", None, "later"))
    hand.advance(5)
    assert (wire, hand.due, board.live) == ([], [], False)
    assert controls(board).root.comm is None
    assert not [w for w in ipywidgets.widgets.widget._instances.values() if isinstance(w, ipywidgets.HTML)]


def test_pause_stands_still_and_resume_goes_on(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    board = shown(fleet, hand)
    button = controls(board)._pause
    button.value = True
    assert (board.live, button.description) == (False, "Resume")
    wire.clear()
    fleet.call("alpha", NOON)
    hand.advance(5)
    assert boards(wire) == []
    button.value = False
    hand.advance(0.3)
    assert len(boards(wire)) >= 1


def test_an_error_while_drawing_is_shown_and_the_next_refresh_is_tried(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    board = shown(fleet, hand)
    status = fleet.status
    fleet.status = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    hand.advance(0.5)
    assert "ZeroDivisionError" in controls(board)._trouble.value
    assert board.live
    fleet.status = status  # type: ignore[method-assign]
    hand.advance(0.5)
    assert controls(board)._trouble.value == ""


# -- controls


def test_a_server_that_waits_for_a_login_has_a_button_for_it_and_others_have_theirs(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    fleet.down = {"alpha", "beta", "gamma"}
    fleet.logins = [
        LoginRow("alpha", "needs_login"), LoginRow("beta", "logging_in"), LoginRow("gamma", "static"),
    ]  # fmt: skip
    board = shown(fleet, hand)
    log_in, reconnect = controls(board)._acts.children
    assert (log_in.description, reconnect.description) == ("Log in", "Reconnect")
    body = controls(board)._body.value
    assert body.count("◌</span> needs a login</span>") == 2
    assert body.count("reconnecting") == 1
    log_in.click()
    assert fleet.asked == ["log in alpha"]
    assert "fleet.login(&#x27;alpha&#x27;)" in controls(board)._body.value


def test_a_row_says_who_is_logged_in_until_when_and_logs_out_all_that_share_the_login(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    fleet.breakers = {"alpha": "closed", "beta": "closed", "gamma": "closed"}
    board = shown(fleet, hand)
    assert "mcpnb-two" not in controls(board)._body.value
    shared = {"issuer": "https://auth.example.com", "client": "us", "expires_at": NOON + 3_150}
    fleet.logins = [
        LoginRow("alpha", "logged_in", **shared), LoginRow("beta", "logged_in", **shared),
        LoginRow("gamma", "static"),
    ]  # fmt: skip
    hand.advance(0.3)
    body = controls(board)._body.value
    assert body.count("logged in for 52 min") == 2
    assert re.search(r'title="at https://auth.example.com · until \d\d:\d\d"', body)
    assert "mcpnb-two" in body
    buttons = controls(board)._acts.children
    assert [b.description for b in buttons] == ["Trip", "Log out", "Trip", "Log out", "Trip"]
    assert buttons[1].tooltip == "Forget the login of alpha and beta, here and at the authorization server"
    assert buttons[0].layout.top == buttons[1].layout.top
    buttons[1].click()
    assert fleet.asked == ["log out alpha"]
    assert "fleet.logout(&#x27;alpha&#x27;)" in controls(board)._body.value


@pytest.mark.parametrize(
    ("state", "login", "needs", "deeds"),
    [
        ("failed", LoginRow("a", "needs_login", "https://x"), True, ["Log in"]),
        ("failed", LoginRow("a", "logging_in", "https://x"), True, []),
        ("failed", LoginRow("a", "logged_out", "https://x"), True, ["Log in"]),
        ("failed", LoginRow("a", "logged_out"), False, ["Log in"]),
        ("failed", LoginRow("a", "logged_in", "https://x"), False, ["Reconnect", "Log out"]),
        ("failed", LoginRow("a", "static"), False, ["Reconnect"]),
        ("draining", LoginRow("a", "needs_login", "https://x"), False, ["Log in"]),
        ("connected", LoginRow("a", "needs_login", "https://x"), False, ["Trip", "Log in"]),
        ("connected", LoginRow("a", "logging_in", "https://x"), False, ["Trip"]),
        ("connected", LoginRow("a", "none"), False, ["Trip"]),
    ],
)
def test_only_a_server_that_takes_no_calls_for_want_of_a_login_needs_one(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]], state: Any, login: LoginRow, needs: bool,
    deeds: list[str],
) -> None:  # fmt: skip
    status = ServerStatus("a", state, "http", last_error="<404>")
    fleet.status = lambda: [status]  # type: ignore[method-assign]
    fleet.logins = [login]
    board = shown(fleet, hand)
    waits = '<span class="mcpnb-state mcpnb-warn"><span aria-hidden="true">◌</span> needs a login</span>'
    assert (waits in controls(board)._body.value) is needs
    assert ("&lt;404&gt;" in controls(board)._body.value) is (state != "connected" and not needs)
    assert [button.description for button in controls(board)._acts.children] == deeds


def test_a_long_table_has_the_urgent_buttons_of_logins_only(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    names = [f"s{n:02}" for n in range(20)]
    fleet.status = lambda: [  # type: ignore[method-assign]
        ServerStatus(n, "failed" if n == "s03" else "connected", "http") for n in names
    ]
    fleet.logins = [LoginRow(n, "needs_login" if n == "s03" else "logged_in", "https://x") for n in names]
    board = shown(fleet, hand)
    assert [button.description for button in controls(board)._acts.children] == ["Log in"]
    assert "mcpnb-two" not in controls(board)._body.value


def test_choosing_a_strategy_sets_it_and_shows_the_code(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    board = shown(fleet, hand)
    menu = controls(board)._knobs.menu
    menu.value = "round_robin"
    assert fleet.strategy == "round_robin"
    assert not menu.disabled
    assert "fleet.strategy = &#x27;round_robin&#x27;" in controls(board)._body.value


def test_the_menu_is_disabled_while_the_change_runs(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    waiting: list[Callable[[], None]] = []
    board = Dashboard(fleet, scheduler=hand, run=waiting.append)
    board._repr_mimebundle_()
    menu = controls(board)._knobs.menu
    menu.value = "round_robin"
    board.refresh()
    assert menu.disabled
    assert menu.value == "round_robin"
    waiting.pop()()
    assert not menu.disabled


def test_a_strategy_that_cannot_be_set_is_explained_and_taken_back(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    board = shown(fleet, hand)
    fleet.error = RuntimeError("<b>no</b>")
    controls(board)._knobs.menu.value = "round_robin"
    assert "RuntimeError: &lt;b&gt;no&lt;/b&gt;" in controls(board)._trouble.value
    assert controls(board)._knobs.menu.value == "p2c"
    assert not controls(board)._knobs.menu.disabled


def test_a_strategy_set_in_a_cell_shows_in_the_menu_even_when_unknown(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    board = shown(fleet, hand)
    fleet.strategy = "my_own"
    hand.advance(0.3)
    assert controls(board)._knobs.menu.value == "my_own"
    assert fleet.strategy == "my_own"


def test_the_window_changes_what_charts_cover(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    board = shown(fleet, hand)
    fleet.call("alpha", NOON - 200)
    board.refresh()
    assert "no calls in this time" in controls(board)._body.value
    menu = next(w for w in controls(board).root.children[1].children if w.description == "Window")
    menu.value = 300.0
    assert "5 min up to" in controls(board)._body.value
    assert "no calls in this time" not in controls(board)._body.value


def test_a_server_that_is_down_has_a_button_in_its_row(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    board = shown(fleet, hand)
    assert controls(board)._acts.children == ()
    fleet.down = {"beta", "gamma"}
    hand.advance(0.3)
    beta, gamma = controls(board)._acts.children
    assert (beta.description, "beta" in beta.tooltip) == ("Reconnect", True)
    assert int(gamma.layout.top[:-2]) - int(beta.layout.top[:-2]) == 46
    beta.click()
    assert fleet.asked == ["beta"]
    assert controls(board)._acts.children == (gamma,)


def test_a_reconnect_that_fails_is_explained(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    fleet.down = {"beta"}
    board = shown(fleet, hand)
    fleet.error = OSError("still gone")
    [button] = controls(board)._acts.children
    button.click()
    assert "still gone" in controls(board)._trouble.value
    assert not button.disabled


def test_a_breaker_is_tripped_and_reset_by_the_button_in_its_row(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    fleet.breakers = {"alpha": "closed", "gamma": "half_open"}
    board = shown(fleet, hand)
    alpha, gamma = controls(board)._acts.children
    assert (alpha.description, gamma.description) == ("Trip", "Reset")
    assert controls(board)._code.value == ""
    controls(board)._coded.value = True
    alpha.click()
    gamma.click()
    assert fleet.breakers == {"alpha": "open", "gamma": "closed"}
    assert (alpha.description, gamma.description) == ("Reset", "Trip")
    assert "fleet.trip(&#x27;alpha&#x27;)\nfleet.reset(&#x27;gamma&#x27;)" in controls(board)._code.value


def test_the_strategys_parameters_have_boxes_that_act(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    board = shown(fleet, hand)
    assert controls(board)._knobs.panel.layout.display == "none"
    fleet.strategy = "latency(tau=3)"
    board.refresh()
    epsilon, tau = controls(board)._knobs._boxes.children
    assert tau.description == "tau, s"
    assert (epsilon.description, epsilon.value, tau.value) == ("epsilon", 0.05, 3.0)
    assert (controls(board)._knobs.menu.value, controls(board)._knobs.panel.layout.display) == (
        "latency",
        None,
    )
    epsilon.value = 0.2
    assert fleet.strategy == "latency(epsilon=0.2, tau=3)"
    tau.value = 10.0
    assert fleet.strategy == "latency(epsilon=0.2)"
    controls(board)._knobs.menu.value = "p2c"
    assert (fleet.strategy, controls(board)._knobs.panel.layout.display) == ("p2c", "none")


def test_a_parameter_that_cannot_be_set_goes_back(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    fleet.strategy = "latency"
    board = shown(fleet, hand)
    fleet.error = RuntimeError("no")
    epsilon = controls(board)._knobs._boxes.children[0]
    epsilon.value = 0.2
    assert (epsilon.value, fleet.strategy) == (0.05, "latency")


def test_every_control_has_a_description_and_a_tooltip(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    fleet.down, fleet.breakers, fleet.strategy = {"beta"}, {"alpha": "closed"}, "latency"
    board = shown(fleet, hand)
    face = controls(board)
    for control in (*face.root.children[1].children, *face._acts.children, *face._knobs._boxes.children):
        assert control.description
        assert control.tooltip


def test_a_fleet_may_bring_panels(fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]) -> None:
    import ipywidgets

    slider = ipywidgets.IntSlider()
    fleet.extra = [Panel("Break <something>", lambda: slider)]
    board = shown(fleet, hand)
    panel = controls(board).root.children[-1]
    assert panel.children[1] is slider
    assert "Break &lt;something&gt;" in panel.children[0].value


# -- bundles


def test_the_bundle_has_the_widget_a_snapshot_with_its_time_and_text(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    board = shown(fleet, hand)
    bundle = board._repr_mimebundle_()
    view = bundle["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"] == controls(board).root.model_id
    assert re.search(r"snapshot of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", bundle["text/html"])
    assert bundle["text/plain"].startswith("weather: 3 of 3 servers take calls, strategy p2c")


def test_without_a_kernel_it_is_a_still_picture(fleet: FakeFleet, hand: Hand) -> None:
    board = Dashboard(fleet, scheduler=hand)
    bundle = board._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert not board.live
    assert hand.due == []


def test_a_closed_dashboard_is_a_still_picture(
    fleet: FakeFleet, hand: Hand, wire: list[dict[str, Any]]
) -> None:
    board = shown(fleet, hand)
    board.close()
    assert set(board._repr_mimebundle_()) == {"text/html", "text/plain"}
    assert repr(board) == "<Dashboard of weather: closed>"


# -- the board


def test_the_same_moment_gives_the_same_board(fleet: FakeFleet) -> None:
    fleet.call("alpha", NOON - 3)
    board = Dashboard(fleet, clock=lambda: NOON)
    assert board_html(board.moment()) == board_html(board.moment())


def test_the_board_shows_rates_latencies_and_errors_of_the_window(fleet: FakeFleet) -> None:
    for n in range(20):
        fleet.call("alpha", NOON - 5 + n / 5, 0.1)
    fleet.call("beta", NOON - 1_000, 9.0)
    html = board_html(Dashboard(fleet, clock=lambda: NOON).moment())
    assert "p95 100 ms" in html
    assert "9.0" not in re.sub(r"<svg.*?</svg>", "", html)
    assert "4.0 calls/s" in html


def test_fifty_servers_keep_a_row_each_and_a_few_lines(fleet: FakeFleet) -> None:
    names = [f"s{n:02}" for n in range(50)]
    for n, name in enumerate(names * 4):
        fleet.call(name, NOON - 30 + n / 10)
    rows = [ServerStatus(name, "connected", "http") for name in names]
    fleet.status = lambda: rows  # type: ignore[method-assign]
    html = board_html(Dashboard(fleet, clock=lambda: NOON).moment())
    assert html.count('<th scope="row">') == 50
    assert html.count("mcpnb-direct") <= 16
    assert re.search(r"4\d others", html)


def test_marks_show_when_a_server_went_and_came_back() -> None:
    events = [
        Event(NOON, "server_state", "beta", "connected", {"state": "connected"}),
        Event(NOON + 10, "server_state", "beta", "reconnecting: exit status 1", {"state": "reconnecting"}),
        Event(NOON + 11, "server_state", "beta", "reconnecting: refused", {"state": "reconnecting"}),
        Event(NOON + 20, "server_state", "beta", "connected"),
        Event(NOON + 30, "strategy", None, "strategy is round_robin now"),
        Event(NOON + 500, "strategy", None, "much later"),
    ]
    marks = list(marks_of(events, NOON, NOON + 40))
    assert [(mark.text, mark.tone) for mark in marks] == [
        ("beta reconnecting", "bad"),
        ("beta is back", "good"),
        ("round_robin", "dim"),
    ]
    assert [round(mark.at, 2) for mark in marks] == [0.25, 0.5, 0.75]


def test_a_setting_that_changes_again_and_again_has_one_mark_and_others_keep_theirs() -> None:
    def slowed(at: float, server: str, what: str, *settings: str) -> Event:
        return Event(NOON + at, "lab", server, what, {"settings": settings} if settings else {})

    events = [
        slowed(10.0, "beta", "slowed to 250 ms", "latency_ms"),
        slowed(10.5, "beta", "slowed to 400 ms", "latency_ms"),
        slowed(10.6, "beta", "errors 5 %", "error_rate"),
        slowed(10.7, "gamma", "slowed to 90 ms", "latency_ms"),
        slowed(11.0, "beta", "slowed to 600 ms", "latency_ms"),
        slowed(20.0, "beta", "crashed on purpose"),
        slowed(20.1, "beta", "restarted"),
        slowed(30.0, "beta", "sped up to 20 ms", "latency_ms"),
        Event(NOON + 31, "strategy", None, "strategy is peak_ewma now"),
        Event(NOON + 31.5, "strategy", None, "strategy is peak_ewma(tau=2) now"),
        Event(NOON + 32, "breaker_state", "beta", "half_open: waits for probes", {"state": "half_open"}),
    ]
    assert [mark.text for mark in marks_of(events, NOON, NOON + 60)] == [
        "beta errors 5 %", "gamma slowed to 90 ms", "beta slowed to 600 ms", "beta crashed on purpose",
        "beta restarted", "beta sped up to 20 ms", "peak_ewma(tau=2)",
    ]  # fmt: skip


def test_many_finished_calls_do_not_push_other_events_off_the_list(fleet: FakeFleet) -> None:
    fleet.event_log.append(Event(NOON, "conflict", None, "worth knowing"))
    for n in range(400):
        fleet.event_log.append(Event(NOON, "call_finished", "alpha", f"call {n}"))
    html = board_html(Dashboard(fleet, clock=lambda: NOON).moment())
    assert "worth knowing" in html
    assert "call 399" not in html


def test_foreign_text_on_the_board_is_text(fleet: FakeFleet) -> None:
    evil = "<script>alert(1)</script>"
    fleet.name = evil
    fleet.call(evil, NOON - 1)
    fleet.event_log.append(Event(NOON - 1, evil, evil, evil))
    fleet.status = lambda: [ServerStatus(evil, "failed", evil, last_error=evil)]  # type: ignore[method-assign]
    html = board_html(Dashboard(fleet, clock=lambda: NOON).moment(), live=True)
    assert "<script" not in html


# -- the pulse


def test_the_timer_thread_calls_back_in_order_and_ends_when_idle() -> None:
    timers, heard, done = TimerThread(), [], threading.Event()
    timers.later(0.02, lambda: (heard.append("late"), done.set()))
    cancel = timers.later(0.01, lambda: heard.append("never"))
    timers.later(0.0, lambda: heard.append("soon"))
    cancel()
    thread = timers._thread
    assert done.wait(5)
    assert heard == ["soon", "late"]
    if thread is not None:
        thread.join(5)
        assert not thread.is_alive()


def test_a_pulse_that_was_stopped_does_not_beat(hand: Hand) -> None:
    beats: list[float] = []
    pulse = Pulse(lambda: beats.append(hand.now), hand, clock=lambda: hand.now)
    pulse.start()
    hand.advance(1)
    pulse.stop()
    count = len(beats)
    hand.advance(5)
    assert len(beats) == count
    pulse.hurry()
    assert hand.due == []


def test_a_costly_beat_is_followed_by_a_longer_wait(hand: Hand) -> None:
    beats: list[float] = []

    def beat() -> None:
        beats.append(hand.now)
        hand.now += 0.03

    Pulse(beat, hand, clock=lambda: hand.now).start()
    hand.advance(10)
    assert 10 <= len(beats) <= 11


def test_a_very_costly_beat_still_comes_again(hand: Hand) -> None:
    beats: list[float] = []

    def beat() -> None:
        beats.append(hand.now)
        hand.now += 1.0

    Pulse(beat, hand, clock=lambda: hand.now).start()
    hand.advance(21)
    assert len(beats) >= 10
