"""Run All in a real JupyterLab: every cell must finish.

nbclient sends one cell at a time and cannot lose one; a browser sends them all at once.
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

SCRIPT = """\
import asyncio

async def worker(name, queue):
    while True:
        item = await queue.get()
        await asyncio.sleep(0.01)
        print(f"{name} did {item}")
        queue.task_done()

async def main():
    queue = asyncio.Queue()
    for item in range(6):
        queue.put_nowait(item)
    workers = [asyncio.create_task(worker(f"worker-{n}", queue)) for n in range(3)]
    await queue.join()
    for task in workers:
        task.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    print("script done")

if __name__ == "__main__":
    asyncio.run(main())"""

CELLS = [
    "# A pasted script",
    "before = 1\nbefore",
    "%load_ext mcpnb",
    "before + 1",
    SCRIPT,
    "print('after the script')",
    "import asyncio\nawait asyncio.sleep(0.01)\n'awaited'",
    SCRIPT.replace("script done", "second script done"),
    "%mcp help",
    "from mcpnb.portal import get_portal\nget_portal().call(asyncio.sleep, 0.01, 'through the portal')",
    "sum(range(10))",
    "print('last')",
]


def assert_all_finished(cells):
    assert [cell.source for cell in cells if not cell.finished] == []
    assert {cell.source: cell.error for cell in cells if cell.error} == {}


def test_run_all_finishes_every_cell_of_a_notebook_with_pasted_scripts(lab_page):
    page = lab_page(CELLS)
    cells = page.run_all()
    page.shots()
    assert_all_finished(cells)
    outputs = [cell.output for cell in cells]
    assert outputs[3].endswith("script done")
    assert outputs[3].count(" did ") == 6
    assert outputs[4] == "after the script"
    assert "'awaited'" in outputs[5]
    assert outputs[6].endswith("second script done")
    assert "through the portal" in outputs[8]
    assert outputs[10] == "last"
    assert page.console == []


def test_run_all_finishes_every_cell_with_nesting_on(lab_page):
    nested = (
        "async def value():\n    await asyncio.sleep(0.01)\n    return 'nested'\n"
        "asyncio.get_event_loop().run_until_complete(value())"
    )
    page = lab_page(
        ["%load_ext mcpnb", "%mcp nest on", SCRIPT, nested, "1 + 1", nested, SCRIPT, "print('last')"]
    )
    cells = page.run_all()
    page.shot()
    assert_all_finished(cells)
    assert "Nesting is on (nest_asyncio" in cells[1].output
    assert "nested" in cells[3].output
    assert cells[-1].output == "last"


def test_interrupt_stops_a_pasted_script_and_a_waiting_call_and_the_notebook_goes_on(lab_page):
    hanging_script = (
        "import asyncio\nasync def main():\n    print('script hangs')\n    await asyncio.Event().wait()\n"
        "asyncio.run(main())"
    )
    hanging_call = (
        "async def hangs():\n    print('call hangs')\n    await asyncio.Event().wait()\n"
        "from mcpnb.portal import get_portal\nget_portal().call(hangs)"
    )
    for number, source in enumerate([hanging_script, hanging_call]):
        page = lab_page(["%load_ext mcpnb\nimport asyncio", source])
        page.start_all()
        page.output(1).get_by_text("hangs").wait_for(timeout=30_000)
        page.interrupt()
        page.wait_quiet()
        cells = page.cells()
        page.shot(f"interrupted-{number}")
        assert "KeyboardInterrupt" in cells[1].error
        assert cells[1].finished


def test_the_doctor_and_a_running_call_show_themselves(lab_page):
    running = (
        "from mcpnb.notebook.future import CallFuture\n"
        "async def hangs():\n    await asyncio.Event().wait()\n"
        "future = CallFuture('weather.forecast')\n"
        "get_portal().start(future, hangs)\nfuture.report(1, 4, 'reading')\nfuture"
    )
    page = lab_page(
        ["%load_ext mcpnb\nimport asyncio\nfrom mcpnb.portal import get_portal", "%mcp doctor", running]
    )
    cells = page.run_all()
    assert_all_finished(cells)
    assert "does not need nest-asyncio" in cells[1].output
    page.output(2).get_by_text("25% reading").wait_for()
    page.shots("running")
    page.output(2).get_by_role("button", name="Stop").click()
    page.output(2).get_by_text("cancelled after").wait_for()
    page.shots("stopped")
    assert page.console == []
