"""Whether a server is still there: asked when it has been quiet, and at once when something was odd.

It owns the questions and what their answers mean. Requests in flight are judged by their own deadlines: a
server that is busy with them may be too busy to answer a ping, and is only called slow for it. But those
that were sent when it was silent already prove nothing, or a server that hangs would be kept by its traffic;
it has to answer one of them to be heard of again.
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
        self._slow = False
        """Told of as slow to answer."""
        self._silences = 0
        """Questions in a row that had no answer in time."""
        self._silent_since = 0.0
        self._timer: asyncio.TimerHandle
        """Until an answer is late."""
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
        self._time_it()
        try:
            itself = await self._session.exchange("a health check", _still_itself, flight=flight)
            if not itself:
                self._session.lose(Fault("lost", "another version of the server answers at its address"))
        except CallTimeout:
            self._odd.clear()
            if self._session.asking:  # it may do one thing at a time, and waits for a person
                return
            if _held_up(asked, self._session.pace.health_timeout):
                self._odd.set()
            else:
                self._silent()
            return
        except ToolError:
            pass  # an error is an answer
        except (ConnectError, ServerDisconnected) as error:
            if flight.fault is None or flight.fault.kind != "limited":
                self._session.lose(flight.fault or Fault("broken", error.reason))
                return
        finally:
            self._timer.cancel()
        self._silences = 0
        if self._slow:
            self._slow = False
            self._session.listener.on_health(self._session, None)

    def _time_it(self) -> None:
        later = asyncio.get_running_loop().call_later
        self._timer = later(self._session.pace.slow_after, self._late, anyio.current_time())

    def _late(self, since: float) -> None:
        """There is no answer yet. It still may come, but whoever looks at the server is told by now."""
        if _held_up(since, self._session.pace.slow_after):
            self._time_it()
        elif not self._session.asking:
            self._tell(self._session.pace.slow_after)

    def _silent(self) -> None:
        if self._silences and self._session.heard_since(self._silent_since):
            self._silences = 0
        if not self._silences:
            self._sent_before, self._silent_since = self._session.sent, self._session.clock()
        self._silences += 1
        within = self._session.pace.health_timeout
        if self._silences > 1 and not self._session.waits_for_first(self._sent_before):
            self._session.lose(Fault("silent", f"{_unanswered(within)}, twice"), cut=True)
        else:
            self._tell(within)

    def _tell(self, within: float) -> None:
        if not self._slow:
            self._slow = True
            self._session.listener.on_health(self._session, _unanswered(within))


def _unanswered(within: float) -> str:
    return f"no answer to a health check within {within:g} s"


def _held_up(asked: float, within: float) -> bool:
    """Whether it was we who had no time: then the answer may wait to be read."""
    return anyio.current_time() - asked >= 1.5 * within


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
