"""Tokens from an issuer: each way to get one, by the SDK's providers.

A provider of the SDK does all of OAuth inside of one request of a caller, and so ends with that caller. Here
each is asked for one thing at a time, and somebody else decides when. It keeps no tokens and no state.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import httpx2
from mcp.client.auth import (
    AuthorizationCodeResult,
    OAuthClientProvider,
    OAuthTokenError,
)
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.auth.oauth2 import check_registration_usable
from mcp.client.auth.utils import create_client_registration_request, handle_registration_response
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from mcpnb.config import OAuth

from .issuers import Issuer, origin_of
from .keys import private_key
from .refusal import IssuerRefused, NoToken
from .replies import answer, in_our_words
from .web import Web

__all__ = [
    "Granted",
    "Registered",
    "Wanted",
    "by_code",
    "by_credentials",
    "by_refresh",
    "given_client",
    "register",
    "revoke",
]

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


class _Nowhere:
    """What the SDK calls a token storage. Whoever asks keeps what he gets."""

    async def get_tokens(self) -> OAuthToken | None:
        return None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        del tokens

    async def get_client_info(self) -> Registered | None:
        return None

    async def set_client_info(self, client_info: Registered) -> None:
        del client_info


class _Asked(OAuthClientProvider):
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


class _Code(_Asked):
    """A person logs in."""


class _Secret(ClientCredentialsOAuthProvider, _Asked):
    """A program has a secret."""


class _Key(PrivateKeyJWTOAuthProvider, _Asked):
    """A program has a private key."""

    async def _signed(self, data: dict[str, str]) -> dict[str, str]:
        await self._add_client_authentication_jwt(token_data=data)
        return data


async def register(web: Web, wanted: Wanted, settings: OAuth, redirect_uri: str) -> Registered:
    """Register us with an issuer (RFC 7591) for logins that come back to `redirect_uri`.

    Raises:
        NoToken: It does not take us.
    """
    metadata = wanted.issuer.metadata
    if metadata is not None and metadata.registration_endpoint is None:
        raise NoToken(
            f"{wanted.issuer.name} takes no registrations: register a client there, and give its client_id"
        )
    us = OAuthClientMetadata(
        client_name=settings.client_name,
        redirect_uris=[AnyUrl(redirect_uri)],
        scope=" ".join(wanted.scopes) or None,
        # We could keep no secret from whoever owns this computer; issuers may give us one all the same.
        token_endpoint_auth_method="none" if "none" in _methods(wanted.issuer) else None,
    )
    with in_our_words(wanted.issuer, "registration"):
        request = create_client_registration_request(metadata, us, origin_of(wanted.resource))
        try:
            reply = await answer(web, request)
        except IssuerRefused as error:
            raise NoToken(f"{error.reason}. Register a client there, and give its client_id") from None
        client = await handle_registration_response(reply)
        check_registration_usable(client)
        return client


def _methods(issuer: Issuer) -> list[str]:
    stated = issuer.metadata.token_endpoint_auth_methods_supported if issuer.metadata is not None else None
    return ["client_secret_basic"] if stated is None else stated


def given_client(issuer: Issuer, settings: OAuth) -> Registered | None:
    """Who we are where a client was registered beforehand; None where it was not."""
    if settings.client_id is None:
        return None
    return Registered(
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        token_endpoint_auth_method=_method(issuer, settings),
    )


_SecretMethod = Literal["client_secret_basic", "client_secret_post"]


def _method(issuer: Issuer, settings: OAuth) -> str:
    if settings.private_key is not None:
        return "private_key_jwt"
    return "none" if settings.client_secret is None else _secret_method(issuer)


def _secret_method(issuer: Issuer) -> _SecretMethod:
    offered = _methods(issuer)
    posted = "client_secret_post" in offered and "client_secret_basic" not in offered
    return "client_secret_post" if posted else "client_secret_basic"


async def by_credentials(web: Web, wanted: Wanted, settings: OAuth) -> Granted:
    """A token for the client itself.

    Raises:
        NoToken: Not given.
    """
    provider = await _provider(wanted, settings)
    with in_our_words(wanted.issuer, "token"):
        return await provider.granted(web)


async def by_refresh(web: Web, wanted: Wanted, settings: OAuth, client: Registered, refresh: str) -> Granted:
    """A token in exchange for a refresh token, which the issuer may replace.

    Raises:
        NoToken: Not given; `IssuerRefused` where it never will be.
    """
    provider = await _provider(wanted, settings, client)
    with in_our_words(wanted.issuer, "refresh"):
        return await provider.refreshed(web, refresh)


async def by_code(
    web: Web,
    wanted: Wanted,
    settings: OAuth,
    client: Registered,
    redirect_uri: str,
    person: Callable[[str], Awaitable[AuthorizationCodeResult]],
) -> Granted:
    """A token for a person, who is brought to a link and comes back with a code.

    `person` gets the link, which has its `state` in it, and gives what the browser brought back.

    Raises:
        NoToken: Not given; and whatever `person` raises.
    """
    shown: list[str] = []

    async def show(url: str) -> None:
        shown.append(url)

    async def come_back() -> AuthorizationCodeResult:
        return await person(shown[-1])

    provider = await _provider(wanted, settings, client)
    provider.context.client_metadata.redirect_uris = [AnyUrl(redirect_uri)]
    provider.context.redirect_handler, provider.context.callback_handler = show, come_back
    with in_our_words(wanted.issuer, "login"):
        return await provider.granted(web)


async def revoke(
    web: Web, wanted: Wanted, settings: OAuth, client: Registered, tokens: Mapping[str, str]
) -> None:
    """Give tokens back, where the issuer takes them (RFC 7009); `tokens` are token → kind of token.

    Raises:
        NoToken: It did not take one.
    """
    provider = await _provider(wanted, settings, client)
    with in_our_words(wanted.issuer, "revocation"):
        for token, hint in tokens.items():
            await provider.revoked(web, token, hint)


async def _provider(wanted: Wanted, settings: OAuth, client: Registered | None = None) -> _Asked:
    scope = " ".join(wanted.scopes) or None
    storage, issuer = _Nowhere(), settings.issuer
    known = client or given_client(wanted.issuer, settings)
    if known is None:
        raise NoToken("there is no client that could ask")
    if settings.private_key is not None:
        key = await private_key(settings.private_key)
        signed = SignedJWTParameters(
            issuer=known.client_id, subject=known.client_id, signing_key=key.pem,
            signing_algorithm=key.algorithm,
        ).create_assertion_provider()  # fmt: skip
        provider = _Key(wanted.resource, storage, known.client_id, signed, scope, issuer)
    elif settings.grant == "client_credentials":
        method, secret = _secret_method(wanted.issuer), settings.client_secret or ""
        provider = _Secret(wanted.resource, storage, known.client_id, secret, method, scope, issuer)
    else:
        us = OAuthClientMetadata(redirect_uris=[AnyUrl("http://127.0.0.1/callback")], scope=scope)
        provider = _Code(wanted.resource, us, storage)
    provider.about(wanted, known)
    return provider
