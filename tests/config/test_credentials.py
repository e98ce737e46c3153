"""Static credentials: who gets which, and who gets none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcpnb.config import ConfigWarning, ServerConfig, load
from mcpnb.errors import ConfigError

ENVIRON = {"TOKEN": "tok-4711", "TEAM": "blue"}
SHARED = {
    "auth": {
        "company": {"token": "${TOKEN}", "headers": {"X-Team": "${TEAM}"}},
        "spare": {"token": "${GONE}"},
    }
}


def headers(entry: dict[str, Any], own: object = None, **options: Any) -> dict[str, str]:
    """What a server with this entry is sent; `own` stands beside the servers."""
    document: dict[str, Any] = {"mcpServers": {"a": {"url": "http://h/mcp", **entry}}}
    if own is not None:
        document["mcpnb"] = own
    (config,) = load(document, environ=ENVIRON, **options)
    return dict(config.headers)


def failure(entry: dict[str, Any], own: object = None, **options: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        headers(entry, own, **options)
    return caught.value


def test_a_token_becomes_a_bearer_header_of_its_server() -> None:
    assert headers({"mcpnb": {"token": "${TOKEN}"}}) == {"Authorization": "Bearer tok-4711"}


@pytest.mark.parametrize("token", ["Bearer tok", "bearer tok", " tok ", "tok"])
def test_a_token_may_be_written_with_its_scheme(token: str) -> None:
    assert headers({"mcpnb": {"token": token}})["Authorization"].lower() == "bearer tok"


def test_a_token_that_is_empty_by_its_default_sends_nothing() -> None:
    assert headers({"mcpnb": {"token": "${GONE:-}"}}) == {}


def test_servers_share_credentials_by_name_and_those_nobody_names_need_no_variables() -> None:
    assert headers({"mcpnb": {"auth": "company"}}, SHARED) == {
        "Authorization": "Bearer tok-4711",
        "X-Team": "blue",
    }
    assert headers({}, SHARED) == {}


def test_shared_credentials_stand_in_a_file_of_any_layout(tmp_path: Path) -> None:
    entry = {"a": {"url": "http://h/", "mcpnb": {"auth": "company"}}}
    for document in ({"servers": entry, "mcpnb": SHARED}, {**entry, "mcpnb": SHARED}):
        path = tmp_path / "mcp.json"
        path.write_text(json.dumps(document))
        (config,) = load(path, environ=ENVIRON)
        assert config.headers["Authorization"] == "Bearer tok-4711"


def test_a_token_for_the_whole_fleet_fills_in_where_a_server_has_none() -> None:
    sent = {"Authorization": "Bearer mine"}
    assert headers({}, token="fleet") == {"Authorization": "Bearer fleet"}
    assert headers({"headers": {"authorization": "Bearer mine"}}, token="fleet") == {
        "authorization": "Bearer mine"
    }
    assert headers({"mcpnb": {"token": "mine"}}, token="fleet") == sent
    assert headers({"auth": "mine"}, token="fleet") == sent
    assert (
        headers({"mcpnb": {"auth": "company"}}, SHARED, token="fleet")["Authorization"] == "Bearer tok-4711"
    )
    assert headers({}, token="fleet", headers={"Authorization": "Basic x"}) == {"Authorization": "Basic x"}


def test_of_every_header_the_nearest_one_wins() -> None:
    entry = {"headers": {"x-team": "red"}, "mcpnb": {"auth": "company"}}
    assert headers(entry, SHARED, headers={"X-Team": "grey", "X-All": "1"}) == {
        "X-All": "1", "Authorization": "Bearer tok-4711", "x-team": "red",
    }  # fmt: skip


def test_a_ready_config_is_filled_header_by_header() -> None:
    ready = ServerConfig(name="a", transport="http", url="http://h/", headers={"X-A": "1"})
    assert dict(load(ready, token="t")[0].headers) == {"X-A": "1", "Authorization": "Bearer t"}
    assert dict(load(ready, headers={"x-a": "2"})[0].headers) == {"X-A": "1"}


def test_programs_and_servers_in_this_process_get_no_token() -> None:
    source = {"program": ["x"], "other": ServerConfig(name="o", transport="stdio", command="y")}
    for config in load(source, token="tok-4711", headers={"X": "tok-4711"}):
        assert "tok-4711" not in str([config.args, dict(config.env), dict(config.headers)])


@pytest.mark.parametrize("key", ["token", "auth"])
def test_credentials_in_a_programs_entry_are_said_to_be_useless(key: str) -> None:
    with pytest.warns(ConfigWarning, match=f"'mcpnb.{key}': a program gets no HTTP headers"):
        load({"a": {"command": "x", "mcpnb": {key: "company"}}})


@pytest.mark.parametrize(
    ("own", "shared", "key", "words"),
    [
        ({"token": ""}, None, "mcpnb.token", "is empty"),
        ({"token": 5}, None, "mcpnb.token", "a number"),
        ({"auth": "company"}, None, "mcpnb.auth", "Add them beside the servers"),
        ({"auth": "compny"}, SHARED, "mcpnb.auth", "Known: company"),
        ({"auth": "zzz"}, SHARED, "mcpnb.auth", "Known: company, spare"),
        ({"auth": "spare"}, SHARED, "mcpnb.auth.spare.token", "GONE, which is not set"),
        ({"auth": ["company"]}, SHARED, "mcpnb.auth", "not a string"),
        ({"auth": "x"}, {"auth": {"x": "tok"}}, "mcpnb.auth.x", "not an object"),
        (
            {"auth": "x"},
            {"auth": {"x": {"pasword": "p"}}},
            "mcpnb.auth.x.pasword",
            "a token, headers, or what OAuth has",
        ),
        ({"auth": "x"}, {"auth": {"x": {"headers": {"A": 5}}}}, "mcpnb.auth.x.headers.A", "a number"),
        ({}, {"auth": []}, "mcpnb.auth", "a list"),
        ({}, [], "mcpnb", "a list"),
    ],
)
def test_wrong_credentials_name_their_key(own: dict[str, Any], shared: object, key: str, words: str) -> None:
    error = failure({"mcpnb": own}, shared)
    assert error.key == key
    assert words in str(error)


def test_a_wrong_token_for_the_fleet_is_refused() -> None:
    assert failure({}, token=5).key == "token"
    assert failure({}, token=" ").key == "token"


def test_our_own_keys_beside_the_servers_are_said_to_belong_inside() -> None:
    with pytest.warns(ConfigWarning, match=r"'mcpnb\.region': not used here"):
        assert headers({}, {"region": "eu"}) == {}


def test_no_credential_is_shown() -> None:
    document = {"mcpServers": {"a": {"url": "http://h/", "mcpnb": {"auth": "company"}}}, "mcpnb": SHARED}
    (config,) = load(document, environ=ENVIRON)
    assert "tok-4711" not in repr(config)
    assert "blue" not in repr(config)
