"""The lab: fleets that you can break on purpose, and the servers they are made of.

    fleet = mcpnb.lab.start("weather", replicas=3)
    fleet.crash("weather-2")

Names are imported when they are first used, because the servers' own processes need few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcpnb.lab.background import PLACES as PLACES
    from mcpnb.lab.background import Traffic as Traffic
    from mcpnb.lab.background import traffic as traffic
    from mcpnb.lab.company import Issuer as Issuer
    from mcpnb.lab.company import issuer as issuer
    from mcpnb.lab.directories import directory as directory
    from mcpnb.lab.exercises import Verdict as Verdict
    from mcpnb.lab.exercises import check as check
    from mcpnb.lab.exercises import material as material
    from mcpnb.lab.fleet import LabFleet as LabFleet
    from mcpnb.lab.fleet import start as start
    from mcpnb.lab.pictures import lives as lives
    from mcpnb.lab.pictures import side_by_side as side_by_side
    from mcpnb.lab.profile import Profile as Profile
    from mcpnb.lab.script import Script as Script
    from mcpnb.lab.stage import live as live

_HOMES = {
    "Issuer": "mcpnb.lab.company",
    "LabFleet": "mcpnb.lab.fleet",
    "PLACES": "mcpnb.lab.background",
    "Verdict": "mcpnb.lab.exercises",
    "check": "mcpnb.lab.exercises",
    "directory": "mcpnb.lab.directories",
    "issuer": "mcpnb.lab.company",
    "Profile": "mcpnb.lab.profile",
    "Script": "mcpnb.lab.script",
    "Traffic": "mcpnb.lab.background",
    "live": "mcpnb.lab.stage",
    "lives": "mcpnb.lab.pictures",
    "material": "mcpnb.lab.exercises",
    "side_by_side": "mcpnb.lab.pictures",
    "start": "mcpnb.lab.fleet",
    "traffic": "mcpnb.lab.background",
}

__all__ = [
    "PLACES",
    "Issuer",
    "LabFleet",
    "Profile",
    "Script",
    "Traffic",
    "Verdict",
    "check",
    "directory",
    "issuer",
    "live",
    "lives",
    "material",
    "side_by_side",
    "start",
    "traffic",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mcpnb.lab' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
