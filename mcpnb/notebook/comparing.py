"""`mcpnb.compare` as a notebook has it: the experiment's own, whose comparisons also show a race.

It owns that one addition: which call of a comparison is shown under every strategy. What is compared, and
how, the experiment knows; the picture is `race`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from mcpnb.experiment import compare, report
from mcpnb.experiment.rows import AttemptRow
from mcpnb.model import AttemptRecord, Explanation
from mcpnb.notebook.markup import count, style
from mcpnb.notebook.race import strip

if TYPE_CHECKING:
    import pandas as pd

    from mcpnb.experiment import Comparison

__all__ = ["compare", "comparison_html", "typical_call"]

_ABOUT: Final = math.log(1.5)
"""How far a call may be from everybody's p95, on average, for being more telling."""


def comparison_html(c: Comparison) -> str:
    """One call of a comparison under every strategy; empty where no call was made under all of them."""
    number = typical_call(c)
    if number is None:
        return ""
    title = f"Race: call {count(number)} under every strategy, about as slow as one call of 20 is"
    drawn = strip(_explanations(c, number), title=title)
    return f'{style()}<div class="mcpnb mcpnb-races"><h4 class="mcpnb-sub">{title}</h4>{drawn}</div>'


def typical_call(c: Comparison) -> int | None:
    """The number of the call that is nearest to every strategy's p95; None when none is under all of them.

    It is the same call for all: it was meant to start at the same time. Of those that are near, one that
    some strategy sent more than once, or that waited for a server, tells more. Warm-ups do not count.
    """
    import numpy as np  # noqa: PLC0415 - the frame's own room is loaded when there is a comparison
    import pandas as pd  # noqa: PLC0415 - as above

    first = _first_repeat(c, c.counted)
    wide = first.pivot_table(
        index="i", columns="strategy", values="latency_ms", aggfunc="first", observed=True
    ).dropna()
    targets = pd.Series({s: c.points[s]["p95"] for s in c.strategies})
    known = [s for s in c.strategies if targets[s] > 0]
    if wide.empty or len(wide.columns) < len(c.strategies) or not known:
        return None
    off = np.abs(np.log(wide[known].clip(lower=1e-6) / targets[known])).mean(axis=1)
    told = _first_repeat(c, c.attempts)["i"]
    for choice in (_whole(c, first, off[off.index.isin(told) & (off <= _ABOUT)]), _whole(c, first, off), off):
        if len(choice):
            return int(choice.idxmin())  # pyright: ignore[reportArgumentType]
    return None


def _whole(c: Comparison, first: pd.DataFrame, off: pd.Series) -> pd.Series:
    """The calls of which every attempt under every strategy is known."""
    told = _first_repeat(c, c.attempts)[["strategy", "i"]].drop_duplicates()
    more = first.loc[first["attempts"] > 1, ["strategy", "i"]]
    unknown = more.astype({"strategy": str}).merge(told.astype({"strategy": str}), how="left", indicator=True)
    return off[~off.index.isin(unknown.loc[unknown["_merge"] == "left_only", "i"])]


def _first_repeat(c: Comparison, frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["repeat"] == c.counted["repeat"].min()]


def _explanations(c: Comparison, number: int) -> dict[str, Explanation]:
    """How each strategy treated that call."""
    calls, attempts = (_first_repeat(c, frame) for frame in (c.counted, c.attempts))
    calls, attempts = calls[calls["i"] == number], attempts[attempts["i"] == number]
    found: dict[str, Explanation] = {}
    for strategy in c.strategies:
        row = calls[calls["strategy"] == strategy].iloc[0].to_dict()
        told = attempts[attempts["strategy"] == strategy].to_dict("records")
        records = _told(told, row) if told else _untold(row)
        label = strategy if told or row["attempts"] <= 1 else f"{strategy} · {row['attempts']} attempts"
        servers = dict.fromkeys(record.attempt.server for record in records)
        found[label] = Explanation(str(row["tool"]), tuple(servers), attempts=records)
    return found


def _told(rows: Iterable[Mapping[Any, Any]], call: Mapping[Any, Any]) -> tuple[AttemptRecord, ...]:
    """The attempts from when the call was meant to start: the client itself may have been late."""
    late = float(call["started_lag_ms"])
    return tuple(AttemptRow(**{**row, "sent_ms": row["sent_ms"] + late}).record() for row in rows)


def _untold(call: Mapping[Any, Any]) -> tuple[AttemptRecord, ...]:
    """The call as its one attempt; none when nothing was sent."""
    if not isinstance(call["server"], str):
        return ()
    late, took = float(call["started_lag_ms"]), float(call["latency_ms"])
    row = AttemptRow(
        str(call["strategy"]), call["repeat"], call["i"], 1, call["server"], str(call["tool"]), "first",
        False, late, 0.0, max(took - late, 0.0), call["outcome"],
    )  # fmt: skip
    return (row.record(),)


if comparison_html not in report.PICTURES:
    report.PICTURES.append(comparison_html)
