"""JSON as editors write it: comments and commas go, strings and positions stay."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpnb.config.jsonc import JsonObject, parse
from mcpnb.errors import ConfigError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(JSON)
def test_plain_json_is_read_as_the_standard_library_reads_it(value: object) -> None:
    for indent in (None, 2):
        assert parse(json.dumps(value, indent=indent, ensure_ascii=False)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, }', {"a": 1}),
        ("[1, 2,\n]", [1, 2]),
        ('{"a": [1, /* , */ ], // x\n}', {"a": [1]}),
        ('// first\n{"a": 1} // last', {"a": 1}),
        ('/* a\n b */ {"a": 1} /**/', {"a": 1}),
        (
            '{"url": "http://h/*x*/", "b": "a, ]", "c": "\\"//,}"}',
            {"url": "http://h/*x*/", "b": "a, ]", "c": '"//,}'},
        ),
        ('{"a": "\\\\"} // "', {"a": "\\"}),
    ],
)
def test_comments_and_trailing_commas_go_and_strings_stay(text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('// c\n/* x\n y */ {"a" 1}', "line 3, column 12"),
        ('{"a": 1,\n\n "b"}', "line 3, column 5"),
        ('{"a": "http://h\n}', "line 1, column 16"),
        ('{"a": 1 /* open', "line 1, column 16"),
        ("{'a': 1}", "line 1, column 2"),
    ],
)
def test_an_error_names_the_place_in_the_file_as_it_was_written(text: str, where: str) -> None:
    with pytest.raises(ConfigError, match=where):
        parse(text)


@pytest.mark.parametrize("path", ["C:\\Programs\\x.exe", "C:\\users\\me"])
def test_a_path_of_windows_is_told_how_to_be_written(path: str) -> None:
    with pytest.raises(ConfigError, match=r'A backslash is written twice: "C:\\\\Users"'):
        parse(f'{{"command": "{path}"}}')


def test_the_text_itself_is_never_in_the_error() -> None:
    with pytest.raises(ConfigError) as caught:
        parse('{"token": "hunter2" "x"}')
    error: BaseException | None = caught.value
    assert "hunter2" not in str(error)
    assert caught.value.__suppress_context__


def test_keys_that_stand_twice_are_remembered() -> None:
    value = parse('{"a": 1, "b": 2, "a": 3}')
    assert isinstance(value, JsonObject)
    assert (value, value.repeated) == ({"a": 3, "b": 2}, ("a",))


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "9" * 5000])
def test_numbers_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)


@settings(deadline=None)
@given(st.text(alphabet='{}[]",:/*\\ \nab1'))
def test_any_text_gives_a_value_or_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        parse(text)
