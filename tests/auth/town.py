"""An issuer and servers that trust it, in this process: the SDK's own routes behind a client's transport.

Nothing listens, nothing waits; time is a number. The person who logs in answers at once, unless told not to.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    RefreshToken,
    TokenError,
    construct_redirect_uri,
)
from mcp.server.auth.routes import create_auth_routes, create_protected_resource_routes
from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mcpnb.auth import LoginRequest, MemoryTokens, TokenStore
from mcpnb.auth.flow import Flow
from mcpnb.auth.logins import Logins, Told
from mcpnb.auth.web import Web
from mcpnb.config import OAuth, ServerConfig

ISSUER = "https://login.test"


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Issuer:
    """An authorization server by the SDK's routes; what it gives is at the test's mercy."""

    clock: Clock
    lifetime: int | None = 3600
    refreshes: bool = True
    rotates: bool = True
    """A refresh token works once; its second use ends the login."""
    grants: Callable[[list[str]], list[str]] = field(default=lambda scopes: scopes)
    clients: dict[str, OAuthClientInformationFull] = field(default_factory=dict)
    codes: dict[str, AuthorizationCode] = field(default_factory=dict)
    access: dict[str, AccessToken] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)
    refresh: dict[str, RefreshToken] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    revoked: list[str] = field(default_factory=list)

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        code = secrets.token_urlsafe(16)
        self.codes[code] = AuthorizationCode(
            code=code, scopes=self.grants(params.scopes or []), expires_at=4e9, client_id=client.client_id,
            code_challenge=params.code_challenge, redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=True, resource=params.resource,
        )  # fmt: skip
        return construct_redirect_uri(str(params.redirect_uri), code=code, state=params.state)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        del self.codes[authorization_code.code]
        return self._tokens(client.client_id, authorization_code.scopes, authorization_code.resource)

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        if refresh_token in self.used:
            self.access.clear()
            self.refresh.clear()
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        if self.rotates:
            self.used.add(refresh_token.token)
            del self.refresh[refresh_token.token]
        return self._tokens(client.client_id, scopes, refresh_token.resource, again=self.rotates)

    def _tokens(
        self, client_id: str, scopes: list[str], resource: str | None, *, again: bool = True
    ) -> OAuthToken:
        token = AccessToken(
            token=secrets.token_urlsafe(24), client_id=client_id, scopes=scopes, resource=resource
        )
        self.access[token.token] = token
        self.ends[token.token] = self.clock() + (self.lifetime or 1e9)
        refresh = None
        if self.refreshes and again:
            refresh = secrets.token_urlsafe(24)
            self.refresh[refresh] = RefreshToken(
                token=refresh, client_id=client_id, scopes=scopes, resource=resource
            )
        return OAuthToken(
            access_token=token.token, expires_in=self.lifetime, scope=" ".join(scopes), refresh_token=refresh
        )

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.access.get(token)

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        self.revoked.append(token.token)
        self.access.pop(token.token, None)
        self.refresh.pop(token.token, None)

    async def exchange_identity_assertion(self, client: object, params: object) -> OAuthToken:
        raise TokenError("unsupported_grant_type")

    def good(self, token: str) -> AccessToken | None:
        """The token, while it is good."""
        return self.access.get(token) if self.clock() < self.ends.get(token, 0) else None


class Town(httpx2.AsyncBaseTransport):
    """Hosts by name, and every request that arrived. `answers` puts something else in a path's place."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.asked: list[httpx2.Request] = []
        self.answers: dict[tuple[str, str], Callable[[httpx2.Request], httpx2.Response]] = {}
        self.gate: asyncio.Event | None = None
        """Holds the issuer's token endpoint while it is not set."""
        self.waiting = asyncio.Event()
        self._apps: dict[str, httpx2.ASGITransport] = {}
        self._settle(
            "login.test",
            create_auth_routes(
                issuer, AnyHttpUrl(ISSUER),
                client_registration_options=ClientRegistrationOptions(enabled=True),
                revocation_options=RevocationOptions(enabled=True),
            ),
        )  # fmt: skip

    def _settle(self, host: str, routes: list[Route]) -> None:
        self._apps[host] = httpx2.ASGITransport(Starlette(routes=routes))

    def build(
        self, name: str, *, audience: bool = False, issuer: str = ISSUER, scopes: list[str] | None = None,
        needs: str | None = None, clock: Callable[[], float] | None = None,
    ) -> str:  # fmt: skip
        """A server that trusts the issuer; with `audience` it takes tokens for itself only. Its URL."""
        url = f"https://{name}.test/mcp"

        async def answer(request: Request) -> Response:
            token = self.issuer.good(request.headers.get("authorization", "").removeprefix("Bearer "))
            if token is None or (audience and token.resource != url):
                hint = (
                    f'Bearer resource_metadata="https://{name}.test/.well-known/oauth-protected-resource/mcp"'
                )
                return Response(status_code=401, headers={"WWW-Authenticate": hint})
            if needs and needs not in token.scopes:
                hint = f'Bearer error="insufficient_scope", scope="{needs}"'
                return Response(status_code=403, headers={"WWW-Authenticate": hint})
            return PlainTextResponse(name)

        published = create_protected_resource_routes(
            AnyHttpUrl(url), [AnyHttpUrl(issuer)], scopes or ["read"]
        )
        self._settle(f"{name}.test", [Route("/mcp", answer, methods=["GET", "POST"]), *published])
        return url

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        if self.gate is not None and request.url.path == "/token":
            self.waiting.set()
            await self.gate.wait()
        instead = self.answers.get((request.url.host, request.url.path))
        if instead is not None:
            await request.aread()
            return instead(request)
        if request.url.host not in self._apps:
            raise httpx2.ConnectError("nothing listens there", request=request)
        return await self._apps[request.url.host].handle_async_request(request)

    def count(self, path: str, host: str = "login.test") -> int:
        """How often somebody asked for that."""
        return sum((each.url.host, each.url.path) == (host, path) for each in self.asked)

    def grants(self) -> Counter[str]:
        """The token requests by their grant."""
        bodies = (each for each in self.asked if each.url.path == "/token")
        return Counter(parse_qs(each.content.decode())["grant_type"][0] for each in bodies)


@dataclass
class Guests:
    """Who uses the town: the logins of one client, requests of its servers, and a person who logs in."""

    town: Town
    clock: Clock
    store: TokenStore = field(default_factory=MemoryTokens)
    told: list[Told] = field(default_factory=list)
    requests: list[LoginRequest] = field(default_factory=list)
    willing: bool = True
    alone: bool = False
    """Nobody is there to be asked."""
    flows: dict[str, Flow] = field(default_factory=dict)

    def __post_init__(self) -> None:
        on_login = None if self.alone else self.ask
        self.logins = Logins(
            self.store, tell=self.told.append, on_login=on_login, clock=self.clock, web=Web(self.town)
        )
        self.client = httpx2.AsyncClient(transport=self.town)

    async def ask(self, request: LoginRequest) -> None:
        """The person at the browser."""
        self.requests.append(request)
        if self.willing:
            request.answer(await self.browse(request))

    async def browse(self, request: LoginRequest) -> str:
        """Log in at the issuer; the address that the browser ends at."""
        async with httpx2.AsyncClient(transport=self.town) as browser:
            there = await browser.get(request.url)
        assert there.status_code == 302, there.text
        return there.headers["location"]

    def config(self, name: str, auth: OAuth | None = None, url: str | None = None) -> ServerConfig:
        return ServerConfig(name, "http", url=url or f"https://{name}.test/mcp", auth=auth or OAuth())

    async def get(self, name: str, auth: OAuth | None = None) -> httpx2.Response:
        """One request of a server's."""
        flow = self.logins.flow(self.config(name, auth))
        assert flow is not None
        return await self.client.get(f"https://{name}.test/mcp", auth=flow)

    async def log_in(self, name: str, auth: OAuth | None = None) -> None:
        """Have the person log in, and wait for it."""
        self.logins.flow(self.config(name, auth))
        login = await self.logins.begin(name)
        if login is not None:
            await login.signed_in()

    def row(self, name: str, auth: OAuth | None = None):
        return self.logins.row(self.config(name, auth))

    async def close(self) -> None:
        await self.logins.aclose()
        await self.client.aclose()


def code_in(address: str) -> str:
    """The code that an address carries."""
    return parse_qs(urlsplit(address).query)["code"][0]


async def until(condition: Callable[[], object]) -> None:
    """Let the others on the loop go on until this is true."""
    while not condition():  # noqa: ASYNC110 - it has no event of its own, and nothing here takes time
        await asyncio.sleep(0)
