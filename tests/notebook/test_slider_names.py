"""What names sliders: one invisible widget in each panel that has any, constant, and seen by nobody."""

from __future__ import annotations

import pytest

from mcpnb.connection import Elicitation
from mcpnb.lab import controls
from mcpnb.lab.profile import Profile
from mcpnb.notebook.forms import Form
from mcpnb.notebook.forms.panel import Panel, Pressed
from mcpnb.notebook.playground import made
from mcpnb.notebook.playground.view import Actions, View
from mcpnb.notebook.shapes import fields_of
from mcpnb.notebook.slider_names import SCRIPT, slider_names

ipywidgets = pytest.importorskip("ipywidgets")

EVIL = "<img src=x onerror=alert(1)>'`${x}"
SCHEMA = {"properties": {EVIL: {"type": "integer", "minimum": 1, "maximum": 9, "description": EVIL}}}


class Lab:
    """A lab in which nothing happens."""

    def profile(self, _server, **_changes):
        return Profile(latency_ms=20)

    crash = hang = restart = profile


def nothing(*_):
    pass


def lab():
    return controls.panel(Lab(), [EVIL]).build()


def tool_form():
    return Panel(SCHEMA, {}, "", ("call",), Pressed(nothing, nothing, nothing, nothing)).root


def question():
    return Form(Elicitation(EVIL, EVIL, SCHEMA), fields_of(SCHEMA), nothing).root


def playground():
    return View(made(None, None, 0, 1), nothing, Actions(nothing, None, nothing)).root


def tree(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from tree(child)


@pytest.mark.parametrize("panel", [lab, tool_form, question, playground])
def test_a_panel_with_sliders_has_one_widget_that_names_them_and_no_word_of_a_server_in_it(panel):
    root = panel()
    shown = [widget for widget in tree(root) if isinstance(widget, ipywidgets.Output)]
    sliders = [w for w in tree(root) if isinstance(w, (ipywidgets.IntSlider, ipywidgets.FloatSlider))]
    assert sliders
    assert [widget.outputs[0]["data"]["application/javascript"] for widget in shown] == [SCRIPT]
    # The names are made of these, on the page.
    assert all(slider.description and slider.tooltip for slider in sliders)


def test_where_no_script_runs_nothing_of_it_is_seen():
    widget = slider_names()
    (output,) = widget.outputs
    assert widget.layout.display == "none"
    assert output["data"] == {"application/javascript": SCRIPT, "text/plain": ""}
    # A saved notebook has it in a page's own script element, which it must not end.
    assert "<" not in SCRIPT
