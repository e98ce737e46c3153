"""A cell that waits for a call: how far the call is shows below it, and what servers ask is asked there.

It joins the portal's way of waiting with the bar and the questions. Outside a kernel there is no cell, and
it does nothing beyond the portal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from mcpnb.notebook import cells
from mcpnb.notebook.progress import WaitedCall
from mcpnb.portal import get_portal

__all__ = ["awaited", "waited"]

T = TypeVar("T")


def waited(label: str, function: Callable[..., Awaitable[T]], /, *args: object) -> T:
    """Run a coroutine function on the portal's loop and wait for it, as `Portal.call` does."""
    portal = get_portal()
    if portal.is_here or not cells.in_kernel():
        return portal.call(function, *args)
    call = WaitedCall[T](label)
    try:
        call.show_below(cells.enter(call))
        portal.start(call, function, *args)
        return call.result()
    except KeyboardInterrupt:
        call.cancel()
        raise KeyboardInterrupt from None  # without the frames that only waited
    except BaseException:
        call.cancel()  # does nothing to a call that has ended: its own errors come this way, too
        raise
    finally:
        call.close()
        del call  # else the error's traceback and the future would keep each other alive


async def awaited(label: str, function: Callable[..., Awaitable[T]], /, *args: object) -> T:
    """Await a coroutine function, run on the portal's loop, as `Portal.run` does."""
    portal = get_portal()
    if portal.is_here or not cells.in_kernel():
        return await portal.run(function, *args)
    call = WaitedCall[T](label)
    try:
        call.show_below(cells.enter(call))
        portal.start(call, function, *args)
        return await call
    finally:
        call.close()
        del call
