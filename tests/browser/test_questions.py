"""What happens below a cell while a call runs, in a real JupyterLab: questions, progress, Interrupt."""

from __future__ import annotations

import pytest

from .test_dashboard import _RUN

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

START = """\
import asyncio
from typing import Annotated, Literal
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve
from pydantic import BaseModel, Field
import mcpnb

class Trip(BaseModel):
    city: str = Field(title='Where to', description='A city with <b>a station</b>', min_length=2)
    way: Literal['rail', 'air'] = 'rail'
    guests: int = Field(default=2, ge=1, le=9)
    window: bool = False

def which_trip() -> Elicit[Trip]:
    return Elicit('Which <i>trip</i> shall I book?', Trip)

server = MCPServer('travel', log_level='ERROR')
given_up = []

@server.tool()
async def book(trip: Annotated[Trip, Resolve(which_trip)]) -> str:
    return f'{trip.guests} go to {trip.city} by {trip.way}'

@server.tool()
async def search(ctx: Context) -> str:
    await ctx.report_progress(3, 8, 'carrier <b>three</b> of eight')
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        given_up.append('search')
        raise
    return 'never'

@server.tool()
async def hello() -> str:
    return 'hello'

fleet = mcpnb.connect({'travel': server}, timeout=120)"""

END = "fleet.close(); print('closed')"


def run(page, code: str) -> str:
    """What the kernel prints for code that is in no cell."""
    return page.page.evaluate(_RUN, code).strip()


def test_a_form_below_the_cell_answers_a_call_in_the_background(lab_page):
    page = lab_page([START, "future = fleet.submit('book')\nfuture"])
    page.start_all()
    form = page.output(1)
    form.get_by_text("Which <i>trip</i> shall I book?").wait_for(timeout=60_000)
    page.wait_quiet()
    accept = form.get_by_role("button", name="Accept")
    form.get_by_label("Where to").fill("X")
    accept.click()
    form.get_by_text("this needs text, at least 2 characters").wait_for()
    page.shots("asking")
    form.get_by_label("Where to").fill("Oslo")
    form.get_by_label("Way").select_option("air")
    accept.click()
    form.locator("p", has_text="travel asked: ✓ answered").wait_for()
    assert run(page, "print(future.result(20).text)") == "2 go to Oslo by air"
    page.shots("answered")
    assert page.console == []
    assert run(page, END) == "closed"


def test_interrupt_stops_the_cell_and_the_servers_handler_and_the_fleet_goes_on(lab_page):
    page = lab_page([START, "fleet.call('search')"], theme="dark")
    page.start_all()
    page.output(1).get_by_text("carrier <b>three</b> of eight").wait_for(timeout=30_000)
    page.shot("running")
    page.interrupt()
    page.wait_quiet()
    assert "KeyboardInterrupt" in page.cells()[1].error
    page.shot("interrupted")
    assert run(page, "print(fleet.call('hello').text, given_up)") == "hello ['search']"
    assert page.output(1).get_by_text("carrier").count() == 0
    assert page.console == []
    assert run(page, END) == "closed"
