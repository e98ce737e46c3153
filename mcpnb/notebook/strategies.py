"""The registered strategies as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpnb.routing.strategies import available

if TYPE_CHECKING:
    import pandas as pd


def strategies() -> pd.DataFrame:
    """One row per routing strategy: help, aliases, what it looks at, parameters with defaults and bounds."""
    import pandas as pd  # noqa: PLC0415 - loaded when first needed

    rows = [
        {
            "strategy": name,
            "help": strategy.help,
            "aliases": ", ".join(strategy.aliases),
            "looks_at": strategy.looks_at,
            "parameters": ", ".join(
                f"{p.name}={p.default:g} ({p.minimum:g} to {p.maximum:g}: {p.help})"
                for p in strategy.parameters
            ),
        }
        for name, strategy in available().items()
    ]
    return pd.DataFrame(rows).set_index("strategy")
