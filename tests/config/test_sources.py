"""Every form of `source`, and what is said about what is none."""

from __future__ import annotations

import json
import pickle
import socket
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from mcpnb.config import ConfigErrors, ConfigWarning, ServerConfig, load
from mcpnb.errors import ConfigError


def write(folder: Path, content: object, name: str = "mcp.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def servers(**entries: object) -> dict[str, object]:
    return {"mcpServers": entries}


def test_a_file_gives_its_servers_in_order_and_says_where_they_came_from(tmp_path: Path) -> None:
    path = write(tmp_path, servers(b={"command": "npx", "args": ["-y", "x"]}, a={"url": "http://h:1/mcp"}))
    b, a = load(path)
    assert (b.name, b.transport, b.command, b.args, b.source) == ("b", "stdio", "npx", ("-y", "x"), str(path))
    assert (a.name, a.transport, a.url, a.command) == ("a", "http", "http://h:1/mcp", None)


def test_a_file_may_be_given_as_text_with_a_tilde(tmp_path: Path) -> None:
    write(tmp_path, servers(a={"command": "npx"}))
    assert [c.name for c in load("~/mcp.json", environ={"HOME": str(tmp_path)})] == ["a"]


def claude(folder: Path, **user: Any) -> Path:
    """Claude Code's own file, with servers for the project `folder / "project"`."""
    local = {"own": {"command": "./server"}, "both": {"command": "local"}}
    projects = {
        str(folder): {"mcpServers": {}, "allowedTools": []},
        str(folder / "project"): {"mcpServers": local, "history": []},
    }
    path = folder / ".claude.json"
    path.write_text(json.dumps({"numStartups": 3, "mcpServers": user, "projects": projects}))
    return path


def test_claude_codes_own_file_gives_the_servers_of_the_project_that_one_is_in(tmp_path, monkeypatch) -> None:
    path = claude(tmp_path, user={"command": "mine"}, both={"command": "mine"})
    (tmp_path / "project" / "notebooks").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "notebooks")
    configs = {config.name: config for config in load(path)}
    assert [configs[name].command for name in ("user", "both")] == ["mine", "local"]
    assert configs["own"].command == str(tmp_path / "project" / "server")
    assert configs["own"].cwd == str(tmp_path / "project")
    monkeypatch.chdir(tmp_path)
    assert [config.command for config in load(path)] == ["mine", "mine"]
    monkeypatch.chdir(tmp_path / "project")
    assert [config.name for config in load(claude(tmp_path))] == ["own", "both"]  # the user has none himself


def test_claude_codes_own_file_without_servers_for_this_folder_says_where_it_has_some(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="names no servers for this folder") as caught:
        load(claude(tmp_path))
    assert caught.value.fix == f"It has some for: {tmp_path / 'project'}."


def test_a_relative_path_is_relative_to_the_current_folder(tmp_path: Path, monkeypatch: Any) -> None:
    write(tmp_path, servers(a={"command": "npx"}))
    monkeypatch.chdir(tmp_path)
    assert load("mcp.json")[0].source == str(tmp_path / "mcp.json")


@pytest.mark.parametrize(
    ("url", "name", "transport"),
    [
        ("http://127.0.0.1:8000/mcp", "127.0.0.1-8000", "http"),
        ("https://mcp.example.com/mcp", "mcp.example.com", "http"),
        ("http://localhost:1/sse", "localhost-1", "sse"),
        ("http://localhost:1/sse/", "localhost-1", "sse"),
        ("http://[::1]:8000/mcp", "--1-8000", "http"),
        ("HTTPS://user:pw@Example.com/x?key=1", "Example.com", "http"),
    ],
)
def test_a_url_is_one_server_named_by_its_host(url: str, name: str, transport: str) -> None:
    (config,) = load(url)
    assert (config.name, config.transport, config.url) == (name, transport, url)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["npx", "-y", "@modelcontextprotocol/server-everything@1.2", "stdio"], "server-everything"),
        (["uvx", "mcp-server-time==2026.1"], "mcp-server-time"),
        (["uv", "run", "server.py"], "server"),
        (["python3.11", "-m", "mcpnb.lab.servers.weather", "--port", "1"], "weather"),
        (["/usr/bin/python", "dir/tool.py"], "tool"),
        (["./weather.sh"], "weather"),
        (["node"], "node"),
        (["uvx", "--token", "hunter22", "pkg"], "pkg"),
        (["ghp_abcdefghij0123456789"], "server"),
        (["$$"], "server"),
    ],
)
def test_a_list_of_strings_is_a_command_named_by_what_it_runs(command: list[str], name: str) -> None:
    (config,) = load(command)
    assert (config.name, config.transport, config.args) == (name, "stdio", tuple(command[1:]))


def test_paths_may_stand_in_a_command() -> None:
    (config,) = load([Path(sys.executable), Path("server.py")])
    assert (config.command, config.args) == (sys.executable, ("server.py",))


def test_a_list_that_starts_with_a_url_or_a_json_file_is_a_list_of_sources(tmp_path: Path) -> None:
    path = write(tmp_path, servers(a={"command": "npx"}))
    assert [c.name for c in load(["http://h:1/mcp", "http://h:2/mcp"])] == ["h-1", "h-2"]
    assert [c.name for c in load([str(path), "http://h:2/mcp"])] == ["a", "h-2"]


def test_names_in_a_list_that_were_given_before_get_a_number_that_nobody_has() -> None:
    sources = [{"a": "http://h/1"}, {"a": "http://h/2"}, {"a-2": "http://h/3"}, {"a": "http://h/4"}]
    assert [(c.name, c.url[-1]) for c in load(sources) if c.url] == [
        ("a", "1"),
        ("a-3", "2"),
        ("a-2", "3"),
        ("a-4", "4"),
    ]


def test_a_dict_gives_names_to_any_other_form(tmp_path: Path) -> None:
    path = write(tmp_path, servers(inner={"command": "npx"}))
    ready = ServerConfig(name="x", transport="http", url="http://h:9/")
    configs = load(
        {"web": "http://h:1/mcp", "cmd": ["npx"], "entry": {"command": "uvx"}, "file": path, "ready": ready}
    )
    assert [c.name for c in configs] == ["web", "cmd", "entry", "file", "ready"]
    assert [c.transport for c in configs] == ["http", "stdio", "stdio", "stdio", "http"]


def test_several_servers_under_one_name_keep_their_own_behind_it() -> None:
    whole = servers(a={"command": "npx"}, b={"command": "npx"})
    assert [c.name for c in load({"team": whole})] == ["team.a", "team.b"]


def test_a_whole_configuration_may_be_a_dict() -> None:
    assert [c.name for c in load(servers(a={"command": "npx"}))] == ["a"]
    assert [c.name for c in load({"servers": {"a": {"command": "npx"}}})] == ["a"]


def test_a_server_may_be_called_servers() -> None:
    assert [c.name for c in load({"servers": {"command": "npx"}})] == ["servers"]


def test_one_entry_by_itself_is_one_server() -> None:
    (config,) = load({"command": "npx", "args": ["-y", "some-server"]})
    assert (config.name, config.args) == ("some-server", ("-y", "some-server"))


def test_a_dict_without_servers_is_a_fleet_without_servers() -> None:
    assert load({}) == load(servers()) == []


def test_a_server_config_passes_through_and_options_fill_only_what_it_leaves_open() -> None:
    config = ServerConfig(name="a", transport="http", url="http://h/", weight=3.0)
    (filled,) = load({"b": config}, weight=9.0, region="eu", env={"A": "1"}, headers={"X": "1"})
    assert (filled.name, filled.weight, filled.region, dict(filled.headers)) == ("b", 3.0, "eu", {"X": "1"})
    assert not filled.env


def make_server(module: str, kind: str, name: str | None) -> object:
    cls = types.new_class(kind)
    cls.__module__ = module
    server = cls()
    if name is not None:
        server.name = name
    return server


@pytest.mark.parametrize(
    ("module", "kind", "name", "expected"),
    [
        ("mcp.server.mcpserver.server", "MCPServer", "Weather", "Weather"),
        ("mcp.server.lowlevel.server", "Server", "low", "low"),
        ("fastmcp.server.server", "FastMCP", None, "fastmcp"),
    ],
)
def test_server_objects_are_told_by_their_class_without_importing_anything(
    module: str, kind: str, name: str | None, expected: str
) -> None:
    target = make_server(module, kind, name)
    (config,) = load(target, region="eu", env={"A": "1"})
    assert (config.name, config.transport, config.target, config.region) == (
        expected,
        "in-process",
        target,
        "eu",
    )
    assert load({"mine": target})[0].name == "mine"
    assert config.address == f"in-process {kind}"


def test_real_sdk_servers_are_server_objects() -> None:
    from mcp.server import MCPServer, Server

    assert load(MCPServer("one"))[0].name == "one"
    assert load([Server("two"), MCPServer("two")])[1].name == "two-2"


def test_options_fill_what_servers_leave_open(tmp_path: Path) -> None:
    own = {"region": "us", "tags": ["x"]}
    path = write(
        tmp_path,
        servers(
            a={"url": "http://h/", "headers": {"authorization": "mine"}, "mcpnb": own, "timeout": 60000},
            b={"command": "npx", "env": {"A": "own"}},
        ),
    )
    a, b = load(path, region="eu", tags={"y"}, timeout=5, weight=2, environ={"V": "v"}, cwd="sub",
                headers={"Authorization": "t", "X": "${V}"}, env={"A": "t", "B": "${V}"})  # fmt: skip
    assert (a.region, a.tags, a.timeout, a.weight) == ("us", frozenset({"x"}), 60.0, 2.0)
    assert (dict(a.headers), dict(a.env), a.cwd) == ({"X": "v", "authorization": "mine"}, {}, None)
    assert (b.region, b.tags, b.timeout, b.cwd) == ("eu", frozenset({"y"}), 5.0, str(Path.cwd() / "sub"))
    assert (dict(b.env), dict(b.headers)) == ({"A": "own", "B": "v"}, {})


def test_relative_programs_and_folders_are_relative_to_the_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        servers(
            a={"command": "bin/run", "cwd": "work"}, b={"command": "run", "cwd": "."}, c={"command": "~/run"}
        ),
    )
    a, b, c = load(path, environ={"HOME": "/home/me"})
    assert (a.command, a.cwd) == (str(tmp_path / "bin/run"), str(tmp_path / "work"))
    assert (b.command, b.cwd) == ("run", str(tmp_path))
    assert (c.command, c.cwd) == ("/home/me/run", str(tmp_path))


def test_a_program_of_a_file_starts_where_its_relative_arguments_are_found(tmp_path: Path) -> None:
    (editor,) = load(
        write(tmp_path, servers(a={"command": "python", "args": ["./s.py"]}), ".cursor/mcp.json")
    )
    (cell,) = load(servers(a={"command": "python", "args": ["./s.py"]}))
    assert (editor.cwd, editor.args, cell.cwd) == (str(tmp_path), ("./s.py",), None)


def test_paths_of_windows_are_left_as_they_are_elsewhere(tmp_path: Path) -> None:
    entry = {
        "command": "C:\\tools/run.exe",
        "args": ["D:\\data"],
        "cwd": "C:\\work",
        "envFile": "C:\\x\\.env",
    }
    with pytest.warns(ConfigWarning, match="does not exist"):
        (a,) = load(write(tmp_path, servers(a=entry)))
    assert (a.command, a.args, a.cwd) == ("C:\\tools/run.exe", ("D:\\data",), "C:\\work")


def test_an_editors_file_speaks_of_the_folder_above(tmp_path: Path) -> None:
    path = write(
        tmp_path, {"servers": {"a": {"command": "./run", "args": ["${workspaceFolder}"]}}}, ".vscode/mcp.json"
    )
    (a,) = load(path)
    assert (a.command, a.args) == (str(tmp_path / "run"), (str(tmp_path),))


# what is no source


def failure(source: object, **options: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(source, **options)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


def test_a_missing_file_is_named_with_what_lies_beside_it(tmp_path: Path) -> None:
    write(tmp_path, {}, "mcp.json")
    error = failure(tmp_path / "mpc.json")
    assert error.file == str(tmp_path / "mpc.json")
    assert "does not exist" in str(error)
    assert error.fix is not None
    assert "mcp.json" in error.fix


def test_a_token_where_a_path_belongs_is_not_repeated() -> None:
    error = failure("ghp_abcdefghij0123456789")
    assert "ghp_" not in str(error)
    assert "does not exist" in str(error)


def test_a_command_in_one_string_is_told_to_become_a_list() -> None:
    assert '["python", "server.py"]' in str(failure("python server.py"))


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ('{"mcpServers": {"a": {"command": "x"}', "line 1, column 38"),
        ('{\n  "mcpServers": {\n    "a" {}\n  }\n}', "line 3, column 9"),
        ("", "line 1, column 1"),
        ("not json", "line 1, column 1"),
        ('{"mcpServers": {"a": {"url": "http://h/", "mcpnb": {"weight": NaN}}}}', "NaN"),
    ],
)
def test_a_file_that_is_not_json_names_line_and_column(tmp_path: Path, content: str, where: str) -> None:
    error = failure(write(tmp_path, content))
    assert error.file == str(tmp_path / "mcp.json")
    assert where in str(error)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"\xff\xfe{\x00}\x00", "names no servers"),
        (b"\xff\xfe{", "UTF-8"),
        (b"{\x00}\x00", "not JSON"),
        (b"\xe4", "UTF-8"),
        (b" \n", "it is empty"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[1, 2]", "a list, not an object"),
        (b"null", "null"),
    ],
)
def test_files_of_other_kinds_are_refused_in_words(tmp_path: Path, raw: bytes, words: str) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(raw)
    assert words in str(failure(path))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_fault(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(json.dumps(servers(ä={"command": "x"}), ensure_ascii=False).encode(encoding))
    assert load(path)[0].name == "ä"


def test_a_folder_and_a_name_too_long_are_no_files(tmp_path: Path) -> None:
    assert "is a folder" in str(failure(tmp_path))
    assert "cannot be read" in str(failure("x" * 5000))


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's address has to be short
    with socket.socket(socket.AF_UNIX) as not_even_root_may_read:
        not_even_root_may_read.bind("mcp.json")
        assert "cannot be read" in str(failure(tmp_path / "mcp.json"))


def test_a_misspelt_top_key_is_found(tmp_path: Path) -> None:
    error = failure(write(tmp_path, {"mcpservers": {"a": {"command": "x"}}}))
    assert (error.key, error.fix) == ("mcpServers", 'Rename "mcpservers" to "mcpServers".')


def test_a_name_that_stands_twice_in_a_file_is_refused(tmp_path: Path) -> None:
    error = failure(write(tmp_path, '{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}'))
    assert (error.server, error.problem) == ("a", "is defined twice.")
    both = {"mcpServers": {"a": {"command": "x"}}, "servers": {"a": {"command": "x"}}}
    assert failure(write(tmp_path, both)).server == "a"


def test_a_table_of_servers_that_stands_twice_is_refused(tmp_path: Path) -> None:
    text = '{"mcpServers": {"a": {"command": "x"}}, "mcpServers": {"b": {"command": "x"}}}'
    assert failure(write(tmp_path, text)).key == "mcpServers"
    assert failure(write(tmp_path, '{"a": {"command": "x"}, "a": {"command": "y"}}')).server == "a"


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        servers(
            good={"command": "x"},
            a={"command": "${GONE}", "args": ["${LOST}"], "env": {"K": "${MISSING}"}},
            b={"url": "http://h/", "headers": {"Authorization": "Bearer ${NONE}"}},
            c={"command": "x", "url": "http://h/"},
        ),
    )
    error = failure(path, environ={})
    assert isinstance(error, ConfigErrors)
    assert [(e.server, e.key) for e in error.problems] == [
        ("a", "env.K"), ("a", "command"), ("a", "args[0]"), ("b", "headers.Authorization"), ("c", "url"),
    ]  # fmt: skip
    assert {e.file for e in error.problems} == {str(path)}
    assert (error.file, error.server, error.key) == (str(path), "a", "env.K")
    assert str(error).splitlines()[0] == "5 problems:"
    assert all(name in str(error) for name in ("GONE", "LOST", "MISSING", "NONE", "Keep either"))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert "5 problems" in str(failure({"team": json.loads(path.read_text())}, environ={}))


def test_one_problem_is_a_plain_error(tmp_path: Path) -> None:
    assert type(failure(write(tmp_path, servers(a={"command": "${GONE}"})), environ={})) is ConfigError


@pytest.mark.parametrize(
    "name", ["a b", "a:b", "a/b", "../x", "ä", "日本", "😀", "a\nb", "x" * 300, "${A}", "0"]
)
def test_a_server_may_have_any_name(tmp_path: Path, name: str) -> None:
    assert load(write(tmp_path, {"mcpServers": {name: {"command": "x"}}}))[0].name == name


@pytest.mark.parametrize(
    ("source", "server", "words"),
    [
        (5, None, "a number is no source"),
        (None, None, "null is no source"),
        (object(), None, "a value of type object is no source"),
        (ServerConfig, None, "a class is no source"),
        ({"a": 5}, "a", "a number is no source"),
        ([5], None, "a number is no source"),
        ([], None, "empty list"),
        ({"a": []}, "a", "empty list"),
        ({"a": {}}, "a", "neither a command nor a url"),
        ({5: "http://h/"}, None, "a number among its keys"),
        ({"": "http://h/"}, "", "is empty"),
        ("", None, "is empty"),
        ("postgres://u:p@h/", None, "Use http:// or https://"),
        ('{"mcpServers": {}}', None, "json.loads"),
        ("http://", None, "not a complete"),
        ("http://h:99999/", None, "not a valid URL"),
        ("http://[/", None, "not a valid URL"),
    ],
)
def test_what_is_no_source_is_refused_in_words(source: object, server: str | None, words: str) -> None:
    error = failure(source)
    assert error.server in {server, "server", "h-99999"}
    assert words in str(error)
    assert error.fix


def test_an_unknown_option_is_refused_with_a_near_one() -> None:
    error = failure("http://h/", wieght=2)
    assert error.key == "wieght"
    assert "weight" in str(error)


def test_in_a_file_every_server_must_be_an_object(tmp_path: Path) -> None:
    error = failure(write(tmp_path, servers(a="http://h/")))
    assert (error.file, error.server) == (str(tmp_path / "mcp.json"), "a")
    assert error.fix == 'Write for example "a": {"url": "..."}.'


def test_importing_the_room_imports_neither_the_sdk_nor_pandas() -> None:
    import subprocess

    heavy = ["mcp", "mcp_types", "pandas", "numpy", "asyncio"]
    code = f"import sys, mcpnb.config; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_warnings_are_of_a_class_of_their_own(tmp_path: Path) -> None:
    path = write(tmp_path, servers(a={"command": "x", "comand": "y"}))
    with pytest.warns(ConfigWarning, match=r"mcp\.json: server 'a': key 'comand': unknown key.*command"):
        load(path)
