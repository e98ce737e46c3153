"""Whom servers' questions reach in a notebook: a form below the cell, or prompts where a cell waits.

It owns the choice between the two. A kernel that is busy with a cell takes no messages of
widgets, or (while the cell awaits) only some of them, so that a form cannot be answered before the cell ends;
prompts (`input`) it does take. So a cell that waits for a call asks there, and a call in the background asks
with a form. What questions are, and what becomes of answers, the connection knows.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from mcpnb.errors import McpnbError
from mcpnb.model import Event
from mcpnb.notebook import cells
from mcpnb.notebook.forms import TOO_LATE, Form
from mcpnb.notebook.markup import bundle, cut
from mcpnb.notebook.prompts import Given, prompted
from mcpnb.notebook.pulse import TIMERS, Scheduler
from mcpnb.notebook.shapes import fields_of
from mcpnb.portal import Future

if TYPE_CHECKING:
    from mcpnb.connection import Elicitation

__all__ = ["DESK", "Declined", "Desk"]

_OPEN: Final = 12
"""Questions that may be open at once."""
_FIELDS: Final = 50
"""Fields of one question."""

_POLL: float | None = 0.2 if sys.platform == "win32" else None
"""Seconds between looks for an interrupt, where waiting for a lock does not notice one."""


class NobodyThere(McpnbError):
    """A server asks, and the notebook is run by a program."""

    def __init__(self) -> None:
        super().__init__("the notebook is run without anybody who could answer (on_elicit= at connect)")


class TooMuch(McpnbError):
    """Servers ask for more than a person can answer."""

    def __init__(self) -> None:
        super().__init__(
            f"more than {_OPEN} questions at once, or {_FIELDS} fields, are too much for a person"
        )


class _Asked:
    """One question, until it is answered or nobody wants to know any more."""

    def __init__(self, question: Elicitation, cell: cells.Cell) -> None:
        self.question, self.cell = question, cell
        self.fields = fields_of(question.schema or {})
        self.answer: concurrent.futures.Future[Given] = concurrent.futures.Future()
        self._form: Form | None = None
        self._over = ""
        self._lock = threading.Lock()

    def _fail(self, error: Exception) -> None:
        with suppress(concurrent.futures.InvalidStateError):
            self.answer.set_exception(error)

    def settle(self, given: Given) -> bool:
        """Take an answer. False when it comes too late."""
        with suppress(concurrent.futures.InvalidStateError):
            self.answer.set_result(given)
            return True
        return False

    def show(self) -> None:
        """Put a form below the cell, unless there was one before or the question was withdrawn."""
        with self._lock:
            if self._over or self._form is not None:
                return
            try:
                self._form = Form(self.question, self.fields, self.settle)
                self._form.show(self.cell)
            except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
                self._fail(error)

    def withdraw(self, how: str) -> None:
        """Take the form away, and say how it ended."""
        with self._lock:
            self._over = how
            if self._form is not None:
                self._form.end(how)

    def give_up(self) -> None:
        """Nobody waits for an answer any more."""
        if self.answer.cancelled():
            self.withdraw(TOO_LATE)

    def prompt(self) -> None:
        """Ask here and now, in the cell that waits.

        Raises:
            KeyboardInterrupt: The cell is interrupted; the question counts as dismissed.
        """
        if self.answer.done():
            return
        self.withdraw("↓ asked below")
        try:
            in_time = self.settle(prompted(self.question, self.fields))
        except KeyboardInterrupt:
            self.settle(None)
            raise
        except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
            self._fail(error)
        else:
            if not in_time:
                print("  The call has ended without the answer.")  # noqa: T201 - below the prompts


class Desk:
    """Where servers' questions go in a notebook, and where cells that wait take them up."""

    def __init__(self, *, scheduler: Scheduler = TIMERS) -> None:
        self._scheduler = scheduler
        self._open: list[_Asked] = []
        self._takers: list[Callable[[_Asked], None]] = []
        self._lock = threading.Lock()

    async def ask(self, question: Elicitation) -> Given:
        """A person's answer, as `on_elicit` gives it. Cancelling it takes the question back.

        Raises:
            NobodyThere: A program runs the notebook.
            TooMuch: More fields, or more questions at once, than a person can answer.
        """
        if not cells.has_person():
            raise NobodyThere
        asked = _Asked(question, cells.cell_of_now())
        with self._lock:
            if len(self._open) >= _OPEN or len(asked.fields) > _FIELDS:
                raise TooMuch
            self._open.append(asked)
            takers = list(self._takers)
        try:
            for taker in takers:  # each of them may be about to end
                taker(asked)
            if not takers:
                await asyncio.to_thread(asked.show)  # its first import would hold up the loop
            return await asyncio.wrap_future(asked.answer)
        finally:
            with self._lock:
                self._open.remove(asked)
            asked.answer.cancel()
            self._scheduler.later(0, asked.give_up)

    # -- cells that wait

    def serve(self, call: Future[Any]) -> None:
        """Wait until the call ends, and ask here what servers ask meanwhile.

        Raises:
            KeyboardInterrupt: The cell is interrupted, in the middle of a question, too.
        """
        arrived: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        call.add_done_callback(lambda _: arrived.put(None))
        with self._taking(arrived.put):
            while not call.done():
                try:
                    asked = arrived.get(timeout=_POLL)
                except queue.Empty:
                    continue
                if asked is not None:
                    asked.prompt()

    async def attend(self, call: Future[Any]) -> None:
        """The same for a cell that awaits. Cancelling it or Interrupt at a prompt cancels the call."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[_Asked] = asyncio.Queue()

        def take(asked: _Asked) -> None:
            loop.call_soon_threadsafe(arrived.put_nowait, asked)

        with self._taking(take):
            asking = loop.create_task(_prompt_for(arrived, call))
            try:
                await _end_of(call).wait()
            except asyncio.CancelledError:
                call.cancel()
                raise
            finally:
                asking.cancel()

    @contextmanager
    def _taking(self, taker: Callable[[_Asked], None]) -> Generator[None]:
        """Have open and new questions given to `taker`."""
        with self._lock:
            self._takers.append(taker)
            waiting = list(self._open)
        for asked in waiting:
            taker(asked)
        try:
            yield
        finally:
            with self._lock:
                self._takers.remove(taker)
                left = [] if self._takers else list(self._open)
            for asked in left:  # came just too late for this cell
                self._scheduler.later(0, asked.show)


async def _prompt_for(arrived: asyncio.Queue[_Asked], call: Future[Any]) -> None:
    while True:
        asked = await arrived.get()
        try:
            with _interruptible():
                asked.prompt()
        except KeyboardInterrupt:  # out of a task it would end the kernel's loop
            call.cancel()


@contextmanager
def _interruptible() -> Generator[None]:
    """Interrupt reaches the prompt of a cell that awaits; the kernel would have it wait for the loop."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end_of(call: Future[Any]) -> asyncio.Event:
    """Set on the running loop when the call has ended, however."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def wake(_: object) -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(event.set)

    call.add_done_callback(wake)
    return event


DESK: Final = Desk()
"""The desk of this process: cells wait one after the other."""


class Declined:
    """Says below the cell that a request to sample was declined, the first time for each server."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Hear of a `sampling_declined` event."""
        server = event.server or "a server"
        if server in self._told:
            return
        self._told.add(server)
        text = f"{server} wanted a language model's answer and was declined: {event.detail}"
        html = f'<p class="mcpnb-dim">⊘ {cut(text)}</p>'
        cells.cell_of_now().show(bundle(html, text))
