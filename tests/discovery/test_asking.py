"""Who is asked where nobody was named, and what counts as an answer."""

from __future__ import annotations

import io
import sys

import pytest

from mcpnb.config import Prompt
from mcpnb.discovery import Person, Proposal
from mcpnb.discovery.asking import at_the_terminal

pytestmark = pytest.mark.anyio

PROPOSAL = Proposal("io.x/y", "1.0", "The registry at h", "npx -y y@1.0", ("A=b",), "is deprecated")


class Terminal:
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "agreed"), [("y", True), ("YES ", True), ("", False), ("no", False), ("yo", False)]
)
async def test_at_a_terminal_only_a_yes_runs_a_command(typed, agreed, monkeypatch):
    shown = []
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("builtins.input", lambda text: shown.append(text) or typed)
    assert await at_the_terminal().approves(PROPOSAL) is agreed
    assert shown[0].splitlines() == [
        "The registry at h lists io.x/y 1.0. Run it on this machine?", "    npx -y y@1.0",
        "with A=b in its environment", "is deprecated", "[y/N] ",
    ]  # fmt: skip


async def test_a_question_cannot_move_the_cursor_of_a_terminal(monkeypatch):
    shown = []
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("builtins.input", lambda text: shown.append(text) or "typed")
    prompt = Prompt("\x1b[2J", "say\x1b[1A\u202e it", default="\r", options=("\x07",))
    assert await at_the_terminal().answers(prompt) == "typed"
    assert shown[0].isprintable()


async def test_without_a_terminal_there_is_nobody(monkeypatch):
    for stdin in (None, io.StringIO()):
        monkeypatch.setattr(sys, "stdin", stdin)
        assert at_the_terminal() == Person()


async def test_nobody_there_is_no_answer_and_no_consent():
    def gone(_prompt) -> str:
        raise EOFError

    assert await Person(answer=gone).answers(Prompt("x")) is None
    assert await Person().answers(Prompt("x")) is None
    assert await Person().approves(PROPOSAL) is False


async def test_questions_are_counted_while_they_are_open():
    seen = []
    other = Person()
    person = Person(approve=lambda _: seen.append(other.open.number) or True).or_else(other)
    assert await person.approves(PROPOSAL)
    assert (seen, other.open.number) == ([1], 0)
