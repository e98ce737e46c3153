"""Whether an SQL query only reads, decided from its parse tree before any database sees it.

It owns the list of what may be asked. It knows no database: the engines enforce the same again in their own
way, because no parser reads a query exactly as an engine does.
"""

from __future__ import annotations

import re
from typing import Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from mcpnb.lab.servers.refusal import Refused

__all__ = ["FUNCTIONS", "MAX_QUERY", "Dialect", "require_reading"]

Dialect = Literal["sqlite", "postgres"]

MAX_QUERY = 20_000
"""Characters of a query."""

_MAX_DEPTH = 100
"""Open brackets, one within the other: the parser calls itself for each."""

_COMMON = """
    abs avg ceil ceiling char_length coalesce concat concat_ws count degrees exp floor format left
    length ln log log10 lower lpad ltrim max min mod nullif octet_length pi position power radians rank
    repeat replace reverse right round row_number rpad rtrim sign sqrt substr substring sum trim trunc
    upper variance dense_rank lag lead first_value last_value nth_value ntile percent_rank cume_dist sin
    cos tan asin acos atan atan2 greatest least
"""

_SQLITE = """
    acosh asinh atanh cosh date datetime glob group_concat hex ifnull iif instr json json_array
    json_array_length json_each json_extract json_group_array json_group_object json_object json_patch
    json_quote json_tree json_type json_valid julianday like likelihood likely match printf pow quote
    sinh soundex strftime string_agg tanh time timediff total typeof unhex unicode unixepoch unlikely
    zeroblob char random bm25 highlight snippet sqlite_version
"""

_POSTGRES = """
    age array_agg array_length array_to_string ascii bit_length bool_and bool_or btrim cardinality cbrt
    chr corr covar_pop covar_samp current_database current_date current_schema current_time
    current_timestamp current_user date_bin date_part date_trunc decode div encode every extract
    generate_series initcap isfinite json_agg json_array_elements json_array_elements_text
    json_array_length json_build_array json_build_object json_each json_each_text json_extract_path
    json_extract_path_text json_object_agg json_object_keys json_typeof jsonb_agg jsonb_array_elements
    jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each
    jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_object_agg jsonb_object_keys
    jsonb_pretty jsonb_typeof justify_days justify_hours justify_interval localtime localtimestamp
    make_date make_interval make_time make_timestamp md5 mode now num_nonnulls num_nulls percentile_cont
    percentile_disc pg_typeof quote_ident quote_literal regexp_count regexp_like regexp_match
    regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr row_to_json
    split_part starts_with stddev stddev_pop stddev_samp string_agg string_to_array string_to_table
    strpos to_char to_date to_hex to_json to_jsonb to_number to_timestamp translate unnest upper_inf
    var_pop var_samp version width_bucket
"""

FUNCTIONS: dict[Dialect, frozenset[str]] = {
    "sqlite": frozenset((_COMMON + _SQLITE).split()),
    "postgres": frozenset((_COMMON + _POSTGRES).split()),
}
"""Functions that compute and do nothing else. Whatever is not listed is refused, harmless or not."""

# What sqlglot knows under a class of its own and the lists do not name.
_SYNTAX = (
    exp.And, exp.Or, exp.Xor, exp.Case, exp.Cast, exp.TryCast, exp.Exists, exp.Array, exp.If, exp.Anonymous,
    exp.JSONExtract, exp.JSONExtractScalar, exp.JSONBExtract, exp.JSONBExtractScalar, exp.JSONCast,
    exp.ExplodingGenerateSeries, exp.GenerateSeries, exp.CurrentVersion, exp.CurrentUser, exp.CurrentDate,
    exp.CurrentTime, exp.CurrentTimestamp, exp.CurrentSchema, exp.Unnest, exp.Explode, exp.Extract, exp.Rand,
    exp.Like, exp.ILike, exp.Glob, exp.RegexpLike, exp.RegexpILike, exp.Struct, exp.TsOrDsToDate,
    exp.TsOrDsToTimestamp, exp.StrPosition, exp.TimeToStr, exp.Literal, exp.Chr,
)  # fmt: skip

_FORBIDDEN = (
    exp.DDL, exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Command, exp.Into, exp.Lock, exp.Pragma,
    exp.Attach, exp.Detach, exp.Set, exp.Use, exp.Drop, exp.Alter, exp.TruncateTable, exp.Transaction,
    exp.Commit, exp.Rollback, exp.Kill, exp.Analyze, exp.Cache, exp.Uncache, exp.LoadData, exp.Grant,
    exp.Show, exp.Describe, exp.Comment, exp.Copy, exp.NextValueFor,
)  # fmt: skip

_EXPLAIN = re.compile(r"\s*EXPLAIN(\s+QUERY\s+PLAN)?\s+(?=SELECT\b|WITH\b|VALUES\b)", re.IGNORECASE)
_READS = frozenset({"SELECT", "WITH", "VALUES", "("})


def require_reading(query: str, dialect: Dialect) -> None:
    """Return when a query is one statement that only reads and calls nothing but `FUNCTIONS`.

    Raises:
        Refused: It is not, or it cannot be understood.
    """
    if len(query) > MAX_QUERY:
        raise Refused(f"the query has {len(query)} characters; at most {MAX_QUERY} are taken")
    if "\0" in query:
        raise Refused("the query holds a NUL character")
    explained = _EXPLAIN.match(query)
    tree = _only_statement(query[explained.end() :] if explained else query, dialect)
    for node in tree.walk():
        _require_harmless(node, dialect)


def _only_statement(query: str, dialect: Dialect) -> exp.Query | exp.Values:
    try:
        _require_a_reading_word(query, dialect)
        # A semicolon at the end leaves an empty statement, or one that holds its comments.
        statements = [
            each
            for each in sqlglot.parse(query, dialect=dialect)
            if each and not isinstance(each, exp.Semicolon)
        ]
    except (SqlglotError, RecursionError) as error:
        raise Refused(f"the query cannot be understood: {_first_line(error)}") from None
    if len(statements) != 1:
        raise Refused(f"one query at a time, please: these are {len(statements)}")
    (statement,) = statements
    if not isinstance(statement, exp.Query | exp.Values):
        raise Refused("only queries that read are answered")
    return statement


def _require_a_reading_word(query: str, dialect: Dialect) -> None:
    """Look at the words alone first: what a parser makes of an unknown command is a guess."""
    tokens = sqlglot.tokenize(query, dialect=dialect)
    if not tokens:
        raise Refused("the query is empty")
    first = tokens[0].text.upper()
    if first not in _READS:
        raise Refused(
            f"only queries that read are answered (SELECT, WITH, VALUES, EXPLAIN), not {first[:20]}"
        )
    depth = 0
    for token in tokens:
        depth += (token.text == "(") - (token.text == ")")
        if depth > _MAX_DEPTH:
            raise Refused(f"the query nests more than {_MAX_DEPTH} brackets")


def _require_harmless(node: object, dialect: Dialect) -> None:
    if isinstance(node, _FORBIDDEN):
        raise Refused(f"only queries that read are answered; {_word_for(node)} does more than that")
    if isinstance(node, exp.Func) and not _is_listed(node, dialect):
        name = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
        raise Refused(f"the function {name.lower()[:60]!r} is not among those that may be called")


def _word_for(node: object) -> str:
    return "SELECT ... FOR UPDATE" if isinstance(node, exp.Lock) else type(node).__name__.upper()


def _is_listed(function: exp.Func, dialect: Dialect) -> bool:
    listed = FUNCTIONS[dialect]
    if isinstance(function, exp.Anonymous):
        return str(function.this).strip('"`[]').lower() in listed
    if isinstance(function, _SYNTAX):
        return True
    # One class may stand for several names; what the dialect would call it counts as well.
    written = function.sql(dialect=dialect).partition("(")[0].strip().lower()
    return written in listed or any(name.lower() in listed for name in function.sql_names())


def _first_line(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    # sqlglot underlines the place with escape codes meant for a terminal.
    return re.sub(r"\x1b\[\d+m", "", str(error)).splitlines()[0][:200]
