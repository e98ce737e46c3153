"""What was measured: the log of attempts, the log of events, and what they amount to.

NumPy only. It knows no event loop, no clock, no MCP and no frames; `notebook.frames` makes DataFrames of it.
"""

from mcpnb.metrics.events import EventLog
from mcpnb.metrics.log import AttemptLog, Columns
from mcpnb.metrics.quantiles import grouped_quantiles, quantile, quantiles
from mcpnb.metrics.series import Series, series
from mcpnb.metrics.summary import Summary, summaries_by_server, summarise, summarise_window

__all__ = [
    "AttemptLog",
    "Columns",
    "EventLog",
    "Series",
    "Summary",
    "grouped_quantiles",
    "quantile",
    "quantiles",
    "series",
    "summaries_by_server",
    "summarise",
    "summarise_window",
]
