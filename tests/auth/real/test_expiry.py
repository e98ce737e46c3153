"""Tokens that end: by their time, by revocation, with their refresh tokens, while the issuer is down.

Tokens here live four seconds where their time has to come; elsewhere a server takes a token no more, which
leads to the same without waiting. oidc-provider replaces each refresh token by its use, and ends the whole
login if one is used twice: whoever refreshes once too often is found out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

import mcpnb
from mcpnb import OAuth

from .conftest import ask, eventually, state
from .guarded import Guarded, Site
from .issuers import Issuer
from .person import Person

pytestmark = [pytest.mark.thirdparty, pytest.mark.timeout(300)]

LIVES = 4.0
"""Seconds."""
RENEWED_FROM = 0.8
"""Of its life, at which a token is renewed."""
NAMES = ("one", "two", "three")


@pytest.fixture
def town(oidc: Issuer, site: Callable[..., Site], connect: Callable[..., mcpnb.Fleet], alice: Person):
    """Three servers of one issuer, and somebody who has logged in to them."""

    def build(**demands) -> tuple[mcpnb.Fleet, dict[str, Guarded]]:
        servers = site(*NAMES, shared=True, **demands)
        auth = OAuth(client_id="notebook", issuer=oidc.url)
        # A check of health would renew tokens, too, and would be counted.
        fleet = connect(servers, auth=auth, health_interval=3600, on_login=lambda r: alice.open(r.url))
        fleet.login()
        assert [ask(fleet, name) for name in NAMES] == ["alice"] * 3
        return fleet, servers.servers

    return build


def spread(fleet: mcpnb.Fleet, calls: int, seconds: float) -> None:
    """Call the three by turns, evenly over that time."""
    began = time.monotonic()
    for n in range(calls):
        time.sleep(max(0.0, began + n * seconds / calls - time.monotonic()))
        assert ask(fleet, NAMES[n % 3]) == "alice"


def at_once(fleet: mcpnb.Fleet, callers: int = 2) -> ThreadPoolExecutor:
    """Callers at each server, all together."""
    pool = ThreadPoolExecutor(3 * callers)
    pool.answers = [pool.submit(ask, fleet, name) for name in NAMES for _ in range(callers)]  # type: ignore[attr-defined]
    return pool


def refuse_all(servers: dict[str, Guarded]) -> None:
    """Every token that was seen is good no more."""
    held = {token for server in servers.values() for token in server.tokens}
    for server in servers.values():
        server.refused |= held


def given(servers: dict[str, Guarded]) -> set[str]:
    """Every token that was seen."""
    return {token for server in servers.values() for token in server.tokens}


def as_many_refreshes_as_expiries(oidc: Issuer, servers: dict[str, Guarded]) -> None:
    """None failed, none was for nothing or too early, and no server ever saw a token that had ended."""
    calls = sorted((seen for server in servers.values() for seen in server.calls()), key=lambda seen: seen.at)
    assert all(seen.status == 200 for seen in calls)
    refreshes = oidc.refreshes()
    assert all(asked.status == 200 for asked in refreshes)
    assert len(refreshes) - 1 <= len(given(servers)) - 1 <= len(refreshes), "the last may be unused yet"
    (login,) = oidc.tokens("authorization_code")
    assert len(refreshes) <= (calls[-1].at - login.at) / (LIVES * RENEWED_FROM) + 1
    # What a server takes is at most so old, by its leeway: fewer tokens than this cannot have done.
    assert len(refreshes) >= (calls[-1].at - calls[0].at) / (LIVES + servers["one"].leeway) - 1


@pytest.mark.long
def test_two_hundred_calls_in_a_minute_with_tokens_of_four_seconds(oidc, town, alice):
    oidc.set(accessTtl=LIVES)
    fleet, servers = town()
    spread(fleet, 200, 60.0)
    as_many_refreshes_as_expiries(oidc, servers)
    assert len(alice.opened) == 1
    assert set(fleet.calls["outcome"]) == {"ok"}


@pytest.mark.slow
def test_calls_go_on_while_tokens_of_four_seconds_end_and_after_a_pause(oidc, town, alice):
    oidc.set(accessTtl=LIVES)
    fleet, servers = town()
    spread(fleet, 40, 8.0)
    as_many_refreshes_as_expiries(oidc, servers)
    time.sleep(LIVES)
    before = len(oidc.refreshes())
    oidc.set(hold=True)
    with at_once(fleet) as pool:
        oidc.await_waiting()
        oidc.set(hold=False)
        assert [answer.result() for answer in pool.answers] == ["alice"] * 6
    assert len(oidc.refreshes()) == before + 1
    assert all(seen.status == 200 for server in servers.values() for seen in server.calls())
    assert len(alice.opened) == 1


def test_two_callers_at_three_servers_that_refuse_a_token_at_once_cost_one_refresh(oidc, town, alice):
    fleet, servers = town()
    refuse_all(servers)
    oidc.set(hold=True)
    with at_once(fleet) as pool:
        eventually(lambda: sum(status.in_flight for status in fleet.status()) == 6)
        oidc.await_waiting()
        oidc.set(hold=False)
        assert [answer.result() for answer in pool.answers] == ["alice"] * 6
    assert len(oidc.refreshes()) == 1
    assert len(given(servers)) == 2
    assert len(alice.opened) == 1


def test_a_caller_who_gives_up_does_not_lose_the_refresh_token(oidc, town, alice):
    """The issuer has replaced it by then: whoever does not take the new one has none."""
    fleet, servers = town()
    refuse_all(servers)
    oidc.set(hold=True)
    pending = fleet.options(server="one").submit("who")
    oidc.await_waiting()
    pending.cancel()
    oidc.set(hold=False)
    assert [ask(fleet, name) for name in NAMES] == ["alice"] * 3
    assert len(oidc.refreshes()) == 1
    assert len(alice.opened) == 1


def test_two_fleets_with_the_same_file_refresh_once_between_them(oidc, site, connect, alice, tmp_path):
    servers = site(*NAMES, shared=True)
    auth = OAuth(client_id="notebook", issuer=oidc.url)
    here = connect(
        servers, name="here", auth=auth, tokens=tmp_path / "tokens", on_login=lambda r: alice.open(r.url)
    )
    here.login()
    there = connect(servers, name="there", auth=auth, tokens=tmp_path / "tokens")
    assert ask(here, "one") == ask(there, "one") == "alice"
    refuse_all(servers.servers)
    oidc.set(hold=True)
    with at_once(here, 1) as one, at_once(there, 1) as two:
        oidc.await_waiting()
        oidc.set(hold=False)
        assert [answer.result() for answer in (*one.answers, *two.answers)] == ["alice"] * 6
    assert len(oidc.refreshes()) == 1
    assert len(alice.opened) == 1


def test_a_login_that_was_revoked_at_the_issuer_needs_a_new_one(oidc, town, alice):
    """This issuer ends the whole login with any token of it (RFC 7009, 2.1, allows that)."""
    oidc.set(format="opaque")
    fleet, servers = town(introspects=True)
    (token,) = given(servers)
    form = {"token": token, "client_id": "notebook"}
    httpx2.post(f"{oidc.url}/token/revocation", data=form).raise_for_status()
    ends_in_a_new_login(fleet, servers, oidc, alice)


def test_a_refresh_token_that_has_expired_needs_a_new_login(oidc, town, alice):
    """Two hours pass at the issuer; its refresh tokens live one."""
    oidc.set(format="opaque")
    fleet, servers = town(introspects=True)
    oidc.set(skew=7200)
    ends_in_a_new_login(fleet, servers, oidc, alice)
    assert oidc.logins == 2


def ends_in_a_new_login(fleet: mcpnb.Fleet, servers: dict[str, Guarded], oidc: Issuer, alice: Person) -> None:
    """The person is asked once more; until then each call is an error that says so."""
    alice.refuses = True
    for name in NAMES:
        with pytest.raises(mcpnb.McpnbError, match=r"fleet\.login\("):
            ask(fleet, name)
    eventually(lambda: set(fleet.logins["state"]) == {"needs_login"})
    assert len(oidc.refreshes()) == 1
    assert len(alice.opened) == 2
    alice.refuses = False
    fleet.login()
    assert [ask(fleet, name) for name in NAMES] == ["alice"] * 3
    assert len(oidc.refreshes()) == 1
    assert len(alice.opened) == 3


def test_an_issuer_that_is_down_when_a_token_ends_costs_no_login_once_it_is_back(oidc, town, alice):
    fleet, servers = town()
    refuse_all(servers)
    oidc.down()
    for name in NAMES:
        with pytest.raises(mcpnb.McpnbError) as caught:
            fleet.options(server=name, retries=0).call("who")
        assert not isinstance(caught.value, mcpnb.AuthError)
    oidc.up()
    for name in NAMES:
        fleet.reconnect(name)
    assert [ask(fleet, name) for name in NAMES] == ["alice"] * 3
    assert len(oidc.refreshes(ok=True)) == 1
    assert len(alice.opened) == 1


def test_an_issuer_that_fails_when_a_token_ends_is_not_stormed(oidc, town, alice):
    fleet, servers = town()
    refuse_all(servers)
    oidc.set(fail=503)
    with at_once(fleet) as pool:
        assert all(answer.exception() for answer in pool.answers)
    assert 1 <= len(oidc.tokens(ok=False)) <= 12
    oidc.set(fail=None)
    for name in NAMES:
        fleet.reconnect(name)
    assert [ask(fleet, name) for name in NAMES] == ["alice"] * 3
    assert len(oidc.refreshes(ok=True)) == 1
    assert len(alice.opened) == 1


def test_a_server_that_refuses_every_token_is_an_error_and_the_others_go_on(oidc, town, alice):
    fleet, servers = town()
    servers["one"].refuses_all = True
    for _ in range(3):
        with pytest.raises(mcpnb.AuthError):
            ask(fleet, "one")
    assert state(fleet, "one") == "failed"
    assert [ask(fleet, name) for name in NAMES[1:]] == ["alice"] * 2
    assert len(oidc.refreshes()) <= 4
    assert len(servers["one"].seen) <= 30
    assert len(alice.opened) == 1
