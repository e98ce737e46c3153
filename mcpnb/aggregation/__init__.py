"""Many answers made one, with every source accounted for and every disagreement listed.

Pure: no servers, no event loop. Answers are read alike first (names, units, dates, numbers in text), then
fused by what was declared for the tool's name, else by their shape; no tool's name is known here.
"""

from mcpnb.aggregation.fusing import METHODS, fuse
from mcpnb.aggregation.rules import DECLARED, Fuser, Rules, check_method
from mcpnb.aggregation.shapes import reported_confidence
from mcpnb.aggregation.units import units_in
from mcpnb.aggregation.values import (
    Answer,
    Disagreement,
    Fused,
    FusedRow,
    LeftOut,
    Option,
    Reading,
    Trust,
)

register_fusion = DECLARED.register
forget_fusion = DECLARED.forget

__all__ = [
    "DECLARED",
    "METHODS",
    "Answer",
    "Disagreement",
    "Fused",
    "FusedRow",
    "Fuser",
    "LeftOut",
    "Option",
    "Reading",
    "Rules",
    "Trust",
    "check_method",
    "forget_fusion",
    "fuse",
    "register_fusion",
    "reported_confidence",
    "units_in",
]
