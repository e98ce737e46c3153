"""A comparison as one parquet file, and back: calls as the table, everything else in the table's metadata.

It owns the file. It computes nothing: what is read is what was written, and figures are worked out anew. The
arguments of the workload are not kept; they may be functions.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcpnb.experiment import tables
from mcpnb.experiment.rows import AttemptRow, BlockRow
from mcpnb.experiment.timetable import Timetable
from mcpnb.experiment.workload import Workload
from mcpnb.model import Priority

if TYPE_CHECKING:
    import pandas as pd

    from mcpnb.experiment.comparison import Comparison

__all__ = ["load", "save"]

_KEY = b"mcpnb comparison"
_VERSION = 1
_WORKLOAD = (
    "tool", "rate", "concurrency", "requests", "duration", "warmup", "timeout", "priorities", "burst_ratio",
    "burst_share", "burst_seconds", "seed",
)  # fmt: skip


def save(c: Comparison, path: Path) -> Path:
    """Write a comparison.

    Raises:
        ImportError: pyarrow is not installed.
    """
    arrow, parquet = _arrow("Without it, comparison.calls.to_csv(path) keeps the same rows.")
    table = arrow.Table.from_pandas(c.calls, preserve_index=False)
    parquet.write_table(
        table.replace_schema_metadata(
            {**(table.schema.metadata or {}), _KEY: json.dumps(_stated(c)).encode()}
        ),
        path,
    )
    return path


def load(path: Path) -> dict[str, Any]:
    """The arguments that make the comparison again.

    Raises:
        ImportError: pyarrow is not installed.
        ValueError: The file has no comparison in it.
    """
    _, parquet = _arrow("")
    table = parquet.read_table(path)
    metadata: dict[bytes, bytes] = table.schema.metadata or {}
    found = metadata.get(_KEY)
    if found is None:
        raise ValueError(
            f"{path} was not written by Comparison.to_parquet: it has calls at most, no comparison"
        )
    stated: dict[str, Any] = json.loads(found)
    if stated["version"] > _VERSION:
        raise ValueError(f"{path} was written by a newer mcpnb (format {stated['version']}): upgrade mcpnb")
    calls, strategies = table.to_pandas(), tuple(stated["strategies"])
    blocks = [BlockRow(*row) for row in stated["blocks"]]
    return {
        "calls": calls,
        "blocks": tables.blocks_frame(blocks, strategies),
        "strategies": strategies,
        "workload": _workload(stated["workload"], calls),
        "seed": stated["seed"],
        "kind": stated["kind"],
        "marks": [tuple(mark) for mark in stated["marks"]],
        "remarks": stated["remarks"],
        "interrupted": stated["interrupted"],
        "attempts": tables.attempts_frame(
            [AttemptRow(*row) for row in stated.get("attempts", ())], strategies
        ),
    }


def _arrow(instead: str) -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError(
            f"parquet needs pyarrow, which is not installed: pip install pyarrow. {instead}".rstrip()
        ) from error


def _stated(c: Comparison) -> dict[str, Any]:
    blocks = c.blocks.astype({"strategy": str})
    return {
        "version": _VERSION,
        "strategies": c.strategies,
        "blocks": blocks[list(BlockRow._fields)].to_numpy(dtype=object).tolist(),
        "workload": _plain_workload(c.workload),
        "seed": c.seed,
        "kind": c.kind,
        "marks": [[mark.label, mark.begin, mark.end] for mark in c.marks],
        "remarks": c.remarks,
        "interrupted": c.interrupted,
        "attempts": c.attempts.to_numpy(dtype=object).tolist(),
    }


def _plain_workload(w: Workload) -> dict[str, Any]:
    stated: dict[str, Any] = {name: getattr(w, name) for name in _WORKLOAD}
    if isinstance(w.arrivals, Timetable):
        return {**stated, "timetable": w.arrivals.source}
    return {**stated, "arrivals": w.arrivals}


def _workload(stated: dict[str, Any], calls: pd.DataFrame) -> Workload:
    source = stated.pop("timetable", None)
    if source is None:
        return Workload(**stated)
    first = calls.iloc[:1]
    same = calls["strategy"].isin(first["strategy"]) & calls["repeat"].isin(first["repeat"])
    times, tools = calls.loc[same, "intended_at"].to_numpy(np.float64), calls.loc[same, "tool"].astype(str)
    nothing: list[Mapping[str, object]] = [{} for _ in times]
    usual: list[Priority] = ["normal" for _ in times]
    table = Timetable(times, tools.tolist(), nothing, usual, source)
    kept = {name: stated[name] for name in ("warmup", "timeout", "seed")}
    return Workload(arrivals=table, **kept)
