"""Where logins that wait for a person are shown in a notebook, and until when.

It owns the panels of one fleet: one per open login, below the cell that wanted it; they end with the login or
with the fleet. How a login is carried out it does not know.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from mcpnb.notebook import cells
from mcpnb.notebook.cells import Cell
from mcpnb.notebook.login.card import already, ended, may_open, unasked
from mcpnb.notebook.login.panel import Panel
from mcpnb.notebook.login.words import oauth
from mcpnb.notebook.pulse import TIMERS, Scheduler

if TYPE_CHECKING:
    from mcpnb.auth import LoginRequest, LoginRow
    from mcpnb.model import Event

__all__ = ["ATTENDED", "LoginDesk", "has_screen"]

_ELSEWHERE: Final = (
    "SSH_CONNECTION", "SSH_CLIENT", "JUPYTERHUB_USER", "COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE",
    "CODESPACES", "BINDER_SERVICE_HOST", "KUBERNETES_SERVICE_HOST",
)  # fmt: skip
"""Variables of kernels whose person sits at another computer."""
_FRESH: Final = 60.0
"""Seconds within which a login that somebody asked for comes to ask for him."""


ATTENDED: Final[set[str]] = set()
"""Issuers whose logins are answered also where nobody sits, by whoever adds them here: a lesson's own."""


def has_screen(environ: Mapping[str, str], platform: str) -> bool:
    """Whether a browser that this process opens would be seen by the notebook's person."""
    if any(environ.get(name) for name in _ELSEWHERE):
        return False
    if platform in {"win32", "darwin"}:
        return True
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def _say(cell: Cell, said: dict[str, str]) -> None:
    cell.show(said)


class _Wish(NamedTuple):
    """A login that a person has asked for."""

    cell: Cell | None
    """Where it is to be shown; None where something else shows it."""
    until: float
    """Monotonic seconds at which it is forgotten."""


def _browse(url: str) -> bool:
    return has_screen(os.environ, sys.platform) and webbrowser.open_new_tab(url)


class LoginDesk:
    """Shows the logins of one fleet.

    Args:
        browse: Opens a page in a browser that the person sees; False where there is none.
        scheduler: Takes panels away outside of the event loop.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        browse: Callable[[str], bool] = _browse,
        scheduler: Scheduler = TIMERS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._browse, self._scheduler, self._clock = browse, scheduler, clock
        self._panels: dict[LoginRequest, Panel] = {}
        self._wanted: dict[str | None, _Wish] = {}
        self._faced: set[str] = set()
        """Servers whose login a panel has shown since somebody asked for it last: the panel tells its end."""
        self._closed = False
        self._lock = threading.Lock()

    def want(self, server: str | None, cell: Cell | None) -> None:
        """A person has asked for a login of this server (None: of all that need one).

        Its page opens by itself where a browser can be seen. Without a cell, something else shows it.
        """
        self._wanted[server] = _Wish(cell, self._clock() + _FRESH)
        self._faced = set() if server is None else self._faced - {server}

    def begun(self, server: str | None, rows: Iterable[LoginRow]) -> None:
        """Say so, where nobody has to do anything for the login that was asked for."""
        concerned = [row for row in oauth(rows) if server in {None, row.server}]
        if all(row.state == "logged_in" for row in concerned):
            wish = self._wanted.pop(server, None)
            if wish is not None and wish.cell is not None:
                wish.cell.show(already([row.server for row in concerned]))

    def hear(self, event: Event) -> None:
        """Hear of an `auth` event: a login that was asked for may end before it gets to a person."""
        servers, state = event.data.get("servers"), event.data.get("state")
        if not isinstance(servers, tuple) or state not in {"needs_login", "logged_in"}:
            return
        concerned: tuple[str, ...] = servers
        if not self._faced.isdisjoint(concerned):
            return
        wish = self._wish_for(concerned)
        if wish is not None and (cell := wish.cell) is not None:
            said = unasked(concerned, event.detail, ok=state == "logged_in")
            self._scheduler.later(0, lambda: _say(cell, said))

    def ask(self, request: LoginRequest) -> None:
        """Show a login that waits, below the cell it belongs to: `on_login`, from any thread."""
        if not cells.has_person() and request.issuer not in ATTENDED:
            cells.cell_of_now().show(ended(request, "nobody is here to log in"))
            request.cancel()
            return
        wish = self._wish_for(request.servers)
        # Only for somebody who has just said so: a server must not open pages.
        opened = wish is not None and may_open(request.url) and self._browse(request.url)
        request.on_done(lambda _: self._scheduler.later(0, lambda: self._end(request)))
        cell = cells.cell_of_now() if wish is None else wish.cell
        if cell is not None:
            self._show(request, cell, opened=opened)

    def again(self, requests: Iterable[LoginRequest], cell: Cell) -> None:
        """Show open logins below this cell; where they stood before, a line says so."""
        for request in requests:
            if not request.done:
                self._end(request, "asked below")
                self._show(request, cell, opened=False)

    def close(self) -> None:
        """End every panel: the fleet is closed."""
        with self._lock:
            self._closed = True
            open_ = list(self._panels)
        for request in open_:
            self._end(request, "" if request.done else "the fleet was closed")

    def _wish_for(self, servers: tuple[str, ...]) -> _Wish | None:
        """What a person has asked for that such a login fulfils; it counts once."""
        now = self._clock()
        found = [self._wanted.pop(name) for name in (*servers, None) if name in self._wanted]
        return next((wish for wish in found if now < wish.until), None)

    def _show(self, request: LoginRequest, cell: Cell, *, opened: bool) -> None:
        panel = Panel(request, opened=opened)
        with self._lock:
            if self._closed:
                return
            self._panels[request] = panel
            self._faced.update(request.servers)
        panel.show(cell)
        if request.done:  # meanwhile
            self._end(request)

    def _end(self, request: LoginRequest, said: str = "") -> None:
        with self._lock:
            panel = self._panels.pop(request, None)
        if panel is not None:
            panel.end(said)
