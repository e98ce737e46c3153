"""From what happens in a client to lines of a recording.

It owns what is written down, and when. It knows no files but a `Writer`'s, and reads nothing back. It runs on
the client's event loop: a call's line costs about a tenth of a millisecond there, more for a long answer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mcpnb.client import MultiServerClient, saved
from mcpnb.client.documents import Question
from mcpnb.config import secrets_of
from mcpnb.errors import RecordingError
from mcpnb.experiment.recording.answers import dump_answer, dump_error, plain
from mcpnb.experiment.recording.discreet import discreet
from mcpnb.experiment.recording.protection import dump_resilience
from mcpnb.experiment.recording.writer import Writer
from mcpnb.model import AttemptRecord, Endpoint, Event, Request, Requirement
from mcpnb.routing import Finish
from mcpnb.routing.strategies import spec

if TYPE_CHECKING:
    from mcpnb.client.membership import Link
    from mcpnb.connection import Listing

__all__ = ["VERSION", "RecordingTap"]

VERSION = 1
"""Of the file's format. It grows when an older reader would misunderstand a newer file.

It did not for `asked` (of calls and attempts): latencies are without it, as they always were of recordings in
which nobody was asked, so that an older reader takes no person's time for a server's.
"""

_CHANGES = frozenset({"server_state", "tools_changed"})
_REQUEST = Request(0, "", ())
_NO_DEMAND = Requirement()
_ATTEMPT: dict[str, Any] = {
    "queued": 0.0,
    "hedge": False,
    "why": "first",
    "saw": [],
    "error": "",
    "asked": 0.0,
}


class RecordingTap:
    """Writes down a client's calls until it is closed, or until the file takes no more."""

    def __init__(self, client: MultiServerClient, writer: Writer) -> None:
        self._client, self._writer = client, writer
        self._begin = client.taps.now()
        self.calls = 0
        """Calls that were written."""
        self.problem = ""
        """Why nothing is written any more, when the file took no more."""
        self._asked: dict[int, Question] = {}
        self._groups: dict[tuple[str, ...], int] = {}
        self._listed: dict[str, Listing] = {}
        self._known: dict[str, dict[str, Any]] = {}
        self._secrets = frozenset[str]().union(*(secrets_of(config) for config in client.configs))
        self._open = True
        self._write(self._header())
        for connection in list(client.members.connections.values()):
            self._server(connection)
        if self.problem:
            raise RecordingError(str(writer.path), self.problem)
        self._leave = (client.taps.listen(self), client.on("*", self._happened))

    def close(self) -> None:
        """Write that it ends here, and listen no more. Closing twice is fine."""
        if self._open:
            self._write({"type": "end", "at": self._at(self._client.taps.now()), "calls": self.calls})
            self._end()

    def _end(self) -> None:
        self._open = False
        for leave in getattr(self, "_leave", ()):
            leave()
        self._writer.close()

    # -- what happens --------------------------------------------------------------------------------------

    def began(self, request: Request, question: Question) -> None:
        """See `mcpnb.client.taps.Tap`."""
        self._asked[request.id] = question

    def ended(self, finish: Finish) -> None:
        """See `mcpnb.client.taps.Tap`."""
        question = self._asked.pop(finish.call.request.id, None)
        if question is not None:  # else it came before us
            self._write(self._call(finish, question))
            self.calls += self._open

    def _happened(self, event: Event) -> None:
        if event.kind == "resource_updated":
            now = self._at(self._client.taps.now())
            self._write({"type": "update", "at": now, "server": event.server, "uri": event.detail})
        connection = self._client.members.connections.get(event.server or "")
        if event.kind in _CHANGES and connection is not None:
            self._server(connection)

    # -- lines ---------------------------------------------------------------------------------------------

    def _write(self, line: Mapping[str, Any]) -> None:
        """A recording that fails must not cost the calls: it stops, and says so."""
        if not self._open:
            return
        self._secrets |= self._client.access.hidden  # those of before stay secret, too
        try:
            self._writer.write(discreet(line, self._secrets))
        except OSError as error:
            self.problem = f"could not be written any more: {error.strerror or error}"
            self._end()
            told = f"{self._writer.path} {self.problem}; {self.calls} calls are in it"
            self._client.events.append(Event(time.time(), "recording_failed", None, told))

    def _header(self) -> dict[str, Any]:
        client = self._client
        return {
            "mcpnb": "recording",
            "version": VERSION,
            "began": datetime.now(UTC).isoformat(),
            "made_by": version("mcpnb"),
            "name": client.name,
            "strategy": client.strategy,
            "timeout": client.timeout,
            "replicas": plain(client.replicas),
            "choices": saved.document(saved.Saved(client.catalog.choices, None)),
            "protection": dump_resilience(client.resilience),
            "home": client.home,
            "distances": plain(client.distances or {}),
        }

    def _server(self, connection: Link) -> None:
        """A server as it is now, if anything about it is new."""
        line = self._described(connection)
        listing, name = connection.listing, connection.name
        if self._known.get(name) == line and self._listed.get(name) is listing:
            return
        if self._listed.get(name) is not listing:
            self._listed[name] = listing
            line = {**line, "listing": _listing(listing)}
        if name not in self._known:
            self._secrets |= secrets_of(connection.config)
        self._known[name] = {key: value for key, value in line.items() if key != "listing"}
        self._write({"type": "server", "at": self._at(self._client.taps.now()), **line})

    def _described(self, connection: Link) -> dict[str, Any]:
        config = connection.config
        endpoint = self._client.members.endpoint(connection.name) or config.endpoint()
        return {
            "server": connection.name,
            "state": connection.state,
            "error": connection.last_error,
            "transport": connection.transport,
            "address": config.address,
            "protocol": connection.protocol,
            "title": connection.server_name,
            "version": connection.server_version,
            "completes": connection.completes,
            "endpoint": _endpoint(endpoint),
            "replicas": config.replicas,
            "timeout": config.timeout,
        }

    def _group(self, servers: tuple[str, ...]) -> int:
        number = self._groups.get(servers)
        if number is None:
            number = self._groups[servers] = len(self._groups)
            self._write({"type": "group", "group": number, "servers": list(servers)})
        return number

    def _call(self, finish: Finish, question: Question) -> dict[str, Any]:
        call, outcome = finish.call, finish.outcome
        last = call.answered or (call.ended[-1] if call.ended else None)
        group = self._group(call.request.servers)
        total = (call.arrived if call.finished is None else call.finished) - call.arrived
        line: dict[str, Any] = {
            "type": "call",
            "call": self.calls + 1,
            "at": self._at(call.arrived),
            "kind": question.kind,
            "name": question.name,
            "arguments": plain(question.arguments),
            "group": group,
            "latency": _seconds(total - call.stood),
            "outcome": outcome.kind,
            "server": last.attempt.server if last else None,
        }
        if outcome.value is not None:
            line["answer"] = dump_answer(outcome.value)  # pyright: ignore[reportArgumentType] - a job put it there
        if outcome.error is not None:
            line["error"] = dump_error(outcome.error)
        line["attempts"] = [self._attempt(record, question.name) for record in call.ended]
        line["request"] = _request(call.request, question.name)
        rest: dict[str, Any] = {
            "stage": call.stage,
            "excluded": dict(call.excluded),
            "out_of": call.out_of,
            "asked": _seconds(call.stood),
        }
        line |= {key: value for key, value in rest.items() if value}
        return {**line, "looked_at": call.looked_at} if call.looked_at else line

    def _attempt(self, record: AttemptRecord, name: str) -> dict[str, Any]:
        attempt = record.attempt
        stated: dict[str, Any] = {
            "number": attempt.number,
            "server": attempt.server,
            "at": self._at(attempt.sent_at),
            "latency": _seconds(record.latency),
            "outcome": record.outcome,
            "strategy": attempt.strategy,
            "queued": _seconds(attempt.queued),
            "hedge": attempt.hedge,
            "why": attempt.why,
            "saw": plain(attempt.saw),
            "error": record.error,
            "asked": _seconds(record.asked),
        }
        if attempt.tool != name:
            stated["tool"] = attempt.tool
        return {key: value for key, value in stated.items() if key not in _ATTEMPT or value != _ATTEMPT[key]}

    def _at(self, moment: float) -> float:
        return _seconds(moment - self._begin)


def _seconds(seconds: float) -> float:
    """To the nanosecond: more digits than any clock has only cost room."""
    return round(seconds, 9)


def _request(request: Request, name: str) -> dict[str, Any]:
    """What the caller asked for beyond the question; what is as usual is left out."""
    stated = {
        field: value
        for field in ("timeout", "repeatable", "retries", "strategy", "affinity", "priority", "hedge")
        if (value := getattr(request, field)) != getattr(_REQUEST, field)
    }
    if not isinstance(stated.get("strategy", ""), str):  # a user's own object
        stated["strategy"] = str(spec(stated["strategy"]))
    if request.tool != name:
        stated["tool"] = request.tool
    demand = request.requirement or _NO_DEMAND
    for field in ("server", "tags", "region", "strict", "version"):
        if (value := getattr(demand, field)) != getattr(_NO_DEMAND, field):
            stated[field] = sorted(demand.tags) if field == "tags" else value
    if request.alternatives:
        stated["alternatives"] = [list(each) for each in request.alternatives]
    return stated


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    usual = asdict(Endpoint(""))
    stated = {
        **asdict(endpoint),
        "tags": sorted(endpoint.tags),
        "tool_versions": dict(endpoint.tool_versions),
    }
    return {key: value for key, value in stated.items() if key != "name" and value and value != usual[key]}


def _listing(listing: Listing) -> dict[str, Any]:
    kinds: dict[str, Sequence[Any]] = {
        "tools": listing.tools,
        "resources": listing.resources,
        "templates": listing.templates,
        "prompts": listing.prompts,
    }
    return {kind: [dump_answer(item) for item in items] for kind, items in kinds.items() if items}
