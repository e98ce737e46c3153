"""The lab: fleets that you can break on purpose, and the servers they are made of.

    fleet = mcpnb.lab.start("weather", replicas=3)
    fleet.crash("weather-2")

Names are imported when they are first used, because the servers' own processes need few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcpnb.lab.background import Traffic as Traffic
    from mcpnb.lab.background import traffic as traffic
    from mcpnb.lab.fleet import LabFleet as LabFleet
    from mcpnb.lab.fleet import start as start
    from mcpnb.lab.profile import Profile as Profile

_HOMES = {
    "LabFleet": "mcpnb.lab.fleet",
    "Profile": "mcpnb.lab.profile",
    "Traffic": "mcpnb.lab.background",
    "start": "mcpnb.lab.fleet",
    "traffic": "mcpnb.lab.background",
}

__all__ = ["LabFleet", "Profile", "Traffic", "start", "traffic"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mcpnb.lab' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
