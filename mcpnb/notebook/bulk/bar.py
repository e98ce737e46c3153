"""The progress bar of a bulk call: rows, rate, time left, errors. It owns its looks only; tqdm draws it."""

from __future__ import annotations

import threading
from typing import Any, Final, Protocol

from mcpnb.notebook.markup import shorten, visible

__all__ = ["Bar", "NoBar", "bar"]

_EVERY: Final = 0.25
"""Seconds between changes: Jupyter drops what comes faster over long."""


class Bar(Protocol):
    """What the run tells."""

    def skip(self, rows: int) -> None:
        """That many rows were done before; they say nothing of the rate."""
        ...

    def add(self, rows: int, errors: int) -> None:
        """That many more rows are done; `errors` of all rows ended without an answer.

        To be called with no rows, too, now and then: what came too soon to be drawn is drawn then.
        """
        ...

    def close(self) -> None:
        """It is over. Closing twice is fine."""
        ...


class NoBar:
    """Nothing to be seen."""

    def skip(self, rows: int) -> None:
        """See `Bar`."""

    def add(self, rows: int, errors: int) -> None:
        """See `Bar`."""

    def close(self) -> None:
        """See `Bar`."""


class _Tqdm:
    def __init__(self, label: str, total: int | None) -> None:
        self._bar: Any = _kind()(
            total=total, desc=visible(shorten(label, 40)), unit=" rows", mininterval=_EVERY, miniters=1
        )

    def skip(self, rows: int) -> None:
        self._bar.initial += rows
        self._bar.n += rows

    def add(self, rows: int, errors: int) -> None:
        if errors:
            self._bar.set_postfix_str(f"{errors:,} error{'s' if errors > 1 else ''}", refresh=False)
        self._bar.update(rows)

    def close(self) -> None:
        self._bar.close()


def _kind() -> type[Any]:
    """The bar for here, without the thread and the semaphore that it would leave in the process."""
    from tqdm.auto import tqdm  # noqa: PLC0415 - loaded when the first bar is shown

    class Quiet(tqdm):  # pyright: ignore[reportMissingTypeArgument]
        monitor_interval = 0

    Quiet.set_lock(threading.RLock())
    return Quiet


def bar(label: str, total: int | None, *, shown: bool) -> Bar:
    """A bar, to be looked at or not; `total` rows, None when only the end will tell."""
    return _Tqdm(label, total) if shown else NoBar()
