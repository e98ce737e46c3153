"""Discovery in a notebook: whom it asks, and what a registration looks like there.

It owns the words of those questions and a synchronous handle. What is asked and published it does not decide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from mcpnb.config import Prompt
from mcpnb.discovery import Person, Proposal, Registration
from mcpnb.notebook.questions import DESK

__all__ = ["Registered", "person"]


def person() -> Person:
    """Whoever sits in front of the notebook."""
    return Person(_approve, _answer)


@dataclass(frozen=True, slots=True)
class _Question:
    """A question of ours in the shape of a server's: for the same forms and prompts."""

    server: str
    message: str
    foot: str
    """What a prompt says below the question."""
    schema: Mapping[str, Any]
    url: None = None


async def _asked(
    server: str, message: str, foot: str, **fields: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """What somebody filled in; None for a no. What has no default is needed."""
    needed = [name for name, field in fields.items() if "default" not in field]
    schema = {"type": "object", "properties": fields, "required": needed}
    question: Any = _Question(server, message, foot, schema)
    given = await DESK.ask(question)
    return given if isinstance(given, Mapping) else {} if given is True else None


async def _approve(proposal: Proposal) -> bool:
    foot = "It is a program that somebody else has written. It runs only if you agree."
    return await _asked(proposal.server, str(proposal), foot) is not None


async def _answer(prompt: Prompt) -> str:
    field: dict[str, Any] = {"type": "string", "title": prompt.id}
    if prompt.password:
        field["format"] = "password"
    elif prompt.default is not None:
        field["default"] = prompt.default
    if prompt.options:
        field["enum"] = list(prompt.options)
    foot = "The answer is kept in this process only."
    given = await _asked("discovery", prompt.description or prompt.id, foot, answer=field)
    if given is None:
        raise EOFError
    return str(given.get("answer") or "")


class Registered:
    """Servers that this fleet publishes. Close it, or the fleet, to take them out; also a context manager."""

    def __init__(self, registration: Registration, run: Callable[..., Any]) -> None:
        self._registration, self._run = registration, run

    @property
    def servers(self) -> tuple[str, ...]:
        """Their names."""
        return self._registration.servers

    def close(self) -> None:
        """Take them out. Closing twice is fine."""
        if self._registration.active:  # else the fleet was closed, and its loop may have ended
            self._run(self._registration.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._registration).replace("Registration", "Registered", 1)
