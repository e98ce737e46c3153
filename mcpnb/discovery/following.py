"""Backends that are followed: what they list is in the fleet, and what they no longer list is not.

It owns the life of that: a task for each backend, damping, names. A backend that goes away changes nothing.
How servers join and leave it leaves to `reconciling`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mcpnb.config import ServerConfig
from mcpnb.errors import ConfigError, DiscoveryError, McpnbError

from .asking import Person
from .backend import Surroundings, reports
from .changes import Added, BackendState, BackendStatus, Change, Changed, Sighting, Trouble, reason, said
from .damping import Damper
from .naming import Names
from .reconciling import Members, Reconciling, Tell
from .sources import Found

__all__ = ["Following"]


class _Followed:
    """One backend, and what is known of it."""

    def __init__(self, number: int, found: Found) -> None:
        self.number, self.found, self.backend = number, found, found.backend
        self.damper = Damper(found.backend.damping)
        self.names: dict[str, str] = {}
        """Key in the backend → name in the fleet."""
        self.state: BackendState = "starting"
        self.problems: Mapping[str, str] = {}
        self.held: tuple[str, ...] = ()
        self.error: str | None = None
        self.changed_at: float | None = None
        self.heard = asyncio.Event()
        self.refused: DiscoveryError | ConfigError | None = None
        """Why it could not be used, when that is all it ever said."""

    def status(self) -> BackendStatus:
        return BackendStatus(
            backend=self.backend.kind, address=self.backend.address, state=self.state,
            servers=len(self.damper.shown), held=self.held, problems=self.problems,
            changed_at=self.changed_at, last_error=self.error,
        )  # fmt: skip


class Following:
    """The backends of one fleet.

    Args:
        found: Which, each with its place in the source.
        members: Where their servers join.
        tell: Told of what happens.
        defaults: Config keys of the fleet, for what neither server nor backend says.
        around: Time, chance and people.
    """

    def __init__(
        self, found: Sequence[Found], *, members: Members, tell: Tell, defaults: Mapping[str, object],
        around: Surroundings | None = None,
    ) -> None:  # fmt: skip
        self._members, self._tell, self._defaults = members, tell, dict(defaults)
        self._around = around or Surroundings()
        self._names = Names()
        self._reconciling = Reconciling(members, tell)
        self._followed: list[_Followed] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._waking: dict[int, asyncio.Task[None]] = {}
        self._found = list(found)

    # -- its life

    def ask(self, person: Person) -> None:
        """Whoever answers questions for which a backend names nobody itself; before `start`."""
        self._around = replace(self._around, person=person.or_else(self._around.person))

    async def start(self, *, wait: bool, within: float) -> tuple[str, ...]:
        """Follow them all; with `wait`, until each has said something, within so many seconds.

        Returns:
            The servers that have begun to join.

        Raises:
            DiscoveryError, ConfigError: One cannot be used and waiting would not help; only with `wait`.
        """
        new = [self._follow(found) for found in self._found]
        self._found = []
        if wait and new:
            await self._heard(new, within)
        return await self._reconciling.begun()

    async def add(self, found: Found, *, within: float) -> tuple[str, ...]:
        """Follow one more. As `start`; where it cannot be used it is not followed."""
        one = self._follow(found)
        try:
            await self._heard([one], within)
        except McpnbError:
            self._followed.remove(one)
            raise
        return await self._reconciling.begun()

    async def close(self) -> None:
        """Follow nobody any more; the servers stay as they are. Idempotent."""
        tasks = [*self._tasks, *self._waking.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._reconciling.close()

    def _follow(self, found: Found) -> _Followed:
        one = _Followed(len(self._followed), found)
        self._followed.append(one)
        task = asyncio.create_task(self._run(one), name=f"mcpnb {one.backend.label}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return one

    async def _heard(self, new: Sequence[_Followed], within: float) -> None:
        while not await self._all_heard(new, within):
            if self._around.person.open.number:
                continue  # a person takes the time that it takes
            for one in new:
                if not one.heard.is_set():
                    self._away(one, f"no answer within {within:g} s yet")
            break
        for one in new:
            if one.refused is not None:
                raise one.refused

    async def _all_heard(self, new: Sequence[_Followed], within: float) -> bool:
        try:
            async with asyncio.timeout(within):
                await asyncio.gather(*(one.heard.wait() for one in new))
        except TimeoutError:
            return False
        return True

    # -- one backend

    async def _run(self, one: _Followed) -> None:
        try:
            async for report in reports(one.backend, self._around):
                if isinstance(report, Trouble):
                    if report.lasting and one.state == "starting":
                        one.refused = report.error
                    self._away(one, str(report))
                else:
                    self._seen(one, report)
                one.heard.set()
            one.state = "done"
        except Exception as error:  # noqa: BLE001 - a backend may be somebody else's; its mistake is heard of
            self._away(one, f"{type(error).__name__} inside of the backend; it is not followed any more")
            complaint = {"message": f"{one.backend.label} failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(complaint)
        finally:
            one.heard.set()

    def _away(self, one: _Followed, why: str) -> None:
        told, one.state, one.error = one.state == "away", "away", why.rstrip(".")
        if told:
            return
        known = len(one.damper.shown)
        kept = f"; the {known} server{'s' if known != 1 else ''} last known stay" if known else ""
        self._say(one, f"cannot be asked: {one.error}{kept}", state="away")

    def _seen(self, one: _Followed, sighting: Sighting) -> None:
        back = one.state == "away"
        one.state, one.error, one.refused = "watching", None, None
        if back:
            self._say(one, "can be asked again", state="watching")
        servers: dict[str, ServerConfig] = {}
        problems = dict(sighting.problems)
        for key, config in sighting.servers.items():
            try:
                servers[key] = one.backend.complete(config, self._defaults)
            except ConfigError as error:
                problems[key] = reason(error)
        self._problems(one, problems)
        self._carry_out(one, one.damper.see(servers, self._around.clock()))

    def _problems(self, one: _Followed, problems: Mapping[str, str]) -> None:
        for key, why in problems.items():
            if one.problems.get(key) != why:
                self._say(one, f"{key}: {why}")
        one.problems = dict(problems)

    def _carry_out(self, one: _Followed, changes: Iterable[Change]) -> None:
        if changes:
            one.changed_at = time.time()
        shown = one.damper.shown
        for key in [key for key in one.names if key not in shown]:
            self._reconciling.want(one.names.pop(key), None)
            self._names.release(one.number, key)
        for key, config in shown.items():
            wanted = one.found.name(config.name)
            others = _Others(self._members.names, self._reconciling)
            name = one.names[key] = self._names.claim(one.number, key, wanted, others)
            self._reconciling.want(name, replace(config, name=name))
        for change in changes:
            self._say_change(one, change)
        self._hold(one)

    def _say_change(self, one: _Followed, change: Change) -> None:
        if isinstance(change, Changed):
            self._say(one, f"{change.config.name}: {said(change.before, change.config)}")
        else:
            self._say(one, f"{change.config.name} {'found' if isinstance(change, Added) else 'is gone'}")

    def _hold(self, one: _Followed) -> None:
        """Say who is held back, and look again when the first may be let in."""
        held = tuple(config.name for config in one.damper.held.values())
        for name in held:
            if name not in one.held:
                self._say(one, f"{name} comes and goes: it is kept out until it has been steady for a while")
        one.held = held
        waking = self._waking.pop(one.number, None)
        if waking is not None and waking is not asyncio.current_task():
            waking.cancel()
        if (at := one.damper.next_at) is not None:
            self._waking[one.number] = asyncio.create_task(self._wake(one, at))

    async def _wake(self, one: _Followed, at: float) -> None:
        await self._around.sleep(max(0.0, at - self._around.clock()))
        self._carry_out(one, one.damper.settle(self._around.clock()))

    def _say(self, one: _Followed, words: str, **data: object) -> None:
        self._tell(None, f"{one.backend.label}: {words}", {"backend": one.backend.label, **data})

    # -- what is shown

    @property
    def active(self) -> bool:
        """Whether there is any backend."""
        return bool(self._followed or self._found)

    def status(self) -> list[BackendStatus]:
        """One row per backend, in the order of the source."""
        waiting = [BackendStatus(f.backend.kind, f.backend.address, "starting", 0) for f in self._found]
        return [one.status() for one in list(self._followed)] + waiting

    def unconfirmed(self) -> dict[str, str]:
        """Servers whose backend cannot be asked now → which and why."""
        return {
            name: f"not confirmed: {one.backend.label} cannot be asked ({one.error})"
            for one in list(self._followed)
            if one.state == "away"
            for name in one.names.values()
        }


@dataclass(frozen=True, slots=True)
class _Others:
    """Names that somebody has already. A server of ours that is just leaving may come back to its own."""

    members: Container[object]
    ours: Reconciling

    def __contains__(self, name: object) -> bool:
        return name in self.ours.wanted or (name in self.members and name not in self.ours.there)
