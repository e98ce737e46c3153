"""Conflicts in a notebook: the verbs of a fleet, its frame, and the panel with a dropdown for each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from mcp.server.mcpserver import MCPServer

import mcpnb
from mcpnb.catalog import Conflict
from mcpnb.model import Event
from mcpnb.notebook.conflicts import OpenConflict, _Board, conflicts_panel
from mcpnb.notebook.face import Controls, Face
from mcpnb.notebook.happened import _detail
from mcpnb.notebook.servers import Look


class FakeFleet:
    """Conflicts as a test wants them; a choice moves the name to that server."""

    def __init__(self, *open_: OpenConflict) -> None:
        self.open = list(open_)
        self.asked: list[tuple[str, tuple[str, ...], str]] = []
        self.error: Exception | None = None

    def open_conflicts(self) -> list[OpenConflict]:
        return list(self.open)

    def prefer(self, name: str, *servers: str, kind: str = "tool") -> None:
        self.asked.append((name, servers, kind))
        if self.error:
            raise self.error
        self.open = [
            contested(name, servers[0] if servers else "alpha", preferred=bool(servers))
            if each.conflict.tool == name
            else each
            for each in self.open
        ]


def contested(
    name: str,
    chosen: str = "alpha",
    *,
    preferred: bool = False,
    kind: Any = "tool",
    policy: str = "first_server",
) -> OpenConflict:
    policy = "user_preference" if preferred else policy
    why = f"{chosen} is preferred" if preferred else f"{chosen} was declared first"
    conflict = Conflict(1.0, name, policy, chosen, ("gamma",), why, kind)
    return OpenConflict(conflict, (("alpha", "beta"), ("gamma",)), preferred)


def board(fleet: FakeFleet, run: Callable[[Callable[[], None]], None] = lambda action: action()) -> _Board:
    return _Board(fleet, run=run)


def texts(made: _Board) -> str:
    return " ".join(getattr(part, "value", "") for row in made.widget.children for part in _parts(row))


def _parts(row: Any) -> tuple[Any, ...]:
    return getattr(row, "children", (row,))


def test_each_conflict_has_a_row_with_a_dropdown_of_what_it_could_mean():
    made = board(FakeFleet(contested("forecast"), contested("greet", kind="prompt")))
    (menu, label), (other, _) = (row.children for row in made.widget.children[:-1])
    assert [text for text, _ in menu.options] == ["by policy (first_server)", "alpha and 1 replica", "gamma"]
    assert (menu.description, menu.value, other.description) == ("forecast", "", "prompt greet")
    assert "alpha was declared first" in label.value


def test_choosing_prefers_and_shows_the_line_of_code_that_does_the_same():
    fleet = FakeFleet(contested("forecast"))
    made = board(fleet)
    menu, label = made.widget.children[0].children
    menu.value = "gamma"
    assert fleet.asked == [("forecast", ("gamma",), "tool")]
    assert "fleet.prefer(&#x27;forecast&#x27;, &#x27;gamma&#x27;)" in label.value
    assert "gamma is preferred" in label.value
    assert (menu.value, menu.disabled) == ("gamma", False)
    menu.value = ""
    assert fleet.asked[-1] == ("forecast", (), "tool")
    assert menu.value == ""


def test_a_choice_of_a_prompt_says_so():
    fleet = FakeFleet(contested("greet", kind="prompt"))
    made = board(fleet)
    made.widget.children[0].children[0].value = "gamma"
    assert fleet.asked == [("greet", ("gamma",), "prompt")]


def test_the_dropdown_is_disabled_until_the_choice_is_carried_out():
    fleet, waiting = FakeFleet(contested("forecast")), []
    made = board(fleet, waiting.append)
    menu = made.widget.children[0].children[0]
    menu.value = "gamma"
    assert menu.disabled
    assert made.refresh()  # a refresh meanwhile does not put it back
    assert menu.value == "gamma"
    waiting[0]()
    assert not menu.disabled


def test_a_choice_that_fails_is_told_and_taken_back():
    fleet = FakeFleet(contested("forecast"))
    fleet.error = mcpnb.ToolNotFound("<b>gamma:forecast</b>")
    made = board(fleet)
    menu, label = made.widget.children[0].children
    menu.value = "gamma"
    assert "&lt;b&gt;gamma:forecast" in label.value
    assert menu.value == ""


def test_rows_come_and_go_with_their_conflicts_and_a_choice_elsewhere_is_followed():
    fleet = FakeFleet(contested("forecast"))
    made = board(fleet)
    row = made.widget.children[0]
    fleet.open = [contested("search"), contested("forecast", "gamma", preferred=True)]
    assert made.refresh()
    assert [each.children[0].description for each in made.widget.children[:-1]] == ["forecast", "search"]
    assert made.widget.children[0] is row
    assert row.children[0].value == "gamma"
    assert fleet.asked == []
    fleet.open = []
    assert not made.refresh()
    assert len(made.widget.children) == 1


def test_nothing_is_sent_when_nothing_changed():
    made = board(FakeFleet(contested("forecast"), contested("greet")))
    sent: list[object] = []
    for row in made.widget.children[:-1]:
        for part in (row, *row.children):
            part.observe(sent.append)
    made.widget.observe(sent.append)
    made.refresh()
    assert sent == []


def test_a_thousand_conflicts_show_the_first_and_count_the_others():
    made = board(FakeFleet(*(contested(f"tool-{number}") for number in range(1_000))))
    assert len(made.widget.children) == 21
    assert "980 more" in made.widget.children[-1].value


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\u202eevil", "x" * 10_000, "日本語"])
def test_hostile_names_are_shown_not_run(name):
    fleet = FakeFleet(contested(name, chosen="alpha"))
    made = board(fleet)
    assert "<script" not in texts(made)
    made.widget.children[0].children[0].value = "gamma"
    assert "<script" not in texts(made)
    assert fleet.asked == [(name, ("gamma",), "tool")]


def test_the_dashboard_hides_the_panel_while_there_are_no_conflicts():
    fleet = FakeFleet()
    controls, windows = Controls(*[lambda *_: None] * 5), [("1 min", 60.0)]
    face = Face(controls, {}, "p2c", windows, 60.0, [conflicts_panel(fleet)])
    box = face.root.children[-1]
    face.follow("p2c", [])
    assert box.layout.display == "none"
    fleet.open = [contested("forecast")]
    face.follow("p2c", [])
    assert box.layout.display is None
    face.close()


# -- on a fleet


def place(name: str, **parameters: type) -> MCPServer:
    server = MCPServer(name, version="1.0", log_level="ERROR")

    if parameters:

        @server.tool()
        def forecast(location: str, days: int = 1) -> str:
            return f"{name} {days}"

    else:

        @server.tool()
        def forecast(location: str) -> str:
            return name

    return server


@pytest.fixture
def fleet():
    with mcpnb.connect({"alpha": place("alpha"), "beta": place("beta", days=int)}) as fleet:
        yield fleet


def test_the_verbs_of_a_fleet_take_effect_and_its_frame_tells(fleet, tmp_path):
    assert fleet.conflicts.loc[0, ["kind", "tool", "policy", "chosen"]].tolist() == [
        "tool", "forecast", "first_server", "alpha",
    ]  # fmt: skip
    fleet.prefer("forecast", "beta")
    assert fleet.call("forecast", location="Oslo").value == "beta 1"
    assert fleet.tools.set_index("server").selected.to_dict() == {"alpha": False, "beta": True}
    fleet.save(tmp_path / "choices.json")
    fleet.prefer("forecast")
    fleet.prioritise("beta", 4)
    fleet.resolve("*", "server_priority")
    assert fleet.call("forecast", location="Oslo").value == "beta 1"
    fleet.resolve("forecast", "merge")
    assert fleet.call("forecast", location="Oslo", days=3).value == "beta 3"
    assert (fleet.events.kind == "conflict").sum() == 5
    again = {"alpha": place("alpha"), "beta": place("beta", days=int)}
    with mcpnb.connect(again, choices=tmp_path / "choices.json", name="again") as other:
        assert other.call("forecast", location="Oslo").value == "beta 1"


def test_the_panel_of_a_fleet_chooses_on_its_servers(fleet):
    panel = next(panel for panel in fleet.panels() if panel.title == "Conflicts")
    widget = panel.build()
    menu, label = widget.children[0].children
    done = threading.Event()
    menu.observe(lambda change: None if change["new"] else done.set(), "disabled")
    menu.value = "beta"
    assert done.wait(20)
    assert fleet.call("forecast", location="Oslo").server == "beta"
    assert panel.refresh(widget)
    assert menu.value == "beta"
    assert "user_preference" in label.value


def test_the_panel_is_hidden_while_there_are_no_conflicts():
    fleet = FakeFleet()
    panel = conflicts_panel(fleet)
    widget = panel.build()
    assert panel.refresh(widget) is False
    fleet.open = [contested("forecast")]
    assert panel.refresh(widget) is True


def test_an_event_of_a_server_keeps_its_words_when_they_begin_like_the_servers_name():
    assert _detail(Event(0.0, "server_state", "c", "connected"), Look("●", "ready", "good")) == "connected"
    assert _detail(Event(0.0, "server_state", "c", "c: closed"), Look("●", "ready", "good")) == "closed"


def test_how_replicas_are_declared_stands_below_the_reason():
    found = contested("forecast")
    why = f"{found.conflict.why}. alpha, gamma look alike; declare them"
    made = board(FakeFleet(found._replace(conflict=replace(found.conflict, why=why))))
    label = made.widget.children[0].children[1].value
    assert "alpha was declared first</span></span>" in label
    assert '<div class="mcpnb-small">' in label
