"""An open login on the page: the link, a box for the address that a browser ended at, and Cancel.

It owns the widgets of one login and what they say about an answer. A pasted address has a code in it: the
box is emptied before anybody looks at the text, and the text goes to the login and nowhere else. Who wants
the login, and what it is good for, it does not know.

Handlers may run on any thread and never raise.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from mcpnb.notebook import cells
from mcpnb.notebook.cells import Cell, Place
from mcpnb.notebook.face import close_tree
from mcpnb.notebook.forms.kit import Kit
from mcpnb.notebook.login.card import card_html, card_text, ended, paste_html, reason, still
from mcpnb.notebook.markup import bundle, cut, escape, style

if TYPE_CHECKING:
    from mcpnb.auth import LoginRequest

__all__ = ["Card", "Panel"]

_VIEW: Final = "application/vnd.jupyter.widget-view+json"
_BUSY: Final = "A cell is running; an address can be pasted when it has ended. Logging in works meanwhile."


class Card:
    """The widgets of one open login. Several of them may stand for the same."""

    def __init__(self, request: LoginRequest, *, opened: bool = False) -> None:
        self._request = request
        self.kit = Kit(lambda: None)
        """What its widgets are made with."""
        self._busy = self._taken = False
        self._box: Any = self.kit.watched(_pasted()(**_BOX), self._answer)
        self._use = self.kit.button("Use this address", "Finish the login with what was pasted", self._press)
        cancel = self.kit.button("Cancel", "Do not log in now", request.cancel)
        self._note = self.kit.html()
        head, paste = self.kit.html(card_html(request, opened=opened)), self.kit.html(paste_html(request))
        row = self.kit.row((self._box, self._use, cancel))
        self.root: Any = self.kit.box((head, paste, row, self._note), "mcpnb-login")
        self._unfollow = cells.follow(self._rest)

    @property
    def connected(self) -> bool:
        """Whether there is a kernel that carries the widgets' messages to a page."""
        from comm import DummyComm  # noqa: PLC0415 - comes with ipywidgets

        return self.root.comm is not None and not isinstance(self.root.comm, DummyComm)

    def close(self) -> None:
        """Give the widgets up, and whatever was typed with them. Closing twice is fine."""
        self._unfollow()
        self._box.value = ""
        self.kit.close()

    def _rest(self, busy: bool) -> None:
        """Take nothing while a cell runs: a page would keep what is pasted until its end."""
        self._busy = busy
        self._follow()
        if busy or not self._taken:
            self._say(_BUSY if busy else "")

    def _follow(self) -> None:
        self._box.disabled = self._use.disabled = self._busy or self._taken

    def _press(self) -> None:
        """The button: leaving the box has handed over what was in it before."""
        if not self._taken and "mcpnb-bad" not in self._note.value:
            self._say("Paste the address into the box first.")

    def _answer(self) -> None:
        text = self._box.value
        if not text.strip():
            return
        self._box.value = ""  # before anything else: nothing may keep it
        try:
            self._request.answer(text)
        except Exception as error:  # noqa: BLE001 - a control has no caller; its user is told instead
            said = f'<span class="mcpnb-bad">✕ {cut(reason(error))}</span> The login still waits.'
            self.kit.say(self._note, f'<p role="alert">{said}</p>')
            return
        self._taken = True
        self._follow()
        self._say("◌ Finishing the login …")

    def _say(self, text: str) -> None:
        self.kit.say(self._note, f'<p role="status" class="mcpnb-small">{text}</p>' if text else "")


_BOX: Final = {
    "description": "Address",
    "placeholder": "http://127.0.0.1…/callback?code=…",
    "tooltip": "The address of the page that cannot be reached",
    "continuous_update": False,  # what is typed stays in the page until it is all there
    "style": {"description_width": "initial"},
    "layout": {"width": "auto", "flex": "1 1 320px", "max_width": "560px"},
}


@cache
def _pasted() -> Any:
    """A text box whose text the kernel does not send back to all pages, as it does by default."""
    from ipywidgets import Text  # noqa: PLC0415 - loaded when first shown
    from traitlets import Unicode  # noqa: PLC0415 - comes with ipywidgets

    class Pasted(Text):  # pyright: ignore[reportUntypedBaseClass] - ipywidgets' is untyped
        value = Unicode("").tag(sync=True, echo_update=False)

    return Pasted


class Panel:
    """One open login below a cell, until it is over; then the line that says how it ended."""

    def __init__(self, request: LoginRequest, *, opened: bool = False) -> None:
        self._request, self._opened = request, opened
        self._lock = threading.Lock()
        self._over = False
        self._place: Place | None = None
        self._root: Any = None
        self._card: Card | None = None

    def show(self, cell: Cell) -> None:
        """Put it below a cell, unless it has ended before."""
        with self._lock:
            if not self._over:
                self._place = cell.show(self._bundle())

    def end(self, said: str = "") -> None:
        """Leave a line in its place: what came of the login, or `said`. The first end counts."""
        with self._lock:
            if self._over:
                return
            self._over = True
            if self._place is not None:
                self._place.update(ended(self._request, said), raw=True)
            if self._card is not None:
                self._card.close()
                close_tree(self._root)

    def _bundle(self) -> dict[str, Any]:
        self._card = card = Card(self._request, opened=self._opened)
        w = card.kit.w
        self._root = _framed(w, card.root)
        if not card.connected:
            text = card_text(self._request)
            html = card_html(self._request, opened=self._opened)
            return bundle(f"{html}<pre>{escape(text, lines=True)}</pre>", text)
        view = {"version_major": 2, "version_minor": 0, "model_id": self._root.model_id}
        return {**still(self._request), _VIEW: view}


def _framed(w: Any, card: Any) -> Any:
    """A card as it stands alone below a cell."""
    panel = w.Box([card])
    panel.add_class("mcpnb-panel")
    root = w.Box([w.HTML(style(), layout={"display": "none"}), panel])
    root.add_class("mcpnb-live")
    return root
