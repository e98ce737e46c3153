"""The logins of one client: which server has which, who is asked, what is shown. See `mcpnb.auth`.

It owns which servers share a login. Everything here runs on one event loop, but for `rows`, `requests` and
`secrets`, which any thread may look at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from dataclasses import dataclass

from mcpnb.config import OAuth, ServerConfig, hush

from .credential import Credential, Means
from .flow import Flow, log_in_first
from .guest import Guest
from .login import Login
from .person import anybody
from .refusal import NoToken
from .request import LoginRequest, OnLogin
from .rows import LoginRow, LoginState, plain_row
from .store import TokenStore
from .token import SteadyTime
from .web import Web

__all__ = ["Logins", "Told"]


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened to a login."""

    state: LoginState | None
    """How it stands now; None where that is as before."""
    words: str
    issuer: str
    servers: tuple[str, ...]


class Logins:
    """All logins of one client.

    Args:
        store: Where they are kept.
        tell: Hears what happens, on the loop.
        on_login: Who is asked to log in; by default whoever sits at the terminal.
        clock: Unix time that never runs backwards.
        web: How authorization servers are reached.
        patience: Seconds for a person to log in.
    """

    def __init__(
        self,
        store: TokenStore,
        *,
        tell: Callable[[Told], object],
        on_login: OnLogin | None = None,
        clock: Callable[[], float] | None = None,
        web: Web | None = None,
        patience: float = 600.0,
    ) -> None:
        self.web = web or Web()
        self._means = Means(self.web, store, clock or SteadyTime(), self, anybody(on_login), patience)
        self._tell = tell
        self._flows: dict[str, Flow] = {}
        self._logins: dict[str, Login] = {}
        self._hushed: dict[str, list[tuple[frozenset[str], Callable[[], None]]]] = {}

    # -- servers

    def flow(self, config: ServerConfig) -> Flow | None:
        """The authentication of a server's requests; None where it has no OAuth. One for all its sessions."""
        if config.auth is None or config.url is None:
            return None
        known = self._flows.get(config.name)
        if known is None or known.settings != config.auth or known.url != config.url:
            known = self._flows[config.name] = Flow(config.name, config.url, config.auth, self)
        return known

    async def login_of(self, guest: Guest, settings: OAuth) -> Login:
        """See `flow.Host`. A guest that once needed a login of its own has it kept, and gets that."""
        shared = self._login(guest, settings, own=False)
        own = _key(guest, settings, own=True)
        try:
            kept = own in self._logins or await self._means.store.load(own) is not None
        except Exception as error:  # noqa: BLE001 - a store of somebody else's; ours raises ConfigError
            raise NoToken(str(error)) from None
        return self._login(guest, settings, own=True) if kept else shared

    def apart(self, guest: Guest, login: Login) -> Login:
        """See `flow.Host`."""
        return self._login(guest, login.settings, own=True)

    def _login(self, guest: Guest, settings: OAuth, *, own: bool) -> Login:
        key = _key(guest, settings, own=own)
        if key not in self._logins:
            self._logins[key] = Login(key, guest.issuer, settings, self._means, own=own)
        return self._logins[key]

    def prompt(self, guest: Guest, login: Login) -> None:
        """See `flow.Host`. Nobody is asked twice for the same, or after he said `logout`."""
        if login.prompted or login.out or not login.by_person or self._means.on_login is None:
            return
        login.prompted = True
        login.begin(guest)

    def forget(self, name: str) -> None:
        """The server has left; its login stays, for others and for its return."""
        self._flows.pop(name, None)

    # -- verbs

    async def begin(self, name: str, done: Container[Login] = ()) -> Login | None:
        """Have somebody log in for a server; None where he need not, or where he has: in `done`.

        Raises:
            NoToken: Nobody can tell where.
        """
        guest, login = await self._flows[name].meet(None)
        settled = not login.signing_in and not login.out and not login.more
        if login in done or (settled and login.state(guest) == "logged_in"):
            return None
        login.begin(guest)
        return login

    async def log_out(self, name: str) -> tuple[str, ...]:
        """Forget the login that serves a server; which servers it served.

        Raises:
            NoToken: It is forgotten, and the issuer could not be told.
        """
        login = self._flows[name].login
        if login is None:
            return ()
        served = self.guests(login)
        await login.log_out()
        return served

    async def aclose(self) -> None:
        """End what is under way; what is kept stays kept."""
        await asyncio.gather(*(login.aclose() for login in self._logins.values()))
        await self.web.aclose()

    # -- what is shown

    def row(self, config: ServerConfig) -> LoginRow:
        """How a server knows us."""
        flow = self._flows.get(config.name)
        if config.auth is None or flow is None:
            return plain_row(config)
        if flow.guest is None or flow.login is None:
            return LoginRow(
                config.name, "logged_out", config.auth.issuer, config.auth.client_id, error=flow.problem
            )
        login, token = flow.login, flow.login.held(flow.guest)
        return LoginRow(
            server=config.name,
            state=login.state(flow.guest),
            issuer=login.issuer.name,
            client=login.client_id,
            scopes=token.scopes if token is not None else (),
            expires_at=token.expires_at if token is not None else None,
            refreshable=login.refreshable and not login.out,
            error=login.problem,
        )

    def requests(self) -> tuple[LoginRequest, ...]:
        """The logins that wait for somebody."""
        found = (login.request for login in list(self._logins.values()))
        return tuple(request for request in found if request is not None and not request.done)

    def why_not(self, name: str) -> str | None:
        """What keeps a server from taking what we have, and what to do; None where nothing is known to."""
        flow = self._flows.get(name)
        if flow is None or flow.login is None or flow.guest is None:
            return None if flow is None else flow.problem
        login = flow.login
        if login.state(flow.guest) in {"needs_login", "logging_in", "logged_out"}:
            problem = "logged out" if login.out else login.problem or "nobody is logged in"
            return log_in_first(name, problem) if login.by_person or login.out else problem
        return flow.refused

    # -- what logins tell

    def changed(self, login: Credential, state: LoginState | None, words: str) -> None:
        """See `credential.Listening`."""
        self._tell(Told(state, words, login.issuer.name, self.guests(login)))

    def guests(self, login: Credential) -> tuple[str, ...]:
        """See `credential.Listening`."""
        return tuple(name for name, flow in self._flows.items() if flow.login is login)

    def secrets(self, login: Credential, held: frozenset[str]) -> None:
        """See `credential.Listening`. Those before these stay hidden, too: somebody may yet tell of them."""
        kept = self._hushed.setdefault(login.key, [])
        if held and (not kept or kept[-1][0] != held):
            kept.append((held, hush(held)))
        for _, release in kept[: -2 if held else None]:
            release()
        del kept[: -2 if held else None]

    @property
    def hidden(self) -> frozenset[str]:
        """Every token, to take out of what is said."""
        return frozenset[str]().union(
            *(held for each in list(self._hushed.values()) for held, _ in list(each))
        )


def _key(guest: Guest, settings: OAuth, *, own: bool) -> str:
    """What a login is called in a store: no secret, and the same in every process."""
    parts = [guest.issuer.name, settings.client_id or "(registered)"]
    if settings.grant != "authorization_code":
        parts.append(settings.grant)
    if settings.scopes is not None:
        parts.append(f"scopes={','.join(sorted(settings.scopes))}")
    if own:
        parts.append(f"resource={guest.resource}")
    return " ".join(parts)
