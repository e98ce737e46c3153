"""The command line, as a person or a script uses it."""

from __future__ import annotations

import functools
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mcpnb import cli, lab
from mcpnb.lab import demo
from mcpnb.lab.replicas import Rack, Wanted
from mcpnb.lab.terminal import table

WEATHER = [sys.executable, "-m", "mcpnb.lab.servers.weather"]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A configuration with an HTTP server that runs, a stdio one, and a command that does not exist."""
    rack = Rack([Wanted("near", "weather", version="2.1.0", options=("--today", "2026-07-28"))])
    folder = tmp_path_factory.mktemp("config")
    servers: dict[str, Any] = {"near": {"type": "http", "url": rack.configs[0].url}}
    (folder / "near.json").write_text(json.dumps({"mcpServers": servers}))
    servers["child"] = {"command": WEATHER[0], "args": [*WEATHER[1:], "--today", "2026-07-28"]}
    (folder / "good.json").write_text(json.dumps({"mcpServers": servers}))
    servers["broken"] = {"command": "no-such-command-here"}
    (folder / "mixed.json").write_text(json.dumps({"mcpServers": servers}))
    yield folder
    rack.close()


def test_status_shows_a_row_per_server_and_succeeds_when_all_are_connected(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["status", str(config / "good.json")]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["server", "state", "transport", "protocol"]
    assert first.split()[:3] == ["near", "connected", "http"]
    assert "2.1.0" in first
    assert second.split()[:3] == ["child", "connected", "stdio"]


def test_status_says_why_a_server_is_not_connected_and_fails(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["status", str(config / "mixed.json")]) == 1
    out = capsys.readouterr().out
    assert "near" in out
    assert "broken is failed: " in out
    assert "no-such-command-here" in out


def test_status_as_json_is_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", str(config / "mixed.json"), "--json"]) == 1
    rows = {row["server"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["near"]["state"] == "connected"
    assert rows["near"]["tools"] == 2
    assert rows["near"]["last_error"] is None
    assert rows["broken"]["last_error"]


def run(*arguments: str, given: str = "", environ: dict[str, str] | None = None) -> Any:
    """The real command, in a process of its own."""
    command = [sys.executable, "-m", "mcpnb.cli", *arguments]
    whole = None if environ is None else {**os.environ, **environ}
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, env=whole)


def test_the_command_gives_rows_for_machines_with_the_same_keys_for_every_server(config: Path) -> None:
    servers = json.loads((config / "mixed.json").read_text())["mcpServers"]
    servers["off"] = {"command": "x", "disabled": True}
    servers["child"]["mcpnb"] = {"region": "eu", "tags": ["b", "a"], "weight": 2, "priority": -1}
    done = run("status", "-", "--json", given=json.dumps({"mcpServers": servers}))
    assert (done.returncode, done.stderr) == (1, "")
    rows = {row["server"]: row for row in json.loads(done.stdout)}
    assert list(rows) == ["near", "child", "broken", "off"]
    assert {tuple(row) for row in rows.values()} == {cli.STATUS_KEYS}
    child, broken = rows["child"], rows["broken"]
    assert (child["state"], child["transport"], child["tools"]) == ("connected", "stdio", 2)
    assert (child["region"], child["tags"], child["weight"], child["priority"]) == ("eu", ["a", "b"], 2.0, -1)
    assert child["p50_ms"] is child["last_error"] is None
    assert datetime.fromisoformat(child["connected_at"]).utcoffset() == timedelta(0)
    assert broken["state"] == "failed"
    assert "no-such-command-here" in broken["last_error"]
    assert broken["connected_at"] is None
    assert rows["off"]["state"] == "disconnected"


def test_the_rows_for_machines_are_the_columns_of_the_servers_frame() -> None:
    from mcpnb.notebook.frames import servers_frame

    assert set(cli.STATUS_KEYS) <= set(servers_frame([]).columns)


def test_servers_that_are_switched_off_do_not_count(config: Path) -> None:
    servers = json.loads((config / "near.json").read_text())["mcpServers"]
    servers["off"] = {"command": "x", "disabled": True}
    done = run("status", "-", given=json.dumps({"mcpServers": servers}))
    assert (done.returncode, done.stderr) == (0, "")
    assert "disabled in the configuration" in done.stdout


def test_a_warning_and_an_unset_variable_are_told_on_standard_error_in_one_line_each(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    servers = {"a": {"command": "x", "comand": 1}, "b": {"command": "${SURELY_NOT_SET}"}}
    path.write_text(json.dumps({"mcpServers": servers}))
    done = run("status", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    warning, error = done.stderr.splitlines()
    assert warning.startswith(f"mcpnb: warning: {path}: server 'a': key 'comand': unknown key")
    assert error.startswith(f"mcpnb: {path}: server 'b': key 'command': needs the environment variable")


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon"])
def test_a_timeout_must_be_a_number_of_seconds(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["status", "mcp.json", f"--timeout={text}"])
    assert end.value.code == 2
    assert "--timeout" in capsys.readouterr().err


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_asked(tmp_path: Path) -> None:
    silent = {"command": sys.executable, "args": ["-c", "import sys; sys.stdin.read()"]}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"silent": silent}}))
    done = run("status", str(tmp_path / "mcp.json"), "--timeout", "0.5")
    assert done.returncode == 1
    assert "no MCP answer within 0.5 s" in done.stdout


def test_a_question_is_asked_on_standard_error_since_the_output_is_for_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    document = {"inputs": [{"id": "color"}], "servers": {"a": {"command": "no-such-${input:color}"}}}
    (tmp_path / "mcp.json").write_text(json.dumps(document))
    monkeypatch.setattr(sys, "stdin", io.StringIO("red\n"))
    assert cli.main(["status", str(tmp_path / "mcp.json"), "--json"]) == 1
    said = capsys.readouterr()
    assert "no-such-red" in json.loads(said.out)[0]["last_error"]
    assert said.err == "color: "


def test_a_question_that_nobody_can_answer_names_the_input(tmp_path: Path) -> None:
    document = {"inputs": [{"id": "color"}], "servers": {"a": {"command": "x", "args": ["${input:color}"]}}}
    (tmp_path / "mcp.json").write_text(json.dumps(document))
    done = run("status", str(tmp_path / "mcp.json"))
    assert done.returncode == 2
    assert "asks for the input 'color', and nobody can answer" in done.stderr


def test_call_prints_the_value_as_json_and_who_gave_it_on_standard_error(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = str(config / "good.json")
    assert cli.main(["call", where, "near:weather.forecast", "location=London", "days=2"]) == 0
    captured = capsys.readouterr()
    value = json.loads(captured.out)
    assert value["location"] == "London"
    assert [day["date"] for day in value["days"]] == ["2026-07-28", "2026-07-29"]
    assert captured.err.startswith("near, ")


def test_call_keeps_text_as_text_where_the_schema_wants_text(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["call", str(config / "near.json"), "weather.current", "location=90210"]) == 0
    assert json.loads(capsys.readouterr().out)["location"] == "90210"


def test_call_explains_on_demand(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["call", str(config / "near.json"), "weather.current", "location=Oslo", "--explain"]) == 0
    assert "attempt 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["weather.curent", "location=Oslo"], "Did you mean weather.current"),
        (["weather.forecast", "location=Oslo", "days=99"], "days"),
        (["weather.forecast", "location=Oslo", "days=many"], "days"),
        (["weather.forecast"], "location"),
        (["weather.forecast", "location"], "'location' is not KEY=VALUE"),
    ],
)
def test_a_call_that_cannot_be_made_is_one_line_and_status_2(
    config: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert cli.main(["call", str(config / "near.json"), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mcpnb: ")
    assert says in error
    assert "Traceback" not in error


@pytest.mark.parametrize("command", [["status"], ["call"]])
def test_a_configuration_that_cannot_work_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{")
    arguments = ["weather.current"] if command == ["call"] else []
    assert cli.main([*command, str(path), *arguments]) == 2
    assert str(path) in capsys.readouterr().err


def test_no_command_or_an_unknown_one_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["dance"]):
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        assert end.value.code == 2
    assert "usage: mcpnb" in capsys.readouterr().err


def test_the_demo_succeeds_and_leaves_the_picture_where_it_was_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = demo.Size(calls=2, phase=5, requests=24, compare_rate=80)
    monkeypatch.setattr(demo, "Demo", functools.partial(demo.Demo, size=small))
    out = tmp_path / "picture.png"
    assert cli.main(["demo", "--out", str(out), "--seed", "3"]) == 0
    assert out.stat().st_size > 10_000
    assert "0 of them not answered" in capsys.readouterr().out


def test_a_demo_whose_calls_were_not_all_answered_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def __init__(self, **_: Any) -> None: ...

        def run(self) -> bool:
            return False

    monkeypatch.setattr(demo, "Demo", Failing)
    assert cli.main(["demo", "--out", str(tmp_path / "x.png")]) == 1


def test_the_demo_refuses_a_place_where_it_could_not_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["demo", "--out", str(tmp_path / "missing" / "x.png")]) == 2
    assert cli.main(["demo", "--out", str(tmp_path)]) == 2
    assert "missing" in capsys.readouterr().err


def test_lab_opens_jupyterlab_on_copies_of_the_notebooks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_become", lambda command: commands.append(command) or 0)
    assert cli.main(["lab", "--no-browser", "--port", "9999"]) == 0
    (command,) = commands
    folder = tmp_path / "mcpnb-notebooks"
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={folder}" in command
    assert "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in command
    assert command[-2:] == ["--port=9999", "--no-browser"]
    assert json.loads((folder / "00_start_here.ipynb").read_text())["nbformat"] == 4


def test_lab_without_jupyterlab_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.importlib.util, "find_spec", lambda _: None)
    assert cli.main(["lab"]) == 2
    assert "pip install 'mcpnb[lab]'" in capsys.readouterr().err


def test_a_notebook_that_was_worked_on_is_not_overwritten(tmp_path: Path) -> None:
    source = tmp_path / "package"
    source.mkdir()
    (source / "00_start_here.ipynb").write_text("new")
    (source / "01_more.ipynb").write_text("new")
    folder = cli.prepare_notebooks(source, tmp_path)
    (folder / "00_start_here.ipynb").write_text("my work")
    (folder / "01_more.ipynb").unlink()
    assert cli.prepare_notebooks(source, tmp_path) == folder
    assert (folder / "00_start_here.ipynb").read_text() == "my work"
    assert (folder / "01_more.ipynb").read_text() == "new"


def test_in_a_checkout_the_notebooks_themselves_are_opened(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    assert cli.prepare_notebooks(tmp_path / "notebooks", tmp_path) == tmp_path / "notebooks"


def test_the_command_is_installed_and_help_does_not_wait_for_the_sdk() -> None:
    script = (
        "import sys; from mcpnb.cli import main\ntry: main(['--help'])\nfinally: print('mcp' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "demo" in shown.stdout
    assert shown.stdout.rstrip().endswith("False")


def test_a_table_shows_what_would_take_over_a_terminal() -> None:
    shown = table(["server", "ms"], [["evil\x1b[2Jname", 1.0], ["good", float("nan")], ["late", None]])
    assert "\x1b" not in shown
    assert shown.splitlines()[1].endswith("1.0")


def test_lab_names_are_importable_and_others_are_refused() -> None:
    assert set(dir(lab)) >= {"LabFleet", "Profile", "start", "traffic"}
    assert lab.Profile is not None
    with pytest.raises(AttributeError, match="no attribute 'strat'"):
        _ = lab.strat
