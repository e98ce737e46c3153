"""What a user decides about names that mean several things, and about tools that changed.

It owns the verbs, and the file from which choices and pins come and to which they go. What a choice means
is the catalog's business.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Self

from mcpnb.catalog import Catalog, Choices, Pins
from mcpnb.catalog.choices import kind_of
from mcpnb.client import saved
from mcpnb.client.saved import Saved
from mcpnb.errors import ConfigError
from mcpnb.metrics import EventLog
from mcpnb.model import Event

if TYPE_CHECKING:
    from mcpnb.client.membership import Membership

__all__ = ["ChoiceVerbs", "Choosing", "PathLike"]

PathLike = str | os.PathLike[str]


class Choosing:
    """The choices of one client, and where they are kept.

    Args:
        choices: A file that `save` wrote, or what was chosen. None, or a file that is not there yet: begin
            without.
        pin: A file of pins; made when it is not there. None pins only what `choices` has pins of.

    Raises:
        ConfigError: A file that is something else, or a folder that is not there.
    """

    def __init__(self, choices: PathLike | Choices | None, pin: PathLike | None) -> None:
        if isinstance(choices, Choices):
            stated, self._missing = Saved(choices, None), None
        else:
            stated = None if choices is None else saved.read(Path(choices).expanduser())
            self._missing = None if stated or choices is None else os.fspath(choices)
        self.choices = stated.choices if stated else Choices()
        self._file = None if pin is None else _in_folder(pin)
        pinned = stated and stated.pins
        if self._file is not None:
            kept = saved.read(self._file)
            pinned = {**(pinned or {}), **((kept and kept.pins) or {})}
        self.pins = None if pinned is None else Pins(pinned)
        self._written = -1  # the version of the pins that is in the file

    def serve(self, catalog: Catalog, members: Membership, events: EventLog) -> Self:
        """Carry out choices on these from now on."""
        self._catalog, self._members, self._events = catalog, members, events
        events.on("tools_changed", lambda _: self._keep_pins())
        if self._missing:
            detail = f"there is no {self._missing} yet: nothing was chosen before; save() makes it"
            events.append(Event(time.time(), "choices", None, detail))
        return self

    def adopt(self, choices: Choices) -> None:
        """Resolve by other choices from now on."""
        self._tell(self._catalog.adopt(choices, at=time.time()))

    def prefer(self, name: str, servers: tuple[str, ...], kind: str) -> None:
        """See `ChoiceVerbs.prefer`."""
        of = kind_of(kind)
        for server in servers:
            self._catalog.offered(of, name, self._members[server].name)
        self.adopt(self._catalog.choices.preferring(of, name, servers))

    def resolve(self, name: str, policy: str | None, kind: str) -> None:
        """See `ChoiceVerbs.resolve`."""
        if not isinstance(name, str) or not isinstance(policy, str | NoneType):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"a name and a policy are texts, not {name!r} and {policy!r}")
        self.adopt(self._catalog.choices.resolved(kind_of(kind), name, policy))

    def prioritise(self, server: str, priority: object) -> None:
        """See `ChoiceVerbs.prioritise`."""
        if isinstance(priority, bool) or not isinstance(priority, int | NoneType):
            raise ValueError(f"a priority is a whole number, not {priority!r}")  # noqa: TRY004 - as for options
        connection = self._members[server]
        self.adopt(self._catalog.choices.prioritising(server, priority))
        self._members.tell_routing(connection)

    def approve(self, tool: str) -> None:
        """See `ChoiceVerbs.approve`."""
        if self.pins is None:
            raise ConfigError("no tools are pinned.", key="pin", fix='Connect with pin="pins.json".')
        self._tell(self._catalog.approve(tool, at=time.time()))
        self._keep_pins()

    def save(self, path: PathLike) -> None:
        """See `ChoiceVerbs.save`."""
        file = _in_folder(path)
        known = None if self.pins is None else dict(self.pins.known)
        try:
            saved.write(file, Saved(self._catalog.choices, known))
        except OSError as error:
            raise ConfigError(f"cannot be written: {error.strerror or error}.", file=str(file)) from None

    def _keep_pins(self) -> None:
        """Write the pins, if there are new ones. What else is in the file stays there, others' pins too."""
        if self._file is None or self.pins is None or self._written == self.pins.version:
            return
        try:
            there = saved.read(self._file) or Saved(Choices(), None)
            saved.write(self._file, Saved(there.choices, {**(there.pins or {}), **self.pins.known}))
            self._written = self.pins.version
        except (OSError, ConfigError) as error:
            detail = f"pins could not be written, so a change may go unnoticed next time: {error}"
            self._events.append(Event(time.time(), "pin_failed", None, detail))

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            self._events.append(event)


class ChoiceVerbs:
    """The verbs of a client about names that mean several things. They take effect on running traffic."""

    _choosing: Choosing

    def prefer(self, name: str, *servers: str, kind: str = "tool") -> None:
        """Have a name mean what this server offers under it; of several the first that offers it.

        The name's policy is `user_preference` from then on. A preferred server that is down is not replaced
        by another that offers something else: its replicas answer, or the call says so. Without servers the
        preference is taken back.

        Args:
            name: A tool's or a prompt's name, a resource's URI or template.
            servers: By name, most wanted first.
            kind: `tool`, `resource` or `prompt`.

        Raises:
            ConfigError: There is no such server.
            ToolNotFound: The server does not offer it.
        """
        self._choosing.prefer(name, servers, kind)

    def resolve(self, name: str, policy: str | None, *, kind: str = "tool") -> None:
        """Have a policy choose what a name means that different servers offer.

        Args:
            name: As for `prefer`; `*`, or `default`, for every name without a policy of its own, of any kind.
            policy: One of `mcpnb.catalog.POLICIES`; None goes back to the default.
            kind: `tool`, `resource` or `prompt`.

        Raises:
            ValueError: There is no such policy; lists the known ones.
        """
        self._choosing.resolve(name, policy, kind)

    def prioritise(self, server: str, priority: int | None) -> None:
        """Give a server another priority, larger is preferred; None goes back to its config's.

        The policy `server_priority` and the strategies that go by priority look at it.

        Raises:
            ConfigError: There is no such server.
            ValueError: It is no whole number.
        """
        self._choosing.prioritise(server, priority)

    def approve(self, tool: str) -> None:
        """Take a tool that changed as it is now: `tool` at every server that offers it, or `server:tool`.

        Raises:
            ToolNotFound: Nobody offers it.
            ConfigError: The client was made without `pin=`.
        """
        self._choosing.approve(tool)

    def save(self, path: PathLike) -> None:
        """Write policies, preferences, priorities and pins into a file, to be read by `choices=`.

        Raises:
            ConfigError: It cannot be written.
        """
        self._choosing.save(path)


def _in_folder(path: PathLike) -> Path:
    """The path, if a file can stand there."""
    file = Path(path).expanduser()
    if not file.parent.is_dir():
        raise ConfigError("its folder is not there.", file=str(file), fix="Make it first.")
    if file.is_dir():
        raise ConfigError("is a folder.", file=str(file), fix="Name a file in it.")
    return file
