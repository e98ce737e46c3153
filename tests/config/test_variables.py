"""`${...}`: what each form means, what stays, and what cannot be expanded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpnb.config import ConfigErrors, load
from mcpnb.config.variables import Prompt, Variables, ask_in_terminal
from mcpnb.errors import ConfigError

ENVIRON = {
    "A": "1",
    "B": "two words",
    "EMPTY": "",
    "HOME": "/home/me",
    "NEST": "${A}",
    "API_TOKEN": "tok-123",
}


def variables(**changes: Any) -> Variables:
    return Variables(**{"environ": ENVIRON, "folder": Path("/project/here"), **changes})


def expand(text: str, **changes: Any) -> str:
    return variables(**changes).expand(text, "key", set())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${A}", "1"),
        ("x${A}y${B}z", "x1ytwo wordsz"),
        ("${env:A}", "1"),
        ("${A:-d}", "1"),
        ("${GONE:-d}", "d"),
        ("${GONE:-}", ""),
        ("${EMPTY}", ""),
        ("${EMPTY:-d}", "d"),
        ("${env:GONE:-d}", "d"),
        ("${GONE:-http://h:80/}", "http://h:80/"),
        ("${GONE:-a:-b}", "a:-b"),
        ("${GONE:-${A}}", "1"),
        ("${GONE:-${ALSO:-${B}}!}", "two words!"),
        ("${NEST}", "${A}"),
        ("${CLAUDE_PROJECT_DIR}/x", "/project/here/x"),
        ("${CLAUDE_PROJECT_DIR:-.}/x", "./x"),
        ("$A", "$A"),
        ("$HOME stays, so does $", "$HOME stays, so does $"),
        ("$$ {A} }", "$$ {A} }"),
        ("${workspaceFolder}/x", "/project/here/x"),
        ("${workspaceFolderBasename}", "here"),
        ("${userHome}", "/home/me"),
        ("${pathSeparator}${/}", os.sep * 2),
    ],
)
def test_each_form_has_its_meaning(text: str, expected: str) -> None:
    assert expand(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${GONE}", "GONE, which is not set"),
        ("${env:GONE}", "GONE, which is not set"),
        ("${GONE:-${ALSO}}", "ALSO, which is not set"),
        ("${A", "never closed"),
        ("${}", "a form that mcpnb does not know"),
        ("${command:x}", "a form that mcpnb does not know"),
        ("${input:x}", "not declared"),
    ],
)
def test_what_cannot_be_expanded_says_so_and_how_to_write_it(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        expand(text)
    assert words in caught.value.problem
    assert caught.value.key == "key"
    assert caught.value.fix


def test_a_token_in_the_place_of_a_name_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        expand("${ghp_a1b2c3d4e5f6g7h8i9j0}")
    assert "ghp_" not in str(caught.value)


def test_the_home_folder_is_found_on_windows_too() -> None:
    assert variables(environ={"USERPROFILE": "C:\\me"}).home() == "C:\\me"
    assert variables(environ={}).home() == str(Path.home())


def test_values_of_secret_variables_are_remembered_and_others_not() -> None:
    hidden: set[str] = set()
    environ = {**ENVIRON, "PLAIN": "sk-abcdefgh12345678"}
    variables(environ=environ).expand("${API_TOKEN} ${A} ${B} ${PLAIN}", "key", hidden)
    assert hidden == {"tok-123", "sk-abcdefgh12345678"}


def test_a_question_is_asked_once_for_all_servers_and_its_answer_hidden() -> None:
    asked: list[str] = []

    def ask(prompt: Prompt) -> str:
        asked.append(prompt.id)
        return "s3cret"

    names = variables(ask=ask, inputs={"x": Prompt("x", password=True), "unused": Prompt("unused")})
    hidden: set[str] = set()
    assert names.expand("${input:x} and ${input:x}", "k", hidden) == "s3cret and s3cret"
    assert (asked, hidden) == (["x"], {"s3cret"})


def test_an_empty_answer_takes_the_default_and_a_wrong_choice_is_refused() -> None:
    choice = {"r": Prompt("r", default="eu", options=("eu", "us"))}
    assert expand("${input:r}", ask=lambda _: "", inputs=choice) == "eu"
    with pytest.raises(ConfigError, match="none of its options") as caught:
        expand("${input:r}", ask=lambda _: "moon", inputs=choice)
    assert "moon" not in str(caught.value)


@pytest.mark.parametrize("reason", [EOFError, NotImplementedError, OSError])
def test_where_nobody_can_answer_the_error_says_what_to_do(reason: type[Exception]) -> None:
    def ask(_: Prompt) -> str:
        raise reason

    with pytest.raises(ConfigError, match=r"nobody can answer.*ask="):
        expand("${input:x}", ask=ask, inputs={"x": Prompt("x")})


def test_who_does_not_answer_is_not_asked_again_for_the_next_server() -> None:
    asked: list[str] = []

    def ask(prompt: Prompt) -> str:
        asked.append(prompt.id)
        raise EOFError

    document = {
        "inputs": [{"type": "promptString", "id": "x"}],
        "servers": {name: {"command": "c", "args": ["${input:x}"]} for name in ("a", "b")},
    }
    with pytest.raises(ConfigErrors) as caught:
        load(document, ask=ask)
    assert [problem.server for problem in caught.value.problems] == ["a", "b"]
    assert asked == ["x"]


def test_the_default_prompt_shows_choices_and_hides_passwords(monkeypatch: Any) -> None:
    shown: list[str] = []
    monkeypatch.setattr("builtins.input", lambda text: shown.append(text) or "typed")
    monkeypatch.setattr("getpass.getpass", lambda text: shown.append(f"hidden {text}") or "secret")
    assert ask_in_terminal(Prompt("r", "Region", default="eu", options=("eu", "us"))) == "typed"
    assert ask_in_terminal(Prompt("k", password=True, default="d")) == "secret"
    assert shown == ["Region [eu, us] (empty: eu): ", "hidden k: "]


def test_forgiving_variables_leave_what_they_do_not_know() -> None:
    text = "${GONE} ${input:x} ${A} ${GONE:-d} ${open"
    assert variables().forgive().expand(text, "k", set()) == "${GONE} ${input:x} 1 d ${open"


@settings(deadline=None)
@given(st.text().filter(lambda text: "${" not in text))
def test_texts_without_variables_stay_as_they_are(text: str) -> None:
    assert expand(text) == text


@settings(deadline=None)
@given(before=st.text(alphabet="ab$ }"), value=st.text(), after=st.text(alphabet="ab$ }"))
def test_a_value_is_put_in_whole_and_not_expanded_again(before: str, value: str, after: str) -> None:
    assert expand(f"{before}${{V}}{after}", environ={"V": value}) == f"{before}{value}{after}"
