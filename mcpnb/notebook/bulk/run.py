"""One run of a bulk call.

It owns which row is called, which is known already, when progress is kept, and how it ends. Rows are
pulled in the caller's thread and calls run on the portal's loop; between them stands a bounded number of
rows, so that of a generator no more is held than its arguments and answers, packed, and an index of them.
What a call is, it is handed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from mcpnb.errors import McpnbError
from mcpnb.notebook.bulk.answers import COLUMNS, Answers, Ended
from mcpnb.notebook.bulk.bar import Bar, NoBar
from mcpnb.notebook.bulk.crew import Crew
from mcpnb.notebook.bulk.resume import Kept, called_again
from mcpnb.notebook.bulk.rows import Row, Rows
from mcpnb.notebook.bulk.seen import Seen
from mcpnb.notebook.markup import shorten

__all__ = ["Bulk", "MapStopped", "Settings"]

_PACK: Final = 4_096
"""Rows that may wait to be put into columns."""
_KEEP: Final = 2.0
"""Seconds of work, at most, that a killed kernel loses of a checkpoint."""
_PULL: Final = 0.05
"""Seconds after which rows that were pulled are handed over although more could be: a source may be slow."""


class MapStopped(McpnbError):
    """A bulk call that broke off: a row failed under `on_error="raise"`, or the rows themselves did.

    Attributes:
        tool: What was called.
        row: The place of the row, from 0.
        arguments: What it was called with; None when there was no row to be had.
        error: What went wrong.
        frame: What was done until then, as `map` would have given it.
    """

    def __init__(
        self, tool: str, row: int, arguments: str | None, error: BaseException, frame: pd.DataFrame
    ) -> None:
        self.tool, self.row, self.arguments, self.error, self.frame = tool, row, arguments, error, frame
        done = int((frame["outcome"] != "cancelled").sum())
        which = f"row {row:,}" + (f" {shorten(arguments, 120)}" if arguments else "")
        said = str(error) if isinstance(error, McpnbError) else f"{type(error).__name__}: {error}"
        super().__init__(
            f"map of {tool} stopped at {which}: {said}\n{done:,} rows are done: this error's .frame has them "
            "(import sys; sys.last_value.frame)."
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """How rows are mapped; see `Fleet.map`."""

    concurrency: int = 16
    progress: bool = True
    on_error: str = "record"
    checkpoint: Any = None

    def __post_init__(self) -> None:
        """Check what a caller said.

        Raises:
            ValueError: A setting that is none.
        """
        size = self.concurrency
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"concurrency must be a whole number of at least 1, not {size!r}")
        if self.on_error not in {"record", "raise"}:
            raise ValueError(f"on_error must be 'record' or 'raise', not {self.on_error!r}")


class Bulk:
    """One run over rows. `take` and `note` go in turns with the crew's steps, until nothing `goes_on`.

    Args:
        tool: Its name.
        rows: Where rows come from.
        ask: Makes one row's call, on the loop.
        settings: How.
        repeatable: Whether calls that may have run may be sent again.
        shown: The progress bar.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        tool: str,
        rows: Rows,
        ask: Callable[[Row], Awaitable[Ended]],
        settings: Settings,
        *,
        repeatable: bool = False,
        shown: Bar | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tool, self._rows, self._settings, self._clock = tool, rows, settings, clock
        self.crew = Crew(ask, settings.concurrency)
        self._bar = shown or NoBar()
        self._answers = Answers()
        again = called_again(repeatable=repeatable, mended=settings.on_error == "raise")
        self._kept = Kept(settings.checkpoint, tool, again)
        self._seen = Seen()
        self._out = self._pulled = self._errors = 0
        self._over = self._called = False
        self._packed_at = clock()
        self.failed: Ended | None = None
        self._broken: Exception | None = None
        """What the rows' own code raised; those before it are called all the same."""

    @property
    def goes_on(self) -> bool:
        """Whether there are rows that have not ended."""
        return self.failed is None and (not self._over or self._out > 0)

    def take(self) -> list[Row]:
        """The next rows to call, as many as there is room for; those that need no call are dealt with here.

        Raises:
            ConfigError: The rows are not those of the checkpoint.
            Exception: The rows' own code raised it, and all before it have ended.
        """
        taken: list[Row] = []
        until = self._clock() + _PULL
        while self._broken is None and not self._over and self._out < self.crew.ahead:
            try:
                row = self._rows.pull()
            except Exception as error:  # noqa: BLE001 - raised below, when the rows before it have ended
                self._broken = error
                break
            if row is None:
                self._over = True
                self._kept.check_all_seen(self._pulled)
                break
            self._pulled += 1
            if self._to_call(row):
                self._out += 1
                self._called = True
                taken.append(row)
            if self._clock() >= until:
                break
        if self._broken is not None and not self._out:
            raise self._broken
        return taken

    def _to_call(self, row: Row) -> bool:
        """Whether a row has to be called; otherwise its end is noted."""
        before = self._kept.of(row)
        if row.problem:
            self._add(_refused(row))
            self._bar.add(1, self._errors)
            return False
        first = self._seen.first(row.key, row.place)
        if before is not None:
            self._bar.skip(1)
            self._add(before)
            return False
        if first != row.place:
            self._answers.add_same(row.place, first)
            self._bar.add(1, self._errors)
            return False
        return True

    def note(self) -> None:
        """Take in the rows that have ended since.

        Raises:
            OSError: The checkpoint cannot be written.
        """
        ended = self.crew.ended
        while ended:
            self._add(ended[0])
            # Only now: an interrupt in between takes it in twice, and loses nothing.
            ended.popleft()
            self._out -= 1
            self._bar.add(1, self._errors)
        self._bar.add(0, self._errors)
        waiting = len(self._answers.recent)
        if waiting >= _PACK or (waiting and self._kept and self._clock() - self._packed_at >= _KEEP):
            self._pack()

    def _add(self, row: Ended) -> None:
        self._answers.add(row)
        if row.outcome != "ok":
            self._errors += 1
            if self._settings.on_error == "raise" and self.failed is None:
                self.failed = row

    def _pack(self) -> None:
        self._kept.write(self._answers.recent.values())
        self._answers.pack()
        self._packed_at = self._clock()

    def finish(self, *, broken: bool = False) -> pd.DataFrame:
        """The DataFrame of the rows so far. With `broken` the checkpoint is left alone."""
        self._bar.close()
        self._seen = Seen()  # its room is for the frame now
        while self.crew.ended:
            self._answers.add(self.crew.ended[0])
            self.crew.ended.popleft()
        if not broken:
            self._pack()
        self._rows.pull_rest()
        inputs = self._rows.inputs(COLUMNS)
        found = self._answers.columns(len(inputs))
        found.index = inputs.index
        return pd.concat([inputs, found], axis="columns")

    def stopped(self, error: Exception) -> Exception:
        """The error of a run that broke off: itself, as long as nothing was called."""
        if not self._called:
            self._bar.close()
            return error
        of_rows = error is self._broken
        frame = self.finish(broken=isinstance(error, OSError) and not of_rows)
        row = self._pulled if of_rows else max(self._pulled - 1, 0)
        return MapStopped(self.tool, row, None, error, frame)

    def result(self) -> pd.DataFrame:
        """The end of a run.

        Raises:
            MapStopped: A row failed that must not.
        """
        frame, row = self.finish(), self.failed
        if row is None:
            return frame
        error = row.exception or McpnbError(row.error or row.outcome)
        raise MapStopped(self.tool, row.place, row.key, error, frame) from row.exception

    def interrupted(self) -> pd.DataFrame:
        """What was done before an interrupt, as a value; and one line of it."""
        frame = self.finish()
        done = int((frame["outcome"] != "cancelled").sum())
        rest = "the others are marked cancelled" if done < len(frame) else "nothing is missing"
        if self._kept and done < len(frame):
            rest += ", and the same line goes on from here"
        print(f"mcpnb: interrupted after {done:,} of {len(frame):,} rows; {rest}.")  # noqa: T201 - one line for whoever pressed the button
        return frame


def _refused(row: Row) -> Ended:
    return Ended(row.place, None, None, math.nan, 0, "rejected", row.problem, row.key)
