"""Programs that log in by themselves, with a secret or a key, at real authorization servers."""

from __future__ import annotations

from pathlib import Path

import pytest

import mcpnb
from mcpnb import OAuth

from .conftest import MACHINE, ask, state

pytestmark = [pytest.mark.thirdparty, pytest.mark.timeout(300)]

FEW = 4
"""Token requests: more than this, at an issuer that says no, is the beginning of a loop."""


def machine(issuer: str, **changes: object) -> OAuth:
    return OAuth(**{"grant": "client_credentials", "issuer": issuer, **MACHINE, **changes})


def fails(fleet: mcpnb.Fleet, *servers: str, times: int = 2) -> list[str]:
    """Call in vain; what was said."""
    said = []
    for server in servers * times:
        with pytest.raises(mcpnb.McpnbError) as caught:
            ask(fleet, server)
        said.append(str(caught.value))
    return said


def test_a_secret_gets_one_token_for_three_servers_of_one_issuer(oidc, site, connect):
    servers = site("one", "two", "three", shared=True)
    fleet = connect(servers, auth=machine(oidc.url))
    assert [ask(fleet, name) for name in servers.servers] == ["machine"] * 3
    assert len(oidc.tokens()) == 1
    assert [len(server.tokens) for server in servers.servers.values()] == [1, 1, 1]
    rows = fleet.logins
    assert list(rows["state"]) == ["logged_in"] * 3
    assert set(rows["issuer"]) == {oidc.url}
    assert set(rows["client"]) == {"machine"}


@pytest.mark.parametrize("given", ["text", "file"])
def test_a_private_key_is_as_good_as_a_secret(oidc, site, connect, pem, tmp_path: Path, given):
    """private_key_jwt: the key itself never leaves."""
    path = tmp_path / "key.pem"
    path.write_text(pem)
    auth = OAuth(
        grant="client_credentials",
        client_id="signer",
        private_key=pem if given == "text" else str(path),
        issuer=oidc.url,
    )
    servers = site("one")
    fleet = connect(servers, auth=auth)
    assert ask(fleet, "one") == "signer"
    assert [asked.client for asked in oidc.tokens(ok=True)] == ["signer"]


def test_each_server_with_an_audience_of_its_own_gets_a_token_of_its_own(oidc, site, connect):
    sites = [site(name) for name in ("one", "two", "three")]
    fleet = connect(*sites, auth=machine(oidc.url))
    assert [ask(fleet, name) for name in ("one", "two", "three")] == ["machine"] * 3
    assert {asked.resource[0] for asked in oidc.tokens()} == {
        server.url for each in sites for server in each.servers.values()
    }
    assert len(oidc.tokens(ok=True)) <= 4


def test_a_wrong_secret_ends_in_an_error_that_says_so(oidc, site, connect):
    servers = site("one", "two", shared=True)
    fleet = connect(servers, auth=machine(oidc.url, client_secret="not the secret/88aXw2"))
    assert {state(fleet, name) for name in servers.servers} == {"failed"}
    for said in fails(fleet, "one", "two"):
        assert "invalid_client" in said
        assert "88aXw2" not in said
    assert 1 <= len(oidc.tokens(ok=False)) <= FEW
    assert oidc.tokens(ok=True) == []


def test_a_secret_goes_to_no_issuer_but_the_one_that_was_named(oidc, mock, site, connect):
    """The server trusts somebody else, who would be given the secret."""
    servers = site("one", issuer=mock.url)
    fleet = connect(servers, auth=machine(oidc.url))
    said = fails(fleet, "one")
    assert all(oidc.url in text and mock.url in text for text in said)
    assert oidc.tokens() == mock.tokens() == []
    assert state(fleet, "one") == "failed"


def test_metadata_that_are_of_another_issuer_are_not_believed(oidc, site, connect):
    oidc.set(metadata={"issuer": "http://127.0.0.1:9/other"})
    fleet = connect(site("one"), auth=machine(oidc.url))
    assert all("issuer mismatch" in text for text in fails(fleet, "one"))
    assert oidc.tokens() == []


def test_a_server_whose_metadata_speak_of_another_resource_gets_no_token(oidc, site, connect):
    """Else it could have a token that is good for somebody else's server, and use it there."""
    fleet = connect(site("one", meant="/other/mcp"), auth=machine(oidc.url))
    assert all("another resource" in text for text in fails(fleet, "one"))
    assert oidc.tokens() == []


def test_a_token_endpoint_that_sends_the_secret_elsewhere_is_not_followed(oidc, site, connect, elsewhere):
    there, sent = elsewhere
    oidc.set(tokenRedirect=f"{there}/token")
    fleet = connect(site("one"), auth=machine(oidc.url))
    assert all("redirects to" in text for text in fails(fleet, "one"))
    assert sent == []
    assert 1 <= len(oidc.tokens()) <= FEW


def test_a_server_that_sends_the_token_elsewhere_is_not_followed(oidc, site, connect, elsewhere):
    there, sent = elsewhere
    servers = site("one")
    fleet = connect(servers, auth=machine(oidc.url))
    assert ask(fleet, "one") == "machine"
    servers["one"].moved_to = f"{there}/one/mcp"
    with pytest.raises(mcpnb.McpnbError):
        ask(fleet, "one")
    assert sent == []
    assert len(oidc.tokens()) == 1


@pytest.mark.parametrize("skew", [3600, -3600], ids=["fast", "slow"])
def test_an_issuer_whose_clock_is_an_hour_wrong_does_no_harm_where_servers_ask_it(oidc, site, connect, skew):
    """How long a token lives is counted from its receipt, by our own clock."""
    oidc.set(skew=skew, format="opaque")
    fleet = connect(site("one", introspects=True), auth=machine(oidc.url))
    assert [ask(fleet, "one") for _ in range(5)] == ["machine"] * 5
    assert len(oidc.tokens()) == 1


@pytest.mark.parametrize("skew", [3600, -3600], ids=["fast", "slow"])
def test_servers_that_go_by_a_clock_other_than_the_issuers_are_named_and_not_stormed(
    oidc, site, connect, skew
):
    oidc.set(skew=skew)
    servers = site("one")
    fleet = connect(servers, auth=machine(oidc.url))
    assert all("clocks" in text for text in fails(fleet, "one"))
    assert len(oidc.tokens()) <= FEW
    assert len(servers["one"].seen) <= 3 * FEW


def test_a_signature_that_has_ended_by_the_issuers_clock_is_refused_and_not_repeated(
    oidc, site, connect, pem
):
    """An hour behind would do: this issuer takes signatures of the future."""
    oidc.set(skew=3600)
    auth = OAuth(grant="client_credentials", client_id="signer", private_key=pem, issuer=oidc.url)
    fleet = connect(site("one"), auth=auth)
    assert all("invalid_client" in text for text in fails(fleet, "one"))
    assert 1 <= len(oidc.tokens(ok=False)) <= FEW
    assert oidc.tokens(ok=True) == []


@pytest.mark.parametrize(
    "answer",
    [
        {"raw": "<html>no JSON, but planted-3Fq8</html>"},
        {"body": {"access_token": None, "planted": "planted-3Fq8"}},
        {"body": {"token_type": "mac", "planted": "planted-3Fq8"}},
        {"status": 400, "body": {"error": "invalid_request", "error_description": "odd"}},
        {"body": {"access_token": "planted-3Fq8\r\nX-Other: 1"}},
    ],
    ids=["no JSON", "no token", "another type", "refused", "a header in it"],
)
def test_a_token_endpoint_that_answers_nonsense_is_an_error_without_that_answer(mock, site, connect, answer):
    mock.set(**answer)
    fleet = connect(site("one", issuer=mock.url, any_audience=True), auth=machine(mock.url))
    for said in fails(fleet, "one"):
        assert "planted-3Fq8" not in said
        assert mock.url in said
    assert 1 <= len(mock.tokens()) <= FEW


@pytest.mark.parametrize("lives", [None, "600", 600.0, 10**12])
def test_how_long_a_token_lives_may_be_said_oddly_or_not_at_all(mock, site, connect, lives):
    mock.set(body={"expires_in": lives, "scope": "mcp:read"}, claims={"scope": "mcp:read"})
    fleet = connect(site("one", issuer=mock.url, any_audience=True), auth=machine(mock.url))
    assert [ask(fleet, "one") for _ in range(3)] == ["None"] * 3
    assert len(mock.tokens()) == 1


def test_an_issuer_that_cannot_answer_now_is_asked_again_later(mock, site, connect):
    mock.set(status=503)
    servers = site("one", issuer=mock.url, any_audience=True)
    fleet = connect(servers, auth=machine(mock.url))
    with pytest.raises(mcpnb.McpnbError):
        ask(fleet, "one")
    assert state(fleet, "one") != "failed"
    asked = len(mock.tokens())
    mock.set(status=200, claims={"scope": "mcp:read"})
    fleet.reconnect("one")
    assert ask(fleet, "one") == "None"
    assert 1 <= asked <= FEW
