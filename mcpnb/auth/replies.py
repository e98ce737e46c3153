"""What issuers say, in our words: answers that are none, refusals, and what the SDK makes of them.

No token, code or secret is in it, though an issuer or the SDK may repeat all of them. It sends what it is
given, and knows no grants.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import parse_qsl

import httpx2
from mcp.client.auth import OAuthFlowError, OAuthRegistrationError, OAuthTokenError
from pydantic import ValidationError

from mcpnb.config import redact

from .issuers import Issuer
from .refusal import IssuerRefused, NoToken
from .web import Web

__all__ = ["answer", "in_our_words"]

_SAID = 200
"""Characters of an issuer's own words that are worth showing."""


@contextmanager
def in_our_words(issuer: Issuer, what: str) -> Generator[None]:
    """What the SDK raises of an issuer's answer, without that answer: it may have tokens in it."""
    try:
        yield
    except OAuthRegistrationError:
        raise NoToken(f"{issuer.name} registered us in a way that is of no use") from None
    except (OAuthTokenError, ValidationError):
        raise NoToken(f"{issuer.name} answered the {what} request with no bearer token") from None
    except OAuthFlowError as error:
        raise NoToken(f"{issuer.name}: {_flaw(str(error))}") from None


def _flaw(said: str) -> str:
    """What was wrong with a login, without the values that were compared."""
    if said.startswith("Authorization response"):
        return "the login came back from another issuer, or without its issuer's name (RFC 9207)"
    if said.startswith("State"):
        return "the login that came back is not the one that was begun"
    return "issuer mismatch in its metadata" if "metadata" in said else "the login failed"


async def answer(web: Web, request: httpx2.Request) -> httpx2.Response:
    """The issuer's answer, if it is one.

    Raises:
        IssuerRefused: It said no.
        NoToken: It cannot say now.
    """
    response = await web.send(request)
    if response.status_code < 300:
        return response
    where = f"{request.url.scheme}://{request.url.netloc.decode()}{request.url.path}"
    if response.status_code >= 500 or response.status_code in {408, 429}:
        raise NoToken(f"{where}: HTTP {response.status_code}", passing=True, retry_after=_later(response))
    code, words = _refusal(response)
    shown = redact(words, _sent(request)) if words else f"HTTP {response.status_code}"
    raise IssuerRefused(f"{where} refused: {code}: {shown}" if code else f"{where} refused: {shown}", code)


def _refusal(response: httpx2.Response) -> tuple[str, str]:
    """The error code and the words of a refusal (RFC 6749, 5.2); empty where it has none."""
    try:
        said: object = json.loads(response.content)
    except ValueError:
        return "", ""
    if not isinstance(said, dict):
        return "", ""
    table = cast("dict[str, Any]", said)
    code, words = table.get("error"), table.get("error_description")
    return (
        code[:_SAID] if isinstance(code, str) else "",
        words[:_SAID] if isinstance(words, str) else f"HTTP {response.status_code}",
    )


def _sent(request: httpx2.Request) -> frozenset[str]:
    """Every value of the request that its answer might repeat: codes, secrets, tokens."""
    values = {value for _, value in parse_qsl(request.content.decode("utf-8", "replace")) if len(value) >= 6}
    return frozenset(values | {request.headers.get("authorization", "").partition(" ")[2]} - {""})


def _later(response: httpx2.Response) -> float | None:
    text = response.headers.get("retry-after", "").strip()
    return float(text) if text.isdigit() else None
