"""`mcpnb.compare` as a notebook has it: the experiment's own, whose comparisons also show a race.

It owns that one addition. What is compared, and how, the experiment knows.
"""

from __future__ import annotations

from mcpnb.experiment import compare, report
from mcpnb.notebook.race import comparison_html

__all__ = ["compare"]

if comparison_html not in report.PICTURES:
    report.PICTURES.append(comparison_html)
