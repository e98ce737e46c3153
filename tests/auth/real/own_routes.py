"""An MCP server that is its own authorization server, made of the SDK's routes."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mcp.server.auth.provider import AccessToken, AuthorizationCode, RefreshToken, construct_redirect_uri
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthToken

from .guarded import Street, add_tools, listening, running


@dataclass
class House:
    """What the SDK's routes ask: clients, codes and tokens in memory. Whoever asks for a code gets one."""

    lives: int = 600
    clients: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, AuthorizationCode] = field(default_factory=dict)
    refreshing: dict[str, RefreshToken] = field(default_factory=dict)
    access: dict[str, AccessToken] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)
    """The grant type of each token that was given."""

    async def get_client(self, client_id: str) -> Any:
        return self.clients.get(client_id)

    async def register_client(self, client_info: Any) -> None:
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client: Any, params: Any) -> str:
        code = AuthorizationCode(
            code=secrets.token_urlsafe(32),
            scopes=params.scopes or [],
            expires_at=time.time() + 60,
            client_id=client.client_id,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
            subject="bob",
        )
        self.codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state)

    async def load_authorization_code(self, client: Any, authorization_code: str) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(self, client: Any, authorization_code: Any) -> OAuthToken:
        del self.codes[authorization_code.code]
        return self._give("authorization_code", client, authorization_code)

    async def load_refresh_token(self, client: Any, refresh_token: str) -> RefreshToken | None:
        return self.refreshing.get(refresh_token)

    async def exchange_refresh_token(self, client: Any, refresh_token: Any, scopes: list[str]) -> OAuthToken:
        del self.refreshing[refresh_token.token]
        return self._give("refresh_token", client, refresh_token)

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.access.get(token)

    async def revoke_token(self, token: Any) -> None:
        self.access.clear()
        self.refreshing.clear()

    def _give(self, grant: str, client: Any, by: Any) -> OAuthToken:
        shared = {
            "client_id": client.client_id,
            "scopes": by.scopes,
            "resource": by.resource,
            "subject": "bob",
        }
        access = AccessToken(
            token=secrets.token_urlsafe(32), expires_at=int(time.time()) + self.lives, **shared
        )
        again = RefreshToken(token=secrets.token_urlsafe(32), **shared)
        self.access[access.token], self.refreshing[again.token] = access, again
        self.given.append(grant)
        return OAuthToken(
            access_token=access.token,
            refresh_token=again.token,
            expires_in=self.lives,
            scope=" ".join(by.scopes),
        )


@contextlib.contextmanager
def own_server(street: Street, *, published: bool) -> Iterator[tuple[str, House]]:
    """The URL of such a server; `published` where it says of itself whom it trusts (RFC 9728)."""
    house = House()
    with listening() as (listens, url):
        settings = AuthSettings(
            issuer_url=url,  # type: ignore[arg-type]
            resource_server_url=f"{url}/mcp" if published else None,  # type: ignore[arg-type]
            required_scopes=["mcp:read"],
            client_registration_options=ClientRegistrationOptions(
                enabled=True, valid_scopes=["mcp:read"], default_scopes=["mcp:read"]
            ),
            revocation_options=RevocationOptions(enabled=True),
            validate_token_resource=True if published else None,
        )
        server = MCPServer(
            "own", version="1.0", log_level="CRITICAL", auth=settings, auth_server_provider=house
        )
        add_tools(server, "own")
        with running(street, [server], server.streamable_http_app(), listens):
            yield f"{url}/mcp", house
