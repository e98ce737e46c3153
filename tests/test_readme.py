"""What the README shows is what happens."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

import mcpnb
from mcpnb.routing.strategies import registry

README = (Path(__file__).parent.parent / "README.md").read_text()
SESSION, SIMULATION, CORE, PROTECTIONS, STRATEGY = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


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
