"""A company's accounts: an authorization server, and MCP servers that take nobody without its tokens.

    python -m mcpnb.lab.servers.accounts crm wiki --port 8000 --life 60

It owns whom it knows, all of it in memory, and the page on which a person allows or refuses. The protocol is
the SDK's. All of it is at one address: `/` is the issuer, `/crm/mcp` and `/wiki/mcp` are servers; `/given`
lists the tokens that were given out, `/revoke-all` takes them back. Whoever presses Allow is Alice.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import secrets
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any
from urllib.parse import parse_qs, urlencode

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
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
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from mcpnb.lab.servers.serving import serve_http

__all__ = ["Accounts", "Company", "main"]

USER, SCOPE = "alice", "use"
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Example Accounts</title>
<style>:root{{color-scheme:light dark}}
body{{font:16px/1.5 system-ui,sans-serif;max-width:32em;margin:4em auto;padding:0 1em}}
button{{font:inherit;padding:.4em 1.2em;margin-right:.6em}}</style>
<h1>Example Accounts</h1><p>You are Alice. <b>{client}</b> wants to act for you.</p>
<form method="post"><button name="say" value="yes">Allow</button>
<button name="say" value="no">Refuse</button></form></html>"""


class Accounts(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Clients, codes and tokens; `life` is in seconds, of an access token."""

    def __init__(self, life: int) -> None:
        self.life = life
        self.given: list[dict[str, Any]] = []
        """What was given out, in order: number, kind (`login`, `renewal`), at (Unix time), client."""
        self._clients: dict[str, OAuthClientInformationFull] = {}
        self._asked: dict[str, tuple[OAuthClientInformationFull, AuthorizationParams]] = {}
        self._codes: dict[str, AuthorizationCode] = {}
        self._access: dict[str, AccessToken] = {}
        self._refresh: dict[str, RefreshToken] = {}

    def revoke_all(self) -> None:
        """Take back every token: whoever has one has to log in again."""
        self._access.clear()
        self._refresh.clear()

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        """A client by its ID."""
        return self._clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        """Take in a client that registers itself."""
        self._clients[client_info.client_id or ""] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        """Where the person is asked."""
        ticket = secrets.token_urlsafe(12)
        self._asked[ticket] = client, params
        return f"/consent?{urlencode({'ticket': ticket})}"

    async def consent(self, request: Request) -> Response:
        """The page that asks, and the way back to the client with what was said."""
        asked = self._asked.get(request.query_params.get("ticket", ""))
        if asked is None:
            return HTMLResponse("This link was used already.", status_code=404)
        client, params = asked
        if request.method == "GET":
            name = html.escape(client.client_name or client.client_id or "somebody")
            return HTMLResponse(_PAGE.format(client=name))
        del self._asked[request.query_params["ticket"]]
        said = parse_qs((await request.body()).decode()).get("say", ["no"])[0]
        if said != "yes":
            answer = {"error": "access_denied", "error_description": "Alice refused"}
        else:
            answer = {"code": self._code(client, params)}
        state = {} if params.state is None else {"state": params.state}
        return RedirectResponse(f"{params.redirect_uri}?{urlencode({**answer, **state})}", status_code=303)

    def _code(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        code = secrets.token_urlsafe(24)
        self._codes[code] = AuthorizationCode(
            code=code, scopes=params.scopes or [SCOPE], expires_at=time.time() + 60, subject=USER,
            client_id=client.client_id or "", code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri, resource=params.resource,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
        )  # fmt: skip
        return code

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        """A code of that client's that was not used yet."""
        code = self._codes.get(authorization_code)
        return code if code is not None and code.client_id == client.client_id else None

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        """Tokens for a code, once."""
        del self._codes[authorization_code.code]
        return self._tokens("login", client, authorization_code.scopes)

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        """A refresh token of that client's that was not used yet."""
        token = self._refresh.get(refresh_token)
        return token if token is not None and token.client_id == client.client_id else None

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        """New tokens for an old refresh token, which ends."""
        del self._refresh[refresh_token.token]
        return self._tokens("renewal", client, scopes or refresh_token.scopes)

    def _tokens(self, kind: str, client: OAuthClientInformationFull, scopes: list[str]) -> OAuthToken:
        access, refresh, now = secrets.token_urlsafe(24), secrets.token_urlsafe(24), time.time()
        number, who = len(self.given) + 1, client.client_id or ""
        self.given.append({"number": number, "kind": kind, "at": now, "client": who})
        self._access[access] = AccessToken(
            token=access, client_id=who, scopes=scopes, expires_at=int(now) + self.life, subject=USER,
            claims={"number": number},
        )  # fmt: skip
        self._refresh[refresh] = RefreshToken(token=refresh, client_id=who, scopes=scopes, subject=USER)
        return OAuthToken(
            access_token=access, expires_in=self.life, refresh_token=refresh, scope=" ".join(scopes)
        )

    async def load_access_token(self, token: str) -> AccessToken | None:
        """What a token is for, while it lasts."""
        return self._access.get(token)

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        """Take back one that its client gives back."""
        self._access.pop(token.token, None)
        self._refresh.pop(token.token, None)


class Company:
    """The issuer and its servers, as one application at `url`."""

    def __init__(self, url: str, names: Sequence[str], life: int) -> None:
        self.accounts = Accounts(life)
        self._url = url
        self._servers = [_guarded(name, url, self.accounts) for name in names]

    def streamable_http_app(self, *, host: str) -> Any:
        """The whole of it, for a web server."""
        apps = {
            server.name: server.streamable_http_app(streamable_http_path=f"/{server.name}/mcp", host=host)
            for server in self._servers
        }

        @contextlib.asynccontextmanager
        async def sessions(_app: object) -> AsyncGenerator[None]:
            async with contextlib.AsyncExitStack() as stack:
                for server in self._servers:
                    await stack.enter_async_context(server.session_manager.run())
                yield

        issuer = Starlette(routes=self._routes(), lifespan=sessions)

        async def town(scope: Any, receive: Any, send: Any) -> None:
            # A server's own path, or the description of it that lies below /.well-known.
            house = next((part for part in scope.get("path", "").split("/") if part in apps), None)
            await (apps[house] if house else issuer)(scope, receive, send)

        return town

    def _routes(self) -> list[Route]:
        routes = create_auth_routes(
            self.accounts, AnyHttpUrl(self._url),
            client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=[SCOPE]),
            revocation_options=RevocationOptions(enabled=True),
        )  # fmt: skip

        async def given(_request: Request) -> Response:
            return JSONResponse(self.accounts.given)

        async def revoke(_request: Request) -> Response:
            self.accounts.revoke_all()
            return JSONResponse({})

        return [
            *routes,
            Route("/consent", self.accounts.consent, methods=["GET", "POST"]),
            Route("/given", given),
            Route("/revoke-all", revoke, methods=["POST"]),
        ]


def _guarded(name: str, url: str, accounts: Accounts) -> MCPServer[Any]:
    """A server with one tool, which tells who its caller is."""
    settings = AuthSettings(
        issuer_url=AnyHttpUrl(url), resource_server_url=AnyHttpUrl(f"{url}/{name}/mcp"),
        required_scopes=[SCOPE], validate_token_resource=False,
    )  # fmt: skip
    server: MCPServer[Any] = MCPServer(
        name, log_level="ERROR", auth=settings, token_verifier=ProviderTokenVerifier(accounts)
    )

    @server.tool(name=f"{name}.whoami")
    def whoami() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Say whom this server takes the caller for, and the number of the token that says so."""
        token = get_access_token()
        claims = (token and token.claims) or {}
        return {"server": name, "user": token and token.subject, "token": claims.get("number")}

    return server


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m mcpnb.lab.servers.accounts", description=__doc__)
    parser.add_argument("names", nargs="+", help="the servers")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="port to listen on")
    parser.add_argument("--life", type=int, default=60, help="seconds that a token lasts")
    parser.add_argument("--tied", action="store_true", help="end when the process that started this ends")
    parser.set_defaults(profile=None, pid_file=None)
    options = parser.parse_args(arguments)
    url = f"http://{options.host}:{options.port}"
    return serve_http(options, lambda: Company(url, options.names, options.life))


if __name__ == "__main__":
    sys.exit(main())
