"""The progress bar of a bulk call: rows, rate, time left, errors. It owns its looks only; tqdm draws it."""

from __future__ import annotations

import sys
import threading
from typing import Any, Final, Protocol

from mcpnb.notebook.cells import Cell
from mcpnb.notebook.markup import count, duration, escape, join, number, shorten, visible

__all__ = ["Bar", "NoBar", "bar"]

_EVERY: Final = 0.25
"""Seconds between changes: Jupyter drops what comes faster over long."""
_VIEW: Final = "application/vnd.jupyter.widget-view+json"


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
    """In a terminal a line; on a page a widget, and beside it in words what a saved notebook shows of it."""

    def __init__(self, label: str, total: int | None) -> None:
        kind, self._label, self._errors = _kind(), visible(shorten(label, 40)), 0
        there: dict[str, Any] = {"display": False} if _on_page(kind) else {}
        self._bar: Any = kind(
            total=total, desc=self._label, unit=" rows", mininterval=_EVERY, miniters=1, **there
        )
        self._place = Cell().show(self._bundle()) if there else None

    def skip(self, rows: int) -> None:
        self._bar.initial += rows
        self._bar.n += rows

    def add(self, rows: int, errors: int) -> None:
        self._errors = errors
        if errors:
            self._bar.set_postfix_str(_errors(errors), refresh=False)
        self._bar.update(rows)

    def close(self) -> None:
        self._bar.close()
        place, self._place = self._place, None
        if place is not None:
            place.update(self._bundle(), raw=True)

    def _bundle(self) -> dict[str, Any]:
        words = self._words()
        view = {"version_major": 2, "version_minor": 0, "model_id": self._bar.container.model_id}
        return {_VIEW: view, "text/html": f"<div>{escape(words)}</div>", "text/plain": words}

    def _words(self) -> str:
        known = self._bar.format_dict
        done, total, seconds = known["n"], known["total"], known["elapsed"]
        called = done - self._bar.initial
        return join(
            (
                f"{self._label}: {count(done)}" + ("" if total is None else f"/{count(total)}") + " rows",
                f"{number(called / seconds)} rows/s in {duration(seconds)}" if called and seconds else "",
                _errors(self._errors) if self._errors else "",
            )
        )


def _errors(errors: int) -> str:
    return f"{errors:,} error{'s' if errors > 1 else ''}"


def _on_page(kind: type[Any]) -> bool:
    """Whether this bar is a widget."""
    pages: Any = sys.modules.get("tqdm.notebook")
    return pages is not None and issubclass(kind, pages.tqdm)


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
