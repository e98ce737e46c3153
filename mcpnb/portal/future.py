"""A call that runs in the background. It owns the call's state and words; it knows no threads of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any, NamedTuple, Protocol, TypeVar

T = TypeVar("T")

_log = logging.getLogger(__name__)

_POLL: float | None = 0.2 if sys.platform == "win32" else None
"""Seconds between looks for an interrupt, where waiting for a lock does not notice one."""

_current: contextvars.ContextVar[Future[Any] | None] = contextvars.ContextVar("mcpnb_future", default=None)


class Home(Protocol):
    """The thread that a call runs on."""

    def is_here(self) -> bool:
        """Whether the running code is on that thread."""
        ...

    def soon(self, callback: Callable[..., None], *args: Any) -> bool:
        """Run `callback` there; False when the thread takes nothing more."""
        ...


class Progress(NamedTuple):
    """How far a call says it is."""

    done: float
    total: float | None = None
    """In the unit of `done`; None when the end is unknown."""
    message: str = ""

    def __str__(self) -> str:
        far = f"{self.done / self.total:.0%}" if self.total else f"{self.done:g}"
        return f"{far} {self.message}".rstrip()


class Future(concurrent.futures.Future[T]):
    """A call that runs in the background: `.result()`, `.cancel()`, `.done()`, or `await` it.

    Waiting for it and being interrupted leaves it running; `.cancel()` stops it. `result` raises what the
    call raised, `concurrent.futures.CancelledError` when it was cancelled, and `RuntimeError` on the
    portal's own thread, where waiting would wait for itself.
    """

    def __init__(self, label: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.label = label
        self.progress: Progress | None = None
        self._clock = clock
        self._began = clock()
        self._ended: float | None = None
        self._home: Home | None = None
        self._task: asyncio.Task[None] | None = None

    def report(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Say how far the call is. Safe on any thread; the newest report wins."""
        self.progress = Progress(done, total, message or "")

    @property
    def elapsed(self) -> float:
        """Seconds since the call was handed over, or that it took."""
        return (self._clock() if self._ended is None else self._ended) - self._began

    def cancel(self) -> bool:
        """Stop the call. False when it had already ended."""
        cancelled = super().cancel()
        if cancelled and self._home is not None:
            self._stop_clock()
            self._home.soon(self._cancel_task)
        return cancelled

    def result(self, timeout: float | None = None) -> T:
        """The call's value, waiting at most `timeout` seconds for it."""
        self._ready_to_wait(timeout)
        try:
            return super().result(timeout)
        finally:
            del self  # this frame is in the raised error's traceback, and the error is in this future

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the call raised, or None, waiting at most `timeout` seconds for it to end."""
        self._ready_to_wait(timeout)
        return super().exception(timeout)

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.wrap_future(self).__await__()

    def __repr__(self) -> str:
        return f"<Future {self.label}: {self.describe()}>"

    def describe(self) -> str:
        """What state the call is in, in a few words."""
        if not self.done():
            return f"running for {self.elapsed:.1f} s" + (f", {self.progress}" if self.progress else "")
        if self.cancelled():
            return f"cancelled after {self.elapsed:.1f} s"
        error = super().exception(0)
        how = "done" if error is None else f"{type(error).__name__}: {error}"
        return f"{how} ({self.elapsed:.3g} s)"

    def attach(self, home: Home) -> None:
        """For the portal: say which thread the call is about to run on."""
        self._home = home

    def begin(self, function: Callable[..., Awaitable[T]], args: Any, kwargs: Any) -> None:
        """For the portal, on its thread: make the task, unless somebody has already cancelled the call."""
        if self.cancelled():
            self.set_running_or_notify_cancel()
            return
        drive = self._drive(function, args, kwargs)
        self._task = asyncio.get_running_loop().create_task(drive, name=self.label)
        self._task.add_done_callback(self._settle)

    def _settle(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():  # before its first step: `_drive` never ran and has told nobody
            super().cancel()
            self._end()

    async def _drive(self, function: Callable[..., Awaitable[T]], args: Any, kwargs: Any) -> None:
        _current.set(self)
        try:
            value = await function(*args, **kwargs)
        except asyncio.CancelledError:
            super().cancel()
            self._end()
        # The waiting thread must get it whatever it is; even SystemExit is the caller's to act on.
        except BaseException as error:  # noqa: BLE001
            if self._end():
                self.set_exception(error)
            else:
                _log.warning("%s raised while it was being cancelled", self.label, exc_info=error)
            del self  # this frame is in the error's traceback, and the error is in this future
        else:
            if self._end():
                self.set_result(value)

    def _end(self) -> bool:
        """From here on `cancel` comes too late. False when it came before."""
        self._stop_clock()
        return self.set_running_or_notify_cancel()

    def _stop_clock(self) -> None:
        if self._ended is None:
            self._ended = self._clock()

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _ready_to_wait(self, timeout: float | None) -> None:
        if self._home is not None and self._home.is_here() and not self.done():
            raise RuntimeError(
                f"waiting for {self.label} on the portal's own thread would never end: await it"
            )
        while _POLL is not None and timeout is None and not self.done():
            concurrent.futures.wait([self], timeout=_POLL)


def current_future() -> Future[Any] | None:
    """The future of the call that the running code belongs to, so that it can `report` progress."""
    return _current.get()
