"""Routing strategies, one file each, registered by name with typed parameters."""

from mcpnb.routing.strategies.base import Parameter, Strategy
from mcpnb.routing.strategies.registry import (
    Registered,
    StrategySpec,
    available,
    parameters_of,
    register,
    spec,
)

__all__ = [
    "Parameter",
    "Registered",
    "Strategy",
    "StrategySpec",
    "available",
    "parameters_of",
    "register",
    "spec",
]
