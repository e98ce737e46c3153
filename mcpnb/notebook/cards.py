"""The frame that results, aggregates, explanations and fleets share: a card with a title and pills."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mcpnb.notebook.palette import SERVERS

ANSWERED: Final = frozenset({"ok", "tool_error"})
"""Outcomes that are the tool's own word."""


def card(top: str, *parts: str) -> str:
    """A card; everything is HTML already."""
    return f'<section class="mcpnb-card">{top}{"".join(parts)}</section>'


def head(title: str, pills: Iterable[str]) -> str:
    """A card's title and its pills, of which empty ones are left out; everything is HTML already."""
    shown = "".join(f'<span class="mcpnb-pill">{pill}</span>' for pill in pills if pill)
    return f'<div class="mcpnb-head"><span class="mcpnb-title">{title}</span>{shown}</div>'


def introduce(candidates: Iterable[str]) -> None:
    """Give servers their accents in the catalog's order, not in the order of a call's attempts."""
    for server in candidates:
        SERVERS.accent(server)
