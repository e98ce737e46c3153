"""Scripts that start their own event loop, made to work in a cell, where a loop is running already.

It owns two different things. `install` lets `asyncio.run(main())` run on a fresh thread: nothing of
Jupyter's loop is touched, and Interrupt works. `apply_nesting` is the older remedy, nest-asyncio, for
`loop.run_until_complete(...)`; it changes the running loop for good, so it is only done when asked for.
It refuses to know fleets and magics.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import importlib
import importlib.metadata
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from mcpnb.errors import McpnbError

T = TypeVar("T")

_POLL: float | None = 0.2 if sys.platform == "win32" else None
"""Seconds between looks for an interrupt, where waiting for a lock does not notice one."""


class NestingError(McpnbError):
    """Nesting that cannot be done, or not be undone, in this kernel."""


# ---- asyncio.run on a thread of its own


class _Patch:
    """The function that `install` replaced, while it is replaced."""

    original: Callable[..., Any] | None = None


def installed() -> bool:
    """Whether `asyncio.run` is ours now."""
    return asyncio.run is run


def install() -> None:
    """Make `asyncio.run` work where a loop is running already. Idempotent."""
    if not installed():
        _Patch.original = asyncio.run
        asyncio.run = run


def uninstall() -> None:
    """Undo `install`. Leaves alone what somebody else has put in its place since."""
    if installed():
        asyncio.run = _Patch.original or asyncio.runners.run
    _Patch.original = None


def run(main: Coroutine[Any, Any, T], **options: Any) -> T:
    """`asyncio.run`, on a thread of its own if a loop is running in this one.

    The thread sees the caller's context variables (so its prints land in the caller's cell). Interrupt
    cancels `main` and is raised once `main` has cleaned up; a second one does not wait for that.
    """
    if not _loop_is_running():
        original = _Patch.original or asyncio.runners.run
        return original(main, **options)
    return _ThreadedRun().result_of(main, options)


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _ThreadedRun:
    """One `asyncio.run` on one thread."""

    def __init__(self) -> None:
        self._outcome: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._began = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None

    def result_of(self, main: Coroutine[Any, Any, T], options: dict[str, Any]) -> T:
        """Run `main` and wait for it."""
        # A daemon thread: a script that hangs must not keep a kernel alive.
        work = contextvars.copy_context().run
        thread = threading.Thread(
            target=work, args=(self._work, main, options), name="mcpnb asyncio.run", daemon=True
        )
        try:
            thread.start()
            self._wait()
        except KeyboardInterrupt:
            self._cancel()
            self._wait()
            raise KeyboardInterrupt from None  # without the frames that only waited
        return self._outcome.result()

    def _wait(self) -> None:
        while not self._outcome.done():
            concurrent.futures.wait([self._outcome], timeout=_POLL)

    def _work(self, main: Coroutine[Any, Any, Any], options: dict[str, Any]) -> None:
        # What is no coroutine goes to asyncio as it is, which has its own words for that.
        tracked = self._tracked(main) if asyncio.iscoroutine(main) else main
        try:
            # Not `asyncio.run`, nor what it was: either may be nest_asyncio's, which wants a loop to nest in.
            self._outcome.set_result(asyncio.runners.run(tracked, **options))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the waiting cell must get it
            self._outcome.set_exception(error)
        finally:
            self._began.set()

    async def _tracked(self, main: Coroutine[Any, Any, T]) -> T:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._began.set()
        return await main

    def _cancel(self) -> None:
        self._began.wait()
        if self._loop is not None and self._task is not None and not self._outcome.done():
            try:
                self._loop.call_soon_threadsafe(self._task.cancel)
            except RuntimeError:  # the loop has closed since: `main` has ended by itself
                return


# ---- nesting


def nesting() -> str | None:
    """Which of nest_asyncio and nest_asyncio2 has changed asyncio in this process, if one has."""
    if not hasattr(asyncio, "_nest_patched"):
        return None
    return "nest_asyncio2" if hasattr(asyncio, "_nest_asyncio2") else "nest_asyncio"


def version_of(package: str) -> tuple[int, ...] | None:
    """An installed package's version, as far as its first three parts are numbers; None without it."""
    try:
        text = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    return tuple(int(part) for part in text.split(".")[:3] if part.isdigit())


def ipykernel_version() -> tuple[int, ...] | None:
    """The installed ipykernel's version, None without one."""
    return version_of("ipykernel")


def needs_nest_asyncio2(ipykernel: tuple[int, ...] | None) -> bool:
    """Whether nest_asyncio would lose cells here: ipykernel 7 and later run them all in one context."""
    return ipykernel is None or ipykernel >= (7,)


def apply_nesting(
    *,
    ipykernel: tuple[int, ...] | None,
    loop: asyncio.AbstractEventLoop | None = None,
    load: Callable[[str], Any] = importlib.import_module,
) -> str:
    """Let `loop` (the running one) be entered again from within, and say in one line what was done.

    Raises:
        NestingError: No way of nesting fits this kernel; it says why, and what to do instead.
    """
    wanted = "nest_asyncio2" if needs_nest_asyncio2(ipykernel) else "nest_asyncio"
    if (already := nesting()) is not None:
        return _already(already, wanted)
    loop = loop or _running_loop()
    if not isinstance(loop, asyncio.BaseEventLoop):
        raise NestingError(
            f"Nesting works on asyncio's own event loops only, and this kernel runs {type(loop).__module__}. "
            "Use `await`, or asyncio.run(...) with %load_ext mcpnb."
        )
    module = _load(wanted, load)
    threaded = installed()
    module.apply(loop)
    if threaded:  # both replace asyncio.run, by one that cannot be interrupted
        asyncio.run = run
    return f"Nesting is on ({wanted}): loop.run_until_complete(...) works in cells of this kernel."


def refuse_to_undo_nesting() -> str:
    """What `%mcp nest off` has to say when nesting was never on.

    Raises:
        NestingError: It is on. What it changed is held by tasks that are running.
    """
    if (name := nesting()) is None:
        return "Nesting is off. It never was on in this kernel."
    raise NestingError(f"{name} cannot be undone while the kernel runs: restart the kernel to be rid of it.")


def _already(name: str, wanted: str) -> str:
    if name == wanted:
        return f"Nesting is on already ({name})."
    if wanted == "nest_asyncio":
        return f"Nesting is on already ({name}), which serves this kernel, too."
    raise NestingError(
        "nest_asyncio has been applied in this kernel, and with ipykernel 7 and later it loses cells "
        "(they stay [*]). Restart the kernel, and do not apply it; %mcp nest on takes nest_asyncio2."
    )


def _load(name: str, load: Callable[[str], Any]) -> Any:
    try:
        return load(name)
    except ImportError as error:
        package = name.replace("_", "-")
        raise NestingError(
            f"This kernel needs {package} for nesting, which is not installed: %pip install {package}. "
            "Or use `await`, or asyncio.run(...) with %load_ext mcpnb, which need no nesting."
        ) from error


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise NestingError(
            "No event loop is running here: run_until_complete works as it is, without nesting."
        ) from None
