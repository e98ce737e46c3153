"""What a strategy did wrong, said once: a third party's code may raise anything, and the call goes on."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from mcpnb.errors import StrategyError

if TYPE_CHECKING:
    from mcpnb.routing.node import Node
    from mcpnb.routing.strategies import Strategy


class Complaints:
    """Warns of each strategy that misbehaves, by name and no more than once."""

    def __init__(self) -> None:
        self._named: set[str] = set()

    def of(self, strategy: Strategy, problem: str) -> None:
        """Say what is wrong with a strategy."""
        self.name(strategy.name or type(strategy).__name__, problem)

    def name(self, name: str, problem: str) -> None:
        """Say what is wrong with the strategy of that name."""
        if name not in self._named:
            self._named.add(name)
            warnings.warn(str(StrategyError(name, problem)), RuntimeWarning, stacklevel=3)

    def tell(self, strategy: Strategy, hook: Callable[[Node, float], None], node: Node, now: float) -> None:
        """Tell a strategy of a server; what it raises is its own affair."""
        try:
            hook(node, now)
        except Exception as problem:  # noqa: BLE001 - see above
            self.of(strategy, f"`{hook.__name__}` raised {type(problem).__name__}: {problem}")
