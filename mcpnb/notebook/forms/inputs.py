"""What an input of a form is, and the plain ones: a control, a tick for null, a line of help.

It owns how a field reads and says what is wrong with it, place by place. It knows no schema and nobody who
would use the value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, NamedTuple, Protocol

from mcpnb.notebook.fields import Field
from mcpnb.notebook.forms.controls import LEFT_OUT, Control, control, label
from mcpnb.notebook.forms.kit import Kit
from mcpnb.notebook.markup import cut, escape, shorten, visible

__all__ = ["UNSAID", "Input", "Leaf", "Problem", "Wrong", "help_html", "inner", "said_html"]

UNSAID: Final[Any] = object()
"""No value to begin with: the schema's default counts."""
_SAID: Final = 2_000
"""Characters of a field's description that the page gets."""


class Problem(NamedTuple):
    """What is wrong at one place."""

    text: str
    missing: bool = False
    """Whether it only was not filled in yet."""


Wrong = dict[str, Problem]
"""Place (`a.b[0].c`, empty for the whole) → what is wrong there."""


class Input(Protocol):
    """A part of a form."""

    field: Field
    widgets: tuple[Any, ...]
    """What stands on the page, below each other."""

    def read(self, at: str, wrong: Wrong) -> Any:
        """The value, or LEFT_OUT; what is wrong with it goes into `wrong`."""
        ...

    def places(self, at: str) -> Iterator[tuple[str, Input]]:
        """Every place at and below `at` that can say something."""
        ...

    def say(self, text: str) -> None:
        """Show what is wrong here; empty text takes it away."""
        ...

    def rest(self, busy: bool) -> None:
        """Take nothing while busy."""
        ...

    def rename(self, title: str) -> None:
        """Go by another title."""
        ...


def inner(at: str, name: str) -> str:
    """The place of a member."""
    return f"{at}.{name}" if at else name


class Leaf:
    """A plain field: its control, a tick for null where that is a value, and a line of help."""

    def __init__(self, kit: Kit, field: Field, start: Any) -> None:
        self._kit, self.field = kit, field
        kit.left -= 1
        by_tick = field.nullable and field.kind not in {"choice", "boolean", "constant"}
        self._control: Control = control(kit, field, LEFT_OUT if start is None and by_tick else start)
        self._null = self._null_tick(start is None) if by_tick else None
        self._help = kit.html()
        ticks = () if self._null is None else (self._null,)
        shown = (*self._control.shown, *ticks)
        self.widgets = (shown[0] if len(shown) == 1 else kit.row(shown), self._help)
        self.say("")
        self.rest(False)

    def _null_tick(self, ticked: bool) -> Any:
        made = self._kit.watched(
            self._kit.w.Checkbox(
                value=ticked,
                description="null",
                tooltip=f"Send null for {visible(shorten(self.field.title, 60))}",
                indent=False,
                layout={"width": "auto", "margin": "2px 8px"},
            )
        )
        self._kit.observe(made, lambda: self.rest(False))
        return made

    def read(self, at: str, wrong: Wrong) -> Any:
        """See `Input.read`."""
        if self._null is not None and self._null.value:
            return None
        try:
            value = self._control.get()
        except ValueError as error:
            wrong[at] = Problem(str(error))
            return LEFT_OUT
        if value is LEFT_OUT and self.field.required:
            wrong[at] = Problem("this is needed", missing=True)
        return value

    def places(self, at: str) -> Iterator[tuple[str, Input]]:
        """See `Input.places`."""
        yield at, self

    def say(self, text: str) -> None:
        """See `Input.say`."""
        self._kit.say(self._help, help_html(said_html(self.field.description), text))

    def rest(self, busy: bool) -> None:
        """See `Input.rest`."""
        null = self._null is not None and self._null.value
        for made in self._control.inputs:
            made.disabled = busy or null
        if self._null is not None:
            self._null.disabled = busy

    def rename(self, title: str) -> None:
        """See `Input.rename`."""
        self.field = replace(self.field, title=title)
        self._control.shown[0].description = label(self.field)


def help_html(said: str, wrong: str) -> str:
    """The line below a field: its description, and what is wrong with its value."""
    trouble = f'<span class="mcpnb-bad" role="alert">✕ {escape(shorten(wrong, 400))}</span>' if wrong else ""
    both = f"{said}{' ' if said and trouble else ''}{trouble}"
    return f'<div class="mcpnb-small mcpnb-beside">{both}</div>' if both else ""


def said_html(description: str) -> str:
    """A field's description, in the server's words."""
    return cut(shorten(description, _SAID), lines=3) if description else ""
