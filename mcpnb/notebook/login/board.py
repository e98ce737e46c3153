"""Logins on the dashboard: a row per login with its servers, its state and a button, and open logins whole.

It owns these widgets. Handlers may run on any thread: they touch nothing but widgets and the fleet, never
raise, and leave what takes time to a thread of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from mcpnb.notebook.background import in_background
from mcpnb.notebook.face import Panel, widgets
from mcpnb.notebook.login.card import host, reason
from mcpnb.notebook.login.panel import Card
from mcpnb.notebook.login.words import OPEN, Account, accounts, login_look, login_words, names
from mcpnb.notebook.markup import cut, escape, join, shorten, visible
from mcpnb.notebook.markup import name as named
from mcpnb.notebook.servers import swatch

if TYPE_CHECKING:
    from mcpnb.auth import LoginRequest, LoginRow

__all__ = ["Doorman", "logins_panel"]

_ROWS: Final = 20
"""Logins with a row of their own."""
_CARDS: Final = 4
"""Open logins that are shown whole."""
_NAME: Final = 40


class Doorman(Protocol):
    """A fleet, as far as the panel needs it."""

    def login_rows(self) -> Sequence[LoginRow]:
        """How each server knows us."""
        ...

    def login_requests(self) -> Sequence[LoginRequest]:
        """Logins that wait for a person."""
        ...

    def log_in(self, server: str) -> object:
        """Begin a login that this panel shows."""
        ...

    def logout(self, server: str) -> object:
        """Forget a login."""
        ...


def logins_panel(fleet: Doorman) -> Panel:
    """The panel for a dashboard. It is there while any server has a login."""
    return Panel.of("Logins", lambda: Logins(fleet))


class Logins:
    """The rows of all logins, and the cards of open ones below them."""

    def __init__(
        self,
        fleet: Doorman,
        *,
        run: Callable[[Callable[[], None]], None] = in_background,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fleet, self._run, self._clock = fleet, run, clock
        self._rows: dict[tuple[str, str], _Row] = {}
        self._cards: dict[LoginRequest, Card] = {}
        self.widget: Any = widgets().VBox([])
        self.refresh()

    def refresh(self) -> bool:
        """Bring rows and cards in line with the fleet; whether there are any. Sends nothing when they are."""
        found = {(a.issuer, a.client) if a.issuer else ("", a.servers[0]): a
                 for a in accounts(self._fleet.login_rows())[:_ROWS]}  # fmt: skip
        for key in self._rows.keys() - found.keys():
            self._rows.pop(key).close()
        now = self._clock()
        for key, account in found.items():
            row = self._rows.get(key) or self._rows.setdefault(key, _Row(account, self._act))
            row.follow(account, now)
        self._follow_cards()
        shown = (*(self._rows[key].widget for key in found), *(card.root for card in self._cards.values()))
        if shown != self.widget.children:
            self.widget.children = shown
        return bool(found)

    def _follow_cards(self) -> None:
        open_ = [request for request in self._fleet.login_requests() if not request.done][:_CARDS]
        for request in self._cards.keys() - set(open_):
            self._cards.pop(request).close()
        for request in open_:
            if request not in self._cards:
                self._cards[request] = Card(request)

    def _act(self, row: _Row) -> None:
        """What a button asks for, done in the background."""
        logs_in, server = row.logs_in, row.server
        row.wait()

        def carry_out() -> None:
            try:
                (self._fleet.log_in if logs_in else self._fleet.logout)(server)
                done = "" if logs_in else "logged out"
                code = escape(f"fleet.{'login' if logs_in else 'logout'}({server!r})")
                said = f'<span class="mcpnb-good">✓</span> {done} <code>{code}</code>'
            except Exception as error:  # noqa: BLE001 - a control has no caller; its user is told instead
                said = f'<span class="mcpnb-bad">✕</span> {cut(reason(error))}'
            row.done(said)
            self.refresh()

        self._run(carry_out)


class _Row:
    """One login: its servers, where, how it stands, and the button."""

    def __init__(self, account: Account, act: Callable[[_Row], None]) -> None:
        w = widgets()
        self._act, self._said, self._html = act, "", ""
        self.server, self.logs_in = "", False
        self._label: Any = w.HTML(layout=w.Layout(flex="1 1 300px", margin="0 8px 0 0"))
        self._button: Any = w.Button(layout=w.Layout(width="92px", flex="none"))
        self._button.on_click(self._clicked)
        layout = w.Layout(flex_flow="row nowrap", align_items="center", overflow="visible")
        self.widget: Any = w.HBox([self._label, self._button], layout=layout)
        self._account = account

    def follow(self, account: Account, now: float) -> None:
        """Show how it stands now."""
        self._account, row = account, account.row
        self.server, self.logs_in = row.server, row.state in OPEN
        html = f'<div class="mcpnb">{_account_html(account, now)}{self._said}</div>'
        if html != self._label.value:
            self._label.value = html
        word = "Log in" if row.state != "logged_in" else "Log out"
        if word != self._button.description:
            who = names([shorten(visible(server), _NAME) for server in account.servers])
            self._button.description, self._button.tooltip = word, f"{word}: {who}"
        hidden = "hidden" if row.state == "logging_in" else "visible"
        if hidden != self._button.layout.visibility:
            self._button.layout.visibility = hidden

    def wait(self) -> None:
        """Take no other click until this one is carried out."""
        self._button.disabled = True

    def done(self, said: str) -> None:
        """Say how it went."""
        self._said, self._button.disabled = f'<div class="mcpnb-small">{said}</div>', False

    def close(self) -> None:
        """Give the widgets up."""
        for widget in (self._label, self._button, self.widget):
            widget.close()

    def _clicked(self, _button: object) -> None:
        self._act(self)


def _account_html(account: Account, now: float) -> str:
    row = account.row
    state = login_look(row)._replace(word=login_words(row, now)).html
    at = f"at {named(host(account.issuer))}" if account.issuer else ""
    renewed = "renewed before it ends" if row.state == "logged_in" and row.refreshable else ""
    scopes = f"allows {escape(shorten(' '.join(row.scopes), 80))}" if row.scopes else ""
    wrong = f'<div class="mcpnb-small">{cut(row.error)}</div>' if row.error else ""
    who = ", ".join(swatch(shorten(server, _NAME)) for server in account.servers[:6])
    more = f" and {len(account.servers) - 6} others" if len(account.servers) > 6 else ""
    rest = f'<span class="mcpnb-dim">{join((at, renewed, scopes))}</span>'
    return f'<span class="mcpnb-who">{who}{more}</span> &nbsp;{state} {rest}{wrong}'
