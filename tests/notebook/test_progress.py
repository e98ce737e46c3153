"""The bar below a cell that waits: when it comes, what it says, and that it leaves nothing behind."""

from __future__ import annotations

import pytest
from mcp.server.mcpserver import Context, MCPServer

import mcpnb
from mcpnb.notebook.progress import GRACE, WaitedCall, reporter

VIEW = "application/vnd.jupyter.widget-view+json"
EVIL = "<b>three</b>\u202e of eight"


class Clockwork:
    """A clock and a scheduler that move when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: dict[object, tuple[float, object]] = {}

    def later(self, seconds, callback):
        key = object()
        self.due[key] = (self.now + seconds, callback)
        return lambda: self.due.pop(key, None)

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        for key, (at, callback) in list(self.due.items()):
            if at <= self.now and self.due.pop(key, None):
                callback()


class Page:
    """A cell, and the place on the page that it gives."""

    def __init__(self) -> None:
        self.bundles: list[dict[str, object]] = []

    def show(self, bundle):
        self.bundles.append(bundle)
        return self

    def update(self, bundle, **options):
        assert options == {"raw": True}
        self.bundles.append(bundle)


@pytest.fixture
def clockwork() -> Clockwork:
    return Clockwork()


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def call(clockwork, page):
    made = WaitedCall("travel.<search>", scheduler=clockwork, clock=lambda: clockwork.now)
    made.show_below(page)
    yield made
    made.close()


@pytest.fixture
def lines():
    """The HTML of the widgets that the test made and that are still open, those without style sheets."""
    pytest.importorskip("ipywidgets")
    from ipywidgets.widgets.widget import _instances

    before = set(_instances)
    return lambda: [
        widget.value
        for key, widget in list(_instances.items())
        if key not in before and type(widget).__name__ == "HTML" and "<style>" not in widget.value
    ]


def test_a_call_that_says_nothing_shows_nothing(call, clockwork, page):
    clockwork.pass_by(GRACE * 10)
    call.close()
    assert page.bundles == []


def test_a_call_that_ends_within_the_grace_shows_nothing(call, clockwork, page):
    call.report(1, 8)
    clockwork.pass_by(GRACE * 0.9)
    call.close()
    clockwork.pass_by(GRACE)
    assert page.bundles == []
    assert not clockwork.due


def test_a_report_after_the_grace_shows_the_bar_with_every_foreign_word_escaped(call, clockwork, page, lines):
    clockwork.pass_by(GRACE)
    call.report(3, 8, EVIL)
    clockwork.pass_by(0)
    clockwork.pass_by(0)
    (shown,) = page.bundles
    assert VIEW in shown
    for html in (shown["text/html"], *lines()):
        assert "travel.&lt;search&gt;" in html
        assert "&lt;b&gt;three&lt;/b&gt;⟨U+202E⟩ of eight" in html
        assert '<progress value="3" max="8">' in html
        assert "<b>" not in html


def test_the_bar_follows_the_newest_report(call, clockwork, page, lines):
    call.report(1, 8)
    clockwork.pass_by(GRACE)
    clockwork.pass_by(0)
    for done in range(2, 8):
        call.report(done, 8)
    clockwork.pass_by(1)
    assert ["88%" in line for line in lines()] == [True]
    assert len(page.bundles) == 1


def test_the_end_takes_the_bar_off_the_page_and_closes_its_widgets(call, clockwork, page, lines):
    call.report(1, 8)
    clockwork.pass_by(GRACE)
    clockwork.pass_by(0)
    assert lines()
    call.close()
    assert page.bundles[-1] == {"text/plain": "", "text/html": ""}
    assert lines() == []
    clockwork.pass_by(10)
    assert not clockwork.due


# ---- in a fleet


@pytest.fixture
def fleet():
    server = MCPServer("travel", log_level="ERROR")

    @server.tool()
    async def search(ctx: Context) -> str:
        await ctx.report_progress(3, 8, EVIL)
        return "done"

    made = mcpnb.connect({"travel": server})
    yield made
    made.close()


def test_a_call_in_the_background_knows_how_far_it_is(fleet):
    future = fleet.submit("search")
    assert future.result(20).text == "done"
    assert future.progress == (3, 8, EVIL)


def test_a_callback_of_the_users_own_replaces_the_bar(fleet):
    heard = []
    view = fleet.options(on_progress=lambda *told: heard.append(told))
    future = view.options(timeout=20).submit("search")
    assert future.result(20).text == "done"
    assert heard == [(3, 8, EVIL)]
    assert future.progress is None
    again = view.options(on_progress=None).submit("search")
    assert again.result(20).text == "done"
    assert again.progress is not None


async def reports():
    return reporter()


def test_a_plain_call_outside_a_notebook_asks_for_no_progress(fleet):
    assert reporter() is None
    assert fleet.run(reports) is None
    assert fleet.call("search").text == "done"
