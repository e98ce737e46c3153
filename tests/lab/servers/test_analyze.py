"""Text analysis counts by rules that can be checked by hand."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client, StdioServerParameters

from mcpnb.lab.servers import analyze as server
from mcpnb.lab.servers import serving
from mcpnb.lab.servers.measures import analyze, syllables_of


def test_everything_is_counted() -> None:
    text = "The cat sat on the mat. It was happy!\n\nWas it?"
    assert analyze(text)["counts"] == {
        "characters": 46, "words": 11, "unique_words": 8, "sentences": 3, "paragraphs": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Dr. Smith met J. Doe, i.e. him.", 1), ("One... two.", 2), ("No end", 1), ("3.5 is no end. True", 2),
        ("今日は。雨です。", 2), ('"Stop!" he said.', 2), ("...", 0), ("", 0),
    ],
)  # fmt: skip
def test_sentences_end_where_they_end(text: str, sentences: int) -> None:
    assert analyze(text)["counts"]["sentences"] == sentences


@pytest.mark.parametrize(
    ("word", "syllables"),
    [("cat", 1), ("table", 2), ("whole", 1), ("walked", 1), ("wanted", 2), ("boxes", 2), ("makes", 1), ("rhythm", 1),  # noqa: E501 - reads best in one line
     ("readability", 5), ("the", 1), ("Zürich", 1), ("don't", 1)],
)  # fmt: skip
def test_syllables_follow_the_rule(word: str, syllables: int) -> None:
    assert syllables_of(word) == syllables


def test_reading_ease_is_flesch_s_formula() -> None:
    found = analyze("The cat sat on the mat.")["readability"]
    assert found is not None
    assert found["flesch_reading_ease"] == round(206.835 - 1.015 * 6 - 84.6 * 1, 1)
    assert found["level"] == "very easy"
    assert analyze("Die Katze saß auf der Matte und war froh.")["readability"] is None


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "This is the weather that we have been waiting for all of the week."),
        ("de", "Das ist das Wetter, auf das wir die ganze Woche gewartet haben."),
        ("fr", "C'est le temps que nous avons attendu pendant toute la semaine avec les enfants."),
        ("es", "Este es el tiempo que hemos esperado durante toda la semana con los niños."),
        ("it", "Questo è il tempo che abbiamo aspettato per tutta la settimana con gli amici."),
        ("nl", "Dit is het weer waar wij de hele week op hebben gewacht, en niet meer."),
        ("sv", "Det är vädret som vi har väntat på hela veckan och inte mer."),
        ("pt", "Este é o tempo que nós temos esperado durante uma semana com os filhos em casa, não é?"),
        (None, "12345 67890"), (None, "qwrt zxcv"),
    ],
)  # fmt: skip
def test_the_language_is_guessed_by_its_commonest_words(code: str | None, text: str) -> None:
    assert analyze(text)["language"]["code"] == code


def test_frequent_words_are_those_that_say_something() -> None:
    top = analyze("The storm and the rain and the storm. A storm of rain, of wind.")["top_words"]
    assert [(each["word"], each["count"]) for each in top] == [("storm", 3), ("rain", 2), ("wind", 1)]


@pytest.mark.parametrize(
    ("text", "score", "label"),
    [
        ("A good and reliable server.", 1.0, "positive"), ("A bad, broken server.", -1.0, "negative"),
        ("It is not good.", -1.0, "negative"), ("It is never bad.", 1.0, "positive"),
        ("Good and bad.", 0.0, "neutral"), ("A server.", 0.0, "neutral"),
    ],
)  # fmt: skip
def test_the_mood_follows_the_lexicon_and_turns_with_a_negation(text: str, score: float, label: str) -> None:
    found = analyze(text)["sentiment"]
    assert (found["score"], found["label"]) == (score, label)


@given(st.text(max_size=300))
def test_any_text_has_figures_and_always_the_same(text: str) -> None:
    found = analyze(text)
    assert found == analyze(text)
    assert -1 <= found["sentiment"]["score"] <= 1
    assert found["counts"]["unique_words"] <= found["counts"]["words"] <= len(text)


@pytest.mark.parametrize(
    "text", ["a-" * 100_000, "." * 200_000, "a" * 200_000, "a. " * 66_000, "\n \n" * 66_000]
)
def test_hostile_texts_take_no_longer_than_others(text: str) -> None:
    assert analyze(text)["counts"]["characters"] == len(text)


@pytest.mark.anyio
async def test_texts_out_of_bounds_are_tool_errors() -> None:
    async with Client(server.build(serving.Identity("a"))) as client:
        for text in ["", " ", "x" * 200_001, None, 7]:
            assert (await client.call_tool("analyze.text", {"text": text})).is_error
        found = await client.call_tool("analyze.text", {"text": "nul \0 and 🌧 rain"})
    assert found.structured_content["counts"]["words"] == 3


@pytest.mark.anyio
async def test_it_works_from_a_plain_client_over_stdio() -> None:
    command = StdioServerParameters(command=sys.executable, args=["-P", "-m", "mcpnb.lab.servers.analyze"])
    async with Client(command) as client:
        found = await client.call_tool("analyze.text", {"text": "What a lovely day."})
    assert found.structured_content["sentiment"]["label"] == "positive"
