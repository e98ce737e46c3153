"""What is shown of logins: one row per server. No token is ever in one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mcpnb.config import ServerConfig

__all__ = ["LOGIN_STATES", "LoginRow", "LoginState", "plain_row"]

LoginState = Literal["logged_in", "logged_out", "needs_login", "logging_in", "static", "none"]
"""
logged_in    there is a token, or one can be had without a person
logged_out   OAuth is configured; the server has not asked for a token yet, or `logout` was said
needs_login  somebody has to log in: `login(server)`
logging_in   a login waits for its person, or is being finished
static       a header or token of the configuration is sent
none         nothing is sent
"""

LOGIN_STATES: tuple[LoginState, ...] = (
    "logged_in", "logged_out", "needs_login", "logging_in", "static", "none",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LoginRow:
    """How one server knows us."""

    server: str
    state: LoginState
    issuer: str | None = None
    """The authorization server; None where none is known (yet)."""
    client: str | None = None
    """Our client ID there."""
    scopes: tuple[str, ...] = ()
    """What the token is good for, as far as the authorization server said."""
    expires_at: float | None = None
    """Unix time at which the access token ends; None where there is none or it does not end."""
    refreshable: bool = False
    """Whether a new access token can be had without a person."""
    error: str | None = None
    """What is wrong, and what to do."""


def plain_row(config: ServerConfig) -> LoginRow:
    """How a server knows us that has no OAuth, or has not asked for anything yet."""
    if config.auth is not None:
        return LoginRow(config.name, "logged_out", config.auth.issuer, config.auth.client_id)
    static = any(name.lower() == "authorization" for name in config.headers)
    return LoginRow(config.name, "static" if static else "none")
