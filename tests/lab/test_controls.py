"""The lab's panel: sliders and buttons that reach the servers, and errors that stay in the widget."""

from __future__ import annotations

from typing import Any

from mcpnb.errors import McpnbError
from mcpnb.lab import controls
from mcpnb.lab.profile import Profile


class Lab:
    """A lab that notes what was done to it."""

    def __init__(self) -> None:
        self.profiles = {"a": Profile(latency_ms=20, jitter=0.5), "b<i>": Profile(latency_ms=5000)}
        self.done: list[tuple[str, str]] = []

    def profile(self, server: str, **changes: float | None) -> Profile:
        self.profiles[server] = self.profiles[server].changed(**changes)
        return self.profiles[server]

    def crash(self, server: str) -> None:
        self.done.append(("crash", server))

    def hang(self, server: str) -> None:
        raise McpnbError(f"{server} <cannot> hang")

    def restart(self, server: str) -> None:
        self.done.append(("restart", server))


def row(lab: Lab, server: str = "a", *, run: Any = lambda action: action()) -> controls._Row:
    return controls._Row(lab, server, run=run)


def test_there_is_a_row_for_each_server_with_what_holds_now() -> None:
    panel = controls.panel(Lab(), ["a", "b<i>"])
    assert panel.title
    first, second, _ = panel.build().children
    assert "a" in first.children[0].value
    assert "b&lt;i&gt;" in second.children[0].value
    assert [slider.value for slider in first.children[1:4]] == [20, 50, 0]
    assert second.children[1].value == 5000


def test_a_slider_changes_the_profile_of_its_server_only() -> None:
    lab = Lab()
    row(lab).sliders["error_rate"].value = 25  # percent, as it reads
    assert lab.profiles["a"] == Profile(latency_ms=20, jitter=0.5, error_rate=0.25)
    assert lab.profiles["b<i>"] == Profile(latency_ms=5000)


def test_sliders_follow_what_a_cell_changes_and_a_page_that_rounds_changes_nothing() -> None:
    lab = Lab()
    panel = controls.panel(lab, ["a"])
    box = panel.build()
    slider = box.children[0].children[1]
    lab.profiles["a"] = Profile(latency_ms=1733)
    assert panel.refresh is not None
    assert panel.refresh(box)
    assert (slider.value, slider.max) == (1733, 1733)
    slider.value = 1732  # as if steps began elsewhere
    assert lab.profiles["a"].latency_ms == 1733
    slider.value = 1700
    assert lab.profiles["a"].latency_ms == 1700


def test_a_button_acts_on_its_server_and_is_disabled_meanwhile() -> None:
    lab, waiting = Lab(), []
    here = row(lab, run=waiting.append)
    here.buttons["Crash"].click()
    assert lab.done == []
    assert all(button.disabled for button in here.buttons.values())
    waiting.pop()()
    assert lab.done == [("crash", "a")]
    assert not any(button.disabled for button in here.buttons.values())


def test_what_a_slider_shows_has_its_unit_and_percent_where_people_read_percent() -> None:
    lab = Lab()
    sliders = row(lab).sliders
    assert [(s.description, s.max, s._dom_classes) for s in sliders.values()] == [
        ("latency", 1000, ("mcpnb-ms",)),
        ("jitter", 200, ("mcpnb-percent",)),
        ("errors", 100, ("mcpnb-percent",)),
    ]
    sliders["jitter"].value = 35
    assert lab.profiles["a"].jitter == 0.35


def test_an_error_stands_in_the_widget_as_text_and_the_buttons_work_again() -> None:
    here = row(Lab())
    here.buttons["Hang"].click()
    assert here._said.value == "a &lt;cannot&gt; hang"
    assert not here.buttons["Hang"].disabled
    here.buttons["Restart"].click()
    assert here._said.value == ""


def test_every_control_says_what_it_does() -> None:
    here = row(Lab())
    for control in [*here.sliders.values(), *here.buttons.values()]:
        assert control.description
        assert "a: " in control.tooltip
