"""DataFrames of what a fleet is, did and answered, with the same columns and dtypes when they are empty.

It owns columns and dtypes: names that repeat are categoricals, moments are UTC timestamps, durations are
floats in milliseconds, and what is unknown is missing rather than an empty text. It reads frozen values and
copies; it knows no widgets and asks no server. Importing it loads pandas.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from mcpnb.auth import LOGIN_STATES
from mcpnb.catalog import KINDS
from mcpnb.discovery import BackendState, BackendStatus
from mcpnb.metrics import AttemptLog, EventLog, summarise_window
from mcpnb.model import OUTCOMES, ServerState, ServerStatus
from mcpnb.notebook.tables import TEXT, NoTable, records_frame, to_frame

if TYPE_CHECKING:
    from mcpnb.aggregation import Disagreement, FusedRow
    from mcpnb.auth import LoginRow
    from mcpnb.catalog import Catalog
    from mcpnb.result import Source

__all__ = [
    "NoTable",
    "calls_frame",
    "conflicts_frame",
    "disagreements_frame",
    "discovery_frame",
    "events_frame",
    "latency_frame",
    "logins_frame",
    "rows_frame",
    "servers_frame",
    "sources_frame",
    "to_frame",
    "tools_frame",
]

LATENCY_COLUMNS: Final = (
    "count", "errors", "error_rate", "mean_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms",
    "throughput",
)  # fmt: skip
_BREAKER_STATES: Final = ("closed", "open", "half_open")


def calls_frame(log: AttemptLog) -> pd.DataFrame:
    """One row per attempt, oldest first in the order in which they ended.

    Columns: `call`, `attempt` (from 1; 0 where nothing was sent), `started_at` (UTC), `tool`, `server`,
    `strategy`, `outcome` (always the categories of `model.OUTCOMES`), `latency_ms` (missing when never sent;
    without the time in which the server waited for a person to answer its questions), `queued_ms`, `hedge`,
    `cached`, `bytes` (0 when unknown), `error` (missing when there was none).
    """
    c = log.columns()
    # The columns are our own copy: scaled in place, and taken into the frame without another one.
    np.multiply(c.latency, 1000.0, out=c.latency)
    np.multiply(c.queued, 1000.0, out=c.queued)
    return pd.DataFrame(
        {
            "call": c.call,
            "attempt": c.attempt.astype(np.int32),
            "started_at": _moments(c.started_at),
            "tool": _coded(c.tool, c.tools),
            "server": _coded(c.server, c.servers),
            "strategy": _coded(c.strategy, c.strategies),
            "outcome": pd.Categorical.from_codes(
                c.outcome.astype(np.int8), categories=_names(OUTCOMES), validate=False
            ),
            "latency_ms": c.latency,
            "queued_ms": c.queued,
            "hedge": c.hedge,
            "cached": c.cached,
            "bytes": c.size.astype(np.int64),
            "error": _coded(c.error, c.errors),
        },
        copy=False,
    )


def latency_frame(
    log: AttemptLog,
    by: str | Sequence[str] = "server",
    window: float | None = None,
    *,
    now: float | None = None,
) -> pd.DataFrame:
    """What the log says about each server, tool or strategy; the index is what was grouped by.

    Args:
        log: The attempts.
        by: `server`, `tool`, `strategy`, or several of them. Attempts without a name in one of these, such
            as calls rejected before a server was picked, are in no row.
        window: Only attempts that started within that many seconds before `now`; by default all.
        now: Unix time; by default the present.

    Columns: `count` (every attempt, however it ended; answers from the cache are none), `errors` (those that
    ended in timeout, disconnected or refused; a tool's own error is an answer), `error_rate` (errors /
    count), `mean_ms`, `p50_ms`, `p90_ms`, `p95_ms`, `p99_ms`, `max_ms` (over answered attempts: `ok` and
    `tool_error`), `throughput` (answered attempts per second; over the window, or what of it the log covers).

    Raises:
        ValueError: For anything else to group by.
    """
    rows = summarise_window(log, by, window=window, now=time.time() if now is None else now)
    names = [by] if isinstance(by, str) else list(by)
    keys = [_texts(row.key[i] for row in rows) for i in range(len(names))]
    index = (
        pd.Index(keys[0], name=names[0]) if len(names) == 1 else pd.MultiIndex.from_arrays(keys, names=names)
    )
    data = {
        name: np.array(
            [getattr(row, name) for row in rows], np.int64 if name in {"count", "errors"} else float
        )
        for name in LATENCY_COLUMNS
    }
    return pd.DataFrame(data, index=index)


def servers_frame(statuses: Sequence[ServerStatus]) -> pd.DataFrame:
    """One row per server, in the order given; the columns are fields of `model.ServerStatus`.

    `tags` are joined by commas; `connected_at` is UTC; what a server did not say is missing.
    """
    makers: dict[str, Callable[[list[Any]], object]] = {
        "server": _texts,
        "state": partial(_category, known=get_args(ServerState)),
        **dict.fromkeys(("transport", "protocol"), _category),
        "version": _texts,
        "region": _category,
        "tags": _joined,
        "weight": _numbers,
        **dict.fromkeys(
            ("priority", "tools", "resources", "prompts", "in_flight", "queued", "calls", "errors"), _wholes
        ),
        **dict.fromkeys(("error_rate", "p50_ms", "p95_ms", "p99_ms"), _numbers),
        "breaker": partial(_category, known=_BREAKER_STATES),
        "connected_at": _moments_of,
        "last_error": _texts,
    }
    return pd.DataFrame(
        {name: made([getattr(status, name) for status in statuses]) for name, made in makers.items()}
    )


def tools_frame(catalog: Catalog) -> pd.DataFrame:
    """One row per tool and server, in the catalog's order.

    `replicas` is the number of servers in its replica group, itself included; `arguments` reads like a
    Python signature; `selected` says whether a plain call of that name goes to this group.
    """
    entries = catalog.entries
    return pd.DataFrame(
        {
            "tool": _texts(e.ref.tool for e in entries),
            "server": _category([e.ref.server for e in entries]),
            "title": _texts(e.title or None for e in entries),
            "description": _texts(e.description for e in entries),
            "version": _texts(e.version for e in entries),
            "replicas": _wholes([len(catalog.replicas_of(e)) for e in entries]),
            "read_only": np.array([e.read_only for e in entries], np.bool_),
            "idempotent": np.array([e.idempotent for e in entries], np.bool_),
            "destructive": np.array([e.destructive for e in entries], np.bool_),
            "arguments": _texts(e.signature for e in entries),
            "fingerprint": _texts(e.fingerprint for e in entries),
            "selected": np.array([catalog.selected(e) for e in entries], np.bool_),
        }
    )


def discovery_frame(statuses: Sequence[BackendStatus]) -> pd.DataFrame:
    """One row per backend of discovery, in the order of the source.

    `backend` is its kind, `address` what it asks; `servers` are those of it in the fleet, `held_back` the
    names of those that come and go too often, `problems` what it lists and cannot be used; `changed_at` (UTC)
    is when it last brought a change.
    """
    return pd.DataFrame(
        {
            "backend": _category([status.backend for status in statuses]),
            "address": _texts(status.address for status in statuses),
            "state": _category([status.state for status in statuses], known=get_args(BackendState)),
            "servers": _wholes([status.servers for status in statuses]),
            "held_back": _joined([status.held for status in statuses]),
            "problems": _texts(
                "; ".join(f"{name}: {why}" for name, why in status.problems.items()) or None
                for status in statuses
            ),
            "changed_at": _moments_of([status.changed_at for status in statuses]),
            "last_error": _texts(status.last_error for status in statuses),
        }
    )


def logins_frame(rows: Sequence[LoginRow]) -> pd.DataFrame:
    """One row per server: how it knows us; `expires_at` (UTC) is when the token ends, `scopes` a text."""
    return pd.DataFrame(
        {
            "server": _texts(row.server for row in rows),
            "issuer": _texts(row.issuer for row in rows),
            "client": _texts(row.client for row in rows),
            "state": _category([row.state for row in rows], known=LOGIN_STATES),
            "scopes": _texts(" ".join(row.scopes) or None for row in rows),
            "expires_at": _moments_of([row.expires_at for row in rows]),
            "refreshable": np.array([row.refreshable for row in rows], dtype=bool),
            "error": _texts(row.error for row in rows),
        }
    )


def events_frame(log: EventLog) -> pd.DataFrame:
    """One row per event, oldest first: `at` (UTC), `kind`, `server` (missing: the whole fleet), `detail`."""
    events = log.snapshot()
    return pd.DataFrame(
        {
            "at": _moments_of([e.at for e in events]),
            "kind": _category([e.kind for e in events]),
            "server": _category([e.server for e in events]),
            "detail": _texts(e.detail for e in events),
        }
    )


def conflicts_frame(catalog: Catalog) -> pd.DataFrame:
    """One row per name that different servers offer differently.

    `at` is since when it is so (UTC), `kind` tool, resource or prompt, `chosen` the first server of the group
    that the name means (missing when it means none), `rejected` are the servers of the other groups, joined
    by commas.
    """
    conflicts = catalog.conflicts
    return pd.DataFrame(
        {
            "at": _moments_of([c.at for c in conflicts]),
            "kind": _category([c.kind for c in conflicts], KINDS),
            "tool": _texts(c.tool for c in conflicts),
            "policy": _category([c.policy for c in conflicts]),
            "chosen": _category([c.chosen or None for c in conflicts]),
            "rejected": _joined([c.rejected for c in conflicts]),
            "why": _texts(c.why for c in conflicts),
        }
    )


class BreakerRow(NamedTuple):
    """A circuit breaker as it is now."""

    server: str
    tool: str
    """Empty where the server's breaker is for all of its tools."""
    state: str
    reason: str
    opens: int
    """Openings in a row."""
    probe_in: float
    """Seconds until the next probe; NaN unless it is open."""


def breakers_frame(rows: Sequence[BreakerRow]) -> pd.DataFrame:
    """One row per circuit breaker.

    Columns: `server`, `tool` (missing where it is for the whole server), `state` (always the categories
    closed, open, half_open), `reason` (missing when there is none), `opens` (in a row), `probe_in_s` (nan
    unless open).
    """
    return pd.DataFrame(
        {
            "server": _texts(row.server for row in rows),
            "tool": _category([row.tool or None for row in rows]),
            "state": _category([row.state for row in rows], _BREAKER_STATES),
            "reason": _texts(row.reason or None for row in rows),
            "opens": _wholes([row.opens for row in rows]),
            "probe_in_s": _numbers([row.probe_in for row in rows]),
        }
    )


def rows_frame(rows: Sequence[FusedRow]) -> pd.DataFrame:
    """One row per fused item or field: `key`, `server` (its source), then what it is.

    An item that is an object spreads over columns, nested ones joined by dots; anything else is in `value`.
    A field of an item that is itself called `key` or `server` is `key_` or `server_`.
    """
    values = records_frame(
        [row.value if isinstance(row.value, Mapping) else {"value": row.value} for row in rows],
        taken=("key", "server"),
    )
    values.insert(0, "key", pd.Series([row.key for row in rows], dtype=object).infer_objects())
    values.insert(1, "server", pd.Series(_category([row.server for row in rows])))
    return values if len(rows) else values.assign(value=pd.Series([], dtype=object))


def sources_frame(sources: Sequence[Source]) -> pd.DataFrame:
    """One row per server that was asked, in the catalog's order.

    Columns: `server`, `outcome` (always the categories of `model.OUTCOMES`), `latency_ms`, `confidence` (0
    when it did not answer), its parts `reported`, `reliability`, `freshness`, `agreement` (missing when it
    did not answer), `error` (why there is no answer, or which part was left out), `note` (how it was read).
    """
    parts = ("reported", "reliability", "freshness", "agreement")
    return pd.DataFrame(
        {
            "server": _category([s.server for s in sources]),
            "outcome": _category([s.outcome for s in sources], OUTCOMES),
            "latency_ms": _numbers([s.latency * 1000.0 for s in sources]),
            "confidence": _numbers([s.confidence for s in sources]),
            **{part: _numbers([getattr(s.trust, part, None) for s in sources]) for part in parts},
            "error": _texts(s.error or None for s in sources),
            "note": _texts(s.note or None for s in sources),
        }
    )


def disagreements_frame(conflicts: Sequence[Disagreement]) -> pd.DataFrame:
    """One row per field on which sources disagree.

    Columns: `field` (empty for the answer as a whole), `chosen`, `spread` (greatest difference over the
    greatest magnitude; missing where the values are no numbers), then a column per server with what it
    said. A server that is itself called like one of the first is `field_`, `chosen_` or `spread_`.
    """
    said = dict.fromkeys(server for conflict in conflicts for server in conflict.values)
    frame = pd.DataFrame({"field": _texts(c.key for c in conflicts)})
    frame["chosen"] = _objects([c.chosen for c in conflicts])
    frame["spread"] = _numbers([c.spread for c in conflicts])
    for server in said:
        name = server
        while name in frame.columns:
            name += "_"
        frame[name] = _objects([c.values.get(server) for c in conflicts])
    return frame


def _objects(values: Sequence[object]) -> pd.Series:
    """Values as they are, each of its own kind."""
    made = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):  # at once, NumPy would take lists apart
        made[place] = value
    return pd.Series(made)


def _names(names: Iterable[str]) -> pd.Index:
    return pd.Index(list(names), dtype=TEXT)


def _coded(codes: npt.NDArray[np.integer[Any]], table: Sequence[str]) -> pd.Categorical:
    """A categorical of a log's column, in which code 0 is the empty name and becomes missing."""
    narrow = np.int8 if len(table) <= 128 else np.int16 if len(table) <= 1 << 15 else np.int32
    own = codes.astype(narrow)
    own -= 1
    return pd.Categorical.from_codes(own, categories=_names(table[1:]), validate=False)


def _category(values: Sequence[str | None], known: Sequence[str] = ()) -> pd.Categorical:
    """A categorical of `known` values and whatever else occurs, in that order; None is missing."""
    occurring = (value for value in values if value is not None)
    return pd.Categorical(list(values), categories=_names(dict.fromkeys([*known, *occurring])))


def _texts(values: Iterable[str | None]) -> pd.Series:
    return pd.Series(list(values), dtype=TEXT)


def _numbers(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _wholes(values: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.array(values, np.int64)


def _joined(values: Sequence[Sequence[str]]) -> pd.Series:
    return _texts(", ".join(parts) for parts in values)


def _moments_of(values: Sequence[float | None]) -> pd.DatetimeIndex:
    return _moments(_numbers(values))


def _moments(unix: npt.NDArray[np.float64]) -> pd.DatetimeIndex:
    """UTC timestamps of Unix seconds, to the microsecond: a float tells no finer moments apart."""
    micros = unix * 1e6
    unknown = np.isnan(micros)
    micros[unknown] = 0.0
    moments = np.rint(micros, out=micros).astype("datetime64[us]")
    moments[unknown] = np.datetime64("NaT")
    return pd.DatetimeIndex(moments).tz_localize("UTC")
