"""A session with servers that nobody here wrote, recorded and answered again without them."""

from __future__ import annotations

from pathlib import Path

import pytest

import mcpnb

pytestmark = [pytest.mark.thirdparty, pytest.mark.slow, pytest.mark.timeout(300)]


def session(fleet: mcpnb.Fleet, repository: str) -> list[mcpnb.Result]:
    """Text, structures, pictures, resources, prompts and errors, from all three."""
    lenient = fleet.options(raise_on_error=False)
    resource = fleet.resources.loc[~fleet.resources["template"], "uri"].iloc[0]
    prompt = next(p for p in fleet.prompts.to_dict("records") if not p["arguments"])
    return [
        fleet.call("get_current_time", timezone="Asia/Tokyo"),
        fleet.call("get_current_time", timezone="Asia/Tokyo"),
        fleet.call("convert_time", source_timezone="UTC", time="12:00", target_timezone="Europe/Oslo"),
        lenient.call("get_current_time", timezone="Nowhere/Land"),
        fleet.call("git_log", repo_path=repository),
        lenient.call("git_show", repo_path=repository, revision="no-such-thing"),
        fleet.call("echo", message="\N{PILE OF POO} \u202e <b>"),
        fleet.call("get-tiny-image"),
        fleet.call("get-structured-content", location="New York"),
        fleet.read(resource),
        fleet.prompt(prompt["prompt"]),
    ]


def test_a_session_is_recorded_and_answered_again_to_the_byte(
    tmp_path: Path, everything: list[str], pypi: Path, repository: Path
) -> None:
    source = {
        "everything": [*everything, "stdio"],
        "time": [str(pypi / "mcp-server-time"), "--local-timezone", "UTC"],
        "git": [str(pypi / "mcp-server-git"), "--repository", str(repository)],
    }
    path, where = tmp_path / "session.jsonl", str(repository)
    with mcpnb.connect(source, connect_timeout=60) as fleet:
        with fleet.record(path):
            before = session(fleet, where)
        tools, resources, prompts = fleet.tools, fleet.resources, fleet.prompts
    with mcpnb.replay(path) as again:
        after = session(again, where)
        assert again.tools.equals(tools)
        assert again.resources.equals(resources)
        assert again.prompts.equals(prompts)
    for old, new in zip(before, after, strict=True):
        assert new.raw == old.raw
        assert (new.value, new.content, new.server, new.attempts) == (
            old.value,
            old.content,
            old.server,
            old.attempts,
        )
        assert new.raw.model_dump_json(by_alias=True) == old.raw.model_dump_json(by_alias=True)
    assert {result.server for result in before} == {"everything", "time", "git"}
    assert [result.ok for result in before].count(False) >= 1
