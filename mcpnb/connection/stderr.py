"""What a stdio server wrote to its standard error: a real file, of which the tail is kept.

A file rather than a pipe: the SDK's and the child's default (`sys.stderr`) has no descriptor under some
kernels, and a pipe nobody reads in time would block the server. It knows nothing of processes.
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

    def last_line(self) -> str:
        """The last line that is not blank, or nothing."""
        return next((line.strip() for line in reversed(self.lines()) if line.strip()), "")

    def trim(self) -> None:
        """Give the disk back once the file has grown large; the tail stays."""
        if not self._file.closed and os.fstat(self._file.fileno()).st_size > _TRUNCATE_AT:
            kept = self.lines()
            self._file.truncate(0)
            os.write(self._file.fileno(), ("\n".join(kept) + "\n").encode())

    def close(self) -> None:
        """Close the file. Idempotent."""
        if not self._file.closed:
            self.lines()
            self._file.close()

    def _read(self, size: int) -> tuple[str, ...]:
        start = max(0, size - _TAIL_BYTES)
        # pread, because the child shares the file's offset.
        data = os.pread(self._file.fileno(), size - start, start)
        lines = data.decode("utf-8", "replace").splitlines()
        if start:
            lines = lines[1:]
        return tuple(self._redact(line) for line in lines[-TAIL_LINES:])
