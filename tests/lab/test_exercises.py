"""The exercises: right answers are accepted, wrong ones get a reason and a hint, and never the answer."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mcpnb
from mcpnb import lab
from mcpnb.lab import exercises

CASES: dict[str, tuple[list[Any], list[Any]]] = {
    "00-a": ([26.7, np.float64(26.7)], [26.5, 25.8, -5, 267]),
    "00-b": (
        [Counter({"weather-1": 12, "weather-3": 18}), pd.Series({"weather-1": 15, "weather-2": 15})],
        [{"weather-1": 30}, {"weather-1": 3, "weather-2": 4}, {"weather-9": 30}],
    ),
    "01-a": (
        [["notes", "shop", "weather", "clock"], {"clock", "weather", "shop", "notes"}],
        [["notes"], ["notes", "shop", "weather", "clock", "maps"], ["noted"], []],
    ),
    "01-b": ([2, 2.05], [3.7, 0.2, 10]),
    "02-a": ([{"a": 6, "b": 3, "c": 1}, {"a": 0.6, "b": 0.3, "c": 0.1}],
             [{"a": 1, "b": 1, "c": 1}, {"a": 6, "b": 3}, {"a": 6, "b": 3, "c": 0}]),
    "02-b": (["least_request", "load_balanced"], ["round_robin", "random", "p2c", "first_come", "latency"]),
    "03-a": ([0.008, 0.2**3], [0.8, 0.04, 0.2, 0.0]),
    "03-b": ([5], [4, 20]),
    "03-c": (
        [mcpnb.Resilience(breaker=True), mcpnb.Resilience.live()],
        [mcpnb.Resilience(), mcpnb.Resilience(retry=2)],
    ),
    "04-a": (["newest_version"], ["first_server", "namespace", "merge", "newest"]),
    "04-b": (
        [["2.0.0", "2.0.0-rc.1", "1.10.0", "1.10.0-beta.2", "1.9.0.post1", "1.9.0"]],
        [
            ["2.0.0", "2.0.0-rc.1", "1.10.0", "1.10.0-beta.2", "1.9.0.post1", "1.9.0"][::-1],
            sorted(["1.9.0", "1.10.0", "2.0.0-rc.1", "1.10.0-beta.2", "2.0.0", "1.9.0.post1"], reverse=True),
            ["2.0.0"],
        ],
    ),
    "04-c": (
        [[["web", "mirror"]], [("mirror", "web"), ["archive"]]],
        [[["web", "archive"]], [], [["web"], ["mirror"]], [["web", "nobody"]]],
    ),
    "05-a": ([21, 21.0], [25.5, 20.5, 35, 41.77, 69.8]),
    "05-b": (
        [["hedging", "queues", "breakers", "retries", "fronts"]],
        [["hedging"], ["queues", "hedging", "breakers", "retries", "fronts"], ["hedging", "queues"]],
    ),
    "06-a": ([], [0, 1e6]),
    "06-b": (
        [{"one": "p2c", "two": "no difference"}, {"one": "p2c", "two": "No difference"}],
        [
            {"one": "random", "two": "no difference"},
            {"one": "no difference", "two": "no difference"},
            {"one": "p2c", "two": "round_robin"},
            {"one": "p2c", "two": "best"},
        ],
    ),
    "06-c": (["c3", "least_request"], ["round_robin", "p2c", "fastest"]),
    "07-a": ([], ["Atlantis", "Peru", "france"]),
    "07-b": ([], ["Atlantis", "Oslo"]),
    "07-c": ([], [0, 22]),
    "08-a": (
        [
            {"anna.example.org": 0.5, "bert.example.org": 0.3, "dora.example.org": 0.2},
            pd.Series([0.5, 0.3, 0.2], ["anna.example.org", "bert.example.org", "dora.example.org"]),
        ],
        [
            {"anna.example.org": 0.26, "bert.example.org": 0.16, "cleo.example.org": 0.58},
            {"cleo.example.org": 1.0},
            {"anna.example.org": 0.4, "bert.example.org": 0.3, "dora.example.org": 0.3},
            {"anna.example.org": 50, "bert.example.org": 30, "dora.example.org": 20},
            {"zoe.example.org": 1.0},
        ],
    ),
    "08-b": ([(8, 12), [8.0, 12]], [(0, 12), (12, 8), (4, 8), (8, 16), (12, 12), (8,), 8]),
    "08-c": (
        [
            {20: ["ada", "cy", "dee"], 40: ["ada", "dee", "eve"]},
            {40: {"eve", "dee", "ada"}, 20: ("dee", "cy", "ada")},
        ],
        [
            {20: ["ada"], 40: ["ada", "dee", "eve"]},
            {20: ["ada", "bob", "cy", "dee"], 40: ["ada", "dee", "eve"]},
            {20: ["ada", "cy", "dee"], 40: ["dee", "eve"]},
            {20: ["ada"]},
            {20: ["zoe"], 40: []},
        ],
    ),
    "08-d": (
        [(2, ["crm", "wiki"]), [2, {"wiki", "crm"}]],
        [
            (3, ["crm", "wiki"]), (1, ["crm", "wiki"]), (2, ["crm"]), (2, ["crm", "wiki", "bills"]),
            (2, ["zoe"]), 2,
        ],
    ),
}  # fmt: skip
"""Exercise → answers that are right and answers that are not; more right ones are worked out below."""


def worked_out(exercise: str) -> list[Any]:
    """The right answer, got in another way than the checker gets it: by asking servers."""
    if exercise == "06-a":
        run = lab.material("06-a")
        figures = run.summary
        return [figures["goodput"] * figures["mean_ms"] / 1000]
    if not exercise.startswith("07"):
        return []
    options: dict[str, Any] = {"replicas": 1, "transport": "in-process", "latency_ms": 0}
    if exercise == "07-a":
        with lab.start("database", **options) as fleet:
            query = (
                "SELECT country FROM orders, products, customers WHERE products.id = product_id"
                " AND customers.id = customer_id GROUP BY country ORDER BY sum(quantity * price) DESC"
            )
            return [fleet.call("database.query", query=query).value["rows"][0]["country"]]
    if exercise == "07-b":
        with lab.start("weather", today="2026-07-28", **options) as fleet:
            now = {
                place: fleet.call("weather.current", location=place).value["temperature_c"]
                for place in lab.PLACES
            }
            return [max(now, key=lambda place: now[place])]
    with lab.start("filesystem", **options) as fleet:
        files = [entry["name"] for entry in fleet.call("directory.list").value["entries"]]
        texts = [fleet.call("file.read", path=name).value["content"].lower() for name in files]
        return [sum("queue" in text for text in texts)]


def test_every_exercise_has_cases_here() -> None:
    assert list(CASES) == exercises.known()


@pytest.mark.parametrize("exercise", CASES)
def test_right_answers_are_accepted_and_wrong_ones_are_not(exercise: str) -> None:
    accepted, refused = CASES[exercise]
    accepted = [*accepted, *worked_out(exercise)]
    assert accepted, "an exercise needs a right answer"
    for answer in accepted:
        verdict = lab.check(exercise, answer)
        assert verdict, (answer, verdict)
        assert repr(verdict).startswith(f"✓ {exercise} right: ")
    for answer in refused:
        verdict = lab.check(exercise, answer)
        assert not verdict, answer
        assert verdict.state == "not yet"
        assert verdict.says
        assert verdict.hint
        assert not gives_away(repr(verdict), accepted[0], answer), verdict


def gives_away(said: str, truth: Any, given: Any) -> bool:
    """Whether words about a wrong answer hold the right one, beside what the answer itself said."""
    if isinstance(truth, str):
        return truth in re.findall(r"\w+", said.replace(str(given), "")) and truth not in LISTED
    if isinstance(truth, int | float):
        figures = [float(figure) for figure in re.findall(r"-?\d+(?:\.\d+)?", said.split(":", 1)[1])]
        return any(math.isclose(figure, truth) for figure in figures) and truth not in {float(len(CASES)), 5}
    return False


LISTED = {"newest_version", "least_request"}
"""Right answers that are in lists of all that may be answered."""


@pytest.mark.parametrize("exercise", CASES)
@pytest.mark.parametrize(
    "nonsense",
    [None, "", 7, object(), [None], {"a": None}, math.nan, True, [[1]], np.ones(2), 10**5000],
    ids=lambda nonsense: type(nonsense).__name__,
)
def test_an_answer_of_another_kind_is_told_what_kind_is_asked_for(exercise: str, nonsense: Any) -> None:
    verdict = lab.check(exercise, nonsense)
    assert verdict.state == "not yet"
    assert verdict.says.endswith(".")
    assert "Traceback" not in repr(verdict)


@pytest.mark.parametrize(
    ("exercise", "answer", "about"),
    [
        ("01-a", ["notes", "maps"], "':-'"),
        ("01-a", ["notes", "search"], "how to reach it"),
        ("02-b", "latency", "not among the four"),
        ("04-b", ["2.0.0", "2.0.0-rc.1", "1.10.0", "1.10.0-beta.2", "1.9.0", "1.9.0.post1"], "post"),
    ],
)
def test_what_is_said_is_about_the_mistake_that_was_made(exercise: str, answer: Any, about: str) -> None:
    verdict = lab.check(exercise, answer)
    assert about in f"{verdict.says} {verdict.hint}"


def test_no_answer_yet_is_neither_right_nor_wrong() -> None:
    verdict = lab.check("02-a", ...)
    assert not verdict
    assert repr(verdict) == "○ 02-a no answer: Put your answer in place of the dots, and run the cell again."


@pytest.mark.parametrize("unknown", ["02-z", "99-a", "", None, "2a"])
def test_an_unknown_exercise_is_told_with_those_there_are(unknown: Any) -> None:
    with pytest.raises(mcpnb.McpnbError, match=r"no exercise .*there are 00-a, 00-b, 01-a, .*08-c"):
        lab.check(unknown, 1)


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(mcpnb.McpnbError, match="Did you mean 02-"):
        lab.check("02-aa", 1)


def test_a_verdict_shows_symbol_and_word_and_escapes_what_it_was_given() -> None:
    page = lab.check("04-a", "<b>first</b>")._repr_mimebundle_()["text/html"]
    assert "✗ not yet" in page
    assert "&lt;b&gt;first&lt;/b&gt;" in page
    assert "✓ right" in lab.check("04-a", "newest_version")._repr_mimebundle_()["text/html"]


def test_a_table_that_is_asked_about_shows_all_that_it_is_asked_about() -> None:
    shown = pd.DataFrame(lab.material("04-a")).T._repr_html_()
    assert "..." not in shown
    assert shown.count("query: str, limit: int") == 2


def test_material_is_made_anew_or_there_is_none() -> None:
    lab.material("01-a").clear()
    assert "notes" in lab.material("01-a")
    with pytest.raises(mcpnb.McpnbError, match="00-a needs no material"):
        lab.material("00-a")
