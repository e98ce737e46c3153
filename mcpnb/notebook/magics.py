"""`%load_ext mcpnb` and the `%mcp` line magic: the fleet's verbs for people who type rather than program.

It owns the magic's words and what loading the extension changes. It decides nothing: every form is one
call of the current fleet, which it is handed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from mcpnb.errors import McpnbError, suggest
from mcpnb.notebook import nest
from mcpnb.notebook.arguments import parse
from mcpnb.notebook.doctor import doctor, shell_message_hazard

HELP: Final = """\
%mcp                        the current fleet and its servers (also: %mcp status)
%mcp connect SOURCE         connect: a config file, a URL, or a command with its arguments
%mcp tools                  what the servers offer
%mcp strategy [NAME]        the routing strategies, or change to one
%mcp call TOOL k=v ...      call a tool; values are JSON, else text; $name takes a variable
%mcp call TOOL {"k": v}     the same with one JSON object
%mcp nest on|off            let loop.run_until_complete(...) work in cells (nest-asyncio)
%mcp doctor                 hazards of this kernel, in plain words
%mcp help                   this

Every form gives a value: result = %mcp call weather.forecast location="New York" days=3"""

LOADED: Final = "mcpnb: asyncio.run(main()) works in cells now, on its own thread. See %mcp help."


class FleetLike(Protocol):
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
    def tools(self) -> Any:
        """A row per tool and server."""
        ...

    def strategies(self) -> Mapping[str, str]:
        """Name → one line of help."""
        ...

    def call(self, tool: str, arguments: Mapping[str, Any], /) -> Any:
        """One routed call."""
        ...


class Shell(Protocol):
    """IPython's shell, as far as the magic needs it."""

    user_ns: dict[str, Any]

    def register_magic_function(self, func: Callable[[str], Any], magic_kind: str, magic_name: str) -> None:
        """Make `%magic_name` call `func` with the rest of the line."""
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
    """The `%mcp` line magic: `magic("call weather.forecast location=London")`.

    Args:
        variables: The notebook's variables, for `$name`.
        current: Gives the fleet to work on, or None.
        connect: Makes a fleet from a file, a URL, or a command as a list.
    """

    def __init__(
        self,
        variables: Mapping[str, Any],
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
        word, _, rest = line.strip().partition(" ")
        form = self._forms.get(word)
        if form is None:
            near = suggest(word, filter(None, self._forms))
            hint = f" Did you mean {', '.join(near)}?" if near else ""
            raise _usage(f"%mcp {word} is not known.{hint} See %mcp help")
        return form(rest.strip())

    def _fleet(self) -> FleetLike:
        fleet = self._current()
        if fleet is None:
            raise NoFleet
        return fleet

    def _status(self, rest: str) -> Any:
        _nothing_more("status", rest)
        return self._fleet()

    def _tools(self, rest: str) -> Any:
        _nothing_more("tools", rest)
        return self._fleet().tools

    def _connect(self, rest: str) -> Any:
        if not rest:
            raise _usage("%mcp connect wants a config file, a URL, or a command with its arguments")
        words = _words(rest)
        return self._connect_to(words[0] if len(words) == 1 else words)

    def _strategy(self, rest: str) -> Any:
        fleet = self._fleet()
        if rest:
            fleet.strategy = rest
            return Text(f"strategy: {fleet.strategy}")
        lines = [
            f"{'→' if name == fleet.strategy else ' '} {name:16} {line}"
            for name, line in fleet.strategies().items()
        ]
        return Text("\n".join(lines))

    def _call(self, rest: str) -> Any:
        tool, _, written = rest.partition(" ")
        if not tool:
            raise _usage(
                "%mcp call wants a tool and its arguments: %mcp call weather.forecast location=London"
            )
        try:
            arguments = parse(written, self._variables)
        except ValueError as error:
            raise _usage(f"%mcp call {tool}: {error}") from None
        return self._fleet().call(tool, arguments)

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


def _words(text: str) -> list[str]:
    import shlex  # noqa: PLC0415 - only `connect` needs it

    try:
        return shlex.split(text)
    except ValueError as error:  # a quote that is not closed
        raise _usage(f"%mcp connect: {error}") from None


def _nothing_more(form: str, rest: str) -> None:
    if rest:
        raise _usage(f"%mcp {form} takes nothing more, but got {rest!r}. See %mcp help")


def _usage(message: str) -> Exception:
    from IPython.core.error import UsageError  # noqa: PLC0415 - IPython is loaded when first needed

    return UsageError(message)


def line_function(magic: McpMagic) -> Callable[[str], Any]:
    """The magic as IPython wants it: a function with a docstring, whose line is passed on as it was typed."""
    from IPython.core.magic import no_var_expand  # noqa: PLC0415 - IPython is loaded when first needed

    def mcp(line: str) -> Any:
        return magic(line)

    mcp.__doc__ = f"Many MCP servers from one line.\n\n{HELP}"
    return no_var_expand(mcp)  # it would format {"days": 3} as if it were a template


def load_ipython_extension(shell: Shell) -> None:
    """What `%load_ext mcpnb` does: `asyncio.run` works in cells, and `%mcp` exists. Prints one line."""
    shell.register_magic_function(line_function(McpMagic(shell.user_ns)), "line", "mcp")
    nest.install()
    print(LOADED)  # noqa: T201 - the one line that loading promises
    if (hazard := shell_message_hazard(nest.ipykernel_version())) is not None:
        print(f"mcpnb: {hazard.what} {hazard.fix}")  # noqa: T201 - once, where the reader is


def unload_ipython_extension(shell: Any) -> None:
    """Undo what loading did."""
    nest.uninstall()
    shell.magics_manager.magics["line"].pop("mcp", None)
