"""The ways onto the background loop, and its place in the process: one portal, at exit, after a fork."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from mcpnb.portal.future import Future
from mcpnb.portal.loop_thread import JOIN_WITHIN, STRAGGLERS_WITHIN, Closer, LoopThread

P = ParamSpec("P")
T = TypeVar("T")

CLOSE_WITHIN = 1.5
"""Seconds that all closers have together: Jupyter kills a kernel about 2.5 s after it asked it to end."""


class Portal:
    """Synchronous and asynchronous ways onto one background event loop.

    The loop's thread starts with the first use and is a daemon. All methods are safe on any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._life: LoopThread | None = None
        self._closing = False
        _portals.add(self)

    def __repr__(self) -> str:
        return f"<Portal: {'running' if self.running else 'not started'}>"

    @property
    def running(self) -> bool:
        """Whether there is a loop now; the next call starts one."""
        return self._life is not None

    @property
    def is_here(self) -> bool:
        """Whether the running code is on the portal's own thread."""
        return self._life is not None and self._life.is_here()

    def call(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function(*args, **kwargs)` on the loop, wait for it, and give its value or raise its error.

        Interrupt (KeyboardInterrupt) cancels it and is raised here at once; the portal stays usable.

        Raises:
            RuntimeError: On the portal's own thread, where waiting would never end.
            concurrent.futures.CancelledError: Somebody else cancelled it, for instance `close`.
        """
        if self.is_here:
            raise RuntimeError(
                "a synchronous call on the portal's own thread would never end: await it instead"
            )
        future = Future[T](_label(function))
        try:
            self.start(future, function, *args, **kwargs)
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise KeyboardInterrupt from None  # without the frames that only waited
        except BaseException:
            future.cancel()  # does nothing to a call that has ended: its own errors come this way, too
            raise
        finally:
            del future  # else the error's traceback and the future would keep each other alive

    def submit(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `function(*args, **kwargs)` on the loop without waiting."""
        future = Future[T](_label(function))
        self.start(future, function, *args, **kwargs)
        return future

    def start(
        self, future: Future[T], function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Run `function(*args, **kwargs)` on the loop and let `future`, new and unused, tell how it went."""
        while True:
            life = self._alive()
            future.attach(life)
            if life.soon(future.begin, function, args, kwargs):
                return
            self._bury(life)

    async def run(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Await `function(*args, **kwargs)`, run on the portal's loop, from any event loop.

        Cancelling the awaiting task cancels it there.
        """
        if self.is_here:
            return await function(*args, **kwargs)
        return await self.submit(function, *args, **kwargs)

    def register(self, closer: Closer) -> Callable[[], None]:
        """Have `closer` awaited when the portal closes; returns what takes it off the list again.

        Closers run concurrently and share 1.5 seconds. One that fails or is too slow is logged.
        """
        life, key = self._alive(), object()
        life.closers[key] = closer

        def unregister() -> None:
            life.closers.pop(key, None)

        return unregister

    def lag(self, *, timeout: float = 1.0) -> float | None:
        """Seconds until the loop gets round to something handed to it now; None when not within `timeout`.

        Zero when no loop is running.
        """
        life, here = self._life, threading.Event()
        began = time.perf_counter()
        if life is None or not life.soon(here.set):
            return 0.0
        return time.perf_counter() - began if here.wait(timeout) else None

    def close(self, within: float = CLOSE_WITHIN) -> None:
        """Run the closers, cancel what is left, and end the thread; `within` bounds the closers, in seconds.

        Idempotent. The next use starts anew.
        """
        if self.is_here:
            raise RuntimeError("the portal's own thread cannot wait for its own end")
        with self._lock:
            life, somebody_else_is = self._life, self._closing
            self._closing = life is not None
        if life is None:
            return
        if somebody_else_is:
            life.join(within + 2 * STRAGGLERS_WITHIN + JOIN_WITHIN)
            return
        try:
            life.close(within)
        finally:
            self._bury(life)

    def forget(self) -> None:
        """In a forked child: let go of the loop whose thread stayed in the parent.

        Closing that loop here would take descriptors out of the parent's selector; so would its finaliser.
        """
        if self._life is not None:
            _lives_of_the_parent.append(self._life)
        self._lock, self._life, self._closing = threading.RLock(), None, False

    def _alive(self) -> LoopThread:
        with self._lock:
            if self._life is None:
                self._life = LoopThread()
            return self._life

    def _bury(self, life: LoopThread) -> None:
        with self._lock:
            if self._life is life:
                self._life, self._closing = None, False


def _label(function: Callable[..., object]) -> str:
    return getattr(function, "__qualname__", None) or repr(function)


_portals: weakref.WeakSet[Portal] = weakref.WeakSet()
_lives_of_the_parent: list[LoopThread] = []
_portal = Portal()


def get_portal() -> Portal:
    """The portal of this process."""
    return _portal


def _close_all() -> None:
    for portal in list(_portals):
        portal.close()


def _forget_all() -> None:
    for portal in list(_portals):
        portal.forget()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
