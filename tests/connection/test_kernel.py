"""A real Jupyter kernel that is restarted: its servers end with it, stubborn ones and their children too."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator

import pytest
from jupyter_client.manager import KernelManager

from .conftest import OLD

CELL = """
import mcpnb
servers = {{
    "polite": [{python!r}, {script!r}],
    "stubborn": [{python!r}, {script!r}, "stubborn"],
    "shell": ["sh", "-c", "sleep 600 & echo $! >&2; exec {python} {script}"],
}}
fleet = mcpnb.connect(servers)
connections = fleet.client.members.connections
print(*(each.pid for each in connections.values()), *connections["shell"].stderr_tail, flush=True)
"""


@pytest.fixture
def kernel(start_kernel) -> Iterator[tuple[KernelManager, object]]:
    with start_kernel() as started:
        yield started


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux to watch a process that is no child")
def test_a_restarted_kernel_leaves_no_server_and_no_child_of_a_server(kernel) -> None:
    manager, client = kernel
    printed: list[str] = []
    cell = CELL.format(python=sys.executable, script=str(OLD))
    reply = client.execute_interactive(
        cell, timeout=60, output_hook=lambda message: printed.append(message["content"].get("text", ""))
    )
    assert reply["content"]["status"] == "ok", "".join(printed)
    watched = [os.pidfd_open(int(pid)) for pid in "".join(printed).split()]
    assert len(watched) == 4
    manager.restart_kernel()
    for descriptor in watched:
        assert select.select([descriptor], [], [], 20)[0]
        os.close(descriptor)
