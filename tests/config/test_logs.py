"""While somebody holds them secret, texts read ••• in what libraries log."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from mcpnb.config import hush

SECRET = "hunter2-hunter2"


class Lines(logging.Handler):
    """What a file would get."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def stumble(text: str) -> None:
    raise ValueError(text)


@pytest.fixture
def lines() -> Iterator[list[str]]:
    handler = Lines()
    before = logging.root.level
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.DEBUG)
    yield handler.lines
    logging.root.removeHandler(handler)
    logging.root.setLevel(before)


@pytest.mark.parametrize(
    "name", ["httpx2", "httpcore2.http11", "mcp.client.streamable_http", "client", "asyncio"]
)
def test_secrets_are_hidden_from_libraries_logs_until_they_are_released(name: str, lines: list[str]) -> None:
    logger = logging.getLogger(name)
    release = hush({SECRET})
    logger.info("GET %s", f"http://h/?key={SECRET}")
    release()
    logger.info("GET %s", f"http://h/?key={SECRET}")
    assert lines == ["GET http://h/?key=•••", f"GET http://h/?key={SECRET}"]
    assert logger.filters == []


def test_a_secret_of_two_is_hidden_until_both_have_released_it(lines: list[str]) -> None:
    logger = logging.getLogger("httpx2")
    first, second, other = hush({SECRET}), hush({SECRET}), hush({"another-one"})
    first()
    first()
    logger.info(SECRET)
    second()
    logger.info("another-one")
    other()
    assert lines == ["•••", "•••"]


def test_other_records_are_left_as_they_are(lines: list[str]) -> None:
    release = hush({SECRET})
    logging.getLogger("httpx2").info("%d of %s", 1, "two")
    logging.getLogger("somebody.else").info(SECRET)
    release()
    assert lines == ["1 of two", SECRET]


def test_a_traceback_with_a_secret_is_hidden_and_one_without_is_kept(lines: list[str]) -> None:
    logger = logging.getLogger("mcp.client.sse")
    release = hush({SECRET})
    for text in (SECRET, "harmless"):
        try:
            stumble(text)
        except ValueError:
            logger.exception("failed")
    release()
    assert [line.splitlines()[0] for line in lines] == ["failed", "failed"]
    assert [line.splitlines()[-1] for line in lines] == ["ValueError: •••", "ValueError: harmless"]


def test_a_record_whose_arguments_do_not_fit_disturbs_nobody(lines: list[str]) -> None:
    release = hush({SECRET})
    misfit = "%d %s"
    logging.getLogger("httpx2").info(misfit, SECRET)
    release()
    assert SECRET not in lines[0]


def test_a_logger_that_is_made_later_is_hushed_with_the_next_connection(lines: list[str]) -> None:
    first = hush({SECRET})
    logger = logging.getLogger("mcp.made.later")
    second = hush({SECRET})
    logger.info(SECRET)
    first()
    second()
    assert lines == ["•••"]
    assert logger.filters == []
