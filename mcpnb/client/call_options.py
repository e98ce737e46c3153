"""What a user may say about a call, checked where it is said: a wrong option must not wait for the call."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar, cast

from mcpnb.aggregation import check_method
from mcpnb.errors import suggest
from mcpnb.model import PRIORITIES, CallOptions
from mcpnb.routing.strategies import spec
from mcpnb.versions import specifier

_KNOWN = tuple(field.name for field in fields(CallOptions))

Method = TypeVar("Method", bound=Callable[..., object])


def showing_options(method: Method) -> Method:
    """Let Shift-Tab and completion show the call options that a method takes as `**changes`."""
    own = inspect.signature(method)
    options = [
        inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type
        )
        for each in fields(CallOptions)
    ]
    vars(method)["__signature__"] = own.replace(parameters=[own.parameters["self"], *options])
    return method


def changed(options: CallOptions, changes: dict[str, Any]) -> CallOptions:
    """The options with some of them changed.

    Raises:
        TypeError: An unknown option, or a value of another kind.
        ValueError: A value that is none for its option.
        StrategyError: An unknown strategy.
    """
    for name in changes:
        if name not in _KNOWN:
            near = ", ".join(suggest(name, _KNOWN)) or ", ".join(_KNOWN)
            raise TypeError(f"there is no call option {name!r}; did you mean: {near}?")
    if "tags" in changes:
        changes["tags"] = _tags(changes["tags"])
    changes |= _fusion(changes)
    _check(changes)
    made = replace(options, **changes)
    if made.strict and made.region is None:
        raise ValueError("strict=True keeps a call in its region: say which with region=")
    return made


def _fusion(changes: Mapping[str, Any]) -> dict[str, Any]:
    """`fuse` and `method`, which are two names of one option."""
    given = [changes[name] for name in ("fuse", "method") if name in changes]
    if len(given) == 2 and given[0] != given[1]:
        raise ValueError("fuse= and method= are two names of one option: give one of them")
    return {"fuse": given[0], "method": given[0]} if given else {}


def _check(changes: dict[str, Any]) -> None:
    _check_kinds(changes)
    if changes.get("strategy") is not None:
        changes["strategy"] = _strategy(changes["strategy"])
    if changes.get("priority", "normal") not in PRIORITIES:
        raise ValueError(f"priority must be one of {', '.join(PRIORITIES)}, not {changes['priority']!r}")
    if changes.get("version") is not None:
        specifier(str(changes["version"]))
    for name in ("timeout", "hedge"):
        _seconds(name, changes.get(name))
    check_method(changes.get("method"))
    _whole("quorum", changes.get("quorum"), 1)
    _whole("retries", changes.get("retries"), 0)


def _check_kinds(changes: dict[str, Any]) -> None:
    for name in ("server", "affinity", "region", "version"):
        if not isinstance(changes.get(name), str | None):
            raise TypeError(f"{name} must be text, not {changes[name]!r}")
    for name in ("strict", "raise_on_error"):
        if not isinstance(changes.get(name, False), bool):
            raise TypeError(f"{name} must be True or False, not {changes[name]!r}")
    if not isinstance(changes.get("idempotent"), bool | None):
        raise TypeError(f"idempotent must be True, False or None, not {changes['idempotent']!r}")
    progress = changes.get("on_progress")
    if progress is not None and not callable(progress):
        raise TypeError(f"on_progress must be callable, not {progress!r}")


def _strategy(given: Any) -> Any:
    """A strategy as requests have it: by name, or the object itself; both can be looked up by."""
    chosen = spec(given)
    return given if isinstance(given, str) else chosen.prototype or str(chosen)


def _tags(given: str | Collection[str] | None) -> frozenset[str]:
    tags = frozenset({given}) if isinstance(given, str) else frozenset(given or ())
    if not all(isinstance(tag, str) for tag in tags):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"tags must be texts, not {given!r}")
    return tags


def check_timeout(name: str, seconds: object, *, may_be_none: bool) -> None:
    """Nothing, when this is a length of time that a call or a connection can be given.

    Raises:
        ValueError: It is none.
    """
    if seconds is None and may_be_none:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise ValueError(f"{name} must be seconds above 0, not {seconds!r}")


def _whole(name: str, given: object, least: int) -> None:
    if given is None:
        return
    if isinstance(given, bool) or not isinstance(given, int) or given < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {given!r}")


def _seconds(name: str, given: object) -> None:
    if given is None or isinstance(given, bool):
        return
    if not isinstance(given, int | float) or not 0 <= cast("float", given) < math.inf:
        raise ValueError(f"{name} must be seconds of at least 0, not {given!r}")
