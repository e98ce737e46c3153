"""One life of the background loop: its thread, what is registered with it, and its end.

It owns the promise that whatever it takes is run or cancelled, never forgotten, and that its end is
bounded. It is never started twice; a portal that is used again gets a new one.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from mcpnb.portal.future import Future

_log = logging.getLogger(__name__)

Closer = Callable[[], Awaitable[None]]

STRAGGLERS_WITHIN = 0.2
"""Seconds that cancelled tasks have to clean up, after the closers."""

JOIN_WITHIN = 0.3
"""Seconds that the thread has to end, after the stragglers."""


class LoopThread:
    """An event loop on a daemon thread of its own, running from construction until `close`."""

    def __init__(self) -> None:
        self.closers: dict[object, Closer] = {}
        # Re-entrant: a finaliser or signal handler may call in while its own thread holds it.
        self._lock = threading.RLock()
        self._accepting = True
        self._ending = False
        self._loop = _new_loop()
        self._workers = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="mcpnb-worker")
        self._loop.set_default_executor(self._workers)
        self._thread = threading.Thread(target=self._run, name="mcpnb-portal", daemon=True)
        self._thread.start()

    def is_here(self) -> bool:
        """Whether the running code is on this thread."""
        return threading.get_ident() == self._thread.ident

    def soon(self, callback: Callable[..., None], *args: Any) -> bool:
        """Run `callback` on the loop; False when this life takes nothing more."""
        with self._lock:  # keeps what is taken in front of the end
            if self._accepting:
                self._loop.call_soon_threadsafe(callback, *args)
            return self._accepting

    def close(self, within: float) -> None:
        """Run the closers, cancel the rest, end the thread: in `within` seconds and about half a second more.

        To be called once, from another thread.
        """
        future = Future[None]("closing the portal")
        try:
            self.soon(future.begin, self._wind_down, (within,), {})
            concurrent.futures.wait([future], timeout=within + 2 * STRAGGLERS_WITHIN)
        finally:
            self._refuse()
            with contextlib.suppress(RuntimeError):  # the loop is closed: what is asked for has happened
                self._loop.call_soon_threadsafe(self._stop)
            self.join(JOIN_WITHIN)
        if self._thread.is_alive():
            _log.warning("the portal's thread is stuck in code that blocks; it ends with the process")

    def join(self, timeout: float) -> None:
        """Wait for the thread's end, at most `timeout` seconds."""
        self._thread.join(timeout)

    async def _wind_down(self, within: float) -> None:
        closing = {asyncio.create_task(_run_closer(closer)): closer for closer in self.closers.values()}
        self.closers.clear()
        if closing:
            _, late = await asyncio.wait(closing, timeout=within)
            await _cancel(late)
        for task, closer in closing.items():
            _report_unclean(task, closer, within)

    def _refuse(self) -> None:
        with self._lock:
            self._accepting = False

    def _stop(self) -> None:
        self._ending = True
        self._loop.stop()

    def _run(self) -> None:
        try:
            while not self._ending:
                self._guarded(self._loop.run_forever)
        finally:
            self._refuse()
            self._guarded(self._loop.run_until_complete, self._finish())
            self._workers.shutdown(wait=True, cancel_futures=True)
            self._loop.close()

    def _guarded(self, run: Callable[..., object], *args: Any) -> None:
        """Run the loop; a server in this process that calls `exit()` must not take the others with it."""
        try:
            run(*args)
        except (SystemExit, KeyboardInterrupt) as error:  # the two that asyncio lets out of its loop
            _log.warning("a task on the portal's loop raised %r; the loop goes on", error)

    async def _finish(self) -> None:
        await asyncio.sleep(0)  # lets calls that were taken before become tasks, which can be cancelled
        await _cancel(asyncio.all_tasks() - {asyncio.current_task()})
        await asyncio.wait_for(self._loop.shutdown_asyncgens(), STRAGGLERS_WITHIN)


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=STRAGGLERS_WITHIN)


async def _run_closer(closer: Closer) -> None:
    await closer()


def _report_unclean(task: asyncio.Task[None], closer: Closer, within: float) -> None:
    name = getattr(closer, "__qualname__", repr(closer))
    if not task.done() or task.cancelled():
        _log.warning("%s did not end within %g s and was cancelled", name, within)
    elif error := task.exception():
        _log.warning("%s did not end cleanly", name, exc_info=error)


def _new_loop() -> asyncio.AbstractEventLoop:
    # Jupyter sets a policy on Windows whose loops cannot start processes.
    if sys.platform == "win32":
        return asyncio.ProactorEventLoop()
    return asyncio.new_event_loop()
