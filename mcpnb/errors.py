"""Every error that mcpnb raises. It owns the words; it knows no MCP, no I/O and no frames.

    McpnbError
    ├── ConfigError            a configuration that cannot work: names file, server, key and the fix
    ├── DiscoveryError         a discovery backend that cannot be used
    ├── ConnectError           a server that did not take the connection or the call: nothing was executed
    │   └── AuthError          ... because it wants other credentials
    ├── ToolNotFound           no server offers that name (suggests near ones)
    ├── AmbiguousTool          several different tools have that name and the policy picks none
    ├── ToolChanged            a tool that is not what it was when it was approved; nothing was sent
    ├── ArgumentError          arguments that do not fit the tool's schema; nothing was sent
    ├── NoServerAvailable      no candidate could take the call: says why, per server, and when to try again
    ├── Overloaded             the call was shed before it was sent
    ├── CallTimeout            the call's one deadline passed
    ├── ServerDisconnected     the server went away while it worked on the call
    ├── ToolError              the tool itself said no; carries its result
    ├── StrategyError          a routing strategy that is unknown, misconfigured or misbehaves
    ├── RecordingError         a recording that cannot be made, or read: names file and line
    └── NotRecorded            a call that a recording has no answer for: names the nearest it has

Attributes carry the facts. The message says what happened, why, and what to do next.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping
from types import TracebackType

from mcpnb.unseen import visible

__all__ = [
    "AmbiguousTool",
    "ArgumentError",
    "AuthError",
    "CallTimeout",
    "ConfigError",
    "ConnectError",
    "DiscoveryError",
    "McpnbError",
    "NoServerAvailable",
    "NotRecorded",
    "Overloaded",
    "RecordingError",
    "ServerDisconnected",
    "StrategyError",
    "ToolChanged",
    "ToolError",
    "ToolNotFound",
]


_SHOWN = 4_000
"""Characters of an error that a cell shows."""


class McpnbError(Exception):
    """The root of the tree. In IPython it shows as one readable line instead of a traceback."""

    attempts = 0
    """Attempts that were sent for the call that raised it; 0 when nothing was sent, or it was no call."""

    def _render_traceback_(self) -> list[str]:
        """IPython's hook: what a cell shows. `mcpnb.tb()` prints the whole traceback.

        What a server says in it can neither steer the terminal nor fill the notebook.
        """
        _Last.error = self
        said = str(self)
        more = f"… {len(said) - _SHOWN:,} more characters: str(error) has them" if len(said) > _SHOWN else ""
        return [f"{type(self).__name__}: {visible(said[:_SHOWN], lines=True)}{more}"]


class _Last:
    """The error that a cell showed last, kept for `mcpnb.tb()`."""

    error: BaseException | None = None


def last_error() -> BaseException | None:
    """The error that IPython showed last as one line, or the interpreter's own last error."""
    return _Last.error or getattr(sys, "last_value", None)


def suggest(word: str, known: Iterable[str], *, n: int = 3) -> tuple[str, ...]:
    """Names from `known` that look like `word`, nearest first."""
    by_fold = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), by_fold, n=n, cutoff=0.55)
    return tuple(by_fold[name] for name in near)


def _did_you_mean(suggestions: Iterable[str]) -> str:
    names = ", ".join(suggestions)
    return f" Did you mean {names}?" if names else ""


class ConfigError(McpnbError):
    """A configuration that cannot work."""

    def __init__(
        self,
        problem: str,
        *,
        file: str | None = None,
        server: str | None = None,
        key: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.problem, self.file, self.server, self.key, self.fix = problem, file, server, key, fix
        where = [
            text
            for text in (file, f"server {server!r}" if server else None, f"key {key!r}" if key else None)
            if text
        ]
        super().__init__(": ".join([*where, problem]) + (f" {fix}" if fix else ""))


class DiscoveryError(McpnbError):
    """A discovery backend that cannot be used.

    Attributes:
        backend: Which one, as it is shown, without secrets.
        problem: What is wrong.
        lasting: Whether waiting will not help: a wrong address, no such record, something not installed.
    """

    def __init__(
        self, problem: str, *, backend: str | None = None, fix: str | None = None, lasting: bool = False
    ) -> None:
        self.problem, self.backend, self.fix, self.lasting = problem, backend, fix, lasting
        super().__init__((f"{backend}: " if backend else "") + problem + (f" {fix}" if fix else ""))


class ConnectError(McpnbError):
    """A server that did not take the connection or the call. Nothing was executed.

    Attributes:
        server: Its name.
        reason: Why, in plain words.
        retry_after: Seconds until it wants to be asked again, or will be; when known.
    """

    def __init__(self, server: str, reason: str, *, retry_after: float | None = None) -> None:
        self.server, self.reason, self.retry_after = server, reason, retry_after
        again = "" if retry_after is None else f"\nTry again in {retry_after:.1f} s."
        super().__init__(f"{server}: {reason}{again}")


class AuthError(ConnectError):
    """A server that wants other credentials.

    Attributes:
        narrow: Whether it wants them for this call only: the credentials there are do for others.
    """

    def __init__(
        self, server: str, reason: str, *, retry_after: float | None = None, narrow: bool = False
    ) -> None:
        self.narrow = narrow
        super().__init__(server, reason, retry_after=retry_after)


class ToolNotFound(McpnbError):
    """No server offers a tool (or resource, or prompt) of that name."""

    def __init__(self, tool: str, known: Iterable[str] = (), *, kind: str = "tool", note: str = "") -> None:
        self.tool, self.kind = tool, kind
        self.suggestions = suggest(tool, known)
        super().__init__(f"No server offers the {kind} {tool!r}.{_did_you_mean(self.suggestions)}{note}")


class AmbiguousTool(McpnbError):
    """Several different tools have that name and the policy picks none."""

    def __init__(self, tool: str, servers: Iterable[str]) -> None:
        self.tool, self.servers = tool, tuple(servers)
        ways = ", ".join(f"{server}:{tool}" for server in self.servers)
        super().__init__(
            f"{tool!r} is offered by different servers. Say which one: {ways}, or options(server=...)"
        )


class ToolChanged(McpnbError):
    """A tool that is not what it was when it was approved. Nothing was sent.

    Attributes:
        tool: Its name.
        changes: Server → what is different there.
    """

    def __init__(self, tool: str, changes: Mapping[str, str]) -> None:
        self.tool, self.changes = tool, dict(changes)
        lines = "".join(f"\n  {server}: {what}" for server, what in self.changes.items())
        super().__init__(
            f"{tool!r} is not what it was when it was approved, so it was not called:{lines}\n"
            f"If that is as it should be: approve({tool!r})."
        )


class ArgumentError(McpnbError, ValueError):
    """Arguments that do not fit the tool's schema. Nothing was sent."""

    def __init__(self, tool: str, field: str, problem: str) -> None:
        self.tool, self.field, self.problem = tool, field, problem
        super().__init__(f"{tool}: {field}: {problem}" if field else f"{tool}: {problem}")


class NoServerAvailable(McpnbError):
    """No candidate could take the call.

    Attributes:
        tool: The name that was called.
        reasons: Server → why it could not take the call.
        retry_after: Seconds until the first of them may be back, when known.
    """

    def __init__(self, tool: str, reasons: Mapping[str, str], *, retry_after: float | None = None) -> None:
        self.tool, self.reasons, self.retry_after = tool, dict(reasons), retry_after
        lines = "".join(f"\n  {server}: {why}" for server, why in self.reasons.items())
        again = "" if retry_after is None else f"\nTry again in {retry_after:.1f} s."
        super().__init__(f"No server can take {tool!r} now:{lines or ' there is no candidate'}{again}")


class Overloaded(McpnbError):
    """The call was shed before it was sent: the queue was full or its turn came too late."""

    def __init__(self, tool: str, reason: str) -> None:
        self.tool, self.reason = tool, reason
        super().__init__(f"{tool!r} was not sent: {reason}. Send less at once, or raise the limit.")


class CallTimeout(McpnbError, TimeoutError):
    """The call's one deadline passed (queueing, retries and hedges all spend it)."""

    def __init__(self, tool: str, timeout: float | None, *, server: str | None = None) -> None:
        self.tool, self.timeout, self.server = tool, timeout, server
        within = "" if timeout is None else f" within {timeout:g} s"
        where = f" on {server}" if server else ""
        super().__init__(f"{tool!r} did not answer{within}{where}. Raise it with options(timeout=...).")


class ServerDisconnected(McpnbError, ConnectionError):
    """The server went away while it worked on the call, which may have been executed."""

    def __init__(self, server: str, tool: str = "", reason: str = "") -> None:
        self.server, self.tool, self.reason = server, tool, reason
        what = f" while it worked on {tool!r}" if tool else ""
        why = f" ({reason})" if reason else ""
        super().__init__(
            f"{server} went away{what}{why}. It may have run: "
            "options(idempotent=True) lets such a call be sent again."
        )


class ToolError(McpnbError):
    """The tool itself said no: a result marked as an error, or an error answer of the protocol.

    Attributes:
        result: The whole result when the tool answered with one, else None.
        code: The JSON-RPC error code when the answer was a protocol error, else None.
    """

    def __init__(
        self, server: str, tool: str, message: str, *, result: object | None = None, code: int | None = None
    ) -> None:
        self.server, self.tool, self.message, self.result, self.code = server, tool, message, result, code
        super().__init__(f"{tool} on {server} says: {message}")


class StrategyError(McpnbError):
    """A routing strategy that is unknown, misconfigured or misbehaves."""

    def __init__(self, strategy: str, problem: str, known: Iterable[str] = ()) -> None:
        known = tuple(known)
        self.strategy, self.problem, self.known = strategy, problem, known
        near = _did_you_mean(suggest(strategy, known))
        listed = f" Known strategies: {', '.join(known)}." if known else ""
        super().__init__(f"strategy {strategy!r}: {problem}.{near}{listed}")


class RecordingError(McpnbError):
    """A recording that cannot be made, or read.

    Attributes:
        path: The file.
        line: Which of its lines, from 1; None where it is none in particular.
        problem: What is wrong with it.
    """

    def __init__(self, path: str, problem: str, *, line: int | None = None) -> None:
        self.path, self.problem, self.line = path, problem, line
        where = path if line is None else f"{path}:{line}"
        super().__init__(f"{where}: {problem}")


class NotRecorded(McpnbError):
    """A call that a recording has no answer for. Nothing was sent: a replay has nobody to send to.

    Attributes:
        tool: What was asked for.
        arguments: With which arguments, as JSON.
        server: The one server that was asked for; None for any.
        nearest: Recorded arguments that are most like these, as JSON; nearest first.
    """

    def __init__(
        self, tool: str, arguments: str, path: str, *, server: str | None = None, nearest: Iterable[str] = ()
    ) -> None:
        self.tool, self.arguments, self.path, self.server = tool, arguments, path, server
        self.nearest = tuple(nearest)
        where = "" if server is None else f" from {server}"
        found = "".join(f"\n  {each}" for each in self.nearest)
        near = f" Recorded nearest:{found}" if found else f" It has no call of {tool!r}."
        super().__init__(f"{path} has no answer{where} to {tool}({arguments}).{near}")


def flatten(error: BaseException) -> list[BaseException]:
    """The leaves of nested exception groups, or the error itself."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for part in error.exceptions for leaf in flatten(part)]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportUnknownArgumentType]


def print_traceback(file: object | None = None) -> None:
    """Print the whole traceback of the error that a cell showed last as one line (`mcpnb.tb()`)."""
    import traceback  # noqa: PLC0415 - only needed once something went wrong

    error = last_error()
    if error is None:
        print("no error so far", file=file)  # type: ignore[arg-type]
        return
    trace: TracebackType | None = error.__traceback__
    traceback.print_exception(type(error), error, trace, file=file)  # type: ignore[arg-type]
