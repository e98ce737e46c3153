"""An authorization server with a login page, and MCP servers that trust it, at one address on this computer.

Made of the SDK's own routes; what it keeps is in memory. It knows nothing of mcpnb.
"""

from __future__ import annotations

import contextlib
import html
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import uvicorn
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    ProviderTokenVerifier,
    RefreshToken,
)
from mcp.server.auth.routes import create_auth_routes
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

PAGE = """<!doctype html><title>Login</title><h1>Example Accounts</h1>
<p>{client} wants to act for you.</p><form method="post"><button name="say" value="yes">Allow</button>
<button name="say" value="no">Refuse</button></form>"""


class Accounts:
    """The SDK's provider of an authorization server, in memory, with a page that asks."""

    def __init__(self, life: int) -> None:
        self.life = life
        """Seconds that an access token lasts."""
        self.secrets: list[str] = []
        """Every code and token that was given out."""
        self.revoked: list[str] = []
        self._clients: dict[str, OAuthClientInformationFull] = {}
        self._asked: dict[str, tuple[OAuthClientInformationFull, AuthorizationParams]] = {}
        self._codes: dict[str, AuthorizationCode] = {}
        self._access: dict[str, AccessToken] = {}
        self._refresh: dict[str, RefreshToken] = {}

    def _made(self) -> str:
        self.secrets.append(f"planted-{secrets.token_urlsafe(24)}")
        return self.secrets[-1]

    # -- what the SDK's routes ask for

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self._clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self._clients[client_info.client_id or ""] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        ticket = secrets.token_hex(8)
        self._asked[ticket] = client, params
        return f"/consent?ticket={ticket}"

    async def load_authorization_code(
        self, client: object, authorization_code: str
    ) -> AuthorizationCode | None:
        return self._codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: Any, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        del self._codes[authorization_code.code]
        return self._tokens(client.client_id, authorization_code.scopes)

    async def load_refresh_token(self, client: object, refresh_token: str) -> RefreshToken | None:
        return self._refresh.get(refresh_token)

    async def exchange_refresh_token(
        self, client: Any, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        del self._refresh[refresh_token.token]
        return self._tokens(client.client_id, scopes)

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self._access.get(token)

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        self.revoked.append(token.token)
        self._access.pop(token.token, None)
        self._refresh.pop(token.token, None)

    async def exchange_identity_assertion(self, client: object, params: object) -> OAuthToken:
        raise NotImplementedError

    def _tokens(self, client: str, scopes: list[str]) -> OAuthToken:
        access, refresh = self._made(), self._made()
        ends = int(time.time()) + self.life
        self._access[access] = AccessToken(token=access, client_id=client, scopes=scopes, expires_at=ends)
        self._refresh[refresh] = RefreshToken(token=refresh, client_id=client, scopes=scopes)
        scope = " ".join(scopes)
        return OAuthToken(access_token=access, expires_in=self.life, refresh_token=refresh, scope=scope)

    # -- the page

    async def consent(self, request: Request) -> Response:
        """Ask; then send the browser back to the client with what was said."""
        ticket = request.query_params["ticket"]
        client, params = self._asked[ticket]
        if request.method == "GET":
            return HTMLResponse(PAGE.format(client=html.escape(client.client_name or "")))
        if (await request.form())["say"] == "no":
            said = {"error": "access_denied", "error_description": "Alice <b>said</b> no"}
        else:
            said = {"code": self._code(client, params)}
        back = f"{params.redirect_uri}?{urlencode({**said, 'state': params.state})}"
        # By the page itself, so that a test may stand in the way of where the browser goes.
        return HTMLResponse(f'<meta http-equiv="refresh" content="0;url={html.escape(back)}">')

    def _code(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        code = self._made()
        self._codes[code] = AuthorizationCode(
            code=code, scopes=params.scopes or ["use"], expires_at=time.time() + 60,
            client_id=client.client_id or "", code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri, resource=params.resource,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
        )  # fmt: skip
        return code


class Street:
    """Where it all is: `url` of the issuer, `servers` as a configuration would name them."""

    def __init__(self, url: str, accounts: Accounts, names: Sequence[str]) -> None:
        self.url, self.accounts = url, accounts
        self.servers = {name: f"{url}/{name}/mcp" for name in names}


@contextlib.contextmanager
def running_issuer(*names: str, life: int = 3_600) -> Iterator[Street]:
    """An issuer and MCP servers of these names while the block runs."""
    with socket.socket() as listens:
        listens.bind(("127.0.0.1", 0))
        listens.listen()
        url = f"http://127.0.0.1:{listens.getsockname()[1]}"
        accounts = Accounts(life)
        servers = [_guarded(name, url, accounts) for name in names]
        http = _Announced(uvicorn.Config(_town(url, accounts, servers), log_level="critical", lifespan="on"))
        thread = threading.Thread(target=http.run, kwargs={"sockets": [listens]}, daemon=True)
        thread.start()
        assert http.up.wait(30)
        yield Street(url, accounts, names)
        http.should_exit = True
        thread.join(30)


class _Announced(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.up.set()

    def capture_signals(self) -> Any:
        return contextlib.nullcontext()


def _guarded(name: str, url: str, accounts: Accounts) -> MCPServer:
    settings = AuthSettings(
        issuer_url=AnyHttpUrl(url), resource_server_url=AnyHttpUrl(f"{url}/{name}/mcp"),
        required_scopes=["use"], validate_token_resource=False,
    )  # fmt: skip
    verifier = ProviderTokenVerifier(accounts)
    server = MCPServer(name, log_level="CRITICAL", auth=settings, token_verifier=verifier)

    @server.tool(name=f"{name}.where")
    def where() -> str:
        """Say which server this is."""
        return f"this is {name}"

    return server


def _town(url: str, accounts: Accounts, servers: Sequence[MCPServer]) -> Any:
    routes: list[Any] = create_auth_routes(
        accounts, AnyHttpUrl(url),
        client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=["use"]),
        revocation_options=RevocationOptions(enabled=True),
    )  # fmt: skip
    routes.append(Route("/consent", accounts.consent, methods=["GET", "POST"]))
    apps = {
        server.name: server.streamable_http_app(streamable_http_path=f"/{server.name}/mcp")
        for server in servers
    }

    @contextlib.asynccontextmanager
    async def sessions(_app: object) -> Any:
        async with contextlib.AsyncExitStack() as stack:
            for server in servers:
                await stack.enter_async_context(server.session_manager.run())
            yield

    issuer = Starlette(routes=routes, lifespan=sessions)

    async def town(scope: Any, receive: Any, send: Any) -> None:
        house = next((part for part in scope.get("path", "").split("/") if part in apps), None)
        await (apps[house] if house else issuer)(scope, receive, send)

    return town
