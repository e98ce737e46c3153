"""How logins read: the words, symbols and tones of their states, and how long a token lasts.

It owns these words, for tables, texts and the dashboard. It reads frozen rows and asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from mcpnb.notebook.markup import shorten
from mcpnb.notebook.servers import NEEDS_LOGIN, Look, look, text_table

if TYPE_CHECKING:
    from mcpnb.auth import LoginRow

__all__ = [
    "OPEN", "Account", "accounts", "lasting", "login_event", "login_look", "login_words", "logins_text",
    "names", "oauth",
]  # fmt: skip

LOOKS: Final[Mapping[str, Look]] = {
    "logged_in": Look("✓", "logged in", "good"),
    "logged_out": Look("○", "logged out", "dim"),
    "needs_login": NEEDS_LOGIN,
    "logging_in": Look("◌", "waits for a login", "warn"),
    "static": Look("●", "given credentials", "dim"),
    "none": Look("○", "no credentials", "dim"),
}
OPEN: Final = frozenset({"needs_login", "logged_out"})
"""States in which logging in makes sense."""
_NAMED: Final = 3
"""Servers that a line names before it counts the others."""
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


class Account(NamedTuple):
    """One login, and the servers that it is for."""

    issuer: str
    client: str
    rows: tuple[LoginRow, ...]

    @property
    def servers(self) -> tuple[str, ...]:
        """Their names, in declared order."""
        return tuple(row.server for row in self.rows)

    @property
    def row(self) -> LoginRow:
        """The row that tells most: one that wants something, else the one that ends first."""
        order = ("needs_login", "logging_in", "logged_in", "logged_out")
        return min(
            self.rows,
            key=lambda row: (order.index(row.state) if row.state in order else 9, row.expires_at or 1e18),
        )


def oauth(rows: Iterable[LoginRow]) -> list[LoginRow]:
    """The rows of servers that a person, or a client of ours, logs in to."""
    return [row for row in rows if row.state not in {"static", "none"}]


def accounts(rows: Iterable[LoginRow]) -> list[Account]:
    """Rows that share a login, together; one whose issuer is not known yet stands alone."""
    together: dict[tuple[str, str], list[LoginRow]] = {}
    for row in oauth(rows):
        key = (row.issuer, row.client or "") if row.issuer else (f"\0{row.server}", "")
        together.setdefault(key, []).append(row)
    return [Account(rows[0].issuer or "", rows[0].client or "", tuple(rows)) for rows in together.values()]


def lasting(seconds: float) -> str:
    """How long something lasts, in words: `for 52 min`. It changes once a minute at most."""
    if seconds < _MINUTE:
        return "for less than a minute" if seconds > 0 else "until now"
    if seconds < 2 * _HOUR:
        return f"for {int(seconds // _MINUTE)} min"
    if seconds < 2 * _DAY:
        return f"for {int(seconds // _HOUR)} h"
    return f"for {int(seconds // _DAY)} days"


def login_look(row: LoginRow) -> Look:
    """Symbol, word and tone of a login."""
    return look(LOOKS, row.state)


def login_words(row: LoginRow, now: float) -> str:
    """State and expiry: `logged in for 52 min`. A token that renews itself does not run out.

    Args:
        row: The login.
        now: Unix seconds.
    """
    word = login_look(row).word
    if row.state != "logged_in" or row.expires_at is None:
        return word
    left = row.expires_at - now
    if row.refreshable and left < _MINUTE:
        return f"{word}, renews itself"
    return f"{word} {lasting(left)}" if left > 0 else "login has run out"


def login_event(state: object) -> Look:
    """An event about a login."""
    if state == "failed":
        return Look("✕", "login failed", "bad")
    return look(LOOKS, state) if isinstance(state, str) else Look("•", "login", "dim")


def names(servers: Sequence[str]) -> str:
    """A few names, and how many more: `a, b and 3 others`. Not escaped."""
    shown, more = list(servers[:_NAMED]), len(servers) - _NAMED
    if more > 0:
        return f"{', '.join(shown)} and {more} other{'s' if more > 1 else ''}"
    return " and ".join([part for part in (", ".join(shown[:-1]), *shown[-1:]) if part])


def logins_text(rows: Sequence[LoginRow], now: float) -> str:
    """A table for viewers without HTML, of the servers that have a login; empty where none has."""
    told = [
        (
            row.server, f"{login_look(row).symbol} {login_words(row, now)}", row.issuer or "",
            shorten(row.error or "", 100),
        )
        for row in oauth(rows)
    ]  # fmt: skip
    return text_table(("server", "login", "at", "what is wrong"), told) if told else ""
