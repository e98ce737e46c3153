"""Search finds what is there, ranks it by BM25, and takes no word for an operator."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client, MCPError, StdioServerParameters

from mcpnb.errors import McpnbError
from mcpnb.lab.servers import search, serving
from mcpnb.lab.servers.index import Index, documents_in
from mcpnb.lab.servers.refusal import Refused

SHIPPED = Index(documents_in(search.CORPUS))


def index(folder: Path, **texts: str) -> Index:
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    return Index(documents_in(folder))


def test_the_document_about_it_comes_first() -> None:
    for query, best in [
        ("mercury barometer", "barometer.md"), ("power of two choices", "two-choices.md"),
        ("retry budget", "retries.md"), ("cold FRONT showers", "fronts.md"), ('"climate normal"', "climate-normals.md"),  # noqa: E501 - reads best in one line
    ]:  # fmt: skip
        assert SHIPPED.search(query, 3)["hits"][0]["document"] == best


def test_scores_are_the_bm25_of_the_textbook(tmp_path: Path) -> None:
    found = index(tmp_path, a="storm storm rain", b="storm sun sun sun sun", c="calm day", d="fog", e="mist")
    hits = {hit["document"]: hit["score"] for hit in found.search("storm")["hits"]}
    # Titles count as text, too: each document has one word more, its name.
    lengths = {"a.txt": 4, "b.txt": 6, "c.txt": 3, "d.txt": 2, "e.txt": 2}
    mean = sum(lengths.values()) / 5
    rarity = math.log((5 - 2 + 0.5) / (2 + 0.5))
    for name, times in [("a.txt", 2), ("b.txt", 1)]:
        expected = rarity * times * 2.2 / (times + 1.2 * (1 - 0.75 + 0.75 * lengths[name] / mean))
        assert hits[name] == pytest.approx(expected, abs=1e-5)


def test_matches_are_shown_in_their_place_and_counted(tmp_path: Path) -> None:
    found = index(tmp_path, a="one two three", b="two", c="four").search("TWO", 1)
    assert (found["total"], len(found["hits"])) == (2, 1)
    assert "[two]" in found["hits"][0]["snippet"]


def test_accents_and_endings_of_words_do_not_matter(tmp_path: Path) -> None:
    found = index(tmp_path, a="The café serves storms", b="nothing")
    assert found.search("CAFE")["total"] == found.search("storm")["total"] == 1


@given(st.text(max_size=80))
def test_any_text_is_a_query_or_a_refusal(query: str) -> None:
    with contextlib.suppress(Refused):
        assert SHIPPED.search(query)["total"] <= 22


@pytest.mark.parametrize(
    "query", ["title : x", "NEAR(a b)", "a AND", "OR", "NOT rain", "rain*", '"', '"rain', "^rain", "a-b", "{rain} : x",  # noqa: E501 - reads best in one line
              "'; DROP TABLE documents; --", "rain) OR (1", "documents", "\0rain", "-rain +sun"],
)  # fmt: skip
def test_operators_are_words(query: str) -> None:
    if any(sign.isalnum() for sign in query):
        assert SHIPPED.search(query)["total"] >= 0
    else:
        with pytest.raises(Refused, match="no word"):
            SHIPPED.search(query)


def test_too_many_words_are_refused() -> None:
    with pytest.raises(Refused, match="at most 32"):
        SHIPPED.search("rain " * 33)


def test_the_latest_come_first_by_the_day_they_give(tmp_path: Path) -> None:
    found = index(tmp_path, a="Date: 2001-01-01\nold", b="Date: 2099-01-01\nnew", c="today")
    assert [each["document"] for each in found.recent(9)] == ["b.txt", "c.txt", "a.txt"]


def test_only_documents_below_the_folder_are_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "in" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    (tmp_path / "in" / "binary.bin").write_text("secret")
    (tmp_path / "in" / "big.txt").write_text("secret " * 200_000)
    (tmp_path / "in" / "bad.txt").write_bytes(b"\xff\x00good")
    found = Index(documents_in(tmp_path / "in"))
    assert found.search("secret")["total"] == 0
    assert found.search("good")["total"] == 1
    with pytest.raises(McpnbError, match="no folder"):
        Index(documents_in(tmp_path / "nothing"))


@pytest.mark.anyio
async def test_the_resource_lists_the_latest_and_refuses_what_is_no_count() -> None:
    async with Client(search.build(serving.Identity("s"))) as client:
        (content,) = (await client.read_resource("documents://recent/3")).contents
        assert [each["document"] for each in json.loads(content.text)] == [
            "sandboxed-files.md", "fusing-answers.md", "wind-chill.md",
        ]  # fmt: skip
        for wrong in ("0", "101", "-1", "x", "9" * 5000, "%D9%A3"):
            with pytest.raises(MCPError):
                await client.read_resource(f"documents://recent/{wrong}")
        for arguments in [
            {},
            {"query": ""},
            {"query": "!"},
            {"query": "x" * 1001},
            {"query": "x", "limit": 0},
        ]:
            assert (await client.call_tool("search.documents", arguments)).is_error


@pytest.mark.anyio
async def test_it_works_from_a_plain_client_over_stdio() -> None:
    command = StdioServerParameters(command=sys.executable, args=["-P", "-m", "mcpnb.lab.servers.search"])
    async with Client(command) as client:
        found = await client.call_tool("search.documents", {"query": "hedged requests", "limit": 1})
    assert found.structured_content["hits"][0]["document"] == "hedging.md"
