"""What a client keeps of its tools' answers, and for how long, as a user says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from mcpnb.errors import ConfigError

__all__ = ["CachePolicy", "policy_of", "seconds_of"]


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """What a client keeps of its tools' answers.

    Raises:
        ConfigError: For a number that is no length of time, or no bound.
    """

    ttl: float = 60.0
    """Seconds for which an answer is good."""
    entries: int = 1024
    """Answers kept at most; those not asked for the longest go first."""
    max_bytes: int = 64_000_000
    """Bytes they may hold together."""
    tools: Mapping[str, float] = field(default_factory=dict[str, float])
    """Other seconds for some tools, by name or pattern (`weather.*`), 0 for never; the first that fits."""

    def __post_init__(self) -> None:
        seconds_of(self.ttl, "ttl")
        for pattern, seconds in self.tools.items():
            seconds_of(seconds, f"tools[{pattern!r}]")
        for bound in ("entries", "max_bytes"):
            if getattr(self, bound) < 1:
                raise ConfigError(
                    f"{getattr(self, bound)} leaves no room for any answer", key=f"cache {bound}"
                )

    def seconds(self, tool: str) -> float:
        """For how long an answer of this tool is good."""
        fitting = (seconds for pattern, seconds in self.tools.items() if fnmatchcase(tool, pattern))
        return next(fitting, self.ttl)


def policy_of(choice: CachePolicy | bool | float | None) -> CachePolicy | None:
    """What `connect(cache=...)` means; None: nothing is kept unless a call asks.

    Raises:
        ConfigError: For anything but a policy, True, False or seconds.
    """
    if isinstance(choice, CachePolicy):
        return choice
    if choice is None or choice is True:
        return CachePolicy() if choice else None
    seconds = seconds_of(choice, "cache")
    return CachePolicy(ttl=seconds) if seconds else None


def seconds_of(value: object, key: str) -> float:
    """A length of time in seconds, infinite included; False is 0.

    Raises:
        ConfigError: For anything else.
    """
    if isinstance(value, int | float) and value >= 0:
        return float(value)
    raise ConfigError(
        f"{value!r} is no number of seconds", key=key, fix="Say True, False or a number from 0 on."
    )
