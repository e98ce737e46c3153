"""Who answers what servers ask, as a client is told at connect. It asks nobody itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mcpnb.client.call_options import check_timeout
from mcpnb.client.client_options import check_answering
from mcpnb.errors import ConfigError, McpnbError

if TYPE_CHECKING:
    from mcpnb.connection import Answering, Connection, ConnectionPool, OnElicit, OnSample
    from mcpnb.connection.questions import Clock

__all__ = ["answering", "change_roots", "keep_time"]


def answering(
    on_elicit: OnElicit | None,
    on_sample: OnSample | None,
    roots: Iterable[str | Path] | None,
    timeout: float | None,
) -> Answering | None:
    """Who answers; None when nobody was given.

    Raises:
        ConfigError: A root is no folder.
        TypeError: What is to answer cannot.
        ValueError: `timeout` is no time.
    """
    check_timeout("question_timeout", timeout, may_be_none=True)
    check_answering(on_elicit, on_sample, roots)
    if on_elicit is None and on_sample is None and roots is None:
        return None
    from mcpnb.connection import Answering  # noqa: PLC0415 - the SDK takes a second to import

    return Answering(on_elicit, on_sample, roots, timeout=timeout)


def keep_time(answering: Answering | None, clock: Clock) -> None:
    """Have the time of calls stand while somebody answers."""
    if answering is not None:
        answering.clock = clock


async def change_roots(
    answering: Answering | None,
    connections: Iterable[Connection | ConnectionPool],
    roots: Iterable[str | Path],
) -> None:
    """Other roots from now on, told to those servers.

    Raises:
        ConfigError: A root is no folder, or there were none to change.
        TypeError: They are no list.
    """
    check_answering(None, None, roots)
    if answering is None or answering.roots is None:
        fix = "Connect with roots=[...]; it may be empty."
        raise ConfigError("servers have not been told of any roots.", key="roots", fix=fix)
    answering.set_roots(roots)
    told = (connection.announce_roots() for connection in connections)
    for failure in await asyncio.gather(*told, return_exceptions=True):
        # A server that is just going away asks for the roots when it is back.
        if isinstance(failure, BaseException) and not isinstance(failure, McpnbError):
            raise failure
