"""Which parts of a source are discovery, and what is left for the configuration to read.

It owns the forms in which backends may stand among other sources. It asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from .backend import Backend

__all__ = ["Found", "divided"]


@dataclass(frozen=True, slots=True)
class Found:
    """A backend in a source."""

    backend: Backend
    prefix: str | None = None
    """The key under which it stood in a dict; put before its servers' names with a dot."""

    def name(self, server: str) -> str:
        """What one of its servers should be called in the fleet."""
        return server if self.prefix is None else f"{self.prefix}.{server}"


def divided(source: Any) -> tuple[Any, list[Found]]:
    """What a source has besides backends, and the backends in it.

    A source without a backend comes back as it is.
    """
    found: list[Found] = []
    rest = _rest(source, None, found)
    return (source, []) if not found else ({} if rest is _NOTHING else rest, found)


_NOTHING: Any = object()


def _rest(source: Any, prefix: str | None, found: list[Found]) -> Any:
    """The source without backends, which are put into `found`; `_NOTHING` where that leaves nothing."""
    if isinstance(source, Backend):
        found.append(Found(source, prefix))
        return _NOTHING
    if isinstance(source, list | tuple):
        items = [_rest(item, prefix, found) for item in cast("list[Any]", source)]
        return _kept([item for item in items if item is not _NOTHING], items)
    if isinstance(source, Mapping) and _holds(list(cast("Mapping[str, Any]", source).values())):
        table = cast("Mapping[str, Any]", source)
        values = {key: _rest(value, _joined(prefix, key), found) for key, value in table.items()}
        return _kept({key: value for key, value in values.items() if value is not _NOTHING}, values)
    return cast("Any", source)


def _holds(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds(item) for item in cast("list[Any]", value))
    return isinstance(value, Backend)


def _joined(prefix: str | None, key: str) -> str:
    return key if prefix is None else f"{prefix}.{key}"


def _kept(rest: Any, before: Any) -> Any:
    """An empty list is no source, unless it was one before."""
    return _NOTHING if before and not rest else rest
