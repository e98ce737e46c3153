"""The registered strategies as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpnb.routing.strategies import available

if TYPE_CHECKING:
    import pandas as pd


def strategies() -> pd.DataFrame:
    """One row per routing strategy, by name, with those that others registered.

    Columns: `help` in one line; `aliases`; `looks_at`, what it compares, with the unit; `parameters`, a tuple
    of `Parameter` objects, which read as text and carry what a control needs: `name`, `default`, `minimum`,
    `maximum`, `unit`, `label` (name and unit), `whole` (no fractions) and `help`.
    """
    import pandas as pd  # noqa: PLC0415 - loaded when first needed

    known = available()
    rows = [
        {
            "help": entry.help,
            "aliases": ", ".join(entry.aliases),
            "looks_at": entry.looks_at,
            "parameters": entry.parameters,
        }
        for entry in known.values()
    ]
    return pd.DataFrame(rows, index=pd.Index(list(known), name="strategy"))
