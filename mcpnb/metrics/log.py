"""The log of attempts: one row for each sending of a call, in columns, bounded in rows and in names.

It owns the rows, their order and what is forgotten. It knows no clock, no frames and no statistics.

Rows are packed into an open block; a full block is turned into columns and never touched again. A reader
therefore takes one reference to the tuple of blocks and one row count, and everything below that count is
final: one thread (the event loop's) appends, any thread reads, and no lock is needed.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mcpnb.metrics.names import NameTable
from mcpnb.model import OUTCOMES, OutcomeKind

__all__ = ["AttemptLog", "Columns"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer[Any]]
Flags = npt.NDArray[np.bool_]

_PACKED: Final = struct.Struct("<qdddIHHHHHBB")
_FIELDS: Final = np.dtype([
    ("call", "<i8"), ("started_at", "<f8"), ("latency", "<f8"), ("queued", "<f8"), ("size", "<u4"),
    ("attempt", "<u2"), ("tool", "<u2"), ("server", "<u2"), ("strategy", "<u2"), ("error", "<u2"),
    ("outcome", "u1"), ("flags", "u1"),
])  # fmt: skip
ROW_BYTES: Final = _PACKED.size
"""Bytes that one attempt holds."""

_HEDGE, _CACHED = 1, 2

# Names of the module, because looking them up there is the quickest that `append` can do.
_pack_into = _PACKED.pack_into
_OUTCOME_CODES: Final = {kind: code for code, kind in enumerate(OUTCOMES)}

# Turning a block into columns holds up the loop thread: 4096 rows keep that near 0.2 ms.
_BLOCK_ROWS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Attempts as parallel arrays of shape (n,), oldest first, in the order in which they ended.

    The arrays belong to the reader. `tool`, `server`, `strategy` and `error` are codes into the tables of
    names below them, where code 0 is the empty name: nothing to say, such as the server of a call that was
    never sent. `outcome` is a code into `model.OUTCOMES`.
    """

    call: Integers
    attempt: Integers
    """From 1, in the order of sending."""
    started_at: Floats
    """Unix seconds."""
    tool: Integers
    server: Integers
    strategy: Integers
    outcome: Integers
    latency: Floats
    """Seconds, NaN when the attempt was never sent."""
    queued: Floats
    """Seconds between the call's arrival and this sending."""
    hedge: Flags
    cached: Flags
    size: Integers
    """Bytes of the answer, 0 when unknown."""
    error: Integers
    tools: tuple[str, ...] = ("",)
    servers: tuple[str, ...] = ("",)
    strategies: tuple[str, ...] = ("",)
    errors: tuple[str, ...] = ("",)

    def __len__(self) -> int:
        return len(self.call)

    def where(self, keep: Flags) -> Columns:
        """The rows for which `keep`, of shape (n,), is true; the tables of names stay whole."""
        rows = {name: getattr(self, name)[keep] for name in _COLUMNS}
        return Columns(
            **rows, tools=self.tools, servers=self.servers, strategies=self.strategies, errors=self.errors
        )

    def coded(self, by: str) -> tuple[Integers, tuple[str, ...]]:
        """The codes, shape (n,), and the names of `tool`, `server`, `strategy`, `outcome` or `error`."""
        match by:
            case "server":
                return self.server, self.servers
            case "tool":
                return self.tool, self.tools
            case "strategy":
                return self.strategy, self.strategies
            case "outcome":
                return self.outcome, OUTCOMES
            case "error":
                return self.error, self.errors
            case _:
                raise ValueError(f"no names in {by!r}: choose server, tool, strategy, outcome or error")


_COLUMNS: Final = tuple(field.name for field in fields(Columns))[:13]


class _Block:
    """A fixed number of rows: packed while it fills, columns for good once it is full."""

    __slots__ = ("columns", "filled", "latest", "packed", "start")

    def __init__(self, start: int, rows: int) -> None:
        self.start = start
        self.filled = 0
        self.packed = bytearray(rows * ROW_BYTES)
        self.columns: Mapping[str, npt.NDArray[Any]] | None = None
        self.latest = float("inf")
        """No row started later than this; known once the block is full."""

    def seal(self) -> None:
        rows = np.frombuffer(self.packed, _FIELDS)
        self.latest = float(np.fmax.reduce(rows["started_at"]))
        self.columns = {name: np.ascontiguousarray(rows[name]) for name in _FIELDS.fields or ()}
        self.packed = bytearray()

    def rows(self, begin: int, end: int, since: float | None) -> Mapping[str, npt.NDArray[Any]]:
        """Views of the rows with `begin <= number < end` in this block, copies when `since` selects."""
        columns = self.columns or self._open_rows()
        part = {name: column[begin:end] for name, column in columns.items()}
        if since is None:
            return part
        keep = part["started_at"] >= since
        return {name: column[keep] for name, column in part.items()}

    def _open_rows(self) -> Mapping[str, npt.NDArray[Any]]:
        packed = self.packed
        # The writer may have sealed the block since the caller looked: columns are set before packed goes.
        if self.columns is not None:
            return self.columns
        rows = np.frombuffer(packed, _FIELDS)
        return {name: rows[name] for name in _FIELDS.fields or ()}


class AttemptLog:
    """Attempts, newest `capacity` of them; the oldest are dropped and counted.

    Append from one thread only; everything else is safe from any thread. Memory grows with use, to 48 bytes
    a row and the tables of names, which are bounded too: what a hostile server invents beyond them is
    logged under the name `…other` and counted in `overflow`.
    """

    def __init__(self, capacity: int = 1_000_000) -> None:
        if capacity < 1:
            raise ValueError(f"a log of {capacity} attempts: capacity must be at least 1")
        self.capacity = capacity
        self._block_rows = max(1, min(_BLOCK_ROWS, capacity // 8))
        self._tools, self._servers = NameTable(16_384), NameTable(60_000)
        self._strategies, self._errors = NameTable(1_024), NameTable(1_024)
        self._block = _Block(0, self._block_rows)
        self._blocks: tuple[_Block, ...] = (self._block,)

    def append(
        self,
        *,
        call: int,
        attempt: int,
        started_at: float,
        tool: str,
        server: str,
        strategy: str,
        outcome: OutcomeKind,
        latency: float,
        queued: float,
        hedge: bool,
        cached: bool,
        size: int,
        error: str,
    ) -> None:
        """Add an attempt that has ended.

        `started_at` is Unix time; `latency` (NaN when never sent) and `queued` are seconds; `size` is bytes.
        Raises KeyError for an outcome that is none of `model.OUTCOMES`.
        """
        block = self._block
        row = block.filled
        try:
            _pack_into(
                block.packed, row * ROW_BYTES, call, started_at, latency, queued, size, attempt,
                self._tools[tool], self._servers[server], self._strategies[strategy], self._errors[error],
                _OUTCOME_CODES[outcome], hedge + 2 * cached,
            )  # fmt: skip
        except struct.error:  # an attempt or a size beyond its field: the nearest number that fits is kept
            _pack_into(
                block.packed, row * ROW_BYTES, call, started_at, latency, queued,
                min(max(size, 0), 0xFFFF_FFFF), min(max(attempt, 0), 0xFFFF),
                self._tools[tool], self._servers[server], self._strategies[strategy], self._errors[error],
                _OUTCOME_CODES[outcome], hedge + 2 * cached,
            )  # fmt: skip
        block.filled = row + 1
        if row + 1 == self._block_rows:
            self._next_block()

    def _next_block(self) -> None:
        self._block.seal()
        total = self.total
        block = _Block(total, self._block_rows)
        needed = [b for b in self._blocks if b.start + self._block_rows > total - self.capacity]
        self._blocks = (*needed, block)
        self._block = block

    @property
    def total(self) -> int:
        """Attempts ever appended. It grows with each, so it also tells whether anything is new."""
        newest = self._blocks[-1]
        return newest.start + newest.filled

    @property
    def dropped(self) -> int:
        """Attempts that were forgotten because newer ones needed their place."""
        return max(0, self.total - self.capacity)

    @property
    def overflow(self) -> Mapping[str, int]:
        """Rows whose name did not fit into its table any more and reads `…other`, by column."""
        return {
            "tool": self._tools.overflow,
            "server": self._servers.overflow,
            "strategy": self._strategies.overflow,
            "error": self._errors.overflow,
        }

    def __len__(self) -> int:
        return min(self.total, self.capacity)

    def __repr__(self) -> str:
        gone = f", {self.dropped:,} older dropped" if self.dropped else ""
        return f"<AttemptLog: {len(self):,} attempts{gone}>"

    def columns(self, *, last: int | None = None, since: float | None = None) -> Columns:
        """A copy of the log, oldest first.

        Args:
            last: Only the newest that many rows.
            since: Of these, only attempts that started at this Unix time or later.
        """
        parts = self._parts(last, since)
        rows = {name: np.concatenate([part[name] for part in parts]) for name in _FIELDS.fields or ()}
        flags = rows.pop("flags")
        return Columns(
            **rows,
            hedge=(flags & _HEDGE).astype(np.bool_),
            cached=(flags & _CACHED).astype(np.bool_),
            # Read after the rows: names are only ever added, so every code above has its name.
            tools=tuple(self._tools.names),
            servers=tuple(self._servers.names),
            strategies=tuple(self._strategies.names),
            errors=tuple(self._errors.names),
        )

    def _parts(self, last: int | None, since: float | None) -> Sequence[Mapping[str, npt.NDArray[Any]]]:
        blocks = self._blocks
        total = blocks[-1].start + blocks[-1].filled
        begin = max(0, total - self.capacity, total - max(0, last) if last is not None else 0)
        parts = [
            block.rows(max(begin - block.start, 0), total - block.start, since)
            for block in blocks
            if block.start + self._block_rows > begin and (since is None or block.latest >= since)
        ]
        return parts or [blocks[-1].rows(0, 0, None)]

    def oldest(self) -> float | None:
        """When the oldest attempt in the log started, Unix time; None when the log is empty."""
        blocks = self._blocks
        total = blocks[-1].start + blocks[-1].filled
        begin = max(0, total - self.capacity)
        for block in blocks:
            if total > begin and block.start + self._block_rows > begin:
                return float(block.rows(begin - block.start, begin - block.start + 1, None)["started_at"][0])
        return None
