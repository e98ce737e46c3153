"""What is left of a notebook without its page: run by nbclient, exported as HTML, or with no kernel."""

from __future__ import annotations

import copy
import html
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

START = """\
import mcpnb
from mcp.server.mcpserver import MCPServer

def made(name):
    server = MCPServer(name, log_level='CRITICAL')

    @server.tool()
    def twice(n: int) -> dict:
        "Doubles a number."
        return {'n': n, 'twice': 2 * n, 'said': '<script>alert(1)</script>'}

    return server

servers = {name: made(name) for name in ('north', 'south')}
fleet = mcpnb.connect(servers, name='export', strategy='round_robin')"""

PLAYGROUND = "mcpnb.playground('one_slow', strategies=['peak_ewma', 'random'], repeats=1)"
SHOWN = {
    "fleet": "fleet",
    "dashboard": "fleet.dashboard()",
    "form": "fleet.form('twice', n=2)",
    "result": "fleet.call('twice', n=21)",
    "aggregate": "fleet.gather('twice', n=4)",
    "map": "fleet.map('twice', [1, 2, 3])[['n', 'outcome']]",
    "playground": PLAYGROUND,
}
LIVE = ("dashboard", "form", "playground")
WIDGET = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
PLAIN = {
    "fleet": "south   ● connected",
    "dashboard": "snapshot of ",
    "form": "n         int   needed",
    "result": '{"n": 21, "twice": 42',
    "aggregate": "2 of 2 servers, fused by mean",
    "map": "2  3      ok",
    "playground": "peak_ewma",
}
TAKEN = r"snapshot of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


@dataclass(frozen=True, slots=True)
class Ran:
    """The notebook after its last cell, and after `fleet.close()` and the playground's."""

    open: nbformat.NotebookNode
    closed: nbformat.NotebookNode


def outputs(notebook: nbformat.NotebookNode, shown: str) -> list[Any]:
    """What stands below the cell that shows this."""
    return notebook.cells[1 + list(SHOWN).index(shown)].outputs


def bundle(notebook: nbformat.NotebookNode, shown: str) -> dict[str, str]:
    """The MIME bundle of what a cell shows."""
    return next(each.data for each in reversed(outputs(notebook, shown)) if "data" in each)


def exported(notebook: nbformat.NotebookNode, *, state: bool) -> str:
    """The page that nbconvert makes; without the widgets' state, as JupyterLab saves by default."""
    notebook = copy.deepcopy(notebook)
    if not state:
        notebook.metadata.pop("widgets", None)
    return HTMLExporter(exclude_input=True).from_notebook_node(notebook)[0]


def body(page: str) -> str:
    """The notebook's part of a page, without nbconvert's own head."""
    return page[page.index("<body") :]


def html_of(page: str) -> str:
    """A page without what only viewers without our style show: the same as plain text."""
    return re.sub(r"<pre class=.mcpnb-text.*?</pre>", "", page, flags=re.DOTALL)


def words(page: str) -> str:
    """What is written on it, its white space made one."""
    text = html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html_of(page), flags=re.DOTALL))
    return " ".join(text.split())


@pytest.fixture(scope="module")
def ran() -> Ran:
    """One kernel for all that is asked here."""
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(each) for each in (START, *SHOWN.values())]
    )
    made.cells[-1].source = f"panel = {made.cells[-1].source}\npanel"
    made.cells.append(nbformat.v4.new_code_cell("fleet.close()\npanel.close()"))
    client = NotebookClient(made, timeout=60, kernel_name="python3")
    # pytest's mark makes a kernel leave its standard streams alone, as it would not for a person.
    env = {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}
    with client.setup_kernel(env=env):
        for number, cell in enumerate(made.cells[:-1]):
            client.execute_cell(cell, number)
        client.set_widgets_metadata()
        opened = copy.deepcopy(made)
        client.execute_cell(made.cells[-1], len(made.cells) - 1)
        client.set_widgets_metadata()
    return Ran(opened, made)


@pytest.mark.parametrize("shown", LIVE)
def test_a_live_thing_is_a_widget_and_carries_its_own_fallback(ran: Ran, shown: str) -> None:
    there = bundle(ran.open, shown)
    assert there[WIDGET]["model_id"] in ran.open.metadata.widgets[STATE]["state"]
    assert "<table" in there["text/html"]
    assert "<section" not in there["text/plain"]


def test_a_page_without_the_widgets_state_shows_tables_and_when_they_were_taken(ran: Ran) -> None:
    page = body(exported(ran.open, state=False))
    assert "<script" not in page
    assert "MutationObserver" not in page, "what names sliders is written in no output"
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    read = words(page)
    assert len(re.findall(TAKEN, html_of(page), re.IGNORECASE)) == len(LIVE)
    for said in (
        "2 of 2 servers take calls", "2 of 2 take calls", "north in-process", "● connected",
        "the form lives in a running notebook; this is what it takes", "n int needed",
        "n 21 twice 42", "fused by mean", "n outcome 0 1 ok 1 2 ok 2 3 ok",
    ):  # fmt: skip
        assert said in read, said
    assert re.search(r"peak_ewma \d", read)


def test_a_page_with_the_widgets_state_has_the_whole_board_in_it(ran: Ran) -> None:
    page = body(exported(ran.open, state=True))
    assert all(bundle(ran.open, shown)[WIDGET]["model_id"] in page for shown in LIVE)
    board = json.dumps(ran.open.metadata.widgets[STATE]["state"])
    assert "2 of 2 take calls" in board
    assert "mcpnb-servers" in board


def test_what_was_closed_is_a_table_even_with_the_widgets_state(ran: Ran) -> None:
    assert [shown for shown in LIVE if WIDGET in bundle(ran.closed, shown)] == []
    page = html_of(body(exported(ran.closed, state=True)))
    assert len(re.findall(TAKEN, page, re.IGNORECASE)) == len(LIVE)


@pytest.mark.parametrize("shown", SHOWN)
def test_plain_text_is_a_table_or_a_line_that_can_be_read(ran: Ran, shown: str) -> None:
    text = bundle(ran.open, shown)["text/plain"]
    assert PLAIN[shown] in text
    assert not re.search(r"</|object at 0x|\bHBox\b|\bVBox\b", text.replace("</script>", ""))


# -- no kernel


NO_KERNEL = f"""\
{START}
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

def show():
    for each in (fleet.dashboard(), fleet.form('twice', n=2), {PLAYGROUND}):
        display(each)
        each.close()

show()
print(fleet.map('twice', [1, 2, 3])[['n', 'outcome']])
print('a console:')
InteractiveShell.instance()
show()
fleet.close()
"""
LACKS = "a running notebook with widgets"


@pytest.fixture(scope="module")
def without_kernel() -> tuple[str, str, str]:
    """What plain Python prints, what an IPython console does, and what stands beside; warnings are errors."""
    command = [sys.executable, "-W", "error", "-c", NO_KERNEL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    plain, console = done.stdout.split("a console:\n")
    return plain, console, done.stderr


def test_of_a_maps_bar_its_end_is_saved_in_words(ran: Ran) -> None:
    bar = next(each.data for each in outputs(ran.open, "map") if WIDGET in each.get("data", {}))
    assert re.fullmatch(r"twice: 3/3 rows · [\d.]+ rows/s in [\d.]+ m?s", bar["text/plain"])
    assert "twice: 3/3 rows" in exported(ran.open, state=False)


def test_plain_python_shows_a_line_for_each_live_thing_that_says_what_it_lacks(
    without_kernel: tuple[str, str, str],
) -> None:
    dashboard, form, playground, *mapped = without_kernel[0].splitlines()
    assert dashboard == f"<Dashboard of export: not live; it needs {LACKS}>"
    assert form == f"<ToolForm twice: ready; it needs {LACKS}>"
    assert playground.startswith("<Playground of one_slow: ")
    assert playground.endswith(f"; it needs {LACKS}>")
    assert mapped[1:] == ["0  1      ok", "1  2      ok", "2  3      ok"]


def test_a_console_shows_tables_and_says_why_nothing_in_them_can_be_pressed(
    without_kernel: tuple[str, str, str],
) -> None:
    console = without_kernel[1]
    for needs in ("a live dashboard needs", "a form needs", "a playground needs"):
        assert re.search(rf"{TAKEN}: {needs} {LACKS}", console, re.IGNORECASE), needs
    assert "north   ● connected" in console
    assert "n         int   needed" in console
    assert re.search(r"peak_ewma +\d", console)


def test_without_a_kernel_the_bar_of_a_map_is_a_line_of_text(without_kernel: tuple[str, str, str]) -> None:
    last = without_kernel[2].splitlines()[-1]
    assert re.match(r"twice: 100%\|.*\| 3/3 ", last), last
    assert "Traceback" not in without_kernel[2]
