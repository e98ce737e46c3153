"""What the README shows is what happens."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

import mcpnb

README = (Path(__file__).parent.parent / "README.md").read_text()
SESSION, SIMULATION, CORE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


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
