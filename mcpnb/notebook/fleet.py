"""`Fleet`: the face of many servers in a notebook. Synchronous verbs, DataFrames, pictures.

It decides nothing and connects to nothing itself: every verb runs on the portal's loop, in the client. It
refuses to know how routing or connections work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar
from weakref import WeakSet

from mcpnb.client import CallView, MultiServerClient
from mcpnb.client.call_options import showing_options
from mcpnb.discovery import Backend
from mcpnb.metrics import AttemptLog, EventLog
from mcpnb.model import Event, ServerStatus
from mcpnb.notebook import cells, completing, discovered, documents, frames
from mcpnb.notebook.conflicts import ConflictVerbs, conflicts_panel
from mcpnb.notebook.directories import directories_panel
from mcpnb.notebook.documents import Document
from mcpnb.notebook.future import CallFuture
from mcpnb.notebook.login.board import logins_panel
from mcpnb.notebook.login.desk import LoginDesk
from mcpnb.notebook.login.verbs import LoginVerbs
from mcpnb.notebook.progress import reporter
from mcpnb.notebook.questions import DESK, Declined
from mcpnb.notebook.racing import Race, race_panel, run_race
from mcpnb.notebook.results import Aggregate, Result
from mcpnb.notebook.tool import Tools
from mcpnb.notebook.trial import FleetTrial
from mcpnb.notebook.waiting import awaited, waited
from mcpnb.portal import get_portal
from mcpnb.routing.strategies import available

if TYPE_CHECKING:
    import pandas as pd

    from mcpnb.client.cache import Cache
    from mcpnb.connection import Listing
    from mcpnb.discovery import Publisher
    from mcpnb.experiment.recording import LiveRecording
    from mcpnb.notebook.dashboard import Dashboard, Panel
    from mcpnb.notebook.discovered import Registered
    from mcpnb.notebook.forms import ToolForm
    from mcpnb.notebook.plots import Plots
    from mcpnb.routing.strategies import Strategy, StrategySpec

T = TypeVar("T")

_fleets: dict[object, Fleet] = {}
"""Open fleets by what they connect to, the one used last at the end."""


_alive: set[int] = set()
"""Fleets that need the portal, those included that are just connecting."""


def connect(
    source: Any,
    *,
    replicas: bool | Sequence[Sequence[str]] | None = None,
    strategy: str | Strategy | type[Strategy] | StrategySpec = "p2c",
    timeout: float | None = 30.0,
    name: str | None = None,
    wait: bool = True,
    **options: Any,
) -> Fleet:
    """Connect to MCP servers and get a `Fleet`.

    Running the same cell again closes the fleet it made before instead of leaking it.

    Args:
        source: A config file, a URL, a command (list of str), an in-process server object, a dict
            `{name: any of these}`, or a list of these; anything of `mcpnb.discovery`, alone or among them.
        replicas: Which servers stand in for each other: True for all, or groups of names.
        strategy: A routing strategy by name, or an object.
        timeout: Seconds for a whole call, retries included; None waits for ever.
        name: What to call the fleet; it also replaces an open fleet of that name.
        wait: Return when each server is up or has said why not; else at once.
        options: `seed=`, `connect_timeout=` (seconds), `cache=` (True, seconds or a `CachePolicy`: keep what
            tools that only read answer); protections: `breaker=`, `retry=`, `hedge=`, `panic=`, `outlier=`,
            `queue=`; where calls come from: `home=`, `distances=`; who answers what servers ask:
            `on_elicit=`, `on_sample=`, `roots=` (a notebook asks its user itself, unless `on_elicit=None`; a
            call's time stands meanwhile, but see `question_timeout=`); how to log in: `auth=` ("oauth" or a
            `mcpnb.OAuth`), `tokens=` (where logins are kept), `on_login=` (likewise); and config keys for
            every server (`region=`, `tags=`, `max_in_flight=`, `connections=`, ...). What names mean that
            several servers have: `policy=`, `choices=` (a file that `save` wrote); `pin=` (a file: refuse
            tools that changed).
            `mcpnb.MultiServerClient` documents each.

    Raises:
        ConfigError: The configuration cannot work; names file, server, key and the fix.
        DiscoveryError: A backend of discovery that cannot be used at all.
    """
    chosen = {"replicas": replicas, "strategy": strategy, "timeout": timeout, **options}
    return Fleet(source, name=name, wait=wait, **chosen)


def current() -> Fleet | None:
    """The open fleet that was made last."""
    return next(reversed(_fleets.values()), None)


class _Verbs:
    """The verbs of a fleet and of its views."""

    _view: CallView | MultiServerClient
    _heard = False
    """Whether somebody of the caller's own hears of progress."""

    def call(self, tool: str, arguments: Mapping[str, Any] | None = None, /, **named: Any) -> Result:
        """Call a tool on the server that routing picks; every keyword is an argument of the tool.

        Interrupting the cell cancels the call on the server; the fleet stays usable.

        Raises:
            ToolNotFound, ArgumentError: Before anything is sent.
            ToolError: The tool said no.
            NoServerAvailable, ServerDisconnected, CallTimeout: No answer, and why.
        """
        self._view.check_open()
        return waited(tool, self.routed, tool, arguments, named)

    def call_tool(self, name: str, arguments: Mapping[str, Any] | None = None) -> Result:
        """The SDK's shape of `call`."""
        self._view.check_open()
        return waited(name, self.routed, name, arguments, {})

    def gather(self, tool: str, arguments: Mapping[str, Any] | None = None, /, **named: Any) -> Aggregate:
        """Call a tool on every server that has it, at once, and fuse the answers.

        Raises:
            NoServerAvailable: All of them failed; a line per server.
        """
        self._view.check_open()
        return waited(tool, self.gathered, tool, arguments, named)

    def form(self, tool: str, arguments: Mapping[str, Any] | None = None, /, **named: Any) -> ToolForm:
        """A form for a tool: a field for each argument, a button that calls it, the answer below.

        Nothing is called but by its buttons. Arguments given here are filled in at first. Where no tool has
        that name, a prompt may have it, or a template of resources: what is typed then is completed by the
        server, where it does that.

        Raises:
            ToolNotFound: No server offers it; suggests near names.
            ArgumentError: No field can hold an argument that is given here.
        """
        from mcpnb.notebook.forms import ToolForm  # noqa: PLC0415 - ipywidgets are loaded when first needed
        from mcpnb.notebook.forms.subjects import subject_of  # noqa: PLC0415 - as above

        self.check_open()
        start = {**(arguments or {}), **named}
        owner: Any = self  # a fleet or a view
        subject = subject_of(owner, self._view.catalog, self._view.listings(), tool)
        return self._keep(ToolForm(subject, start))

    def _keep(self, form: ToolForm) -> ToolForm:
        """Remember a form, to close it with the fleet; a view has no end of its own."""
        return form

    def check_open(self) -> None:
        """Nothing, as long as the fleet was not closed.

        Raises:
            ConfigError: It was.
        """
        self._view.check_open()

    def submit(
        self, tool: str, arguments: Mapping[str, Any] | None = None, /, **named: Any
    ) -> CallFuture[Result]:
        """Start a call and go on: the future has `.result()`, `.cancel()`, `.done()` and a Stop button."""
        self._view.check_open()
        future = CallFuture[Result](tool)
        if cells.in_kernel():
            cells.enter(future)
        get_portal().start(future, self.routed, tool, arguments, named)
        return future

    def map(
        self,
        tool: str,
        rows: Any,
        *,
        concurrency: int = 16,
        progress: bool = True,
        on_error: Literal["record", "raise"] = "record",
        checkpoint: str | Path | None = None,
        executor: Any = None,
    ) -> pd.DataFrame:
        """Call a tool once for each row, many at once; a row of the frame for each row, in their order.

        Args:
            tool: What to call.
            rows: A DataFrame (each column is an argument; an empty cell is not given), a list of dicts,
                single values for a tool with one required argument, or any iterable of these. A generator is
                pulled no further ahead than a few times `concurrency`, however slow the servers are. What is
                held of it are its arguments and answers, packed, and some 80 bytes a row: the frame has them.
            concurrency: Calls at once. Servers' own limits hold besides.
            progress: Show a bar with rows, rate, time left and errors.
            on_error: `record` makes a row that fails a row that says so; `raise` stops at the first.
            checkpoint: A folder of parquet files that keeps what is done. The same line resumes from it: rows
                with an answer are not called again; others are, unless they may have run and may not run
                twice (`options(idempotent=True)` allows that). A killed kernel loses the last two seconds.
            executor: Not there yet.

        Returns:
            The inputs, then `value`, `server`, `latency_ms` (missing when nothing was sent), `attempts` (0
            where nothing was sent, as for a row with the same arguments as an earlier one: it is called
            once), `outcome` (as in `calls`; `rejected` for arguments that do not fit) and `error`. An input
            called like one of these gets `_` at its end. The index is that of the rows.

            Interrupting the cell gives the frame, too: what is not done is `cancelled`, and one line says so.

        Raises:
            ToolNotFound, ArgumentError, TypeError: The tool or the rows as a whole cannot be.
            ConfigError: The checkpoint is that of another tool or of other rows; `executor=`.
            MapStopped: A row failed under `raise`, or the rows broke off; `.frame` has what was done.
        """
        from mcpnb.notebook import bulk  # noqa: PLC0415 - only for those who map

        settings = bulk.settings_of(
            executor, concurrency=concurrency, progress=progress, on_error=on_error, checkpoint=checkpoint
        )
        return bulk.map_rows(self._view, tool, rows, settings)

    async def mapped(self, tool: str, rows: Any, executor: Any, settings: Mapping[str, Any]) -> pd.DataFrame:
        """`map`, awaited on whatever loop."""
        from mcpnb.notebook import bulk  # noqa: PLC0415 - as above

        return await bulk.map_rows_async(self._view, tool, rows, bulk.settings_of(executor, **settings))

    def read(self, uri: str) -> Document:
        """Read a resource (a template's too: the URI filled in) from the server that routing picks.

        Raises:
            ToolNotFound: No server lists it, and no template fits.
            ToolError: The server would not give it.
            NoServerAvailable, ServerDisconnected, CallTimeout: No answer, and why.
        """
        self._view.check_open()
        return waited(uri, self.fetched, uri)

    def prompt(self, name: str, arguments: Mapping[str, Any] | None = None, /, **named: Any) -> Document:
        """Get a prompt from the server that routing picks; every keyword is an argument of the prompt.

        Raises as `read` does.
        """
        self._view.check_open()
        return waited(name, self.prompted, name, arguments, named)

    def complete(self, name: str, argument: str, value: str = "", **known: str) -> list[str]:
        """What an argument of a prompt, a resource template (its URI) or a tool may be, given its beginning.

        `known` are arguments that were filled in before. Raises as `read` does.
        """
        self._view.check_open()
        return get_portal().call(self._view.complete, name, argument, value, **known)

    def subscribe(self, uri: str) -> str:
        """Have an event `resource_updated` told when a resource changes; returns the server that tells.

        `fleet.on("resource_updated", callback)` hears of it. Raises as `read` does.
        """
        self._view.check_open()
        return get_portal().call(self._view.subscribe, uri)

    def unsubscribe(self, uri: str) -> None:
        """Hear no more of a resource."""
        self._view.check_open()
        get_portal().call(self._view.unsubscribe, uri)

    @property
    def aio(self) -> AsyncVerbs:
        """The same verbs as awaitables, for cells that use top-level await."""
        return AsyncVerbs(self)

    async def routed(
        self, tool: str, arguments: Mapping[str, Any] | None, named: Mapping[str, Any]
    ) -> Result:
        """`call` as it runs on the portal's loop."""
        view, report = self._view, None if self._heard else reporter()
        if report is not None:
            view = view.options(on_progress=report)
        return Result.of(await view.call(tool, arguments, **named))

    async def gathered(
        self, tool: str, arguments: Mapping[str, Any] | None, named: Mapping[str, Any]
    ) -> Aggregate:
        """`gather` as it runs on the portal's loop."""
        return Aggregate.of(await self._view.gather(tool, arguments, **named))

    async def completions(self, name: str, argument: str, value: str, known: Mapping[str, str]) -> list[str]:
        """`complete` as it runs on the portal's loop."""
        return await self._view.complete(name, argument, value, **known)

    async def fetched(self, uri: str) -> Document:
        """`read` as it runs on the portal's loop."""
        return Document.of(await self._view.read(uri))

    async def prompted(
        self, name: str, arguments: Mapping[str, Any] | None, named: Mapping[str, Any]
    ) -> Document:
        """`prompt` as it runs on the portal's loop."""
        return Document.of(await self._view.prompt(name, arguments, **named))


class AsyncVerbs:
    """A fleet's verbs as awaitables. They work on any event loop, the notebook's own included."""

    def __init__(self, verbs: _Verbs) -> None:
        self._verbs = verbs

    def __repr__(self) -> str:
        return f"<AsyncVerbs of {self._verbs!r}>"

    async def call(self, tool: str, arguments: Mapping[str, Any] | None = None, /, **named: Any) -> Result:
        """See `Fleet.call`."""
        return await awaited(tool, self._verbs.routed, tool, arguments, named)

    async def call_tool(self, name: str, arguments: Mapping[str, Any] | None = None) -> Result:
        """See `Fleet.call_tool`."""
        return await self.call(name, arguments)

    async def gather(
        self, tool: str, arguments: Mapping[str, Any] | None = None, /, **named: Any
    ) -> Aggregate:
        """See `Fleet.gather`."""
        return await awaited(tool, self._verbs.gathered, tool, arguments, named)

    async def map(self, tool: str, rows: Any, *, executor: Any = None, **settings: Any) -> pd.DataFrame:
        """See `Fleet.map`. Cancelling it raises; a checkpoint has what was done until then."""
        return await self._verbs.mapped(tool, rows, executor, settings)

    async def read(self, uri: str) -> Document:
        """See `Fleet.read`."""
        return await awaited(uri, self._verbs.fetched, uri)

    async def prompt(
        self, name: str, arguments: Mapping[str, Any] | None = None, /, **named: Any
    ) -> Document:
        """See `Fleet.prompt`."""
        return await awaited(name, self._verbs.prompted, name, arguments, named)


class View(_Verbs):
    """A fleet's verbs under other call options; see `Fleet.options`."""

    def __init__(self, view: CallView, heard: bool) -> None:
        self._view, self._heard, self.call_options = view, heard, view.call_options
        self.tool = Tools(self, view.catalog)
        """As `Fleet.tool`, under these options."""

    @showing_options
    def options(self, **changes: Any) -> View:
        """A view with further options."""
        return View(self._view.options(**changes), _heard(changes, self._heard))

    def __repr__(self) -> str:
        return repr(self._view).replace("CallView", "View", 1)


def _heard(changes: Mapping[str, Any], before: bool) -> bool:
    """Whether somebody hears of progress under these options, given whether somebody did before."""
    return changes["on_progress"] is not None if "on_progress" in changes else before


class Fleet(_Verbs, ConflictVerbs, LoginVerbs):
    """Many MCP servers behind one set of verbs. Made by `mcpnb.connect`, which documents the arguments.

    A context manager; also closed at interpreter exit. Nothing is left behind then.
    """

    def __init__(self, source: Any, *, name: str | None = None, wait: bool = True, **options: Any) -> None:
        self._desk = LoginDesk()
        if cells.in_kernel():
            cells.watch()
            completing.install()
            options.setdefault("on_elicit", DESK.ask)
            options.setdefault("on_login", self._desk.ask)
        self.client = self._view = MultiServerClient(source, name=name or _name_of(source), **options)
        if cells.in_kernel():
            self.client.on("sampling_declined", Declined())
            self.client.on("auth", self._desk.hear)
            self.client.discovery.ask(discovered.person())
        self._key: object = name or self.client.addresses
        self._closed = False
        self.tool = Tools(self, self.client.catalog)
        """The tools as functions: `fleet.tool.weather.forecast("London")`, `fleet.tool["a-b"]`."""
        self._dashboards: WeakSet[Dashboard] = WeakSet()
        self._forms: WeakSet[ToolForm] = WeakSet()
        self._recordings: set[LiveRecording] = set()
        if previous := _fleets.get(self._key):
            self.client.access.inherit(previous.client.access)
            previous.close()
        _alive.add(id(self))
        self._unregister = get_portal().register(self.client.aclose)
        try:
            waited("connect", self._start, wait)
        except BaseException:
            self.close()
            raise
        _fleets[self._key] = self

    async def _start(self, wait: bool) -> None:
        await self.client.start(wait=wait)

    # -- call options and strategies

    @showing_options
    def options(self, **changes: Any) -> View:
        """The same verbs with other call options, so that they never collide with a tool's arguments.

        Args:
            changes: which servers: `server=`, `tags=`, `version=` (`">=2,<3"`), `region=`, `strict=`,
                `affinity=` (one key, one server); how: `strategy=`, `timeout=` (seconds), `priority=`
                ("high", "normal", "low"), `retries=`, `idempotent=`, `hedge=` (True or seconds), `cache=`;
                of `gather`: `fuse=`, `quorum=`; `raise_on_error=`. See `mcpnb.model.CallOptions`.

        Raises:
            TypeError, ValueError, StrategyError: An option that there is not, or a value that is none for it.
        """
        return View(self.client.options(**changes), _heard(changes, False))

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
        """Connect to one more server, or follow a backend of `mcpnb.discovery`, while calls are running."""
        self.client.check_open()
        get_portal().call(self.client.adding(name, target, **config))

    def remove(self, name: str, *, drain: bool = True) -> None:
        """Disconnect from a server; with `drain`, its running calls end first."""
        self.client.check_open()
        get_portal().call(self.client.remove, name, drain=drain)

    def reconnect(self, name: str) -> None:
        """Drop a server's session and connect anew, without waiting for the backoff."""
        self.client.check_open()
        get_portal().call(self.client.reconnect, name)

    def register(
        self, backend: Publisher, *servers: str, service: str | None = None, ttl: float = 15.0
    ) -> Registered:
        """Publish servers of this fleet in Consul or etcd, so that others discover them.

        Each is renewed while it is connected, runs out `ttl` seconds after it went down, and is taken out
        when the registration or the fleet is closed.

        Args:
            backend: `mcpnb.discovery.Consul(url, service=...)` or `mcpnb.discovery.Etcd(url, prefix=...)`.
            servers: Their names; by default all that others can reach.
            service: What they are published as; by default the backend's service, else their replica group.
            ttl: Seconds, 1 to 3600.

        Raises:
            ConfigError: No such server, or one that others cannot reach.
            DiscoveryError: The directory would not take them.
        """
        self.client.check_open()
        registration = get_portal().call(self.client.register, backend, *servers, service=service, ttl=ttl)
        return discovered.Registered(registration, get_portal().call)

    def set_roots(self, roots: Iterable[str | Path]) -> None:
        """Let servers know of other folders from now on; the fleet was connected with `roots=`."""
        self.client.check_open()
        get_portal().call(self.client.set_roots, roots)

    def trip(self, name: str, tool: str | None = None) -> None:
        """Open a server's circuit breaker by hand: it gets no calls until it is well again or `reset`.

        With `tool` only that tool's, where each has its own (`BreakerPolicy(per_tool=True)`).
        """
        self.run(self._act, self.client.trip, name, tool)

    def reset(self, name: str | None = None, tool: str | None = None) -> None:
        """Close a server's circuit breaker by hand, or every one."""
        self.run(self._act, self.client.reset, name, tool)

    def fallback(self, tool: str, alternatives: Sequence[str]) -> None:
        """Try these tools, in this order, when no server answers for `tool`; an empty list takes that back.

        A stand-in gets those of the call's arguments that it knows, under the call's one deadline. A tool's
        own "no" is an answer: nothing stands in then.

        Raises:
            ValueError: The tool would stand in for itself.
        """
        self.run(self._act, self.client.fallback, tool, alternatives)

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
    def resources(self) -> pd.DataFrame:
        """One row per resource or template and server."""
        return documents.resources_frame(self._listings())

    @property
    def prompts(self) -> pd.DataFrame:
        """One row per prompt and server."""
        return documents.prompts_frame(self._listings())

    def _listings(self) -> dict[str, Listing]:
        # A copy: the loop adds and removes servers meanwhile.
        return {name: link.listing for name, link in list(self.client.members.connections.items())}

    @property
    def conflicts(self) -> pd.DataFrame:
        """One row per name that different servers offer differently: who was chosen and why.

        Columns: at (UTC, since when), kind, tool (the name), policy, chosen, rejected, why. `events` has the
        earlier ones.
        """
        return frames.conflicts_frame(self.client.catalog)

    @property
    def discovery(self) -> pd.DataFrame:
        """One row per backend of discovery: what it asks, how it is, what it brought, what is wrong."""
        return frames.discovery_frame(self.client.discovery.status())

    @property
    def breakers(self) -> pd.DataFrame:
        """One row per server, or per server and tool where each tool has its own breaker.

        Columns: server, tool, state, reason, opens (in a row), probe_in_s (seconds, while it is open).
        """
        return frames.breakers_frame(self.run(self._breakers))

    async def _breakers(self) -> list[frames.BreakerRow]:
        now = time.monotonic()
        return [
            frames.BreakerRow(
                server,
                tool,
                breaker.state,
                breaker.reason,
                breaker.opens,
                max(0.0, breaker.until - now) if breaker.state == "open" else float("nan"),
            )
            for server in self.client.members.connections
            for tool, breaker in self.client.breakers(server).items()
        ]

    @property
    def cache(self) -> Cache:
        """The answers that are kept: `.info()` counts, `.clear()` forgets. Off unless asked for."""
        return self.client.cache

    @property
    def calls(self) -> pd.DataFrame:
        """One row per attempt, oldest first; latency and queueing in ms."""
        return frames.calls_frame(self.log)

    @property
    def events(self) -> pd.DataFrame:
        """What happened, oldest first: at (UTC), kind, server, detail."""
        return frames.events_frame(self.event_log)

    def latency(self, by: str | Sequence[str] = "server", window: float | None = None) -> pd.DataFrame:
        """What the calls so far say about each server, tool or strategy.

        Columns: count, errors, error_rate, mean/p50/p90/p95/p99/max in ms, throughput per second.

        Args:
            by: "server", "tool", "strategy", or several of them.
            window: Only attempts of that many last seconds; None takes all.

        Raises:
            ValueError: For anything else to group by.
        """
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
        """Call `callback` with each later event of a kind. Returns what unsubscribes it.

        It runs in the fleet's own thread, so it should be quick and cannot call tools itself. One that raises
        is reported once, as a warning and as an event.

        Args:
            kind: `server_state`, `breaker_state`, `outlier`, `tools_changed`, `conflict`, `fallback`, ...; an
                unknown one is an error that lists them. `*` is all that `events` shows. `call_finished` comes
                at the end of each call, its `data` saying call, tool, outcome, latency and queued in seconds,
                attempts, hedges, cached and error. Only those who ask for it by name get it, and `events`
                does not keep it: `calls` does.
            callback: Gets an `Event` with `at` (Unix time), `kind`, `server`, `detail` and `data`.
        """
        return self.client.on(kind, callback)

    # -- pictures

    @property
    def plot(self) -> Plots:
        """Pictures of the calls so far, by matplotlib.

        `.latency()`, `.cdf()`, `.timeline()`, `.heatmap()`, `.errors()`, `.share()`; each takes `ax=` and
        gives its Axes.
        """
        from mcpnb.notebook.plots import Plots  # noqa: PLC0415 - matplotlib is loaded when first needed

        return Plots(self.log)

    def dashboard(self, window: float = 60.0) -> Dashboard:
        """A live panel of servers, strategy, latency, share of traffic, events; `window` seconds back."""
        from mcpnb.notebook.dashboard import Dashboard  # noqa: PLC0415 - ipywidgets are loaded when first needed

        shown = Dashboard(self, window=window)
        self._dashboards.add(shown)
        return shown

    def _keep(self, form: ToolForm) -> ToolForm:
        self._forms.add(form)
        return form

    def panels(self) -> list[Panel]:
        """Further panels for the dashboard: logins, directories, conflicts, a race, where there are any."""
        directories = directories_panel(self.client.discovery.status)
        return [logins_panel(self), directories, conflicts_panel(self), race_panel(self)]

    # -- experiments

    def race(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        /,
        *,
        strategies: Sequence[Any] | None = None,
        repeatable: bool = False,
        **named: Any,
    ) -> Race:
        """Send one call under each of several strategies, one after the other, and draw what became of them.

        Args:
            tool: One that only reads.
            arguments: Its arguments as a dict, for tools whose arguments are called like ours.
            strategies: Names or strategies, each with no history; by default the fleet's and four known ones.
            repeatable: The tool may be called several times although it does not say so.
            named: Arguments of the tool.

        Raises:
            McpnbError: The tool may change something.
            ToolNotFound, ArgumentError, StrategyError: Before anything is sent.
        """
        asked = {**(arguments or {}), **named}
        return self.run(run_race, self.client, tool, asked, strategies, repeatable)

    def safe_tools(self) -> dict[str, list[str]]:
        """Tools that say that they only read, by name, each with the arguments that it cannot do without."""
        known = sorted(self.client.catalog.entries, key=lambda entry: entry.name)
        return {e.name: [p.name for p in e.parameters if p.required] for e in known if e.read_only}

    def experiment_view(self, strategy: Any) -> FleetTrial:
        """Calls under a strategy with a fresh state of its own, for `mcpnb.compare`."""
        self.client.check_open()
        return FleetTrial(self.client.trial(strategy))

    def record(self, path: str | Path, *, overwrite: bool = False) -> LiveRecording:
        """Write every call and answer from now on into a file, until `.stop()` or the end of a `with` block.

        Gathered calls, resources and prompts too. `mcpnb.replay(path)` answers from it, `mcpnb.Recording`
        looks into it. Secrets of the configuration read ••• in it.

        Raises:
            RecordingError: There is a file already, and `overwrite` is not said; or it cannot be written.
        """
        from mcpnb.experiment.recording import LiveRecording  # noqa: PLC0415 - loaded when first needed

        running = LiveRecording(self.client, path, overwrite=overwrite, run=self.run)
        self._recordings.add(running)
        return running

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: Any) -> T:
        """Run a coroutine function on the fleet's event loop and wait for it. Interruptible."""
        self.client.check_open()
        return get_portal().call(function, *args)

    # -- end

    def close(self) -> None:
        """End every connection and server process of ours. Closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._unregister()
        with ExitStack() as ending:  # from the last to the first, each whatever becomes of the others
            ending.callback(self._hang_up)
            for running in self._recordings:
                ending.callback(running.stop)
            ending.callback(self._desk.close)
            for shown in [*self._dashboards, *self._forms]:  # each leaves a last true picture behind
                ending.callback(shown.close)

    def _hang_up(self) -> None:
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

        directories = self.client.discovery.status()
        logins, now = self.login_rows(), time.time()
        return display.fleet_bundle(self.name, self.strategy, self.status(), directories, logins, now)


def _name_of(source: Any) -> str:
    """A short name for what a fleet connects to."""
    if isinstance(source, str | Path):
        text = str(source)
        return (
            text.split("//", 1)[1].split("/", 1)[0].rpartition("@")[2] if "://" in text else Path(text).stem
        )
    if isinstance(source, Backend):
        return source.kind
    if isinstance(source, dict) and "mcpServers" not in source:
        return "+".join(str(key) for key in list(source)[:3])
    return "fleet"
