"""A form below a cell: what a server asks, a field for each thing it wants, and three ways to answer.

It owns the widgets. Every word of the server's is escaped and stands under the server's name; a page that
it names is a link and never opened from here. Who waits for the answer it does not know.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from mcpnb.notebook import cells
from mcpnb.notebook.cells import Cell, Place
from mcpnb.notebook.face import close_tree
from mcpnb.notebook.fields import Field
from mcpnb.notebook.markup import bundle, cut, escape, shorten, style, visible
from mcpnb.notebook.markup import name as named

if TYPE_CHECKING:
    from mcpnb.connection import Elicitation

__all__ = ["TOO_LATE", "Form", "ended", "question_html"]

_VIEW: Final = "application/vnd.jupyter.widget-view+json"
TOO_LATE: Final = "⊘ the call has ended without the answer"
_LABEL: Final = 60
"""Characters of a field's title."""

Settle = Callable[[Any], bool]
"""Takes a person's answer; False when nobody waits for it any more."""


class _Row(NamedTuple):
    """A field on the page."""

    field: Field
    made: Any
    """Its input widget."""
    help: Any
    """The line of HTML below that."""

    def say(self, wrong: str = "") -> None:
        """Show the field's description, and what is wrong with its value."""
        self.help.value = _help(self.field, wrong)


class Form:
    """The widgets of one question, shown by `show`, replaced by one quiet line by `end`.

    While a cell runs it takes nothing: a page then holds back what is typed and still sends clicks, so that
    something else than what is seen would be accepted.
    """

    def __init__(self, question: Elicitation, fields: Sequence[Field], settle: Settle) -> None:
        import ipywidgets  # noqa: PLC0415 - a third of a second, spent when a server first asks

        self._w = ipywidgets
        self._question, self._settle = question, settle
        self._lock = threading.Lock()
        self._ended = False
        self._place: Place | None = None
        self._unfollow: Callable[[], None] | None = None
        self._rows = [_Row(field, self._input(field), ipywidgets.HTML()) for field in fields]
        for row in self._rows:
            row.say()
        self._buttons = self._three_buttons()
        self._note = ipywidgets.HTML()
        for control in self._controls:
            _keep_order(control.comm)
        self.root = self._card(f'<div class="mcpnb">{question_html(question)}</div>')

    # -- life

    def show(self, cell: Cell) -> None:
        """Put it below the cell, unless it has ended before."""
        with self._lock:
            if self._ended:
                return
            self._unfollow = cells.follow(self._rest)
            html = (
                f'{question_html(self._question)}<p class="mcpnb-dim">Answers go to a running notebook.</p>'
            )
            still = bundle(html, f"{self._question.server} asks: {self._question.message}")
            view = {"version_major": 2, "version_minor": 0, "model_id": self.root.model_id}
            self._place = cell.show({**still, _VIEW: view})

    def end(self, how: str) -> None:
        """Leave a line in its place that says how it ended. The first end counts."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            if self._unfollow is not None:
                self._unfollow()
            if self._place is not None:
                self._place.update(ended(self._question.server, how), raw=True)
            close_tree(self.root)

    def _rest(self, busy: bool) -> None:
        """Take nothing while a cell runs."""
        for control in self._controls:
            control.disabled = busy
        said = "A cell is running; this can be answered when it has ended." if busy else ""
        self._note.value = f'<div class="mcpnb"><span class="mcpnb-small">{said}</span></div>' if said else ""

    # -- answering; this runs wherever the kernel takes widgets' messages

    def _accept(self, _button: Any) -> None:
        answer: dict[str, Any] = {}
        wrong = False
        for row in self._rows:
            try:
                value = _value(row.field, row.made)
            except ValueError as error:
                row.say(str(error))
                wrong = True
                continue
            row.say()
            if value is not None:
                answer[row.field.name] = value
        if not wrong:
            self._answer(True if self._question.url is not None else answer, "✓ answered")

    def _answering(self, answer: Any, how: str) -> Callable[[Any], None]:
        return lambda _button: self._answer(answer, how)

    def _answer(self, answer: Any, how: str) -> None:
        self.end(how if self._settle(answer) else TOO_LATE)

    # -- widgets

    @property
    def _controls(self) -> list[Any]:
        return [*(row.made for row in self._rows), *self._buttons]

    def _card(self, head: str) -> Any:
        sheet = self._w.HTML(style(), layout={"display": "none"})
        rows = [part for row in self._rows for part in (row.made, row.help)]
        panel = self._w.Box([self._w.HTML(head), *rows, self._w.HBox(self._buttons), self._note])
        panel.add_class("mcpnb-panel")
        root = self._w.Box([sheet, panel])
        root.add_class("mcpnb-live")
        return root

    def _three_buttons(self) -> list[Any]:
        acts = {
            ("Accept", "Send this answer to the server"): self._accept,
            ("Decline", "Tell the server no"): self._answering(False, "⊘ declined"),
            ("Cancel", "Tell the server that nothing was decided"): self._answering(None, "⊘ dismissed"),
        }
        return [self._button(description, tooltip, act) for (description, tooltip), act in acts.items()]

    def _button(self, description: str, tooltip: str, act: Callable[[Any], None]) -> Any:
        button = self._w.Button(description=description, tooltip=tooltip, layout={"width": "auto"})
        button.on_click(act)
        return button

    def _input(self, field: Field) -> Any:
        mark = " *" if field.required else ""
        common = {
            "description": shorten(visible(field.title), _LABEL) + mark,
            "tooltip": field.hint,
            "style": {"description_width": "150px"},
            "layout": {"width": "auto", "max_width": "560px"},
        }
        if field.kind == "boolean":
            return self._w.Checkbox(value=field.default is True, **common)
        if field.kind in {"choice", "choices"}:
            return self._menu(field, common)
        text = "" if field.default is None else str(field.default)
        kind = self._w.Password if field.secret else self._w.Text
        # Sent when the field is left: a click must not overtake what was typed before it.
        return kind(value=text, placeholder=field.hint, continuous_update=False, **common)

    def _menu(self, field: Field, common: dict[str, Any]) -> Any:
        options = [
            (shorten(visible(choice.label), _LABEL), place) for place, choice in enumerate(field.choices)
        ]
        known = [choice.value for choice in field.choices]
        if field.kind == "choices":
            given = field.default if isinstance(field.default, list) else []
            chosen = [known.index(value) for value in given if value in known]  # pyright: ignore[reportUnknownVariableType]
            return self._w.SelectMultiple(options=options, value=chosen, rows=min(len(options), 6), **common)
        chosen = known.index(field.default) if field.default in known else None
        return self._w.Dropdown(options=[("—", None), *options], value=chosen, **common)


def _keep_order(comm: Any) -> None:
    """Have a widget's messages taken on the main thread, one after the other.

    ipykernel 7.4 takes them on whichever thread the widget last wrote from, so that a click could overtake
    what was typed before it: a server would get another answer than the one on the page.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = _main_thread  # noqa: SLF001 - there is no public way to say so


def _main_thread(_data: object, _default: object) -> None:
    """The subshell that takes a message: none."""


def _value(field: Field, made: Any) -> Any:
    """What a field holds; None when it was left empty.

    Raises:
        ValueError: It is needed, or does not fit.
    """
    if field.kind == "boolean":
        return bool(made.value)
    if field.kind == "choices":
        chosen = [field.choices[place].value for place in made.value]
        return field.check(chosen) if chosen or field.required else None
    if field.kind == "choice":
        if made.value is not None:
            return field.choices[made.value].value
    elif made.value.strip():
        return field.parse(made.value)
    if field.required:
        raise ValueError("this is needed")
    return None


def _help(field: Field, wrong: str = "") -> str:
    """The line below a field: the server's description, and what is wrong with the answer."""
    said = escape(shorten(field.description, 240))
    trouble = f'<span class="mcpnb-bad">✕ {escape(wrong)}</span>' if wrong else ""
    if not said and not trouble:
        return ""
    beside = "margin-left:158px"  # below the input, not below its label
    return f'<div class="mcpnb"><span class="mcpnb-small" style="{beside}">{said} {trouble}</span></div>'


def question_html(question: Elicitation) -> str:
    """Who asks, in whose words, and where the answer goes."""
    server = named(question.server)
    link = "" if question.url is None else _link(question.url)
    page = "Open the page yourself if you trust it; Accept tells the server that you agree. " if link else ""
    foot = f"{page}These are the words of the server {server}, and it gets your answer."
    return (
        f'<h4 class="mcpnb-sub">◌ {server} asks</h4><p>{cut(question.message)}</p>{link}'
        f'<p class="mcpnb-small">{foot}</p>'
    )


def _link(url: str) -> str:
    """A page's address in full, as a link where it is a page of the web."""
    shown = f'<code style="overflow-wrap:anywhere">{escape(url)}</code>'
    if urlsplit(url).scheme not in {"http", "https"}:
        return f"<p>{shown}</p>"
    safe = 'target="_blank" rel="noopener noreferrer"'
    return f'<p><a href="{escape(url)}" {safe}>{shown}</a></p>'


def ended(server: str, how: str) -> dict[str, str]:
    """The one line that a question leaves behind."""
    return bundle(
        f'<p class="mcpnb-dim">{named(server)} asked: {escape(how)}</p>', f"{visible(server)} asked: {how}"
    )
