"""What a person's words mean in the fields that a server's schema describes."""

from __future__ import annotations

import pytest

from mcpnb.notebook.fields import Choice
from mcpnb.notebook.shapes import fields_of


def field(about, *, required=False):
    (made,) = fields_of({"properties": {"x": about}, "required": ["x"] if required else []})
    return made


def test_fields_come_in_the_schemas_order_with_what_it_says_of_them():
    schema = {
        "properties": {"b": {"type": "string", "title": "Be", "default": "x"}, "a": {"type": "integer"}},
        "required": ["a"],
    }
    b, a = fields_of(schema)
    assert (b.name, b.title, b.default, b.required) == ("b", "Be", "x", False)
    assert (a.name, a.title, a.kind, a.required) == ("a", "a", "integer", True)


@pytest.mark.parametrize(
    ("about", "typed", "value"),
    [
        ({"type": "string"}, " Oslo ", "Oslo"),
        ({"type": "integer"}, "3", 3),
        ({"type": "number"}, "2.5", 2.5),
        ({"type": "boolean"}, "Yes", True),
        ({"type": "boolean"}, "n", False),
        ({"type": "string", "format": "email"}, "a@b.c", "a@b.c"),
        ({"type": "string", "format": "uri"}, "https://a/b", "https://a/b"),
        ({"type": "string", "format": "date"}, "2026-07-28", "2026-07-28"),
        ({"type": "string", "format": "date-time"}, "2026-07-28T09:30:00Z", "2026-07-28T09:30:00Z"),
        ({"type": "string", "enum": ["rail", "air"]}, "air", "air"),
        ({"type": "string", "enum": ["rail", "air"]}, "2", "air"),
        ({"type": "string", "enum": ["r", "a"], "enumNames": ["Rail", "Air"]}, "Air", "a"),
        ({"type": "string", "oneOf": [{"const": "r", "title": "Rail"}, {"const": "a"}]}, "Rail", "r"),
        ({"type": "array", "items": {"enum": ["p", "q", "r"]}}, "p, 3", ["p", "r"]),
        ({"type": "array", "items": {"anyOf": [{"const": "p", "title": "Pea"}]}}, "Pea", ["p"]),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "4", 4),
        ({"type": "object"}, '{"a": 1}', {"a": 1}),
    ],
)
def test_words_become_values(about, typed, value):
    assert field(about).parse(typed) == value


@pytest.mark.parametrize(
    ("about", "typed", "said"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 9}, "10", "a whole number, 1 to 9"),
        ({"type": "integer"}, "2.5", "a whole number"),
        ({"type": "number", "minimum": 0}, "-1", "a number, at least 0"),
        ({"type": "number"}, "nan", "a number"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "0", "a number, at most 1, above 0"),
        ({"type": "number", "maximum": 1, "exclusiveMaximum": True}, "1", "a number, below 1"),
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9.5}, "0", "a whole number, 1 to 9"),
        ({"type": "string", "format": "uri"}, "http://[", "a URI"),
        ({"type": "boolean"}, "maybe", "yes or no"),
        ({"type": "string", "maxLength": 2}, "abc", "text, at most 2 characters"),
        ({"type": "string", "format": "email"}, "nobody", "an e-mail address"),
        ({"type": "string", "format": "uri"}, "example", "a URI"),
        ({"type": "string", "format": "date"}, "28.7.2026", "a date"),
        ({"type": "string", "enum": ["rail", "air"]}, "3", "one of the choices, or a number from 1 to 2"),
        ({"type": "array", "items": {"enum": ["p", "q"]}, "minItems": 2}, "p", "at least 2 of them"),
        ({"type": "object"}, "{", "JSON"),
    ],
)
def test_words_that_do_not_fit_are_refused_with_what_would(about, typed, said):
    with pytest.raises(ValueError, match="this needs") as refused:
        field(about).parse(typed)
    assert said in str(refused.value)


@pytest.mark.parametrize("schema", [{}, {"properties": 3, "required": 4}, {"properties": {"x": []}}])
def test_whatever_a_schema_is_there_are_fields(schema):
    assert all(made.kind == "json" for made in fields_of(schema))


def test_titles_of_choices_are_kept_apart_from_their_values():
    made = field({"enum": ["r", "a"], "enumNames": ["Rail", "Air"]}, required=True)
    assert made.choices == (Choice("Rail", "r"), Choice("Air", "a"))
    assert made.required
