"""People who log in with a browser, at real authorization servers; the tests are person and browser."""

from __future__ import annotations

import threading

import pytest

import mcpnb
from mcpnb import OAuth

from .conftest import ask, eventually, state
from .own_routes import own_server
from .person import Person

pytestmark = [pytest.mark.thirdparty, pytest.mark.timeout(300)]

NOTEBOOK = "notebook"
"""A client that oidc-provider knows already."""


def by(person: Person):
    """An `on_login` that has this person log in."""
    return lambda request: person.open(request.url)


def failing(fleet: mcpnb.Fleet, server: str | None = None) -> str:
    """Log in in vain; what was said."""
    with pytest.raises(mcpnb.AuthError) as caught:
        fleet.login(server)
    return str(caught.value)


# -- one login for many ------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False], ids=["the issuer named", "whom the servers trust"])
def test_one_login_serves_three_servers_of_one_issuer(oidc, site, connect, alice, named):
    servers = site("one", "two", "three", shared=True)
    auth = OAuth(client_id=NOTEBOOK, issuer=oidc.url) if named else "oauth"
    fleet = connect(servers, auth=auth, on_login=by(alice))
    fleet.login()
    assert [ask(fleet, name) for name in servers.servers] == ["alice"] * 3
    assert (len(alice.opened), oidc.logins, len(oidc.tokens())) == (1, 1, 1)
    assert sum(asked.route == "registration" for asked in oidc.log) == (0 if named else 1)
    assert list(fleet.logins["state"]) == ["logged_in"] * 3
    assert all(fleet.logins["refreshable"])


def test_one_login_serves_servers_of_different_origins_where_tokens_are_for_all(oidc, site, connect, alice):
    sites = [site(name, any_audience=True) for name in ("one", "two", "three")]
    fleet = connect(*sites, auth=OAuth(client_id=NOTEBOOK, issuer=oidc.url), on_login=by(alice))
    fleet.login()
    assert [ask(fleet, name) for name in ("one", "two", "three")] == ["alice"] * 3
    assert (len(alice.opened), oidc.logins, len(oidc.tokens())) == (1, 1, 1)


@pytest.mark.parametrize("named", [True, False], ids=["the issuer named", "whom the servers trust"])
def test_the_name_is_typed_once_where_each_server_wants_a_token_of_its_own(oidc, site, connect, alice, named):
    sites = [site(name) for name in ("one", "two", "three")]
    auth = OAuth(client_id=NOTEBOOK, issuer=oidc.url if named else None)
    fleet = connect(*sites, auth=auth, on_login=by(alice))
    fleet.login()
    assert [ask(fleet, name) for name in ("one", "two", "three")] == ["alice"] * 3
    assert len(alice.opened) <= 3
    assert len(oidc.tokens(ok=True)) == 3
    for each in sites:
        for server in each.servers.values():
            assert all(seen.status == 200 for seen in server.calls())


def test_a_second_fleet_finds_the_login_in_the_file(oidc, site, connect, alice, tmp_path):
    servers, path = site("one", shared=True), tmp_path / "tokens"
    auth = OAuth(client_id=NOTEBOOK, issuer=oidc.url)
    with connect(servers, auth=auth, tokens=path, on_login=by(alice)) as fleet:
        fleet.login()
        assert ask(fleet, "one") == "alice"
    again = connect(servers, auth=auth, tokens=path)
    assert ask(again, "one") == "alice"
    assert (len(alice.opened), len(oidc.tokens())) == (1, 1)


def test_a_client_with_a_key_has_a_person_log_in_renews_and_logs_out(oidc, site, connect, alice, pem):
    oidc.set(format="opaque")
    auth = OAuth(client_id="keyholder", private_key=pem, issuer=oidc.url)
    servers = site("one", introspects=True)
    fleet = connect(servers, auth=auth, on_login=by(alice))
    fleet.login()
    assert ask(fleet, "one") == "alice"
    servers["one"].refused |= set(servers["one"].tokens)
    assert ask(fleet, "one") == "alice"
    assert len(oidc.refreshes(ok=True)) == 1
    fleet.logout()
    assert {asked.status for asked in oidc.log if asked.route in {"token", "revocation"}} == {200}
    assert {asked.client for asked in oidc.tokens()} == {"keyholder"}


def test_logging_out_gives_the_tokens_back_to_the_issuer(oidc, site, connect, alice):
    oidc.set(format="opaque")
    servers = site("one", "two", shared=True, introspects=True)
    fleet = connect(servers, auth=OAuth(client_id=NOTEBOOK, issuer=oidc.url), on_login=by(alice))
    fleet.login()
    assert ask(fleet, "one") == "alice"
    fleet.logout("one")
    assert set(fleet.logins["state"]) == {"logged_out"}
    assert sum(asked.route == "revocation" for asked in oidc.log) in (1, 2)
    with pytest.raises(mcpnb.McpnbError):
        ask(fleet, "two")
    assert len(alice.opened) == 1, "nobody is asked after he said that he is done"
    fleet.login()
    assert ask(fleet, "two") == "alice"
    assert len(alice.opened) == 2


# -- logins that fail ----------------------------------------------------------------------------------------


def test_nobody_there_to_log_in_is_an_error_that_says_what_to_do(oidc, site, connect):
    fleet = connect(site("one"), auth="oauth")
    assert state(fleet, "one") == "failed"
    with pytest.raises(mcpnb.McpnbError, match=r"fleet\.login\('one'\)"):
        ask(fleet, "one")
    assert oidc.tokens() == []
    assert list(fleet.logins["state"]) == ["needs_login"]


def test_a_person_who_says_no_is_not_asked_again(oidc, site, connect):
    person = Person(refuses=True)
    fleet = connect(site("one"), auth=OAuth(client_id=NOTEBOOK), on_login=by(person))
    eventually(lambda: not fleet.client.login_requests() and list(fleet.logins["state"]) == ["needs_login"])
    for _ in range(3):
        with pytest.raises(mcpnb.McpnbError, match="the person said no"):
            ask(fleet, "one")
    assert len(person.opened) == 1
    assert "the person said no" in failing(fleet, "one")
    assert len(person.opened) == 2
    assert oidc.tokens() == []


@pytest.mark.parametrize(("registration", "asked"), [("refused", 1), ("absent", 0)])
def test_an_issuer_that_registers_nobody_is_told_with_what_to_do(
    oidc, site, connect, alice, registration, asked
):
    oidc.set(registration=registration)
    fleet = connect(site("one"), auth="oauth", on_login=by(alice))
    eventually(lambda: list(fleet.logins["state"]) == ["needs_login"])
    for _ in range(3):
        with pytest.raises(mcpnb.McpnbError):
            ask(fleet, "one")
    assert sum(each.path == "/reg" for each in oidc.log) <= asked
    assert "client_id" in failing(fleet)
    assert sum(each.path == "/reg" for each in oidc.log) <= 2 * asked
    assert alice.opened == []


def test_a_callback_with_another_state_is_not_taken_and_the_login_goes_on(oidc, site, connect, alice):
    arrived, forged = threading.Event(), Person("mallory")
    forged.forge = {"state": "another-login"}

    def both(request):
        forged.open(request.url)
        assert not request.done
        arrived.set()
        alice.open(request.url)

    fleet = connect(site("one"), auth=OAuth(client_id=NOTEBOOK), on_login=both)
    fleet.login()
    assert arrived.is_set()
    assert ask(fleet, "one") == "alice"
    assert len(oidc.tokens()) == 1


@pytest.mark.parametrize("iss", ["http://127.0.0.1:9/mallory", None], ids=["another", "none"])
def test_a_callback_of_another_issuer_gets_no_token_for_its_code(oidc, site, connect, alice, iss):
    """RFC 9207: else a code could be carried from one issuer to another."""
    alice.forge = {"iss": iss}
    fleet = connect(site("one"), auth=OAuth(client_id=NOTEBOOK), on_login=by(alice))
    eventually(lambda: list(fleet.logins["state"]) == ["needs_login"])
    with pytest.raises(mcpnb.McpnbError):
        ask(fleet, "one")
    assert oidc.tokens() == []
    assert "issuer" in failing(fleet)
    assert oidc.tokens() == []
    assert len(alice.opened) == 2


def test_a_code_that_the_issuer_does_not_know_is_an_error(oidc, site, connect, alice):
    alice.forge = {"code": "made-up-code-6Hq2"}
    fleet = connect(site("one"), auth=OAuth(client_id=NOTEBOOK), on_login=by(alice))
    eventually(lambda: list(fleet.logins["state"]) == ["needs_login"])
    said = failing(fleet)
    assert "invalid_grant" in said
    assert "6Hq2" not in said
    assert len(oidc.tokens(ok=False)) == len(alice.opened) <= 2


# -- scopes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client_id", [NOTEBOOK, None], ids=["a known client", "a registered one"])
def test_a_tool_that_needs_more_scope_works_after_a_login_that_asks_for_it(
    oidc, site, connect, alice, client_id
):
    servers = site("one")
    servers["one"].demands["write"] = "mcp:write"
    fleet = connect(servers, auth=OAuth(client_id=client_id), on_login=by(alice))
    fleet.login()
    assert ask(fleet, "one") == "alice"
    with pytest.raises(mcpnb.AuthError, match="mcp:write"):
        ask(fleet, "one", "write", text="x")
    assert ask(fleet, "one") == "alice", "the token there is still does for the rest"
    fleet.login("one")
    assert ask(fleet, "one", "write", text="x") == "one wrote x"
    assert len(alice.opened) == 2
    assert fleet.logins["scopes"].iloc[0].split() == ["mcp:read", "mcp:write"]


def test_a_scope_that_is_never_granted_is_an_error_each_time_and_no_loop(oidc, site, connect, alice):
    oidc.set(grants="mcp:read")
    servers = site("one")
    servers["one"].demands["write"] = "mcp:write"
    fleet = connect(servers, auth=OAuth(client_id=NOTEBOOK), on_login=by(alice))
    fleet.login()
    for _ in range(3):
        with pytest.raises(mcpnb.AuthError, match="mcp:write"):
            ask(fleet, "one", "write", text="x")
    opened = len(alice.opened)
    assert opened <= 2
    fleet.login("one")
    with pytest.raises(mcpnb.AuthError, match="mcp:write"):
        ask(fleet, "one", "write", text="x")
    assert len(alice.opened) <= opened + 2
    assert len(oidc.tokens()) <= 2 * len(alice.opened)
    assert len(servers["one"].calls(ok=False)) <= 8


# -- other issuers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("published", [True, False], ids=["RFC 9728", "before it"])
def test_a_server_that_is_its_own_issuer(street, alice, published):
    """The SDK's routes: registration, login, refresh, revocation."""
    with (
        own_server(street, published=published) as (url, house),
        mcpnb.connect({"own": url}, auth="oauth", on_login=by(alice)) as fleet,
    ):
        fleet.login()
        assert ask(fleet, "own") == "bob"
        house.access.clear()
        assert ask(fleet, "own") == "bob"
        assert house.given == ["authorization_code", "refresh_token"]
        assert len(house.clients) == 1
        fleet.logout()
        assert house.refreshing == {}


def test_a_refresh_token_that_is_not_replaced_is_used_again(mock, site, connect, alice):
    servers = site("one", issuer=mock.url, any_audience=True)
    mock.set(claims={"scope": "mcp:read"})
    fleet = connect(servers, auth=OAuth(client_id="any", issuer=mock.url), on_login=by(alice))
    fleet.login()
    mock.set(body={"refresh_token": None})
    for _ in range(2):
        mock.set(claims={"scope": "mcp:read", "jti": str(len(mock.tokens()))})
        servers["one"].refused.update(servers["one"].tokens)
        assert ask(fleet, "one") == "johndoe"
    assert len(mock.refreshes(ok=True)) == 2
    assert len(alice.opened) == 1
