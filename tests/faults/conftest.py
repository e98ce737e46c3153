"""What the fault tests share: the process that forks servers, short durations, and a look for leaks."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mcpnb.connection import connection
from mcpnb.connection.pace import Pace

from .stages import LIMIT, Forks

QUICK = Pace(
    backoff_base=0.02, backoff_cap=0.1, retry_after_cap=0.1, health_timeout=0.5, health_pause=0.02,
    courtesy=0.2, farewell=0.2, eof_grace=0.1, term_grace=0.1,
)  # fmt: skip
"""The same mechanisms, on a shorter scale."""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "Pace", lambda: QUICK)


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    forks = Forks()
    yield forks
    forks.close()


@dataclass(frozen=True)
class Holdings:
    """What this process holds: threads, tasks, descriptors, children."""

    threads: frozenset[str]
    tasks: frozenset[asyncio.Task]
    files: frozenset[str]
    children: frozenset[int]

    @classmethod
    def now(cls) -> Holdings:
        return cls(
            frozenset(thread.name for thread in threading.enumerate()),
            frozenset(asyncio.all_tasks()),
            frozenset(_files()),
            frozenset(_children()),
        )

    def beyond(self, before: Holdings) -> dict[str, object]:
        """What has come since, by kind; empty when nothing did."""
        new = {name: getattr(self, name) - getattr(before, name) for name in self.__dataclass_fields__}
        return {name: found for name, found in new.items() if found}


def _files() -> Iterator[str]:
    for path in Path("/proc/self/fd").iterdir():
        try:
            yield f"{path.name} {path.readlink()}"
        except FileNotFoundError:
            continue  # the one that looks


def _children() -> Iterator[int]:
    for task in Path("/proc/self/task").iterdir():
        yield from map(int, (task / "children").read_text().split())


async def nothing_is_left(before: Holdings) -> None:
    """Fail with what was not there before; what is just going has the time to."""
    try:
        async with asyncio.timeout(LIMIT / 10):
            while Holdings.now().beyond(before):
                gc.collect()
                await asyncio.sleep(0.01)
    except TimeoutError:
        assert Holdings.now().beyond(before) == {}
