"""Whether arguments fit a tool's schema, found out before anything is sent.

A schema that cannot be used never breaks a call: its check is left to the server, and one event says so.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcpnb.catalog.entry import UNREADABLE, ToolEntry
from mcpnb.schema.quick import Accept, quick

if TYPE_CHECKING:
    from mcpnb.catalog.validator import Checked

# Compiled schemas that are kept; a server that changes its tools for ever must not fill the memory.
_MAX_KEPT = 4_096

# Arguments with more parts than this may rightly take long to check.
_MANY_PARTS = 1_000


def preload() -> None:
    """Import the validator now, in a thread, so that the first wrong argument need not wait for it."""
    importlib.import_module("mcpnb.catalog.validator")


@dataclass(slots=True)
class _Schema:
    """What is known of one schema."""

    accept: Accept | None
    full: Checked | None = None
    never: bool = False
    """It cannot be checked here, whatever the arguments."""
    reported: bool = False


class Checker:
    """Checks arguments against schemas that it compiles once each.

    Args:
        report: Told once per schema that it cannot be (wholly) checked, and why.
    """

    def __init__(self, report: Callable[[ToolEntry, str], None]) -> None:
        self._report = report
        self._schemas: dict[str, _Schema] = {}

    def check(self, entry: ToolEntry, arguments: Mapping[str, object]) -> None:
        """Nothing, when the arguments fit or the schema cannot be used.

        Raises:
            ArgumentError: Names the field and says what is wrong with it.
        """
        schema = self._schemas.get(entry.fingerprint) or self._learn(entry)
        if schema.never or (schema.accept and schema.accept(arguments)):
            return
        self._check_fully(schema, entry, arguments if isinstance(arguments, dict) else dict(arguments))

    def _learn(self, entry: ToolEntry) -> _Schema:
        if len(self._schemas) >= _MAX_KEPT:
            self._schemas.clear()
        schema = self._schemas[entry.fingerprint] = _Schema(accept=None)
        if entry.fingerprint.startswith(UNREADABLE):
            self._give_up(schema, entry, "its schema is not JSON")
        else:
            schema.accept = quick(entry.input_schema)
        return schema

    def _check_fully(self, schema: _Schema, entry: ToolEntry, arguments: dict[str, object]) -> None:
        from mcpnb.catalog.validator import Checked, TooLong, Unusable  # noqa: PLC0415 - see preload
        from mcpnb.catalog.words import argument_error  # noqa: PLC0415 - needed by wrong arguments only

        try:
            if schema.full is None:
                schema.full = Checked(entry.input_schema)
        except Unusable as problem:
            self._give_up(schema, entry, f"of its schema: {problem}")
            return
        try:
            errors = schema.full.errors(arguments)
        except Unusable as problem:
            self._tell(schema, entry, f"of its schema: {problem}")
            return
        except TooLong:
            self._too_long(schema, entry, arguments)
            return
        if schema.full.skipped:
            self._tell(schema, entry, "some patterns of its schema cannot be run here")
        if errors:
            raise argument_error(entry.name, errors)

    def _too_long(self, schema: _Schema, entry: ToolEntry, arguments: object) -> None:
        if _parts(arguments, _MANY_PARTS) < _MANY_PARTS:
            self._give_up(schema, entry, "its schema takes too long to check")
        else:
            self._tell(schema, entry, "so many of them take too long to check")

    def _give_up(self, schema: _Schema, entry: ToolEntry, why: str) -> None:
        schema.never = True
        self._tell(schema, entry, why)

    def _tell(self, schema: _Schema, entry: ToolEntry, why: str) -> None:
        if not schema.reported:
            schema.reported = True
            self._report(entry, why)


def _parts(value: object, limit: int) -> int:
    """How many values are in a value, itself included, counted up to a limit."""
    pending, count = [value], 0
    while pending and count < limit:
        count += 1
        part = pending.pop()
        if isinstance(part, dict):
            pending.extend(part.values())  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        elif isinstance(part, (list, tuple)):
            pending.extend(part)  # pyright: ignore[reportUnknownArgumentType]
    return count
