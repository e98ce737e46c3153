"""A company's issuer and its servers: who gets in, for how long, and who is left behind."""

from __future__ import annotations

import os
import time

import httpx2
import pytest

import mcpnb
from mcpnb.errors import AuthError, McpnbError

pytestmark = pytest.mark.slow


@pytest.fixture
def company():
    with mcpnb.lab.issuer("crm", "wiki", life=2) as issuer:
        yield issuer


@pytest.fixture
def office(company):
    with mcpnb.connect(dict(company.servers), auth="oauth", on_login=lambda request: None) as fleet:
        yield fleet


def test_one_login_opens_all_its_servers_and_tokens_are_renewed_without_anybody(company, office) -> None:
    with pytest.raises(McpnbError, match="crm"):
        office.call("crm.whoami")
    assert company.allow(office) == 1
    assert company.allow(office) == 0  # nobody has to
    assert set(office.logins["state"]) == {"logged_in"}
    told = [office.call(f"{name}.whoami").value for name in company.servers]
    assert [(each["server"], each["user"]) for each in told] == [("crm", "alice"), ("wiki", "alice")]
    first = office.call("wiki.whoami").value["token"]
    until = time.monotonic() + 30
    while office.call("crm.whoami").value["token"] == first and time.monotonic() < until:
        pass
    given = company.given
    assert [each["kind"] for each in given[:2]] == ["login", "renewal"]
    assert [each["number"] for each in given] == list(range(1, len(given) + 1))


def test_tokens_that_are_taken_back_end_the_login_and_another_one_mends_it(company, office) -> None:
    company.allow(office)
    company.revoke()
    with pytest.raises(AuthError, match=r"fleet\.login"):
        office.call("crm.whoami")
    assert company.allow(office) == 1
    assert office.call("crm.whoami").value["user"] == "alice"


def test_a_person_may_refuse_and_a_link_works_once(company, office) -> None:
    (request,) = office.login_requests()
    with httpx2.Client(follow_redirects=True) as browser:
        page = browser.get(request.url)
        assert "<b>mcpnb" in page.text
        assert browser.post(page.url, data={"say": "no"}).status_code == 200
        assert browser.post(page.url, data={"say": "yes"}).status_code == 404
    assert request.done
    assert "Alice refused" in (request.error or "")
    assert company.given == []


def test_nothing_of_it_is_left_and_it_can_be_stopped_and_started() -> None:
    with mcpnb.lab.issuer("crm") as company:
        pid = company._process.pid
        company.stop()
        assert not company.running
        assert "stopped" in repr(company)
        with pytest.raises(McpnbError, match="does not answer"):
            company.revoke()
        company.start()
        assert company.given == []
        assert "running" in company._repr_mimebundle_()["text/html"]
        last = company._process.pid
    for each in (pid, last):
        with pytest.raises(ProcessLookupError):
            os.kill(each, 0)
    company.close()


@pytest.mark.parametrize(
    ("names", "life"), [((), 60), (("crm", "crm"), 60), (("token",), 60), (("a/b",), 60), (("crm",), 0)]
)
def test_what_makes_no_sense_is_said(names, life) -> None:
    with pytest.raises(McpnbError):
        mcpnb.lab.issuer(*names, life=life)
