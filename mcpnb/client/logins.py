"""Who is logged in, as the verbs of a client, and what follows from it: servers that connect again.

It owns the verbs and the events. How tokens are got, kept and renewed is the business of `mcpnb.auth`, whose
heavier half is loaded with the first server that says OAuth.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, cast

from mcpnb.auth import LoginRequest, LoginRow, MemoryTokens, OnLogin, plain_row, store_of
from mcpnb.config import ServerConfig
from mcpnb.errors import AuthError, ConfigError, McpnbError
from mcpnb.metrics import EventLog
from mcpnb.model import USABLE_STATES, Event

if TYPE_CHECKING:
    from mcpnb.auth.login import Login
    from mcpnb.auth.logins import Logins, Told
    from mcpnb.client.membership import Link, Membership

__all__ = ["Access", "LoginVerbs"]

_ROUNDS = 3
"""Of logins that one `login` may lead to: the shared one, then a server's own; the last finds nothing."""


class Access:
    """The logins of one client.

    Args:
        tokens: Where they are kept: "memory", "keyring" or a path, or a store (`mcpnb.auth.TokenStore`).
        on_login: Who is asked to log in; by default whoever sits at the terminal.
        events: What hears of them.

    Raises:
        ConfigError: Tokens cannot be kept there.
        TypeError: `on_login` cannot be called.
    """

    def __init__(self, tokens: object, on_login: OnLogin | None, events: EventLog) -> None:
        if on_login is not None and not callable(on_login):
            raise TypeError(f"on_login must be callable, not {on_login!r}")
        self._store, self._on_login, self._events = store_of(tokens), on_login, events
        self._logins: Logins | None = None
        self._members: Membership | None = None
        self._reconnecting: set[asyncio.Task[None]] = set()

    def serve(self, members: Membership) -> None:
        """These are the servers that connect again once somebody has logged in."""
        self._members = members

    def logins_for(self, config: ServerConfig) -> Logins | None:
        """What a connection to that server gets its tokens from; None where it needs none."""
        if config.auth is None:
            return None
        if self._logins is None:
            from mcpnb.auth.logins import Logins  # noqa: PLC0415 - the SDK takes a second to import

            self._logins = Logins(self._store, tell=self._told, on_login=self._on_login)
        self._logins.flow(config)
        return self._logins

    def inherit(self, other: Access) -> None:
        """Go on with the logins of a client that this one takes the place of, where memory has them.

        Nobody should have to log in again for having run a cell twice. Before the first server is here.
        """
        theirs = other._store
        if (
            self._logins is None
            and isinstance(self._store, MemoryTokens)
            and isinstance(theirs, MemoryTokens)
        ):
            self._store = theirs

    def left(self, name: str) -> None:
        """A server has left."""
        if self._logins is not None:
            self._logins.forget(name)

    def rows(self, configs: Iterable[ServerConfig]) -> list[LoginRow]:
        """How each of these servers knows us."""
        logins = self._logins
        return [plain_row(config) if logins is None else logins.row(config) for config in configs]

    @property
    def hidden(self) -> frozenset[str]:
        """Every token there is, to take out of what is written. From any thread."""
        return frozenset() if self._logins is None else self._logins.hidden

    def requests(self) -> tuple[LoginRequest, ...]:
        """The logins that wait for somebody."""
        return () if self._logins is None else self._logins.requests()

    async def log_in(self, names: Callable[[], list[str]], *, wait: bool) -> None:
        """Have somebody log in for these servers; with `wait`, until he has, and they are connected again.

        `names` are looked at again then: a server may turn out to need a login of its own.
        """
        done: set[Login] = set()
        for _ in range(_ROUNDS):
            if wait:
                await self._settled()
            begun = await self._begin(names(), done)
            if not wait or not begun:
                return
            for name, login in begun.items():
                await self._finished(name, login)
            done |= set(begun.values())
        await self._settled()

    async def _begin(self, names: Iterable[str], done: Container[Login]) -> dict[str, Login]:
        """The logins that are under way for these, each under one of their names; none of `done`."""
        from mcpnb.auth.refusal import NoToken  # noqa: PLC0415 - as above

        begun: dict[str, Login] = {}
        for name in names if self._logins is not None else ():
            try:
                login = await cast("Logins", self._logins).begin(name, done)
            except NoToken as error:
                raise AuthError(name, error.reason) from None
            if login is not None and login not in begun.values():
                begun[name] = login
        return begun

    @staticmethod
    async def _finished(name: str, login: Login) -> None:
        from mcpnb.auth.refusal import NoToken  # noqa: PLC0415 - as above

        try:
            await login.signed_in()
        except NoToken as error:
            raise AuthError(name, error.reason) from None

    async def log_out(self, names: Iterable[str]) -> None:
        """Forget the logins of these servers; whoever is connected by one of them is so no more."""
        from mcpnb.auth.refusal import NoToken  # noqa: PLC0415 - as above

        if self._logins is None:
            return
        for name in names:
            try:
                served = await self._logins.log_out(name)
            except NoToken as error:
                self._tell(name, f"logged out here; the issuer could not be told: {error.reason}", {})
                served = (name,)
            self._reconnect(served, all_=True)
        await self._settled()

    def denied(self, servers: Iterable[str]) -> AuthError | None:
        """The error for a call that each of these servers refuses for our credentials; else None."""
        if self._logins is None or self._members is None:
            return None
        errors: list[AuthError] = []
        for name in servers:
            link, why = self._members.connections.get(name), self._logins.why_not(name)
            if why is None or link is None or link.state != "failed":
                return None
            errors.append(AuthError(name, why))
        return errors[0] if errors else None

    async def aclose(self) -> None:
        """End the logins that are under way; what is kept stays kept."""
        for task in tuple(self._reconnecting):
            task.cancel()
        if self._logins is not None:
            await self._logins.aclose()

    # -- what happens

    def _told(self, told: Told) -> None:
        data = {"state": told.state, "issuer": told.issuer, "servers": told.servers}
        server = told.servers[0] if len(told.servers) == 1 else None
        self._tell(server, told.words, data)
        if told.state == "logged_in":
            self._reconnect(told.servers, all_=False)

    def _tell(self, server: str | None, words: str, data: Mapping[str, object]) -> None:
        self._events.append(Event(time.time(), "auth", server, words, dict(data)))

    def _reconnect(self, names: Iterable[str], *, all_: bool) -> None:
        """Connect anew: those that gave up, or are about to, or all of them."""
        for name in names:
            link = None if self._members is None else self._members.connections.get(name)
            if link is not None and (all_ or link.state not in USABLE_STATES):
                task = asyncio.create_task(_again(link, at_once=all_))
                self._reconnecting.add(task)
                task.add_done_callback(self._reconnecting.discard)

    async def _settled(self) -> None:
        while self._reconnecting:  # one that settles may have led to the login of another
            await asyncio.wait(self._reconnecting)


async def _again(link: Link, *, at_once: bool) -> None:
    if not at_once:
        await link.settled()
        if link.state not in {"failed", "reconnecting"}:  # an attempt of before the login would be in vain
            return
    with suppress(McpnbError):  # it has just been closed or removed
        await link.reconnect()


class LoginVerbs:
    """The verbs of a client about who is logged in."""

    access: Access
    members: Membership
    check_open: Callable[[], None]

    async def login(self, server: str | None = None, *, wait: bool = True) -> list[LoginRow]:
        """Log in: for one server, or for every one that needs it.

        Servers that trust the same issuer share a login. They connect by themselves once it is done.

        Args:
            server: Its name; by default all that nobody is logged in at.
            wait: Until somebody has logged in, else only until he was asked.

        Raises:
            AuthError: Nobody logged in, and why.
            ConfigError: There is no such server, or nothing to log in with there.
        """
        self.check_open()
        waiting = ("needs_login", "logged_out", "logging_in")
        await self.access.log_in(partial(self._concerned, server, *waiting), wait=wait)
        return self.logins()

    async def logout(self, server: str | None = None) -> list[LoginRow]:
        """Forget the tokens of a server, or all; the issuer is told where it wants to be (RFC 7009).

        That ends the login of every server that shares it.

        Raises:
            ConfigError: There is no such server, or no login there.
        """
        self.check_open()
        await self.access.log_out(self._concerned(server, "logged_in", "logging_in", "needs_login"))
        return self.logins()

    def logins(self) -> list[LoginRow]:
        """One row per server, in the order of joining. From any thread."""
        return self.access.rows([link.config for link in list(self.members.connections.values())])

    def login_requests(self) -> tuple[LoginRequest, ...]:
        """The logins that wait for somebody. From any thread."""
        return self.access.requests()

    def _concerned(self, server: str | None, *states: str) -> list[str]:
        if server is not None:
            return [self._with_oauth(server)]
        rows = [row for row in self.logins() if row.state in states]
        # A server that takes calls and has not asked for a token needs none.
        return [
            row.server for row in rows if row.issuer or self.members[row.server].state not in USABLE_STATES
        ]

    def _with_oauth(self, server: str) -> str:
        if self.members[server].config.auth is None:
            fix = f'Connect with auth="oauth", or say it in the entry of {server!r}.'
            raise ConfigError("has no login: OAuth is not configured.", server=server, key="auth", fix=fix)
        return server
