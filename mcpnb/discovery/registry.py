"""The MCP Registry: servers by name or search, as addresses to reach or commands to run.

It owns the API (v0.1, and v0 where that is all there is): pages, versions, what is deprecated. Nothing that
it lists is run before somebody has said yes to the exact command; where nobody can be asked, nothing is.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar
from urllib.parse import quote

from mcpnb.config import MASK, ServerConfig, redact
from mcpnb.errors import ConfigError, DiscoveryError
from mcpnb.versions import specifier

from .asking import Answer, Approve, Person, Proposal, printable
from .backend import Backend, Surroundings
from .changes import Sighting, Trouble, reason
from .commands import Prefer, command_of, remote_of, ways
from .damping import Damping
from .inputs import Inputs
from .server_json import EXACT, Entry, Page, chosen, page_of
from .web import Address, Web

__all__ = ["Registry"]

_PER_PAGE = 100
_MAX_PAGES = 100
_NAMED = 8
"""Names that an error lists."""
_READ = 4000
"""Characters of a command: of a longer one nobody reads the end before he agrees."""
_NOTED = 300
"""Characters of its publisher's words that stand beside a command, and must not push it out of sight."""


class Registry(Backend):
    """Servers of an MCP Registry.

    Args:
        url: Of the registry; `/v0.1` or `/v0` at its end fixes the API's version.
        names: The servers, as the registry calls them (`io.github.user/weather`).
        search: Or all whose names contain this.
        version: `latest`, an exact version, or a specifier (`>=1.2,<2`: the newest that fits).
        prefer: `remote` reaches it where it is, if it is anywhere; `package` runs it here, if it can.
        values: Values of variables, arguments, headers and environment variables, by their names.
        approve: Says yes (True) or no to a `Proposal`. By default the person in front of the notebook or the
            terminal is asked; without either nothing is run.
        ask: Answers a question for a value; by default as `approve`.
        limit: A search that finds more is an error: each server is somebody's program.
        refresh: Seconds after which it is asked again; None asks once.
        has: Whether a launcher is installed, by its name; by default whether it is on the path.
        damping: See `Backend`.
        config: See `Backend`.

    Raises:
        ConfigError: The URL is none, or neither names nor a search are given.
    """

    kind: ClassVar[str] = "registry"

    def __init__(
        self,
        url: str,
        *,
        names: Sequence[str] = (),
        search: str | None = None,
        version: str = "latest",
        prefer: Prefer = "remote",
        values: Mapping[str, object] | None = None,
        approve: Approve | None = None,
        ask: Answer | None = None,
        limit: int = 20,
        refresh: float | None = None,
        has: Callable[[str], bool] | None = None,
        damping: Damping | None = None,
        **config: object,
    ) -> None:
        super().__init__(damping=damping, config=config)
        if isinstance(names, str):
            names = [names]
        if not names and not search:
            fix = 'Write names=["io.github.user/weather"], or search="weather".'
            raise ConfigError("registry: it is not said which servers.", key="names", fix=fix)
        _check_version(version)
        fixed = re.search(r"/(v0(?:\.\d+)?)/?$", url)
        self._where = Address(url[: fixed.start()] if fixed else url, self.kind)
        self._api = fixed[1] if fixed else None
        self._names, self._search, self._version = tuple(names), search, version
        self._prefer: Prefer = prefer
        self._values, self._limit = dict(values or {}), limit
        self._person, self._refresh = Person(approve, ask), refresh
        self._has = has or _is_installed
        self._answers: dict[str, dict[str, str]] = {}
        self._decided: dict[ServerConfig, bool] = {}
        """Commands that somebody said yes or no to, so that a refresh asks about new ones only."""

    @property
    def address(self) -> str:
        """The registry's URL, and what is looked for."""
        what = ", ".join(self._names) or f"search {self._search!r}"
        return f"{self._where.shown} ({what})"

    async def sightings(self, around: Surroundings) -> AsyncGenerator[Sighting | Trouble]:
        """The servers that can be used and that somebody agreed to."""
        first = True
        while True:
            async with Web.open(self._where) as web:
                entries, missing = await self._entries(web)
            sighting = await self._sighting(entries, missing, self._person.or_else(around.person))
            if first and not sighting.servers:
                raise self._nothing(sighting.problems)
            first = False
            yield sighting
            if self._refresh is None:
                return
            await around.sleep(self._refresh)

    def _nothing(self, problems: Mapping[str, str]) -> DiscoveryError:
        why = "".join(f"\n  {printable(name)}: {why}" for name, why in problems.items())
        return self.failed(f"no server of it can be used.{why}", lasting=True)

    # -- what the registry has

    async def _entries(self, web: Web) -> tuple[list[Entry], dict[str, str]]:
        """The entries that are meant, and names that there are not."""
        api = await self._spoken(web)
        found: list[Entry] = []
        missing: dict[str, str] = {}
        for name in self._names:
            entries = chosen(await self._versions(web, api, name), self._version)
            found += entries
            if not entries:
                which = "" if self._version == "latest" else f" with version {self._version}"
                missing[name] = f"there is no such server{which} in this registry"
        if self._search:
            found += await self._searched(web, api, self._search)
        return found, missing

    async def _spoken(self, web: Web) -> str:
        """The newest version of the API that the registry has."""
        if self._api is None:
            probe = await web.request("GET", "/v0.1/servers", params={"limit": "1"}, accept=(404,))
            self._api = "v0" if probe.status == 404 else "v0.1"
        return self._api

    async def _versions(self, web: Web, api: str, name: str) -> list[Entry]:
        """All versions of a server, or the one that is asked for; none where it is unknown."""
        exact = EXACT.fullmatch(self._version)
        path = f"/{api}/servers/{quote(name, safe='')}/versions"
        path += f"/{quote(self._version, safe='')}" if exact else ""
        answer = await web.request("GET", path, accept=(404,))
        if answer.status != 404:
            return list(self._page(answer.value).entries)
        # The first v0 knew servers by an id only; what it lists under a name is found by searching.
        return [entry for entry in await self._pages(web, api, {"search": name}) if entry.name == name]

    async def _searched(self, web: Web, api: str, text: str) -> list[Entry]:
        latest = {"version": "latest"} if self._version == "latest" else {}
        found = chosen(await self._pages(web, api, {"search": text, **latest}), self._version)
        if not found:
            raise self.failed(f"no server's name contains {text!r}.", lasting=True)
        if len(found) > self._limit:
            names = ", ".join(printable(entry.name) for entry in found[:_NAMED])
            problem = (
                f"{len(found)} servers' names contain {text!r}, more than limit={self._limit}: {names}, ..."
            )
            raise self.failed(problem, fix="Choose: names=[...].", lasting=True)
        return found

    async def _pages(self, web: Web, api: str, params: Mapping[str, str]) -> list[Entry]:
        entries: list[Entry] = []
        asked = {**params, "limit": str(_PER_PAGE)}
        for _ in range(_MAX_PAGES):
            page = self._page((await web.request("GET", f"/{api}/servers", params=asked)).value)
            entries += page.entries
            if page.cursor is None or page.cursor == asked.get("cursor"):
                return entries
            asked["cursor"] = page.cursor
        raise self.failed(f"lists more than {_MAX_PAGES} pages.", fix="Search for more.", lasting=True)

    def _page(self, value: object) -> Page:
        try:
            return page_of(value)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self.failed("does not answer as an MCP Registry does.", lasting=True) from None

    # -- what may be used

    async def _sighting(
        self, entries: Sequence[Entry], missing: Mapping[str, str], person: Person
    ) -> Sighting:
        servers: dict[str, ServerConfig] = {}
        problems = dict(missing)
        for entry in entries:
            try:
                servers[entry.name] = await self._server(entry, person)
            except ConfigError as error:
                problems[entry.name] = printable(reason(error))
            else:
                if note := _note(entry):
                    problems[entry.name] = note
        return Sighting(servers, problems)

    async def _server(self, entry: Entry, person: Person) -> ServerConfig:
        """The best way to a server that somebody agrees to.

        Raises:
            ConfigError: There is none, and why.
        """
        if entry.status == "deleted":
            raise ConfigError(f"was taken out of the registry{_because(entry)}.")
        good, bad = ways(entry, self._prefer, self._has)
        if not good:
            raise ConfigError("; ".join(bad) + ".")
        way = good[0]
        answers = self._answers.setdefault(entry.name, {})
        inputs = Inputs(entry.name, self._values, person.answers, answers)
        if way.kind == "remote":
            return self._sourced(entry, await remote_of(entry, way, inputs))
        config = self._sourced(entry, await command_of(entry, way, inputs))
        await self._agreed(entry, config, person)
        return config

    def _sourced(self, entry: Entry, config: ServerConfig) -> ServerConfig:
        return replace(config, source=f"{self._where.shown} {entry.name} {entry.version}")

    async def _agreed(self, entry: Entry, config: ServerConfig, person: Person) -> None:
        """Nothing, once somebody has said yes to this command.

        Raises:
            ConfigError: Somebody said no, or nobody could be asked.
        """
        proposal = self._proposal(entry, config)
        if person.approve is None:
            fix = f"It would be: {proposal.command} - pass approve=..., which is asked for each command."
            raise ConfigError("is not run: nobody was there to agree to its command.", fix=fix)
        if (length := len(str(proposal))) > _READ:
            fix = "Read it in the registry, and write it into a file if you trust it."
            raise ConfigError(
                f"is not run: its command is too long to agree to ({length} characters).", fix=fix
            )
        if config not in self._decided:
            self._decided[config] = await person.approves(proposal)
        if not self._decided[config]:
            raise ConfigError(f"is not run: {proposal.command} was declined.")

    def _proposal(self, entry: Entry, config: ServerConfig) -> Proposal:
        words = (config.command or "", *config.args)
        return Proposal(
            server=entry.name,
            version=entry.version,
            origin=f"The registry at {self._where.shown}",
            command=" ".join(_shown(word, config.hidden) for word in words),
            environment=tuple(f"{name}={_shown(value, config.hidden)}" for name, value in config.env.items()),
            note=_note(entry),
        )


def _check_version(version: str) -> None:
    try:
        _ = version == "latest" or EXACT.fullmatch(version) or specifier(version)
    except ValueError as error:
        fix = 'Write "latest", "1.2.0" or ">=1.2,<2".'
        raise ConfigError(f"registry: {error}.", key="version", fix=fix) from None


def _shown(word: str, hidden: frozenset[str]) -> str:
    """A word as a shell would take it. Secrets go first: what is quoted may not be found any more."""
    told = redact(word, hidden)
    return told if told == MASK else printable(shlex.quote(told))


def _is_installed(launcher: str) -> bool:
    return shutil.which(cmd=launcher) is not None


def _note(entry: Entry) -> str:
    return f"is deprecated{_because(entry)}" if entry.status == "deprecated" else ""


def _because(entry: Entry) -> str:
    said = entry.message if len(entry.message) <= _NOTED else f"{entry.message[:_NOTED]}..."
    return printable(f": {said}") if said else ""
