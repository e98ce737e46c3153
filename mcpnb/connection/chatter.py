"""How much of what a server logs becomes an event. A server that logs every call would push all else out."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Chatter"]

_BURST = 50
"""Messages at once: a start-up, or the story of one failure."""

_RATE = 5.0
"""Messages a second after that: what a person can still follow."""

_LONGEST = 2000
"""Characters of one message; some servers log whole answers."""


class Chatter:
    """The messages of one server, thinned out when there are too many. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = float(_BURST)
        self._at = clock()
        self._dropped = 0

    def heard(self, text: str) -> str | None:
        """The message as it is to be told, with how many before it were left out; None to leave it out."""
        now = self._clock()
        self._left = min(float(_BURST), self._left + (now - self._at) * _RATE)
        self._at = now
        if self._left < 1.0:
            self._dropped += 1
            return None
        self._left -= 1.0
        told = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
        if self._dropped:
            told = f"{told} ({self._dropped} messages before it were left out)"
            self._dropped = 0
        return told
