"""Whether a server is still there: asked when it has been quiet, and at once when something was odd.

It owns the questions and what their answers mean. Requests in flight are judged by their own deadlines: a
server that is busy with them may be too busy to answer a ping, and is only called slow for it. But those
that were sent when it was silent already prove nothing, or a server that hangs would be kept by its traffic.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import anyio
from mcp import Client
from mcp_types import SERVER_INFO_META_KEY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcpnb.errors import CallTimeout, ConnectError, ServerDisconnected, ToolError

from .faults import Fault

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Health"]


class Health:
    """Watches one session. `watch` runs in the session's own task group."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._odd = asyncio.Event()
        self._silences = 0
        """Questions in a row that had no answer in time."""
        self._sent_before = 0
        """How many requests had been sent when the first of these was not answered."""

    def suspect(self) -> None:
        """Something was odd: look now."""
        self._odd.set()

    async def watch(self) -> None:
        """Ask, until cancelled or until the session is lost. A server in this process is not asked."""
        session = self._session
        asks = session.config.transport != "in-process"
        while not session.lost.is_set():
            interval = session.config.health_interval * session.rng.uniform(0.8, 1.2)
            with anyio.move_on_after(
                min(interval, session.pace.health_timeout) if self._silences else interval
            ):
                await self._odd.wait()
            session.wire.tidy()
            session.freshness.retry()
            odd = self._odd.is_set()
            self._odd.clear()
            if asks and (odd or self._silences or session.quiet_for(interval / 2)):
                await self._ask()
                # Failing calls may raise suspicion faster than anybody can answer.
                await asyncio.sleep(session.pace.health_pause)

    async def _ask(self) -> None:
        flight = self._session.own_flight(self._session.pace.health_timeout)
        asked = anyio.current_time()
        try:
            itself = await self._session.exchange("a health check", _still_itself, flight=flight)
            if not itself:
                self._session.lose(Fault("lost", "another version of the server answers at its address"))
        except CallTimeout:
            self._odd.clear()
            if anyio.current_time() - asked < 1.5 * self._session.pace.health_timeout:
                self._silent()
            else:
                self._odd.set()  # it was we who were held up: its answer may wait to be read
            return
        except ToolError:
            pass  # an error is an answer
        except (ConnectError, ServerDisconnected) as error:
            # 429 is a sign of life, and our own questions may have caused it.
            if flight.status != 429:
                self._session.lose(flight.fault or Fault("broken", error.reason))
                return
        if self._silences:
            self._silences = 0
            self._session.listener.on_health(self._session, None)

    def _silent(self) -> None:
        if not self._silences:
            self._sent_before = self._session.sent
        self._silences += 1
        problem = f"no answer to a health check within {self._session.pace.health_timeout:g} s"
        if self._silences > 1 and not self._session.waits_for_first(self._sent_before):
            self._session.lose(Fault("silent", f"{problem}, twice"), cut=True)
        else:
            self._session.listener.on_health(self._session, problem)


async def _still_itself(client: Client) -> bool:
    """Ask the cheapest question of the negotiated era. Whether the server that answers is the one we know.

    Without sessions (since 2026-07-28) a server may be replaced between two requests, and nothing else tells.
    """
    if client.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        await client.session.send_ping()
        return True
    answer = await client.session.send_discover(client.protocol_version)
    meta = cast("dict[str, Any]", answer.get("_meta") or {})
    said, known = cast("dict[str, Any] | None", meta.get(SERVER_INFO_META_KEY)), client.server_info
    if known is None or not isinstance(said, dict):
        return True
    return (said.get("name"), said.get("version")) == (known.name, known.version)
