"""Real tokens, codes and secrets, looked for wherever a person or a file could see something.

None may be there. The issuer tells what to look for: all it gave and was given. The servers repeat the token
that they get.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import mcpnb
from mcpnb import OAuth

from .conftest import MACHINE, ask, eventually
from .issuers import Issuer
from .person import Person

pytestmark = [pytest.mark.thirdparty, pytest.mark.timeout(300)]


class Lines(logging.Handler):
    """Every record of every logger, as a file would get it."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        ours = record.thread not in Person.browsing and record.threadName != "guarded servers"
        if ours:
            self.lines.append(self.format(record))


@dataclass
class Said:
    """A fleet that has seen much, and all that was said of it."""

    fleet: mcpnb.Fleet
    lines: list[str]
    secrets: set[str]
    failures: list[BaseException] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)
    recorded: Path | None = None

    def found(self, thing: Any) -> list[str]:
        """The secrets in all the ways in which a notebook or a print shows it."""
        bundle, html = getattr(thing, "_repr_mimebundle_", None), getattr(thing, "_repr_html_", None)
        text = "\n".join(
            [repr(thing), str(thing), str(bundle() if bundle else ""), str(html() if html else "")]
        )
        return [secret for secret in self.secrets if secret in text]


@pytest.fixture(scope="module", autouse=True)
def lines() -> Iterator[list[str]]:
    """All that is logged, at every level, by whomever."""
    root, lines = logging.getLogger(), Lines()
    level = root.level
    root.addHandler(lines)
    root.setLevel(logging.NOTSET)
    yield lines.lines
    root.removeHandler(lines)
    root.setLevel(level)


@pytest.fixture
def said(oidc: Issuer, site, connect, lines: list[str], tmp_path: Path) -> Said:
    """A person logs in; tokens are refreshed and refused; servers repeat them wherever they can."""
    alice, requests = Person(), []
    servers = site("one", "two", "three", shared=True)
    servers["two"].demands["write"] = "mcp:write"

    def log_in(request: Any) -> None:
        requests.append((request, repr(request)))
        alice.open(request.url)

    fleet = connect(
        servers, auth=OAuth(client_name="a notebook"), tokens=tmp_path / "tokens", on_login=log_in
    )
    said = Said(fleet, lines, set(), requests=requests, recorded=tmp_path / "recording.jsonl")
    fleet.login()
    with fleet.record(said.recorded):
        for _ in range(3):  # each with another token
            for name in servers.servers:
                assert "the token is " in ask(fleet, name, "repeat")
                said.failures += [failed(fleet, name, tool) for tool in ("complain", "refuse")]
            for server in servers.servers.values():
                server.refused.update(server.tokens)
        said.failures.append(failed(fleet, "two", "write", text="x"))
    fleet.login("two")
    assert ask(fleet, "two", "write", text="x")
    servers["three"].refuses_all = True
    said.failures.append(failed(fleet, "three", "who"))
    alice.refuses = True
    fleet.logout("one")
    said.failures.append(failed(fleet, "one", "who"))
    with pytest.raises(mcpnb.McpnbError) as caught:
        fleet.login("one")
    said.failures.append(caught.value)
    said.secrets = oidc.secrets
    return said


def failed(fleet: mcpnb.Fleet, server: str, tool: str, **arguments: Any) -> BaseException:
    with pytest.raises(mcpnb.McpnbError) as caught:
        ask(fleet, server, tool, **arguments)
    return caught.value


def test_nothing_that_is_shown_holds_a_token(said: Said, tmp_path: Path, capsys) -> None:
    fleet, client = said.fleet, said.fleet.client
    assert len(said.secrets) >= 12
    things = [
        fleet, fleet.options(server="one"), fleet.aio, client, client.access, client.configs, *client.configs,
        *client.members.connections.values(), *fleet.status(), *client.logins(), fleet.dashboard(),
        *client.events.snapshot(), *(repr(event.data) for event in client.events.snapshot()), said.requests,
        *(vars(error) for error in said.failures), *said.failures,
    ]  # fmt: skip
    for thing in things:
        assert said.found(thing) == [], type(thing)
    for name in ("servers", "tools", "calls", "events", "conflicts", "breakers", "logins"):
        frame = getattr(fleet, name)
        assert said.found(frame.to_csv() + frame.to_html() + repr(frame.to_dict())) == [], name
    for error in said.failures:
        assert said.found("".join(traceback.format_exception(error))) == [], error
    mcpnb.tb()
    assert said.found(capsys.readouterr().out) == []

    # The servers did say them, and it shows where.
    assert any("not with the token •••" in str(error) for error in said.failures)
    assert any("refused: •••" in str(error) for error in said.failures)

    loggers = {line for line in said.lines if said.found(line)}
    assert loggers == set()
    assert len(said.lines) > 50, "nobody logged anything: this test would see nothing"

    text = said.recorded.read_text()
    assert said.found(text) == []
    assert "the token is •••" in text
    recording = mcpnb.Recording.load(said.recorded)
    assert said.found(recording) == []
    for frame in (recording.calls, recording.servers, recording.tools):
        assert said.found(frame.to_csv() + frame.to_html()) == []

    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path != said.recorded]
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept), "only its owner may read a file of tokens"


def test_a_programs_secret_and_key_are_shown_nowhere(oidc, site, connect, lines, pem) -> None:
    by_secret = OAuth(grant="client_credentials", issuer=oidc.url, **MACHINE)
    by_key = OAuth(grant="client_credentials", client_id="signer", private_key=pem, issuer=oidc.url)
    planted = {MACHINE["client_secret"], *(line for line in pem.splitlines() if "-----" not in line)}
    for name, auth in (("one", by_secret), ("two", by_key)):
        servers = site(name)
        fleet = connect(servers, auth=auth)
        ask(fleet, name)
        servers[name].refuses_all = True
        error = failed(fleet, name, "who")
        said = Said(fleet, lines, oidc.secrets | planted)
        trace = "".join(traceback.format_exception(error))
        for thing in (auth, fleet, fleet.client, *fleet.client.configs, error, trace, fleet.logins.to_html()):
            assert said.found(thing) == [], type(thing)
    assert [line for line in lines if any(secret in line for secret in planted)] == []


def test_what_an_issuer_repeats_in_its_refusal_is_not_repeated(oidc, site, connect, alice) -> None:
    alice.forge = {"code": "a-made-up-code-7Tk2"}
    fleet = connect(site("one"), auth=OAuth(client_id="notebook"), on_login=lambda r: alice.open(r.url))
    eventually(lambda: list(fleet.logins["state"]) == ["needs_login"])
    with pytest.raises(mcpnb.AuthError) as caught:
        fleet.login()
    said = Said(fleet, [], oidc.secrets | {"a-made-up-code-7Tk2"})
    assert said.found("".join(traceback.format_exception(caught.value))) == []
    assert said.found(fleet.logins.to_csv()) == said.found(fleet.events.to_csv()) == []
