"""What a stdio server wrote to its standard error: a real file, of which the tail is kept.

A file rather than a pipe: the SDK's and the child's default (`sys.stderr`) has no descriptor under some
kernels, and a pipe nobody reads in time would block the server. It knows nothing of processes. Which of a
server's lines says why it ended, `last_words` knows.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["TAIL_LINES", "StderrTail"]

TAIL_LINES = 200
"""Enough for the longest Python traceback that is worth reading."""

_TAIL_BYTES = 64 * 1024
"""200 lines of 320 bytes: one read gets them all."""

_TRUNCATE_AT = 4 * 1024 * 1024
"""A server that logs every request must not fill the disk during a long session."""


class StderrTail:
    """One server's standard error, across its restarts. Closing it keeps the last lines."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        descriptor, path = tempfile.mkstemp(prefix="mcpnb-stderr-")
        os.close(descriptor)
        # Append mode, which `TemporaryFile` cannot give: after a truncation the child goes on at the new end.
        self._file = Path(path).open("ab+", buffering=0)  # noqa: SIM115 - closed by close()
        Path(path).unlink()
        self._seen = 0
        self._lines: tuple[str, ...] = ()
        self._run_from = 0
        """Where the run that there is, or was last, began to write."""

    def fileno(self) -> int:
        """The descriptor a child process is given."""
        return self._file.fileno()

    def lines(self) -> tuple[str, ...]:
        """The last `TAIL_LINES` lines, oldest first, redacted."""
        if self._file.closed:
            return self._lines
        size = os.fstat(self._file.fileno()).st_size
        if size != self._seen:
            self._lines = self._read(size)
            self._seen = size
        return self._lines

    def begin_run(self) -> None:
        """What is written from now on is another run's."""
        if not self._file.closed:
            self._run_from = os.fstat(self._file.fileno()).st_size

    def run_lines(self) -> tuple[str, ...]:
        """Those of the last `TAIL_LINES` lines that the run there is, or was last, has written."""
        if self._file.closed:
            return ()
        return self._read(os.fstat(self._file.fileno()).st_size, self._run_from)

    def trim(self) -> None:
        """Give the disk back once the file has grown large; the tail stays."""
        if not self._file.closed and os.fstat(self._file.fileno()).st_size > _TRUNCATE_AT:
            kept = self.lines()
            self._file.truncate(0)
            os.write(self._file.fileno(), ("\n".join(kept) + "\n").encode())
            self._run_from = 0

    def close(self) -> None:
        """Close the file. Idempotent."""
        if not self._file.closed:
            self.lines()
            self._file.close()

    def _read(self, size: int, since: int = 0) -> tuple[str, ...]:
        start = max(since, size - _TAIL_BYTES)
        # pread, because the child shares the file's offset.
        data = os.pread(self._file.fileno(), size - start, start)
        lines = data.decode("utf-8", "replace").splitlines()
        if start > since:
            lines = lines[1:]  # it began before
        return tuple(self._redact(line) for line in lines[-TAIL_LINES:])
