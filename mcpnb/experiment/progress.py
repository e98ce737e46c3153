"""One line of text that says how far a comparison has come.

It owns the line. It knows no widgets: a carriage return works in a terminal and in a notebook alike.
"""

from __future__ import annotations

import contextvars
import sys
import time
from collections.abc import Callable
from typing import TextIO

from mcpnb.experiment.live import Progress

EVERY = 0.2  # seconds between two updates: fast enough to feel alive, slow enough for any front end
WIDTH = 24


class ProgressLine:
    """Writes a line over itself on each update, at most five times a second; `close` wipes it.

    Updates come from the event loop's thread. A notebook shows output in the cell whose context printed it,
    so the line is written in the context of the caller who made it.
    """

    def __init__(self, out: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out or sys.stdout
        self._clock = clock
        self._context = contextvars.copy_context()
        self._began = clock()
        self._last = float("-inf")
        self._width = 0

    def __call__(self, progress: Progress) -> None:
        """Show how far it is, unless that was done a moment ago."""
        now = self._clock()
        if now - self._last >= EVERY:
            self._last = now
            self._write(line(progress, now - self._began))

    def close(self) -> None:
        """Wipe the line."""
        if self._width:
            self._write("")
            self._context.run(self._out.write, "\r")
            self._context.run(self._out.flush)

    def _write(self, text: str) -> None:
        self._context.run(self._out.write, "\r" + text.ljust(self._width))
        self._context.run(self._out.flush)
        self._width = len(text)


def line(progress: Progress, elapsed: float) -> str:
    """The line for a state of affairs, `elapsed` seconds after the start."""
    where = f"round {progress.round}/{progress.rounds}  {progress.strategy}"
    if progress.total is None:
        return f"{progress.done} calls  {where}"
    share = progress.done / max(progress.total, 1)
    filled = round(share * WIDTH)
    left = elapsed / share - elapsed if share > 0 else 0.0
    bar = "━" * filled + "╌" * (WIDTH - filled)
    return f"{bar} {progress.done}/{progress.total} calls  {left:.0f} s left  {where}"


def shows_lines(out: TextIO) -> bool:
    """Whether a line that overwrites itself makes sense: a terminal or a notebook, not a log file."""
    return out.isatty() or "ipykernel" in sys.modules
