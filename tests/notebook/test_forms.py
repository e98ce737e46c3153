"""A tool's form: every kind of field becomes the value that its schema means, and nothing is sent unasked."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from mcpnb.errors import ArgumentError, ToolError
from mcpnb.notebook import cells
from mcpnb.notebook.forms import ToolForm
from mcpnb.notebook.forms.code import call_text
from mcpnb.notebook.future import CallFuture

pytest.importorskip("ipywidgets")

EVIL = "<img src=x onerror=alert(1)>\u202e\x1b[2J"
LONG = "x" * 1_000_000


class Subject:
    """A tool that is called by hand: what was begun waits in `future`."""

    name = "book"
    verbs = ("call",)
    suggests = False

    def __init__(self, schema, *, destructive=False) -> None:
        self.schema, self.destructive = schema, destructive
        self.begun: list[tuple[str, dict]] = []
        self.future: CallFuture | None = None

    def begin(self, verb, arguments, cell):
        self.begun.append((verb, arguments))
        self.future = CallFuture(self.name, clock=lambda: 0.0)
        return self.future

    def code(self, verb, arguments):
        return call_text("fleet", verb, self.name, arguments)

    def head(self):
        return "<b>book</b>"

    def still(self, note):
        return {"text/plain": note, "text/html": note}


class ByHand:
    """A scheduler whose time passes when the test says so."""

    def __init__(self) -> None:
        self.due = []

    def later(self, _seconds, callback):
        self.due.append(callback)
        return lambda: self.due.remove(callback) if callback in self.due else None

    def fire(self):
        due, self.due = self.due, []
        for callback in due:
            callback()


class Shown:
    """An answer, as far as a form needs one."""

    def _repr_mimebundle_(self):
        return {"text/html": "<p>booked</p>"}


def form(properties, *, required=(), start=None, destructive=False, **more):
    schema = {"type": "object", "properties": properties, "required": list(required), **more}
    timers = ByHand()
    made = ToolForm(Subject(schema, destructive=destructive), start, scheduler=timers, clock=lambda: 0.0)
    made.timers, made.subject = timers, made._subject
    return made


def tree(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from tree(child)


def all_named(made, description):
    widgets = (w for w in tree(made.panel.root) if getattr(w, "description", None) is not None)
    return [w for w in widgets if w.description.removesuffix(" *") == description]


def named(made, description):
    found = all_named(made, description)
    assert len(found) == 1, (description, [getattr(w, "description", "") for w in tree(made.panel.root)])
    return found[0]


def text(made) -> str:
    return " ".join(w.value for w in tree(made.panel.root) if type(w).__name__ == "HTML")


def alerts(made) -> list[str]:
    return [part.partition("<")[0].strip("✕ ") for part in text(made).split('role="alert">')[1:]]


def click(made, description):
    button = named(made, description)
    assert not button.disabled, description
    button.click()


# ---- one field of each kind


@pytest.mark.parametrize(
    ("about", "widget", "filled", "value"),
    [
        ({"type": "string"}, "Text", "Oslo ", "Oslo "),
        ({"type": "string", "enum": ["rail", "air"]}, "Dropdown", 1, "air"),
        ({"enum": [1, True, None]}, "Dropdown", 1, True),
        ({"type": "string", "format": "date"}, "DatePicker", dt.date(2026, 7, 8), "2026-07-08"),
        ({"type": "string", "format": "password"}, "Password", "secret", "secret"),
        ({"type": "string", "format": "markdown"}, "Textarea", "a\n b\n", "a\n b\n"),
        ({"type": "string", "maxLength": 500}, "Textarea", "a", "a"),
        ({"type": "string", "examples": ["Oslo", "Rome"]}, "Combobox", "Bonn", "Bonn"),
        ({"type": "integer"}, "Text", " 7 ", 7),
        ({"type": "integer"}, "Text", "9007199254740993", 9007199254740993),
        ({"type": "number"}, "Text", "2.5", 2.5),
        ({"type": "number"}, "Text", "3", 3),
        ({"type": "boolean"}, "Dropdown", 1, False),
        ({"type": "boolean", "default": False}, "Checkbox", True, True),
        ({"type": "array", "items": {"enum": ["a", "b", "c"]}}, "SelectMultiple", (0, 2), ["a", "c"]),
        ({"type": "object"}, "Textarea", '{"a": [1, null]}', {"a": [1, None]}),
        ({}, "Textarea", "3", 3),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "Textarea", '{"a": 1}', {"a": 1}),
    ],
)
def test_each_kind_of_field_has_its_widget_and_gives_its_value(about, widget, filled, value):
    made = form({"x": about})
    assert made.arguments == ({"x": False} if widget == "Checkbox" else {})
    assert type(named(made, "x")).__name__ == widget
    named(made, "x").value = filled
    assert made.arguments == {"x": value}
    assert type(made.arguments["x"]) is type(value)


def test_a_moment_goes_in_utc_and_one_that_nobody_touched_as_it_was_written():
    made = form({"x": {"type": "string", "format": "date-time", "default": "2026-07-28T09:30:00+02:00"}})
    assert made.arguments == {"x": "2026-07-28T09:30:00+02:00"}
    east = dt.timezone(dt.timedelta(hours=2))
    named(made, "x").value = dt.datetime(2026, 7, 29, 9, 30, tzinfo=east)
    assert made.arguments == {"x": "2026-07-29T07:30:00Z"}


@pytest.mark.parametrize(
    ("about", "slid", "written"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 9}, 4, "4"),
        ({"type": "number", "minimum": 0, "maximum": 1}, 0.25, "0.25"),
        ({"type": "number", "minimum": 0, "maximum": 2, "multipleOf": 0.25}, 1.75, "1.75"),
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10, "maximum": 9}, 4, "4"),
    ],
)
def test_a_number_with_bounds_has_a_slider_and_a_box_that_follow_each_other(about, slid, written):
    made = form({"x": about})
    box, slider = named(made, "x"), named(made, "Slider for x")
    assert made.arguments == {}
    slider.value = slid
    assert (box.value, made.arguments) == (written, {"x": json.loads(written)})
    box.value = written = repr(about["maximum"])
    assert slider.value == about["maximum"]
    box.value = ""
    assert made.arguments == {}


def test_a_slider_stops_at_multiples_only():
    made = form({
        "a": {"type": "integer", "minimum": 1, "maximum": 99, "multipleOf": 5},
        "b": {"type": "number", "minimum": 0.05, "maximum": 1, "multipleOf": 0.1},
        "c": {"type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 10},
    })  # fmt: skip
    a, b = named(made, "Slider for a"), named(made, "Slider for b")
    assert (a.min, a.max, a.step) == (5, 95, 5)
    assert (b.min, b.max, b.step) == (0.1, 1.0, 0.1)
    assert all_named(made, "Slider for c") == []


def test_many_choices_are_a_menu_all_the_same():
    made = form({"x": {"type": "string", "enum": [f"v{n}" for n in range(1000)]}})
    assert len(named(made, "x").options) == 1001
    named(made, "x").value = 999
    assert made.arguments == {"x": "v999"}
    made = form({"x": {"enum": [f"v{n}" for n in range(2000)]}})
    named(made, "x").value = "v1999"
    assert made.arguments == {"x": "v1999"}


@pytest.mark.parametrize("high", [10**9, 1e400, 1])
def test_bounds_that_no_hand_could_slide_between_have_a_box_only(high):
    made = form({"x": {"type": "integer", "minimum": 1, "maximum": high}})
    assert all_named(made, "Slider for x") == []


def test_defaults_are_filled_in_and_sent_and_what_is_emptied_is_left_out():
    made = form({"x": {"type": "integer", "default": 3}, "y": {"enum": ["a", "b"], "default": "b"}})
    assert made.arguments == {"x": 3, "y": "b"}
    named(made, "x").value = ""
    named(made, "y").value = -2
    assert made.arguments == {}


@pytest.mark.parametrize("default", ["many", True, 2.5, [], {}])
def test_a_default_that_its_field_cannot_show_is_left_to_the_server(default):
    assert form({"x": {"type": "integer", "default": default}}).arguments == {}


def test_null_is_said_with_a_tick_or_chosen_and_else_left_out():
    made = form({
        "a": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "b": {"type": ["integer", "null"]},
        "c": {"enum": ["x", None]},
        "d": {"type": ["boolean", "null"]},
    })  # fmt: skip
    assert made.arguments == {}
    for tick in all_named(made, "null"):
        tick.value = True
    assert named(made, "a").disabled
    named(made, "c").value = named(made, "d").value = -1
    assert made.arguments == {"a": None, "b": None, "c": None, "d": None}


@pytest.mark.parametrize(
    ("about", "value", "place", "said"),
    [
        ({"type": "integer"}, "many", "x", "must be a whole number, not the text 'many'"),
        ({"enum": ["a", "b"]}, "c", "x", "must be one of 'a', 'b', not 'c'"),
        ({"const": "a"}, "b", "x", "must be 'a', not 'b'"),
        ({"oneOf": [{"type": "integer"}, {"type": "boolean"}]}, "c", "x", ""),
        ({"type": "object", "properties": {"n": {"type": "number"}}}, {"n": "z"}, "x.n", "must be a number"),
        (
            {"type": "object", "properties": {"n": {}}, "additionalProperties": False},
            {"m": 1},
            "x.m",
            "is not a field of x",
        ),
        ({"type": "array", "items": {"type": "boolean"}}, [True, "z"], "x[1]", "must be True or False"),
        ({"type": "string"}, "y" * 100_001, "x", "no field of the form can hold this"),
        ({"type": "integer"}, None, "x", "must be a whole number, not None"),
    ],
)
def test_what_no_field_can_hold_is_refused_and_not_left_out_unsaid(about, value, place, said):
    with pytest.raises(ArgumentError) as refused:
        form({"x": about}, start={"x": value})
    assert refused.value.field == place
    assert said in str(refused.value)


def test_what_a_form_is_given_it_holds_whole():
    start = {
        "many": ["a"] * 150,
        "empty": "",
        "day": "20260728",
        "extra": {"known": 1, "more": [2]},
        "pay": {"kind": "card"},
        "others": True,
    }
    about = {
        "many": {"type": "array", "items": {"type": "string"}},
        "empty": {"type": "string"},
        "day": {"type": "string", "format": "date"},
        "extra": {"type": "object", "properties": {"known": {"type": "integer"}}},
        "pay": PAY,
    }
    made = form(about, required=["empty"], start=start)
    named(made, "number").value = "4"
    assert made.arguments == {**start, "pay": {"kind": "card", "number": "4"}}


def test_null_can_be_what_a_form_begins_with():
    about = {
        "a": {"type": ["string", "null"]},
        "b": {"enum": ["x", None]},
        "c": {"type": ["boolean", "null"]},
        "d": {"anyOf": [PLACE, {"type": "null"}]},
        "e": {},
    }
    start = dict.fromkeys(about)
    assert form(about, start=start).arguments == start


def test_a_constant_is_shown_and_sent_and_ticked_where_it_may_be_left_out():
    made = form({"k": {"const": "v"}, "o": {"const": 3}}, required=["k"])
    assert made.arguments == {"k": "v"}
    named(made, "o: 3").value = True
    assert made.arguments == {"k": "v", "o": 3}


@pytest.mark.parametrize("more", [{"minLength": 0}, {"default": ""}])
def test_a_needed_text_that_may_be_empty_is_sent_empty(more):
    made = form({"x": {"type": "string", **more}}, required=["x"])
    assert made.arguments == {"x": ""}


# ---- fields within fields

PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "zip": {"type": "integer"}},
    "required": ["city"],
}


def test_an_object_has_a_form_of_its_own_and_an_optional_one_is_left_out_until_it_is_wanted():
    made = form({"a": PLACE, "b": PLACE}, required=["a"])
    named(made, "city").value = "Oslo"
    assert made.arguments == {"a": {"city": "Oslo"}}
    named(made, "b").value = 0
    all_named(made, "city")[1].value = "Rome"
    assert made.arguments == {"a": {"city": "Oslo"}, "b": {"city": "Rome"}}
    named(made, "b").value = "out"
    assert made.arguments == {"a": {"city": "Oslo"}}
    named(made, "b").value = 0
    assert made.arguments["b"] == {"city": "Rome"}


def test_a_list_gets_rows_that_are_added_and_removed():
    made = form({"x": {"type": "array", "items": {"type": "string"}}}, required=["x"])
    assert made.arguments == {"x": []}
    for city in ("Oslo", "Rome", "Bonn"):
        click(made, "Add to x")
        named(made, f"x[{['Oslo', 'Rome', 'Bonn'].index(city)}]").value = city
    all_named(made, "Remove")[1].click()
    assert made.arguments == {"x": ["Oslo", "Bonn"]}
    assert named(made, "x[1]").value == "Bonn"


def test_a_list_of_objects_has_a_form_in_each_row():
    made = form({"x": {"type": "array", "items": PLACE, "minItems": 1}}, required=["x"])
    named(made, "city").value = "Oslo"
    click(made, "Add to x")
    all_named(made, "zip")[1].value = "7"
    with pytest.raises(ArgumentError, match=r"x\[1\].city: this is needed"):
        _ = made.arguments
    all_named(made, "city")[1].value = "Rome"
    assert made.arguments == {"x": [{"city": "Oslo"}, {"city": "Rome", "zip": 7}]}


PAY = {
    "oneOf": [
        {"title": "By card", "type": "object", "required": ["kind", "number"],
         "properties": {"kind": {"const": "card"}, "number": {"type": "string"}}},
        {"title": "In cash", "type": "object", "required": ["kind"],
         "properties": {"kind": {"const": "cash"}}},
    ]
}  # fmt: skip


def test_one_of_several_forms_is_chosen_and_each_keeps_what_is_in_it():
    made = form({"pay": PAY}, required=["pay"])
    assert [label for label, _ in named(made, "pay").options] == ["By card", "In cash"]
    named(made, "number").value = "4"
    assert made.arguments == {"pay": {"kind": "card", "number": "4"}}
    named(made, "pay").value = 1
    assert made.arguments == {"pay": {"kind": "cash"}}
    named(made, "pay").value = 0
    assert made.arguments == {"pay": {"kind": "card", "number": "4"}}


def test_the_form_that_a_value_has_is_chosen_for_it():
    made = form({"pay": PAY}, start={"pay": {"kind": "cash"}})
    assert made.arguments == {"pay": {"kind": "cash"}}
    made = form({"x": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}, start={"x": "a"})
    assert (named(made, "x").value, made.arguments) == (1, {"x": "a"})


def test_several_types_are_several_forms():
    made = form({"x": {"type": ["integer", "string", "null"]}})
    assert [label for label, _ in named(made, "x").options] == ["left out", "null", "integer", "text"]
    named(made, "x").value = "null"
    assert made.arguments == {"x": None}


def test_references_are_followed_and_round_ones_end_in_json():
    node = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "next": {"$ref": "#/$defs/node"}},
        "required": ["name", "next"],
    }
    made = form({"x": {"$ref": "#/$defs/node"}}, required=["x"], **{"$defs": {"node": node}})
    depth = len(all_named(made, "name"))
    assert depth == 5
    assert type(named(made, "next")).__name__ == "Textarea"
    assert form({"x": {"$ref": "#/$defs/a"}}, **{"$defs": {"a": {"$ref": "#/$defs/a"}}}).arguments == {}


def test_all_of_is_read_as_one_form():
    both = {"allOf": [{"$ref": "#/$defs/p"}, {"properties": {"more": {"type": "boolean", "default": True}}}]}
    made = form({"x": both}, required=["x"], **{"$defs": {"p": PLACE}})
    named(made, "city").value = "Oslo"
    assert made.arguments == {"x": {"city": "Oslo", "more": True}}


def test_fields_that_the_schema_only_allows_are_written_as_json():
    made = form({"x": {"type": "string"}}, additionalProperties=True, start={"x": "a", "y": 1})
    assert made.arguments == {"x": "a", "y": 1}
    named(made, "others").value = '{"x": "b"}'
    with pytest.raises(ArgumentError, match="x has a field of its own"):
        _ = made.arguments
    named(made, "others").value = "[]"
    assert alerts(made) == ["this needs a JSON object"]


def test_the_arguments_may_be_one_of_several_forms_themselves():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [
        {"required": ["a"]}, {"required": ["b"], "properties": {"b": {"type": "integer"}}},
    ]}  # fmt: skip
    made = ToolForm(Subject(schema), scheduler=ByHand())
    assert [label for label, _ in named(made, "arguments").options] == ["with a", "with b"]
    named(made, "arguments").value = 1
    named(made, "b").value = "2"
    assert made.arguments == {"b": 2}


# ---- what is wrong


def test_what_does_not_fit_is_said_beside_the_field_at_once_and_nothing_is_sent():
    made = form({"n": {"type": "integer"}, "p": {"type": "string", "pattern": "^a"}, "q": {"type": "string"}},
                required=["q"])  # fmt: skip
    named(made, "n").value = "many"
    named(made, "p").value = "b"
    assert alerts(made) == [
        "this needs a whole number",
        "must match the pattern &#x27;^a&#x27;, not &#x27;b&#x27;",
    ]
    assert made.subject.begun == []
    click(made, "Run")
    assert "this is needed" in alerts(made)
    assert "nothing was sent: 3 to correct above" in alerts(made)
    assert made.subject.begun == []


@pytest.mark.parametrize(
    ("about", "filled", "place"),
    [
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, ["a", "a"], "x"),
        ({"type": "array", "items": {"type": "integer", "exclusiveMinimum": 3}}, [3], "x[0]"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": "b"}, "x.a"),
        ({"type": "string", "format": "date", "pattern": "^2"}, "1999-01-01", "x"),
    ],
)
def test_the_schema_is_checked_whole_and_the_nearest_field_says_so(about, filled, place):
    made = form({"x": about}, start={"x": filled})
    with pytest.raises(ArgumentError) as wrong:
        _ = made.arguments
    assert wrong.value.field == place
    assert len(alerts(made)) == 1


def test_what_a_server_finds_wrong_is_said_beside_its_field_too():
    made = form({"x": PLACE}, required=["x"], start={"x": {"city": "Oslo"}})
    click(made, "Run")
    made.subject.future.set_exception(ArgumentError("book", "x.city", "there is no such city"))
    made.timers.fire()
    assert alerts(made)[0] == "there is no such city"


ODD = [{"type": {"a": 1}}, {"type": [[]], "items": {}}, {"format": []}, {"enum": [[], {}]},
       {"oneOf": [3, None]},
       {"type": "array", "items": {}, "minItems": 1e400}, {"type": "integer", "minimum": 10**400},
       {"$ref": "#"}, {"const": [{}]}, False, None]  # fmt: skip


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://a/b"},
        {"properties": 3},
        {"type": 7, "required": 5},
        {},
        {"properties": {str(number): odd for number, odd in enumerate(ODD)}},
    ],
)
def test_whatever_a_schema_is_there_is_a_form(schema):
    made = ToolForm(Subject(schema), scheduler=ByHand())
    for widget in tree(made.panel.root):
        if type(widget).__name__ == "Dropdown":
            widget.index = len(widget.options) - 1
    made._run("call")
    assert "Error" not in text(made)


# ---- running


def test_run_sends_exactly_what_is_filled_in_and_shows_the_answer():
    made = form({"x": {"type": "string"}})
    named(made, "x").value = "Oslo"
    assert made.subject.begun == []
    click(made, "Run")
    assert made.subject.begun == [("call", {"x": "Oslo"})]
    assert named(made, "x").disabled
    assert named(made, "Run").disabled
    made.subject.future.set_result(answer := Shown())
    made.timers.fire()
    assert made.result is answer
    assert "<p>booked</p>" in text(made)
    assert not named(made, "x").disabled
    assert named(made, "Cancel").layout.display == "none"


def test_a_running_call_shows_its_progress_and_can_be_cancelled():
    made = form({})
    click(made, "Run")
    made.subject.future.report(1, 4, "looking <b>")
    made.timers.fire()
    assert "25% looking &lt;b&gt;" in text(made)
    assert named(made, "Cancel").layout.display is None
    click(made, "Cancel")
    made.timers.fire()
    assert made.subject.future.cancelled()
    assert "⊘ cancelled" in text(made)
    assert not named(made, "Run").disabled


def test_an_error_is_told_on_the_page():
    made = form({})
    click(made, "Run")
    made.subject.future.set_exception(ToolError("s", "book", EVIL))
    made.timers.fire()
    assert "ToolError" in text(made)
    assert "<img" not in text(made)
    assert made.result is None


def test_what_may_destroy_asks_first_and_shows_what_would_be_sent():
    made = form({"x": {"type": "string"}}, destructive=True, start={"x": "Oslo"})
    click(made, "Run")
    assert made.subject.begun == []
    assert "may change or delete things" in text(made)
    assert named(made, "x").disabled
    click(made, "No")
    assert made.subject.begun == []
    assert not named(made, "x").disabled
    click(made, "Run")
    click(made, "Yes, run it")
    assert made.subject.begun == [("call", {"x": "Oslo"})]


def test_a_tool_that_has_changed_is_not_called():
    made = form({"x": {"type": "string"}})
    made.subject.schema = {"type": "object", "properties": {"y": {"type": "string"}}}
    click(made, "Run")
    assert made.subject.begun == []
    assert "Make a new form" in text(made)


def test_handlers_never_raise():
    made = form({})
    made.subject.begin = None
    click(made, "Run")
    assert "TypeError" in text(made)
    assert not named(made, "Run").disabled


def test_while_a_cell_runs_nothing_can_be_run():
    made = form({})
    made._unfollow = cells.follow(made._rest)
    cells._begins(object())
    assert named(made, "Run").disabled
    assert "A cell is running" in text(made)
    cells._ends(None)
    click(made, "Run")
    assert len(made.subject.begun) == 1
    made.close()


def test_closing_cancels_and_leaves_a_table():
    made = form({})
    click(made, "Run")
    made.close()
    made.close()
    assert made.subject.future.cancelled()
    assert "its fleet is closed" in made._repr_mimebundle_()["text/plain"]
    assert repr(made) == "<ToolForm book: closed>"


def test_without_a_page_a_form_is_a_table_that_says_why():
    bundle = form({})._repr_mimebundle_()
    assert "a form needs a running notebook" in bundle["text/html"]
    assert "Snapshot of 1970" in bundle["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" not in bundle


# ---- code


def test_the_same_in_python_is_shown_and_is_python():
    made = form({"city": {"type": "string"}, "n": {"type": "integer"}}, start={"city": "New York"})
    assert made.code == 'fleet.call("book", city="New York")'
    assert "fleet.call(&quot;book&quot;, city=&quot;New York&quot;)" in text(made)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"city": 'say "hi"', "n": 3},
        {"user-id": 1, "class": True},
        {"x": {"a": [1, 2.5, None, "\u202e\n'"]}, "y": ["w" * 60, "v" * 60]},
        {"text": "a\nb" * 100},
    ],
)
def test_code_calls_with_exactly_these_arguments(arguments):
    called = []

    class Fleet:
        def call(self, name, given=None, /, **named):
            called.append((name, {**(given or {}), **named}))

    code = call_text("fleet", "call", "book", arguments)
    eval(code, {"fleet": Fleet()})
    assert called == [("book", arguments)]
    assert "\u202e" not in code


def test_what_a_password_field_holds_is_sent_and_shown_nowhere():
    made = form({"x": {"type": "string", "format": "password", "pattern": "^a"}}, destructive=True)
    named(made, "x").value = "hunter2"
    assert "hunter2" not in text(made) + made.code
    named(made, "x").value = "a-hunter2"
    click(made, "Run")
    click(made, "Yes, run it")
    assert "hunter2" not in text(made)
    assert made.subject.begun == [("call", {"x": "a-hunter2"})]
    assert type(made.subject.begun[0][1]["x"]) is str


# ---- strangers


def test_nothing_that_a_server_says_is_a_tag_on_the_page():
    about = {"title": EVIL, "description": EVIL, "enum": [EVIL], "examples": [EVIL], "default": EVIL}
    made = form(
        {
            EVIL: {"type": "string", "description": EVIL},
            "a": about,
            "b": {"const": EVIL, "default": EVIL},
            "c": {"type": "object", "properties": {EVIL: {"type": "string", "pattern": EVIL}}},
            "d": {"type": "array", "items": {"type": "string"}, "description": EVIL, "default": [EVIL]},
            "e": {**PAY, "description": EVIL},
        },
        required=[EVIL, "c"],
    )
    click(made, "Run")
    assert "<img" not in text(made)
    said = json.dumps([[str(getattr(w, "description", "")), str(getattr(w, "tooltip", ""))]
                       for w in tree(made.panel.root)])  # fmt: skip
    assert "\\u202e" not in said
    assert "\\u001b" not in said


def test_texts_of_a_megabyte_stay_off_the_page():
    made = form(
        {
            LONG: {"type": "string", "title": LONG, "description": LONG},
            "a": {"enum": [LONG, "b"], "description": LONG},
            "b": {"const": LONG},
            "c": {"type": "string", "default": LONG},
        },
        required=["b"],
    )
    click(made, "Run")
    assert made.subject.begun == [("call", {"b": LONG})]
    sizes = [len(str(w.get_state())) for w in tree(made.panel.root)]
    assert max(sizes) < 60_000
    assert sum(sizes) < 200_000


def test_a_thousand_fields_are_not_a_thousand_widgets():
    many = {f"f{n}": {"type": "object", "properties": {f"g{m}": {"type": "string"} for m in range(60)},
                      "required": []} for n in range(1000)}  # fmt: skip
    made = form(many, required=[f"f{n}" for n in range(60)])
    assert len(list(tree(made.panel.root))) < 1000
    assert named(made, "others").value == ""


def test_a_schema_that_cannot_be_checked_here_is_left_to_the_server():
    made = form({"x": {"type": "string", "pattern": "(a+)+$"}}, start={"x": "a" * 40 + "!"})
    click(made, "Run")
    assert len(made.subject.begun) == 1
