"""Experiments: one workload under several strategies, and what differs between them.

Public: `Workload`, `compare`, `Comparison`; `recording`, a room of its own, has `Recording` and `record`; for
targets other than a fleet also `LiveTarget`, `ExperimentView`, `Sample`, and `compare_async` for callers that
have a running loop.
"""

from __future__ import annotations

from mcpnb.experiment.compare import compare, compare_async
from mcpnb.experiment.comparison import Comparison, Mark
from mcpnb.experiment.live import Progress
from mcpnb.experiment.target import ExperimentView, LiveTarget, Sample, outcome_of
from mcpnb.experiment.workload import Arrivals, PlannedCall, Workload

__all__ = [
    "Arrivals",
    "Comparison",
    "ExperimentView",
    "LiveTarget",
    "Mark",
    "PlannedCall",
    "Progress",
    "Sample",
    "Workload",
    "compare",
    "compare_async",
    "outcome_of",
]
