"""Servers that nobody here wrote, each installed by its package name into a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


@pytest.fixture(scope="session")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """From an npm package, with or without a version, to the command that starts it."""
    node, command = shutil.which("node"), shutil.which("npm")
    if not (node and command):
        pytest.skip("Node and npm are not installed")

    def install(package: str) -> list[str]:
        folder = tmp_path_factory.mktemp("npm")
        _run(command, "install", "--no-audit", "--no-fund", "--prefix", folder, package)
        scope, _, name = package.partition("/")
        return [node, str(folder / "node_modules" / scope / name.partition("@")[0] / "dist" / "index.js")]

    return install


@pytest.fixture(scope="session")
def everything(npm: Callable[[str], list[str]]) -> list[str]:
    """The command that starts server-everything."""
    return npm("@modelcontextprotocol/server-everything")


@pytest.fixture(scope="session")
def pypi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands with mcp-server-time and mcp-server-git."""
    folder = tmp_path_factory.mktemp("pypi")
    venv.create(folder, with_pip=True)
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    _run(scripts / "python", "-m", "pip", "install", "-q", "mcp-server-time", "mcp-server-git")
    return scripts


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A small git repository."""
    folder = tmp_path / "repository"
    git = ["git", "-C", str(folder), "-c", "user.name=T", "-c", "user.email=t@example.org"]
    folder.mkdir()
    _run(*git, "init", "-q")
    (folder / "a.txt").write_text("a\n")
    _run(*git, "add", ".")
    _run(*git, "commit", "-q", "-m", "the first commit")
    return folder
