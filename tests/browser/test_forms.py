"""Forms in a real JupyterLab: what is filled in is what the server gets, whatever its schema says."""

from __future__ import annotations

import json

import pytest

from .lab import THEMES
from .test_dashboard import _RUN
from .test_questions import START as ASKING

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

START = """\
import mcp_types
from mcp.server.lowlevel import Server
import mcpnb

TRIP = {
    "type": "object",
    "required": ["city", "guests", "home", "pay", "kind"],
    "properties": {
        "kind": {"const": "trip"},
        "city": {"type": "string", "minLength": 2, "description": "A city with <b>a station</b>"},
        "way": {"type": "string", "enum": ["rail", "air"], "default": "rail"},
        "on": {"type": "string", "format": "date", "description": "The day of departure"},
        "at": {"type": "string", "format": "date-time"},
        "note": {"type": "string", "maxLength": 500, "description": "For the conductor"},
        "guests": {"type": "integer", "minimum": 1, "maximum": 9},
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "budget": {"type": "number"},
        "window": {"type": "boolean", "default": False},
        "quiet": {"type": "boolean"},
        "card": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Of a frequent traveller"},
        "meals": {"type": "array", "items": {"enum": ["breakfast", "lunch", "dinner"]}},
        "stops": {"type": "array", "items": {"type": "string"}},
        "bags": {"type": "array", "items": {"$ref": "#/$defs/bag"}, "minItems": 1, "default": [{"kg": 5}]},
        "home": {"$ref": "#/$defs/place", "description": "Where it begins"},
        "pay": {"oneOf": [
            {"title": "In cash", "type": "object", "required": ["by"],
             "properties": {"by": {"const": "cash"}}},
            {"title": "By card", "type": "object", "required": ["by", "number"],
             "properties": {"by": {"const": "card"}, "number": {"type": "string", "pattern": "^[0-9]+$"}}}]},
        "extra": {"description": "Anything else"},
        "unused": {"type": "string"},
    },
    "$defs": {
        "bag": {"type": "object", "properties": {"kg": {"type": "integer"}, "label": {"type": "string"}},
                "required": ["kg"]},
        "place": {"type": "object", "required": ["street"],
                  "properties": {"street": {"type": "string"}, "near": {"$ref": "#/$defs/place"}}},
    },
}
got = []

def tool(name, schema, **hints):
    hints = mcp_types.ToolAnnotations(**hints)
    said = "Books a trip by rail or air."
    return mcp_types.Tool(name=name, description=said, input_schema=schema, annotations=hints)

TOOLS = [
    tool("trip.book", TRIP, read_only_hint=True),
]

async def listed(context, params):
    return mcp_types.ListToolsResult(tools=TOOLS)

async def called(context, params):
    got.append([params.name, params.arguments])
    return mcp_types.CallToolResult(content=[], structured_content={"booked": params.name, "seats": [12, 13]})

servers = {name: Server(name, on_list_tools=listed, on_call_tool=called) for name in ("north", "south")}
fleet = mcpnb.connect(servers, replicas=True, name="travel", timeout=60)"""

GOT = """
import json, time
for _ in range(200):
    if len(got) >= {count}:
        break
    time.sleep(0.05)
print(json.dumps(got[-1]))
"""

FILLED = {
    "kind": "trip", "city": "Oslo", "way": "air", "on": "2026-07-28", "at": "2026-07-28T09:30:00Z",
    "note": "two\nlines", "guests": 3, "share": 0.25, "budget": 100.5, "window": True, "quiet": False,
    "card": None, "meals": ["breakfast", "dinner"], "stops": ["Ås", "Moss"],
    "bags": [{"kg": 5}, {"kg": 7, "label": "red"}], "home": {"street": "Main", "near": {"street": "Side"}},
    "pay": {"by": "card", "number": "42"}, "extra": {"a": [1, None]},
}  # fmt: skip


def run(page, code: str) -> str:
    """What the kernel prints for code that is in no cell."""
    return page.page.evaluate(_RUN, code).strip()


def fill(form) -> None:
    """Fill in everything, as a person would."""

    def box(label, place=0):
        return form.get_by_label(label, exact=True).nth(place)

    box("city *").fill("O")
    box("city *").press("Tab")  # leaving it sends it
    box("way").select_option("air")
    form.get_by_text("this needs text, at least 2 characters").wait_for()
    box("city *").fill("Oslo")
    box("on").fill("2026-07-28")
    box("at").fill("2026-07-28T09:30")
    box("note").fill("two\nlines")
    box("guests *").fill("3")
    box("share").fill("0.25")
    box("budget").fill("100.5")
    box("window").check()
    box("quiet").select_option("no")
    box("null").check()
    box("meals").select_option(["breakfast", "dinner"])
    box("stops").select_option("filled in")
    for number, stop in enumerate(("Ås", "Bergen", "Moss")):
        form.get_by_role("button", name="Add to stops").click()
        box(f"stops[{number}] *").fill(stop)
    form.get_by_role("button", name="Remove").nth(1).click()
    form.get_by_role("button", name="Add to bags").click()
    box("kg *", 1).fill("7")
    box("label", 1).fill("red")
    box("street *").fill("Main")
    box("near").select_option("filled in")
    box("street *", 1).fill("Side")
    box("pay *").select_option("By card")
    box("number *").fill("4x2")
    box("number *").press("Tab")
    box("extra").fill('{"a": [1, null]}')
    form.get_by_text("must match the pattern").wait_for()
    box("number *").fill("42")
    box("number *").press("Tab")
    form.get_by_text("must match the pattern").wait_for(state="hidden")


@pytest.mark.parametrize("theme", THEMES)
def test_what_is_filled_in_is_what_the_server_gets(lab_page, theme):
    page = lab_page([START, "form = fleet.form('trip.book')\nform"], theme=theme)
    cells = page.run_all()
    assert {cell.source: cell.error for cell in cells if cell.error} == {}
    form = page.output(1)
    page.shot("empty")
    form.get_by_role("button", name="Run", exact=True).click()
    form.get_by_text("nothing was sent").wait_for()
    assert run(page, "print(got)") == "[]"
    fill(form)
    page.shot("filled")
    form.get_by_role("button", name="Run", exact=True).click()
    form.locator(".mcpnb-card").get_by_text("seats").first.wait_for()
    assert json.loads(run(page, GOT.format(count=1))) == ["trip.book", FILLED]
    assert run(page, "print(form.result.value, eval(form.code).value == form.result.value)").endswith("True")
    assert json.loads(run(page, GOT.format(count=2))) == ["trip.book", FILLED]
    form.get_by_role("button", name="Run on all servers").click()
    form.locator(".mcpnb-pill", has_text="2 of 2 servers").first.wait_for()
    page.shot("answered")
    assert page.console == []
    assert run(page, "fleet.close(); print('closed')") == "closed"
    form.locator(".mcpnb-card").get_by_text("its fleet is closed").wait_for()
    page.shot("closed")


EVIL_START = """\
import asyncio
import mcp_types
from mcp.server.lowlevel import Server
import mcpnb

EVIL = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>\\u202e"
EVIL += "**[x](javascript:window.hacked=1)**"
LONG = EVIL + "x" * 1_000_000
about = {"title": EVIL, "description": EVIL, "default": EVIL, "examples": [EVIL]}
SCHEMA = {"type": "object", "required": [EVIL, "f"], "properties": {
    EVIL: {"type": "string", **about}, "a": {"enum": [EVIL, LONG], **about}, "b": {"const": EVIL, **about},
    "c": {"type": "object", "default": {},
          "properties": {EVIL: {"type": "string", "pattern": EVIL, **about}}},
    "d": {"type": "array", "items": {"type": "string", **about}, "default": [EVIL]},
    "e": {"oneOf": [{"title": EVIL, "type": "string"}, {"title": LONG, "type": "integer"}], **about},
    "f": {"type": "integer", "minimum": 1, "maximum": 9, "description": LONG}, LONG: {"type": "string"},
}}
hints = mcp_types.ToolAnnotations(destructive_hint=True)
safe = mcp_types.ToolAnnotations(read_only_hint=True)
tools = [
    mcp_types.Tool(name="evil", description=LONG, title=EVIL, input_schema=SCHEMA, annotations=hints),
    mcp_types.Tool(name="slow", input_schema={"type": "object"}, annotations=safe),
]
got = []

async def listed(context, params):
    return mcp_types.ListToolsResult(tools=tools)

async def called(context, params):
    got.append(params.name)
    if params.name == "slow":
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            got.append("stopped")
            raise
    text = mcp_types.TextContent(type="text", text=LONG)
    return mcp_types.CallToolResult(content=[text], is_error=True)

server = Server("a", on_list_tools=listed, on_call_tool=called)
fleet = mcpnb.connect({"a": server}, name="evil", timeout=60)"""

WIDTH = "node => node.scrollWidth <= node.clientWidth + 1"


def test_a_hostile_tool_runs_no_script_and_keeps_to_its_place_and_what_runs_can_be_stopped(lab_page):
    page = lab_page([EVIL_START, "fleet.form('evil')", "fleet.tool.evil", "fleet.form('slow')"], theme="dark")
    cells = page.run_all()
    assert {cell.source: cell.error for cell in cells if cell.error} == {}
    form, slow = page.output(1), page.output(3)
    run_button = form.get_by_role("button", name="Run", exact=True)
    run_button.click()
    form.get_by_text("nothing was sent").wait_for()
    form.get_by_label("f *", exact=True).fill("3")
    form.get_by_label("f *", exact=True).press("Tab")
    run_button.focus()
    page.page.keyboard.press("Enter")
    form.get_by_text("Run exactly this?").wait_for()
    page.shot("asking")
    assert run(page, "print(got)") == "[]"
    form.get_by_role("button", name="Yes, run it").focus()
    page.page.keyboard.press("Enter")
    form.locator(".mcpnb-card").get_by_text("tool error").first.wait_for()
    assert run(page, "print(got)") == "['evil']"

    slow.get_by_role("button", name="Run", exact=True).click()
    slow.get_by_text("running for").wait_for()
    slow.get_by_role("button", name="Cancel").click()
    slow.get_by_text("⊘ cancelled", exact=True).wait_for()
    assert run(page, "print(got)") == "['evil', 'slow', 'stopped']"
    page.shot("evil")
    assert page.page.evaluate("window.hacked") is None
    assert form.locator(".mcpnb-form").evaluate(WIDTH)
    assert page.output(2).locator(".mcpnb").first.evaluate(WIDTH)
    assert page.console == []
    assert run(page, "fleet.close(); print('closed')") == "closed"


def test_what_a_server_asks_of_a_call_from_a_form_is_asked_below_that_cell(lab_page):
    page = lab_page([ASKING, "form = fleet.form('book')\nform", "1 + 1"], theme="light")
    cells = page.run_all()
    assert {cell.source: cell.error for cell in cells if cell.error} == {}
    below = page.output(1)
    below.get_by_role("button", name="Run", exact=True).click()
    below.get_by_role("button", name="Yes, run it").click()
    below.get_by_text("Which <i>trip</i> shall I book?").wait_for()
    below.get_by_label("Where to").fill("Oslo")
    page.shot("asked")
    below.get_by_role("button", name="Accept").click()
    below.locator(".mcpnb-card").get_by_text("2 go to Oslo by rail").wait_for()
    page.shot("answered")
    assert run(page, "print(form.result.text)") == "2 go to Oslo by rail"
    assert page.console == []
    assert run(page, "fleet.close(); print('closed')") == "closed"
