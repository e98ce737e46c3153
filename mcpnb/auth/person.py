"""Who is asked to log in. It owns the way to a person: a callback, or the terminal and its browser."""

from __future__ import annotations

import inspect
import sys
import webbrowser
from collections.abc import Awaitable
from functools import partial
from typing import cast

from mcpnb.threads import beside

from .request import LoginRequest, OnLogin

__all__ = ["anybody", "ask"]


def anybody(on_login: OnLogin | None) -> OnLogin | None:
    """Whom to ask: whoever was named, else who sits at the terminal; None where there is none."""
    if on_login is not None:
        return on_login
    return _in_terminal if sys.stderr is not None and sys.stderr.isatty() else None  # pyright: ignore[reportUnnecessaryComparison] - None under pythonw


async def ask(on_login: OnLogin, request: LoginRequest) -> None:
    """Bring the two together; what goes wrong with that is the end of the login."""
    try:
        if inspect.iscoroutinefunction(on_login):
            await cast("Awaitable[None]", on_login(request))
        else:
            waiting = await beside(partial(on_login, request))
            if inspect.isawaitable(waiting):
                await waiting
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody was asked
        request.end("failed", f"on_login failed: {type(error).__name__}: {error}")


def _in_terminal(request: LoginRequest) -> None:
    """Print the link, and open it."""
    names = ", ".join(request.servers)
    print(f"Log in at {request.issuer} for {names}:\n  {request.url}", file=sys.stderr, flush=True)  # noqa: T201 - a person at a terminal is asked
    webbrowser.open(request.url)
