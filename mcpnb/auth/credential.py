"""The tokens of one client at one issuer: who needs which, and the one renewal that is in flight.

    token(guest)           what a request of that server may carry now; renews early, beside the requests
    instead(guest, token)  another one for it, after the server refused that token: at most one renewal

A guest is a server that trusts the issuer. Tokens have slots: one for all guests where the user named the
issuer, else one per origin of guests; a guest that refuses the token of its slot gets a slot of its own.

Renewals run in tasks of their own: a caller may give up, but an issuer that has replaced a refresh token
expects us to have taken the new one. It knows nothing of people (`login`) and of requests to servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from mcpnb.config import OAuth
from mcpnb.errors import ConfigError

from .grants import Granted, Registered, Wanted, by_credentials, by_refresh, given_client
from .guest import Guest
from .issuers import Issuer
from .refusal import IssuerRefused, NoToken
from .request import OnLogin
from .rows import LoginState
from .store import TokenStore
from .token import Kept, Token
from .web import Web

__all__ = ["Apart", "Credential", "Listening", "Means", "spawn"]

T = TypeVar("T")

_PAUSE = 1.0
"""Seconds after a renewal that failed before the next one is tried while there is still a usable token."""


class Listening(Protocol):
    """Who hears of logins. Called on the loop."""

    def changed(self, login: Credential, state: LoginState | None, words: str) -> None:
        """Something happened that people want to know; `state` is None where it is the same as before."""
        ...

    def secrets(self, login: Credential, held: frozenset[str]) -> None:
        """These must not be shown from now on."""
        ...

    def guests(self, login: Credential) -> tuple[str, ...]:
        """The servers that it is for."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What all logins of a client work with."""

    web: Web
    store: TokenStore
    clock: Callable[[], float]
    """Unix time that never runs backwards, as `SteadyTime`."""
    listener: Listening
    on_login: OnLogin | None = None
    patience: float = 600.0
    """Seconds for a person to log in."""
    turns: dict[str, asyncio.Lock] = field(default_factory=dict[str, asyncio.Lock])
    """Issuer → whose turn it is there: after the first login the others find the browser's session."""


class Apart(Exception):
    """The issuer gives a guest no token by this login; it needs one of its own."""


class Credential:
    """See the module. `key` names it in the store."""

    def __init__(self, key: str, issuer: Issuer, settings: OAuth, means: Means, *, own: bool = False) -> None:
        self.key, self.issuer, self.settings, self._means = key, issuer, settings, means
        self.own = own
        """It is one guest's own: the issuer does not give it a token by the login of others."""
        self.kept = Kept()
        self.problem: str | None = None
        """Why there is no token, or no better one."""
        self.out = False
        """Somebody said `logout`: nothing is asked for until somebody says `login`."""
        self.prompted = False
        """A person was asked unasked; not again before a token has worked."""
        self._loaded = self._unsaved = False
        self._turn = asyncio.Lock()
        self._renewals: dict[str, asyncio.Task[Token]] = {}
        self._accepted: set[str] = set()
        self._apart: set[str] = set()
        self._dead: set[str] = set()
        """Access tokens that were refused, as long as the store still has them."""
        self._rested_until = 0.0

    # -- what it is

    @property
    def by_person(self) -> bool:
        """Whether somebody has to log in with a browser."""
        return self.settings.grant == "authorization_code"

    @property
    def client_id(self) -> str | None:
        """Who we are at the issuer; None before a registration."""
        known = self.settings.client_id or self.kept.client.get("client_id")
        return known if isinstance(known, str) else None

    def slot(self, guest: Guest) -> str:
        """Which token is for that guest."""
        if self.own or guest.resource in self._apart:
            return guest.resource
        return "" if guest.named else guest.origin

    def held(self, guest: Guest) -> Token | None:
        """The token for that guest, be it old."""
        return self.kept.tokens.get(self.slot(guest))

    @property
    def refreshable(self) -> bool:
        """Whether a token can be had without a person."""
        return not self.by_person or self.kept.refresh is not None

    def standing(self, guest: Guest | None = None) -> LoginState:
        """How things stand, for that guest or at all, whoever is just logging in."""
        if self.out:
            return "logged_out"
        tokens = self.kept.tokens.values() if guest is None else filter(None, [self.held(guest)])
        usable = any(token.usable(self._means.clock()) for token in tokens)
        renewable = self.refreshable if self.by_person else self.problem is None
        return "logged_in" if usable or renewable else "needs_login"

    # -- tokens

    async def token(self, guest: Guest) -> Token:
        """What a request of that server may carry now.

        Raises:
            NoToken: There is none, and why.
            Apart: Not by this login.
        """
        await self._load()
        if self.out:
            raise NoToken("logged out", login=True)
        token, now = self.held(guest), self._means.clock()
        if token is None or not token.usable(now):
            return await asyncio.shield(self._renewal(guest, token))
        if not token.fresh(now) and self.refreshable and now >= self._rested_until:
            self._renewal(guest, token)  # beside the requests, which go on with this one
        return token

    async def instead(self, guest: Guest, refused: Token) -> Token:
        """Another token than the one that the server has just refused. Raises as `token` does."""
        if self.out:
            raise NoToken("logged out", login=True)
        slot, token = self.slot(guest), self.held(guest)
        if token is not None and token.access != refused.access and token.usable(self._means.clock()):
            return token  # somebody else has had it renewed meanwhile
        foreign = token is not None and token.resource != guest.resource
        if foreign and slot != guest.resource and guest.name not in self._accepted:
            self._apart.add(guest.resource)  # it was never taken there: it is not for that server
            return await self.token(guest)
        self._dead.add(refused.access)
        self.adopt(self.kept)
        return await asyncio.shield(self._renewal(guest, refused))

    def accepted(self, guest: Guest) -> None:
        """The server has taken the token."""
        self._accepted.add(guest.name)
        self.prompted = False

    def _renewal(self, guest: Guest, stale: Token | None) -> asyncio.Task[Token]:
        """The one renewal of that slot's token: the one that is in flight, or a new one."""
        slot = self.slot(guest)
        task = self._renewals.get(slot)
        if task is None:
            task = self._renewals[slot] = spawn(self._renew(slot, guest, stale))
            task.add_done_callback(lambda done: self._renewed(slot, done))
        return task

    def _renewed(self, slot: str, task: asyncio.Task[Token]) -> None:
        self._renewals.pop(slot, None)
        if not task.cancelled() and task.exception() is not None:  # which is thereby not lost on asyncio
            self._rested_until = self._means.clock() + _PAUSE

    async def _renew(self, slot: str, guest: Guest, stale: Token | None) -> Token:
        async with self._alone():
            token = self.kept.tokens.get(slot)
            other = token is not None and (stale is None or token.access != stale.access)
            if token is not None and other and token.usable(self._means.clock()):
                return token  # another process, or a login, was faster
            if token is None:
                self._refuse_foreign(guest)
            asked_at = self._means.clock()
            resource = guest.resource if token is None or slot == guest.resource else token.resource
            wanted = Wanted(self.issuer, resource, self._scopes(guest))
            granted = await self._asked_for(wanted, foreign=token is None)
            return await self.keep(granted, slot, resource, asked_at)

    async def _asked_for(self, wanted: Wanted, *, foreign: bool) -> Granted:
        """What the issuer gives; `foreign` says that it never gave a token for that resource."""
        try:
            return await self._ask(wanted)
        except IssuerRefused as error:
            raise await self._refused(error, foreign=foreign) from None

    async def _ask(self, wanted: Wanted) -> Granted:
        web, settings, client = self._means.web, self.settings, self.client()
        if self.by_person and (self.kept.refresh is None or client is None):
            raise NoToken(self.problem or "nobody is logged in", login=True)
        try:
            if self.kept.refresh is None or client is None or not self.by_person:
                return await by_credentials(web, wanted, settings)
            return await by_refresh(web, wanted, settings, client, self.kept.refresh)
        except NoToken as error:
            self.problem = error.reason
            raise

    def _refuse_foreign(self, guest: Guest) -> None:
        """Raise `Apart` where this login is known to be of no use to that guest."""
        known = {token.resource for token in self.kept.tokens.values()}
        if self.kept.binds and not self.own and known and guest.resource not in known:
            raise Apart

    async def _refused(self, error: IssuerRefused, *, foreign: bool) -> NoToken | Apart:
        """The issuer gives no token, and never will: forget what is of no use any more, and say so.

        An access token that is good for a while yet stays. A refresh token that was shown in vain goes, too:
        issuers that replace it may have done so before they looked at the rest, and take its second use for
        a theft, upon which they end every login there is.
        """
        if self.by_person:
            gone = error.code in {"invalid_client", "unauthorized_client"}
            binds = self.kept.binds or (error.code == "invalid_target" and foreign)
            kept = replace(self.kept, client={}) if gone else self.kept
            self.adopt(replace(kept, refresh=None, binds=binds))
            await self._save()
        if error.code == "invalid_target" and self.by_person and foreign and not self.own:
            return Apart()
        self.changed("needs_login", error.reason)
        return NoToken(error.reason, login=self.by_person)

    def _scopes(self, guest: Guest) -> tuple[str, ...]:
        return guest.scopes if self.settings.scopes is None else self.settings.scopes

    def client(self) -> Registered | None:
        """Who we are at the issuer: a client that was given, or the one that was registered."""
        given = given_client(self.issuer, self.settings)
        if given is not None or not self.kept.client:
            return given
        try:
            return Registered.model_validate(self.kept.client)
        except ValidationError:  # another version of the SDK wrote it: we register anew
            return None

    # -- keeping

    async def keep(self, granted: Granted, slot: str, resource: str, asked_at: float) -> Token:
        """Take what the issuer gave; whoever calls it holds `_alone`."""
        before = self.kept.tokens.get(slot)
        expires_at = None if granted.lifetime is None else asked_at + granted.lifetime
        scopes = granted.scopes or (before.scopes if before is not None else ())
        token = Token(granted.access, resource, scopes, expires_at, granted.lifetime or 0.0)
        refresh = granted.refresh or self.kept.refresh
        self.adopt(replace(self.kept, refresh=refresh, tokens={**self.kept.tokens, slot: token}))
        self.problem = None
        await self._save()
        return token

    def adopt(self, kept: Kept) -> None:
        """Go by this from now on, without tokens that were refused."""
        self._dead &= {token.access for token in kept.tokens.values()}
        alive = {slot: token for slot, token in kept.tokens.items() if token.access not in self._dead}
        self.kept = replace(kept, tokens=alive)
        self._means.listener.secrets(self, kept.secrets)

    async def _save(self) -> None:
        """Into the store; a store that fails costs nobody his token."""
        try:
            await self._means.store.save(self.key, self.kept)
            self._unsaved = False
        except ConfigError as error:
            self._unsaved = True
            self.changed(None, f"tokens could not be kept: {error}")

    async def _load(self) -> None:
        if not self._loaded:
            async with self._alone():
                pass

    @asynccontextmanager
    async def _alone(self) -> AsyncGenerator[None]:
        """Nobody else changes this login, in whatever process; begins with what the store has."""
        try:
            async with self._turn, self._means.store.alone(self.key):
                if not self._unsaved:
                    self.adopt(await self._means.store.load(self.key) or Kept())
                self._loaded = True
                yield
        except ConfigError as error:  # of the store: what is done meanwhile raises none
            raise NoToken(str(error)) from None

    def changed(self, state: LoginState | None, words: str) -> None:
        """Tell whoever listens."""
        if state == "needs_login":
            self.problem = words
        self._means.listener.changed(self, state, words)


def spawn(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task that has nothing of its caller: neither the flight nor the clock of the request it began in."""
    return asyncio.create_task(work, context=Context())
