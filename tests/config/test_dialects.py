"""What the keys of each dialect mean, on samples of what programs write, and the errors."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from mcpnb.config import ConfigWarning, OAuth, Prompt, ServerConfig, load
from mcpnb.errors import ConfigError

SAMPLES = Path(__file__).parent / "samples"
ENVIRON = {
    "HOME": "/home/me", "TEST_TOKEN": "tok-4711", "SURELY_NOT_SET_ANYWHERE": "x", "MCP_CLIENT_ID": "i",
    "MCP_CLIENT_SECRET": "s",
}  # fmt: skip


def sample(name: str, **options: Any) -> tuple[dict[str, ServerConfig], str]:
    """The servers of a sample by name, and all it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        configs = load(SAMPLES / name, environ=ENVIRON, **options)
    assert {w.category for w in caught} <= {ConfigWarning}
    return {c.name: c for c in configs}, "\n".join(str(w.message) for w in caught)


def entry(name: str = "a", /, environ: dict[str, str] | None = None, **values: Any) -> ServerConfig:
    (config,) = load({name: values}, environ=environ or {})
    return config


def failure(**values: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        entry(**values)
    return caught.value


def test_claude_desktops_file_loads_and_its_other_keys_are_nobodys_business() -> None:
    configs, warned = sample("claude_desktop_config.json")
    assert list(configs) == ["filesystem", "time"]
    assert dict(configs["time"].env) == {"TZ": "UTC"}
    assert warned == ""


def test_claude_codes_file_loads() -> None:
    configs, warned = sample("claude-code.mcp.json")
    implied, typed = configs["stdio-implied"], configs["stdio-typed"]
    assert implied.command == "/opt/mcp/envs/time/bin/mcp-server-time"
    assert implied.args == ("--local-timezone", "Europe/London")
    assert dict(implied.env) == {"TOKEN": "tok-4711", "PLAIN": "$HOME stays", "EMPTY_DEFAULT": ""}
    assert (typed.args, typed.timeout) == (("./server.js",), 60.0)
    assert configs["remote"].url == "http://127.0.0.1:27442/mcp"
    assert dict(configs["remote"].headers) == {"Authorization": "Bearer tok-4711", "X-Env": "dev"}
    assert [configs[n].transport for n in ("remote-alias", "events", "helper")] == ["http", "sse", "http"]
    assert len(warned.splitlines()) == 1
    assert "server 'helper': key 'headersHelper'" in warned
    assert configs["oauth"].auth == OAuth(
        client_id="your-client-id", scopes=("mcp", "offline_access"), issuer="https://auth.example.com",
        redirect_uri="http://localhost:8080/callback",
    )  # fmt: skip


def test_an_unset_variable_names_file_server_key_and_variable() -> None:
    environ = {k: v for k, v in ENVIRON.items() if k != "SURELY_NOT_SET_ANYWHERE"}
    with pytest.raises(ConfigError) as caught, pytest.warns(ConfigWarning):
        load(SAMPLES / "claude-code.mcp.json", environ=environ)
    error = caught.value
    assert error.file == str(SAMPLES / "claude-code.mcp.json")
    assert (error.server, error.key) == ("unset-no-default", "headers.Authorization")
    assert "SURELY_NOT_SET_ANYWHERE" in error.problem
    assert "${SURELY_NOT_SET_ANYWHERE:-default}" in str(error.fix)


def test_vs_codes_file_loads_and_asks_each_question_once() -> None:
    asked: list[Prompt] = []

    def ask(prompt: Prompt) -> str:
        asked.append(prompt)
        return "key-0815" if prompt.password else ""

    configs, warned = sample("vscode.mcp.json", ask=ask)
    assert [p.id for p in asked] == ["api-key", "region"]
    assert asked[1].options == ("eu", "us")
    typed = configs["typed"]
    assert (typed.command, typed.cwd) == (str(SAMPLES / "run.sh"), str(SAMPLES))
    assert typed.args == ("--home", "/home/me", "--sep", "/")
    assert dict(typed.env) == {"API_KEY": "key-0815", "REGION": "eu", "PATHY": "/home/me", "NUM": "5"}
    assert typed.unset == {"GONE"}
    assert dict(configs["remote"].headers) == {"Authorization": "Bearer key-0815"}
    assert configs["events"].transport == "sse"
    assert "unix" in str(configs["unix"].unsupported)
    assert all(c.unsupported is None for n, c in configs.items() if n != "unix")
    for words in (
        "'typed': key 'envFile': does not exist",
        "'sandboxed': key 'sandbox'",
        "'unix': key 'url'",
    ):
        assert words in warned
    assert configs["oauth"].auth == OAuth(client_id="example-client-id")
    assert "key-0815" not in repr(configs)


def test_cursors_file_loads() -> None:
    configs, warned = sample("cursor.mcp.json")
    local = configs["local"]
    assert local.args == (f"{SAMPLES}/tools/mcp_server.py", "/tmp")
    assert dict(local.env) == {"API_KEY": "tok-4711", "BASE": "samples", "HOME2": "/home/me"}
    assert configs["sse-no-type"].transport == "sse"
    assert dict(configs["static-oauth"].headers) == {}
    assert configs["static-oauth"].auth == OAuth(
        client_id=ENVIRON["MCP_CLIENT_ID"],
        client_secret=ENVIRON["MCP_CLIENT_SECRET"],
        scopes=("read", "write"),
    )
    assert "oauth" not in warned


def test_windsurfs_file_loads() -> None:
    configs, warned = sample("windsurf.mcp_config.json")
    assert configs["remote"].url == "http://127.0.0.1:27442/mcp"
    assert dict(configs["remote"].headers) == {"API_KEY": "Bearer tok-4711"}
    assert [c.disabled for c in configs.values()] == [False, True]
    assert "disabledTools" in warned


def test_fastmcps_file_loads() -> None:
    configs, warned = sample("fastmcp.mcp.json")
    weather, assistant = configs["weather"], configs["assistant"]
    assert dict(weather.headers) == {"Authorization": "Bearer bearer-token-string", "X-A": "1"}
    assert (weather.transport, weather.timeout) == ("http", 30.0)
    assert configs["inferred-sse"].transport == "sse"
    assert (dict(assistant.env), assistant.cwd) == ({"DEBUG": "true"}, str(SAMPLES))
    assert "bearer-token-string" not in repr(configs)
    assert configs["oauthed"].auth == OAuth()
    assert weather.auth is None
    assert "'transformed': key 'tools'" in warned


def test_a_bare_file_and_vs_codes_older_settings_load(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"a": {"url": "http://h/"}, "b": {"command": "x"}}))
    assert [c.name for c in load(path)] == ["a", "b"]
    for settings in ({"mcp": {"servers": {"a": {"command": "x"}}}}, {"mcp.servers": {"a": {"command": "x"}}}):
        path.write_text(json.dumps({"editor.fontSize": 12, **settings}))
        assert [c.name for c in load(path)] == ["a"]


@pytest.mark.parametrize(
    ("name", "server", "key", "words"),
    [
        ("both-command-and-url", "a", "url", "Keep either"),
        ("truncated", None, None, "line 2, column 1"),
        ("unknown-type", "a", "type", "Use stdio, http or sse"),
        ("env-not-strings", "a", "env.N", "B is true or false, Z is null"),
        ("servers-is-a-list", None, "mcpServers", "a list, not an object"),
    ],
)
def test_bad_samples_name_file_server_key_and_the_fix(
    name: str, server: str | None, key: str | None, words: str
) -> None:
    path = SAMPLES / "bad" / f"{name}.json"
    with pytest.raises(ConfigError) as caught:
        load(path)
    error = caught.value
    assert (error.file, error.server, error.key) == (str(path), server, key)
    assert words in str(error)
    assert error.fix


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"command": ""}, "command"),
        ({"command": []}, "command"),
        ({"command": "  "}, "command"),
        ({"command": 5}, "command"),
        ({"command": "${X:-}"}, "command"),
        ({"command": "x\0y"}, "command"),
        ({"command": "x", "args": "--flag"}, "args"),
        ({"command": "x", "args": ["a", 5]}, "args[1]"),
        ({"command": "x", "env": ["A=1"]}, "env"),
        ({"command": "x", "env": {"A": 1}}, "env.A"),
        ({"command": "x", "env": {"A=B": "1"}}, "env"),
        ({"command": "x", "cwd": 5}, "cwd"),
        ({"command": "x", "type": "http"}, "type"),
        ({"url": "http://h/", "type": "stdio"}, "type"),
        ({"url": "http://h/", "type": 5}, "type"),
        ({"url": "http://h/", "transport": "pigeon"}, "transport"),
        ({"url": "http://h/", "headers": {"A": 5}}, "headers.A"),
        ({"url": "http://h/", "headers": {"A": "x\ny"}}, "headers.A"),
        ({"url": "http://h/", "headers": "A: b"}, "headers"),
        ({"url": "http://h/", "headers": {"A B": "x"}}, "headers.A B"),
        ({"url": "http://h/", "headers": {"ä": "x"}}, "headers.ä"),
        ({"url": "http://h/", "headers": {"A": "x\x01"}}, "headers.A"),
        ({"url": "http://h/", "auth": 5}, "auth"),
        ({"url": "http://h/", "serverUrl": "http://h/"}, "serverUrl"),
        ({"serverUrl": "h:80/mcp"}, "serverUrl"),
        ({"url": "ftp://h/"}, "url"),
        ({"url": "http://h /"}, "url"),
        ({"url": 5}, "url"),
        ({"url": ""}, "url"),
        ({"url": "http://h/", "disabled": "false"}, "disabled"),
        ({"url": "http://h/", "enabled": 1}, "enabled"),
        ({"url": "http://h/", "timeout": "30"}, "timeout"),
        ({"url": "http://h/", "timeout": -1}, "timeout"),
        ({"url": "http://h/", "timeout": 0}, "timeout"),
        ({"url": "http://h/", "timeout": 1e999}, "timeout"),
        ({"url": "http://h/", "timeout": 10**400}, "timeout"),
        ({"url": "http://h/", "mcpnb": []}, "mcpnb"),
        *(({"url": "http://h/", "mcpnb": {key: value}}, f"mcpnb.{key}") for key, value in [
            ("weight", 0), ("weight", -1), ("weight", float("nan")), ("weight", True), ("weight", "1"),
            ("rate_limit", 0), ("rate_limit", float("inf")), ("health_interval", -5), ("timeout", -5),
            ("max_in_flight", 0), ("max_in_flight", 1.5), ("max_in_flight", True), ("connections", 0),
            ("max_queue", -1), ("max_queue", 1.5), ("idle_timeout", 0), ("idle_timeout", "1m"),
            ("priority", 1.5), ("priority", "high"), ("region", 5), ("tags", "eu"), ("replicas", True),
        ]),
        ({"url": "http://h/", "mcpnb": {"tags": [5]}}, "mcpnb.tags[0]"),
    ],
)  # fmt: skip
def test_a_wrong_value_names_server_and_key_and_says_what_to_write(values: dict[str, Any], key: str) -> None:
    error = failure(**values)
    assert (error.server, error.key) == ("a", key)
    assert error.fix


@pytest.mark.parametrize(
    ("written", "seconds"), [(60000, 60.0), (1000, 1.0), (1500.0, 1.5), (60, 60.0), (0.5, 0.5), (999, 999.0)]
)
def test_a_dialects_timeout_is_milliseconds_from_1000_on(written: float, seconds: float) -> None:
    assert entry(command="x", timeout=written).timeout == seconds


def test_our_own_timeout_is_in_seconds_and_wins() -> None:
    assert entry(command="x", timeout=60000, mcpnb={"timeout": 1800}).timeout == 1800.0
    assert load({"a": ["x"]}, timeout=1800)[0].timeout == 1800.0


def test_our_own_keys_are_read() -> None:
    own = {
        "region": "${R:-eu}", "tags": ["gpu", "${R}"], "weight": 2, "priority": -1, "max_in_flight": 8,
        "rate_limit": 2.5, "connections": 3, "health_interval": 1, "replicas": "weather", "max_queue": 0,
        "idle_timeout": 90,
    }  # fmt: skip
    config = entry(environ={"R": "us"}, url="http://h/", mcpnb=own)
    assert (config.region, config.tags, config.weight, config.priority) == ("us", {"gpu", "us"}, 2.0, -1)
    assert (config.max_in_flight, config.rate_limit, config.connections) == (8, 2.5, 3)
    assert (config.health_interval, config.replicas) == (1.0, "weather")
    endpoint = config.endpoint()
    assert (endpoint.name, endpoint.weight, endpoint.region, endpoint.max_in_flight) == ("a", 2.0, "us", 8)
    assert (config.max_queue, config.idle_timeout) == (0, 90.0)
    assert (endpoint.rate_limit, endpoint.max_queue) == (2.5, 0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"comand": 1}, "key 'comand': unknown key, not used; did you mean command?"),
        ({"weight": 2}, 'Write it as "mcpnb": {"weight": ...}'),
        ({"mcpnb": {"wieght": 2}}, "key 'mcpnb.wieght': unknown key, not used; did you mean weight"),
        ({"zzzzzz": 1}, "key 'zzzzzz': unknown key, not used."),
    ],
)
def test_an_unknown_key_warns_and_does_not_fail(values: dict[str, Any], words: str) -> None:
    with pytest.warns(ConfigWarning) as caught:
        assert entry(command="x", **values).command == "x"
    assert words in str(caught[0].message)


def test_a_key_that_stands_twice_in_a_table_of_an_entry_warns(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"mcpServers": {"a": {"command": "x", "env": {"A": "1", "A": "2"}}}}')
    with pytest.warns(ConfigWarning, match=r"key 'env\.A': stands there twice"):
        assert dict(load(path)[0].env) == {"A": "2"}


def test_a_key_that_stands_twice_warns(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"mcpServers": {"a": {"command": "x", "command": "y"}}}')
    with pytest.warns(ConfigWarning, match="twice"):
        assert load(path)[0].command == "y"


def test_a_disabled_server_is_listed_asked_nothing_and_may_miss_its_variables() -> None:
    (config,) = load({"servers": {"a": {
        "url": "${BASE}/mcp", "headers": {"A": "${input:x}"}, "disabled": True, "huh": 1,
    }}}, environ={})  # fmt: skip
    assert (config.disabled, config.url, dict(config.headers)) == (True, "${BASE}/mcp", {"A": "${input:x}"})
    assert entry(command="x", enabled=False).disabled


@pytest.mark.parametrize(
    ("spelt", "transport"),
    [
        *((spelt, "http") for spelt in (
            "http", "HTTP", "https", "streamable-http", "streamable_http", "streamableHttp", "StreamableHTTP",
            "Streamable HTTP", "httpStream", "http-stream", "streamable", "remote",
        )),
        *((spelt, "sse") for spelt in ("sse", "SSE", " sse ")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["type", "transport"])
def test_a_remote_transport_is_known_by_all_its_spellings(key: str, spelt: str, transport: str) -> None:
    assert entry(url="http://h/mcp", **{key: spelt}).transport == transport


@pytest.mark.parametrize("spelt", ["stdio", "STDIO", "local", None])
def test_a_program_is_known_by_all_its_spellings(spelt: str | None) -> None:
    assert entry(command="x", type=spelt).transport == "stdio"


def test_a_remote_server_without_a_protocol_goes_by_its_url() -> None:
    assert entry(type="remote", url="http://h/sse").transport == "sse"
    assert entry(url="http://h/sse?key=1").transport == "sse"
    assert entry(type="http", url="http://h/sse").transport == "http"


def test_a_key_that_changes_nothing_is_no_reason_to_warn() -> None:
    entry(
        command="x", type="local", tools=["*"], disabledTools=[], sandboxEnabled=False, sandbox={}, oauth={}
    )


def test_a_file_of_windsurf_takes_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text("hunter22\n")
    path = tmp_path / "mcp_config.json"
    headers = {"A": "Bearer ${file:key.txt}", "B": f"${{file:{tmp_path}/key.txt}}", "C": "${file:none:-d}"}
    path.write_text(
        json.dumps({"mcpServers": {"a": {"serverUrl": "http://h/${file:key.txt}", "headers": headers}}})
    )
    (config,) = load(path)
    assert dict(config.headers) == {"A": "Bearer hunter22", "B": "hunter22", "C": "d"}
    assert "hunter22" not in repr(config)


def test_a_file_for_a_variable_that_is_missing_is_named() -> None:
    error = failure(url="http://h/", headers={"A": "${file:/no/such/file}"})
    assert error.key == "headers.A"
    assert "needs the file /no/such/file, which does not exist" in str(error)


def test_variables_stand_in_every_place() -> None:
    environ = {"V": "v", "HOME": "/h"}
    program = entry(environ=environ, command="${V}", args=["${V}"], env={"K": "${V}"}, cwd="/${V}")
    assert (program.command, program.args, dict(program.env), program.cwd) == ("v", ("v",), {"K": "v"}, "/v")
    remote = entry(environ=environ, url="http://${V}/${V}?x=${V}", headers={"K": "a ${env:V}"})
    assert (remote.url, dict(remote.headers)) == ("http://v/v?x=v", {"K": "a v"})


def test_arguments_may_use_the_variables_that_the_entry_sets_itself() -> None:
    words = ["mcp-remote", "https://h/mcp", "--header", "Authorization:${AUTH_HEADER}"]
    config = entry(command="npx", args=words, env={"AUTH_HEADER": "Bearer hunter22"})
    assert config.args[-1] == "Authorization:Bearer hunter22"
    assert "hunter22" not in repr(config)
    outer = entry(environ={"V": "outer"}, command="x", args=["${V}", "${W}"], env={"V": "in", "W": "${V}/w"})
    assert outer.args == ("outer", "outer/w")


def test_a_variable_does_not_stand_for_itself() -> None:
    assert failure(command="x", env={"V": "${V}"}).key == "env.V"


def test_a_question_for_a_secret_hides_the_answer_unless_it_says_otherwise() -> None:
    declared = [{"id": "api-key"}, {"id": "color"}, {"id": "public-key", "password": False}]
    asked: dict[str, bool] = {}
    args = [f"${{input:{item['id']}}}" for item in declared]

    def ask(prompt: Prompt) -> str:
        asked[prompt.id] = prompt.password
        return "answer"

    load({"servers": {"a": {"command": "x", "args": args}}, "inputs": declared}, ask=ask)
    assert asked == {"api-key": True, "color": False, "public-key": False}


def test_without_a_person_the_error_names_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    source = {"servers": {"a": {"command": "x", "args": ["${input:color}"]}}, "inputs": [{"id": "color"}]}
    with pytest.raises(
        ConfigError, match=r"server 'a': key 'args\[0\]': asks for the input 'color', and nobody"
    ):
        load(source)


def test_web_sockets_are_a_row_that_says_why_not() -> None:
    for values in ({"type": "ws", "url": "ws://h/"}, {"type": "websocket", "url": "http://h/"}):
        with pytest.warns(ConfigWarning, match="web sockets"):
            assert "web sockets" in str(entry(**values).unsupported)


def test_null_is_the_same_as_leaving_a_key_out() -> None:
    config = entry(command="x", url=None, args=None, env=None, mcpnb={"region": None})
    assert (config.transport, config.args, dict(config.env), config.region) == ("stdio", (), {}, None)


def test_a_command_may_be_a_list_with_its_arguments() -> None:
    config = entry(command=["npx", "-y"], args=["pkg"])
    assert (config.command, config.args) == ("npx", ("-y", "pkg"))


def test_a_tilde_is_the_home_folder_in_programs_folders_and_arguments() -> None:
    config = entry(environ={"HOME": "/h"}, command="~/x", args=["~/a", "~", "a~", "~user"], cwd="~")
    assert (config.command, config.args, config.cwd) == ("/h/x", ("/h/a", "/h", "a~", "~user"), "/h")


def test_an_env_file_is_read_below_the_entrys_own_variables(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\nB=file\n")
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"servers": {"a": {"command": "x", "envFile": ".env", "env": {"B": "own"}}}}))
    assert dict(load(path)[0].env) == {"A": "file", "B": "own"}


def test_an_env_file_that_cannot_be_one_is_told_and_left_out() -> None:
    with pytest.warns(ConfigWarning, match=r"key 'envFile': cannot be read"):
        (config,) = load({"a": {"command": "x", "envFile": "\ud800"}})
    assert config.env == {}


def test_blanks_around_a_header_are_not_part_of_it() -> None:
    assert dict(entry(environ={"T": "tok "}, url="http://h/", headers={"A": "Bearer ${T}"}).headers) == {
        "A": "Bearer tok"
    }


@pytest.mark.parametrize(
    ("inputs", "key"),
    [
        ({}, "inputs"),
        ([5], "inputs[0]"),
        ([{"type": "promptString"}], "inputs[0].id"),
        ([{"id": "x", "password": "yes"}], "inputs[0].password"),
        ([{"id": "x", "options": "a"}], "inputs[0].options"),
        ([{"id": "x", "default": 5}], "inputs[0].default"),
    ],
)
def test_wrong_inputs_name_their_key(inputs: object, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"servers": {"a": {"command": "x"}}, "inputs": inputs})
    assert caught.value.key == key


def test_choices_may_have_labels() -> None:
    inputs = [{"id": "x", "options": [{"label": "Europe", "value": "eu"}, "us"]}]
    source = {"servers": {"a": {"command": "x", "args": ["${input:x}"]}}, "inputs": inputs}
    assert load(source, ask=lambda prompt: prompt.options[0])[0].args == ("eu",)


def test_a_path_that_looks_like_a_token_is_named_when_it_exists(tmp_path: Path) -> None:
    folder = tmp_path / "0123456789abcdef0123456789abcdef"
    folder.mkdir()
    (folder / "mcp.json").write_text("{}")
    with pytest.raises(ConfigError) as caught:
        load(folder / "mcp.json")
    assert caught.value.file == str(folder / "mcp.json")
