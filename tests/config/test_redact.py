"""By which signs a name or a text counts as a secret."""

from __future__ import annotations

import pytest

from mcpnb.config.redact import arguments, looks_secret, shown_url, sounds_secret


@pytest.mark.parametrize(
    "name",
    ["API_KEY", "apiKey", "--api-key", "X-Api-Key", "OPENAI_API_KEY", "PGPASSWORD", "accessToken",
     "GITHUB_PAT", "Cookie", "Authorization", "APIKey", "CLIENT_SECRET", "db_pass", "SAS"],
)  # fmt: skip
def test_names_of_secrets_are_known(name: str) -> None:
    assert sounds_secret(name)


@pytest.mark.parametrize(
    "name", ["PATH", "HOME", "--author", "monkey", "keyboard", "TZ", "region", "--compass", "passive", ""]
)
def test_other_names_are_not_taken_for_them(name: str) -> None:
    assert not sounds_secret(name)


@pytest.mark.parametrize(
    "text",
    ["sk-abcdefgh12345678", "ghp_abcdefghij0123456789", "eyJhbGciOiJIUzI1NiJ9.e30.x", "xoxb-123456789-abc",
     "0123456789abcdef0123456789abcdef", "6b1f4f0e-8a4e-4a57-9d2a-0c1c9d3e4f5a", "glpat-ABCdefGHIjkl1234"],
)  # fmt: skip
def test_tokens_are_known_by_their_looks(text: str) -> None:
    assert looks_secret(text)


@pytest.mark.parametrize(
    "text",
    ["server-everything", "mcp-server-time==2026.10.19", "--local-timezone", "Europe/London", "sk-learn",
     "hf_hub", "@modelcontextprotocol", "index.js", "npm_modules", "pypi-server", "", "12345678901234567890"],
)  # fmt: skip
def test_ordinary_words_are_not_taken_for_tokens(text: str) -> None:
    assert not looks_secret(text)


def test_a_flag_after_a_secret_flag_is_a_flag_and_a_lone_secret_flag_is_shown() -> None:
    assert arguments(["--token", "--verbose", "--auth"]) == ("--token", "--verbose", "--auth")


def test_an_unquoted_slash_in_a_password_hides_up_to_the_at_sign() -> None:
    assert "hunter2" not in shown_url("http://u:x@y/hunter2@h/mcp")
    assert shown_url("http://u:x/hunter2@h/") == "•••"
    assert "hunter2" not in "".join(arguments(["http://u:x@y/hunter2@h/mcp"]))
