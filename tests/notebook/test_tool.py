"""Tools as Python objects: names complete, signatures tell, calls go through the fleet."""

from __future__ import annotations

import ast
import inspect
import threading

import mcp_types
import pandas as pd
import pytest
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import MCPServer

import mcpnb
from mcpnb.catalog import Catalog
from mcpnb.errors import ArgumentError, ConfigError, ToolNotFound
from mcpnb.notebook.completing import Offer, offers
from mcpnb.notebook.fleet import current
from mcpnb.notebook.tool import Tool, Tools

EVIL = "<img src=x onerror=alert(1)>\u202e\x1b[2J"
FORECAST = {
    "type": "object",
    "properties": {
        "days": {"type": "integer", "default": 3},
        "location": {"type": "string", "description": "A city"},
        "units": {"enum": ["metric", "imperial"]},
        "user-id": {"type": "string"},
    },
    "required": ["location"],
}


def tool(name, schema=None, description="", **hints):
    annotations = mcp_types.ToolAnnotations(**hints) if hints else None
    return mcp_types.Tool(
        name=name, description=description, input_schema=schema or {"type": "object"}, annotations=annotations
    )


def tools_of(**servers):
    catalog = Catalog(replicas=True)
    for server, listed in servers.items():
        catalog.update(server, listed, at=0.0)
    return Tools(fleet := Calls(), catalog), fleet


class Calls:
    """Verbs that note what they are told."""

    def __init__(self) -> None:
        self.made = []

    def __getattr__(self, verb):
        return lambda *args, **named: self.made.append((verb, args, named))


WEATHER = tool("weather.forecast", FORECAST, "How the weather will be.", read_only_hint=True)


def test_a_tool_has_the_signature_and_docstring_of_its_schema():
    made = tools_of(a=[WEATHER])[0].weather.forecast
    assert str(inspect.signature(made)) == (
        "(location: str, *, days: int = 3, units: Literal['metric', 'imperial'] = ..., **others) -> Result"
    )
    assert made.__name__ == "weather.forecast"
    assert made.__doc__.splitlines()[0] == "How the weather will be."
    assert "    location (str): A city" in made.__doc__
    assert "It only reads." in made.__doc__


def test_a_signature_is_python_however_long_its_defaults_and_types_are():
    long = ["one", "two", "three", "four"] * 20
    about = {
        "a": {"type": "array", "default": long},
        "b": {"type": "object", "default": dict.fromkeys("xyz", long)},
        "c": {"type": "string", "default": "it's " * 60},
        "d": {"enum": ["x" * 60, "y" * 60]},
    }
    made = tools_of(a=[tool("t", {"type": "object", "properties": about})])[0].t
    assert str(made.__signature__).startswith("(*, a: list = [...], b: dict = {...}, c: str = ")
    ast.parse(f"def t{made.__signature__}: ...")


def test_calling_it_calls_the_fleet_with_names():
    tools, fleet = tools_of(a=[WEATHER])
    made = tools.weather.forecast
    made("Oslo", days=2, **{"user-id": "7"})
    made.gather(location="Oslo")
    made.map([{"location": "Oslo"}], progress=False)
    made.form(location="Oslo")
    assert fleet.made == [
        ("call", ("weather.forecast", {"location": "Oslo", "days": 2, "user-id": "7"}), {}),
        ("gather", ("weather.forecast", {"location": "Oslo"}), {}),
        ("map", ("weather.forecast", [{"location": "Oslo"}]), {"progress": False}),
        ("form", ("weather.forecast", {"location": "Oslo"}), {}),
    ]


def test_positions_that_there_are_not_are_refused():
    made = tools_of(a=[WEATHER])[0].weather.forecast
    with pytest.raises(TypeError, match=r"takes 1 argument without a name \(location\), but 2 were given"):
        made("Oslo", 3)
    with pytest.raises(TypeError, match="got location twice"):
        made("Oslo", location="Rome")


def test_names_complete_where_python_can_write_them_and_all_are_keys():
    names = ["weather.forecast", "weather.now", "get-it", "import", "_repr_html_", "a/b", "echo"]
    tools, _ = tools_of(a=[tool(name) for name in names])
    assert dir(tools) == ["echo", "weather"]
    assert dir(tools.weather) == ["forecast", "now"]
    assert tools._ipython_key_completions_() == [*names, *(f"a:{name}" for name in names)]
    assert tools["get-it"].name == "get-it"
    assert tools["a:echo"].name == "a:echo"
    assert not hasattr(tools, "_repr_html_")
    assert "echo" in tools
    assert len(tools) == 7


def test_a_tool_may_be_a_namespace_too_and_keeps_its_own_names():
    tools, _ = tools_of(a=[tool("file"), tool("file.read"), tool("file.form"), tool("file.read.all")])
    assert isinstance(tools.file, Tool)
    assert "read" in dir(tools.file)
    assert tools.file.read.all.name == "file.read.all"
    assert tools.file.form.__func__ is Tool.form
    assert tools["file.form"].name == "file.form"


def test_only_a_tool_keeps_its_own_names_from_the_tools_within():
    names = ["database.query", "database.schema", "user.name", "file", "file.form.fill", "docs.map.draw"]
    tools, _ = tools_of(a=[tool(name) for name in names])
    assert dir(tools.database) == ["query", "schema"]
    assert tools.database.schema.name == "database.schema"
    assert tools.user.name.name == "user.name"
    assert tools.docs.map.draw.name == "docs.map.draw"
    assert tools.file.form.__func__ is Tool.form


def test_an_unknown_name_is_not_found_with_near_ones():
    tools, _ = tools_of(a=[WEATHER])
    with pytest.raises(ToolNotFound, match=r"Did you mean weather\.forecast"):
        tools["weather.forcast"]
    with pytest.raises(ToolNotFound, match=r"Did you mean weather\.forecast"):
        _ = tools.weather.forcast
    with pytest.raises(AttributeError):
        _ = tools.nonsense


def test_what_servers_offer_now_counts():
    tools, _ = tools_of(a=[WEATHER])
    assert dir(tools) == ["weather"]
    tools._catalog.update("a", [tool("echo")], at=1.0)
    assert dir(tools) == ["echo"]


def test_a_tool_that_nobody_offers_any_more_can_still_be_looked_at():
    tools, _ = tools_of(a=[WEATHER])
    made = tools.weather.forecast
    tools._catalog.update("a", [], at=1.0)
    assert repr(made).startswith("<Tool weather.forecast(location: str, *, days: int = 3")
    assert repr(made).endswith("no server offers it now>")
    bundle = made._repr_mimebundle_()
    assert all("no server offers it now" in bundle[kind] for kind in ("text/html", "text/plain"))
    with pytest.raises(ToolNotFound):
        _ = made.schema


def test_a_tool_of_several_servers_shows_them_all():
    tools, _ = tools_of(a=[WEATHER], b=[WEATHER])
    made = tools.weather.forecast
    assert made.servers == ("a", "b")
    assert repr(made).startswith("<Tool weather.forecast(location: str, *, days: int = 3")
    bundle = made._repr_mimebundle_()
    assert "✓ only reads" in bundle["text/html"]
    assert "<bdi>location</bdi>" in bundle["text/html"]
    assert "on a, b" in bundle["text/plain"]


def test_the_schema_is_a_copy():
    made = tools_of(a=[WEATHER])[0].weather.forecast
    made.schema["properties"].clear()
    assert made.schema == FORECAST


@pytest.mark.parametrize("words", [EVIL, "x" * 1_000_000, "a\nb" * 1000])
def test_whatever_servers_say_is_shown_and_no_more(words):
    schema = {
        "type": "object",
        "properties": {
            words: {"type": "string"},
            "a": {"enum": [words], "default": words, "description": words},
            "self": {"const": words},
        },
        "required": [words, "self"],
    }
    tools, _ = tools_of(a=[tool(words, schema, words), tool("t", schema, words)])
    made = tools["t"]
    made(self=1)
    html, plain = made._repr_mimebundle_()["text/html"], made._repr_mimebundle_()["text/plain"]
    assert "<img" not in html
    for shown in (str(inspect.signature(made)), made.__doc__, repr(made), plain, repr(tools), html):
        assert "\u202e" not in shown
        assert "\x1b" not in shown
    assert len(made.__doc__) < 20_000
    assert len(plain) < 20_000
    assert len(str(inspect.signature(made))) < 2_000
    assert dir(tools) == ["t"]


# ---- with a real server


@pytest.fixture(scope="module")
def fleet():
    async def listed(_context, _params):
        return mcp_types.ListToolsResult(tools=[WEATHER, tool("wipe", FORECAST)])

    async def called(_context, params):
        said = f"{params.name} {sorted((params.arguments or {}).items())}"
        return mcp_types.CallToolResult(content=[mcp_types.TextContent(type="text", text=said)])

    servers = {name: Server(name, on_list_tools=listed, on_call_tool=called) for name in ("a", "b")}
    with mcpnb.connect(servers, replicas=True, name="tools") as made:
        yield made


def test_a_tool_of_a_fleet_answers(fleet):
    assert fleet.tool.weather.forecast("Oslo").text == "weather.forecast [('location', 'Oslo')]"
    assert fleet.tool["b:weather.forecast"]("Oslo").server == "b"
    assert len(fleet.tool.weather.forecast.gather("Oslo").results) == 2
    assert fleet.options(server="a").tool.weather.forecast("Oslo").server == "a"
    with pytest.raises(ArgumentError, match="location"):
        fleet.tool.weather.forecast()
    with pytest.raises(ArgumentError, match="'locaton' was given instead"):
        fleet.tool.weather.forecast(locaton="Oslo")


def test_a_form_of_a_fleet_calls_it_and_asks_before_what_may_destroy(fleet):
    pytest.importorskip("ipywidgets")
    form = fleet.tool.weather.forecast.form(location="Oslo", days=2)
    assert form.code == 'fleet.call("weather.forecast", days=2, location="Oslo")'
    form._run("gather")
    form._future.result(20)
    form._beat()
    assert len(form.result.results) == 2

    wiping = fleet.options(timeout=5, server="a").form("wipe", location="Oslo")
    assert wiping.code.startswith('fleet.options(server="a", timeout=5).call(')
    wiping._run("call")
    assert wiping._future is None
    wiping._answered(True)
    wiping._future.result(20)
    wiping._beat()
    assert wiping.result.server == "a"
    with pytest.raises(ToolNotFound):
        fleet.form("nothing")


class Place:
    """Where a page shows something."""

    def update(self, bundle, *, raw):
        self.bundle = bundle


def test_a_fleet_closes_although_a_form_is_open_whose_tool_has_vanished():
    pytest.importorskip("ipywidgets")
    going = MCPServer("going", log_level="ERROR")
    going.add_tool(lambda city: city, name="look")
    fleet = mcpnb.connect({"going": going}, name="vanishing")
    form, place = fleet.form("look", {"city": "Oslo"}), Place()
    form._handles.append(place)
    fleet.remove("going")
    form._run("call")
    assert "No server offers the tool" in form.panel._trouble.value
    fleet.close()
    assert "its fleet is closed" in place.bundle["text/plain"]
    assert "look" in place.bundle["text/plain"]


def test_whatever_a_picture_does_the_servers_of_a_closed_fleet_are_ended():
    class Broken:
        def close(self):
            raise RuntimeError("no picture")

    fleet = mcpnb.connect({"a": MCPServer("a", log_level="ERROR")}, name="pictured")
    fleet._forms.add(broken := Broken())
    with pytest.raises(RuntimeError, match="no picture"):
        fleet.close()
    assert broken
    assert [row.state for row in fleet.client.servers()] == ["disconnected"]
    assert current() is not fleet


def test_the_words_of_a_form_in_a_file_tell_what_it_takes(fleet):
    pytest.importorskip("ipywidgets")
    bundle = fleet.form("weather.forecast")._repr_mimebundle_()
    assert "How the weather will be." in bundle["text/plain"]
    assert "<bdi>location</bdi>" in bundle["text/html"]


# ---- what Tab offers inside a call


class Fleet:
    """A fleet with tools and a prompt that completes."""

    prompts = pd.DataFrame({"prompt": ["brief", "review"]})

    def __init__(self) -> None:
        catalog = Catalog(replicas=True)
        listed = [tool("weather.forecast", FORECAST), tool("get-it", FORECAST), tool("x", {"properties": 3})]
        catalog.update("a", listed, at=0.0)
        self.tool = Tools(self, catalog)
        self.asked = []

    def options(self, **_changes):
        return self

    def complete(self, name, argument, value="", **known):
        self.asked.append((name, argument, value, known))
        if argument == "bad":
            raise ConfigError("closed")
        return ["Oslo", "Olten", 'O"x']


@pytest.fixture
def names():
    fleet = Fleet()
    return {"fleet": fleet, "forecast": fleet.tool.weather.forecast, "other": 3}


@pytest.mark.parametrize(
    ("text", "begun", "words"),
    [
        ("fleet.tool.weather.forecast(", "", "location= days= units="),
        ("fleet.tool.weather.forecast(lo", "lo", "location="),
        ('x = fleet.tool["get-it"]("Oslo", u', "u", "units="),
        ("fleet.tool.weather.forecast(units='", "", "metric imperial"),
        ('fleet.tool.weather.forecast(location="a (b", units="m', "m", "metric"),
        ("fleet.tool.weather.forecast(\n    days=3,\n    l", "l", "location="),
        ("forecast(units='i", "i", "imperial"),
        ("forecast.gather(lo", "lo", "location="),
        ("fleet.tool.weather.forecast.gather(lo", "lo", "location="),
        ('fleet.call("wea', "wea", "weather.forecast"),
        ("fleet.form('", "", "weather.forecast get-it x"),
        ('fleet.call("weather.forecast", units="im', "im", "imperial"),
        ('print(fleet.call("a:weather.forecast", da', "da", "days="),
        ('fleet.prompt("re', "re", "review"),
        ('fleet.prompt("review", lang="en", city="O', "O", "Oslo Olten"),
    ],
)
def test_what_fits_is_offered(names, text, begun, words):
    found = offers(text, names)
    assert found is not None
    assert (found.begun, found.words) == (begun, tuple(words.split()))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fleet",
        "other(",
        "nothing(",
        "fleet.tool.nothing(",
        "fleet.call(",
        'fleet.call("nothing", x',
        'fleet.call("x", {"uni',
        "fleet.tool.weather.forecast(units=",
        'fleet.tool.weather.forecast("',
        "fleet.tool.weather.forecast()",
        "fleet.tool.weather.forecast.map(lo",
        'fleet.prompt("review", bad="',
        "fleet.tool['",
        "'fleet.tool.weather.forecast(",
    ],
)
def test_elsewhere_nothing_is_offered(names, text):
    assert offers(text, names) is None


def test_a_prompts_server_hears_what_was_filled_in_before(names):
    assert offers('fleet.prompt("review", lang="en", city="O', names) == Offer(
        "O", ("Oslo", "Olten"), "value"
    )
    assert names["fleet"].asked == [("review", "city", "O", {"lang": "en"})]


IN_KERNEL = """
import mcp_types, mcpnb
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import MCPServer
schema = {"type": "object", "required": ["location"],
          "properties": {"location": {"type": "string"}, "units": {"enum": ["metric", "imperial"]}}}
tools = [mcp_types.Tool(name=name, description="The weather.", input_schema=schema)
         for name in ("weather.forecast", "get-it")]
async def listed(context, params):
    return mcp_types.ListToolsResult(tools=tools)
fleet = mcpnb.connect({"a": Server("a", on_list_tools=listed)})
"""


def test_tab_and_shift_tab_in_a_real_kernel(start_kernel):
    with start_kernel() as (_, client):
        client.execute_interactive(IN_KERNEL, timeout=60)

        def tab(code):
            return client.complete(code, len(code), reply=True, timeout=30)["content"]["matches"]

        assert tab("fleet.tool.") == ["weather"]
        assert tab("fleet.tool.weather.") == ["forecast"]
        assert tab('fleet.tool["g') == ["get-it"]
        assert tab("fleet.tool.weather.forecast(u") == ["units="]
        assert tab('fleet.tool["get-it"](units="') == ["imperial", "metric"]
        code = "fleet.tool.weather.forecast("
        told = client.inspect(code, len(code), 0, reply=True, timeout=30)["content"]["data"]["text/plain"]
        assert "location" in told
        assert "The weather." in told
        assert "Call signature" not in told
        client.execute_interactive("fleet.close()", timeout=60)


# ---- prompts and templates


@pytest.fixture(scope="module")
def library():
    async def prompts(_context, _params):
        city = mcp_types.PromptArgument(name="city", required=True, description="Where")
        made = mcp_types.Prompt(name="brief", description="A briefing.", arguments=[city])
        return mcp_types.ListPromptsResult(prompts=[made])

    async def prompt(_context, params):
        said = mcp_types.TextContent(type="text", text=f"About {params.arguments['city']}")
        return mcp_types.GetPromptResult(messages=[mcp_types.PromptMessage(role="user", content=said)])

    async def templates(_context, _params):
        made = mcp_types.ResourceTemplate(name="recent", uri_template="docs://recent/{count}")
        return mcp_types.ListResourceTemplatesResult(resource_templates=[made])

    async def resources(_context, _params):
        return mcp_types.ListResourcesResult(resources=[])

    async def read(_context, params):
        part = mcp_types.TextResourceContents(uri=params.uri, text=f"read {params.uri}")
        return mcp_types.ReadResourceResult(contents=[part])

    async def complete(_context, params):
        words = [word for word in ("Oslo", "Olten", "Rome") if word.startswith(params.argument.value)]
        return mcp_types.CompleteResult(completion=mcp_types.Completion(values=words))

    server = Server(
        "library",
        on_list_prompts=prompts,
        on_get_prompt=prompt,
        on_list_resource_templates=templates,
        on_list_resources=resources,
        on_read_resource=read,
        on_completion=complete,
    )
    with mcpnb.connect({"library": server}, name="library") as made:
        yield made


def finished(form):
    form._future.result(20)
    form._beat()
    return form.result


def boxes(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from boxes(child)


def test_a_prompt_and_a_template_have_forms_too(library):
    pytest.importorskip("ipywidgets")
    form = library.form("brief", city="Oslo")
    assert form.code == 'fleet.prompt("brief", city="Oslo")'
    form._run("prompt")
    assert finished(form).text == "About Oslo"
    form = library.form("docs://recent/{count}", count="5")
    assert form.code == 'fleet.read("docs://recent/5")'
    form._run("read")
    assert finished(form).value == "read docs://recent/5"


def test_what_is_typed_is_completed_by_the_server_that_offers_it(library):
    pytest.importorskip("ipywidgets")
    form = library.form("brief")
    box = next(widget for widget in boxes(form.panel.root) if type(widget).__name__ == "Combobox")
    offered = threading.Event()
    box.observe(lambda _: offered.set(), "options")
    box.value = "O"
    assert offered.wait(20)
    assert box.options == ("Oslo", "Olten")
