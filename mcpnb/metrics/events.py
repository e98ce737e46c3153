"""The log of events, and who wants to hear of them. It owns delivery; it knows no clock and no widgets."""

from __future__ import annotations

import inspect
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from mcpnb.model import Event

__all__ = ["EventLog"]

ANY = "*"
"""The kind that stands for every kind."""


@dataclass(slots=True, eq=False)
class _Watch:
    kind: str
    callback: Callable[[Event], object]
    failed: bool = field(default=False)


class EventLog:
    """The newest `capacity` events; older ones are dropped and counted.

    Any thread may append, watch or read: each step is one operation on a list or deque, which the
    interpreter makes whole.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        if capacity < 1:
            raise ValueError(f"a log of {capacity} events: capacity must be at least 1")
        self._events: deque[Event] = deque(maxlen=capacity)
        self._watches: list[_Watch] = []
        self._kinds: frozenset[str] = frozenset()
        self.total = 0
        """Events ever appended. It grows with each, so it also tells whether anything is new."""

    def append(self, event: Event) -> None:
        """Keep the event, then tell those who watch its kind, in this thread and in the order they came.

        A callback that raises is reported once, by a warning and by an event of the kind `callback_failed`;
        the others are still told, and nothing is raised here.
        """
        self._keep(event)
        for watch in tuple(self._watches):
            if watch.kind in {ANY, event.kind}:
                self._tell(watch, event)

    def tell(self, event: Event) -> None:
        """Tell those who watch exactly this kind, and keep nothing: for what happens with every call.

        Thousands of these a second would push everything else out of the log, so it does not hold them, and
        `"*"` does not bring them.
        """
        for watch in tuple(self._watches):
            if watch.kind == event.kind:
                self._tell(watch, event)

    def heard(self, kind: str) -> bool:
        """Whether anybody watches exactly this kind, so that `tell` is worth making an event."""
        return kind in self._kinds

    def on(self, kind: str, callback: Callable[[Event], object]) -> Callable[[], None]:
        """Call `callback` with each later event of this kind. Returns what ends that.

        `"*"` is every kind that the log keeps. `call_finished` is not among these: it has to be asked for by
        its name.

        Raises:
            TypeError: The kind is no text, or the callback no plain function.
        """
        if not isinstance(kind, str):  # pyright: ignore[reportUnnecessaryIsInstance] - people pass lists
            raise TypeError(f"kind must be the name of a kind of event, not {kind!r}")
        if not callable(callback) or inspect.iscoroutinefunction(callback):
            raise TypeError(f"callback must be a plain function of one event, not {callback!r}")
        watch = _Watch(kind, callback)
        self._watches.append(watch)
        self._kinds = frozenset(other.kind for other in tuple(self._watches))

        def unsubscribe() -> None:
            if watch in self._watches:
                self._watches.remove(watch)
            self._kinds = frozenset(other.kind for other in tuple(self._watches))

        return unsubscribe

    def snapshot(self) -> tuple[Event, ...]:
        """The events, oldest first, as they stand now."""
        while True:
            try:
                return tuple(self._events)
            except RuntimeError:  # another thread appended while we copied: copy again
                continue

    @property
    def dropped(self) -> int:
        """Events that were forgotten because newer ones needed their place."""
        return max(0, self.total - len(self._events))

    def __len__(self) -> int:
        return len(self._events)

    def __repr__(self) -> str:
        gone = f", {self.dropped:,} older dropped" if self.dropped else ""
        return f"<EventLog: {len(self):,} events{gone}>"

    def _keep(self, event: Event) -> None:
        self._events.append(event)
        self.total += 1

    def _tell(self, watch: _Watch, event: Event) -> None:
        try:
            watch.callback(event)
        except Exception as error:  # noqa: BLE001 - a guest's mistake must not stop the loop that emits
            if not watch.failed:
                watch.failed = True
                self._report(watch, event, error)

    def _report(self, watch: _Watch, event: Event, error: Exception) -> None:
        name = getattr(watch.callback, "__qualname__", repr(watch.callback))
        detail = f"callback {name} for {watch.kind!r} events raised {type(error).__name__}: {error}"
        self._keep(Event(event.at, "callback_failed", event.server, detail))
        try:
            warnings.warn(f"{detail} (said once)", RuntimeWarning, stacklevel=2)
        except RuntimeWarning:  # warnings are errors here; the event above has told it
            return
