"""A configuration file that is watched."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import aclosing
from pathlib import Path

import pytest

from mcpnb import ConfigError, DiscoveryError
from mcpnb.discovery import Added, Changed, File, Person, Removed, Sighting, Surroundings, Trouble

from .given import LIMIT

pytestmark = pytest.mark.anyio


def write(path: Path, **servers) -> None:
    """As an editor does: another file in its place."""
    other = path.with_suffix(".new")
    other.write_text(json.dumps({"mcpServers": servers}))
    other.replace(path)


def web(port: int, **own) -> dict:
    return {"url": f"http://127.0.0.1:{port}/mcp", **({"mcpnb": own} if own else {})}


async def coming_next(reports):
    async with asyncio.timeout(LIMIT):
        return await anext(reports)


async def test_what_is_written_into_it_comes_and_what_is_taken_out_goes(tmp_path):
    path = tmp_path / "mcp.json"
    write(path, a=web(1), b=web(2))
    changes = aiter(File(path))
    assert [(type(c), c.config.name) for c in (await coming_next(changes), await coming_next(changes))] == [
        (Added, "a"), (Added, "b"),
    ]  # fmt: skip
    write(path, b=web(2, weight=3), c=web(3))
    seen = [await coming_next(changes) for _ in range(3)]
    assert [(type(c), c.config.name) for c in seen] == [(Removed, "a"), (Changed, "b"), (Added, "c")]
    await changes.aclose()


async def test_a_file_that_makes_no_sense_changes_nothing_and_says_so(tmp_path, around):
    path = tmp_path / "mcp.json"
    write(path, a=web(1))
    async with aclosing(File(path).sightings(around)) as reports:
        first = await coming_next(reports)
        path.write_text('{"mcpServers": {"a": ')
        broken = await coming_next(reports)
        assert isinstance(broken, Trouble)
        assert str(path) in str(broken)
        path.unlink()
        gone = await coming_next(reports)
        assert isinstance(gone, Trouble)
        assert "does not exist" in str(gone)
        write(path, a=web(1))
        assert await coming_next(reports) == first


async def test_a_folder_of_links_that_is_swapped_as_kubernetes_does_is_read_anew(tmp_path, around):
    path = tmp_path / "mcp.json"

    def swap(version: str, *names: str) -> None:
        folder, link = tmp_path / f"..{version}", tmp_path / "..next"
        folder.mkdir()
        write(folder / "mcp.json", **{name: web(n) for n, name in enumerate(names, 1)})
        link.symlink_to(folder.name)
        link.rename(tmp_path / "..data")

    swap("1", "a")
    path.symlink_to("..data/mcp.json")
    async with aclosing(File(path).sightings(around)) as reports:
        assert list((await coming_next(reports)).servers) == ["a"]
        swap("2", "a", "b")
        assert list((await coming_next(reports)).servers) == ["a", "b"]


async def test_another_content_of_the_same_length_and_time_is_another_content(tmp_path, around):
    path = tmp_path / "mcp.json"
    write(path, a=web(1))
    async with aclosing(File(path).sightings(around)) as reports:
        await coming_next(reports)
        before = path.stat()
        path.write_text(path.read_text().replace('"a"', '"b"'))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as `cp -p` and `rsync -t` do
        assert list((await coming_next(reports)).servers) == ["b"]


async def test_a_file_that_is_not_there_at_first_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"mcp\.json: does not exist"):
        await anext(aiter(File(tmp_path / "mcp.json")))


async def test_every_dialect_and_variable_works_and_what_is_asked_is_asked_once(tmp_path):
    path = tmp_path / "mcp.json"
    asked = []

    def answer(prompt):
        asked.append(prompt.id)
        return "hunter2-key"

    def document(port: int) -> str:
        header = {"Authorization": "Bearer ${input:key}", "X-Region": "${REGION}"}
        inputs = [{"type": "promptString", "id": "key", "password": True}]
        return json.dumps({"inputs": inputs, "servers": {"a": {**web(port), "headers": header}}})

    path.write_text(document(1))
    around = Surroundings(person=Person(answer=answer))
    async with aclosing(File(path, environ={"REGION": "eu"}).sightings(around)) as reports:
        await coming_next(reports)
        path.write_text(document(2))
        seen = await coming_next(reports)
        assert isinstance(seen, Sighting)
        assert dict(seen.servers["a"].headers) == {"Authorization": "Bearer hunter2-key", "X-Region": "eu"}
        assert asked == ["key"]
        assert "hunter2" not in repr(seen)


async def test_without_somebody_to_answer_a_question_is_an_error_that_says_which(tmp_path, around):
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"inputs": [{"id": "key"}], "servers": {"a": {**web(1), "cwd": None,
                    "headers": {"X": "${input:key}"}}}}))  # fmt: skip
    async with aclosing(File(path).sightings(around)) as reports:
        with pytest.raises(ConfigError, match="asks for the input 'key', and nobody can answer"):
            await anext(reports)


async def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch, around):
    monkeypatch.setitem(__import__("sys").modules, "watchfiles", None)
    path = tmp_path / "mcp.json"
    write(path, a=web(1))
    async with aclosing(File(path).sightings(around)) as reports:
        with pytest.raises(DiscoveryError, match=r"pip install 'mcpnb\[discovery\]'") as caught:
            await anext(reports)
    assert caught.value.lasting
