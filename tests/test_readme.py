"""What the README shows is what happens."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

import mcpnb
from mcpnb.routing.strategies import registry

README = (Path(__file__).parent.parent / "README.md").read_text()
(
    SESSION, SIMULATION, RECORDING, CORE, NOTEBOOK, GATHER, PROTECTIONS, STRATEGY, DISCOVERY,
    LOGIN,
) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)  # fmt: skip


@pytest.mark.timeout(180)
def test_the_short_session_runs_as_it_stands(tmp_path, monkeypatch):
    weather = {"command": sys.executable, "args": ["-m", "mcpnb.lab.servers.weather"]}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"alpha": weather, "beta": weather}}))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    quicker = SESSION.replace("requests=400", "requests=40")
    assert quicker != SESSION
    try:
        exec(compile(quicker, "README.md", "exec"), names)
        assert len(names["forecast"].df) == 5
        assert len(names["fleet"].calls) > 160
    finally:
        if "fleet" in names:
            names["fleet"].close()


def test_the_simulation_runs_as_it_stands():
    names: dict[str, object] = {"mcpnb": mcpnb}
    exec(compile(SIMULATION, "README.md", "exec"), names)


def test_a_session_is_recorded_and_answered_again_as_shown(tmp_path, monkeypatch):
    weather = {"command": sys.executable, "args": ["-m", "mcpnb.lab.servers.weather"]}
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"mcpnb": mcpnb}
    with mcpnb.connect({"alpha": weather, "beta": weather}, replicas=True) as names["fleet"]:
        exec(compile(RECORDING, "README.md", "exec"), names)
    with names["again"] as again:
        assert again.call("weather.current", location="London").value == names["answer"].value


def test_the_notebook_s_lines_run_as_they_stand():
    names: dict[str, object] = {"mcpnb": mcpnb}
    with mcpnb.lab.start("weather", replicas=2) as names["fleet"]:
        for line in NOTEBOOK.splitlines():
            names["_"] = eval(line, names)
            getattr(names["_"], "close", lambda: None)()


def test_answers_are_made_one_as_shown():
    names: dict[str, object] = {}
    exec(compile(GATHER, "README.md", "exec"), names)
    with names["fleet"]:
        assert names["whole"].value["temperature_c"] == pytest.approx(21.4)


def test_pictures_and_notebooks_that_are_shown_are_there():
    root = Path(__file__).parent.parent
    named = re.findall(r"(?:\]\(|src=\"|srcset=\")(notebooks/[^\")]+)", README)
    assert len(named) > 8
    assert [name for name in named if not (root / name).is_file()] == []


def test_the_core_is_shown_as_it_is():
    compile(f"async def main():\n    {CORE.replace(chr(10), chr(10) + '    ')}", "README.md", "exec")
    assert "MultiServerClient" in CORE


def test_the_protections_are_shown_as_they_are_called(tmp_path, monkeypatch):
    weather = {
        "command": sys.executable,
        "args": ["-m", "mcpnb.lab.servers.weather"],
        "mcpnb": {"region": "eu"},
    }
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"alpha": weather}}))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"mcpnb": mcpnb}
    try:
        exec(compile(PROTECTIONS, "README.md", "exec"), names)
        for view in ("urgent", "sticky", "local"):
            assert names[view].call("weather.current", location="Oslo").server == "alpha"
    finally:
        if "fleet" in names:
            names["fleet"].close()


def test_a_strategy_of_ones_own_picks_as_it_stands(monkeypatch):
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.setattr(registry, "_aliases", dict(registry._aliases))
    names: dict[str, object] = {"mcpnb": mcpnb}
    exec(compile(STRATEGY, "README.md", "exec"), names)
    assert mcpnb.strategies().loc["newest", "help"] == "the server with the highest version"
    servers = [mcpnb.SimServer(f"s{n}", service=mcpnb.service.exponential(0.01)) for n in range(3)]
    run = mcpnb.simulate(mcpnb.Scenario(servers), "newest", mcpnb.Workload(rate=10, requests=200), seed=1)
    assert (run.outcomes == "ok").all()


def test_directories_are_followed_as_shown(tmp_path, monkeypatch):
    (tmp_path / "mcp.json").write_text('{"mcpServers": {"here": {"url": "http://127.0.0.1:9/mcp"}}}')
    monkeypatch.chdir(tmp_path)
    with mcpnb.lab.directory("etcd") as etcd, mcpnb.lab.directory("dns") as names:
        for each in (etcd, names):
            if not each:
                pytest.skip(repr(each))
        names.know("_mcp._tcp.example.org", {"there": "http://127.0.0.1:19/mcp"})
        shown = DISCOVERY.replace("http://127.0.0.1:2379", etcd.url)
        shown = shown.replace('.org")', f'.org", nameserver="{names.address}")')
        defined: dict[str, object] = {"mcpnb": mcpnb}
        try:
            exec(compile(shown, "README.md", "exec"), defined)
            fleet = defined["fleet"]
            assert list(fleet.discovery["state"]) == ["watching"] * 3
            while "weather-1" not in set(fleet.servers["server"]):
                fleet.run(asyncio.sleep, 0.02)
        finally:
            for name in {"fleet", "machines"} & set(defined):
                defined[name].close()
