"""The live dashboard: widgets around the board, kept true while calls run.

It owns what the controls do and when to refresh. It knows no client and no lab: it reads a fleet through
`FleetView`, and whatever else belongs on it comes as a `Panel`.

Widgets' handlers run on the main thread or at once on a thread of their own, and the refreshes run on the
scheduler's: nothing here assumes a loop, and nothing raises into any of them; what goes wrong is shown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from mcpnb.metrics import AttemptLog, EventLog
from mcpnb.model import ServerStatus
from mcpnb.notebook.background import in_background
from mcpnb.notebook.board import Moment, board_html, board_text
from mcpnb.notebook.cells import PAGE, without_kernel
from mcpnb.notebook.face import Controls, Face, Panel
from mcpnb.notebook.happened import clock_time
from mcpnb.notebook.markup import bundle, escape
from mcpnb.notebook.pulse import TIMERS, Pulse, Scheduler

if TYPE_CHECKING:
    from mcpnb.auth import LoginRow

__all__ = ["Dashboard", "FleetView", "Panel"]

_VIEW: Final = "application/vnd.jupyter.widget-view+json"
WINDOWS: Final = (("last 1 min", 60.0), ("last 5 min", 300.0), ("last 15 min", 900.0))
_ROWS: Final = 20_000
"""Attempts that a refresh looks at, at most: they keep it within a few milliseconds."""
_DEEDS: Final[Mapping[str, tuple[str, str]]] = {
    "Reconnect": ("reconnect", "reconnected"),
    "Reset": ("reset", "takes calls again"),
    "Trip": ("trip", "gets no calls"),
    "Log in": ("login", "waits for you below"),
    "Log out": ("logout", "is logged out"),
}
"""What the button in a server's row may be for → the fleet's verb, and what is said when it is done."""
_OURS: Final[Mapping[str, str]] = {"login": "log_in"}
"""Verbs of a cell → what a dashboard does instead: it shows the login itself."""
_LINES: Final = 20
"""Lines of code that are kept of what was done."""
_STAMP: Final = "<!--stamp-->"
"""Where the time of sending goes, so that the time alone is no reason to send."""


class FleetView(Protocol):
    """A fleet, as far as a dashboard needs it."""

    @property
    def strategy(self) -> str:
        """The routing strategy's name; setting it takes effect on running calls."""
        ...

    @strategy.setter
    def strategy(self, choice: str) -> None: ...

    @property
    def name(self) -> str:
        """What the fleet is called."""
        ...

    @property
    def log(self) -> AttemptLog:
        """Its attempts."""
        ...

    @property
    def event_log(self) -> EventLog:
        """What happened."""
        ...

    def status(self) -> Sequence[ServerStatus]:
        """A row per server, in declared order."""
        ...

    def strategies(self) -> Mapping[str, str]:
        """Name → one line of help."""
        ...

    def reconnect(self, name: str) -> object:
        """Drop a server's session and connect anew; may take its time."""
        ...

    def trip(self, name: str) -> object:
        """Open a server's circuit breaker."""
        ...

    def reset(self, name: str) -> object:
        """Close a server's circuit breaker."""
        ...

    def login_rows(self) -> Sequence[LoginRow]:
        """How the servers know us."""
        ...

    def log_in(self, server: str) -> object:
        """Begin a login that the dashboard shows."""
        ...

    def logout(self, server: str) -> object:
        """Forget a login, for all servers that share it."""
        ...

    def panels(self) -> Sequence[Panel]:
        """What else belongs on the dashboard."""
        ...


class Dashboard:
    """Servers, strategy, latency, share of traffic and events of a fleet, live.

    Show it by making it the last line of a cell. It refreshes `rate` times a second at most while it is on a
    page, sends nothing when nothing changed, and stops with `close()`. A saved notebook keeps its last state
    as plain HTML.

    Args:
        view: The fleet.
        window: Seconds that figures and charts look back.
        rate: Refreshes per second, at most 10.
        scheduler: What calls back later; by default one timer thread for all dashboards.
        clock: Unix time, injected by tests.
        run: Carries out what a control asks for; by default on a thread of its own.
    """

    def __init__(
        self,
        view: FleetView,
        *,
        window: float = 60.0,
        rate: float = 4.0,
        scheduler: Scheduler = TIMERS,
        clock: Callable[[], float] = time.time,
        run: Callable[[Callable[[], None]], None] = in_background,
    ) -> None:
        self._view, self._window, self._clock, self._run = view, window, clock, run
        self._pulse = Pulse(self.refresh, scheduler, rate=rate)
        self._face: Face | None = None
        self._note = self._sent = ""
        self._code = [f"fleet.strategy = {view.strategy!r}"]
        self._closed = self._broken = False
        self._drawing = threading.Lock()
        self._unwatch: Callable[[], None] | None = None
        self._handles: list[Any] = []

    def __repr__(self) -> str:
        state = "closed" if self._closed else "live" if self._pulse.running else "not live"
        return f"<Dashboard of {self._view.name}: {without_kernel(state, self._closed)}>"

    # -- what it shows

    def moment(self) -> Moment:
        """All that is shown, as it is now."""
        view = self._view
        return Moment(
            title=view.name,
            strategy=view.strategy,
            statuses=view.status(),
            columns=view.log.columns(last=_ROWS),
            events=view.event_log.snapshot()[-500:],
            now=self._clock(),
            span=self._window,
            note=self._note,
            logins=view.login_rows(),
        )

    def snapshot(self, why: str = "") -> dict[str, str]:
        """The dashboard as it is now, as a MIME bundle that needs nothing else.

        It says when it was taken, and why it does not live, where `why` says so.
        """
        moment = self.moment()
        taken = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment.now))
        said = f"snapshot of {taken}{f': {why}' if why else ''}"
        foot = f"strategy {escape(moment.strategy)} · {escape(said)}"
        return bundle(board_html(moment, foot=foot), f"{board_text(moment)}\n{said}")

    def refresh(self) -> None:
        """Draw now; send it when it differs from what was sent last. Errors stand in the widget."""
        try:
            with self._drawing:
                self._draw()
        except Exception as error:  # noqa: BLE001 - a beat has no caller; the reader of the page is told instead
            self._broken = True
            self._complain(error)
        else:
            if self._broken:
                self._broken = False
                self._complain(None)

    def _draw(self) -> None:
        face = self._face
        if face is None or self._closed:
            return
        moment = self.moment()
        body = board_html(moment, foot=_STAMP, live=True)
        if body != self._sent:
            self._sent = body
            face.show(body.replace(_STAMP, f"as of {clock_time(moment.now)}"))
        face.follow(moment.strategy, moment.statuses, moment.logins)

    def _complain(self, error: BaseException | None) -> None:
        """Show an error below the board; None takes the last one away."""
        if self._face is not None:
            self._face.complain(f"{type(error).__name__}: {error}" if error else "")

    # -- what its controls do

    def _act(self, control: Any, action: Callable[[], object], done: str, code: str) -> None:
        """Carry out an action in the background, the control disabled meanwhile; say how it went."""
        control.disabled = True

        def carry_out() -> None:
            try:
                action()
                self._note = _did(done, code)
                self._did_as_code(code)
                self._complain(None)
            except Exception as error:  # noqa: BLE001 - a control has no caller; its user is told instead
                self._complain(error)
            finally:
                control.disabled = False
                self.refresh()

        self._run(carry_out)

    def _choose(self, control: Any, strategy: str) -> None:
        if strategy == self._view.strategy:
            return
        code = f"fleet.strategy = {strategy!r}"
        self._act(control, lambda: setattr(self._view, "strategy", strategy), "strategy changed", code)

    def _do(self, control: Any, deed: str, server: str) -> None:
        method, done = _DEEDS[deed]
        act: Callable[[str], object] = getattr(self._view, _OURS.get(method, method))
        self._act(control, lambda: act(server), f"{server} {done}", f"fleet.{method}({server!r})")

    def _did_as_code(self, code: str) -> None:
        self._code = [*self._code, code][-_LINES:]
        if self._face is not None:
            self._face.tell(self._code)

    def _look_back(self, seconds: float) -> None:
        self._window = seconds
        self.refresh()

    def _pause(self, paused: bool) -> None:
        if paused:
            self._stop()
        else:
            self._start()

    # -- life

    @property
    def live(self) -> bool:
        """Whether it refreshes itself."""
        return self._pulse.running

    def close(self) -> None:
        """Stop, and leave a snapshot in place of the widget. Closing twice is fine."""
        if self._closed:
            return
        self._stop()
        last = self.snapshot() if self._handles else {}
        self._closed = True
        for handle in self._handles:
            handle.update(last, raw=True)
        if self._face is not None:
            self._face.close()

    def _start(self) -> None:
        if not self._closed and not self._pulse.running:
            self._unwatch = self._view.event_log.on("*", lambda _: self._pulse.hurry())
            self._pulse.start()

    def _stop(self) -> None:
        self._pulse.stop()
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def _appear(self) -> Face | None:
        """The widgets, made when first shown; None where no page could talk to them."""
        if self._closed:
            return None
        if self._face is None:
            controls = Controls(self._choose, self._look_back, self._pause, self._do, self._seen)
            view = self._view
            face = Face(controls, view.strategies(), view.strategy, WINDOWS, self._window, view.panels())
            if not face.connected:
                face.close()
                return None
            face.tell(self._code)
            self._face = face
        return self._face

    def _seen(self, pages: int) -> None:
        """The number of places in which the dashboard is shown has changed."""
        if pages and self._face is not None and not self._face.paused:
            self._start()
        elif not pages:
            self._stop()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:  # noqa: ARG002
        face = self._appear()
        if face is None:
            return self.snapshot("" if self._closed else f"a live dashboard needs {PAGE}")
        self.refresh()
        self._start()
        return {**self.snapshot(), _VIEW: {"version_major": 2, "version_minor": 0, "model_id": face.model_id}}

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415 - only IPython calls this

        self._handles.append(display(self._repr_mimebundle_(), raw=True, display_id=True))


def _did(what: str, code: str) -> str:
    return f'<span class="mcpnb-good">✓</span> {escape(what)} · <code>{escape(code)}</code>'
