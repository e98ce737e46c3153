"""The servers of these tests are as they say: the SDK's own providers, not ours, get in by the same doors."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

from .conftest import MACHINE

pytestmark = [pytest.mark.anyio, pytest.mark.thirdparty, pytest.mark.timeout(300)]


class Kept:
    """A store of the SDK's kind."""

    def __init__(self):
        self.tokens = self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


async def who(url, auth):
    """Who the server says that we are."""
    async with (
        httpx2.AsyncClient(auth=auth, verify=False) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        return (await client.call_tool("who", {})).content[0].text


async def test_a_program_is_let_in_with_its_secret(oidc, site):
    server = site("one")["one"]
    auth = ClientCredentialsOAuthProvider(server.url, Kept(), **MACHINE, issuer=oidc.url)
    assert await who(server.url, auth) == "machine"
    assert [asked.resource for asked in oidc.tokens(ok=True)] == [[server.url]]
    assert [seen.status for seen in server.calls()] == [200]
    assert server.seen[0].status == 401


async def test_a_person_is_let_in_after_a_login(oidc, site, alice):
    server, links = site("one")["one"], []

    async def redirect(url):
        links.append(url)

    async def callback():
        back = await anyio.to_thread.run_sync(alice.browse, links[-1])
        said = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
        return AuthorizationCodeResult(code=said["code"], state=said["state"], iss=said["iss"])

    us = OAuthClientMetadata(redirect_uris=["http://127.0.0.1:1234/callback"])
    assert await who(server.url, OAuthClientProvider(server.url, us, Kept(), redirect, callback)) == "alice"
    assert oidc.logins == len(links) == len(oidc.tokens(ok=True)) == 1
