"""A long `fleet.map` in a real JupyterLab: its bar, Interrupt, and that a restart leaves nothing behind."""

from __future__ import annotations

import os
import re
import time

import pytest

from .lab import THEMES
from .test_dashboard import _RUN

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

START = """\
import asyncio, pathlib, sys
from mcp.server.mcpserver import MCPServer
import mcpnb

server = MCPServer('slow', log_level='CRITICAL')

@server.tool()
async def slow(n: int) -> dict:
    if n >= 60:
        await asyncio.Event().wait()
    if n % 20 == 7:
        raise ValueError('unlucky')
    return {'n': n, 'twice': 2 * n}

weather = [sys.executable, '-m', 'mcpnb.lab.servers.weather']
fleet = mcpnb.connect({'slow': server, 'weather': weather}, timeout=120)
print(*(path.read_text() for path in pathlib.Path('/proc/self/task').glob('*/children')))"""

MAP = "frame = fleet.map('slow', range(400), concurrency=4)\nframe.iloc[56:66]"
AFTER = "print(len(frame), sorted(set(frame.outcome)), fleet.call('slow', n=4).value)"


def run(page, code: str) -> str:
    """What the kernel prints for code that is in no cell."""
    return page.page.evaluate(_RUN, code).strip()


@pytest.mark.parametrize("theme", THEMES)
def test_interrupt_stops_a_long_map_and_the_next_cell_works(lab_page, theme):
    page = lab_page([START, MAP, AFTER], theme=theme)
    page.start_all()
    bar = page.output(1).get_by_text(re.compile(r"60/400.*3\s+errors"))
    bar.wait_for(timeout=40_000)
    page.shot("running")
    page.interrupt()
    page.wait_quiet()
    begun, mapped, after = page.cells()
    assert [cell.error for cell in (begun, mapped, after)] == ["", "", ""]
    assert "interrupted after 60 of 400 rows" in mapped.output
    assert after.output == "400 ['cancelled', 'ok', 'tool_error'] {'n': 4, 'twice': 8}"
    page.shot("interrupted")
    assert page.console == []
    run(page, "fleet.close()")


@pytest.mark.parametrize("theme", THEMES)
def test_a_restart_in_the_middle_of_a_map_leaves_no_process_behind(lab_page, theme):
    page = lab_page([START, MAP], theme=theme)
    page.start_all()
    page.output(1).get_by_text(re.compile("60/400")).wait_for(timeout=40_000)
    children = [int(each) for each in page.cells()[0].output.split()]
    assert children
    assert all(os.path.exists(f"/proc/{each}") for each in children)  # noqa: PTH110 - a text, not a path
    page.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    deadline = time.monotonic() + 20
    while any(os.path.exists(f"/proc/{each}") for each in children):  # noqa: PTH110 - as above
        assert time.monotonic() < deadline, children
        time.sleep(0.1)  # nothing tells when a process is gone
    assert run(page, "print('fleet' in globals())") == "False"
