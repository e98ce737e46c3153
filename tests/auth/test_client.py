"""Logins as a client's verbs: servers connect once somebody has logged in, and what calls say until then.

The servers and their issuer are the SDK's own, on loopback.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import httpx2
import pytest
import uvicorn
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.server.mcpserver import MCPServer
from pydantic import AnyHttpUrl

import mcpnb
from mcpnb.auth import LoginRequest
from mcpnb.connection import Connection
from mcpnb.connection.faults import Fault
from mcpnb.model import Event

from .town import Clock, Issuer

pytestmark = pytest.mark.anyio

README = (Path(__file__).parent.parent.parent / "README.md").read_text()


class Quiet(uvicorn.Server):
    """A server in this loop that leaves the process's signals alone."""

    def capture_signals(self):
        return nullcontext()


class Site:
    """An MCP server that is its own issuer, and a person who logs in there."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.requests: list[LoginRequest] = []
        self.asked = asyncio.Event()
        self.willing = True
        self.url = ""

    async def log_in(self, request: LoginRequest) -> None:
        self.requests.append(request)
        self.asked.set()
        if self.willing:
            request.answer(await self.browse(request))

    async def browse(self, request: LoginRequest) -> str:
        async with httpx2.AsyncClient(verify=False) as browser:
            return (await browser.get(request.url)).headers["location"]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    site = Site(Issuer(Clock()))
    site.url = f"{url}/mcp"
    server = MCPServer(
        "guarded", log_level="ERROR", auth_server_provider=site.issuer,
        auth=AuthSettings(
            issuer_url=AnyHttpUrl(url), resource_server_url=AnyHttpUrl(site.url), required_scopes=["read"],
            validate_token_resource=True,
            client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=["read"]),
            revocation_options=RevocationOptions(enabled=True),
        ),
    )  # fmt: skip

    @server.tool()
    def secret() -> str:
        """Say what the token is."""
        return " ".join(site.issuer.access)

    config = uvicorn.Config(server.streamable_http_app(), log_level="error", timeout_graceful_shutdown=1)
    running = Quiet(config)
    task = asyncio.create_task(running.serve(sockets=[listening]))
    yield site
    running.should_exit = True
    await task


def client(site: Site, **options) -> mcpnb.MultiServerClient:
    return mcpnb.MultiServerClient({"a": site.url}, auth="oauth", **options)


async def test_connecting_does_not_wait_for_a_person_and_goes_on_once_he_has_logged_in(site: Site) -> None:
    site.willing = False
    told: list[Event] = []
    async with client(site, on_login=site.log_in) as fleet:
        fleet.on("auth", told.append)
        (status,) = fleet.servers()
        assert (status.state, "fleet.login('a')" in str(status.last_error)) == ("failed", True)
        for name in ("secret", "a:secret"):
            with pytest.raises(mcpnb.AuthError, match=r"fleet\.login\('a'\)"):
                await fleet.call(name)
        waiting = asyncio.create_task(fleet.login())
        await site.asked.wait()
        (request,) = fleet.login_requests()
        assert fleet.logins()[0].state == "logging_in"
        request.answer(await site.browse(request))
        (row,) = await waiting
        assert (row.state, row.server, row.scopes) == ("logged_in", "a", ("read",))
        assert (await fleet.call("secret")).text == next(iter(site.issuer.access))
        assert [event.data["state"] for event in told][-1] == "logged_in"
        (row,) = await fleet.logout("a")
        assert row.state == "logged_out"
        assert not site.issuer.access
        with pytest.raises(mcpnb.AuthError, match="logged out"):
            await fleet.call("secret")
        assert len(site.requests) == 1


async def test_a_server_that_is_just_giving_up_when_somebody_logs_in_connects_all_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged_in, give_up = asyncio.Event(), Connection._give_up

    async def give_up_late(link: Connection, fault: Fault) -> None:
        await logged_in.wait()
        await give_up(link, fault)

    monkeypatch.setattr(Connection, "_give_up", give_up_late)
    fleet = client(site, on_login=site.log_in)
    fleet.on("auth", lambda event: event.data["state"] == "logged_in" and logged_in.set())
    async with fleet:
        await fleet.login()
        assert (await fleet.call("secret")).text
    assert len(site.requests) == 1


async def test_a_server_that_lost_its_session_when_somebody_logs_in_takes_calls_after_that(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged_in, finished = asyncio.Event(), Connection._finished

    async def finish_late(link: Connection, tasks: set[asyncio.Task[None]]) -> None:
        if fleet.logins()[0].state != "logged_in":  # its attempt of before the login is just failing
            site.asked.set()
            await logged_in.wait()
        await finished(link, tasks)

    fleet = client(site, on_login=site.log_in)
    async with fleet:
        await fleet.login()
        monkeypatch.setattr(Connection, "_finished", finish_late)
        site.willing = False
        site.asked.clear()
        for given in (site.issuer.access, site.issuer.refresh):
            given.clear()
        fleet.on("auth", lambda event: event.data["state"] == "logged_in" and logged_in.set())
        link = fleet.members.connections["a"]
        link._current.lose(Fault("broken", "the server went away"), cut=True)
        await site.asked.wait()
        waiting = asyncio.create_task(fleet.login())
        while not fleet.login_requests():  # noqa: ASYNC110 - asked in a task of its own
            await asyncio.sleep(0.01)
        fleet.login_requests()[0].answer(await site.browse(fleet.login_requests()[0]))
        await waiting
        assert (await fleet.call("secret")).text
    assert len(site.requests) == 2


async def test_a_login_that_fails_is_an_error_that_says_why(site: Site) -> None:
    site.willing = False
    async with client(site, on_login=site.log_in) as fleet:
        waiting = asyncio.create_task(fleet.login("a"))
        await site.asked.wait()
        fleet.login_requests()[0].cancel()
        with pytest.raises(mcpnb.AuthError, match="given up"):
            await waiting
        assert fleet.logins()[0].state == "needs_login"
        with pytest.raises(mcpnb.ConfigError, match="no such server"):
            await fleet.login("b")


async def test_no_token_is_shown_kept_or_told_of(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    async with client(site, on_login=site.log_in) as fleet:
        await fleet.login()
        tokens = {*site.issuer.access, *site.issuer.refresh}
        seen = [
            fleet,
            fleet.configs,
            fleet.logins(),
            fleet.servers(),
            fleet.access,
            *fleet.members.connections.values(),
        ]
        said = (
            repr(seen) + json.dumps([[e.detail, repr(e.data)] for e in fleet.events.snapshot()]) + caplog.text
        )
        assert len(tokens) == 2
        assert not [token for token in tokens if token in said]


async def test_a_server_without_oauth_in_its_configuration_is_told_of_with_what_to_do(site: Site) -> None:
    async with mcpnb.MultiServerClient({"a": site.url}) as fleet:
        (status,) = fleet.servers()
        assert status.state == "failed"
        assert 'connect(..., auth="oauth")' in str(status.last_error)
        assert fleet.logins()[0].state == "none"
        with pytest.raises(mcpnb.ConfigError, match="OAuth is not configured"):
            await fleet.login("a")


async def test_a_client_that_takes_the_place_of_another_goes_on_with_its_logins(site: Site) -> None:
    async with client(site, on_login=site.log_in) as before:
        await before.login()
    after = client(site, on_login=site.log_in)
    after.access.inherit(before.access)
    async with after:
        assert (await after.call("secret")).text
    assert len(site.requests) == 1


def test_rows_of_servers_that_need_no_login() -> None:
    fleet = mcpnb.MultiServerClient({})
    assert fleet.logins() == []
    assert fleet.login_requests() == ()
    with pytest.raises(TypeError, match="on_login must be callable"):
        mcpnb.MultiServerClient({}, on_login="somebody")  # type: ignore[arg-type]
    with pytest.raises(mcpnb.ConfigError, match="no store of tokens"):
        mcpnb.MultiServerClient({}, tokens=5)  # type: ignore[arg-type]


async def test_the_readme_s_lines_log_in_as_they_stand(site: Site, tmp_path: Path, monkeypatch) -> None:
    (shown,) = re.findall(r"```python\n(fleet = mcpnb.connect\([^`]+?fleet\.logins.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    issuer = site.url.removesuffix("mcp")
    shown = shown.replace('"https://login.example.org"', f'"{issuer}"')
    shown = shown.replace("https://crm.example.org/mcp", site.url)
    shown = shown.replace("https://wiki.example.org/mcp", site.url)
    shown = shown.replace("tokens=", "on_login=log_in, tokens=")
    names: dict[str, object] = {"mcpnb": mcpnb, "log_in": site.log_in}
    await asyncio.to_thread(exec, compile(shown, "README.md", "exec"), names)
    try:
        assert list(names["fleet"].logins["state"]) == ["logged_in"] * 2
        assert len(site.requests) == 1
    finally:
        await asyncio.to_thread(names["fleet"].close)
    assert (tmp_path / "tokens.json").stat().st_mode & 0o777 == 0o600
