"""What the end of an attempt says about a server's speed."""

from __future__ import annotations

from mcpnb.model import FAULTS, OutcomeKind

UNKNOWN_SECONDS = 1.0
"""What a server is worth that has not answered properly yet: it is tried, not flooded."""


def lesson(kind: OutcomeKind, latency: float, known: float | None, fault: float) -> float | None:
    """The seconds to learn, or None when an attempt says nothing: cancelled, or never sent.

    A fault counts as `fault` seconds at least: a server that fails at once must not look fast. An error of
    the tool is the caller's and speaks neither for the server nor against it; but it may come long before
    an answer would have, so it counts as no less than what is `known`.
    """
    if kind in {"cancelled", "rejected"}:
        return None
    if kind in FAULTS:
        return max(latency, fault)
    if kind == "tool_error":
        return max(latency, UNKNOWN_SECONDS if known is None else known)
    return latency
