"""Questions that discovery has for a person: whether a command may run, what a variable is.

It owns their shapes, and who answers when nobody was named: a terminal, else no one. What a question is about
its backend knows; how a notebook asks is the notebook's business.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar, cast

from mcpnb.config import Prompt, ask_in_terminal
from mcpnb.threads import beside

__all__ = ["Answer", "Approve", "Person", "Proposal", "at_the_terminal", "printable"]

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A command that would be run on this machine, before anybody has agreed to it."""

    server: str
    """What the registry calls the server."""
    version: str
    origin: str
    """Who says that this is the command; no secrets."""
    command: str
    """The exact command, as a shell would take it; secrets read •••."""
    environment: tuple[str, ...] = ()
    """The variables that it would get, as NAME=value; secrets read •••."""
    note: str = ""
    """What should be known first, such as that the server is deprecated."""

    def __str__(self) -> str:
        lines = [
            f"{self.origin} lists {self.server} {self.version}. Run it on this machine?",
            f"    {self.command}",
        ]
        if self.environment:
            lines.append(f"with {', '.join(self.environment)} in its environment")
        return "\n".join(printable(line) for line in [*lines, *([self.note] if self.note else [])])


Approve = Callable[[Proposal], bool | Awaitable[bool]]
"""Says yes (True, nothing else) or no to a command. A plain function runs in a thread and may block."""

Answer = Callable[[Prompt], str | Awaitable[str]]
"""Answers a question with a text. A plain function runs in a thread and may block."""


class Open:
    """How many questions are open: whoever waits for something else waits for these, too."""

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> None:
        self.number += 1

    def __exit__(self, *_: object) -> None:
        self.number -= 1


@dataclass(frozen=True, slots=True)
class Person:
    """Who answers; None where nobody does."""

    approve: Approve | None = None
    answer: Answer | None = None
    open: Open = field(default_factory=Open, compare=False)

    async def approves(self, proposal: Proposal) -> bool:
        """Whether somebody said yes to this very command."""
        with self.open:
            return self.approve is not None and await _put(self.approve, proposal) is True

    async def answers(self, prompt: Prompt) -> str | None:
        """What somebody typed; None when nobody is there."""
        if self.answer is None:
            return None
        try:
            with self.open:
                return await _put(self.answer, prompt)
        except (EOFError, NotImplementedError, OSError):  # no terminal, or a kernel without a front end
            return None

    def or_else(self, other: Person) -> Person:
        """This person, and the other one for what nobody answers here."""
        return Person(self.approve or other.approve, self.answer or other.answer, other.open)


async def _put(function: Callable[[Q], A | Awaitable[A]], question: Q) -> A:
    if inspect.iscoroutinefunction(function):
        return await cast("Awaitable[A]", function(question))
    given = await beside(partial(function, question))
    return await cast("Awaitable[A]", given) if inspect.isawaitable(given) else cast("A", given)


def at_the_terminal() -> Person:
    """Whoever sits at the terminal of this process; nobody when there is none."""
    if sys.stdin is None or not sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison] - None under pythonw
        return Person()
    return Person(_approve_at_the_terminal, _answer_at_the_terminal)


def _approve_at_the_terminal(proposal: Proposal) -> bool:
    return input(f"{proposal}\n[y/N] ").strip().lower() in {"y", "yes"}


def _answer_at_the_terminal(prompt: Prompt) -> str:
    return ask_in_terminal(
        replace(
            prompt,
            id=printable(prompt.id),
            description=printable(prompt.description),
            default=None if prompt.default is None else printable(prompt.default),
            options=tuple(printable(option) for option in prompt.options),
        )
    )


def printable(text: str) -> str:
    """Foreign text for one line: what could move the cursor or turn the writing round is spelled out."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
