"""The database server answers what reads, and nothing else, by two locks that do not know of each other."""

from __future__ import annotations

import hashlib
import itertools
import json
import sqlite3
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client, StdioServerParameters

from mcpnb.errors import McpnbError
from mcpnb.lab.servers import database, serving, shop
from mcpnb.lab.servers.database import Database, connect
from mcpnb.lab.servers.gateway import Limits, answer
from mcpnb.lab.servers.postgres_source import PostgresSource
from mcpnb.lab.servers.refusal import Refused
from mcpnb.lab.servers.sql_guard import require_reading
from mcpnb.lab.servers.sqlite_source import SqliteFile, SqliteImage

HOSTILE = json.loads((Path(__file__).parent / "hostile_queries.json").read_text())
FOR_SQLITE, FOR_POSTGRES = HOSTILE["both"] + HOSTILE["sqlite"], HOSTILE["both"] + HOSTILE["postgres"]

READING = [
    "SELECT 1",
    "select count(*) as n, total(quantity), avg(quantity), group_concat(DISTINCT quantity) from orders;",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n",
    "VALUES (1, 2), (3, 4)",
    "SELECT 1 UNION SELECT 2 ORDER BY 1",
    "EXPLAIN QUERY PLAN SELECT * FROM orders",
    "explain select 1",
    "SELECT name, row_number() OVER (ORDER BY name) FROM customers -- the end",
    "SELECT json_extract('{\"a\": 1}', '$.a'), '{\"a\": 1}' ->> 'a', value FROM json_each('[1, 2]')",
    "SELECT strftime('%Y', ordered), date('2026-01-01', '+1 day'), julianday('2026-01-01') FROM orders LIMIT 1",  # noqa: E501 - reads best in one line
    "SELECT iif(1, 2, 3), ifnull(NULL, 1), nullif(1, 1), coalesce(NULL, 2), typeof(1), printf('%d', 1), hex('a')",  # noqa: E501 - reads best in one line
    "SELECT CASE WHEN 1 THEN 'a' ELSE 'b' END, CAST('1' AS INTEGER), 1 IN (1, 2), EXISTS (SELECT 1), 'a' LIKE 'A'",  # noqa: E501 - reads best in one line
    "SELECT upper('a') || lower('B'), substr('abc', 2), replace('a', 'a', 'b'), trim(' a '), length('abc'), abs(-1)",  # noqa: E501 - reads best in one line
    "SELECT month, sum(revenue) FROM revenue GROUP BY month HAVING sum(revenue) > 0 ORDER BY 2 DESC LIMIT 3 OFFSET 1",  # noqa: E501 - reads best in one line
    "SELECT 'DROP TABLE customers; --' AS text",
    "SELECT \"name\" FROM customers WHERE name <> 'it''s; DELETE FROM orders'",
    "SELECT round(1.5), max(1, 2), min(1, 2), sqrt(4), power(2, 3), floor(1.5), random() IS NULL",
]


@pytest.fixture(scope="module")
def example() -> Database:
    return connect(None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a shop #1?.db"
    path.write_bytes(shop.image())
    return path


def digest(folder: Path) -> dict[str, str]:
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.iterdir()}


def test_the_corpora_are_large_enough_to_mean_something() -> None:
    assert len(set(FOR_SQLITE)) >= 100
    assert len(set(FOR_POSTGRES)) >= 100


@pytest.mark.parametrize("query", READING)
def test_what_only_reads_is_answered(example: Database, query: str) -> None:
    assert example.query(query)["row_count"] >= 1


def test_no_hostile_query_is_answered_and_the_file_stays_as_it_was(file: Path) -> None:
    before = digest(file.parent)
    url = f"sqlite:///{str(file).replace('#', '%23').replace('?', '%3f')}"
    asked = connect(url, Limits(seconds=0.1))
    for query in FOR_SQLITE:
        with pytest.raises(Refused):
            print(repr(query[:100]), asked.query(query))
    assert digest(file.parent) == before


@pytest.mark.parametrize("query", FOR_POSTGRES, ids=range(len(FOR_POSTGRES)))
def test_the_parser_alone_refuses_what_is_hostile_to_postgresql(query: str) -> None:
    with pytest.raises(Refused):
        require_reading(query, "postgres")


def test_the_engine_alone_changes_nothing_either(file: Path) -> None:
    """As if the parser had let everything pass."""
    before = digest(file.parent)
    source = SqliteFile(file, Limits(seconds=0.1))
    answered: set[str] = set()
    for query in FOR_SQLITE:
        try:
            source.query(query, None)
        except Refused:
            continue
        answered.add(query)
    assert digest(file.parent) == before
    # To SQLite a statement may be empty, and without an index there is nothing to reindex.
    comments = {"-- only a comment", "/* only a comment */", "/*!50000 DROP TABLE customers */"}
    assert answered <= {"", "   ", ";", ";;", "REINDEX", "REINDEX customers"} | comments


def test_a_database_opened_by_the_server_cannot_be_written_even_without_the_authorizer(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpnb.lab.servers.sqlite_source._authorize", lambda *_: sqlite3.SQLITE_OK)
    with pytest.raises(Refused, match="readonly"):
        SqliteFile(file).query("DELETE FROM orders", None)


def test_the_example_is_a_copy_for_each_query(monkeypatch: pytest.MonkeyPatch) -> None:
    source = SqliteImage(shop.image())
    monkeypatch.setattr("mcpnb.lab.servers.sqlite_source._authorize", lambda *_: sqlite3.SQLITE_OK)
    with pytest.raises(Refused):
        source.query("DELETE FROM orders", None)
    assert source.query("SELECT count(*) AS n FROM orders", None)["rows"] == [{"n": 400}]


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.text(st.characters(codec="utf-8"), max_size=20))
def test_a_parameter_is_a_value_and_never_a_piece_of_the_query(text: str, name: str) -> None:
    source = SqliteImage(shop.image())
    query = "SELECT count(*) AS n FROM customers WHERE name = ? OR city = ?"
    attack = f"{text}' OR 1=1; DROP TABLE customers; --"
    assert source.query(query, [attack, name + "\0x"])["rows"] == [{"n": 0}]


def test_parameters_stand_for_marks_and_for_names(example: Database) -> None:
    assert example.query("SELECT ? AS a, ? AS b", [1, "x"])["rows"] == [{"a": 1, "b": "x"}]
    assert example.query("SELECT :a AS a", {"a": None})["rows"] == [{"a": None}]
    for wrong in ([], [1, 2], {"a": 1}):
        with pytest.raises(Refused, match="SQLite turned it down"):
            example.query("SELECT ?", wrong)
    with pytest.raises(Refused, match="at most 500"):
        example.query("SELECT 1", [0] * 501)
    with pytest.raises(Refused, match="cannot take it"):
        example.query("SELECT ?", [2**70])


def test_a_query_without_end_is_ended_by_the_clock() -> None:
    ticks = itertools.count(step=1.0)
    source = SqliteImage(shop.image(), Limits(seconds=3), clock=lambda: next(ticks))
    with pytest.raises(Refused, match="longer than 3 s"):
        source.query(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n", None
        )


def test_rows_and_size_are_limited_and_the_answer_says_so() -> None:
    source = SqliteImage(shop.image(), Limits(rows=5, size=1000))
    cut = source.query("SELECT id FROM orders ORDER BY id", None)
    assert (cut["row_count"], cut["truncated"], cut["rows"][-1]) == (5, True, {"id": 5})
    assert not source.query("SELECT id FROM orders LIMIT 5", None)["truncated"]
    fat = source.query("SELECT printf('%.600d', id) AS x FROM orders", None)
    assert (fat["row_count"], fat["truncated"]) == (1, True)


def test_columns_of_one_name_are_told_apart() -> None:
    assert answer(["a", "a", "a_2", "a"], [(1, 2, 3, 4)], Limits())["rows"] == [
        {"a": 1, "a_2": 2, "a_2_2": 3, "a_3": 4}
    ]


def test_values_that_json_lacks_are_told_in_text(example: Database) -> None:
    row = example.query("SELECT x'00ff' AS bytes, 9e999 AS huge, CAST(x'ff' AS TEXT) AS broken")["rows"][0]
    assert row == {"bytes": "AP8=", "huge": "inf", "broken": "\ufffd"}


def test_the_schema_tells_tables_and_views_apart(example: Database) -> None:
    tables = {table["name"]: table for table in example.schema()["tables"]}
    assert list(tables) == ["customers", "orders", "products"]
    assert tables["orders"]["columns"][0] == {
        "name": "id", "type": "INTEGER", "nullable": False, "primary_key": True,
    }  # fmt: skip
    assert [view["name"] for view in example.schema("views")["tables"]] == ["revenue"]
    assert len(example.schema("all")["tables"]) == 4


def test_a_file_that_is_no_database_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is a letter, not a database" * 50)
    asked = connect(f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(Refused, match="not a database"):
        asked.query("SELECT 1 FROM sqlite_schema")
    with pytest.raises(Refused, match="not a database"):
        asked.schema()


@pytest.mark.parametrize("url", ["mysql://x", "sqlite://x", "x.db", "sqlite:////nowhere/x.db"])
def test_a_url_of_no_database_is_refused_at_the_start(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(McpnbError):
        connect(url)
    assert database.main(["--url", url]) == 2
    assert "database: " in capsys.readouterr().err


def test_limits_below_nothing_are_refused() -> None:
    for wrong in ({"rows": 0}, {"seconds": 0}, {"seconds": float("nan")}, {"size": 0}):
        with pytest.raises(McpnbError, match="above 0"):
            Limits(**wrong)


def test_postgresql_that_does_not_answer_is_a_refusal_without_the_password() -> None:
    source = PostgresSource("postgresql://me:hunter2@127.0.0.1:1/x")
    with pytest.raises(Refused) as refusal:
        source.query("SELECT 1", None)
    assert "hunter2" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    with pytest.raises(Refused, match="a list of parameters"):
        source.query("SELECT 1", {"a": 1})


@pytest.mark.anyio
async def test_refusals_are_tool_errors_with_the_reason() -> None:
    async with Client(database.build(serving.Identity("db"))) as client:
        tools = (await client.list_tools()).tools
        refused = await client.call_tool("database.query", {"query": "DROP TABLE customers"})
        nested = await client.call_tool("database.query", {"query": "SELECT ?", "parameters": [[1]]})
        schema = await client.call_tool("database.schema", {"type": "indexes"})
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
    assert refused.is_error
    assert "only queries that read" in refused.content[0].text
    assert nested.is_error
    assert schema.is_error


@pytest.mark.anyio
async def test_it_works_from_a_plain_client_over_stdio(file: Path) -> None:
    url = f"sqlite:///{str(file).replace('#', '%23')}"
    command = StdioServerParameters(
        command=sys.executable,
        args=["-P", "-m", "mcpnb.lab.servers.database", "--url", url, "--max-rows", "2"],
    )
    async with Client(command) as client:
        found = await client.call_tool(
            "database.query", {"query": "SELECT id FROM orders WHERE id > ? ORDER BY id", "parameters": [7]}
        )
        refused = await client.call_tool("database.query", {"query": "DELETE FROM orders"})
    assert found.structured_content["rows"] == [{"id": 8}, {"id": 9}]
    assert found.structured_content["truncated"]
    assert refused.is_error
