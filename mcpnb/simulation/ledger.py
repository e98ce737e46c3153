"""What is noted of each call while a simulation runs: one entry per call, in the order of their starts."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mcpnb.model import OUTCOMES, OutcomeKind
from mcpnb.routing.call import Call
from mcpnb.simulation.told import Told

NOBODY = -1
"""The server of a call that no server ended."""

_OUTCOME = {kind: index for index, kind in enumerate(OUTCOMES)}


class Ledger:
    """Columns that are filled as calls end. Plain arrays: NumPy's are slow to write one by one.

    Args:
        names: The servers; a call's server is noted as the index of its name.
        starts: When calls start, if that is known: then all rows are there from the beginning.
    """

    __slots__ = (
        "_index", "attempts", "hedges", "latencies", "outcomes", "queued", "servers", "starts", "told"
    )  # fmt: skip

    def __init__(self, names: Sequence[str], starts: NDArray[np.float64] | None) -> None:
        self._index = {name: index for index, name in enumerate(names)}
        known = np.zeros(0) if starts is None else starts
        nothing = bytes(8 * len(known))
        self.starts = array("d", known.astype(np.float64).tobytes())
        self.latencies, self.queued = array("d", nothing), array("d", nothing)
        self.attempts, self.hedges = array("q", nothing), array("q", nothing)
        self.servers = array("q", [NOBODY]) * len(known)
        self.outcomes = array("b", bytes(len(known)))
        self.told = Told()

    def begin(self, now: float) -> int:
        """A call starts of which nobody knew: its number."""
        self.starts.append(now)
        for column in (self.latencies, self.queued):
            column.append(0.0)
        for column in (self.attempts, self.hedges, self.outcomes):
            column.append(0)
        self.servers.append(NOBODY)
        return len(self.starts) - 1

    def end(self, call: Call, kind: OutcomeKind, now: float) -> None:
        """A call is over."""
        number = call.request.id
        self.latencies[number] = now - call.arrived
        self.outcomes[number] = _OUTCOME[kind]
        self.attempts[number] = sent = call.sent
        ended = call.ended
        if sent == 1:
            only = ended[0].attempt
            self.servers[number] = self._index[only.server]
            self.queued[number] = only.queued
            if only.queued:
                self.told.note(number, call.arrived, ended)
        elif sent:
            # Losers of a hedge are ended after the winner, so the last record need not be the answer.
            last = next((record for record in reversed(ended) if record.outcome == kind), ended[-1])
            self.servers[number] = self._index[last.attempt.server]
            self.hedges[number] = call.hedges
            self.queued[number] = sum(record.attempt.queued for record in ended)
            self.told.note(number, call.arrived, ended)
        else:  # shed at once, or too late while it waited
            self.queued[number] = now - call.arrived
