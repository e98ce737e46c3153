"""Resilience as JSON, and back: what protected the calls when they were recorded protects them in a what-if.

It owns the form. Functions (a breaker's own judge) have none and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

from mcpnb.resilience.admission import QueuePolicy
from mcpnb.resilience.breaker import BreakerPolicy
from mcpnb.resilience.hedge import HedgePolicy
from mcpnb.resilience.outlier import OutlierPolicy
from mcpnb.resilience.retry import Backoff, RetryPolicy
from mcpnb.resilience.settings import Resilience

__all__ = ["dump_resilience", "load_resilience"]

_KINDS: Mapping[str, type[Any]] = {
    "breaker": BreakerPolicy,
    "retry": RetryPolicy,
    "hedge": HedgePolicy,
    "outlier": OutlierPolicy,
    "queue": QueuePolicy,
    "backoff": Backoff,
}


def dump_resilience(resilience: Resilience) -> dict[str, Any]:
    """Policy → its numbers; None for one that is off."""
    return {name: _dumped(getattr(resilience, name)) for name in (*_KINDS, "panic") if name != "backoff"}


def _dumped(value: Any) -> Any:
    if not is_dataclass(value):
        return value
    stated = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
    return {name: _dumped(item) for name, item in stated.items() if not callable(item)}


def load_resilience(stated: Mapping[str, Any]) -> Resilience:
    """The resilience again.

    Raises:
        ValueError, TypeError: It says something else.
    """
    return Resilience(**{name: _loaded(name, value) for name, value in stated.items()})


def _loaded(name: str, value: Any) -> Any:
    if name not in _KINDS or value is None:
        return value
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} is no object")
    stated = cast("Mapping[str, Any]", value)
    return _KINDS[name](**{key: _loaded(key, item) for key, item in stated.items()})
