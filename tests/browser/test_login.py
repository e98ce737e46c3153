"""Logging in from a notebook in a real JupyterLab: by the link, by a pasted address, and out again."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from .issuer import running_issuer
from .test_accessibility import _CHECK, _RULES, axe  # noqa: F401 - a fixture
from .test_dashboard import _RUN

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

EVIL = "<b>notes</b>"
START = """\
import time
import mcpnb
fleet = mcpnb.connect({servers!r}, auth='oauth', name='company')
while 'auth' not in set(fleet.events.kind):
    time.sleep(0.05)"""
"""Ends once somebody was asked to log in, so that it is below this cell that he is asked first."""

SAVE = """async () => {
  const {commands, shell} = window.jupyterapp;
  const toggle = '@jupyter-widgets/jupyterlab-manager:saveWidgetState';
  await commands.execute(toggle);
  await shell.currentWidget.context.save();
  await commands.execute(toggle);
}"""
"""Saves the notebook with the state of its widgets, which JupyterLab leaves out unless it is asked."""


@pytest.fixture
def street():
    with running_issuer("weather", "notes") as street:
        yield street


def run(page, code: str) -> str:
    return page.page.evaluate(_RUN, code).strip()


def follow(page, link, say: str, *, reachable: bool = True) -> str:
    """Open the login page, say something there, and give the address at which the browser ends."""
    with page.page.expect_popup() as opened:
        link.click()
    tab = opened.value
    if not reachable:  # the notebook runs on another computer
        tab.route("**/callback?*", lambda route: route.abort())
    wanted = tab.expect_response if reachable else tab.expect_request
    with wanted("**/callback?*") as ended:
        tab.get_by_role("button", name=say).click()
    page.page.bring_to_front()  # the tab goes with its page: closing it by itself now and then never ends
    return ended.value.url


def saved(page, lab_server) -> str:
    """What the notebook's file holds now, its widgets' state included."""
    page.page.evaluate(SAVE)
    (path,) = lab_server.folder.glob("test_a_person_logs_in*.ipynb")
    kept = json.dumps(json.loads(path.read_text()), ensure_ascii=False)
    assert "application/vnd.jupyter.widget-state+json" in kept
    return kept


def test_a_person_logs_in_by_link_and_by_paste_and_out(lab_page, lab_server, street, axe):  # noqa: F811
    servers = {"weather": street.servers["weather"], EVIL: street.servers["notes"]}
    content = [START.format(servers=servers), "fleet.login()", "fleet.dashboard()", "fleet"]
    page = lab_page(content)
    cells = page.run_all(timeout=60)
    assert {cell.source: cell.error for cell in cells if cell.error} == {}
    below, board = page.output(1), page.output(2)

    # The same login below the cell that asked last, and on the dashboard.
    page.output(0).locator(".mcpnb-state", has_text="asked below").wait_for(timeout=15_000)
    link = below.get_by_role("link", name="Open the login page at 127.0.0.1")
    link.wait_for(timeout=15_000)
    board.get_by_role("link", name="Open the login page at 127.0.0.1").wait_for(timeout=15_000)
    states = board.locator(".mcpnb-servers td:nth-child(2)")
    expect(states.first).to_have_text(re.compile("◌ needs a login.*asked at 127.0.0.1"))
    assert link.get_attribute("target") == "_blank"
    page.page.evaluate(axe)
    outputs = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-OutputArea-output"
    for theme in ("dark", "light"):
        page.wear(theme)
        page.shot("asked")
        found = page.page.evaluate(_CHECK, [[[outputs]], _RULES])
        assert not found, "\n".join(found)

    follow(page, link, "Allow")
    below.locator(".mcpnb-state", has_text="logged in").wait_for(timeout=15_000)
    board.get_by_text("2 of 2 take calls").first.wait_for(timeout=15_000)
    board.get_by_text("logged in for 59 min").first.wait_for(timeout=15_000)
    assert run(page, "print(fleet.call('weather.where').text)") == "this is weather"
    assert run(page, "print(fleet.call('notes.where').text)") == "this is notes"
    page.shots("in")

    expect(states.last).to_have_text(re.compile("● connected.*✓ logged in for 59 min"))
    assert run(page, "print(*fleet.servers.state)") == "connected connected"
    in_rows = board.locator(".mcpnb-act")
    assert in_rows.get_by_role("button", name="Log out").count() == 2
    in_rows.get_by_role("button", name="Log out").first.click()
    in_rows.get_by_role("button", name="Log in").nth(1).wait_for(timeout=15_000)
    expect(states.last).to_have_text(re.compile("◌ needs a login.*logged out"))
    button = board.get_by_role("button", name="Log in").last
    button.wait_for(timeout=15_000)
    expect(board.get_by_text("logged out").first).to_be_visible()
    assert street.accounts.revoked
    page.shot("out")  # in the dark, from here on

    button.click()
    link = board.get_by_role("link", name="Open the login page at 127.0.0.1")
    link.wait_for(timeout=15_000)
    address = board.get_by_label("Address")
    address.fill("http://127.0.0.1:1/callback?code=planted-wrong&state=none")
    address.press("Enter")
    board.get_by_text("That address belongs to another login").wait_for()
    assert address.input_value() == ""
    page.shot("wrong")
    kept = saved(page, lab_server)
    assert "wants you to log in" in kept or "want you to log in" in kept
    pasted = follow(page, link, "Allow", reachable=False)
    address.fill(pasted)
    board.get_by_role("button", name="Use this address").click()
    board.get_by_text("2 of 2 take calls").first.wait_for(timeout=15_000)
    assert run(page, "print(fleet.call('weather.where').text)") == "this is weather"

    assert len(street.accounts.secrets) >= 6
    kept += saved(page, lab_server)
    assert "✓ logged in" in kept
    assert "planted-" not in kept
    assert "callback?code=p" not in kept
    assert run(page, "fleet.close(); print('closed')") == "closed"
    assert page.console == []
