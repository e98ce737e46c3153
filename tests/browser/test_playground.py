"""The playground in a real JupyterLab: it follows its controls, by hand and by keyboard, and writes code."""

from __future__ import annotations

import re

import pytest

from .lab import THEMES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

CELLS = ["import mcpnb\npanel = mcpnb.playground('one_slow', repeats=2)\npanel", "'the next cell'"]

_SOURCES = """() => window.jupyterapp.shell.currentWidget.content.widgets
  .filter(cell => cell.model.type === 'code').map(cell => cell.model.sharedModel.getSource())"""

# What a reader with a screen reader is told of each control that can be reached by keyboard.
_UNNAMED = """root => [...root.querySelectorAll('input, select, button, [role=slider]')]
  .filter(control => control.offsetParent !== null && control.tabIndex >= 0)
  .filter(control => !(control.labels?.length || control.getAttribute('aria-label') || control.title
    || control.textContent.trim() || control.closest('.widget-hslider')?.querySelector('label')?.textContent))
  .map(control => control.outerHTML.slice(0, 200))"""


@pytest.mark.parametrize("theme", THEMES)
def test_the_playground_redraws_when_a_control_moves_and_writes_the_next_cell(lab_page, theme):
    page = lab_page(CELLS, theme=theme, width=1200)
    cells = page.run_all(timeout=60)
    assert {cell.source: cell.error for cell in cells if cell.error} == {}
    panel = page.output(0)
    panel.get_by_text("2 repeats, done").wait_for(timeout=20_000)
    assert panel.locator("svg.mcpnb-chart").count() == 4
    asked = panel.locator(".mcpnb-asked")
    assert "70.0 calls/s" in asked.inner_text()

    # By keyboard: the slider of the rate, a strategy's tick, the scenario's menu.
    panel.get_by_role("slider").first.focus()
    for _ in range(5):
        page.page.keyboard.press("ArrowRight")
    panel.get_by_text("poisson 75.0 calls/s").wait_for(timeout=10_000)
    tick = panel.get_by_label("least_request")
    tick.focus()
    page.page.keyboard.press("Space")
    panel.locator("tbody th", has_text="least_request").wait_for(timeout=10_000)

    # The tables below the pictures.
    panel.get_by_role("button", name="Edit servers").click()
    panel.get_by_role("button", name="Edit faults").click()
    panel.get_by_label("mean ms of s0").wait_for(timeout=10_000)
    panel.get_by_label("name of s1").fill("<b>beta</b>")
    page.page.keyboard.press("Tab")
    panel.locator("svg text", has_text=re.compile(r"^<b")).first.wait_for(timeout=10_000)
    assert panel.evaluate(_UNNAMED) == []
    page.shot("tables")

    panel.get_by_label("Scenario").select_option(label="black_hole · a server fails at once")
    panel.get_by_text("s0 fails every call").wait_for(timeout=10_000)
    panel.get_by_role("button", name="Edit servers").click()
    panel.get_by_role("button", name="Edit faults").click()

    panel.get_by_role("button", name="Show code").click()
    panel.get_by_text("import mcpnb").wait_for(timeout=10_000)
    panel.get_by_role("button", name="Code in the next cell").click()
    page.page.wait_for_function(f"({_SOURCES})()[1].includes('mcpnb.compare')", timeout=10_000)
    _, written, last = page.page.evaluate(_SOURCES)
    assert "scenario = mcpnb.scenarios.black_hole()" in written
    assert '"least_request"' in written
    assert last == CELLS[1]
    page.shot()
    assert page.console == []
