"""Where logins are kept: in memory, in a file of ours, in the system's keyring. It knows no issuer.

A store has no opinion of what it keeps. Whoever renews a token holds `alone` meanwhile and looks first, so
that of several processes one renews and the others find what it got.
"""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from mcpnb.errors import ConfigError

from .token import Kept

__all__ = ["MemoryTokens", "TokenStore", "store_of"]


class TokenStore(Protocol):
    """Keeps what is known of logins, by key.

    Raises `ConfigError` where it cannot: nothing is kept silently somewhere else.
    """

    async def load(self, key: str) -> Kept | None:
        """What is kept under the key."""
        ...

    async def save(self, key: str, kept: Kept | None) -> None:
        """Keep this instead; None forgets."""
        ...

    def alone(self, key: str) -> AbstractAsyncContextManager[object]:
        """While it is held nobody else, in whatever process, renews what is under the key."""
        ...


class MemoryTokens:
    """Keeps logins as long as the process lives."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    async def load(self, key: str) -> Kept | None:
        """See `TokenStore`."""
        return self._kept.get(key)

    async def save(self, key: str, kept: Kept | None) -> None:
        """See `TokenStore`."""
        if kept is None:
            self._kept.pop(key, None)
        else:
            self._kept[key] = kept

    def alone(self, key: str) -> AbstractAsyncContextManager[object]:
        """See `TokenStore`; there is only this process, and a login renews one token after the other."""
        del key
        return nullcontext()


def store_of(tokens: object) -> TokenStore:
    """The store that `tokens=` means: `memory`, `keyring`, a path, or a store.

    Raises:
        ConfigError: It means none; the keyring's package or the keyring itself is not there; a file that
            others may read.
    """
    if isinstance(tokens, str) and tokens == "memory":
        return MemoryTokens()
    if isinstance(tokens, str) and tokens == "keyring":
        from .keyring_store import KeyringTokens  # noqa: PLC0415 - an extra

        return KeyringTokens()
    if isinstance(tokens, str | os.PathLike):
        from .file_store import FileTokens  # noqa: PLC0415 - only for those who keep tokens in a file

        return FileTokens(Path(os.fspath(tokens)))
    if all(callable(getattr(tokens, name, None)) for name in ("load", "save", "alone")):
        return tokens  # pyright: ignore[reportReturnType] - a protocol, told by its methods
    fix = 'Use tokens="memory", "keyring" or a path.'
    raise ConfigError("is no store of tokens.", key="tokens", fix=fix)
