"""Logins in one JSON file that only its owner can read. It owns the file's form and its rights."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

from mcpnb.errors import ConfigError
from mcpnb.threads import beside

from .locking import locked
from .token import Kept

__all__ = ["FileTokens"]

_VERSION = 1
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class FileTokens:
    """Keeps logins in a file, for all processes that name it. It is made with the first login.

    Raises:
        ConfigError: There is a file that others may read, or that holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser().absolute()
        if not self._path.parent.is_dir():
            fix = f"Make it first: {self._path.parent}"
            raise ConfigError("its folder is not there.", file=str(self._path), key="tokens", fix=fix)
        self._read()

    def __repr__(self) -> str:
        return f"<FileTokens {self._path}>"

    async def load(self, key: str) -> Kept | None:
        """See `TokenStore`."""
        return (await beside(self._read)).get(key)

    async def save(self, key: str, kept: Kept | None) -> None:
        """See `TokenStore`."""
        await beside(partial(self._replace, key, kept))

    def alone(self, key: str) -> AbstractAsyncContextManager[object]:
        """See `TokenStore`; the whole file is locked, because it is written as a whole."""
        del key
        return locked(self._path.with_name(f"{self._path.name}.lock"))

    def _read(self) -> dict[str, Kept]:
        try:
            with self._path.open("rb") as file:
                self._refuse_shared(os.fstat(file.fileno()))
                raw = file.read()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._wrong(f"cannot be read: {error.strerror or error}.", "Check its rights.") from None
        return self._parsed(raw)

    def _refuse_shared(self, found: os.stat_result) -> None:
        """A file that others can read was read by others, for all that we know."""
        if os.name != "posix":  # Windows: the rights of a profile's folder hold
            return
        if not stat.S_ISREG(found.st_mode):
            raise self._wrong("is no file.", "Name a file.")
        if found.st_uid != os.getuid():
            raise self._wrong("belongs to somebody else.", "Use one of your own.")
        if found.st_mode & _OTHERS:
            fix = f"Say `chmod 600 {self._path}` if nobody has seen it; else remove it, and log in anew."
            raise self._wrong(f"can be read by others (mode {stat.S_IMODE(found.st_mode):o}).", fix)

    def _parsed(self, raw: bytes) -> dict[str, Kept]:
        try:
            document = cast("dict[str, Any]", json.loads(raw))
            if document["version"] != _VERSION:
                raise self._wrong("was written by another version of mcpnb.", "Name another file.")
            return {str(key): Kept.of_json(each) for key, each in dict(document["logins"]).items()}
        except (KeyError, TypeError, ValueError, AttributeError):
            # The parser's own words quote what it read, and that may be a token.
            raise self._wrong("holds something else than tokens.", "Name another file.") from None

    def _replace(self, key: str, kept: Kept | None) -> None:
        logins = self._read()
        logins.pop(key, None)
        if kept is not None:
            logins[key] = kept
        document = {"version": _VERSION, "logins": {name: each.to_json() for name, each in logins.items()}}
        try:
            self._write(json.dumps(document, indent=1).encode())
        except OSError as error:
            raise self._wrong(f"cannot be written: {error.strerror or error}.", "Check its folder.") from None

    def _write(self, raw: bytes) -> None:
        """All or nothing: whoever reads meanwhile, or after the power failed, finds the old file."""
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(name).unlink()
            raise

    def _wrong(self, problem: str, fix: str) -> ConfigError:
        return ConfigError(problem, file=str(self._path), key="tokens", fix=fix)
