"""A server's question as prompts, for a cell that waits: one line after the other, and how to say no.

It owns the words and the order of the prompts. Whose they are and what becomes of the answer it does not
know. All that a server said is shown with its control characters as marks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from mcpnb.notebook.fields import Field
from mcpnb.notebook.markup import shorten, visible

if TYPE_CHECKING:
    from mcpnb.connection import Elicitation

__all__ = ["Given", "prompted"]

_MESSAGE: Final = 2000
"""Characters of a question that a prompt shows."""

Ask = Callable[[str], str]
Say = Callable[[str], None]
Given = dict[str, Any] | bool | None
"""A person's answer: accepted with these values (True: nothing to fill in), declined, or dismissed."""


def prompted(
    question: Elicitation,
    fields: Sequence[Field],
    *,
    ask: Ask = input,
    ask_secretly: Ask | None = None,
    say: Say = print,
) -> Given:
    """Ask field by field. An empty answer where one is needed declines.

    Raises:
        KeyboardInterrupt: The person interrupts the cell instead of answering.
    """
    say(_head(question))
    if not any(field.required and field.default is None for field in fields):
        go = "Agree" if not fields else "Answer"
        if not _agrees(ask(f"{go}? [y/N] ")):
            return False
    if question.url is not None:
        return True
    answer: dict[str, Any] = {}
    for field in fields:
        given = _asked(field, (ask_secretly or _getpass()) if field.secret else ask, say)
        if given is None and field.required:
            return False
        if given is not None:
            answer[field.name] = given
    return answer


def _getpass() -> Ask:
    from getpass import getpass  # noqa: PLC0415 - pulls in termios, and secrets are rarely asked for

    return getpass


def _head(question: Elicitation) -> str:
    own: str | None = getattr(question, "foot", None)
    if own is not None:  # in our own words, the answer stays here, and nobody agrees to what he has not seen
        return f"{visible(question.message, lines=True)}\n  {own}"
    page = (
        ""
        if question.url is None
        else f"\n  {visible(question.url)}\n  Open the page yourself if you trust it."
    )
    return (
        f"{visible(question.server)} asks: {visible(shorten(question.message, _MESSAGE))}{page}\n"
        "  The words are the server's, and it gets your answer. The call waits for you.\n"
        "  Empty declines, Interrupt cancels the call."
    )


def _agrees(text: str) -> bool:
    return text.strip().lower() in {"y", "yes"}


def _asked(field: Field, ask: Ask, say: Say) -> Any:
    """What a field gets; its default, or None, for an empty answer."""
    if field.description:
        say(f"  {visible(field.description)}")
    for number, choice in enumerate(field.choices, 1):
        say(f"  {number} {visible(choice.label)}")
    while True:
        text = ask(_prompt(field))
        if not text.strip():
            return field.default
        try:
            return field.parse(text)
        except ValueError as error:
            say(f"  {visible(str(error))}")


def _prompt(field: Field) -> str:
    if field.default is not None:
        empty = f", empty: {visible(str(field.default))}"
    else:
        empty = "" if field.required else ", may be empty"
    return f"{visible(field.title)} ({field.hint}{empty}): "
