"""The database server against a real PostgreSQL, started here: Debian's package `postgresql`."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from mcpnb.lab.servers import shop
from mcpnb.lab.servers.database import Database, connect
from mcpnb.lab.servers.gateway import Limits
from mcpnb.lab.servers.postgres_source import PostgresSource
from mcpnb.lab.servers.refusal import Refused

pytestmark = [pytest.mark.postgres]

HOSTILE = json.loads((Path(__file__).parent / "hostile_queries.json").read_text())
EVERYTHING = """
    SELECT md5(string_agg(t::text, '')) FROM (
        SELECT c::text AS t FROM customers c UNION ALL SELECT o::text FROM orders o UNION ALL
        SELECT p::text FROM products p UNION ALL
        SELECT relname || relkind::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1
    ) x
"""


def programs() -> Path:
    """Where the newest server's programs are: Debian keeps them off the path."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda home: float(home.parent.name))
    found = shutil.which("initdb", path=os.pathsep.join([*map(str, reversed(homes)), os.environ["PATH"]]))
    if found is None:
        pytest.skip("PostgreSQL's server is not installed: apt-get install postgresql")
    return Path(found).parent


def somebody(folder: Path) -> dict[str, Any]:
    """As whom it runs: PostgreSQL refuses to be root, and its package brings a user, who gets the folder."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server with the example shop, reached by a socket in a folder of its own and by nothing else."""
    import psycopg

    home = programs()
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # the path of a socket must be short
    data, log, whose = folder / "data", folder / "log", somebody(folder)

    def run(program: str, *arguments: str) -> None:
        command = [home / program, "-D", data, *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **whose)
        said = log.read_text() if log.exists() else ""
        assert done.returncode == 0, f"{program}: {done.stderr}{said}"

    settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    url = f"postgresql:///postgres?host={folder}&user=lab"
    try:
        run("initdb", "-U", "lab", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        run("pg_ctl", "-w", "-l", str(log), "-o", settings, "start")
        with psycopg.connect(url) as connection:
            connection.execute(shop.TABLES.replace("sum(quantity * price)", "sum(quantity * price)::numeric"))
            for statement, rows in shop.statements():
                connection.cursor().executemany(statement.replace("?", "%s"), rows)
            connection.execute("CREATE SEQUENCE s")
            connection.execute(
                "CREATE FUNCTION evil() RETURNS int LANGUAGE sql AS 'DELETE FROM orders; SELECT 1'"
            )
            connection.execute("CREATE VIEW sly AS SELECT evil() AS x")
        yield url
    finally:
        if (data / "postmaster.pid").exists():
            run("pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def shop_database(url: str) -> Database:
    return connect(url, Limits(rows=5, seconds=1))


def state(url: str) -> str:
    import psycopg

    with psycopg.connect(url) as connection:
        return connection.execute(EVERYTHING).fetchall()[0][0]


def test_what_reads_is_answered_with_bound_parameters(shop_database: Database) -> None:
    found = shop_database.query(
        "SELECT id, name FROM customers WHERE id > $1 AND name <> $2 ORDER BY id", [3, "Emre"]
    )
    assert found["rows"][0] == {"id": 4, "name": "Dana"}
    assert (found["row_count"], found["truncated"]) == (5, True)
    hostile = shop_database.query(
        "SELECT name FROM customers WHERE name = $1", ["' OR 1=1; DROP TABLE orders; --"]
    )
    assert (hostile["rows"], hostile["truncated"]) == ([], False)


def test_values_arrive_as_json(shop_database: Database) -> None:
    row = shop_database.query(
        "SELECT 1.50::numeric AS exact, DATE '2026-07-28' AS day, INTERVAL '90 s' AS span, ARRAY[1, 2] AS list,"  # noqa: E501 - reads best in one line
        " '{\"a\": [1]}'::jsonb AS tree, '\\x00ff'::bytea AS bytes, 'NaN'::float8 AS none, NULL AS nothing, true AS yes"  # noqa: E501 - reads best in one line
    )["rows"][0]
    assert row == {
        "exact": "1.50", "day": "2026-07-28", "span": 90.0, "list": [1, 2], "tree": {"a": [1]}, "bytes": "AP8=",  # noqa: E501 - reads best in one line
        "none": "nan", "nothing": None, "yes": True,
    }  # fmt: skip


def test_views_windows_and_plans_are_answered(shop_database: Database) -> None:
    for query in [
        "SELECT month, sum(revenue) FROM revenue GROUP BY month",
        "SELECT name, row_number() OVER (ORDER BY name), string_agg(name, ',') OVER () FROM customers",
        "EXPLAIN SELECT * FROM orders",
        "SELECT generate_series(1, 3), now(), date_trunc('month', now()), extract(year FROM now()), to_char(1, '9')",  # noqa: E501 - reads best in one line
        "SELECT count(*) FILTER (WHERE quantity > 1), percentile_cont(0.5) WITHIN GROUP (ORDER BY quantity) FROM orders",  # noqa: E501 - reads best in one line
        "SELECT * FROM jsonb_each('{\"a\": 1}') UNION ALL SELECT 'b', '2'",
        "VALUES (1), (2)",
    ]:
        assert shop_database.query(query)["row_count"] >= 1, query


def test_no_hostile_query_is_answered_and_nothing_changes(url: str, shop_database: Database) -> None:
    before = state(url)
    for query in HOSTILE["both"] + HOSTILE["postgres"]:
        with pytest.raises(Refused):
            print(repr(query[:100]), shop_database.query(query))
    assert state(url) == before


def test_the_engine_alone_changes_nothing_either(url: str) -> None:
    """As if the parser had let everything pass, for a role that may do everything else."""
    before = state(url)
    source = PostgresSource(url, Limits(seconds=0.2))
    spared = (
        "pg_terminate_backend",
        "PROGRAM",
        "/tmp/evil",
        "ALTER SYSTEM",
        "pg_sleep",
    )  # not the tables' business
    for query in [q for q in HOSTILE["both"] + HOSTILE["postgres"] if not any(word in q for word in spared)]:
        try:
            source.query(query, None)
        except Refused:
            continue
    assert state(url) == before
    with pytest.raises(Refused, match="multiple commands"):
        source.query("SELECT 1; DROP TABLE customers", None)


def test_a_view_that_writes_is_stopped_by_the_engine(shop_database: Database) -> None:
    with pytest.raises(Refused, match="read-only transaction"):
        shop_database.query("SELECT * FROM sly")


def test_a_query_without_end_is_ended(shop_database: Database) -> None:
    with pytest.raises(Refused, match="longer than 1 s"):
        shop_database.query(
            "WITH RECURSIVE n(i) AS (SELECT 1::bigint UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        )


def test_an_answer_without_end_is_cut_where_the_limit_is(shop_database: Database) -> None:
    cut = shop_database.query("SELECT generate_series(1, 2000000000)")
    assert (cut["row_count"], cut["truncated"]) == (5, True)


def test_the_schema_is_told(shop_database: Database) -> None:
    tables = {table["name"]: table for table in shop_database.schema()["tables"]}
    assert list(tables) == ["customers", "orders", "products"]
    assert tables["orders"]["columns"][0] == {
        "name": "id", "type": "integer", "nullable": False, "primary_key": True,
    }  # fmt: skip
    assert [view["name"] for view in shop_database.schema("views")["tables"]] == ["revenue", "sly"]


@pytest.mark.anyio
async def test_it_works_from_a_plain_client_over_stdio(url: str) -> None:
    command = StdioServerParameters(
        command=sys.executable, args=["-P", "-m", "mcpnb.lab.servers.database", "--url", url]
    )
    async with Client(command) as client:
        found = await client.call_tool(
            "database.query", {"query": "SELECT count(*) AS n FROM orders WHERE id > $1", "parameters": [390]}
        )
    assert found.structured_content["rows"] == [{"n": 10}]
