"""What servers ask of us in the middle of a call: a person's input, a model's words, the roots.

It owns who answers (`Answering`, given at connect), the shape of questions and answers, how long they wait
and what is said when nobody answers. Both eras end here: until 2025-11-25 a server sends a request of its
own, since 2026-07-28 it answers a call with its questions and the SDK calls again with the answers.

While a question is open, the clock of the call that it belongs to stands. Since 2026-07-28 that call is
known: the question comes in its context. So it does before, where a call has a stream of its own (Streamable
HTTP) or the server is in this process. Over stdio and SSE such a question names no call: then the clocks of
all calls stand that are out on this session.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import anyio
import mcp_types
from mcp import Client, MCPError
from mcp.client.session import ClientRequestContext
from pydantic import FileUrl, ValidationError

from mcpnb.behalf import SENDER
from mcpnb.errors import ConfigError
from mcpnb.model import Attempt
from mcpnb.threads import beside

from .flight import Flights

__all__ = ["Answering", "Elicitation", "OnElicit", "OnSample", "Questions", "Sampling"]

A = TypeVar("A")
Q = TypeVar("Q")

_REFUSED = -1
"""The specification's own code for a request to sample that the user turned down."""

_SHOWN = 200
"""Characters of a question that an event quotes."""


@dataclass(frozen=True, slots=True)
class Elicitation:
    """A server asks a person for something."""

    server: str
    message: str
    schema: Mapping[str, Any] | None = None
    """JSON Schema of the answer: an object of plain fields. None when a page is to be visited instead."""
    url: str | None = None
    """The page to visit, or None."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """A server asks for a language model's answer."""

    server: str
    params: mcp_types.CreateMessageRequestParams
    """The SDK's own: messages, system prompt, tokens, preferences."""

    @property
    def text(self) -> str:
        """The text of the conversation so far, a paragraph for each piece."""
        blocks = [block for message in self.params.messages for block in message.content_as_list]
        return "\n\n".join(block.text for block in blocks if block.type == "text")


Given = Mapping[str, Any] | bool | None
"""A person's answer. A mapping (or True, where there is nothing to fill in) accepts, False declines, None
dismisses the question without a decision."""

OnElicit = Callable[[Elicitation], Given | Awaitable[Given]]
Sampled = str | mcp_types.CreateMessageResult | None
OnSample = Callable[[Sampling], Sampled | Awaitable[Sampled]]


class Clock(Protocol):
    """Who keeps the time of calls."""

    def pause(self, attempt: Attempt) -> None:
        """Somebody is asked something for the server of this attempt."""
        ...

    def resume(self, attempt: Attempt) -> None:
        """One of these questions is done with."""
        ...


class _Nobody:
    """Keeps no time."""

    def pause(self, attempt: Attempt) -> None:
        """Nothing stands."""

    def resume(self, attempt: Attempt) -> None:
        """Nothing goes on."""


class Answering:
    """Who answers what servers ask. One for all servers of a client.

    Args:
        on_elicit: Called with an `Elicitation`, returns a `Given`.
        on_sample: Called with a `Sampling`, returns the text or the SDK's result; None turns it down.
        roots: Folders (paths or file: URIs) that servers may know of; None does not speak of roots at all.
        timeout: Seconds after which a question counts as dismissed; None waits for ever. For a call of which
            one was dismissed so, time runs on during the others: nobody is there.

    Callbacks may be coroutine functions, which run on the event loop, or plain functions, which run in a
    thread of their own and may block.

    Raises:
        ConfigError: A root is no path and no file: URI.
    """

    def __init__(
        self, on_elicit: OnElicit | None = None, on_sample: OnSample | None = None,
        roots: Iterable[str | Path] | None = None, *, timeout: float | None = None,
    ) -> None:  # fmt: skip
        self.on_elicit, self.on_sample, self.timeout = on_elicit, on_sample, timeout
        self.clock: Clock = _Nobody()
        """Told when the time of a call stands; by default nobody keeps it but the requests themselves."""
        self.roots: tuple[mcp_types.Root, ...] | None = None
        if roots is not None:
            self.set_roots(roots)

    def set_roots(self, roots: Iterable[str | Path]) -> None:
        """Other roots from now on; whoever holds connections tells the servers."""
        if isinstance(roots, str | Path):
            roots = [roots]
        self.roots = tuple(_root(root) for root in roots)


class _Unanswered(Exception):
    """Nobody answered in time."""

    def __init__(self, within: float | None) -> None:
        super().__init__(f"nobody answered within {within or 0:g} s (question_timeout= at connect)")


class Questions:
    """The SDK's callbacks for one server. `tell` takes the kind of an event, its detail and its data.

    `flights` are the requests on the session that asks.
    """

    def __init__(
        self, server: str, answering: Answering, tell: Callable[..., None], flights: Flights | None = None
    ) -> None:
        self._server, self._answering, self._tell = server, answering, tell
        self._flights = flights or Flights()

    def on(self, flights: Flights) -> Questions:
        """The same for one session, on which these requests are out."""
        return Questions(self._server, self._answering, self._tell, flights)

    # Only what can be answered is announced, so that a server which can do without does so.

    def callbacks(self) -> dict[str, Any]:
        """What `mcp.Client` is given: a callback for each kind that somebody answers."""
        wanted: dict[str, tuple[object, object]] = {
            "elicitation_callback": (self._answering.on_elicit, self.elicit),
            "sampling_callback": (self._answering.on_sample, self.sample),
            "list_roots_callback": (self._answering.roots, self.list_roots),
        }
        return {name: callback for name, (there, callback) in wanted.items() if there is not None}

    def attach(self, client: Client) -> None:
        """Hear also what a server asks although nobody was announced to answer; the SDK would say nothing."""
        session = client.session
        session._elicitation_callback = self.elicit  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        session._sampling_callback = self.sample  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    async def elicit(
        self, context: ClientRequestContext, params: mcp_types.ElicitRequestParams
    ) -> mcp_types.ElicitResult:
        """A person's answer, or that there is none."""
        del context
        if isinstance(params, mcp_types.ElicitRequestURLParams):
            question = Elicitation(self._server, params.message, url=params.url)
        else:
            question = Elicitation(self._server, params.message, dict(params.requested_schema))
        callback = self._answering.on_elicit
        if callback is None:
            return self._declined(question, "decline", "nobody answers (on_elicit= at connect)")
        try:
            return self._given(question, await self._answer(callback, question))
        except Exception as error:  # noqa: BLE001 - whatever it is, the server waits for an answer
            return self._declined(question, "cancel", _words(error, "on_elicit"))

    def _given(self, question: Elicitation, given: Given) -> mcp_types.ElicitResult:
        if given is False or given is None:
            action = "cancel" if given is None else "decline"
            return self._declined(question, action, "dismissed" if given is None else "declined")
        content = None if given is True else dict(given)
        if question.url is None and content is None:
            content = {}
        return mcp_types.ElicitResult(action="accept", content=content)

    def _declined(self, question: Elicitation, action: Any, why: str) -> mcp_types.ElicitResult:
        self._tell("elicitation_declined", f"it asked {_cut(question.message)!r}: {why}")
        return mcp_types.ElicitResult(action=action)

    async def sample(
        self, context: ClientRequestContext, params: mcp_types.CreateMessageRequestParams
    ) -> mcp_types.CreateMessageResult | mcp_types.ErrorData:
        """A model's answer, or that there is none."""
        del context
        question = Sampling(self._server, params)
        callback = self._answering.on_sample
        if callback is None:
            return self._turned_down(question, "nobody answers (on_sample= at connect)")
        try:
            said = await self._answer(callback, question)
            if said is None:
                return self._turned_down(question, "turned down")
            return said if isinstance(said, mcp_types.CreateMessageResult) else _spoken(said)
        except Exception as error:  # noqa: BLE001 - as above
            return self._turned_down(question, _words(error, "on_sample"))

    def _turned_down(self, question: Sampling, why: str) -> mcp_types.ErrorData:
        self._tell("sampling_declined", f"it asked {_cut(question.text)!r}: {why}")
        return mcp_types.ErrorData(code=_REFUSED, message=f"The request to sample was not answered: {why}")

    async def _answer(self, callback: Callable[[Q], A | Awaitable[A]], question: Q) -> A:
        """What is answered, while the clocks stand of the calls for which it is asked.

        Raises:
            _Unanswered: Nothing, in time.
        """
        patience = anyio.move_on_after(self._answering.timeout)
        with self._standing(patience), patience:
            return await _ask(callback, question)
        raise _Unanswered(self._answering.timeout)

    @contextmanager
    def _standing(self, patience: anyio.CancelScope) -> Generator[None]:
        """The time stands of the requests for which this question may be."""
        flights = [flight for flight in self._flights.asked_for(SENDER.get()) if flight.stand()]
        attempts = [flight.sender for flight in flights if flight.sender is not None]
        clock = self._answering.clock
        for attempt in attempts:
            clock.pause(attempt)
        try:
            yield
        finally:
            for flight in flights:
                flight.go_on(answered=not patience.cancelled_caught)
            for attempt in attempts:
                clock.resume(attempt)

    async def list_roots(self, context: ClientRequestContext) -> mcp_types.ListRootsResult:
        """The roots as they are now."""
        del context
        return mcp_types.ListRootsResult(roots=list(self._answering.roots or ()))

    def missed(self, error: MCPError, what: str) -> None:
        """A server refused because it could not ask: say what it would have needed."""
        if error.code != mcp_types.MISSING_REQUIRED_CLIENT_CAPABILITY:
            return
        data: object = error.data
        needed: object = cast("Mapping[str, Any]", data).get("requiredCapabilities") if _maps(data) else None
        for capability, kind, option in _NEEDS if _maps(needed) else ():
            if capability in cast("Mapping[str, Any]", needed):
                why = f"nobody answers ({option}= at connect)"
                self._tell(kind, f"{what} needs {capability}: {why}")


_NEEDS = (
    ("elicitation", "elicitation_declined", "on_elicit"),
    ("sampling", "sampling_declined", "on_sample"),
    ("roots", "roots_declined", "roots"),
)


async def _ask(callback: Callable[[Q], A | Awaitable[A]], question: Q) -> A:
    """Ask; what is no coroutine function may wait for a person, and does so in a thread."""
    asking = partial(callback, question)
    given = asking() if inspect.iscoroutinefunction(callback) else await beside(asking)
    return await cast("Awaitable[A]", given) if inspect.isawaitable(given) else cast("A", given)


def _spoken(text: str) -> mcp_types.CreateMessageResult:
    content = mcp_types.TextContent(type="text", text=text)
    return mcp_types.CreateMessageResult(role="assistant", content=content, model="unknown")


def _root(root: str | Path) -> mcp_types.Root:
    text = str(root)
    uri = text if "://" in text else Path(text).expanduser().absolute().as_uri()
    try:
        return mcp_types.Root(uri=FileUrl(uri), name=Path(text).name or None)
    except ValidationError:
        fix = "Use a path, or a URI such as file:///data."
        raise ConfigError("names what is no folder.", key="roots", fix=fix) from None


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _words(error: Exception, callback: str) -> str:
    if isinstance(error, _Unanswered):
        return str(error)
    if isinstance(error, ValidationError):  # its own words repeat what a person typed
        return f"{callback} failed: what it returned is no answer to this"
    return f"{callback} failed: {str(error) or type(error).__name__}"


def _maps(value: object) -> bool:
    return isinstance(value, Mapping)
