"""Where in the configuration something stands: owns how faults and warnings get their file and server.

It refuses to know what is wrong; whoever finds a fault raises a `ConfigError` with its key, and the
surrounding `Place` adds the rest. `Findings` collects the faults of one source, so that all are told at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mcpnb.errors import ConfigError

__all__ = ["ConfigErrors", "ConfigWarning", "Findings", "Place"]


class ConfigWarning(UserWarning):
    """Something in a configuration that mcpnb does not know or does not do. The server is still used."""


class ConfigErrors(ConfigError):
    """Several problems of one source; file, server, key, problem and fix are those of the first."""

    def __init__(self, problems: Sequence[ConfigError]) -> None:
        first = problems[0]
        super().__init__(first.problem, file=first.file, server=first.server, key=first.key, fix=first.fix)
        self.problems = tuple(problems)
        """Each of them by itself, in the order of the source."""
        self.args = (f"{len(problems)} problems:" + "".join(f"\n  {problem}" for problem in problems),)

    def __reduce__(self) -> tuple[type[ConfigErrors], tuple[tuple[ConfigError, ...]]]:
        return type(self), (self.problems,)


class Findings:
    """The problems found so far."""

    def __init__(self) -> None:
        self._found: list[ConfigError] = []

    def note(self, error: ConfigError) -> None:
        """Remember a problem, or each of several."""
        self._found += error.problems if isinstance(error, ConfigErrors) else [error]

    def settle(self) -> None:
        """Raise what was found: the one `ConfigError`, or `ConfigErrors`. Without effect when all is well."""
        if len(self._found) == 1:
            raise self._found[0] from None
        if self._found:
            raise ConfigErrors(self._found) from None


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
        except ConfigErrors as several:
            raise ConfigErrors([self._here(problem) for problem in several.problems]) from None
        except ConfigError as error:
            # The inner one says less, and a decoder's error holds the whole text.
            raise self._here(error) from None

    def _here(self, error: ConfigError) -> ConfigError:
        return ConfigError(
            error.problem,
            file=error.file or self.file,
            server=error.server or self.server,
            key=error.key,
            fix=error.fix,
        )

    def warn(self, text: str, *, key: str | None = None) -> None:
        """Say something about this place that does not stop anybody."""
        message = ConfigError(text, file=self.file, server=self.server, key=key)
        warnings.warn(str(message), ConfigWarning, stacklevel=2)
