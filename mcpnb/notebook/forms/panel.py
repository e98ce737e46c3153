"""The widgets of a tool's form: fields, buttons, the question before something is lost, code, the answer.

It owns widgets and where they stand. It calls nothing: it tells what was pressed, and shows what it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from mcpnb.notebook.forms.checking import blame
from mcpnb.notebook.forms.code import one_line
from mcpnb.notebook.forms.inputs import Wrong
from mcpnb.notebook.forms.kit import Kit, Suggest
from mcpnb.notebook.forms.nested import whole
from mcpnb.notebook.markup import cut, escape, shorten, style
from mcpnb.notebook.next_cell import next_cell
from mcpnb.notebook.slider_names import slider_names

__all__ = ["Panel", "Pressed"]

_SHOWN: Final = 20_000
"""Characters of code that the page gets; the form's `code` has it whole."""
_BUTTONS: Final[Mapping[str, tuple[str, str]]] = {
    "call": ("Run", "Call it with these arguments, on the server that routing picks"),
    "gather": ("Run on all servers", "Call it with these arguments on every server that has it"),
    "prompt": ("Get prompt", "Have the prompt filled in with these arguments"),
    "read": ("Read", "Read the resource that these arguments name"),
}
"""What the button of each verb says, and its tooltip."""

_LEGEND: Final = '<p class="mcpnb-small">* is needed; other fields that are empty are left out.</p>'


class Pressed(NamedTuple):
    """Who is told what the panel's user does."""

    changed: Callable[[], None]
    run: Callable[[str], None]
    """Gets the verb."""
    stop: Callable[[], None]
    sure: Callable[[bool], None]
    suggest: Suggest | None = None


class Panel:
    """The widgets of one form, in one root."""

    def __init__(
        self,
        schema: Mapping[str, Any],
        start: dict[str, Any],
        head: str,
        verbs: Sequence[str],
        pressed: Pressed,
    ) -> None:
        self._kit = kit = Kit(pressed.changed, pressed.suggest)
        self._inputs = whole(kit, schema, start)
        self._question, self._progress, self._outcome = kit.html(), kit.html(), kit.html()
        self._trouble, self._note, self._line = kit.html(), kit.html(), kit.html()
        self._runs = [kit.button(*_BUTTONS[verb], partial(pressed.run, verb)) for verb in verbs]
        self._runs[0].add_class("mcpnb-main")
        self._stop = kit.button("Cancel", "Cancel the call, on its server too", pressed.stop)
        self._answers = (
            kit.button("Yes, run it", "Send exactly these arguments", partial(pressed.sure, True)),
            kit.button("No", "Send nothing", partial(pressed.sure, False)),
        )
        self._confirm = kit.box((self._question, kit.row(self._answers)), "mcpnb-confirm")
        buttons = kit.row((*self._runs, self._stop, self._progress))
        legend = _LEGEND if schema.get("properties") else ""
        above = (kit.html(f"{head}{legend}"), *self._inputs.widgets, self._trouble, buttons, self._confirm)
        panel = kit.box((*above, self._note, self._line, self._outcome), "mcpnb-panel")
        self.root = kit.box((kit.sheet(style()), panel, slider_names()), "mcpnb-live")
        self.root.add_class("mcpnb-form")

    @property
    def connected(self) -> bool:
        """Whether there is a kernel that carries the widgets' messages to a page."""
        from comm import DummyComm  # noqa: PLC0415 - comes with ipywidgets

        return self.root.comm is not None and not isinstance(self.root.comm, DummyComm)

    def read(self) -> tuple[dict[str, Any], Wrong]:
        """What is filled in, and what is wrong with that."""
        wrong: Wrong = {}
        value = self._inputs.read("", wrong)
        return (value if isinstance(value, dict) else {}), wrong

    def settle(self, *, running: bool, asking: bool, busy: bool) -> None:
        """Bring every control in line with what is going on."""
        self._inputs.rest(running or asking)
        for button in self._runs:
            button.disabled = running or asking or busy
        for button in self._answers:
            button.disabled = busy
        self._stop.layout.display = None if running else "none"
        self._confirm.layout.display = None if asking else "none"
        said = "A cell is running; this can be run when it has ended." if busy and not running else ""
        self._kit.say(self._note, f'<span class="mcpnb-small">{said}</span>' if said else "")

    def blame(self, wrong: Wrong, *, counted: bool) -> None:
        """Say what is wrong beside the fields; what belongs to none, or how much it is, below them."""
        homeless = blame(self._inputs.places(""), wrong)
        said = [_trouble(f"{place}: {text}" if place else text) for place, text in homeless.items()]
        if wrong and counted:
            said.append(_trouble(f"nothing was sent: {len(wrong)} to correct above"))
        self._kit.say(self._trouble, "".join(f"<p>{each}</p>" for each in said))

    def complain(self, error: BaseException) -> None:
        """Say what went wrong."""
        self._kit.say(self._trouble, error_html(error))

    def ask(self, code: str) -> None:
        """Show what would be sent."""
        self._kit.say(
            self._question,
            '<p><span class="mcpnb-warn">⚠ This may change or delete things.</span> Run exactly this?</p>'
            f'<pre class="mcpnb-whole">{escape(shorten(code, _SHOWN), lines=True)}</pre>',
        )

    def show_code(self, whole_code: str) -> None:
        """Show the line of Python that does the same."""
        code = shorten(whole_code, _SHOWN)
        more = (
            next_cell(code, "Code in the next cell", "In a new cell below (JupyterLab, Notebook 7)")
            if code == whole_code
            else '<p class="mcpnb-dim">cut; the form\'s <code>.code</code> has all</p>'
        )
        self._kit.say(
            self._line,
            '<div class="mcpnb-small">The same in Python: a click selects all of it</div>'
            '<pre class="mcpnb-whole mcpnb-select" tabindex="0" role="textbox" aria-readonly="true" '
            f'aria-label="The same in Python">{escape(code, lines=True)}</pre>{more}',
        )

    def show_progress(self, html: str) -> None:
        """Show how far the call is; empty when there is none."""
        self._kit.say(self._progress, html)

    def show_outcome(self, code: str, html: str) -> None:
        """Show an answer, under the call that it answers; without one nothing."""
        line = (
            f'<p class="mcpnb-small"><code>{escape(shorten(one_line(code), 240))}</code></p>' if html else ""
        )
        self._kit.say(self._outcome, f"{line}{html}")

    def close(self) -> None:
        """Give all widgets up."""
        self._kit.close()


def _trouble(text: str) -> str:
    return f'<span class="mcpnb-bad" role="alert">✕ {escape(shorten(text, 400))}</span>'


def error_html(error: BaseException) -> str:
    """What went wrong, whatever somebody else says about it."""
    return f'<p role="alert"><span class="mcpnb-bad">✕ {type(error).__name__}</span> {cut(str(error))}</p>'
