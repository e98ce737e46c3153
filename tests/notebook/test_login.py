"""Logging in from a notebook: who sees which link, what becomes of a pasted address, and how it ends."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace

import pytest

from mcpnb.auth import LoginRequest, LoginRow
from mcpnb.errors import AuthError
from mcpnb.model import Event, ServerStatus
from mcpnb.notebook import cells
from mcpnb.notebook.display import fleet_bundle
from mcpnb.notebook.frames import logins_frame
from mcpnb.notebook.happened import event_look
from mcpnb.notebook.login.board import Logins
from mcpnb.notebook.login.card import card_html, card_text, ended, host, may_open, still
from mcpnb.notebook.login.desk import LoginDesk, has_screen
from mcpnb.notebook.login.panel import Card, Panel
from mcpnb.notebook.login.verbs import LoginVerbs
from mcpnb.notebook.login.words import accounts, lasting, login_words, names
from mcpnb.portal import get_portal

pytestmark = pytest.mark.anyio

NOON = 1_800_000_000.0
EVIL = "<img src=x onerror=alert(1)>\u202e\x1b[2J"
ISSUER = "https://auth.example.com"
BACK = "http://127.0.0.1:4321/callback"
LOOKALIKE = "\N{CYRILLIC SMALL LETTER A}uth"
CODE = "planted-code-3141592653"


def asked(
    server="weather", *servers, url=f"{ISSUER}/authorize?state=s1&a=1", issuer=ISSUER, scopes=(), **more
):
    """A login that waits. Its loop is the test's."""
    return LoginRequest(
        server=server, servers=(server, *servers), issuer=issuer, url=url, redirect_uri=BACK, scopes=scopes,
        state="s1", needs_iss=False, **more,
    )  # fmt: skip


def row(server="weather", state="logged_in", **more) -> LoginRow:
    return LoginRow(server, state, **{"issuer": ISSUER, "client": "us", **more})


class Page:
    """A cell, and the place on the page that it gives."""

    def __init__(self) -> None:
        self.bundles: list[dict[str, object]] = []
        self.changed: list[dict[str, object]] = []
        self.shown = threading.Event()

    def show(self, bundle):
        self.bundles.append(bundle)
        self.shown.set()
        return self

    def update(self, bundle, **_options):
        self.changed.append(bundle)


class Now:
    """A scheduler that does not wait."""

    def later(self, _seconds, callback):
        callback()
        return lambda: None


def tree(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from tree(child)


def named(root, description):
    (found,) = (w for w in tree(root) if getattr(w, "description", "") == description)
    return found


def text(root) -> str:
    return " ".join(w.value for w in tree(root) if type(w).__name__ == "HTML")


# ---- what it says


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "until now"), (4, "for less than a minute"), (59, "for less than a minute"), (61, "for 1 min"),
        (52 * 60 + 59, "for 52 min"), (119 * 60, "for 119 min"), (7_300, "for 2 h"),
        (3 * 86_400, "for 3 days"),
    ],
)  # fmt: skip
def test_how_long_a_token_lasts_is_said_in_words_that_rarely_change(seconds, said):
    assert lasting(seconds) == said


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (row(expires_at=NOON + 52 * 60), "logged in for 52 min"),
        (row(), "logged in"),
        (row(expires_at=NOON + 4, refreshable=True), "logged in, renews itself"),
        (row(expires_at=NOON - 4, refreshable=True), "logged in, renews itself"),
        (row(expires_at=NOON - 4), "login has run out"),
        (row(state="needs_login"), "needs a login"),
        (row(state="logging_in"), "waits for a login"),
        (row(state="logged_out"), "logged out"),
    ],
)
def test_a_login_is_told_with_its_expiry(shown, said):
    assert login_words(shown, NOON) == said


def test_a_sentence_names_three_servers_and_counts_the_rest():
    assert [names(list("abcde"[:n])) for n in (1, 2, 3, 4, 5)] == [
        "a", "a and b", "a, b and c", "a, b, c and 1 other", "a, b, c and 2 others",
    ]  # fmt: skip


def test_servers_that_share_a_login_stand_together_and_unknown_issuers_alone():
    rows = [
        row("a"),
        row("b", "static"),
        row("c", "needs_login"),
        row("d", issuer=None),
        row("e", issuer=None),
    ]
    found = accounts(rows)
    assert [each.servers for each in found] == [("a", "c"), ("d",), ("e",)]
    assert found[0].row.state == "needs_login"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://auth.example.com/x?y", "auth.example.com"),
        ("https://auth.example.com@evil.example/", "evil.example"),
        ("https://auth.example.com:8443/", "auth.example.com:8443"),
        (f"https://{LOOKALIKE}.example.com/", f"xn--uth-5cd.example.com ({LOOKALIKE}.example.com)"),
        ("http://[::1]:81/", "[::1]:81"),
        ("javascript:alert(1)", "an address that is none"),
        ("https://a:notaport/", "an address that is none"),
        ("https://[", "an address that is none"),
    ],
)
def test_the_host_is_the_one_that_a_browser_goes_to(url, said):
    assert host(url) == said


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://auth.example.com/a", True),
        ("http://127.0.0.1:5/a", True),
        ("http://localhost:5/a", True),
        ("http://[::1]/a", True),
        ("http://auth.example.com/a", False),
        ("http://127.0.0.1.evil.example/a", False),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("https:///a", False),
        (" https://auth.example.com/a", False),
        ("https://auth.example.com/\u202ea", False),
        ("file:///etc/passwd", False),
    ],
)
async def test_only_pages_over_tls_or_of_this_computer_become_links(url, link):
    assert may_open(url) is link
    assert ("href=" in card_html(asked(url=url))) is link
    assert ("No link" in card_html(asked(url=url))) is not link


async def test_the_card_names_servers_issuer_scopes_and_a_page_at_another_host():
    html = card_html(asked("a", "b", scopes=("read", "write"), url="https://login.example.org/x"))
    assert "<bdi>a and b</bdi> want you to log in" in html
    assert '<p class="mcpnb-at"><bdi>auth.example.com</bdi></p>' in html
    assert "at another host:</span> <b><bdi>login.example.org</bdi></b>" in html
    assert "<code>read</code> <code>write</code>" in html
    assert 'target="_blank" rel="noopener noreferrer"' in html
    assert "another host" not in card_html(asked())


async def test_nothing_that_comes_from_outside_reaches_the_page_as_it_is():
    evil = asked(EVIL, EVIL, url=f"https://{EVIL}/", issuer=EVIL, scopes=(EVIL,))
    evil.end("failed", EVIL)
    bad = row(EVIL, "needs_login", issuer=f"https://h/{EVIL}", client=EVIL, scopes=(EVIL,), error=EVIL)
    status = ServerStatus(EVIL, "failed", "http", last_error=EVIL)
    fleet = fleet_bundle(EVIL, "p2c", [status], logins=[bad], now=NOON)
    panel = Logins(FakeFleet(bad))
    bundles = [still(evil), ended(evil), fleet]
    html = " ".join([card_html(evil), text(panel.widget), *(each["text/html"] for each in bundles)])
    plain = " ".join([card_text(evil), *(each["text/plain"] for each in bundles)])
    assert "<img" not in html
    for said in (html, plain):
        assert "\x1b" not in said
        assert "\u202e" not in said
    assert "⟨U+202E⟩" in html


# ---- the panel below a cell


@pytest.fixture
def page(monkeypatch):
    pytest.importorskip("ipywidgets")
    monkeypatch.setattr(cells, "has_person", lambda: True)
    page = Page()
    monkeypatch.setattr(cells, "cell_of_now", lambda: page)
    monkeypatch.setattr(Card, "connected", True)
    return page


@pytest.fixture
def opened():
    return []


@pytest.fixture
def desk(page, opened):
    desk = LoginDesk(browse=lambda url: opened.append(url) or True, scheduler=Now())
    yield desk
    desk.close()


def card(desk, request):
    return desk._panels[request]._root


async def test_a_pasted_address_answers_and_leaves_nothing_in_the_box(desk, page):
    login = asked()
    desk.ask(login)
    box = named(card(desk, login), "Address")
    seen = []
    box.observe(lambda change: seen.append(change["new"]), "value")
    box.value = f"{BACK}?code={CODE}&state=s1"
    assert box.value == ""
    assert login.state == "answered"
    assert (await login.answered()).code == CODE
    assert box.disabled
    assert "Finishing the login" in text(card(desk, login))
    login.end("logged_in")
    assert page.changed[-1]["text/plain"] == "weather · login at auth.example.com: ✓ logged in"
    assert CODE not in str([*page.bundles, *page.changed, card_text(login)])
    assert desk._panels == {}


@pytest.mark.parametrize(
    ("pasted", "why"),
    [
        (f"{BACK}?code={CODE}&state=other", "That address belongs to another login"),
        (f"{BACK}?state=s1", "That address has no code in it"),
        (f"{BACK}", "That is neither the address that the browser ended at nor a code"),
        (f"two words {EVIL}", "That is neither"),
    ],
)
async def test_a_wrong_address_is_explained_and_the_login_goes_on(desk, pasted, why):
    login = asked()
    desk.ask(login)
    root = card(desk, login)
    box = named(root, "Address")
    box.value = pasted
    assert (login.state, box.value, box.disabled) == ("waiting", "", False)
    assert why in text(root)
    assert "The login still waits" in text(root)
    assert CODE not in text(root)
    named(root, "Use this address").click()  # comes after what was typed, and takes nothing back
    assert why in text(root)
    box.value = f"{BACK}?code={CODE}&state=s1"
    assert login.state == "answered"


async def test_the_button_without_an_address_asks_for_one(desk):
    login = asked()
    desk.ask(login)
    named(card(desk, login), "Use this address").click()
    assert "Paste the address into the box first" in text(card(desk, login))


async def test_a_refusal_is_told_in_the_words_of_the_authorization_server(desk, page):
    login = asked()
    desk.ask(login)
    box = named(card(desk, login), "Address")
    box.value = f"{BACK}?error=access_denied&error_description=No+%3Cb%3Eway&state=s1"
    assert login.state == "failed"
    assert "No &lt;b&gt;way" in page.changed[-1]["text/html"]
    assert "✕ that did not work" in page.changed[-1]["text/plain"]
    assert "fleet.login('weather')" in page.changed[-1]["text/plain"]


async def test_cancel_gives_the_login_up(desk, page):
    login = asked()
    desk.ask(login)
    named(card(desk, login), "Cancel").click()
    assert login.state == "cancelled"
    assert page.changed[-1]["text/plain"] == "weather · login at auth.example.com: ⊘ cancelled"


async def test_while_a_cell_runs_no_address_is_taken_and_cancel_is(desk):
    login = asked()
    desk.ask(login)
    root = card(desk, login)
    cells._begins(object())
    states = [named(root, each).disabled for each in ("Address", "Use this address", "Cancel")]
    assert states == [True, True, False]
    assert "A cell is running" in text(root)
    cells._ends(None)
    assert not named(root, "Address").disabled
    assert "A cell is running" not in text(root)


async def test_what_a_saved_notebook_keeps_of_an_open_login_is_no_link(desk, page):
    desk.ask(asked())
    (shown,) = page.bundles
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert "authorize" not in shown["text/html"] + shown["text/plain"]


async def test_without_widgets_it_is_text_with_the_link_and_the_lines_that_answer(desk, page, monkeypatch):
    monkeypatch.setattr(Card, "connected", False)
    login = asked()
    desk.ask(login)
    (shown,) = page.bundles
    assert "application/vnd.jupyter.widget-view+json" not in shown
    assert f"{ISSUER}/authorize?state=s1&a=1" in shown["text/plain"]
    assert "fleet.login('weather', answer=getpass('address: '))" in shown["text/plain"]
    login.end("logged_in")
    assert "authorize" not in str(page.changed[-1])


async def test_a_closed_fleet_takes_its_panels_away(desk, page):
    login = asked()
    desk.ask(login)
    desk.close()
    assert "⊘ the fleet was closed" in page.changed[-1]["text/plain"]
    desk.ask(asked("late"))
    assert len(page.bundles) == 1


async def test_a_login_that_ended_before_it_was_shown_leaves_no_panel(desk, page):
    login = asked()
    login.end("logged_in")
    desk.ask(login)
    assert desk._panels == {}
    assert "✓ logged in" in page.changed[-1]["text/plain"]


async def test_asked_again_it_moves_below_the_new_cell(desk, page):
    login = asked()
    desk.ask(login)
    desk.want(None, page)
    desk.again([login], page)
    desk.hear(Event(0.0, "auth", None, "at x", {"state": "logged_in", "servers": ("weather", "b")}))
    assert "⊘ asked below" in page.changed[-1]["text/plain"]
    assert len(page.bundles) == 2
    assert login.state == "waiting"
    assert not named(card(desk, login), "Address").disabled


async def test_a_program_that_runs_the_notebook_is_not_asked(desk, page, monkeypatch):
    monkeypatch.setattr(cells, "has_person", lambda: False)
    login = asked()
    desk.ask(login)
    assert login.state == "cancelled"
    assert "nobody is here to log in" in page.bundles[-1]["text/plain"]
    assert "authorize" not in str(page.bundles)


async def test_a_login_that_fails_before_anybody_is_asked_is_told_to_whoever_wanted_it(desk, page):
    failed = Event(0.0, "auth", "weather", f"no metadata {EVIL}", {
        "state": "needs_login", "servers": ("weather",), "issuer": ISSUER,
    })  # fmt: skip
    desk.hear(failed)
    assert page.bundles == []
    desk.want("weather", page)
    desk.hear(failed)
    desk.hear(failed)
    (shown,) = page.bundles
    assert shown["text/plain"].startswith("weather · login: ✕ that did not work: no metadata <img")
    assert "<img" not in shown["text/html"]


async def test_whoever_is_logged_in_already_is_told_so_and_is_not_asked_later(desk, page, opened):
    desk.want("a", page)
    desk.begun("a", [row("a"), row("b", "needs_login")])
    assert page.bundles[-1]["text/plain"] == "✓ a is logged in already"
    desk.ask(asked("a"))
    assert opened == []
    desk.want("b", page)
    desk.begun("b", [row("a"), row("b", "needs_login")])
    assert len(page.bundles) == 2
    desk.want(None, page)
    desk.begun(None, [row("a", "static")])
    assert page.bundles[-1]["text/plain"] == "✓ no server here has a login"


# ---- the browser


async def test_a_page_opens_by_itself_only_for_somebody_who_has_just_asked(page, opened):
    now = [0.0]
    desk = LoginDesk(browse=lambda url: opened.append(url) or True, scheduler=Now(), clock=lambda: now[0])
    desk.ask(asked())
    assert opened == []
    desk.want("weather", page)
    desk.ask(login := asked())
    assert opened == [login.url]
    assert "It is open in your browser" in text(card(desk, login))
    desk.ask(asked())  # said once, meant once
    desk.want(None, page)
    now[0] += 61
    desk.ask(asked())
    assert len(opened) == 1
    desk.want("weather", page)
    desk.ask(asked(url="http://evil.example/"))
    assert len(opened) == 1
    desk.close()


async def test_what_a_dashboard_shows_stands_below_no_cell(desk, page, opened):
    desk.want("weather", None)
    desk.ask(asked())
    assert page.bundles == []
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("environ", "platform", "seen"),
    [
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "linux", False),
        ({}, "darwin", True),
        ({}, "win32", True),
        ({"SSH_CONNECTION": "1"}, "darwin", False),
        ({"DISPLAY": ":0", "JUPYTERHUB_USER": "ann"}, "linux", False),
    ],
)
def test_a_browser_is_opened_only_where_somebody_would_see_it(environ, platform, seen):
    assert has_screen(environ, platform) is seen


# ---- the dashboard's panel


class FakeFleet:
    """Logins as a test wants them."""

    def __init__(self, *rows: LoginRow) -> None:
        self.rows, self.requests = list(rows), []
        self.asked: list[tuple[str, str]] = []
        self.error: Exception | None = None

    def login_rows(self):
        return self.rows

    def login_requests(self):
        return self.requests

    def log_in(self, server):
        self.asked.append(("log in", server))
        if self.error:
            raise self.error

    def logout(self, server):
        self.asked.append(("log out", server))
        self.rows = [replace(each, state="logged_out", expires_at=None) for each in self.rows]


def panel(fleet, run=lambda action: action()) -> Logins:
    pytest.importorskip("ipywidgets")
    return Logins(fleet, run=run, clock=lambda: NOON)


def test_a_row_tells_servers_state_issuer_and_expiry_and_its_button_logs_out():
    fleet = FakeFleet(row("a", expires_at=NOON + 3_150, refreshable=True), row("b"), row("c", "static"))
    board = panel(fleet)
    said = text(board.widget)
    assert "logged in for 52 min" in said
    assert "at <bdi>auth.example.com</bdi> · renewed before it ends" in said
    assert "<bdi>c</bdi>" not in said
    button = named(board.widget, "Log out")
    assert button.tooltip == "Log out: a and b"
    button.click()
    assert fleet.asked == [("log out", "a")]
    assert named(board.widget, "Log in")
    assert "fleet.logout(&#x27;a&#x27;)" in text(board.widget)


def test_fleets_without_oauth_have_no_panel():
    assert not panel(FakeFleet(row("a", "static"), row("b", "none"))).refresh()
    assert not panel(FakeFleet()).refresh()


async def test_log_in_shows_the_open_login_in_the_panel_until_it_is_over():
    fleet = FakeFleet(row("a", "needs_login"))
    board = panel(fleet)
    named(board.widget, "Log in").click()
    assert fleet.asked == [("log in", "a")]
    login = asked("a")
    fleet.requests, fleet.rows = [login], [row("a", "logging_in")]
    assert board.refresh()
    named(board.widget, "Address").value = f"{BACK}?code={CODE}&state=s1"
    assert login.state == "answered"
    login.end("logged_in")
    fleet.rows = [row("a")]
    board.refresh()
    assert "authorize" not in text(board.widget)
    assert len(board.widget.children) == 1


def test_the_button_rests_while_it_works_and_what_goes_wrong_is_told():
    fleet, waiting = FakeFleet(row("a", "needs_login")), []
    board = panel(fleet, waiting.append)
    fleet.error = AuthError("a", f"no {EVIL}")
    button = named(board.widget, "Log in")
    button.click()
    assert button.disabled
    waiting.pop()()
    assert not button.disabled
    assert "No &lt;img" in text(board.widget)


def test_nothing_is_sent_when_nothing_changed():
    board = panel(FakeFleet(row("a"), row("b", "needs_login", issuer="https://other.example")))
    sent: list[object] = []
    for widget in tree(board.widget):
        widget.observe(sent.append)
    board.refresh()
    assert sent == []


# ---- the verbs


class FakeClient:
    """A client with a login that waits."""

    def __init__(self, *requests: LoginRequest) -> None:
        self.requests, self.asked = requests, []

    def check_open(self) -> None:
        self.asked.append("open?")

    def login_requests(self):
        return self.requests

    def logins(self):
        return [row()]

    async def login(self, server=None, *, wait=True):
        self.asked.append(("login", server, wait))

    async def logout(self, server=None):
        self.asked.append(("logout", server))


class Verbs(LoginVerbs):
    def __init__(self, *requests: LoginRequest) -> None:
        self.client, self._desk = FakeClient(*requests), LoginDesk(scheduler=Now())


@pytest.fixture
def portal():
    yield
    get_portal().close()


@pytest.mark.usefixtures("portal")
def test_outside_of_a_kernel_login_waits_and_logout_is_passed_on():
    fleet = Verbs()
    fleet.login()
    fleet.login("a", wait=False)
    fleet.logout("a")
    assert fleet.client.asked == [
        "open?", ("login", None, True), "open?", ("login", "a", False), "open?", ("logout", "a"),
    ]  # fmt: skip
    assert list(fleet.logins.server) == ["weather"]


@pytest.mark.usefixtures("portal")
async def test_an_answer_goes_to_the_one_login_that_waits_for_it():
    login = asked("a", "b")
    fleet = Verbs(login, asked("c"))
    with pytest.raises(AuthError, match="several wait for an answer: a, c"):
        fleet.login(answer="x")
    with pytest.raises(AuthError, match="no login waits"):
        fleet.login("z", answer="x")
    with pytest.raises(AuthError, match="belongs to another login") as caught:
        fleet.login("b", answer=f"{BACK}?code={CODE}&state=s2")
    assert CODE not in str(caught.value)
    fleet.login("b", answer=f"{BACK}?code={CODE}&state=s1")
    assert login.state == "answered"
    assert fleet.client.asked[-1] == ("login", "b", True)


# ---- tables and events


def test_the_fleets_table_says_who_is_logged_in_and_others_look_as_before():
    statuses = [ServerStatus("a", "connected", "http"), ServerStatus("b", "failed", "http", last_error="401")]
    logins = [row("a", expires_at=NOON + 3_150), row("b", "needs_login")]
    shown = fleet_bundle("f", "p2c", statuses, logins=logins, now=NOON)
    assert "logged in for 52 min" in shown["text/html"]
    assert "b       ◌ needs a login  " in shown["text/plain"]
    assert "✕ failed" not in shown["text/plain"]
    assert "◌</span> needs a login</span>" in shown["text/html"]
    without = fleet_bundle("f", "p2c", statuses)
    assert without == fleet_bundle(
        "f", "p2c", statuses, logins=[row("a", "static"), row("b", "none")], now=NOON
    )


def test_the_frame_has_its_columns_and_types_when_it_is_empty_too():
    frame = logins_frame(
        [row(expires_at=NOON, scopes=("a", "b")), row("x", "none", issuer=None, client=None)]
    )
    assert list(frame) == [
        "server", "issuer", "client", "state", "scopes", "expires_at", "refreshable", "error",
    ]  # fmt: skip
    assert frame.scopes[0] == "a b"
    assert frame.issuer.isna()[1]
    assert logins_frame([]).dtypes.to_dict() == frame.dtypes.to_dict()


def test_the_dashboards_list_of_events_names_what_became_of_a_login():
    looks = [event_look(Event(0.0, "auth", "a", "", {"state": state})).word
             for state in ("logged_in", "failed", "needs_login", None)]  # fmt: skip
    assert looks == ["logged in", "login failed", "needs a login", "login"]


async def test_a_panel_that_is_shown_after_its_end_shows_nothing(page):
    made = Panel(asked())
    made.end()
    with contextlib.suppress(AttributeError):
        made.show(page)
    assert page.bundles == []
