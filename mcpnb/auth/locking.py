"""One process at a time: a lock that is a file. It knows nothing of what is done meanwhile.

The system frees it with the process that held it, however that ended. The file itself stays: taking it away
would let a third process lock another file of the same name.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from mcpnb.errors import ConfigError

__all__ = ["locked"]

_LOOK_AGAIN = 0.02
"""Seconds: a token endpoint takes longer than that to answer."""


@asynccontextmanager
async def locked(
    path: Path, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> AsyncGenerator[None]:
    """Hold the lock; wait for it, if another process (or another fleet of this one) has it.

    Raises:
        ConfigError: The file cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError as error:
        raise ConfigError(
            f"cannot be locked: {error.strerror or error}.", file=str(path), key="tokens"
        ) from None
    try:
        while not _take(descriptor):
            await sleep(_LOOK_AGAIN)
        yield
    finally:
        os.close(descriptor)  # which frees it


def _take(descriptor: int) -> bool:
    """Take the lock, or say that somebody has it."""
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - there is none elsewhere

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415 - there is none on Windows

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
