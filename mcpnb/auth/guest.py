"""A server, as the logins know it. It knows no tokens."""

from __future__ import annotations

from dataclasses import dataclass

from .issuers import Issuer, origin_of

__all__ = ["Guest"]


@dataclass(frozen=True, slots=True)
class Guest:
    """A server that trusts an issuer."""

    name: str
    url: str
    issuer: Issuer
    resource: str
    """What a token for it is to be asked for (RFC 8707)."""
    named: bool
    """Whether a user named the issuer: else it is only what the server says of itself."""
    scopes: tuple[str, ...] = ()
    """What it wants a token to be good for."""

    @property
    def origin(self) -> str:
        """Scheme, host and port: what is sent to one server of an origin may be sent to all."""
        return origin_of(self.url)
