"""What an earlier run of a bulk call has done, and which of its rows are called again.

It owns that a checkpoint is not taken for that of other rows, and that nothing runs twice that must not. What
was done stays on disk until its rows come by again: four bytes a row tell in which file it is. How that is
written is the checkpoint's business.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from mcpnb.errors import ConfigError
from mcpnb.model import NOT_EXECUTED, OUTCOMES
from mcpnb.notebook.bulk.answers import Ended
from mcpnb.notebook.bulk.checkpoint import Checkpoint
from mcpnb.notebook.bulk.rows import Row
from mcpnb.notebook.markup import shorten

if TYPE_CHECKING:
    import os

__all__ = ["Kept", "called_again"]

_ANSWERED: Final = frozenset({"ok", "tool_error"})
_OPEN: Final = 4
"""Files that are in memory at once: rows come in their order, and ended nearly so, once per earlier run."""


def called_again(*, repeatable: bool, mended: bool) -> frozenset[str]:
    """Outcomes of an earlier run with which a row is called again.

    `repeatable` calls may be sent again although they may have run; `mended` is what tools said no to.
    """
    again = set(NOT_EXECUTED)
    if repeatable:
        again |= set(OUTCOMES) - _ANSWERED
    if mended:
        again.add("tool_error")
    return frozenset(again)


class Kept:
    """What an earlier run has done, while this one goes over the same rows again."""

    def __init__(self, folder: str | os.PathLike[str] | None, tool: str, again: frozenset[str]) -> None:
        self._checkpoint = None if folder is None else Checkpoint(folder, tool)
        self._again = again
        parts = self._checkpoint.parts() if self._checkpoint else []
        self._last = max((row for _, rows in parts for row in rows), default=-1)
        self._where = array("i", bytes(4 * (self._last + 1)))  # by row: 1 + its file's place; 0 for none
        for file, (_, rows) in enumerate(parts, 1):
            for row in rows:
                self._where[row] = file
        self._files = [part for part, _ in parts]
        self._opened = lru_cache(_OPEN)(self._read)

    def __bool__(self) -> bool:
        return self._checkpoint is not None

    def of(self, row: Row) -> Ended | None:
        """How a row ended before; None when it has to be called.

        Raises:
            ConfigError: It was another row then.
        """
        file = self._where[row.place] if row.place <= self._last else 0
        before = self._opened(file).get(row.place) if file else None
        if before is None:
            return None
        if before.key != row.key:
            now, then = shorten(row.key or row.problem, 120), shorten(before.key, 120)
            raise self._other(f"row {row.place:,} is {now} and was {then}")
        return None if before.outcome in self._again else before

    def _read(self, file: int) -> dict[int, Ended]:
        assert self._checkpoint is not None  # noqa: S101 - it has files
        return {row.place: row for row in self._checkpoint.read(self._files[file - 1])}

    def check_all_seen(self, rows: int) -> None:
        """Nothing, when these are all the rows and the earlier run had no more.

        Raises:
            ConfigError: It had.
        """
        if self._last >= rows:
            raise self._other(f"there are {rows:,} now, and row {self._last:,} was done")

    def write(self, ended: Iterable[Ended]) -> None:
        """Keep how rows ended, for a later run."""
        if self._checkpoint is not None:
            sent = (row for row in ended if row.attempts or row.outcome in _ANSWERED)
            self._checkpoint.write(row for row in sent if not row.kept)

    def _other(self, how: str) -> ConfigError:
        assert self._checkpoint is not None  # noqa: S101 - it has rows
        return ConfigError(
            f"checkpoint is the progress of other rows: {how}.",
            file=str(self._checkpoint.folder),
            fix="Take the same rows, or another path.",
        )
