"""The steps of one login by a person: a place to come back to, a registration, a link, a code, tokens.

It keeps nothing: who called it keeps what was got.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from mcp.client.auth import AuthorizationCodeResult

from mcpnb.config import OAuth

from .grants import Granted, Registered, Wanted, by_code, described_client, given_client, register
from .listener import Listener
from .person import ask
from .refusal import NoToken
from .request import LoginRequest, OnLogin
from .web import Web

__all__ = ["SignIn", "SignedIn"]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a login brought."""

    granted: Granted
    client: Registered
    asked_at: float
    """When the tokens were asked for."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """One login by one person; `run` does it.

    `registered` is who we are already, if we are; `shown` hears of the request once there is one.
    """

    web: Web
    wanted: Wanted
    settings: OAuth
    registered: Registered | None
    servers: tuple[str, ...]
    on_login: OnLogin
    shown: Callable[[LoginRequest], object]
    clock: Callable[[], float]
    patience: float

    async def run(self) -> SignedIn:
        """Log in.

        Raises:
            NoToken: Nobody did, or the issuer would not have it.
        """
        async with await self._listen() as listener:
            client = await self._client(listener)
            asked_at = self.clock()

            async def person(url: str) -> AuthorizationCodeResult:
                nonlocal asked_at
                answer = await self._ask(url, listener)
                asked_at = self.clock()
                return answer

            granted = await by_code(
                self.web, self.wanted, self.settings, client, listener.redirect_uri, person
            )
            return SignedIn(granted, client, asked_at)

    async def _listen(self) -> Listener:
        """Where we said that we would, if we are registered with an address; else at any free port."""
        settings = self.settings
        if settings.redirect_uri is None and settings.redirect_port is None and settings.client_id is None:
            uris = (self.registered.redirect_uris or []) if self.registered is not None else []
            for uri in uris:
                with suppress(NoToken):  # the port is taken: then we register with another one
                    return await Listener.open(str(uri))
        return await Listener.open(settings.redirect_uri, settings.redirect_port)

    async def _client(self, listener: Listener) -> Registered:
        given = given_client(self.wanted.issuer, self.settings)
        given = given or described_client(self.wanted.issuer, self.settings, listener.redirect_uri)
        if given is not None:
            return given
        known = self.registered
        if known is not None and listener.redirect_uri in [str(uri) for uri in known.redirect_uris or []]:
            expires, scope = known.client_secret_expires_at or 0, known.scope
            wide = scope is None or set(self.wanted.scopes) <= set(scope.split())
            if wide and (not expires or self.clock() < expires):
                return known
        return await register(self.web, self.wanted, self.settings, listener.redirect_uri)

    async def _ask(self, url: str, listener: Listener) -> AuthorizationCodeResult:
        state = parse_qs(urlsplit(url).query)["state"][0]
        metadata = self.wanted.issuer.metadata
        signed = metadata is not None and bool(metadata.authorization_response_iss_parameter_supported)
        request = LoginRequest(
            server=self.servers[0], servers=self.servers, issuer=self.wanted.issuer.name, url=url,
            redirect_uri=listener.redirect_uri, scopes=self.wanted.scopes, state=state, needs_iss=signed,
        )  # fmt: skip
        listener.serve(request)
        self.shown(request)
        asking = asyncio.create_task(ask(self.on_login, request))
        try:
            async with asyncio.timeout(self.patience):
                answer = await request.answered()
        except TimeoutError:
            request.end("failed", f"nobody logged in within {self.patience / 60:.0f} minutes")
            answer = None
        except asyncio.CancelledError:
            request.end("cancelled", "the client was closed")
            raise
        finally:
            asking.cancel()
            await asyncio.wait([asking])
        if answer is None:
            raise NoToken(request.error or "nobody logged in", login=True)
        return AuthorizationCodeResult(code=answer.code, state=state, iss=answer.iss)
