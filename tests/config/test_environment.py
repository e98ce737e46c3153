"""What a stdio server's process sees, and what a .env file says."""

from __future__ import annotations

import pytest

from mcpnb.config import INHERITED, PASSED_THROUGH, ServerConfig, child_environment
from mcpnb.config.environment import read_env_file
from mcpnb.errors import ConfigError


def test_a_child_sees_what_is_safe_and_what_its_entry_names_and_no_more() -> None:
    config = ServerConfig(name="a", transport="stdio", command="x", env={"TOKEN": "t", "PATH": "/own"})
    environ = {
        "PATH": "/usr/bin",
        "HOME": "/h",
        "SSL_CERT_FILE": "/ca",
        "https_proxy": "http://p",
        "AWS_SECRET": "no",
    }
    assert child_environment(config, environ) == {
        "PATH": "/own", "HOME": "/h", "SSL_CERT_FILE": "/ca", "https_proxy": "http://p", "TOKEN": "t",
    }  # fmt: skip


def test_shell_functions_and_variables_taken_out_are_not_handed_down() -> None:
    config = ServerConfig(name="a", transport="stdio", command="x", unset=frozenset({"HTTP_PROXY"}))
    assert child_environment(config, {"HTTP_PROXY": "p", "TERM": "() { :; }", "USER": "u"}) == {"USER": "u"}


def test_the_sdks_own_variables_are_all_inherited() -> None:
    from mcp.client.stdio import DEFAULT_INHERITED_ENV_VARS

    assert set(DEFAULT_INHERITED_ENV_VARS) <= set(INHERITED)
    assert set(INHERITED).isdisjoint(PASSED_THROUGH)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("export A = two words # no", "two words"),
        ("A=", ""),
        ("A='single $B # x'", "single $B # x"),
        ('A="line\\n\\"two\\"" # c', 'line\n"two"'),
        ("A=x#y", "x#y"),
        ("A=a=b", "a=b"),
        ("# c\n\n  A=1  ", "1"),
    ],
)
def test_a_line_of_an_env_file_is_read(line: str, value: str) -> None:
    assert read_env_file(line) == {"A": value}


@pytest.mark.parametrize("line", ["no assignment", "=hunter2", 'A="hunter2', "A-B=hunter2"])
def test_a_line_that_is_none_is_named_by_its_number_only(line: str) -> None:
    with pytest.raises(ConfigError, match="line 2") as caught:
        read_env_file(f"A=1\n{line}")
    assert "hunter2" not in str(caught.value)
