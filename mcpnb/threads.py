"""Work that may block, beside the event loop. It knows nothing of what the work is."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar, cast

__all__ = ["beside"]

T = TypeVar("T")


async def beside(work: Callable[[], T]) -> T:
    """What `work` returns, done in a thread of its own so that the loop goes on meanwhile.

    The thread is a daemon and lives for this work only; when the caller is cancelled, its end is ignored.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(cast("T", value))
        else:
            done.set_exception(error)

    def run() -> None:
        value, problem = None, None
        try:
            value = work()
        except Exception as error:  # noqa: BLE001 - raised where it is awaited
            problem = error
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(settle, value, problem)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name="mcpnb-beside", daemon=True).start()
    return await done
