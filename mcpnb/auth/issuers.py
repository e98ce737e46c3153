"""From a server to the authorization server that it trusts: RFC 9728, RFC 8414, OpenID Connect Discovery.

What is published where, and how it is read, is the SDK's; this owns the order, which issuer is chosen, and
what a mismatch means. It gets no tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httpx2
from mcp.client.auth.utils import (
    build_oauth_authorization_server_metadata_discovery_urls,
    build_protected_resource_metadata_discovery_urls,
    create_oauth_metadata_request,
    extract_resource_metadata_from_www_auth,
    extract_scope_from_www_auth,
    get_client_metadata_scopes,
    handle_auth_metadata_response,
    handle_protected_resource_response,
    issuers_match,
)
from mcp.shared.auth import OAuthMetadata, ProtectedResourceMetadata
from mcp.shared.auth_utils import check_resource_allowed, resource_url_from_server_url

from mcpnb.config import is_private

from .refusal import NoToken
from .web import Web

__all__ = ["Issuer", "Trust", "find_issuer", "origin_of", "trust_of"]

_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint")
_READABLE = "is at plain http: what is sent there could be read on its way (RFC 8414 wants https)"


@dataclass(frozen=True, slots=True)
class Issuer:
    """One authorization server."""

    name: str
    """Its issuer URL; a root without its slash, so that both spellings are one."""
    metadata: OAuthMetadata | None
    """What it publishes (RFC 8414); None for one of before, whose endpoints have fixed places."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a server trusts, and what it wants to be asked for."""

    resource: str
    """What a token for it is to be asked for (RFC 8707)."""
    issuer: Issuer
    published: ProtectedResourceMetadata | None

    def scopes(self, challenge: httpx2.Response | None) -> tuple[str, ...]:
        """The scopes to ask for, after an answer that said so or did not."""
        named = None if challenge is None else extract_scope_from_www_auth(challenge)
        grants = ["authorization_code", "refresh_token"]
        chosen = get_client_metadata_scopes(named, self.published, self.issuer.metadata, grants)
        return tuple((chosen or "").split())


async def trust_of(web: Web, url: str, refused: httpx2.Response | None, named: str | None) -> Trust:
    """Whom the server at `url` trusts.

    `refused` is its answer to a request without a token, where there is one; `named` is the issuer that a
    user chose, and no other is taken.

    Raises:
        NoToken: Nobody that we may ask, and why.
    """
    published = await _published(web, url, refused)
    name, advertised = _chosen(url, published, named)
    resource = resource_url_from_server_url(url)
    if published is not None:
        said = str(published.resource)
        if not check_resource_allowed(requested_resource=resource, configured_resource=said):
            raise NoToken(f"its metadata speak of another resource ({said})")
        resource = said
    return Trust(resource, await find_issuer(web, name if advertised else None, url), published)


async def _published(web: Web, url: str, refused: httpx2.Response | None) -> ProtectedResourceMetadata | None:
    """What the server publishes of itself (RFC 9728); None where it publishes nothing."""
    hint = None if refused is None else extract_resource_metadata_from_www_auth(refused)
    if hint is not None and is_private(url) and not is_private(hint):
        raise NoToken("its metadata are said to be at plain http: anybody on the way could write them")
    for place in build_protected_resource_metadata_discovery_urls(hint, url):
        response = await web.send(_asking(place))
        if response.status_code >= 500 or response.status_code == 429:
            # It says nothing about whether there is something, so an older way must not be tried.
            raise NoToken(f"its metadata cannot be had: HTTP {response.status_code}", passing=True)
        found = await handle_protected_resource_response(response)
        if found is not None:
            return found
    return None


def _chosen(url: str, published: ProtectedResourceMetadata | None, named: str | None) -> tuple[str, bool]:
    """The issuer's name, and whether somebody named it: the server or the user."""
    if published is None:
        return (origin_of(url), False) if named is None else (named, True)
    advertised = [str(each) for each in published.authorization_servers]
    if named is None:
        return advertised[0], True
    if not any(issuers_match(each, named) for each in advertised):
        trusted = ", ".join(advertised[:3])
        raise NoToken(f"it trusts the issuer {trusted}, and is configured with {named}")
    return named, True


async def find_issuer(web: Web, name: str | None, url: str) -> Issuer:
    """An issuer with what it publishes; without a name the server's own origin, as before RFC 9728.

    Raises:
        NoToken: It cannot be had, or is not that issuer's.
    """
    expected = origin_of(url) if name is None else name
    if not is_private(expected):
        raise NoToken(f"the issuer {expected} {_READABLE}")
    for place in build_oauth_authorization_server_metadata_discovery_urls(name, url):
        response = await web.send(_asking(place))
        going, metadata = await handle_auth_metadata_response(response)
        if not going:
            raise NoToken(f"the issuer {expected} fails: HTTP {response.status_code}", passing=True)
        if metadata is not None:
            return _checked(metadata, expected)
    if name is not None:
        raise NoToken(f"the issuer {expected} publishes no metadata (RFC 8414)")
    return Issuer(expected, None)


def _asking(place: str) -> httpx2.Request:
    """A request for metadata; servers say themselves where these are."""
    try:
        return create_oauth_metadata_request(place)
    except (httpx2.InvalidURL, ValueError):
        raise NoToken("its metadata are said to be at what is no address") from None


def _checked(metadata: OAuthMetadata, expected: str) -> Issuer:
    """Metadata under one name that claim another mix up two servers (RFC 8414, 3.3)."""
    said = str(metadata.issuer)
    if not issuers_match(said, expected):
        raise NoToken(f"issuer mismatch: the metadata of {expected} say that they are of {said}")
    for name in _ENDPOINTS:
        there = cast("object", getattr(metadata, name))
        if there is not None and not is_private(str(there)):
            raise NoToken(f"the {name} of the issuer {expected} {_READABLE}")
    return Issuer(said.rstrip("/") if urlsplit(said).path == "/" else said, metadata)


def origin_of(url: str) -> str:
    """Scheme, host and port."""
    here = httpx2.URL(url)
    return str(here.copy_with(userinfo=b"", path="/", query=None, fragment=None)).rstrip("/")
