"""`fleet.map`: one tool for many rows, as a DataFrame.

It owns the way from a caller to a run and back, waited for or awaited, and what a row's call is: one routed
call of the client, whose end is a row whatever it is.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

import pandas as pd

from mcpnb.client import CallView, MultiServerClient
from mcpnb.errors import ConfigError, McpnbError, ToolError
from mcpnb.fanout import kind_of
from mcpnb.notebook.bulk.answers import Ended
from mcpnb.notebook.bulk.bar import bar
from mcpnb.notebook.bulk.rows import Row, rows_of
from mcpnb.notebook.bulk.run import Bulk, MapStopped, Settings
from mcpnb.notebook.waiting import awaited, waited

__all__ = ["driven", "map_rows", "map_rows_async", "settings_of"]


def settings_of(executor: object, **given: Any) -> Settings:
    """The settings of a call.

    Raises:
        ConfigError: `executor=` is asked for.
        ValueError: As `Settings` does.
    """
    if executor is not None:
        raise ConfigError(
            "executor= is not there yet: rows cannot be spread over a Dask cluster so far.",
            fix="Leave it out: the rows are called from this process, concurrency= at a time.",
        )
    return Settings(**given)


class _Caller:
    """Makes the rows' calls, on the portal's loop."""

    def __init__(self, view: CallView | MultiServerClient, tool: str, keep: bool) -> None:
        self._view, self._tool, self._keep = view.options(raise_on_error=True), tool, keep

    async def __call__(self, row: Row) -> Ended:
        began = time.monotonic()
        try:
            result = await self._view.call_tool(self._tool, row.arguments)
            value = result.value
        except Exception as error:  # noqa: BLE001 - whatever a row's call raises is that row's outcome
            return self._failed(row, error, time.monotonic() - began)
        return Ended(row.place, value, result.server, result.latency, result.attempts, "ok", None, row.key)

    def _failed(self, row: Row, error: Exception, seconds: float) -> Ended:
        sent = error.attempts if isinstance(error, McpnbError) else 1
        said = error.message if isinstance(error, ToolError) else str(error)
        return Ended(
            row.place,
            None,
            getattr(error, "server", None),
            seconds if sent else math.nan,
            sent,
            kind_of(error),
            "; ".join(filter(None, map(str.strip, said.splitlines()))) or type(error).__name__,
            row.key,
            error if self._keep else None,
        )


def _bulk(view: CallView | MultiServerClient, tool: str, rows: object, settings: Settings) -> Bulk:
    view.check_open()
    name, entry, repeatable = view.meaning(tool)
    source = rows_of(rows, entry)
    caller = _Caller(view, tool, keep=settings.on_error == "raise")
    shown = bar(name, source.total, shown=settings.progress)
    try:
        return Bulk(name, source, caller, settings, repeatable=repeatable, shown=shown)
    except BaseException:
        shown.close()
        raise


def map_rows(view: CallView | MultiServerClient, tool: str, rows: object, settings: Settings) -> pd.DataFrame:
    """See `Fleet.map`."""
    return driven(_bulk(view, tool, rows, settings), view.check_open)


def driven(bulk: Bulk, check: Callable[[], object]) -> pd.DataFrame:
    """The frame of a run, from this thread; `check` raises when it cannot go on."""
    try:
        try:
            while bulk.goes_on:
                check()
                waited(bulk.tool, bulk.crew.step, bulk.take())
                bulk.note()
        finally:
            waited(bulk.tool, bulk.crew.stop)
        return bulk.result()
    except KeyboardInterrupt:
        return bulk.interrupted()
    except MapStopped:
        raise
    except Exception as error:  # noqa: BLE001 - the rows' own code may raise anything
        problem = bulk.stopped(error)
        raise problem from (None if problem is error else error)


async def map_rows_async(
    view: CallView | MultiServerClient, tool: str, rows: object, settings: Settings
) -> pd.DataFrame:
    """The same, awaited. Cancelled, it cancels what is out and raises; a checkpoint has what was done."""
    bulk = _bulk(view, tool, rows, settings)
    try:
        try:
            while bulk.goes_on:
                view.check_open()
                await awaited(tool, bulk.crew.step, bulk.take())
                bulk.note()
        finally:
            await awaited(tool, bulk.crew.stop)
        return bulk.result()
    except asyncio.CancelledError:
        bulk.finish()
        raise
    except MapStopped:
        raise
    except Exception as error:  # noqa: BLE001 - the rows' own code may raise anything
        problem = bulk.stopped(error)
        raise problem from (None if problem is error else error)
