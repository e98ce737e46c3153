"""Where in the configuration something stands: owns how faults and warnings get their file and server.

It refuses to know what is wrong; whoever finds a fault raises a `ConfigError` with its key, and the
surrounding `Place` adds the rest.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from mcpnb.errors import ConfigError

__all__ = ["ConfigWarning", "Place"]


class ConfigWarning(UserWarning):
    """Something in a configuration that mcpnb does not know or does not do. The server is still used."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file and a server in it; either may be unknown, as for what comes from a cell."""

    file: str | None = None
    server: str | None = None

    @contextmanager
    def located(self) -> Generator[None]:
        """Add this place to a `ConfigError` from inside, where it does not name one itself."""
        try:
            yield
        except ConfigError as error:
            raise ConfigError(
                error.problem,
                file=error.file or self.file,
                server=error.server or self.server,
                key=error.key,
                fix=error.fix,
            ) from None  # the inner one says less, and a decoder's error holds the whole text

    def warn(self, text: str, *, key: str | None = None) -> None:
        """Say something about this place that does not stop anybody."""
        message = ConfigError(text, file=self.file, server=self.server, key=key)
        warnings.warn(str(message), ConfigWarning, stacklevel=2)
