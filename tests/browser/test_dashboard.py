"""The dashboard in a real JupyterLab: it acts on running traffic, and it tells the truth about servers."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from .lab import THEMES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

START = """\
import mcpnb
fleet = mcpnb.lab.start('weather', replicas=3, name='lab', seed=1)
fleet.strategy = 'round_robin'
fleet.profile('weather-3', latency_ms=400)
traffic = mcpnb.lab.traffic(fleet, rate=20)"""

CELLS = [START, "fleet.dashboard(window=20)"]

# What a cell would do, without a cell: the answer is what the code prints.
_RUN = """async code => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const running = kernel.requestExecute({code});
  let printed = '';
  running.onIOPub = message => {
    if (message.header.msg_type === 'stream') printed += message.content.text;
    if (message.header.msg_type === 'error') printed += message.content.traceback.join('\\n');
  };
  await running.done;
  return printed;
}"""

_AS_AT_FIRST = """
for name, milliseconds in (('weather-1', 20), ('weather-2', 20), ('weather-3', 400)):
    fleet.profile(name, latency_ms=milliseconds)
fleet.strategy = 'round_robin'
before = len(fleet.calls)
print('as at first')
"""

_SHARES = """
import json, time
for _ in range(600):
    calls = fleet.calls.iloc[before:]
    mine = calls[calls.strategy == {strategy!r}]
    if len(mine) >= 60:
        break
    time.sleep(0.05)
print(json.dumps((mine.server.value_counts() / len(mine)).to_dict()))
"""


_LATELY = """
import json, time, pandas
def lately():
    calls = fleet.calls
    since = pandas.Timestamp.now('UTC') - pandas.Timedelta(3, 's')
    calls = calls[(calls.strategy == 'peak_ewma') & (calls.started_at > since)]
    return (calls.server.value_counts() / max(len(calls), 20)).to_dict()
for _ in range(400):
    shares = lately()
    if sum(shares.values()) > 0.9 and shares.get('weather-1', 0) < 0.15:
        break
    time.sleep(0.05)
print(json.dumps(shares))
"""
"""Who got the calls of the last three seconds, once the first server gets few of them."""


def shares(page, strategy: str) -> dict[str, float]:
    """Server → share of the calls that this strategy placed, once there are sixty of them."""
    return json.loads(page.page.evaluate(_RUN, _SHARES.format(strategy=strategy)))


@pytest.fixture(scope="module")
def board_page(shared_page):
    """One dashboard for all tests here, with traffic that goes on."""
    page = shared_page(CELLS)
    cells = page.run_all(timeout=90)
    assert {cell.source: cell.error for cell in cells if cell.error} == {}
    yield page
    assert "closed" in page.page.evaluate(_RUN, "traffic.stop(); fleet.close(); print('closed')")


@pytest.fixture
def dashboard(board_page, request):
    """The dashboard in a theme, over servers as they were at first."""
    board_page.wear(request.param)
    assert "as at first" in board_page.page.evaluate(_RUN, _AS_AT_FIRST)
    return board_page


@pytest.mark.parametrize("dashboard", THEMES, indirect=True)
def test_the_strategy_menu_changes_the_routing_of_running_traffic(dashboard):
    assert shares(dashboard, "round_robin")["weather-3"] == pytest.approx(1 / 3, abs=0.05)

    menu = dashboard.output(1).get_by_label("Strategy").first
    choice = menu.locator("option", has_text="lowest recent latency")
    menu.select_option(value=choice.get_attribute("value"))

    after = shares(dashboard, "latency")
    assert after["weather-3"] < 0.2, after
    assert dashboard.page.evaluate(_RUN, "print(fleet.strategy)").strip() == "latency"
    assert dashboard.console == []


@pytest.mark.parametrize("dashboard", THEMES, indirect=True)
def test_a_slider_slows_one_server_and_traffic_moves_away_from_it(dashboard, artefacts):
    board = dashboard.output(1)
    menu = board.get_by_label("Strategy").first
    choice = menu.locator("option", has_text="peak_ewma")
    menu.select_option(value=choice.get_attribute("value"))
    tau = board.get_by_label("tau")
    tau.fill("2")
    tau.press("Enter")
    board.get_by_text("fleet.strategy = 'peak_ewma(tau=2)'").first.wait_for(timeout=15_000)
    assert shares(dashboard, "peak_ewma")["weather-1"] > 0.2

    slider = board.get_by_role("slider").first
    slider.focus()
    slider.press("End")
    after = json.loads(dashboard.page.evaluate(_RUN, _LATELY))
    assert after["weather-1"] < 0.15, after
    assert dashboard.page.evaluate(_RUN, "print(fleet.profile('weather-1').latency_ms)").strip() == "1000.0"

    chart = board.locator("svg", has_text="weather-1").last
    expect(chart).not_to_have_text(re.compile(r"weather-1\s*([2-9]\d|100) %"), timeout=15_000)
    dashboard.shot()
    board.locator(".mcpnb-live").first.screenshot(path=artefacts / f"dashboard-{dashboard.theme}.png")
    assert dashboard.console == []


@pytest.mark.parametrize("dashboard", THEMES, indirect=True)
def test_the_dashboard_follows_a_crash_and_a_recovery(dashboard):
    board = dashboard.output(1)
    board.get_by_text("3 of 3 take calls").first.wait_for(timeout=15_000)
    dashboard.page.evaluate(_RUN, "fleet.crash('weather-2')")
    board.get_by_text("2 of 3 take calls").first.wait_for(timeout=15_000)
    dashboard.shot("crashed")
    dashboard.page.evaluate(_RUN, "fleet.restart('weather-2')")
    board.get_by_text("3 of 3 take calls").first.wait_for(timeout=30_000)
    lost = "print(int((~fleet.calls.groupby('call').outcome.last().isin(['ok'])).sum()))"
    assert dashboard.page.evaluate(_RUN, lost).strip() == "0"
    assert dashboard.console == []
