"""Many answers made one, with every source accounted for and every disagreement listed.

Pure: no servers, no tools, no event loop. Answers are fused by their shape, never by a tool's name.
"""

from mcpnb.aggregation.fusing import METHODS, fuse
from mcpnb.aggregation.values import Answer, Disagreement, Fused, FusedRow, LeftOut

__all__ = ["METHODS", "Answer", "Disagreement", "Fused", "FusedRow", "LeftOut", "fuse"]
