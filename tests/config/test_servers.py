"""The value itself: checked when made, immutable, and silent about its secrets."""

from __future__ import annotations

import base64
import copy
import pickle
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpnb.config import ServerConfig, load, redact, secrets_of
from mcpnb.errors import ConfigError

MARK = "•••"


def http(**changes: Any) -> ServerConfig:
    return ServerConfig(**{"name": "a", "transport": "http", "url": "http://h/mcp", **changes})


def stdio(*args: str, **changes: Any) -> ServerConfig:
    return ServerConfig(**{"name": "a", "transport": "stdio", "command": "run", "args": args, **changes})


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"name": ""}, "name"),
        ({"transport": "pigeon"}, "transport"),
        ({"transport": "stdio"}, "command"),
        ({"transport": "in-process"}, "target"),
        ({"url": None}, "url"),
        ({"weight": -1}, "weight"),
        ({"weight": None}, "weight"),
        ({"disabled": 1}, "disabled"),
    ],
)
def test_a_config_made_by_hand_is_checked_like_one_from_a_file(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        http(**changes)
    assert caught.value.key == key


def test_it_is_a_value() -> None:
    config = http(headers={"A": "secret"}, tags=["x"])
    assert config == http(headers={"A": "secret"}, tags={"x"})
    assert hash(config) == hash(replace(config))
    assert copy.deepcopy(config) == pickle.loads(pickle.dumps(config)) == config
    with pytest.raises(FrozenInstanceError):
        config.name = "b"  # type: ignore[misc]


def test_a_header_that_http_cannot_send_is_a_row_that_says_so() -> None:
    config = http(headers={"X-Quoted": "“hunter2”"})
    assert config.unsupported == "the value of headers.X-Quoted is not ASCII, so HTTP cannot send it."
    assert "hunter2" not in repr(config)


def test_changing_what_it_was_made_of_changes_nothing() -> None:
    headers = {"A": "1"}
    config = http(headers=headers)
    headers["B"] = "2"
    assert dict(config.headers) == {"A": "1"}


@pytest.mark.parametrize(
    ("config", "address"),
    [
        (http(url="http://user:pw@h:80/mcp?key=1#x"), "http://h:80/mcp"),
        (http(url="http://h/s/0123456789abcdef0123456789abcdef/mcp"), f"http://h/s/{MARK}/mcp"),
        (stdio("-y", "@scope/pkg", "two words"), "run -y @scope/pkg 'two words'"),
        (stdio("--api-key", "hunter2", "--port", "80"), f"run --api-key {MARK} --port 80"),
        (stdio("--token=hunter2", "-e", "PLAIN=hunter2"), f"run --token={MARK} -e PLAIN={MARK}"),
        (stdio("--header", "X-Any: hunter2"), f"run --header X-Any: {MARK}"),
        (stdio("--header", "Authorization: Bearer hunter2"), f"run --header Authorization: {MARK}"),
        (stdio("postgres://u:hunter2@db/x?p=hunter2"), f"run postgres://{MARK}@db/x?{MARK}"),
        (stdio("ghp_abcdefghij0123456789"), f"run {MARK}"),
        (stdio("--use-auth", "--port", "80"), "run --use-auth --port 80"),
        (stdio("/opt/mcp/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"),
         "run /opt/mcp/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"),
        (stdio("mcp-server-time==2026.10.19"), "run mcp-server-time==2026.10.19"),
    ],
)  # fmt: skip
def test_the_address_is_for_display(config: ServerConfig, address: str) -> None:
    assert config.address == address


def test_the_repr_shows_what_was_said_and_hides_what_must_be() -> None:
    config = http(url="http://u:hunter2@h/mcp?k=hunter2", headers={"X": "hunter2"}, timeout=5, region="eu")
    shown = f"http://{MARK}@h/mcp?{MARK}, headers={{'X': {MARK}}}, timeout=5.0, region='eu'"
    assert repr(config) == str(config) == f"ServerConfig('a', http, {shown})"
    assert repr(config.headers) == f"{{'X': {MARK}}}"
    assert repr(stdio(env={"A": "hunter2"})) == f"ServerConfig('a', stdio, run, env={{'A': {MARK}}})"


def test_the_secrets_of_a_server_are_found_in_all_their_forms() -> None:
    config = http(
        url="http://us%40er:p%2Fw%20x@h/mcp?key=q%20ry&debug=true",
        headers={"Authorization": "Bearer hunter2", "X-Env": "debug", "Accept": "application/json"},
    )
    secrets = secrets_of(config)
    assert {"us@er", "p/w x", "q ry", "hunter2", "Bearer hunter2"} <= secrets
    assert secrets.isdisjoint({"true", "debug", "application/json", "Bearer"})
    env = {"KEY": "-----BEGIN-----\nabcdefghij\n", "DB": "pg://u:hunter2@db/", "PORT": "8080", "PIN": "4711"}
    secrets = secrets_of(stdio("--password", "hunter3", env=env, hidden=frozenset({"hunter4"})))
    assert {"abcdefghij", "hunter2", "hunter3", "hunter4", "4711"} <= secrets
    assert "8080" not in secrets


@pytest.mark.parametrize(
    ("userinfo", "sent"),
    [("user:hunter2", b"user:hunter2"), ("hunter2", b"hunter2:"), ("us%40er:p%2Fw%20x", b"us@er:p/w x")],
)
def test_a_basic_credential_is_hidden_as_a_library_sends_it(userinfo: str, sent: bytes) -> None:
    header = base64.b64encode(sent).decode()
    assert header not in redact(
        f"Authorization: Basic {header}", secrets_of(http(url=f"http://{userinfo}@h/"))
    )


PLANTED = (
    st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="•@"), min_size=8, max_size=24)
    .filter(lambda text: "${" not in text)
    .map(lambda text: f"s3cr3t~{text}~")
)
"""Anything printable but variables, made such that it cannot stand in a text by accident."""


@settings(deadline=None)
@given(PLANTED)
def test_no_planted_secret_is_shown_by_a_config(secret: str) -> None:
    from urllib.parse import quote

    quoted = quote(secret, safe="")
    environ = {"MY_TOKEN": secret, "QUOTED_TOKEN": quoted}
    entries: dict[str, Any] = {
        "env": {"command": "x", "env": {"ANY": secret, "VAR": "${MY_TOKEN}"}},
        "args": {
            "command": "x",
            "args": ["--token", secret, f"--key={secret}", f"API_KEY={secret}", "${MY_TOKEN}/x"],
        },
        "more": {"command": "x", "args": ["-e", f"ANY={secret}", "-H", f"X: {secret}", "Bearer ${MY_TOKEN}"]},
        "program": {"command": "${MY_TOKEN}", "cwd": "/x/${MY_TOKEN}"},
        "headers": {"url": "http://h/", "headers": {"X-Any": secret, "Y": "Basic ${MY_TOKEN}"}},
        "auth": {"url": "http://h/", "auth": secret},
        "url": {"url": f"http://{quoted}:{quoted}@h/mcp?a={quoted}&{quoted}#{quoted}"},
        "region": {"url": "http://h/", "mcpnb": {"region": "${MY_TOKEN}", "tags": ["${MY_TOKEN}"]}},
        "path": {"url": "http://h/${QUOTED_TOKEN}/mcp"},
    }
    for config in load(entries, environ=environ):
        for shown in (repr(config), config.address, repr(config.env), repr(config.headers)):
            assert secret not in shown
            assert quoted not in shown
        said = redact(
            f"{secret} {quoted} {secret!r} {config.args} {dict(config.env)} {config.url}", secrets_of(config)
        )
        assert secret not in said
        assert quoted not in said


@settings(deadline=None)
@given(PLANTED)
def test_no_planted_secret_is_in_the_text_of_an_error(secret: str) -> None:
    environ = {"MY_TOKEN": secret}
    wrong: list[dict[str, Any]] = [
        {"command": "x", "env": {"A": secret, "B": 5}},
        {"command": "x", "args": [secret, 5]},
        {"command": "x", "args": secret},
        {"command": "x", "env": secret},
        {"command": f"\0{secret}"},
        {"url": secret},
        {"url": f"ftp://u:{secret}@h/"},
        {"url": f"http://u:{secret}"},
        {"url": f"http://h:{secret}/"},
        {"url": "${MY_TOKEN}"},
        {"url": f"{secret}${{GONE}}"},
        {"url": "http://h/", "headers": {"A": f"{secret}\n"}},
        {"url": "http://h/", "headers": secret},
        {"url": "http://h/", "timeout": secret},
        {"url": "http://h/", "mcpnb": {"weight": secret}},
        {"url": "http://h/", "mcpnb": {"tags": secret}},
        {"url": "http://h/", "auth": [secret]},
    ]
    for entry in wrong:
        with pytest.raises(ConfigError) as caught:
            load({"a": entry}, environ=environ)
        error: BaseException | None = caught.value
        assert secret not in str(error)
        assert secret not in repr(error)


@settings(deadline=None)
@given(
    secrets=st.frozensets(st.text(st.characters(exclude_characters="•"), min_size=1), max_size=6),
    text=st.text(),
)
def test_redacted_text_contains_no_secret(secrets: frozenset[str], text: str) -> None:
    cleaned = redact(text + "".join(secrets), secrets)
    assert not [secret for secret in secrets if secret in cleaned]


def test_redacting_with_nothing_to_hide_changes_nothing() -> None:
    assert redact("as it was", []) == redact("as it was", [""]) == "as it was"
