"""OAuth in configurations: every form it is written in, what it hides, and what makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

from mcpnb.config import ConfigWarning, OAuth, ServerConfig, is_private, load, secrets_of
from mcpnb.errors import ConfigError

ENVIRON = {"ID": "notebook", "SECRET": "s3cr3t-4711", "ISSUER": "https://login.example"}
PROGRAM = {"grant": "client_credentials", "client_id": "job", "issuer": "https://login.example"}


def settings(entry: dict[str, Any], own: object = None, **options: Any) -> OAuth | None:
    """What the one server with this entry logs in with; `own` stands beside the servers."""
    document: dict[str, Any] = {"mcpServers": {"a": {"url": "http://h/mcp", **entry}}}
    if own is not None:
        document["mcpnb"] = own
    (config,) = load(document, environ=ENVIRON, **options)
    return config.auth


def failure(entry: dict[str, Any], own: object = None, **options: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        settings(entry, own, **options)
    return caught.value


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"auth": "oauth"}, OAuth()),
        ({"auth": "OAuth"}, OAuth()),
        ({"mcpnb": {"auth": "oauth"}}, OAuth()),
        ({"mcpnb": {"auth": {"client_id": "${ID}", "scopes": "a b"}}},
         OAuth(client_id="notebook", scopes=("a", "b"))),
        ({"auth": {"client_id": "x"}}, OAuth(client_id="x")),
        ({"auth": {"CLIENT_ID": "${ID}", "CLIENT_SECRET": "${SECRET}"}},
         OAuth(client_id="notebook", client_secret="s3cr3t-4711")),
        ({"auth": {"CLIENT_ID": "x", "scopes": ["a"]}}, OAuth(client_id="x", scopes=("a",))),
        ({"oauth": {"clientId": "x", "callbackPort": 8123}},
         OAuth(client_id="x", redirect_uri="http://localhost:8123/callback")),
        ({"oauth": {"clientId": "x", "clientSecret": "y"}}, OAuth(client_id="x", client_secret="y")),
        ({"oauth": {"enabled": True}}, OAuth()),
        ({"oauth": {"enabled": False, "clientId": "x"}}, None),
        ({"oauth": {}}, None),
        ({"oauth": {"authServerMetadataUrl": "https://l/.well-known/oauth-authorization-server/t"}},
         OAuth(issuer="https://l/t")),
        ({"oauth": {"authServerMetadataUrl": "https://l/t/.well-known/openid-configuration"}},
         OAuth(issuer="https://l/t")),
        ({"auth": "a-bearer-token"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_every_form_of_oauth_is_understood(entry: dict[str, Any], expected: OAuth | None) -> None:
    assert settings(entry) == expected


def test_servers_share_settings_by_name_headers_beside_them() -> None:
    shared = {"auth": {"company": {**PROGRAM, "client_secret": "${SECRET}", "headers": {"X-Team": "a"}}}}
    (config,) = load(
        {"mcpServers": {"a": {"url": "http://h/", "mcpnb": {"auth": "company"}}}, "mcpnb": shared},
        environ=ENVIRON,
    )
    assert config.auth == OAuth(**PROGRAM, client_secret="s3cr3t-4711")  # type: ignore[arg-type]
    assert dict(config.headers) == {"X-Team": "a"}
    assert "s3cr3t-4711" in secrets_of(config)
    assert "s3cr3t-4711" not in repr(config)


@pytest.mark.parametrize("given", ["oauth", {"client_id": "${ID}"}, OAuth(client_id="notebook")])
def test_settings_for_all_servers_fill_in_where_a_server_has_no_credentials(given: Any) -> None:
    expected = OAuth() if given == "oauth" else OAuth(client_id="notebook")
    assert settings({}, auth=given) == expected
    assert settings({"auth": {"client_id": "own"}}, auth=given) == OAuth(client_id="own")
    for entry in ({"headers": {"authorization": "Basic x"}}, {"mcpnb": {"token": "t"}}, {"auth": "t"}):
        assert settings(entry, auth=given) is None
    (program,) = load(["python"], auth=given)
    assert program.auth is None


def test_a_ready_config_is_filled_too() -> None:
    ready = ServerConfig("a", "http", url="http://h/")
    assert load(ready, auth="oauth")[0].auth == OAuth()
    assert (
        load(ServerConfig("a", "http", url="http://h/", headers={"Authorization": "x"}), auth="oauth")[0].auth
        is None
    )


def test_a_header_of_its_own_goes_before_oauth_and_that_is_said() -> None:
    with pytest.warns(ConfigWarning, match="the Authorization header is sent instead"):
        assert settings({"auth": "oauth", "headers": {"Authorization": "Bearer x"}}) is None


@pytest.mark.parametrize("key", ["auth", "oauth"])
def test_a_program_has_no_use_for_it(key: str) -> None:
    with pytest.warns(ConfigWarning, match=f"'{key}': a program gets no HTTP headers"):
        load({"a": {"command": "x", key: {"clientId": "x"}}})


def test_endpoints_are_left_to_the_issuer_and_that_is_said() -> None:
    with pytest.warns(ConfigWarning, match=r"'oauth.tokenUrl': not used"):
        assert settings({"oauth": {"clientId": "x", "tokenUrl": "https://l/token"}}) == OAuth(client_id="x")


@pytest.mark.parametrize(
    ("entry", "key", "words"),
    [
        ({"mcpnb": {"auth": {"client": "x"}}}, "mcpnb.auth.client", "Did you mean client_id"),
        ({"auth": {"CLIENT_ID": "x", "CLIENT_SECRT": "y"}}, "auth.CLIENT_SECRT", "CLIENT_SECRET"),
        ({"oauth": {"clientID": "x"}}, "oauth.clientID", "clientId"),
        ({"mcpnb": {"auth": {"client_id": "${GONE}"}}}, "mcpnb.auth.client_id", "GONE, which is not set"),
        ({"mcpnb": {"auth": {"issuer": "${GONE}"}}}, "mcpnb.auth.issuer", "GONE, which is not set"),
        ({"mcpnb": {"auth": {"issuer": "login.example"}}}, "mcpnb.auth.issuer", "no http or https URL"),
        ({"mcpnb": {"auth": {"scopes": 5}}}, "mcpnb.auth.scopes", "a number"),
        ({"mcpnb": {"auth": {"grant": "password"}}}, "mcpnb.auth.grant", "client_credentials"),
        ({"mcpnb": {"auth": {"grant": "client_credentials"}}}, "mcpnb.auth.grant", "Give client_id"),
        ({"mcpnb": {"auth": {"client_secret": "x"}}}, "mcpnb.auth.client_id", "missing"),
        ({"mcpnb": {"auth": {"private_key": "k.pem"}}}, "mcpnb.auth.client_id", "missing"),
        (
            {"mcpnb": {"auth": {"client_id": "x", "client_secret": "y", "private_key": "k.pem"}}},
            "mcpnb.auth.private_key",
            "beside client_secret",
        ),
        ({"mcpnb": {"auth": {"issuer": "http://login.example"}}}, "mcpnb.auth.issuer", "plain http"),
        (
            {"mcpnb": {"auth": {"client_metadata_url": "https://x.example/"}}},
            "mcpnb.auth.client_metadata_url",
            "no https address",
        ),
        (
            {"mcpnb": {"auth": {"client_metadata_url": "https://x.example/c", "client_id": "x"}}},
            "mcpnb.auth.client_metadata_url",
            "beside client_id",
        ),
        ({"mcpnb": {"auth": {"redirect_port": 70000}}}, "mcpnb.auth.redirect_port", "no port"),
        (
            {"mcpnb": {"auth": {"redirect_uri": "https://x.example/cb"}}},
            "mcpnb.auth.redirect_uri",
            "this computer",
        ),
    ],
)
def test_what_makes_no_sense_names_its_key_and_what_to_do(
    entry: dict[str, Any], key: str, words: str
) -> None:
    error = failure(entry)
    assert error.key == key
    assert words in str(error)


def test_a_programs_secret_goes_to_a_named_issuer_only() -> None:
    with pytest.raises(ConfigError, match="else the MCP server decided who gets the secret"):
        OAuth(grant="client_credentials", client_id="job", client_secret="x")


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("https://login.example", True), ("http://localhost:1", True), ("http://a.localhost/x", True),
        ("http://127.3.2.1", True), ("http://[::1]:8/x", True), ("http://login.example", False),
        ("http://127.0.0.1.login.example", False), ("http://10.0.0.1", False), ("http://[::1", False),
        ("http://localhost.example", False), ("ftp://login.example", False),
    ],
)  # fmt: skip
def test_only_tls_and_this_computer_are_private(url: str, private: bool) -> None:
    assert is_private(url) is private


def test_no_secret_is_in_its_repr() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\n-----END PRIVATE KEY-----"
    for each in ({"client_secret": "s3cr3t-4711"}, {"private_key": key}):
        auth = OAuth(**PROGRAM, **each)  # type: ignore[arg-type]
        assert "•••" in repr(auth)
        assert not any(secret in repr(auth) for secret in auth.secrets)
        assert auth.secrets
