"""Logins and tokens: who gets which, when they are renewed, and that nothing goes on for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from mcp.shared.auth import OAuthClientInformationFull as Registered

from mcpnb.auth.file_store import FileTokens
from mcpnb.auth.listener import Listener
from mcpnb.auth.refusal import NoToken
from mcpnb.config import OAuth

from .town import ISSUER, Clock, Guests, Issuer, Town, until

pytestmark = pytest.mark.anyio

NAMED = OAuth(issuer=ISSUER)


def sent(town: Town, host: str) -> list[str]:
    """The tokens that a server was shown."""
    asked = (r for r in town.asked if r.url.host == f"{host}.test" and r.url.path == "/mcp")
    return [r.headers.get("authorization", "").removeprefix("Bearer ") for r in asked]


async def refused(guests: Guests, name: str, auth: OAuth | None = None) -> NoToken:
    with pytest.raises(NoToken) as caught:
        await guests.get(name, auth)
    return caught.value


async def test_a_login_brings_a_token_by_a_registration_and_pkce(guests: Guests, town: Town) -> None:
    await guests.log_in("a")
    assert (await guests.get("a")).text == "a"
    row = guests.row("a")
    assert (row.state, row.issuer, row.scopes, row.refreshable) == ("logged_in", ISSUER, ("read",), True)
    assert row.client in town.issuer.clients
    assert row.expires_at == guests.clock() + 3600
    (request,) = guests.requests
    assert (request.server, request.issuer, request.state) == ("a", ISSUER, "logged_in")
    assert "code_challenge_method=S256" in request.url
    assert "resource=https%3A%2F%2Fa.test%2Fmcp" in request.url


async def test_nobody_logged_in_asks_the_person_once_and_says_what_to_do(guests: Guests) -> None:
    guests.willing = False
    for _ in range(3):
        error = await refused(guests, "a")
        assert error.login
        assert "fleet.login('a')" in error.reason
    await until(lambda: guests.requests)
    assert guests.row("a").state == "logging_in"
    (request,) = guests.requests
    request.cancel()
    await request.wait()
    await until(lambda: guests.row("a").state != "logging_in")
    assert "given up" in (await refused(guests, "a")).reason
    assert len(guests.requests) == 1, "who said no is not asked again"
    assert guests.row("a").state == "needs_login"


async def test_with_nobody_to_ask_it_says_so(town: Town, clock: Clock) -> None:
    guests = Guests(town, clock, alone=True)
    assert (await refused(guests, "a")).login
    with pytest.raises(NoToken, match="on_login="):
        await guests.log_in("a")
    assert guests.row("a").state == "needs_login"
    await guests.close()


async def test_servers_of_a_named_issuer_share_login_and_token(guests: Guests, town: Town) -> None:
    await guests.log_in("a", NAMED)
    assert [(await guests.get(name, NAMED)).text for name in "abc"] == ["a", "b", "c"]
    assert {token for name in "abc" for token in sent(town, name)} - {""} == set(town.issuer.access)
    assert town.grants() == {"authorization_code": 1}
    assert len(guests.requests) == 1


async def test_what_only_a_server_says_of_its_issuer_gets_it_no_token_of_another(
    guests: Guests, town: Town
) -> None:
    await guests.log_in("a")
    assert [(await guests.get(name)).text for name in "ab"] == ["a", "b"]
    assert set(sent(town, "a")) & set(sent(town, "b")) <= {""}
    assert town.grants() == {"authorization_code": 1, "refresh_token": 1}
    assert len(guests.requests) == 1


async def test_a_named_issuer_does_not_help_a_server_for_which_nobody_named_it(
    guests: Guests, town: Town
) -> None:
    await guests.log_in("a", OAuth(client_id=None, issuer=ISSUER))
    assert (await guests.get("a", NAMED)).text == "a"
    assert (await guests.get("b", OAuth())).text == "b"
    assert set(sent(town, "a")) & set(sent(town, "b")) <= {""}


async def test_a_server_that_refuses_the_shared_token_gets_one_for_itself(
    guests: Guests, town: Town, issuer: Issuer
) -> None:
    url = town.build("b", audience=True)
    refresh = issuer.exchange_refresh_token

    async def for_its_resource(client, refresh_token, scopes):
        return await refresh(client, refresh_token.model_copy(update={"resource": url}), scopes)

    issuer.exchange_refresh_token = for_its_resource  # type: ignore[method-assign]
    await guests.log_in("a", NAMED)
    assert (await guests.get("a", NAMED)).text == "a"
    assert (await guests.get("b", NAMED)).text == "b"
    assert (await guests.get("b", NAMED)).text == "b"
    assert (await guests.get("a", NAMED)).text == "a"
    assert town.grants() == {"authorization_code": 1, "refresh_token": 1}
    assert len(guests.requests) == 1


async def test_an_issuer_that_binds_logins_to_resources_is_asked_in_vain_once(
    guests: Guests, town: Town
) -> None:
    await guests.log_in("a")
    await guests.get("a")
    refusal = {"error": "invalid_target"}
    town.answers["login.test", "/token"] = lambda r: httpx2.Response(400, json=refusal, request=r)
    guests.willing = False
    for name in ("b", "c", "b"):
        assert (await refused(guests, name)).login
    del town.answers["login.test", "/token"]
    assert town.grants()["refresh_token"] == 1
    assert (await guests.get("a")).text == "a", "the token it has stays"
    for _ in range(2):  # one after the other
        await until(guests.logins.requests)
        (request,) = guests.logins.requests()
        request.answer(await guests.browse(request))
        await request.wait()
    assert [(await guests.get(name)).text for name in "abc"] == ["a", "b", "c"]
    assert len(guests.requests) == 3


# -- time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lifetime", [4, 60, 3600])
async def test_a_token_is_renewed_before_it_ends_beside_the_requests(
    guests: Guests, town: Town, clock: Clock, issuer: Issuer, lifetime: int
) -> None:
    issuer.lifetime = lifetime
    await guests.log_in("a")
    await guests.get("a")
    clock.now += lifetime - min(30, lifetime * 0.2) - 0.01
    await guests.get("a")
    assert town.grants()["refresh_token"] == 0
    clock.now += 0.02
    before = len(town.asked)
    town.gate = asyncio.Event()
    assert (await guests.get("a")).text == "a", "it goes on with the token there is"
    await town.waiting.wait()
    town.gate.set()
    await until(lambda: guests.row("a").expires_at == clock() + lifetime)
    await guests.get("a")
    assert town.grants()["refresh_token"] == 1
    assert len(town.asked) == before + 3, "the server never refused a token"


async def test_fifty_callers_of_three_servers_share_one_renewal(
    guests: Guests, town: Town, clock: Clock
) -> None:
    await guests.log_in("a", NAMED)
    for name in "abc":
        await guests.get(name, NAMED)
    clock.now += 3600
    town.gate = asyncio.Event()
    calls = [asyncio.create_task(guests.get("abc"[i % 3], NAMED)) for i in range(50)]
    await town.waiting.wait()
    calls[0].cancel()
    town.gate.set()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert all(isinstance(a, httpx2.Response) and a.status_code == 200 for a in answers[1:])
    assert town.grants()["refresh_token"] == 1


async def test_a_token_that_is_revoked_is_replaced_once_for_all(
    guests: Guests, town: Town, issuer: Issuer
) -> None:
    await guests.log_in("a", NAMED)
    for name in "abc":
        await guests.get(name, NAMED)
    issuer.access.clear()
    answers = await asyncio.gather(*(guests.get("abc"[i % 3], NAMED) for i in range(30)))
    assert all(answer.status_code == 200 for answer in answers)
    assert town.grants()["refresh_token"] == 1


async def test_a_refresh_token_that_does_not_change_stays(
    guests: Guests, town: Town, clock: Clock, issuer: Issuer
) -> None:
    issuer.rotates = False
    await guests.log_in("a")
    for n in range(1, 4):
        clock.now += 3600
        assert (await guests.get("a")).text == "a"
        assert town.grants()["refresh_token"] == n


async def test_without_a_refresh_token_the_end_of_the_token_is_a_new_login(
    guests: Guests, town: Town, clock: Clock, issuer: Issuer
) -> None:
    issuer.refreshes = False
    await guests.log_in("a")
    await guests.get("a")
    assert not guests.row("a").refreshable
    clock.now += 3601
    assert (await refused(guests, "a")).login
    await guests.log_in("a")
    assert (await guests.get("a")).text == "a"
    assert town.grants() == {"authorization_code": 2}


async def test_an_expired_refresh_token_asks_the_person_again_by_itself(
    guests: Guests, clock: Clock, issuer: Issuer
) -> None:
    await guests.log_in("a")
    await guests.get("a")
    issuer.refresh.clear()
    clock.now += 3601
    error = await refused(guests, "a")
    assert "fleet.login('a')" in error.reason
    assert "invalid_grant" in error.reason
    await until(lambda: guests.row("a").state == "logged_in")
    assert (await guests.get("a")).text == "a"
    assert len(guests.requests) == 2


async def test_a_server_that_refuses_every_token_is_asked_a_bounded_number_of_times(
    guests: Guests, town: Town
) -> None:
    await guests.log_in("a")
    town.answers["a.test", "/mcp"] = lambda request: httpx2.Response(401, request=request)
    for n in range(1, 4):
        error = await refused(guests, "a")
        assert "refuses a token" in error.reason
        assert not error.login
        assert len(sent(town, "a")) <= 3 * n
        assert town.grants()["refresh_token"] <= 2 * n
    assert len(guests.requests) == 1


async def test_an_issuer_that_is_down_is_no_reason_to_log_in(
    guests: Guests, town: Town, clock: Clock
) -> None:
    await guests.log_in("a")
    await guests.get("a")
    town.answers["login.test", "/token"] = lambda r: httpx2.Response(
        503, headers={"retry-after": "7"}, request=r
    )
    clock.now += 3580
    assert (await guests.get("a")).text == "a", "the token there is is good for a while yet"
    clock.now += 30
    error = await refused(guests, "a")
    assert (error.passing, error.login, error.retry_after) == (True, False, 7.0)
    assert guests.row("a").state == "logged_in"
    del town.answers["login.test", "/token"]
    assert (await guests.get("a")).text == "a"
    assert len(guests.requests) == 1


# -- scope -----------------------------------------------------------------------------------------------


async def test_a_server_that_wants_more_scope_leads_to_one_login_that_asks_for_both(
    guests: Guests, town: Town
) -> None:
    town.build("a", needs="write")
    guests.willing = False
    await asyncio.gather(guests.log_in("a"), _willing(guests))
    error = await refused(guests, "a")
    assert (error.narrow, error.login) == (True, True)
    assert "write" in error.reason
    await until(lambda: len(guests.requests) == 2)
    request = guests.requests[-1]
    assert request.scopes == ("read", "write")
    request.answer(await guests.browse(request))
    await request.wait()
    assert (await guests.get("a")).text == "a"
    assert guests.row("a").scopes == ("read", "write")


async def _willing(guests: Guests) -> None:
    await until(lambda: guests.requests)
    guests.requests[-1].answer(await guests.browse(guests.requests[-1]))


async def test_scope_that_is_not_granted_is_an_error_and_no_further_login(
    guests: Guests, town: Town, issuer: Issuer
) -> None:
    town.build("a", needs="write")
    issuer.grants = lambda scopes: [scope for scope in scopes if scope != "write"]
    await guests.log_in("a")
    await refused(guests, "a")
    await until(lambda: guests.row("a").state == "logged_in" and len(guests.requests) == 2)
    for _ in range(3):
        error = await refused(guests, "a")
        assert "has not granted it" in error.reason
        assert not error.login
    assert len(guests.requests) == 2


# -- origins and issuers ---------------------------------------------------------------------------------


async def test_no_token_goes_to_another_origin(guests: Guests, town: Town) -> None:
    await guests.log_in("a")
    flow = guests.logins.flow(guests.config("a"))
    assert flow is not None
    await guests.client.get("https://b.test/mcp", auth=flow)
    assert sent(town, "b") == [""]


@pytest.mark.parametrize("path", ["/token", "/register"])
async def test_what_an_issuer_redirects_elsewhere_is_not_sent_there(
    guests: Guests, town: Town, path: str
) -> None:
    town.answers["login.test", path] = lambda r: httpx2.Response(
        307, headers={"location": f"https://evil.test{path}"}, request=r
    )
    with pytest.raises(NoToken, match=r"redirects to https://evil\.test.*not followed"):
        await guests.log_in("a")
    assert not any(request.url.host == "evil.test" for request in town.asked)


async def test_a_redirect_within_the_issuer_is_followed(guests: Guests, town: Town) -> None:
    well_known = "/.well-known/oauth-authorization-server"
    town.answers["login.test", well_known] = lambda r: httpx2.Response(
        307, headers={"location": f"{well_known}?again"}, request=r
    ) if not r.url.query else _metadata(r)  # fmt: skip
    await guests.log_in("a")
    assert (await guests.get("a")).text == "a"


def _metadata(request: httpx2.Request, issuer: str = ISSUER, **more: object) -> httpx2.Response:
    ends = {f"{name}_endpoint": f"{ISSUER}/{path}" for name, path in
            (("authorization", "authorize"), ("token", "token"), ("registration", "register"))}  # fmt: skip
    return httpx2.Response(200, json={"issuer": issuer, **ends, **more}, request=request)


async def test_metadata_of_another_issuer_are_refused(guests: Guests, town: Town) -> None:
    well_known = "/.well-known/oauth-authorization-server"
    town.answers["login.test", well_known] = lambda r: _metadata(r, "https://evil.test")
    with pytest.raises(NoToken, match="issuer mismatch"):
        await guests.log_in("a")
    assert (await refused(guests, "a")).reason == guests.row("a").error
    assert town.count("/register") == town.count("/token") == 0


@pytest.mark.parametrize("place", ["http://login.test", "http://127.0.0.1.login.test", "http://10.0.0.7:1"])
async def test_an_issuer_at_plain_http_on_another_computer_is_asked_for_nothing(
    guests: Guests, town: Town, place: str
) -> None:
    town.build("a", issuer=place)
    with pytest.raises(NoToken, match=rf"the issuer {place}/? is at plain http"):
        await guests.log_in("a")
    assert not any(request.url.host != "a.test" for request in town.asked)
    assert not (await refused(guests, "a")).passing


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "registration_endpoint"])
async def test_an_issuer_with_an_endpoint_at_plain_http_is_sent_nothing(
    guests: Guests, town: Town, name: str
) -> None:
    well_known = "/.well-known/oauth-authorization-server"
    plain = {name: "http://login.test/x"}
    town.answers["login.test", well_known] = lambda r: _metadata(r, **plain)
    with pytest.raises(NoToken, match=f"the {name} of the issuer {ISSUER}/? is at plain http"):
        await guests.log_in("a")
    assert town.count("/x") == town.count("/register") == 0


async def test_a_secured_server_whose_metadata_are_said_to_be_at_plain_http_is_not_followed_there(
    guests: Guests, town: Town
) -> None:
    challenge = {"WWW-Authenticate": 'Bearer resource_metadata="http://a.test/elsewhere"'}
    town.answers["a.test", "/mcp"] = lambda r: httpx2.Response(401, headers=challenge, request=r)
    assert "at plain http" in (await refused(guests, "a")).reason
    assert town.count("/elsewhere", "a.test") == 0


async def test_a_server_that_trusts_another_issuer_than_was_named_gets_nothing(
    guests: Guests, town: Town
) -> None:
    town.build("a", issuer="https://evil.test")
    error = await refused(guests, "a", OAuth(issuer=ISSUER, client_id="x", client_secret="s3cr3t-4711"))
    assert "trusts the issuer https://evil.test/, and is configured with" in error.reason
    assert not any(request.url.host in {"evil.test", "login.test"} for request in town.asked)


async def test_a_login_that_comes_back_from_another_issuer_is_refused(guests: Guests, town: Town) -> None:
    guests.willing = False
    login = asyncio.create_task(guests.log_in("a"))
    await until(lambda: guests.requests)
    there = await guests.browse(guests.requests[0])
    guests.requests[0].answer(f"{there}&iss=https%3A%2F%2Fevil.test")
    with pytest.raises(NoToken, match="RFC 9207"):
        await login
    assert town.count("/token") == 0


async def test_an_issuer_that_gives_no_bearer_token_is_told_of_without_what_it_gave(
    guests: Guests, town: Town
) -> None:
    for body in (
        b'{"access_token": "tok-4711", "token_type": "DPoP"}',
        b"tok-4711",
        b'{"access_token": "a\\r\\nb"}',
    ):
        town.answers["login.test", "/token"] = lambda r, body=body: httpx2.Response(
            200, content=body, request=r
        )
        with pytest.raises(NoToken, match="no bearer token") as caught:
            await guests.log_in("a")
        assert "tok-4711" not in str(caught.value)


# -- other ways to be known to an issuer ----------------------------------------------------------------


DOCUMENT = "https://here.example/mcpnb.json"


@pytest.mark.parametrize("reads", [True, False])
async def test_a_client_that_a_document_describes_registers_only_where_that_is_not_read(
    guests: Guests, town: Town, issuer: Issuer, reads: bool
) -> None:
    well_known = "/.well-known/oauth-authorization-server"
    told = {"client_id_metadata_document_supported": reads, "token_endpoint_auth_methods_supported": ["none"]}
    town.answers["login.test", well_known] = lambda r: _metadata(r, **told)
    known = issuer.get_client

    async def get_client(client_id: str):
        if client_id != DOCUMENT:
            return await known(client_id)
        asked = parse_qs(urlsplit(guests.requests[-1].url).query)
        return Registered(
            client_id=DOCUMENT, redirect_uris=asked["redirect_uri"], token_endpoint_auth_method="none",
            scope="read",
        )  # fmt: skip

    issuer.get_client = get_client  # type: ignore[method-assign]
    auth = OAuth(client_metadata_url=DOCUMENT)
    await guests.log_in("a", auth)
    guests.clock.now += 3601
    assert (await guests.get("a", auth)).text == "a"
    assert town.grants() == {"authorization_code": 1, "refresh_token": 1}
    assert town.count("/register") == (0 if reads else 1)
    assert (guests.row("a", auth).client == DOCUMENT) is reads


async def test_a_client_with_a_key_signs_the_login_of_a_person_and_every_renewal(
    guests: Guests, town: Town, issuer: Issuer
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    async with await Listener.open() as listener:
        here = listener.redirect_uri
    issuer.clients["signer"] = Registered(
        client_id="signer", redirect_uris=[here], scope="read", token_endpoint_auth_method="none"
    )
    auth = OAuth(client_id="signer", private_key=pem, redirect_uri=here)
    await guests.log_in("a", auth)
    guests.clock.now += 3601
    assert (await guests.get("a", auth)).text == "a"
    asked = [parse_qs(each.content.decode()) for each in town.asked if each.url.path == "/token"]
    assert [each["grant_type"] for each in asked] == [["authorization_code"], ["refresh_token"]]
    for each in asked:
        said = jwt.decode(each["client_assertion"][0], key.public_key(), ["ES256"], audience=f"{ISSUER}/")
        assert (said["iss"], said["sub"]) == ("signer", "signer")
    assert "code_verifier" in asked[0]
    assert pem not in repr([town.asked, guests.told])


# -- more than one process -------------------------------------------------------------------------------


async def test_another_process_finds_the_login_and_of_two_one_renews(
    town: Town, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "tokens.json"
    one, two = (Guests(town, clock, store=FileTokens(path)) for _ in range(2))
    await one.log_in("a", NAMED)
    assert (await one.get("a", NAMED)).text == (await two.get("a", NAMED)).text == "a"
    clock.now += 3600
    answers = await asyncio.gather(*(g.get("a", NAMED) for g in (one, two) * 5))
    assert {answer.status_code for answer in answers} == {200}
    assert town.grants() == {"authorization_code": 1, "refresh_token": 1}
    assert (one.requests, len(two.requests)) == (one.requests[:1], 0)
    await one.close()
    await two.close()


async def test_logging_out_gives_everything_back_and_asks_nobody(
    guests: Guests, town: Town, issuer: Issuer
) -> None:
    await guests.log_in("a", NAMED)
    for name in "ab":
        await guests.get(name, NAMED)
    given = {*issuer.access, *issuer.refresh}
    assert set(await guests.logins.log_out("a")) == {"a", "b"}
    assert set(issuer.revoked) == given
    error = await refused(guests, "b", NAMED)
    assert "logged out" in error.reason
    assert {guests.row(name, NAMED).state for name in "ab"} == {"logged_out"}
    assert len(guests.requests) == 1
    await guests.log_in("b", NAMED)
    assert (await guests.get("a", NAMED)).text == "a"
    assert town.count("/register") == 1, "the registration was kept"


async def test_what_happens_is_told_without_tokens(guests: Guests, issuer: Issuer) -> None:
    await guests.log_in("a")
    await guests.get("a")
    await guests.logins.log_out("a")
    assert [told.state for told in guests.told] == ["logging_in", "logged_in", "logged_out"]
    said = repr(
        [guests.told, guests.requests, guests.row("a"), guests.logins, *guests.logins._logins.values()]
    )
    for token in (*issuer.revoked, *(c.client_secret or "-" * 20 for c in issuer.clients.values())):
        assert token not in said
