"""One background event loop per process, and synchronous calls into it that a person can interrupt.

It owns the loop's thread, the hand-over of calls and results, and the orderly end: closers, stragglers,
worker threads. It refuses to know what runs there: no MCP, no IPython, no widgets. A cell, a widget's
callback and a plain script use it alike, because none of them runs on this loop.

    portal = get_portal()
    portal.call(client.call, "weather.forecast", location="London")      # waits; Interrupt cancels it
    future = portal.submit(client.call, "weather.forecast")              # does not wait
    await portal.run(client.call, "weather.forecast")                    # from any other event loop

At interpreter exit `atexit` closes the portal: it is public, and daemon threads such as ours still run
then. Its price is that the executor and new threads are no longer to be had, so a closer must only use
what it already holds. `threading._register_atexit` runs a little earlier but is private, and its order
against the executor's own hook is not promised; a watching non-daemon thread would outlive `close()`.
After a fork the child begins with no loop of its own and gets a fresh one at its first call; the parent's
sockets and closers stay the parent's.
"""

from __future__ import annotations

from mcpnb.portal.future import Future, Progress, current_future
from mcpnb.portal.portal import Portal, get_portal

__all__ = ["Future", "Portal", "Progress", "current_future", "get_portal"]
