"""One server's requests: the token they carry, and what a 401 or a 403 leads to.

At most three times the same request: without a token or with the one there is, with another one, and once
more where that one was somebody else's. Then it is an error. It owns that bound, and that a token goes to the
server's own origin only; where tokens come from is the business of `login`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol

import httpx2
from mcp.client.auth.utils import extract_field_from_www_auth

from mcpnb.config import OAuth

from .credential import Apart
from .guest import Guest
from .issuers import Trust, trust_of
from .login import Login
from .refusal import NoToken
from .token import Token
from .web import Web, same_origin

__all__ = ["Flow", "Host", "log_in_first"]

_ATTEMPTS = 2
"""Other tokens that are tried after the first answer was 401."""


class Host(Protocol):
    """Who has the logins."""

    web: Web

    async def login_of(self, guest: Guest, settings: OAuth) -> Login:
        """The login that serves this guest."""
        ...

    def apart(self, guest: Guest, login: Login) -> Login:
        """A login of the guest's own, in the place of the one that does not serve it."""
        ...

    def prompt(self, guest: Guest, login: Login) -> None:
        """Somebody has to log in: ask, unless he was asked already."""
        ...


class Flow(httpx2.Auth):
    """The authentication of one server, for all of its sessions."""

    def __init__(self, name: str, url: str, settings: OAuth, host: Host) -> None:
        self.name, self.url, self.settings = name, url, settings
        self.login: Login | None = None
        self.guest: Guest | None = None
        """None until the server has asked for a token."""
        self.problem: str | None = None
        """Why nobody could find out whom it trusts."""
        self.refused: str | None = None
        """Why it refuses what we have, since it has taken a token last."""
        self.trust: Trust | None = None
        self._here, self._host = httpx2.URL(url), host
        self._meeting = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Flow {self.name}>"

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """See `httpx2.Auth`.

        Raises:
            NoToken: The request could not be sent, or was refused for good.
        """
        if not same_origin(self._here, request.url):
            yield request
            return
        token = await self._first()
        response = yield _carrying(request, token)
        for _ in range(_ATTEMPTS):
            if not self._worth_another(response, token):
                break
            token = await self._next(token, response)
            response = yield _carrying(request, token)
        self._judge(response, token)

    async def _first(self) -> Token | None:
        """The token that a request begins with; None where the server has not asked for one."""
        return None if self.guest is None else await self._token(None)

    async def _next(self, refused: Token | None, response: httpx2.Response) -> Token:
        if self.guest is None:
            await self.meet(response)
        return await self._token(refused)

    async def _token(self, refused: Token | None) -> Token:
        guest, login = self._met()
        try:
            try:
                return await (login.token(guest) if refused is None else login.instead(guest, refused))
            except Apart:
                self.login = login = self._host.apart(guest, login)
                return await login.token(guest)
        except NoToken as error:
            raise self._told(error) from None

    def _met(self) -> tuple[Guest, Login]:
        if self.guest is None or self.login is None:
            raise NoToken("it has not asked for a token yet")
        return self.guest, self.login

    async def meet(self, response: httpx2.Response | None) -> tuple[Guest, Login]:
        """Find out whom the server trusts, from its answer to a request without a token if there is one.

        Raises:
            NoToken: Nobody could tell.
        """
        async with self._meeting:
            if self.guest is None or self.login is None:
                try:
                    named = self.settings.issuer is not None
                    trust = await trust_of(self._host.web, self.url, response, self.settings.issuer)
                    guest = Guest(
                        self.name, self.url, trust.issuer, trust.resource, named, trust.scopes(response)
                    )
                    self.trust = trust
                    self.login = await self._host.login_of(guest, self.settings)
                    self.guest = guest
                except NoToken as error:
                    self.problem = error.reason
                    raise
                self.problem = None
        return self._met()

    def _worth_another(self, response: httpx2.Response, token: Token | None) -> bool:
        if response.status_code == 401:
            return True
        if not _wants_scope(response) or token is None:
            return False
        guest, login = self._met()
        held = login.held(guest)  # a login with more scope may have ended meanwhile
        return held is not None and held.access != token.access

    def _judge(self, response: httpx2.Response, token: Token | None) -> None:
        """What the last answer means.

        Raises:
            NoToken: It was refused all the same.
        """
        if token is None or self.guest is None or self.login is None:
            return
        if response.status_code == 401:
            why = extract_field_from_www_auth(response, "error_description") or "it does not say why"
            self.refused = (
                f"HTTP 401: it refuses a token that {self.login.issuer.name} has just given ({why[:120]}): "
                "see whether it trusts that issuer, and whether their clocks agree"
            )
            raise NoToken(self.refused)
        self.refused = None
        self.login.accepted(self.guest)
        if _wants_scope(response) and self.trust is not None:
            raise self._told(self.login.step_up(self.guest, self.trust.scopes(response))) from None

    def _told(self, error: NoToken) -> NoToken:
        """The same, with what to do at this server."""
        guest, login = self._met()
        reason = error.reason
        if error.login:
            self._host.prompt(guest, login)
            reason = log_in_first(self.name, reason)
        return NoToken(
            reason,
            passing=error.passing,
            narrow=error.narrow,
            login=error.login,
            retry_after=error.retry_after,
        )


def log_in_first(server: str, why: str) -> str:
    """What to do where somebody has to log in."""
    return f"log in: fleet.login({server!r}) ({why})"


def _carrying(request: httpx2.Request, token: Token | None) -> httpx2.Request:
    if token is not None:
        request.headers["Authorization"] = f"Bearer {token.access}"
    return request


def _wants_scope(response: httpx2.Response) -> bool:
    """RFC 6750, 3.1."""
    return (
        response.status_code == 403 and extract_field_from_www_auth(response, "error") == "insufficient_scope"
    )
