"""What is asked of the servers: when calls arrive, or how many callers wait for each other's answers.

Times are given, not drawn: whoever plans a workload also plans the live one, from the same seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from mcpnb.model import Priority


def _usual() -> Iterator[Priority]:
    return repeat("normal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Calls to simulate: either at given times, or by `callers` that each wait for their last answer."""

    tools: Iterator[str]
    """The tool of each call in turn; endless."""
    priorities: Iterator[Priority] = field(default_factory=_usual)
    """The priority of each call in turn; endless."""
    times: NDArray[np.float64] | None = None
    """Seconds from the start, ascending; None in a closed loop."""
    rate: float | None = None
    """Calls per second that `times` were drawn for, to compare with what the servers can do."""
    callers: int = 0
    requests: int | None = None
    """Closed loop: calls in all; None goes on for `seconds`."""
    seconds: float = float("inf")
    """Closed loop: no call starts after this time."""
    warmup: int = 0
    """The first calls, which are made but not counted."""
    timeout: float | None = None
    """Seconds for each call, retries included."""
