"""What every test shares."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

import hypothesis
import pytest

# How long an example takes, and to think of one, is the machine's affair.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")

# A shell that starts us in the background has us ignore interrupts, and so would every child of ours.
signal.signal(signal.SIGINT, signal.default_int_handler)


LENGTHS = ("browser", "thirdparty", "slow", "long", "measured")
"""Marks of what takes longer than the rest."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long first, file by file: two workers then end with small change, not one with a browser."""
    lengthy = {item.path for item in items if any(item.get_closest_marker(mark) for mark in LENGTHS)}
    items.sort(key=lambda item: item.path not in lengthy)
    for item in items:
        longest = item.get_closest_marker("long") or item.get_closest_marker("measured")
        if longest and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def start_kernel():
    """`with start_kernel(cwd=...) as (manager, client)`: an IPython kernel, which is gone afterwards."""
    jupyter = pytest.importorskip("jupyter_client.manager")

    @contextlib.contextmanager
    def started(**options: Any):
        manager = jupyter.KernelManager(kernel_name="python3")
        manager.start_kernel(**options)
        client = manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=60)
            yield manager, client
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
            manager.cleanup_resources()

    return started


@pytest.fixture
def anyio_backend() -> str:
    """The SDK and Jupyter both run on asyncio."""
    return "asyncio"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything is installed a skipped test is a failure: it would hide what it did not look at."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("MCPNB_NOTHING_SKIPPED") and skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"{len(skipped)} skipped where nothing may be skipped", red=True)
