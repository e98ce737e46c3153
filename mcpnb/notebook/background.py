"""What a control sets off, away from the thread that has to go on taking the page's messages."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["in_background"]


def in_background(action: Callable[[], None]) -> None:
    """Run it in a thread of its own, which keeps no process alive."""
    threading.Thread(target=action, name="mcpnb-action", daemon=True).start()
