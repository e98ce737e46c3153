"""Notebook 7 is made of JupyterLab's parts, in another page: all that lives must live there, too."""

from __future__ import annotations

import re

import pytest

from .conftest import missing
from .lab import running_lab
from .test_dashboard import _RUN

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

CELLS = [
    "import mcpnb\nfleet = mcpnb.lab.start('weather', replicas=3, name='lab', seed=1)",
    "fleet.dashboard(window=20)",
    "fleet.form('weather.forecast', location='Oslo')",
    "fleet.call('weather.forecast', location='Oslo', days=2)",
    "fleet.map('weather.forecast', ['Oslo', 'Lima', 'Cairo'])[['location', 'outcome']]",
    "mcpnb.playground('one_slow', repeats=2)",
]
DASHBOARD, FORM, RESULT, MAP, PLAYGROUND = range(1, 6)


_WRITTEN = """() => [...window.jupyterapp.shell.currentWidget.content.widgets]
  .at(-1).model.sharedModel.getSource().includes('"least_request"')"""


@pytest.fixture(scope="module")
def lab_server(tmp_path_factory):
    """A Notebook 7 in place of JupyterLab, for this module."""
    if reason := missing("notebook"):
        pytest.skip(reason)
    with running_lab(tmp_path_factory.mktemp("notebook7"), app="notebook") as server:
        yield server


def test_all_that_lives_in_jupyterlab_lives_in_notebook_7(lab_page):
    page = lab_page(CELLS)
    assert "/notebooks/" in page.page.url
    cells = page.run_all(timeout=90)
    assert {cell.source: cell.error for cell in cells if cell.error} == {}

    board = page.output(DASHBOARD)
    board.get_by_text("3 of 3 take calls").first.wait_for(timeout=15_000)
    page.page.evaluate(_RUN, "fleet.crash('weather-2')")
    board.get_by_text("2 of 3 take calls").first.wait_for(timeout=15_000)
    menu = board.get_by_label("Strategy").first
    menu.select_option(
        value=menu.locator("option", has_text=re.compile("^round_robin")).get_attribute("value")
    )
    board.get_by_text("fleet.strategy = 'round_robin'").first.wait_for(timeout=15_000)
    assert page.page.evaluate(_RUN, "print(fleet.strategy)").strip() == "round_robin"
    board.get_by_role("slider", name="latency, weather-2: mean time per call").wait_for(timeout=15_000)

    form = page.output(FORM)
    form.get_by_role("slider", name="Slider for days").wait_for(timeout=15_000)
    days = form.get_by_label(re.compile("^days")).last
    days.fill("4")
    days.press("Enter")
    form.get_by_text(re.compile(r"location=.Oslo., days=4\)")).first.wait_for(timeout=15_000)
    form.get_by_role("button", name="Run", exact=True).click()
    form.get_by_text(re.compile(r"Why weather-[13]\?")).first.wait_for(timeout=15_000)

    assert "Oslo" in cells[RESULT].output
    assert re.findall(r"(Oslo|Lima|Cairo)\s+ok", cells[MAP].output) == ["Oslo", "Lima", "Cairo"]
    assert re.search(r"3/3", cells[MAP].output), "the bar stands at its end"

    playground = page.output(PLAYGROUND)
    playground.get_by_text("2 repeats, done").wait_for(timeout=20_000)
    playground.get_by_label("least_request").check()
    playground.locator("tbody th", has_text="least_request").wait_for(timeout=15_000)
    playground.get_by_role("button", name="Code in the next cell").click()
    page.page.wait_for_function(_WRITTEN, timeout=10_000)
    page.shot()
    assert page.console == []
    assert "closed" in page.page.evaluate(_RUN, "fleet.close(); print('closed')")
    board.get_by_text("strategy round_robin · snapshot of").first.wait_for(timeout=15_000)
