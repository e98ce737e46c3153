"""What other libraries log about our servers, without their secrets.

An HTTP library logs whole URLs, the SDK whole messages: with logging turned up, a key in a query or a token
that a server repeats would stand in somebody's log file. So while a server is connected its secrets read •••
in the records of the libraries that carry its messages. Records without them are left as they are, nothing
is configured, and after the last connection nothing of this is left.

It owns the filter and the list of libraries. It knows no servers.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from .redact import redact

__all__ = ["hush"]

_LIBRARIES = frozenset({"asyncio", "client", "httpcore2", "httpx2", "mcp"})
"""`client` is what the SDK calls the logger of its sessions; asyncio logs errors that nobody fetched."""

_MADE_LATER = (
    "asyncio", "client", "httpcore2.connection", "httpcore2.http11", "httpcore2.http2", "httpcore2.proxy",
    "httpcore2.socks", "httpx2", "mcp.client.sse", "mcp.client.streamable_http",
)  # fmt: skip
"""Loggers of these that may not be there yet: a filter works on the very logger only, not on those below."""


def hush(secrets: Iterable[str]) -> Callable[[], None]:
    """From now on these secrets read ••• in what libraries log; calling what comes back ends that."""
    held = frozenset(secrets)
    _FILTER.hold(held)
    open_ = [True]

    def release() -> None:
        if open_:
            open_.clear()
            _FILTER.release(held)

    return release


class _Filter(logging.Filter):
    """Hides what somebody holds secret. Used from any thread."""

    def __init__(self) -> None:
        super().__init__()
        self._held: Counter[frozenset[str]] = Counter()
        self._all: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def hold(self, secrets: frozenset[str]) -> None:
        with self._lock:
            self._held[secrets] += 1
            self._all |= secrets
            for logger in _loggers():
                logger.addFilter(self)

    def release(self, secrets: frozenset[str]) -> None:
        with self._lock:
            self._held[secrets] -= 1
            self._held += Counter()  # drops those that nobody holds any more
            self._all = frozenset[str]().union(*self._held)
            if not self._held:
                for logger in _loggers():
                    logger.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        secrets = self._all
        if secrets:
            self._hide(record, secrets)
        return True

    def _hide(self, record: logging.LogRecord, secrets: frozenset[str]) -> None:
        try:
            said = record.getMessage()
        except (TypeError, ValueError):
            said = f"{record.msg} {record.args}"  # arguments that do not fit: the handler would only say so
        shown = redact(said, secrets)
        if shown != said:
            record.msg, record.args = shown, ()
        if record.exc_info and not record.exc_text:
            trace = _PLAIN.formatException(record.exc_info)
            if (shown := redact(trace, secrets)) != trace:
                record.exc_text, record.exc_info = shown, None


def _loggers() -> Iterator[logging.Logger]:
    known = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in _LIBRARIES]
    yield from (logging.getLogger(name) for name in {*known, *_MADE_LATER})


_PLAIN = logging.Formatter()
_FILTER = _Filter()
