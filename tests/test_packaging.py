"""The package as others meet it: what it installs, what it loads, what it exports."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import mcpnb
import mcpnb.lab

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OWNERS_PACKAGES = {"mcp", "ipywidgets", "pandas", "matplotlib", "nest-asyncio"}


def test_environment_yml_is_in_step_with_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = {entry for entry in environment if isinstance(entry, str)}
    (pip,) = [entry["pip"] for entry in environment if isinstance(entry, dict)]
    assert f"python{PYPROJECT['project']['requires-python']}" in conda
    assert set(PYPROJECT["project"]["optional-dependencies"]["lab"]) <= conda
    assert pip == ["-e .[lab]"]


def test_the_owners_packages_are_dependencies():
    names = {line.split(">")[0].split("[")[0] for line in PYPROJECT["project"]["dependencies"]}
    assert names >= OWNERS_PACKAGES


def test_the_top_level_holds_what_was_decided_and_nothing_else():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    if not tracked:
        pytest.fail("the tests run from a git checkout")
    top = {Path(line).parts[0] for line in tracked}
    visible = {name for name in top if not name.startswith(".")}
    assert visible == {
        "pyproject.toml", "mcpnb", "notebooks", "tests",
        "environment.yml", "README.md", "LICENSE", "CHANGELOG.md",
    }  # fmt: skip


def test_importing_mcpnb_loads_nothing_heavy():
    heavy = [
        "mcp",
        "mcp_types",
        "pandas",
        "numpy",
        "matplotlib",
        "ipywidgets",
        "IPython",
        "jsonschema",
        "anyio",
    ]
    code = f"import sys, mcpnb; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


def test_importing_mcpnb_configures_no_logging_and_starts_no_thread():
    code = (
        "import logging, threading, mcpnb.client as _\nprint(logging.root.handlers, threading.active_count())"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert seen.strip() == "[] 1"


def test_public_names_are_these_and_each_can_be_had():
    import mcpnb

    assert mcpnb.__all__ == [
        "Aggregate", "AmbiguousTool", "ArgumentError", "At", "AuthError", "Backoff", "BreakerPolicy",
        "CachePolicy", "CallTimeout", "Comparison", "ConfigError", "ConnectError", "DiscoveryError",
        "Document", "Elicitation", "Explanation", "Fleet", "HedgePolicy", "MapStopped", "McpnbError",
        "MultiServerClient", "NoServerAvailable", "NotRecorded", "OAuth", "OutlierPolicy", "Overloaded",
        "Parameter", "QueuePolicy", "Recording", "RecordingError", "Resilience",
        "Result", "RetryPolicy", "Run", "Sampling", "Scenario", "ServerDisconnected", "SimServer",
        "Strategy", "StrategyError", "ToolChanged", "ToolError", "ToolNotFound", "ToolRef", "Workload",
        "auth", "compare", "connect", "discovery", "doctor", "forget_fusion", "lab", "load_ipython_extension",
        "playground", "register_fusion", "register_strategy", "replay", "scenarios", "service", "simulate",
        "strategies", "tb", "unload_ipython_extension",
    ]  # fmt: skip
    for name in mcpnb.__all__:
        assert getattr(mcpnb, name) is not None


@pytest.mark.parametrize("package", [mcpnb, mcpnb.lab])
def test_no_name_that_is_imported_late_is_a_module_of_its_package_too(package):
    """Importing the module would put it in the name's place."""
    folder = Path(package.__file__).parent
    taken = {path.stem for path in folder.glob("*.py")} | {
        path.parent.name for path in folder.glob("*/__init__.py")
    }
    assert not taken & set(package._HOMES)


def test_every_module_says_what_it_is():
    for path in (ROOT / "mcpnb").rglob("*.py"):
        assert path.read_text().startswith(('"""', 'r"""')), path
