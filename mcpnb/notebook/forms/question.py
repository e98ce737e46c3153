"""A form below a cell: what a server asks, a field for each thing it wants, and three ways to answer.

It owns the question's card and its end. Every word of the server's is escaped and stands under the server's
name; a page that it names is a link and never opened from here. Who waits for the answer it does not know.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mcpnb.notebook import cells
from mcpnb.notebook.cells import Cell, Place
from mcpnb.notebook.face import close_tree
from mcpnb.notebook.fields import Field
from mcpnb.notebook.forms.checking import Rules, blame
from mcpnb.notebook.forms.controls import LEFT_OUT
from mcpnb.notebook.forms.inputs import Input, Wrong
from mcpnb.notebook.forms.kit import Kit
from mcpnb.notebook.forms.nested import make
from mcpnb.notebook.markup import bundle, cut, escape, style, visible
from mcpnb.notebook.markup import name as named
from mcpnb.notebook.shapes import Shapes
from mcpnb.notebook.slider_names import slider_names

if TYPE_CHECKING:
    from mcpnb.connection import Elicitation

__all__ = ["TOO_LATE", "Form", "ended", "question_html"]

_VIEW: Final = "application/vnd.jupyter.widget-view+json"
TOO_LATE: Final = "⊘ the call has ended without the answer"

Settle = Callable[[Any], bool]
"""Takes a person's answer; False when nobody waits for it any more."""


class Form:
    """The widgets of one question, shown by `show`, replaced by one quiet line by `end`.

    While a cell runs it takes nothing: a page then holds back what is typed and still sends clicks, so that
    something else than what is seen would be accepted.
    """

    def __init__(self, question: Elicitation, fields: Sequence[Field], settle: Settle) -> None:
        self._question, self._settle = question, settle
        self._rules = Rules(question.schema or {})
        self._lock = threading.Lock()
        self._ended = False
        self._place: Place | None = None
        self._unfollow: Callable[[], None] | None = None
        self._kit = Kit(lambda: None)
        shapes = Shapes({})
        self._inputs: list[tuple[str, Input]] = [
            (field.name, make(self._kit, shapes, field)) for field in fields
        ]
        self._buttons = self._three_buttons()
        self._note = self._kit.html()
        self.root = self._card(question_html(question))

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
        for _, each in self._inputs:
            each.rest(busy)
        for button in self._buttons:
            button.disabled = busy
        said = "A cell is running; this can be answered when it has ended." if busy else ""
        self._kit.say(self._note, f'<span class="mcpnb-small">{said}</span>' if said else "")

    # -- answering; this runs wherever the kernel takes widgets' messages

    def _accept(self) -> None:
        wrong: Wrong = {}
        values = {name: each.read(name, wrong) for name, each in self._inputs}
        answer = {name: value for name, value in values.items() if value is not LEFT_OUT}
        if self._question.schema is not None:
            wrong = {**self._rules.broken(answer), **wrong}
        homeless = blame([place for name, each in self._inputs for place in each.places(name)], wrong)
        said = "; ".join(f"{place}: {text}" if place else text for place, text in homeless.items())
        self._kit.say(self._note, f'<span class="mcpnb-bad">✕ {escape(said)}</span>' if said else "")
        if not wrong:
            self._answer(True if self._question.url is not None else answer, "✓ answered")

    def _answer(self, answer: Any, how: str) -> None:
        self.end(how if self._settle(answer) else TOO_LATE)

    # -- widgets

    def _card(self, head: str) -> Any:
        w = self._kit.w
        sheet = w.HTML(style(), layout={"display": "none"})
        rows = [part for _, each in self._inputs for part in each.widgets]
        panel = w.Box([self._kit.html(head), *rows, w.HBox(self._buttons), self._note])
        panel.add_class("mcpnb-panel")
        root = w.Box([sheet, panel, slider_names()])
        root.add_class("mcpnb-live")
        return root

    def _three_buttons(self) -> list[Any]:
        button = self._kit.button
        return [
            button("Accept", "Send this answer to the server", self._accept),
            button("Decline", "Tell the server no", lambda: self._answer(False, "⊘ declined")),
            button(
                "Cancel",
                "Tell the server that nothing was decided",
                lambda: self._answer(None, "⊘ dismissed"),
            ),
        ]


def question_html(question: Elicitation) -> str:
    """Who asks, in whose words, and where the answer goes."""
    server = named(question.server)
    link = "" if question.url is None else _link(question.url)
    page = "Open the page yourself if you trust it; Accept tells the server that you agree. " if link else ""
    own: str | None = getattr(question, "foot", None)  # a question of ours says itself where the answer goes
    foot = own or (
        f"{page}These are the words of the server {server}, and it gets your answer. The call waits for you."
    )
    # Nobody agrees to what he has not seen: what we ask stands there whole.
    whole = f'<pre class="mcpnb-whole">{escape(question.message, lines=True)}</pre>'
    message = f"<p>{cut(question.message)}</p>" if own is None else whole
    return f'<h4 class="mcpnb-sub">◌ {server} asks</h4>{message}{link}<p class="mcpnb-small">{foot}</p>'


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
