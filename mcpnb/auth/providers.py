"""The SDK's OAuth providers, asked for one thing at a time, and what is wanted and got.

A provider of the SDK does all of OAuth inside of one request of a caller, and so ends with that caller. Here
somebody else decides what is asked for when. They keep no tokens and no state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthTokenError
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
)
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from .issuers import Issuer
from .replies import answer
from .web import Web

__all__ = ["Asked", "ByCode", "ByKey", "BySecret", "CodeByKey", "Granted", "Nowhere", "Registered", "Wanted"]

Registered = OAuthClientInformationFull
"""Who we are at an issuer."""

_WITH_RESOURCE = "2025-06-18"
"""The protocol version from which on the SDK sends `resource`; issuers that do not know it ignore it."""
_BEARER = re.compile(r"[!-~]+")
"""What an HTTP header can carry as one word. RFC 6750 allows less, but servers that issue more take it."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What an issuer gave."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    """None where it gave none: then the one there was stays good."""
    scopes: tuple[str, ...]
    lifetime: float | None
    """Seconds; None where it did not say."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for, and of whom."""

    issuer: Issuer
    resource: str
    scopes: tuple[str, ...] = ()


class Nowhere:
    """What the SDK calls a token storage. Whoever asks keeps what he gets."""

    async def get_tokens(self) -> OAuthToken | None:
        """None: it keeps none."""
        return None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Nothing happens."""
        del tokens

    async def get_client_info(self) -> Registered | None:
        """None: it keeps none."""
        return None

    async def set_client_info(self, client_info: Registered) -> None:
        """Nothing happens."""
        del client_info


class Asked(OAuthClientProvider):
    """What the providers share when they are asked for one thing at a time."""

    def about(self, wanted: Wanted, client: Registered) -> None:
        """Spare it the discovery: it is known already."""
        self.context.client_info = client
        self.context.oauth_metadata = wanted.issuer.metadata
        self.context.auth_server_url = wanted.issuer.name
        self.context.protocol_version = _WITH_RESOURCE

    async def granted(self, web: Web) -> Granted:
        """A token by the provider's own grant."""
        response = await answer(web, await self._perform_authorization())
        await self._handle_token_response(response)
        return self._got()

    async def refreshed(self, web: Web, refresh: str) -> Granted:
        """A token by a refresh token."""
        self.context.current_tokens = OAuthToken(access_token="-", refresh_token=refresh)  # noqa: S106 - none
        response = await answer(web, await self._refresh_token())
        if response.status_code != 200 or not await self._handle_refresh_response(response):
            raise OAuthTokenError
        return self._got()

    async def revoked(self, web: Web, token: str, hint: str) -> None:
        """Tell the issuer that a token is given back (RFC 7009)."""
        metadata = self.context.oauth_metadata
        if metadata is None or metadata.revocation_endpoint is None or self.context.client_info is None:
            return
        data = {"token": token, "token_type_hint": hint, "client_id": self.context.client_info.client_id}
        data, headers = self.context.prepare_token_auth(await self._signed(data), {})
        endpoint = str(metadata.revocation_endpoint)
        await answer(web, httpx2.Request("POST", endpoint, data=data, headers=headers))

    async def _signed(self, data: dict[str, str]) -> dict[str, str]:
        return data

    def _got(self) -> Granted:
        token = self.context.current_tokens
        if token is None or not _BEARER.fullmatch(token.access_token):
            raise OAuthTokenError
        lifetime = None if token.expires_in is None else max(float(token.expires_in), 0.0)
        scopes = tuple((token.scope or "").split())
        return Granted(token.access_token, token.refresh_token, scopes, lifetime)


class ByCode(Asked):
    """A person logs in."""


class BySecret(ClientCredentialsOAuthProvider, Asked):
    """A program has a secret."""


class ByKey(PrivateKeyJWTOAuthProvider, Asked):
    """A program has a private key."""

    async def _signed(self, data: dict[str, str]) -> dict[str, str]:
        await self._add_client_authentication_jwt(token_data=data)
        return data


class CodeByKey(ByKey):
    """A person logs in, and the client that asks for him has a private key."""

    async def _perform_authorization(self) -> httpx2.Request:
        # Not the next class's, which asks for the program itself.
        return await self._by_key(await super(PrivateKeyJWTOAuthProvider, self)._perform_authorization())

    async def _refresh_token(self) -> httpx2.Request:
        return await self._by_key(await super()._refresh_token())

    async def _by_key(self, request: httpx2.Request) -> httpx2.Request:
        """The same request, signed: the SDK signs those of a program only."""
        data = await self._signed(dict(parse_qsl(request.content.decode())))
        return httpx2.Request("POST", request.url, data=data)
