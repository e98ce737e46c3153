"""Tokens as values: how long one is good, and what of a login is kept. It knows no issuer and no server.

An issuer says for how many seconds a token is good. These are counted from its receipt by a clock of ours,
so an issuer's or a server's clock that is wrong does not matter.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Kept", "SteadyTime", "Token"]

_MARGIN_SHARE = 0.2
_MARGIN = 30.0
"""Seconds: longer than a token endpoint takes to answer, and to answer once more after a failure."""
_LAST_PART = 0.25
"""Of the margin: a request needs some time to arrive, too."""


class SteadyTime:
    """Unix time that never runs backwards: a clock that is set back would make old tokens young again.

    It does leap forward with the computer's, for the time that a computer slept counts.
    """

    def __init__(self) -> None:
        self._latest, self._since = time.time(), time.monotonic()

    def __call__(self) -> float:
        """The time now."""
        passed = time.monotonic() - self._since
        now = max(time.time(), self._latest + passed)
        self._latest, self._since = now, self._since + passed
        return now


@dataclass(frozen=True, slots=True)
class Token:
    """One access token."""

    access: str = field(repr=False)
    resource: str
    """The resource it was asked for (RFC 8707)."""
    scopes: tuple[str, ...] = ()
    expires_at: float | None = None
    """Unix time by our clock; None where the issuer did not say."""
    lifetime: float = 0.0
    """Seconds, at its receipt."""

    def usable(self, now: float) -> bool:
        """Whether a request that is sent now arrives in time."""
        return self.expires_at is None or now < self.expires_at - self._margin * _LAST_PART

    def fresh(self, now: float) -> bool:
        """Whether it need not be renewed yet."""
        return self.expires_at is None or now < self.expires_at - self._margin

    @property
    def _margin(self) -> float:
        return min(_MARGIN, self.lifetime * _MARGIN_SHARE)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one login: our registration, the refresh token, access tokens by slot."""

    client: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """Our registration at the issuer, as its answer said (RFC 7591); empty for a client that was given."""
    refresh: str | None = field(default=None, repr=False)
    tokens: Mapping[str, Token] = field(default_factory=dict[str, Token])
    binds: bool = False
    """Whether the issuer gives tokens only for the resource that a login was for (RFC 8707)."""

    @property
    def secrets(self) -> frozenset[str]:
        """What must not be shown."""
        secret = self.client.get("client_secret")
        registration = self.client.get("registration_access_token")
        texts = (self.refresh, secret, registration, *(token.access for token in self.tokens.values()))
        return frozenset(text for text in texts if isinstance(text, str) and text)

    def to_json(self) -> dict[str, Any]:
        """As a store writes it."""
        tokens = {slot: _plain(token) for slot, token in self.tokens.items()}
        return {"client": dict(self.client), "refresh": self.refresh, "tokens": tokens, "binds": self.binds}

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Kept:
        """As a store read it.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: It is something else.
        """
        tokens = {
            str(slot): Token(
                access=str(each["access"]),
                resource=str(each["resource"]),
                scopes=tuple(str(scope) for scope in each["scopes"]),
                expires_at=None if each["expires_at"] is None else float(each["expires_at"]),
                lifetime=float(each["lifetime"]),
            )
            for slot, each in dict(data["tokens"]).items()
        }
        refresh = data["refresh"]
        refresh = None if refresh is None else str(refresh)
        return cls(dict(data["client"]), refresh, tokens, bool(data["binds"]))


def _plain(token: Token) -> dict[str, Any]:
    return {
        "access": token.access, "resource": token.resource, "scopes": list(token.scopes),
        "expires_at": token.expires_at, "lifetime": token.lifetime,
    }  # fmt: skip
