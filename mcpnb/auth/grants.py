"""Tokens from an issuer: who we are there, and each way to get one.

It keeps no tokens; `providers` has what the SDK does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from mcp.client.auth import AuthorizationCodeResult
from mcp.client.auth.extensions.client_credentials import SignedJWTParameters
from mcp.client.auth.oauth2 import check_registration_usable
from mcp.client.auth.utils import (
    create_client_info_from_metadata_url,
    create_client_registration_request,
    handle_registration_response,
    should_use_client_metadata_url,
)
from mcp.shared.auth import OAuthClientMetadata
from pydantic import AnyUrl

from mcpnb.config import OAuth

from .issuers import Issuer, origin_of
from .keys import private_key
from .providers import (
    Asked,
    ByCode,
    ByKey,
    BySecret,
    CodeByKey,
    Granted,
    Nowhere,
    Registered,
    Wanted,
)
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
    "described_client",
    "given_client",
    "register",
    "revoke",
]


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


def described_client(issuer: Issuer, settings: OAuth, redirect_uri: str) -> Registered | None:
    """Who we are by a document that describes us (CIMD); None where we have none or the issuer reads none."""
    url = settings.client_metadata_url
    if url is None or not should_use_client_metadata_url(issuer.metadata, url):
        return None
    return create_client_info_from_metadata_url(url, redirect_uris=[AnyUrl(redirect_uri)])


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


async def _provider(wanted: Wanted, settings: OAuth, client: Registered | None = None) -> Asked:
    scope = " ".join(wanted.scopes) or None
    storage, issuer = Nowhere(), settings.issuer
    known = client or given_client(wanted.issuer, settings)
    if known is None:
        raise NoToken("there is no client that could ask")
    if settings.private_key is not None:
        key = await private_key(settings.private_key)
        signed = SignedJWTParameters(
            issuer=known.client_id, subject=known.client_id, signing_key=key.pem,
            signing_algorithm=key.algorithm,
        ).create_assertion_provider()  # fmt: skip
        kind = CodeByKey if settings.grant == "authorization_code" else ByKey
        provider = kind(
            wanted.resource, storage, known.client_id, signed, scope, issuer or wanted.issuer.name
        )
    elif settings.grant == "client_credentials":
        method, secret = _secret_method(wanted.issuer), settings.client_secret or ""
        provider = BySecret(wanted.resource, storage, known.client_id, secret, method, scope, issuer)
    else:
        us = OAuthClientMetadata(redirect_uris=[AnyUrl("http://127.0.0.1/callback")], scope=scope)
        provider = ByCode(wanted.resource, us, storage)
    provider.about(wanted, known)
    return provider
