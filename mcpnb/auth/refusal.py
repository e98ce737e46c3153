"""The error for a request that has no token to go with. It knows neither HTTP clients' ways nor servers."""

from __future__ import annotations

import httpx2

__all__ = ["IssuerRefused", "NoToken"]


class NoToken(httpx2.RequestError):
    """A request was not sent, or was refused, for want of a token.

    An error of the HTTP client's family, because it comes out of its authentication: whoever handles those
    handles this.

    Attributes:
        reason: Why, and what to do; no secret is in it.
        passing: It may be otherwise in a moment: the authorization server cannot be reached.
        narrow: It concerns this request only; others may do with the token there is.
        login: Somebody has to log in.
        retry_after: Seconds, where the authorization server said so.
    """

    def __init__(
        self, reason: str, *, passing: bool = False, narrow: bool = False, login: bool = False,
        retry_after: float | None = None,
    ) -> None:  # fmt: skip
        self.reason, self.passing, self.narrow, self.login = reason, passing, narrow, login
        self.retry_after = retry_after
        super().__init__(reason)


class IssuerRefused(NoToken):
    """An authorization server said no, and will say so again.

    Attributes:
        code: Its error code, such as `invalid_grant` (RFC 6749, 5.2); empty where it gave none.
    """

    def __init__(self, reason: str, code: str) -> None:
        super().__init__(reason)
        self.code = code
