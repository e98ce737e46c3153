"""On whose behalf a request is made: known where a call is carried out, wanted where its server asks back.

It owns the one thing that a call's context carries down to its requests, past the rooms between the two.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcpnb.model import Attempt

__all__ = ["SENDER"]

SENDER: ContextVar[Attempt | None] = ContextVar("mcpnb_sender", default=None)
"""The attempt that is being carried out; None for our own requests. Compare it by identity: other clients of
this process number their attempts alike."""
