"""A login in its server's row: the state that it makes, the line below that, and the control.

It owns when a server counts as waiting for a login, and what its row says then. It draws no widgets: the
dashboard places the control.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from mcpnb.model import ServerStatus
from mcpnb.notebook.login.card import host
from mcpnb.notebook.login.words import OPEN, accounts, login_look, login_words, names, oauth
from mcpnb.notebook.markup import escape, join, shorten, visible
from mcpnb.notebook.servers import Login, usable

if TYPE_CHECKING:
    from mcpnb.auth import LoginRow

__all__ = ["control", "logins_of", "needing", "sharers"]

_LINE: Final = 48
"""Characters of the line below the state."""
_NAME: Final = 40


def control(state: str) -> str:
    """What the button beside a login of that state is for; empty where there is nothing to do."""
    return "Log out" if state == "logged_in" else "Log in" if state in OPEN else ""


def needing(statuses: Iterable[ServerStatus], rows: Iterable[LoginRow]) -> frozenset[str]:
    """The servers that take no calls because nobody is logged in there."""
    known = {row.server: row for row in oauth(rows)}
    return frozenset(s.server for s in statuses if s.server in known and _waits(s, known[s.server]))


def _waits(status: ServerStatus, row: LoginRow) -> bool:
    if usable(status) or status.state in {"draining", "disconnected"}:
        return False
    if row.state == "logged_out":
        # Where no issuer is known, nobody has asked for a login: it failed for another reason.
        return status.state == "failed" and row.issuer is not None
    return row.state in {"needs_login", "logging_in"}


def logins_of(statuses: Iterable[ServerStatus], rows: Sequence[LoginRow], now: float) -> Mapping[str, Login]:
    """Server → what its login puts into its row; none for servers without one. `now` in Unix seconds."""
    waiting = needing(statuses, rows)
    return {
        row.server: Login(row.server in waiting, _wanted(row) if row.server in waiting else _had(row, now))
        for row in oauth(rows)
    }


def _had(row: LoginRow, now: float) -> str:
    """Who is logged in until when."""
    shown = login_look(row)
    symbol = f'<span aria-hidden="true">{shown.symbol}</span>'
    said = f'<span class="mcpnb-{shown.tone}">{symbol} {escape(login_words(row, now))}</span>'
    return _small(said, _title(row))


def _wanted(row: LoginRow) -> str:
    """What there is to know about a login that is wanted, but that it is wanted."""
    at = host(row.issuer) if row.issuer else ""
    if row.state == "logging_in":
        said = f"asked at {at}" if at else "asked"
    elif row.state == "logged_out":
        said = "logged out"
    else:
        said = row.error or (f"at {at}" if at else "")
    return _small(escape(shorten(said, _LINE)), _title(row)) if said else ""


def _small(html: str, title: str) -> str:
    return f'<span class="mcpnb-small" title="{escape(title)}">{html}</span>'


def _title(row: LoginRow) -> str:
    """All there is to know, on one line."""
    logged_in = row.state == "logged_in"
    ends = logged_in and row.expires_at is not None
    until = f"until {time.strftime('%H:%M', time.localtime(row.expires_at))}" if ends else ""
    renewed = "renewed before it ends" if logged_in and row.refreshable else ""
    return join((f"at {row.issuer}" if row.issuer else "", until, renewed, row.error or ""))


def sharers(rows: Iterable[LoginRow]) -> Mapping[str, str]:
    """Server → the names of all that share its login, in a few words. Not escaped."""
    return {
        server: names([shorten(visible(each), _NAME) for each in account.servers])
        for account in accounts(rows)
        for server in account.servers
    }
