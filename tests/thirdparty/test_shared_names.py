"""Servers that nobody here wrote and that share tool names: the same one twice, and two that differ.

The npm package server-filesystem runs twice with different roots, and once in an earlier version; git is
served by PyPI's mcp-server-git and by npm's git-mcp-server, whose tools have other parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import mcpnb

pytestmark = [pytest.mark.thirdparty, pytest.mark.slow, pytest.mark.timeout(300)]

FILES = "@modelcontextprotocol/server-filesystem"


@pytest.fixture
def roots(tmp_path: Path) -> dict[str, Path]:
    """A folder with a file for each server."""
    found = {name: (tmp_path / name).resolve() for name in ("docs", "code", "old")}
    for name, folder in found.items():
        folder.mkdir()
        (folder / "note.txt").write_text(f"the note of {name}\n")
    return found


@pytest.fixture
def files(npm: Callable[[str], list[str]], roots: dict[str, Path]) -> dict[str, list[str]]:
    """The commands of three file servers with different roots."""
    now, before = npm(FILES), npm(f"{FILES}@2025.11.25")
    commands = {"docs": now, "code": now, "old": before}
    return {name: [*command, str(roots[name])] for name, command in commands.items()}


def test_the_same_server_twice_is_never_taken_for_replicas(files, roots, tmp_path):
    choices, pins = tmp_path / "choices.json", tmp_path / "pins.json"
    with mcpnb.connect(files, pin=pins) as fleet:
        assert set(fleet.servers.state) == {"connected"}
        conflicts = fleet.conflicts.set_index("tool")
        assert "write_file" in conflicts.index
        assert 'replicas=[["docs", "code"' in conflicts.loc["write_file", "why"]
        allowed = {fleet.call("list_allowed_directories").text for _ in range(4)}
        assert allowed == {f"Allowed directories:\n{roots['docs']}"}
        fleet.prefer("read_text_file", "code")
        answer = fleet.call("read_text_file", path=str(roots["code"] / "note.txt"))
        assert "the note of code" in answer.text
        assert "user_preference: code over" in str(answer.explain())
        assert len(fleet.gather("list_allowed_directories").results) == 3
        fleet.save(choices)
    with mcpnb.connect(files, choices=choices, pin=pins) as fleet:
        fleet.reconnect("code")
        assert "the note of code" in fleet.call("read_text_file", path=str(roots["code"] / "note.txt")).text
        assert not (fleet.events.kind == "tool_held").any()
        old = fleet.options(server="old").call("read_text_file", path=str(roots["old"] / "note.txt"))
        assert "the note of old" in old.text


def test_two_git_servers_have_their_conflicts_resolved_by_each_policy(npm, pypi, repository):
    sources = {"py": [str(pypi / "mcp-server-git")], "js": npm("@cyanheads/git-mcp-server@2.15.3")}
    with mcpnb.connect(sources) as fleet:
        shared = set(fleet.conflicts.tool)
        assert {"git_status", "git_log", "git_diff", "git_commit"} <= shared
        here = str(repository)
        assert fleet.call("git_log", repo_path=here).server == "py"
        fleet.resolve("git_log", "last_server")
        log = fleet.call("git_log", path=here)
        assert log.server == "js"
        assert "the first commit" in log.text
        fleet.resolve("*", "newest_version")  # 2026.10.19 or later, and 2.x
        assert fleet.call("git_status", repo_path=here).server == "py"
        fleet.resolve("*", "oldest_version")
        assert fleet.call("git_status", path=here).server == "js"
        assert fleet.options(version=">=2020").call("git_status", repo_path=here).server == "py"
        fleet.resolve("git_status", "merge")
        assert {fleet.call("git_status", path=here, repo_path=here).server for _ in range(8)} == {"py", "js"}
        assert fleet.call("git_status", repo_path=here).server == "py"
        assert fleet.call("git_status", path=here, includeUntracked=True).server == "js"
        whole = fleet.gather("git_status", path=here, repo_path=here)
        assert set(whole.results) == {"py", "js"}
        fleet.resolve("*", "namespace")
        with pytest.raises(mcpnb.AmbiguousTool, match="py:git_diff"):
            fleet.call("git_diff", path=here)
        assert fleet.call("py:git_status", repo_path=here).server == "py"
