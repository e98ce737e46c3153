"""The `%mcp` line magic and the `%%mcp` cell magic: the fleet's verbs for people who type, not program.

It owns the magic's words. It decides nothing: every form is one call of the current fleet, which it is
handed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final, Protocol

from mcpnb.errors import McpnbError, suggest
from mcpnb.notebook import nest
from mcpnb.notebook.arguments import as_taken
from mcpnb.notebook.doctor import doctor
from mcpnb.notebook.magics.body import read_body
from mcpnb.notebook.magics.request import Request, assigned, read_request
from mcpnb.notebook.shapes import fields_of

__all__ = ["HELP", "McpMagic", "NoFleet", "Text"]

HELP: Final = """\
%mcp                        the current fleet and its servers (also: %mcp status)
%mcp connect SOURCE         connect: a config file, a URL, or a command with its arguments
%mcp tools                  what the servers offer
%mcp strategy [NAME]        the routing strategies, or change to one
%mcp call TOOL k=v ...      call a tool; values are JSON where it fits, else text; $name takes a variable
%mcp call TOOL {"k": v}     the same with one JSON object
    --all                   ask every server that has the tool, at once
    --server NAME           ask this server
    --as df                 give the answer as a DataFrame (or: --as value)
%mcp name << call ...       put the answer into a variable and show nothing
%%mcp TOOL [--all ...]      the arguments in the lines below, as YAML or JSON (also: %%mcp name << TOOL)
%mcp login [NAME]           log in, where a server needs it; %mcp logout [NAME] takes it back
%mcp nest on|off            let loop.run_until_complete(...) work in cells (nest-asyncio)
%mcp doctor                 hazards of this kernel, in plain words
%mcp help                   this

Every form gives a value: result = %mcp call weather.forecast location="New York" days=3"""


class Verbs(Protocol):
    """The verbs that a call needs."""

    def call(self, tool: str, arguments: Mapping[str, Any], /) -> Any:
        """One routed call."""
        ...

    def gather(self, tool: str, arguments: Mapping[str, Any], /) -> Any:
        """One call at every server that has the tool."""
        ...


class FleetLike(Verbs, Protocol):
    """A fleet, as far as the magic needs it."""

    @property
    def strategy(self) -> str:
        """The routing strategy's name."""
        ...

    @strategy.setter
    def strategy(self, choice: Any) -> None:
        """Change to it, on running calls, too."""
        ...

    @property
    def tool(self) -> Any:
        """Name → tool with its `schema`."""
        ...

    @property
    def tools(self) -> Any:
        """A row per tool and server."""
        ...

    def strategies(self) -> Mapping[str, str]:
        """Name → one line of help."""
        ...

    def login(self, server: str | None = None) -> None:
        """Log in to a server, or wherever it is needed."""
        ...

    def logout(self, server: str | None = None) -> None:
        """Forget a server's login, or every one."""
        ...

    def options(self, *, server: str) -> Verbs:
        """The same verbs, at one server."""
        ...


class NoFleet(McpnbError):
    """There is no fleet yet that the magic could work on."""

    def __init__(self) -> None:
        super().__init__("There is no fleet yet. Connect first: %mcp connect mcp.json")


class Text(str):
    """A text that a cell shows as it is, line by line, rather than as a quoted string."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _current() -> FleetLike | None:
    from mcpnb.notebook.fleet import current  # noqa: PLC0415 - loading the extension must stay quick

    return current()


def _connect(source: str | list[str]) -> Any:
    from mcpnb.notebook.fleet import connect  # noqa: PLC0415 - loading the extension must stay quick

    return connect(source)


class McpMagic:
    """The magics: `magic("call weather.forecast location=London")`, `magic.cell("weather.forecast", body)`.

    Args:
        variables: The notebook's variables, for `$name` and `name <<`.
        current: Gives the fleet to work on, or None.
        connect: Makes a fleet from a file, a URL, or a command as a list.
    """

    def __init__(
        self,
        variables: MutableMapping[str, Any],
        *,
        current: Callable[[], FleetLike | None] = _current,
        connect: Callable[[str | list[str]], Any] = _connect,
    ) -> None:
        self._variables, self._current, self._connect_to = variables, current, connect
        self._forms: dict[str, Callable[[str], Any]] = {
            "": self._status,
            "call": self._call,
            "connect": self._connect,
            "doctor": self._doctor,
            "help": self._help,
            "login": self._login,
            "logout": self._logout,
            "nest": self._nest,
            "status": self._status,
            "strategy": self._strategy,
            "tools": self._tools,
        }

    def __call__(self, line: str) -> Any:
        """Carry out one line.

        Raises:
            UsageError: IPython's, for a line that is no form of the magic; it shows as one line.
            McpnbError: What the fleet said; it shows as one line, too.
        """
        target, rest = _read("%mcp", assigned, line.strip())
        word, _, rest = rest.strip().partition(" ")
        form = self._forms.get(word)
        if form is None:
            near = suggest(word, filter(None, self._forms))
            hint = f" Did you mean {', '.join(near)}?" if near else ""
            raise _usage(f"%mcp {word} is not known.{hint} See %mcp help")
        return self._given(target, form(rest.strip()))

    def cell(self, line: str, body: str) -> Any:
        """Carry out a cell: the tool and its options in the first line, its arguments below.

        Raises as a line does.
        """
        target, rest = _read("%%mcp", assigned, line.strip())
        request = _read("%%mcp", read_request, rest, self._variables)
        if not request.tool:
            raise _usage("%%mcp wants a tool in its first line: %%mcp weather.forecast")
        if not request.bare:
            raise _usage(f"%%mcp {request.tool}: the arguments belong into the lines below")
        arguments, words = _read(f"%%mcp {request.tool}", read_body, body, self._variables)
        return self._given(target, self._asked(request._replace(arguments=arguments, words=words)))

    def _given(self, target: str | None, value: Any) -> Any:
        """The value for the cell to show; nothing where it goes into a variable."""
        if target is None:
            return value
        self._variables[target] = value
        return None

    @property
    def _fleet(self) -> FleetLike:
        fleet = self._current()
        if fleet is None:
            raise NoFleet
        return fleet

    def _status(self, rest: str) -> Any:
        _nothing_more("status", rest)
        return self._fleet

    def _tools(self, rest: str) -> Any:
        _nothing_more("tools", rest)
        return self._fleet.tools

    def _connect(self, rest: str) -> Any:
        if not rest:
            raise _usage("%mcp connect wants a config file, a URL, or a command with its arguments")
        words = _words(rest)
        return self._connect_to(words[0] if len(words) == 1 else words)

    def _strategy(self, rest: str) -> Any:
        fleet = self._fleet
        if rest:
            fleet.strategy = rest
            return Text(f"strategy: {fleet.strategy}")
        known = fleet.strategies()
        width = max(map(len, known), default=0)
        lines = [
            f"{'→' if name == fleet.strategy else ' '} {name:{width}} {line}" for name, line in known.items()
        ]
        return Text("\n".join(lines))

    def _login(self, rest: str) -> None:
        self._fleet.login(rest or None)

    def _logout(self, rest: str) -> None:
        self._fleet.logout(rest or None)

    def _call(self, rest: str) -> Any:
        request = _read(f"%mcp call {rest.partition(' ')[0]}".strip(), read_request, rest, self._variables)
        if not request.tool:
            raise _usage(
                "%mcp call wants a tool and its arguments: %mcp call weather.forecast location=London"
            )
        return self._asked(request)

    def _asked(self, request: Request) -> Any:
        fleet = self._fleet
        verbs = fleet if request.server is None else fleet.options(server=request.server)
        ask = verbs.gather if request.every else verbs.call
        answer = ask(request.tool, _as_taken(fleet, request))
        return getattr(answer, request.kind) if request.kind else answer

    def _nest(self, rest: str) -> Any:
        if rest == "on":
            return Text(nest.apply_nesting(ipykernel=nest.ipykernel_version()))
        if rest == "off":
            return Text(nest.refuse_to_undo_nesting())
        raise _usage("%mcp nest wants on or off")

    def _doctor(self, rest: str) -> Any:
        _nothing_more("doctor", rest)
        return doctor()

    def _help(self, rest: str) -> Any:
        _nothing_more("help", rest)
        return Text(HELP)


def _as_taken(fleet: FleetLike, request: Request) -> Mapping[str, Any]:
    """The arguments as the tool takes them: a number that was typed for a text is that text."""
    if not request.words:
        return request.arguments
    name = request.tool if request.server is None else f"{request.server}:{request.tool}"
    try:
        schema = fleet.tool[name].schema
    except McpnbError:  # the call itself says what is wrong
        return request.arguments
    fields = {field.name: field for field in fields_of(schema)}
    return as_taken(request.arguments, request.words, fields)


def _read(what: str, read: Callable[..., Any], *args: Any) -> Any:
    """What `read` makes of a text; its complaint as IPython's."""
    try:
        return read(*args)
    except ValueError as error:
        raise _usage(f"{what}: {error}") from None


def _words(text: str) -> list[str]:
    import shlex  # noqa: PLC0415 - only `connect` needs it

    return _read("%mcp connect", shlex.split, text)  # a quote may not be closed


def _nothing_more(form: str, rest: str) -> None:
    if rest:
        raise _usage(f"%mcp {form} takes nothing more, but got {rest!r}. See %mcp help")


def _usage(message: str) -> Exception:
    from IPython.core.error import UsageError  # noqa: PLC0415 - IPython is loaded when first needed

    return UsageError(message)
