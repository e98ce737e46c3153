"""Logins in the system's keyring, by the package `keyring` (an extra). It owns the names they have there."""

from __future__ import annotations

import json
import os
from contextlib import AbstractAsyncContextManager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from mcpnb.errors import ConfigError
from mcpnb.threads import beside

from .locking import locked
from .token import Kept

__all__ = ["KeyringTokens"]

_SERVICE = "mcpnb"
_NONE = {
    "fail": "there is no keyring on this computer.",
    "null": "the keyring is switched off on this computer: it forgets what it is given.",
}
"""Backends of `keyring` that keep nothing."""


class KeyringTokens:
    """Keeps logins in the keyring that the system opens for whoever is logged in at it.

    A keyring has no lock for several processes, so a file in the user's cache folder stands in.

    Raises:
        ConfigError: The package is not installed, or there is no keyring.
    """

    def __init__(self) -> None:
        self._keyring = _keyring()
        self._folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcpnb"

    def __repr__(self) -> str:
        return "<KeyringTokens>"

    async def load(self, key: str) -> Kept | None:
        """See `TokenStore`. May ask the user to unlock the keyring."""
        raw = await beside(partial(self._ask, "get_password", _SERVICE, key))
        if raw is None:
            return None
        try:
            return Kept.of_json(json.loads(raw))
        except (KeyError, TypeError, ValueError, AttributeError):
            problem, fix = (
                f"has something else under {key!r}.",
                f"Remove it there; its service is {_SERVICE!r}.",
            )
            raise ConfigError(f"the keyring {problem}", key="tokens", fix=fix) from None

    async def save(self, key: str, kept: Kept | None) -> None:
        """See `TokenStore`."""
        if kept is not None:
            await beside(partial(self._ask, "set_password", _SERVICE, key, json.dumps(kept.to_json())))
        elif await beside(partial(self._ask, "get_password", _SERVICE, key)) is not None:
            await beside(partial(self._ask, "delete_password", _SERVICE, key))

    def alone(self, key: str) -> AbstractAsyncContextManager[object]:
        """See `TokenStore`."""
        del key
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return locked(self._folder / "keyring.lock")

    def _ask(self, verb: str, *args: str) -> str | None:
        try:
            return cast("str | None", getattr(self._keyring, verb)(*args))
        except Exception as error:  # noqa: BLE001 - every system's keyring has errors of its own
            problem = (
                f"the keyring failed: {type(error).__name__}."  # its words may quote what was to be kept
            )
            fix = "Unlock it, or use a file: tokens=Path(...)."
            raise ConfigError(problem, key="tokens", fix=fix) from None


def _keyring() -> Any:
    try:
        keyring = import_module("keyring")
    except ModuleNotFoundError:
        fix = "pip install 'mcpnb[keyring]', or name a file: tokens=Path(...)."
        raise ConfigError("'keyring' needs a package that is not installed.", key="tokens", fix=fix) from None
    used = type(cast("Any", keyring).get_keyring()).__module__
    problem = _NONE.get(used.rpartition(".")[2]) if used.startswith("keyring.") else None
    if problem is not None:
        raise ConfigError(problem, key="tokens", fix="Name a file instead: tokens=Path(...).")
    return keyring
