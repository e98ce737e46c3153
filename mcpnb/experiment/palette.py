"""One accent per strategy, the same in every picture and table.

It owns colours and number formats. The accents are told apart by the common kinds of colour blindness and
have a contrast of at least 4.5 on white; well-known strategies keep theirs whatever they are compared with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

ACCENTS: tuple[str, ...] = (
    "#0860d6", "#b45309", "#0f766e", "#7c3aed", "#be185d", "#475569",
    "#4d7c0f", "#9f1239", "#0369a1", "#854d0e",
)  # fmt: skip
"""Blue, brown, green, purple, magenta, grey-blue; then darker cousins for crowded comparisons."""

FAMILIAR: dict[str, str] = {
    "p2c": "#0860d6",
    "round_robin": "#b45309",
    "peak_ewma": "#0f766e",
    "random": "#7c3aed",
    "least_request": "#be185d",
    "latency": "#475569",
}

THIN = "\u202f"  # a narrow space that does not break, between thousands
DASH, TIMES = "\u2013", "\u00d7"


def accents(strategies: Sequence[str]) -> dict[str, str]:
    """Strategy → colour. Familiar names keep theirs; the others take what is left, in order."""
    chosen = {name: FAMILIAR[name] for name in strategies if name in FAMILIAR}
    left = [colour for colour in ACCENTS if colour not in chosen.values()]
    others = [name for name in strategies if name not in chosen]
    for k, name in enumerate(others):
        chosen[name] = left[k % len(left)] if left else ACCENTS[k % len(ACCENTS)]
    return chosen


def number(value: float) -> str:
    """Three figures that matter: 0.42, 4.21, 42.1, 421, 4 213; a dash for nan."""
    if not math.isfinite(value):
        return DASH
    size = abs(value)
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{value:,.{decimals}f}".replace(",", THIN)


def whole(n: int) -> str:
    """A count: 421, 4 213."""
    return f"{n:,}".replace(",", THIN)


def percent(share: float) -> str:
    """A share as per cent, with a decimal where it matters."""
    return f"{share * 100:.0f} %" if share == 0 or share >= 0.1 else f"{share * 100:.1f} %"
