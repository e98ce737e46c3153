"""mcpnb: explore many MCP servers at once from a notebook.

    import mcpnb

    fleet = mcpnb.connect("mcp.json")
    fleet.call("weather.forecast", location="London").df

Names are imported when they are first used: `import mcpnb` itself loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcpnb import auth as auth
    from mcpnb import discovery as discovery
    from mcpnb import lab as lab
    from mcpnb.aggregation import forget_fusion as forget_fusion
    from mcpnb.aggregation import register_fusion as register_fusion
    from mcpnb.client import MultiServerClient as MultiServerClient
    from mcpnb.client.cache_policy import CachePolicy as CachePolicy
    from mcpnb.client.documents import Document as Document
    from mcpnb.config import OAuth as OAuth
    from mcpnb.connection import Elicitation as Elicitation
    from mcpnb.connection import Sampling as Sampling
    from mcpnb.errors import AmbiguousTool as AmbiguousTool
    from mcpnb.errors import ArgumentError as ArgumentError
    from mcpnb.errors import AuthError as AuthError
    from mcpnb.errors import CallTimeout as CallTimeout
    from mcpnb.errors import ConfigError as ConfigError
    from mcpnb.errors import ConnectError as ConnectError
    from mcpnb.errors import DiscoveryError as DiscoveryError
    from mcpnb.errors import McpnbError as McpnbError
    from mcpnb.errors import NoServerAvailable as NoServerAvailable
    from mcpnb.errors import NotRecorded as NotRecorded
    from mcpnb.errors import Overloaded as Overloaded
    from mcpnb.errors import RecordingError as RecordingError
    from mcpnb.errors import ServerDisconnected as ServerDisconnected
    from mcpnb.errors import StrategyError as StrategyError
    from mcpnb.errors import ToolChanged as ToolChanged
    from mcpnb.errors import ToolError as ToolError
    from mcpnb.errors import ToolNotFound as ToolNotFound
    from mcpnb.errors import print_traceback as tb  # pyright: ignore[reportUnusedImport]
    from mcpnb.experiment import Comparison as Comparison
    from mcpnb.experiment import Workload as Workload
    from mcpnb.experiment.recording import Recording as Recording
    from mcpnb.experiment.simulate import Run as Run
    from mcpnb.experiment.simulate import simulate as simulate
    from mcpnb.lab.playground import playground as playground
    from mcpnb.model import Explanation as Explanation
    from mcpnb.model import ToolRef as ToolRef
    from mcpnb.notebook.bulk import MapStopped as MapStopped
    from mcpnb.notebook.comparing import compare as compare
    from mcpnb.notebook.doctor import doctor as doctor
    from mcpnb.notebook.fleet import Fleet as Fleet
    from mcpnb.notebook.fleet import connect as connect
    from mcpnb.notebook.magics import load_ipython_extension as load_ipython_extension
    from mcpnb.notebook.magics import unload_ipython_extension as unload_ipython_extension
    from mcpnb.notebook.replaying import replay as replay
    from mcpnb.notebook.strategies import strategies as strategies
    from mcpnb.resilience.admission import QueuePolicy as QueuePolicy
    from mcpnb.resilience.breaker import BreakerPolicy as BreakerPolicy
    from mcpnb.resilience.hedge import HedgePolicy as HedgePolicy
    from mcpnb.resilience.outlier import OutlierPolicy as OutlierPolicy
    from mcpnb.resilience.retry import Backoff as Backoff
    from mcpnb.resilience.retry import RetryPolicy as RetryPolicy
    from mcpnb.resilience.settings import Resilience as Resilience
    from mcpnb.result import Aggregate as Aggregate
    from mcpnb.result import Result as Result
    from mcpnb.routing.strategies import Parameter as Parameter
    from mcpnb.routing.strategies import Strategy as Strategy
    from mcpnb.routing.strategies import register as register_strategy  # pyright: ignore[reportUnusedImport]
    from mcpnb.simulation import At as At
    from mcpnb.simulation import Scenario as Scenario
    from mcpnb.simulation import SimServer as SimServer
    from mcpnb.simulation import scenarios as scenarios
    from mcpnb.simulation import service as service

_HOMES = {
    "At": "mcpnb.simulation",
    "Run": "mcpnb.experiment.simulate",
    "Scenario": "mcpnb.simulation",
    "SimServer": "mcpnb.simulation",
    "simulate": "mcpnb.experiment.simulate",
    "Aggregate": "mcpnb.result",
    "Backoff": "mcpnb.resilience.retry",
    "BreakerPolicy": "mcpnb.resilience.breaker",
    "CachePolicy": "mcpnb.client.cache_policy",
    "HedgePolicy": "mcpnb.resilience.hedge",
    "OutlierPolicy": "mcpnb.resilience.outlier",
    "QueuePolicy": "mcpnb.resilience.admission",
    "Resilience": "mcpnb.resilience.settings",
    "RetryPolicy": "mcpnb.resilience.retry",
    "Comparison": "mcpnb.experiment",
    "Document": "mcpnb.client.documents",
    "OAuth": "mcpnb.config",
    "Elicitation": "mcpnb.connection",
    "Sampling": "mcpnb.connection",
    "Explanation": "mcpnb.model",
    "MapStopped": "mcpnb.notebook.bulk",
    "Fleet": "mcpnb.notebook.fleet",
    "MultiServerClient": "mcpnb.client",
    "Recording": "mcpnb.experiment.recording",
    "Result": "mcpnb.result",
    "Parameter": "mcpnb.routing.strategies",
    "Strategy": "mcpnb.routing.strategies",
    "ToolRef": "mcpnb.model",
    "Workload": "mcpnb.experiment",
    "compare": "mcpnb.notebook.comparing",
    "connect": "mcpnb.notebook.fleet",
    "doctor": "mcpnb.notebook.doctor",
    "forget_fusion": "mcpnb.aggregation",
    "register_fusion": "mcpnb.aggregation",
    "load_ipython_extension": "mcpnb.notebook.magics",
    "playground": "mcpnb.lab.playground",
    "replay": "mcpnb.notebook.replaying",
    "register_strategy": "mcpnb.routing.strategies:register",
    "strategies": "mcpnb.notebook.strategies",
    "tb": "mcpnb.errors:print_traceback",
    "unload_ipython_extension": "mcpnb.notebook.magics",
    **dict.fromkeys(
        (
            "AmbiguousTool",
            "ArgumentError",
            "AuthError",
            "CallTimeout",
            "ConfigError",
            "ConnectError",
            "DiscoveryError",
            "McpnbError",
            "NoServerAvailable",
            "NotRecorded",
            "Overloaded",
            "RecordingError",
            "ServerDisconnected",
            "StrategyError",
            "ToolChanged",
            "ToolError",
            "ToolNotFound",
        ),
        "mcpnb.errors",
    ),
}
"""Public name → where it lives (`module:name` when it is called otherwise there)."""

_MODULES = {
    "auth": "mcpnb.auth",
    "discovery": "mcpnb.discovery",
    "lab": "mcpnb.lab",
    "scenarios": "mcpnb.simulation.scenarios",
    "service": "mcpnb.simulation.service",
}
"""Public modules."""

__all__ = [
    "Aggregate",
    "AmbiguousTool",
    "ArgumentError",
    "At",
    "AuthError",
    "Backoff",
    "BreakerPolicy",
    "CachePolicy",
    "CallTimeout",
    "Comparison",
    "ConfigError",
    "ConnectError",
    "DiscoveryError",
    "Document",
    "Elicitation",
    "Explanation",
    "Fleet",
    "HedgePolicy",
    "MapStopped",
    "McpnbError",
    "MultiServerClient",
    "NoServerAvailable",
    "NotRecorded",
    "OAuth",
    "OutlierPolicy",
    "Overloaded",
    "Parameter",
    "QueuePolicy",
    "Recording",
    "RecordingError",
    "Resilience",
    "Result",
    "RetryPolicy",
    "Run",
    "Sampling",
    "Scenario",
    "ServerDisconnected",
    "SimServer",
    "Strategy",
    "StrategyError",
    "ToolChanged",
    "ToolError",
    "ToolNotFound",
    "ToolRef",
    "Workload",
    "auth",
    "compare",
    "connect",
    "discovery",
    "doctor",
    "forget_fusion",
    "lab",
    "load_ipython_extension",
    "playground",
    "register_fusion",
    "register_strategy",
    "replay",
    "scenarios",
    "service",
    "simulate",
    "strategies",
    "tb",
    "unload_ipython_extension",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'mcpnb' has no attribute {name!r}")
    module, _, other = home.partition(":")
    value = getattr(import_module(module), other or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
