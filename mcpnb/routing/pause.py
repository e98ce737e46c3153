"""The time that a call's servers spend waiting for a person: its clock stands while a question is open.

    attempt 1   ──── ?······! ──────────
    attempt 2        ───── ?·····! ─────
    the clock   ────|··stands···|───────   while at least one attempt has a question open

It owns these sums, for one call. It knows no deadline and no timers, and not who is asked: a person, or a
language model.
"""

from __future__ import annotations


class _Asked:
    """The questions of one attempt: how many are open, since when, and for how long some were before."""

    __slots__ = ("open", "seconds", "since")

    def __init__(self) -> None:
        self.open, self.since, self.seconds = 0, 0.0, 0.0

    def until(self, now: float) -> float:
        """Seconds in which at least one was open."""
        return self.seconds + (now - self.since if self.open else 0.0)


class Pause:
    """What was asked in the course of one call. Only a call that was ever asked something has one.

    Attributes:
        since: When its clock began to stand; None while it runs.
        stood: Seconds for which it stood before.
        overdue: The alarm for its deadline rang while it stood.
    """

    __slots__ = ("_asked", "overdue", "since", "stood")

    def __init__(self) -> None:
        self.since: float | None = None
        self.stood = 0.0
        self.overdue = False
        self._asked: dict[int, _Asked] = {}

    def open(self, attempt: int, now: float) -> None:
        """A question of this attempt's server is put to somebody; it may be one more."""
        asked = self._asked.get(attempt)
        if asked is None:
            asked = self._asked[attempt] = _Asked()
        if not asked.open:
            asked.since = now
        asked.open += 1
        if self.since is None:
            self.since = now

    def close(self, attempt: int, now: float) -> None:
        """One of the attempt's questions has its answer, or will have none. Nothing when none is open."""
        asked = self._asked.get(attempt)
        if asked is None or not asked.open:
            return
        asked.seconds = asked.until(now)
        asked.since = now
        asked.open -= 1
        self._go_on(now)

    def asked(self, attempt: int, now: float, *, answered: bool) -> float:
        """Seconds in which the attempt's server waited for somebody, if the attempt ends now.

        One that is answered while a question is open was not the one that asked (see `Dispatcher.on_paused`).
        """
        asked = self._asked.get(attempt)
        if asked is None:
            return 0.0
        return asked.seconds if answered and asked.open else asked.until(now)

    def end(self, attempt: int, now: float, *, answered: bool) -> float:
        """The attempt is over, whatever is open. The seconds of it that were not its server's."""
        seconds = self.asked(attempt, now, answered=answered)
        if self._asked.pop(attempt, None) is not None:
            self._go_on(now)
        return seconds

    def moved(self, deadline: float) -> float:
        """When a time of the call comes now that its clock has stood; while it stands, nobody knows yet."""
        return deadline + self.stood

    def _go_on(self, now: float) -> None:
        """The clock runs again once nothing is open."""
        if self.since is not None and not any(asked.open for asked in self._asked.values()):
            self.stood += now - self.since
            self.since = None
