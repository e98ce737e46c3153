"""`Fleet`: the face of many servers in a notebook. Synchronous verbs, DataFrames, pictures.

It decides nothing and connects to nothing itself: every verb runs on the portal's loop, in the client. It
refuses to know how routing or connections work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakSet

from mcpnb.client import CallView, MultiServerClient
from mcpnb.metrics import AttemptLog, EventLog
from mcpnb.model import Event, ServerStatus
from mcpnb.notebook import frames
from mcpnb.notebook.future import CallFuture
from mcpnb.notebook.results import Aggregate, Result
from mcpnb.notebook.trial import FleetTrial
from mcpnb.portal import get_portal
from mcpnb.routing.strategies import available

if TYPE_CHECKING:
    import pandas as pd

    from mcpnb.notebook.dashboard import Dashboard, Panel
    from mcpnb.notebook.plots import Plots

T = TypeVar("T")

_fleets: dict[object, Fleet] = {}
"""Open fleets by what they connect to, the one used last at the end."""


_alive: set[int] = set()
"""Fleets that need the portal, those included that are just connecting."""


def connect(source: Any, *, name: str | None = None, wait: bool = True, **options: Any) -> Fleet:
    """Connect to MCP servers and get a `Fleet`.

    Running the same cell again closes the fleet it made before instead of leaking it.

    Args:
        source: A config file, a URL, a command (list of str), an in-process server object, a dict
            `{name: any of these}`, or a list of these.
        name: What to call the fleet; it also replaces an open fleet of that name.
        wait: Return when each server is up or has said why not; else at once.
        options: `replicas=`, `strategy=`, `timeout=` (seconds), `seed=`, `connect_timeout=` (seconds), and
            config keys for every server (`region=`, `tags=`, ...).

    Raises:
        ConfigError: The configuration cannot work; names file, server, key and the fix.
    """
    return Fleet(source, name=name, wait=wait, **options)


def current() -> Fleet | None:
    """The open fleet that was made last."""
    return next(reversed(_fleets.values()), None)


class _Verbs:
    """The verbs of a fleet and of its views."""

    _view: CallView | MultiServerClient

    def call(self, tool: str, arguments: Mapping[str, Any] | None = None, /, **named: Any) -> Result:
        """Call a tool on the server that routing picks; every keyword is an argument of the tool.

        Interrupting the cell cancels the call on the server; the fleet stays usable.

        Raises:
            ToolNotFound, ArgumentError: Before anything is sent.
            ToolError: The tool said no.
            NoServerAvailable, ServerDisconnected, CallTimeout: No answer, and why.
        """
        return get_portal().call(self.routed, tool, arguments, named)

    def call_tool(self, name: str, arguments: Mapping[str, Any] | None = None) -> Result:
        """The SDK's shape of `call`."""
        return get_portal().call(self.routed, name, arguments, {})

    def gather(self, tool: str, arguments: Mapping[str, Any] | None = None, /, **named: Any) -> Aggregate:
        """Call a tool on every server that has it, at once, and fuse the answers.

        Raises:
            NoServerAvailable: All of them failed; a line per server.
        """
        return get_portal().call(self.gathered, tool, arguments, named)

    def submit(
        self, tool: str, arguments: Mapping[str, Any] | None = None, /, **named: Any
    ) -> CallFuture[Result]:
        """Start a call and go on: the future has `.result()`, `.cancel()`, `.done()` and a Stop button."""
        future = CallFuture[Result](tool)
        get_portal().start(future, self.routed, tool, arguments, named)
        return future

    @property
    def aio(self) -> AsyncVerbs:
        """The same verbs as awaitables, for cells that use top-level await."""
        return AsyncVerbs(self)

    async def routed(
        self, tool: str, arguments: Mapping[str, Any] | None, named: Mapping[str, Any]
    ) -> Result:
        """`call` as it runs on the portal's loop."""
        return Result.of(await self._view.call_tool(tool, {**(arguments or {}), **named}))

    async def gathered(
        self, tool: str, arguments: Mapping[str, Any] | None, named: Mapping[str, Any]
    ) -> Aggregate:
        """`gather` as it runs on the portal's loop."""
        return Aggregate.of(await self._view.gather(tool, {**(arguments or {}), **named}))


class AsyncVerbs:
    """A fleet's verbs as awaitables. They work on any event loop, the notebook's own included."""

    def __init__(self, verbs: _Verbs) -> None:
        self._verbs = verbs

    async def call(self, tool: str, arguments: Mapping[str, Any] | None = None, /, **named: Any) -> Result:
        """See `Fleet.call`."""
        return await get_portal().run(self._verbs.routed, tool, arguments, named)

    async def call_tool(self, name: str, arguments: Mapping[str, Any] | None = None) -> Result:
        """See `Fleet.call_tool`."""
        return await self.call(name, arguments)

    async def gather(
        self, tool: str, arguments: Mapping[str, Any] | None = None, /, **named: Any
    ) -> Aggregate:
        """See `Fleet.gather`."""
        return await get_portal().run(self._verbs.gathered, tool, arguments, named)


class View(_Verbs):
    """A fleet's verbs under other call options; see `Fleet.options`."""

    def __init__(self, view: CallView) -> None:
        self._view = view

    def options(self, **changes: Any) -> View:
        """A view with further options."""
        return View(self._view.options(**changes))

    def __repr__(self) -> str:
        return repr(self._view).replace("CallView", "View", 1)


class Fleet(_Verbs):
    """Many MCP servers behind one set of verbs. Made by `mcpnb.connect`, which documents the arguments.

    A context manager; also closed at interpreter exit. Nothing is left behind then.
    """

    def __init__(self, source: Any, *, name: str | None = None, wait: bool = True, **options: Any) -> None:
        self.client = self._view = MultiServerClient(source, name=name or _name_of(source), **options)
        self._key: object = name or self.client.addresses
        self._closed = False
        self._dashboards: WeakSet[Dashboard] = WeakSet()
        if previous := _fleets.get(self._key):
            previous.close()
        _alive.add(id(self))
        self._unregister = get_portal().register(self.client.aclose)
        try:
            get_portal().call(self.client.start, wait=wait)
        except BaseException:
            self.close()
            raise
        _fleets[self._key] = self

    # -- call options and strategies

    def options(self, **changes: Any) -> View:
        """The same verbs with other call options, so that they never collide with a tool's arguments.

        Args:
            changes: `server=`, `tags=`, `strategy=`, `timeout=` (seconds), `retries=`, `idempotent=`,
                `method=` (of `gather`), `raise_on_error=`; see `mcpnb.model.CallOptions`.
        """
        return View(self.client.options(**changes))

    @property
    def strategy(self) -> str:
        """The routing strategy. Setting it (a name or an object) takes effect on running traffic."""
        return self.client.strategy

    @strategy.setter
    def strategy(self, choice: Any) -> None:
        self.run(self._set_strategy, choice)

    async def _set_strategy(self, choice: Any) -> None:
        self.client.strategy = choice

    def strategies(self) -> dict[str, str]:
        """Name → one line of help, for a menu."""
        return {name: strategy.help for name, strategy in available().items()}

    # -- servers

    def add(self, name: str, target: Any, **config: Any) -> None:
        """Connect to one more server, while calls are running."""
        get_portal().call(self.client.add, name, target, **config)

    def remove(self, name: str, *, drain: bool = True) -> None:
        """Disconnect from a server; with `drain`, its running calls end first."""
        get_portal().call(self.client.remove, name, drain=drain)

    def reconnect(self, name: str) -> None:
        """Drop a server's session and connect anew, without waiting for the backoff."""
        get_portal().call(self.client.reconnect, name)

    def trip(self, name: str) -> None:
        """Open a server's circuit breaker by hand: it gets no calls until it is well again or `reset`."""
        self.run(self._act, self.client.trip, name)

    def reset(self, name: str | None = None) -> None:
        """Close a server's circuit breaker by hand, or every one."""
        self.run(self._act, self.client.reset, name)

    async def _act(self, act: Callable[..., None], *args: Any) -> None:
        act(*args)

    def status(self) -> list[ServerStatus]:
        """One row per server, as plain values."""
        return self.client.servers()

    # -- frames

    @property
    def servers(self) -> pd.DataFrame:
        """One row per server: state, what it offers, load, latency in ms, errors."""
        return frames.servers_frame(self.status())

    @property
    def tools(self) -> pd.DataFrame:
        """One row per tool and server, `selected` where a plain call of that name goes."""
        return frames.tools_frame(self.client.catalog)

    @property
    def conflicts(self) -> pd.DataFrame:
        """One row per name that different servers offer differently: who was chosen and why."""
        return frames.conflicts_frame(self.client.catalog)

    @property
    def breakers(self) -> pd.DataFrame:
        """One row per server: its breaker's state and why, openings in a row, seconds to the next probe."""
        return frames.breakers_frame(self.run(self._breakers))

    async def _breakers(self) -> list[tuple[str, str, str, int, float]]:
        now, rows = time.monotonic(), list[tuple[str, str, str, int, float]]()
        for name in self.client.members.connections:
            breaker = self.client.breaker(name)
            if breaker is not None:
                wait = max(0.0, breaker.until - now) if breaker.state == "open" else float("nan")
                rows.append((name, breaker.state, breaker.reason, breaker.opens, wait))
        return rows

    @property
    def calls(self) -> pd.DataFrame:
        """One row per attempt, oldest first; latency and queueing in ms."""
        return frames.calls_frame(self.log)

    @property
    def events(self) -> pd.DataFrame:
        """What happened, oldest first: at (UTC), kind, server, detail."""
        return frames.events_frame(self.event_log)

    def latency(self, by: str | Sequence[str] = "server", window: float | None = None) -> pd.DataFrame:
        """Count, errors, mean and quantiles in ms, throughput per second, over the last `window` seconds."""
        return frames.latency_frame(self.log, by=by, window=window, now=time.time())

    @property
    def log(self) -> AttemptLog:
        """Every attempt, in columns."""
        return self.client.log

    @property
    def event_log(self) -> EventLog:
        """What happened, as plain values; `events` is the DataFrame."""
        return self.client.events

    def on(self, kind: str, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call `callback` with each event of a kind (`*` for all). Returns what unsubscribes it."""
        return self.client.on(kind, callback)

    # -- pictures

    @property
    def plot(self) -> Plots:
        """`.latency()`, `.timeline()`, `.errors()`, `.share()`: matplotlib pictures of the calls so far."""
        from mcpnb.notebook.plots import Plots  # noqa: PLC0415 - matplotlib is loaded when first needed

        return Plots(self.log)

    def dashboard(self) -> Dashboard:
        """A live panel: servers, strategy, latency, share of traffic, events."""
        from mcpnb.notebook.dashboard import Dashboard  # noqa: PLC0415 - ipywidgets are loaded when first needed

        shown = Dashboard(self)
        self._dashboards.add(shown)
        return shown

    def panels(self) -> list[Panel]:
        """Further panels for the dashboard; a plain fleet has none."""
        return []

    # -- experiments

    def experiment_view(self, strategy: Any) -> FleetTrial:
        """Calls under a strategy with a fresh state of its own, for `mcpnb.compare`."""
        return FleetTrial(self.client.trial(strategy))

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: Any) -> T:
        """Run a coroutine function on the fleet's event loop and wait for it. Interruptible."""
        return get_portal().call(function, *args)

    # -- end

    def close(self) -> None:
        """End every connection and server process of ours. Closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._unregister()
        for shown in list(self._dashboards):  # first: each leaves a last true picture behind
            shown.close()
        if _fleets.get(self._key) is self:
            del _fleets[self._key]
        try:
            get_portal().call(self.client.aclose)
        finally:
            _alive.discard(id(self))
            if not _alive:  # the last one turns off the light: no thread of ours stays
                get_portal().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else repr(self.client).partition(": ")[2].rstrip(">")
        return f"<Fleet {self.client.name}: {state}>"

    @property
    def name(self) -> str:
        """What this fleet is called."""
        return self.client.name

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002
        from mcpnb.notebook import display  # noqa: PLC0415 - only a notebook asks

        return display.fleet_bundle(self.name, self.strategy, self.status())


def _name_of(source: Any) -> str:
    """A short name for what a fleet connects to."""
    if isinstance(source, str | Path):
        text = str(source)
        return (
            text.split("//", 1)[1].split("/", 1)[0].rpartition("@")[2] if "://" in text else Path(text).stem
        )
    if isinstance(source, dict) and "mcpServers" not in source:
        return "+".join(str(key) for key in list(source)[:3])
    return "fleet"
