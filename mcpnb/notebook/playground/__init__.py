"""The playground: simulated servers, what happens to them, and the strategies that cope with it, live.

It owns a panel: what its controls say (`state`), the source of the same question (`code`), what is simulated
and when (`compute`), what that looks like (`figures`, `charts`, `picture`) and the widgets (`rows`, `view`,
`panel`). It knows no lab: whoever has real servers to offer hands in a `Live`.
"""

from __future__ import annotations

from mcpnb.notebook.playground.panel import Live, Playground, made
from mcpnb.notebook.playground.state import State

__all__ = ["Live", "Playground", "State", "made"]
