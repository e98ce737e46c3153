"""Which cell a call belongs to, so that what happens meanwhile shows below that cell and no other.

It owns the running calls' cells and the way onto the page from any thread. It knows no servers and no
widgets, and what is shown it is handed.
"""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from mcpnb.portal import Future, current_future

__all__ = [
    "PAGE",
    "Cell",
    "Place",
    "cell_of_now",
    "enter",
    "follow",
    "has_person",
    "in_kernel",
    "on_main_thread",
    "watch",
    "without_kernel",
]


PAGE: Final = "a running notebook with widgets"
"""What dashboards, forms and playgrounds need; said where they can only be looked at."""


class Place(Protocol):
    """Something on the page that can be changed later."""

    def update(self, obj: Any, **options: Any) -> None:
        """Show another MIME bundle there, with `raw=True`."""
        ...


class Cell:
    """A cell, from any thread: what is shown through it stands in its output.

    Kernels find the cell by the context of the code that shows something.
    """

    def __init__(self) -> None:
        self._context = contextvars.copy_context()

    def show(self, bundle: dict[str, Any]) -> Place:
        """Put a MIME bundle below the cell."""
        # A copy: a context cannot be entered by two threads at once.
        return self._context.copy().run(_display, bundle)


def _display(bundle: dict[str, Any]) -> Place:
    from IPython.display import display  # noqa: PLC0415 - there is a kernel, so it is loaded

    place = display(bundle, raw=True, display_id=True)
    return cast("Place", place)  # None only without a display_id


_calls: dict[Future[Any], Cell] = {}
"""Calls that are running, the newest at the end."""
_lock = threading.Lock()
_last: list[Cell] = []
"""The cell that made the last call, at most one."""


def enter(future: Future[Any], cell: Cell | None = None) -> Cell:
    """This cell, or the running code's, is the one that makes this call; remembered until the call ends."""
    cell = cell or Cell()
    with _lock:
        _calls[future] = cell
        _last[:] = [cell]
    future.add_done_callback(_leave)
    return cell


def _leave(future: object) -> None:
    with _lock:
        _calls.pop(cast("Future[Any]", future), None)


def cell_of_now() -> Cell:
    """The cell of the call that the running code works for; where that is not known, the newest call's."""
    future = current_future()
    with _lock:
        known = _calls.get(future) if future is not None else None
        newest = next(reversed(_calls.values()), None)
        return known or newest or (_last[0] if _last else Cell())


def _kernel() -> Any:
    ipython = sys.modules.get("IPython")
    shell = getattr(ipython, "get_ipython", lambda: None)()  # not there while it is being imported
    return getattr(shell, "kernel", None)


def in_kernel() -> bool:
    """Whether this process is a notebook's kernel."""
    return _kernel() is not None


def without_kernel(state: str, closed: bool) -> str:
    """The state of something that lives on a page, and what it lacks to do so: nothing, once closed."""
    return state if closed or in_kernel() else f"{state}; it needs {PAGE}"


def has_person() -> bool:
    """Whether somebody sits in front of the notebook: whoever runs it by program takes no questions."""
    return bool(getattr(_kernel(), "_allow_stdin", False))


_running: list[object] = []
"""The cell that is running, at most one; unknown before `watch`."""
_watched: list[object] = []
"""The shell that tells."""
_followers: list[Callable[[bool], None]] = []


def watch() -> None:
    """Keep an eye on when cells run. Once is enough, twice is fine."""
    shell = getattr(_kernel(), "shell", None)
    if shell is not None and shell not in _watched:
        _watched[:] = [shell]
        shell.events.register("pre_run_cell", _begins)
        shell.events.register("post_run_cell", _ends)


def follow(busy: Callable[[bool], None]) -> Callable[[], None]:
    """Call `busy` now and whenever a cell begins (True) or ends (False). Returns what ends that."""
    _followers.append(busy)
    busy(bool(_running))

    def unfollow() -> None:
        if busy in _followers:
            _followers.remove(busy)

    return unfollow


def _begins(cell: object) -> None:
    _running[:] = [cell]
    for busy in tuple(_followers):
        busy(True)


def _ends(_result: object) -> None:
    _running.clear()
    for busy in tuple(_followers):
        busy(False)


def on_main_thread() -> bool:
    """Whether the running code is where cells run, and where Interrupt arrives."""
    return threading.current_thread() is threading.main_thread()
