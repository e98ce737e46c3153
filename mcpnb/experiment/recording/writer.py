"""A file that is only ever added to, a whole line at a time.

It owns the file. What the lines say is none of its business, and it keeps none of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcpnb.errors import RecordingError

__all__ = ["Writer"]


class Writer:
    """Writes lines of JSON. Each goes to the operating system at once and whole, so it survives a kill.

    Args:
        path: A file that is not there yet, or an empty one.
        overwrite: Whether what is there may go.

    Raises:
        RecordingError: There is something else, or it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.path = Path(path).expanduser().absolute()
        self.lines = self.bytes = 0
        if not overwrite and self.path.exists() and (not self.path.is_file() or self.path.stat().st_size):
            what = "is there already: name another file, or pass overwrite=True"
            raise RecordingError(str(path), what if self.path.is_file() else "is no file")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC | getattr(os, "O_BINARY", 0)
        try:
            self._file: int | None = os.open(self.path, flags, 0o666)
        except OSError as error:
            raise RecordingError(str(path), f"cannot be written: {error.strerror or error}") from None

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line.

        Raises:
            OSError: It could not be written; `close` is what is left to do.
        """
        if self._file is None:
            raise OSError("the recording was stopped")
        data = _encoded(line)
        left = memoryview(data)
        while left:
            left = left[os.write(self._file, left) :]
        self.lines += 1
        self.bytes += len(data)

    def close(self) -> None:
        """No more lines. Closing twice is fine."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _encoded(line: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # half a character, which UTF-8 does not have
        return json.dumps(line, separators=(",", ":")).encode() + b"\n"
