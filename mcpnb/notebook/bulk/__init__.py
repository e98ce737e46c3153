"""Bulk calls: one tool for many rows, with progress, interrupts, checkpoints and memory that stays flat."""

from __future__ import annotations

from mcpnb.notebook.bulk.run import MapStopped
from mcpnb.notebook.bulk.verbs import map_rows, map_rows_async, settings_of

__all__ = ["MapStopped", "map_rows", "map_rows_async", "settings_of"]
