"""The `%mcp` magic: its words, its arguments, its errors in one line."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from mcp_types import Tool

from mcpnb.catalog import Catalog
from mcpnb.errors import McpnbError, StrategyError, ToolError, ToolNotFound
from mcpnb.notebook import nest
from mcpnb.notebook.arguments import parse
from mcpnb.notebook.magics import (
    McpMagic,
    NoFleet,
    cell_function,
    line_function,
    load_ipython_extension,
    unload_ipython_extension,
)
from mcpnb.notebook.magics.completion import FleetWords, offer

NOTE = {
    "properties": {
        "text": {"type": "string"},
        "code": {"enum": ["1", "2"]},
        "by": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "count": {"type": "integer"},
        "any": {},
        "either": {"type": ["string", "integer"]},
    }
}


class Offered:
    """What a fleet knows of tools: of one of them its schema."""

    def __getitem__(self, name: str) -> SimpleNamespace:
        if name not in {"note", "alpha:note"}:
            raise ToolNotFound(name, ["note"])
        return SimpleNamespace(schema=NOTE)


class FakeFleet:
    """As much of a fleet as the magic touches."""

    tool = Offered()

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.tools = "the tools' table"
        self._strategy = "p2c"

    @property
    def strategy(self) -> str:
        return self._strategy

    @strategy.setter
    def strategy(self, choice: str) -> None:
        if choice not in self.strategies():
            raise StrategyError(choice, "is not known", self.strategies())
        self._strategy = choice

    def gather(self, tool, arguments, /):
        self.calls.append((f"all {tool}", arguments))
        return SimpleNamespace(df="a frame", value=[1])

    def options(self, *, server):
        self.calls.append(("at", {"server": server}))
        return self

    def login(self, server=None) -> None:
        self.calls.append(("login", {"server": server}))

    def logout(self, server=None) -> None:
        self.calls.append(("logout", {"server": server}))

    def strategies(self) -> dict[str, str]:
        return {"p2c": "the better of two", "random": "any"}

    def call(self, tool, arguments, /):
        self.calls.append((tool, arguments))
        if tool == "broken":
            raise ToolError("alpha", tool, "no")
        return f"answer of {tool}"


@pytest.fixture
def fleet() -> FakeFleet:
    return FakeFleet()


@pytest.fixture
def connected() -> list[object]:
    return []


@pytest.fixture
def magic(fleet, connected) -> McpMagic:
    def connect(source):
        connected.append(source)
        return fleet

    return McpMagic({"city": "Łódź", "limits": [1, 2]}, current=lambda: fleet, connect=connect)


# ---- forms


@pytest.mark.parametrize("line", ["", "status", "  status  "])
def test_status_is_the_fleet_itself(magic, fleet, line):
    assert magic(line) is fleet


def test_tools_is_the_fleets_table(magic, fleet):
    assert magic("tools") is fleet.tools


@pytest.mark.parametrize(
    ("line", "verb", "server"),
    [("login", "login", None), ("login my server ", "login", "my server"), ("logout a", "logout", "a")],
)
def test_login_and_logout_take_a_servers_name_or_none(magic, fleet, line, verb, server):
    assert magic(line) is None
    assert fleet.calls == [(verb, {"server": server})]


def test_call_sends_typed_arguments_and_gives_the_result(magic, fleet):
    assert (
        magic('call weather.forecast location="New York" days=3 exact=true') == "answer of weather.forecast"
    )
    assert fleet.calls == [("weather.forecast", {"location": "New York", "days": 3, "exact": True})]


def test_call_takes_one_json_object(magic, fleet):
    magic('call weather.forecast {"location": "London", "days": 3}')
    assert fleet.calls == [("weather.forecast", {"location": "London", "days": 3})]


def test_call_takes_a_variable_by_its_value(magic, fleet):
    magic("call weather.forecast location=$city limits=$limits")
    assert fleet.calls == [("weather.forecast", {"location": "Łódź", "limits": [1, 2]})]


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("text=42", "42"),
        ("text=3.10", "3.10"),
        ("text=true", "true"),
        ("text=null", "null"),
        ('text={"a": 1}', '{"a": 1}'),
        ('text="42"', "42"),
        ("text=$limits", [1, 2]),
        ("code=1", "1"),
        ("code=3", 3),
        ("by=5", "5"),
        ("by=null", None),
        ("count=42", 42),
        ("any=42", 42),
        ("either=42", 42),
    ],
)
def test_a_word_is_text_where_the_tool_takes_text_and_nothing_else(magic, fleet, typed, value):
    name = typed.partition("=")[0]
    magic(f"call note {typed}")
    magic(f"call note --server alpha {typed}")
    assert [given[name] for tool, given in fleet.calls if tool == "note"] == [value, value]


def test_a_bodys_words_are_text_where_the_tool_takes_text(magic, fleet):
    magic.cell("note", "text: 3.10\nby: ~\ncount: 3\ncode: 2\neither: 2")
    assert fleet.calls == [("note", {"text": "3.10", "by": None, "count": 3, "code": "2", "either": 2})]


def test_call_without_arguments_sends_none(magic, fleet):
    magic("call ping")
    assert fleet.calls == [("ping", {})]


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("connect mcp.json", "mcp.json"),
        ("connect 'my servers.json'", "my servers.json"),
        ("connect http://127.0.0.1:8000/mcp", "http://127.0.0.1:8000/mcp"),
        ("connect python server.py --fast", ["python", "server.py", "--fast"]),
    ],
)
def test_connect_takes_a_file_a_url_or_a_command(magic, connected, line, source):
    magic(line)
    assert connected == [source]


def test_strategy_lists_the_names_and_marks_the_current_one(magic):
    lines = repr(magic("strategy")).splitlines()
    assert lines[0].startswith("→ p2c")
    assert lines[1].startswith("  random")


def test_strategy_changes_it(magic, fleet):
    assert magic("strategy random") == "strategy: random"
    assert fleet.strategy == "random"


def test_help_names_every_form(magic):
    text = magic("help")
    assert all(f"%mcp {form}" in text for form in ("connect", "tools", "strategy", "call", "nest", "doctor"))


def test_doctor_gives_findings(magic):
    assert magic("doctor")


# ---- options, and where answers go


@pytest.mark.parametrize(
    "line",
    ["call --all ping a=1", "call ping --all a=1", "call ping a=1 --all", 'call ping {"a": 1} --all'],
)
def test_options_may_stand_anywhere_between_tool_and_arguments(magic, fleet, line):
    magic(line)
    assert fleet.calls == [("all ping", {"a": 1})]


def test_a_call_can_be_sent_to_one_server(magic, fleet):
    magic("call ping --server beta a=1")
    magic("call --server='my server' ping")
    assert fleet.calls == [
        ("at", {"server": "beta"}), ("ping", {"a": 1}), ("at", {"server": "my server"}), ("ping", {}),
    ]  # fmt: skip


def test_an_answer_can_be_had_as_a_frame_or_a_value(magic):
    assert magic("call ping --all --as df") == "a frame"
    assert magic("call --as value --all ping") == [1]


@pytest.mark.parametrize("line", ["answer << call ping", "answer<<call ping", "  answer  <<  call ping"])
def test_an_answer_can_go_into_a_variable_instead_of_onto_the_page(fleet, line):
    variables: dict[str, object] = {}
    assert McpMagic(variables, current=lambda: fleet)(line) is None
    assert variables == {"answer": "answer of ping"}


def test_dashes_within_a_value_are_no_option(magic, fleet):
    magic("call ping a=--all b='x --all y'")
    assert fleet.calls == [("ping", {"a": "--all", "b": "x --all y"})]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("call ping --al", "Did you mean --all"),
        ("call ping --all --all", "given twice"),
        ("call ping --server", "wants a value"),
        ("call ping --as csv", "df or value"),
        ("call ping --all --server a", "one of the two"),
        ('call ping {"a": 1} b=2', "nothing may follow"),
        ("1x << call ping", "not a variable's name"),
        ("class << call ping", "not a variable's name"),
    ],
)
def test_a_wrong_option_is_said_in_one_line(magic, fleet, line, words):
    with pytest.raises(UsageError, match=words):
        magic(line)
    assert fleet.calls == []


# ---- cells


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        ("", {}),
        ("\n# nothing but a comment\n", {}),
        ('{"location": "Rome", "days": 3}', {"location": "Rome", "days": 3}),
        ("location: New York\ndays: 3\nexact: true", {"location": "New York", "days": 3, "exact": True}),
        ("country: no\nstart: 2026-01-02\nat: 12:30\ncode: 007", {
            "country": "no", "start": "2026-01-02", "at": "12:30", "code": "007",
        }),
        ("a: 1e3\nb: -2.5\nc: ~\nd: .inf", {"a": 1000.0, "b": -2.5, "c": None, "d": ".inf"}),
        ("cities: [Rome, Oslo]\nbox:\n  north: 1\n", {"cities": ["Rome", "Oslo"], "box": {"north": 1}}),
        ("text: |\n  two\n  lines\n", {"text": "two\nlines\n"}),
        ("city: $city\nas_text: '$city'\nprice: $5", {"city": "Łódź", "as_text": "$city", "price": "$5"}),
    ],
)  # fmt: skip
def test_a_cells_body_is_the_arguments(magic, fleet, body, arguments):
    magic.cell("weather.forecast", body)
    assert fleet.calls == [("weather.forecast", arguments)]


def test_a_cell_takes_the_options_of_a_line(magic, fleet):
    assert magic.cell("ping --all --as df", "a: 1") == "a frame"
    assert fleet.calls == [("all ping", {"a": 1})]


def test_a_cells_answer_can_go_into_a_variable(fleet):
    variables: dict[str, object] = {}
    assert McpMagic(variables, current=lambda: fleet).cell("found << ping", "a: 1") is None
    assert variables == {"found": "answer of ping"}


@pytest.mark.parametrize(
    ("line", "body", "words"),
    [
        ("", "a: 1", "wants a tool"),
        ("ping a=1", "", "belong into the lines below"),
        ("ping", "a: [1", "not YAML.*line"),
        ("ping", "- 1", "not `name: value`"),
        ("ping", "just text", "not `name: value`"),
        ("ping", "1: 2", "not `name: value`"),
        ("ping", "a: 1\nb: 2\na: 3", "a is given twice"),
        ("ping", "a:\n  b: 1\n  b: 2", "b is given twice"),
        ("ping", "a: $nowhere", "no variable 'nowhere'"),
        ("ping", "a: !!python/object/apply:os.system [ls]", "not YAML"),
        ("ping", '{"a": 1} x', "nothing may follow"),
        ("ping", '{"a": ', "not JSON"),
        ("ping", "a: \x00", "not YAML"),
    ],
)
def test_a_wrong_cell_is_said_in_one_line_and_nothing_is_called(magic, fleet, line, body, words):
    with pytest.raises(UsageError, match=words):
        magic.cell(line, body)
    assert fleet.calls == []


def test_without_pyyaml_a_body_is_json(magic, fleet, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    magic.cell("ping", '{"a": 1}')
    with pytest.raises(UsageError, match=r"mcpnb\[yaml\]"):
        magic.cell("ping", "a: 1")
    assert fleet.calls == [("ping", {"a": 1})]


# ---- completion


SCHEMA = {
    "type": "object",
    "properties": {
        "location": {"type": "string"},
        "units": {"enum": ["metric", "imperial", "two words"]},
        "exact": {"type": "boolean"},
    },
    "required": ["location"],
}


@pytest.fixture(scope="module")
def words() -> FleetWords:
    catalog = Catalog()
    tools = [
        Tool(name="weather.forecast", input_schema=SCHEMA),
        Tool(name="weather.current", input_schema={}),
    ]
    catalog.update("alpha", tools[:1], at=0.0)
    catalog.update("beta", tools, at=0.0)
    return FleetWords(lambda: catalog, lambda: ["p2c", "random"], lambda: ["alpha", "gamma"])


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("%mcp st", ["status", "strategy"]),
        ("x = %mcp to", ["tools"]),
        ("a = 1\n%mcp to", ["tools"]),
        ("%mcp strategy r", ["random"]),
        ("%mcp nest o", ["on", "off"]),
        ("%mcp log", ["login", "logout"]),
        ("%mcp login al", ["alpha"]),
        ("%mcp logout ", ["alpha", "gamma"]),
        ("%mcp call we", ["weather.forecast", "weather.current"]),
        ("%mcp frame << call weather.f", ["weather.forecast"]),
        ("%mcp call --all weather.c", ["weather.current"]),
        ("%mcp call --server be", ["beta"]),
        ("%mcp call weather.current --server ", ["beta"]),
        ("%mcp call weather.forecast --server ", ["alpha", "beta"]),
        ("%mcp call weather.forecast --a", ["--all", "--as"]),
        ("%mcp call weather.forecast --all --a", ["--as"]),
        ("%mcp call weather.forecast --as d", ["df"]),
        ("%mcp call weather.forecast ", ["location=", "units=", "exact="]),
        ("%mcp call weather.forecast location=Rome ", ["units=", "exact="]),
        ("%mcp call weather.forecast units=", ["metric", "imperial", '"two words"']),
        ("%mcp call weather.forecast exact=t", ["true"]),
        ("%mcp call nothing.known ", []),
        ("%%mcp weather.c", ["weather.current"]),
        ("%%mcp found << weather.forecast --s", ["--server"]),
        ("%%mcp weather.forecast\n", ["location: ", "units: ", "exact: "]),
        ("%%mcp weather.forecast --all\nlocation: Rome\nu", ["units: "]),
        ("%%mcp weather.forecast\nunits: im", ["imperial"]),
    ],
)
def test_tab_offers_what_may_stand_there(words, text, offered):
    found = offer(text, words)
    assert found is not None
    assert list(found.words) == offered
    assert text.endswith(found.fragment)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mcp ca",
        "%mcpx ca",
        "print('%mcp ')",
        "%mcp connect fi",
        '%%mcp weather.forecast\n{"lo',
        "%%mcp\nx",
    ],
)
def test_tab_leaves_the_rest_to_ipython(words, text):
    assert offer(text, words) is None


def test_without_a_fleet_tab_knows_the_magics_own_words():
    words = FleetWords(lambda: None, list)
    assert offer("%mcp he", words) == ("he", ("help",), "magic")
    assert offer("%mcp call ", words) == ("", (), "tool")


# ---- errors


@pytest.mark.parametrize("line", ["", "status", "tools", "strategy", "call ping"])
def test_without_a_fleet_every_form_says_how_to_get_one(line):
    with pytest.raises(NoFleet, match="%mcp connect"):
        McpMagic({}, current=lambda: None)(line)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("stauts", "Did you mean status"),
        ("frobnicate", "not known"),
        ("tools all", "takes nothing more"),
        ("connect", "wants a config file"),
        ("connect 'half", "No closing quotation"),
        ("call", "wants a tool"),
        ("call t New York", "'New' is not key=value|New is not key=value"),
        ('call t {"a": ', "are not JSON"),
        ("call t a=1 a=2", "given twice"),
        ("call t a=$nowhere", "no variable 'nowhere'"),
        ("nest", "on or off"),
        ("nest maybe", "on or off"),
    ],
)
def test_a_wrong_line_is_a_usage_error_that_says_what_is_wrong(magic, line, words):
    with pytest.raises(UsageError, match=words):
        magic(line)


def test_the_fleets_own_errors_pass_through(magic):
    with pytest.raises(ToolError, match="alpha says: no"):
        magic("call broken")


def test_an_unknown_strategy_is_the_fleets_error(magic):
    with pytest.raises(StrategyError, match="p2c, random"):
        magic("strategy fastest")


# ---- arguments


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", {}),
        ("a=1 b=-2.5 c=null d=false", {"a": 1, "b": -2.5, "c": None, "d": False}),
        ("a=London", {"a": "London"}),
        ('a="3"', {"a": "3"}),
        ("a='New York'", {"a": "New York"}),
        ("a='it' b=2", {"a": "it", "b": 2}),
        ('a=["x y", {"k": 1}] b=2', {"a": ["x y", {"k": 1}], "b": 2}),
        ("a=10.0.0.1 b=3rd", {"a": "10.0.0.1", "b": "3rd"}),
        ("a=NaN b=Infinity", {"a": "NaN", "b": "Infinity"}),
        ("a=", {"a": ""}),
        ("a= b=2", {"a": "", "b": 2}),
        ("query=x=y", {"query": "x=y"}),
        ("a=$5", {"a": "$5"}),
        ("  a=1\t b=2  ", {"a": 1, "b": 2}),
        ("{}", {}),
    ],
)
def test_values_are_json_where_they_can_be_and_text_otherwise(text, arguments):
    assert parse(text) == arguments


@pytest.mark.parametrize("text", ["word", "a=1 word", "=3", "[1]", '{"a": NaN}', '{"a": 1} b=2'])
def test_what_is_no_argument_is_refused(text):
    with pytest.raises(ValueError, match=r"not key=value|not JSON"):
        parse(text)


# ---- the extension in a real shell


@pytest.fixture
def shell(monkeypatch, tmp_path):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    yield shell
    unload_ipython_extension(shell)
    shell.history_manager.end_session()
    InteractiveShell.clear_instance()


def test_loading_prints_one_line_and_unloading_undoes_it(shell, capsys):
    shell.run_line_magic("load_ext", "mcpnb")
    assert capsys.readouterr().out.count("\n") == 1
    assert nest.installed()
    assert shell.find_line_magic("mcp") is not None
    shell.run_line_magic("unload_ext", "mcpnb")
    assert not nest.installed()
    assert shell.find_line_magic("mcp") is None


def test_loading_warns_of_an_ipykernel_that_loses_messages(shell, capsys, monkeypatch):
    monkeypatch.setattr(nest, "ipykernel_version", lambda: (7, 1, 0))
    load_ipython_extension(shell)
    assert "ipykernel 7.1.0 can lose a message" in capsys.readouterr().out


def test_loading_applies_no_nesting(shell):
    load_ipython_extension(shell)
    assert nest.nesting() is None


def test_errors_show_as_one_line(shell, capsys):
    load_ipython_extension(shell)
    capsys.readouterr()
    shell.run_cell("%mcp tools")
    shown = capsys.readouterr()
    assert (
        shown.out + shown.err
    ).strip() == "NoFleet: There is no fleet yet. Connect first: %mcp connect mcp.json"
    shell.run_cell("%mcp tolls")
    shown = capsys.readouterr()
    assert (shown.out + shown.err).count("\n") == 1
    assert "UsageError: %mcp tolls is not known. Did you mean tools?" in shown.out + shown.err


def test_in_a_cell_braces_are_json_and_no_template_and_variables_keep_their_type(shell, fleet):
    function = line_function(McpMagic(shell.user_ns, current=lambda: fleet))
    shell.register_magic_function(function, "line", "mcp")
    shell.run_cell('days = [3]\nanswer = %mcp call t {"days":3}\n%mcp call t days=$days')
    assert shell.user_ns["answer"] == "answer of t"
    assert fleet.calls == [("t", {"days": 3}), ("t", {"days": [3]})]


def test_a_cell_magic_in_a_shell_takes_its_body_as_it_was_typed(shell, fleet):
    magic = McpMagic(shell.user_ns, current=lambda: fleet)
    shell.register_magic_function(cell_function(magic), "cell", "mcp")
    shell.run_cell("days = [3]")
    shell.run_cell("%%mcp answer << t\ndays: $days\nname: '{days}'\n")
    assert fleet.calls == [("t", {"days": [3], "name": "{days}"})]
    assert shell.user_ns["answer"] == "answer of t"


def test_tab_in_a_shell_completes_the_magic_and_unloading_undoes_it(shell):
    load_ipython_extension(shell)
    load_ipython_extension(shell)

    def completed(text: str) -> set[str]:
        with provisionalcompleter():
            return {each.text for each in shell.Completer.completions(text, len(text))}

    assert completed("%mcp st") == {"status", "strategy"}
    assert "p2c" in completed("x = %mcp strategy p")
    unload_ipython_extension(shell)
    assert "strategy" not in completed("%mcp st")
    assert shell.find_cell_magic("mcp") is None


def test_no_fleet_is_an_mcpnb_error():
    assert issubclass(NoFleet, McpnbError)
