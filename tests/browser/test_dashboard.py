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

FULL = """\
import itertools, time
from mcpnb.auth import LoginRow
from mcpnb.metrics import AttemptLog, EventLog
from mcpnb.model import Event, ServerStatus
from mcpnb.notebook.dashboard import Dashboard

LONG = 'a name that goes on and on until nobody reads it'
OUT = 'connection refused by 10.20.30.40:8080, as it was the last six times'

class Full:
    name, strategy, error = 'research assistants', 'peak_ewma(tau=2)', None
    log, event_log = AttemptLog(), EventLog()
    def status(self):
        def row(name, state='connected', **more):
            usual = {'protocol': '2026-07-28', 'version': '2.1.0', 'region': 'eu-west', 'max_in_flight': 16}
            return ServerStatus(name, state, 'http', **usual | more)
        return [
            row('alpha', in_flight=12, queued=345), row('beta', 'degraded', breaker='half_open'),
            row(LONG, 'reconnecting', retry_in=25, last_error=OUT, breaker='open'),
            row('delta', 'failed', last_error=OUT),
        ]
    def login_rows(self):
        ends = time.time() + 7_000
        issuer, why = 'https://auth.example.com', 'the refresh token has expired'
        return [LoginRow('alpha', 'logged_in', issuer, 'us', (), ends),
                LoginRow('delta', 'needs_login', issuer, error=why)]
    def strategies(self): return {'p2c': 'power of two choices', 'peak_ewma': 'two choices by latency'}
    def panels(self): return []
    def reconnect(self, name): pass
    trip = reset = log_in = logout = reconnect

full, began = Full(), time.time()
for n, (server, ago) in enumerate(itertools.product(('alpha', 'beta', LONG), range(1, 50))):
    full.log.append(call=n, attempt=1, started_at=began - ago, tool='t', server=server, strategy='p2c',
                    outcome='ok', latency=1.2345, queued=0.0, hedge=False, cached=False, size=0, error='')
for ago, kind, server, what in (
    (40, 'lab', LONG, 'slowed to 250 ms'), (39, 'lab', 'alpha', 'crashed on purpose'),
    (21, 'lab', 'beta', 'errors 5 %'), (20, 'strategy', None, 'strategy is peak_ewma now'),
    (3, 'lab', 'alpha', 'sped up to 20 ms'), (2, 'lab', 'beta', 'restarted'),
):
    full.event_log.append(Event(began - ago, kind, server, what))
Dashboard(full, clock=lambda: began)"""
"""A dashboard with all that makes cells wide: it is looked at, not used."""

CELLS = [START, "fleet.dashboard(window=20)", FULL]

_CROWDED = """root => {
  const box = node => node.getBoundingClientRect();
  const seen = nodes => [...nodes].filter(node => box(node).width > 1);
  const apart = (a, b) => a.right <= b.left + 0.5 || b.right <= a.left + 0.5 ||
    a.bottom <= b.top + 0.5 || b.bottom <= a.top + 0.5;
  const found = [];
  const table = root.querySelector('.mcpnb-acts'), last = box(table.querySelector('thead th:last-child'));
  if (table.parentElement.scrollWidth > table.parentElement.clientWidth) found.push('the table is too wide');
  for (const button of seen(root.querySelectorAll('.mcpnb-act button'))) {
    if (box(button).left < last.left - 0.5) found.push(`${button.innerText} stands on the cell beside it`);
    if (button.scrollWidth > button.clientWidth) found.push(`${button.innerText} is cut`);
  }
  const head = box(root.querySelector('.mcpnb-head')), bar = box(root.querySelector('.mcpnb-controls'));
  const pills = seen(root.querySelectorAll('.mcpnb-pill')).filter(pill => box(pill).top < head.bottom);
  for (const pill of pills) {
    if (box(pill).right > head.right + 0.5) found.push(`${pill.innerText} is cut`);
    const wide = {left: bar.left - 8, right: bar.right, top: bar.top, bottom: bar.bottom};
    if (!apart(box(pill), wide)) found.push(`${pill.innerText} touches the controls`);
  }
  if (!pills.length) found.push('no pill is seen');
  for (const chart of root.querySelectorAll('.mcpnb-chart')) {
    const words = seen(chart.querySelectorAll('.mcpnb-said text'));
    words.forEach((a, n) => words.slice(n + 1).forEach(b => {
      if (!apart(box(a), box(b))) found.push(`${a.textContent} stands on ${b.textContent}`);
    }));
  }
  for (const bar of root.querySelectorAll('rect.mcpnb-bar'))
    if (box(bar).height > 16) found.push(`a bar of the race is ${box(bar).height} pixels high`);
  return found;
}"""
"""What stands on something else in a dashboard, or is cut where it must not be."""

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
import json, time, pandas
for _ in range(600):
    calls = fleet.calls.iloc[before:]
    # Of later ones those to the slow server are still out.
    over = calls.started_at < pandas.Timestamp.now('UTC') - pandas.Timedelta(2, 's')
    mine = calls[over & (calls.strategy == {strategy!r})]
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


def race(board) -> None:
    """Have one call raced, by the dashboard's panel."""
    board.get_by_label("Arguments").fill('{"location": "London"}')
    board.get_by_role("button", name="Race", exact=True).click()
    board.get_by_text('weather.current(location="London")').wait_for(timeout=20_000)
    expect(board.locator("svg.mcpnb-race").last).to_contain_text("✓ won")


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
    tau = board.get_by_label("tau, s")
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
    race(board)
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


def test_nothing_stands_on_anything_else_at_any_width(board_page):
    race(board_page.output(1))
    tall = board_page.page.viewport_size["height"]
    for width in (1400, 1100, 800):
        board_page.page.set_viewport_size({"width": width, "height": tall})
        for number in (1, 2):
            found = board_page.output(number).locator(".mcpnb-live").first.evaluate(_CROWDED)
            assert found == [], (width, number)
        assert board_page.output(2).locator(".mcpnb-said").count() >= 4
    board_page.page.set_viewport_size({"width": 1100, "height": tall})
    board_page.shots("full")
    assert board_page.console == []
