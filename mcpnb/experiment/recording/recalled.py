"""A recorded call, as routing would have told it.

It owns the way from a line to a call that is over. It reads no file, and answers nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mcpnb.client.documents import key_of
from mcpnb.errors import McpnbError, RecordingError
from mcpnb.experiment.recording.answers import load_answer, load_error
from mcpnb.experiment.recording.stated import Stated
from mcpnb.model import (
    PRIORITIES,
    Alternative,
    Attempt,
    AttemptRecord,
    Outcome,
    OutcomeKind,
    Priority,
    Request,
    Requirement,
)
from mcpnb.routing import Finish
from mcpnb.routing.call import Call

__all__ = ["RecordedCall"]


@dataclass(frozen=True)
class RecordedCall:
    """One `call` line. Not slotted: its parts are read when somebody wants them."""

    stated: Stated
    servers: tuple[str, ...]
    """Who could take it."""
    ordinal: int
    """Its place among the recorded calls, from 0."""

    @property
    def at(self) -> float:
        """Seconds from the beginning of the recording to its arrival."""
        return self.stated.number("at")

    @property
    def latency(self) -> float:
        """Seconds from its arrival to its end, without those in which a person was asked something."""
        return self.stated.number("latency")

    @property
    def kind(self) -> OutcomeKind:
        """How it ended."""
        return self.stated.outcome()

    @property
    def server(self) -> str | None:
        """Who answered, or failed last."""
        return self.stated.text_or_none("server")

    @property
    def only(self) -> str | None:
        """The one server that it was meant for; None when any would do."""
        return self.stated.object("request").text_or_none("server")

    @cached_property
    def request(self) -> Request:
        """As routing was told it; times count from the beginning of the recording."""
        asked, at = self.stated.object("request"), self.at
        timeout = asked.number_or_none("timeout")
        return Request(
            self.ordinal,
            asked.text("tool", self.stated.text("name")),
            self.servers,
            None if timeout is None else at + timeout,
            timeout,
            asked.flag("repeatable"),
            asked.whole("retries", 2),
            asked.text_or_none("strategy"),
            _requirement(asked),
            asked.text_or_none("affinity"),
            _priority(asked),
            _hedge(asked),
            _alternatives(asked),
            key_of(self.stated.text("name"), self.stated.object("arguments").fields),
        )

    @cached_property
    def attempts(self) -> tuple[AttemptRecord, ...]:
        """In the order in which they ended; `sent_at` counts from the beginning of the recording."""
        return tuple(_attempt(each, self) for each in self.stated.objects("attempts"))

    @cached_property
    def outcome(self) -> Outcome:
        """Its end, with the answer.

        Raises:
            RecordingError: The answer is none.
        """
        fields = self.stated.fields
        value = None if fields.get("answer") is None else self._answer(fields["answer"])
        error = None if fields.get("error") is None else load_error(self.stated.object("error").fields)
        if value is None and error is None:
            error = McpnbError(f"{self.stated.text('name')} ended as {self.kind}")
        return Outcome(self.kind, value, error)

    def _answer(self, stated: Any) -> object:
        try:
            return load_answer(self.stated.text("kind"), stated)
        except ValueError as error:
            first = str(error).partition("\n")[0]
            raise RecordingError(
                self.stated.file, f"answer is no {self.stated.text('kind')}'s: {first}", line=self.stated.line
            ) from None

    def finish(self, request: Request, arrived: float, *, pace: float) -> Finish:
        """The end of a call that came at `arrived` and went as this one.

        Args:
            request: What is asked now.
            arrived: Monotonic seconds.
            pace: Its seconds over the recorded ones: 1, or 0 when nobody waited.
        """
        call = Call(request, arrived, finished=arrived + pace * self.latency)
        call.ended = [self._moved(record, request, arrived, pace) for record in self.attempts]
        call.sent = len(call.ended)
        call.hedges = sum(record.attempt.hedge for record in call.ended)
        call.stage = self.stated.whole("stage", 0)
        if call.stage and call.ended:
            call.tool = call.ended[-1].attempt.tool
        excluded = self.stated.object("excluded").fields
        call.excluded = {server: str(why) for server, why in excluded.items()}
        call.out_of = self.stated.whole("out_of", 0)
        call.looked_at = self.stated.text("looked_at", "")
        return Finish(call, self.outcome)

    def _moved(self, record: AttemptRecord, request: Request, arrived: float, pace: float) -> AttemptRecord:
        attempt = record.attempt
        sent_at = arrived + pace * (attempt.sent_at - self.at)
        moved = attempt._replace(request=request.id, sent_at=sent_at, queued=pace * attempt.queued)
        return record._replace(
            attempt=moved, latency=pace * record.latency, asked=0.0
        )  # nobody is asked again


def _attempt(stated: Stated, of: RecordedCall) -> AttemptRecord:
    attempt = Attempt(
        id=0,
        request=of.ordinal,
        number=stated.whole("number"),
        server=stated.text("server"),
        tool=stated.text(
            "tool", of.request.tool if of.stated.text("kind") != "tool" else of.stated.text("name")
        ),
        strategy=stated.text("strategy"),
        sent_at=stated.number("at"),
        queued=stated.number("queued", 0.0),
        hedge=stated.flag("hedge"),
        why=stated.text("why", "first"),
        saw=tuple(_seen(stated, pair) for pair in stated.items("saw")),
    )
    return AttemptRecord(
        attempt,
        stated.outcome(),
        stated.number("latency"),
        stated.text("error", ""),
        stated.number("asked", 0.0),
    )


def _seen(stated: Stated, pair: object) -> tuple[str, float]:
    match pair:
        case [str(name), int() | float() as measure]:
            return name, float(measure)
        case _:
            return stated.wrong("saw", "is no list of servers with numbers")


def _requirement(asked: Stated) -> Requirement | None:
    demand = Requirement(
        asked.text_or_none("server"),
        frozenset(asked.texts("tags")),
        asked.text_or_none("region"),
        asked.flag("strict"),
        asked.text_or_none("version"),
    )
    return None if demand == Requirement() else demand


def _priority(asked: Stated) -> Priority:
    priority = asked.text("priority", "normal")
    return priority if priority in PRIORITIES else asked.wrong("priority", "is none")


def _hedge(asked: Stated) -> bool | float | None:
    hedge = asked.fields.get("hedge")
    return hedge if isinstance(hedge, bool) else asked.number_or_none("hedge")


def _alternatives(asked: Stated) -> tuple[Alternative, ...]:
    found: list[Alternative] = []
    for each in asked.items("alternatives"):
        match each:
            case [str(tool), [*servers], bool(repeatable)]:
                found.append(Alternative(tool, tuple(map(str, servers)), repeatable))
            case _:
                asked.wrong("alternatives", "is no list of tools and servers")
    return tuple(found)
