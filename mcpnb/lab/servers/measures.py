"""What can be counted in a text: words, sentences, syllables, moods. The same text gives the same figures.

It owns the rules, and states each where it stands. It knows no MCP.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from typing_extensions import TypedDict

from mcpnb.lab.servers.lexicon import NEGATIONS, NEGATIVE, POSITIVE, STOP_WORDS

__all__ = ["Analysis", "Counts", "Language", "Readability", "Sentiment", "Top", "analyze", "syllables_of"]

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
# Chinese and Japanese put no space behind their 。 and its kin.
_END = re.compile(r"[.!?\u2026]+(?=[\s\"'\u201d\u2019)\]]|$)|[\u3002\uff01\uff1f]+")
_NO_END = re.compile(r"\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e)\.$")
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n")
_VOWELS = re.compile(r"[aeiouy]+")
_SILENT = re.compile(r"[^aeiouyl]e$|[aeiouy]le$|[^aeiouysxzcgh]es$|[^aeiouytd]ed$")

_TOP = 10
_REACH = 3
"""A negation turns the mood of a word at most so many words behind it."""


class Counts(TypedDict):
    """How much there is."""

    characters: int
    words: int
    unique_words: int
    sentences: int
    paragraphs: int


class Readability(TypedDict):
    """Flesch reading ease: 206.835 - 1.015 words/sentences - 84.6 syllables/words; higher is easier."""

    flesch_reading_ease: float
    level: str
    words_per_sentence: float
    syllables_per_word: float


class Top(TypedDict):
    """A frequent word."""

    word: str
    count: int


class Language(TypedDict):
    """The language with most stop words; confidence is its lead over the next, 0 to 1."""

    code: str | None
    confidence: float


class Sentiment(TypedDict):
    """(positive - negative) / (positive + negative) words of the lexicon, -1 to 1."""

    score: float
    label: Literal["positive", "neutral", "negative"]
    positive: int
    negative: int


class Analysis(TypedDict):
    """All figures of a text. Readability is null where its formula does not hold: for all but English."""

    counts: Counts
    language: Language
    readability: Readability | None
    top_words: list[Top]
    sentiment: Sentiment


def analyze(text: str) -> Analysis:
    """Measure a text."""
    words = [word.casefold().replace("\u2019", "'") for word in _WORD.findall(text)]
    sentences = _sentences(text)
    language = _language(words)
    return Analysis(
        counts=Counts(
            characters=len(text),
            words=len(words),
            unique_words=len(set(words)),
            sentences=sentences,
            paragraphs=sum(1 for part in _PARAGRAPH.split(text) if part.strip()),
        ),
        language=language,
        readability=_readability(words, sentences) if language["code"] == "en" else None,
        top_words=_top(words, language["code"]),
        sentiment=_sentiment(words),
    )


def _sentences(text: str) -> int:
    """Pieces that hold a word, cut at . ! ? but not behind initials and usual abbreviations."""
    count, begin = 0, 0
    for end in _END.finditer(text):
        piece = text[begin : end.end()]
        if _WORD.search(piece) and not _NO_END.search(piece[-12:]):
            count, begin = count + 1, end.end()
    return count + bool(_WORD.search(text, begin))


def syllables_of(word: str) -> int:
    """Syllables of an English word: groups of vowels (a e i o u y), without a silent end, at least one.

    Silent are a final `e` (but not `le` after a consonant), `es` (but not after s x z c g h) and `ed`
    (but not after t d).
    """
    plain = re.sub(r"[^a-z]", "", word.casefold())
    groups = len(_VOWELS.findall(plain))
    silent = _SILENT.search(plain)
    return max(1, groups - bool(silent))


def _readability(words: Sequence[str], sentences: int) -> Readability:
    per_sentence = len(words) / max(1, sentences)
    per_word = sum(map(syllables_of, words)) / len(words)
    ease = 206.835 - 1.015 * per_sentence - 84.6 * per_word
    return Readability(
        flesch_reading_ease=round(ease, 1),
        level=next((level for least, level in _LEVELS if ease >= least), "very difficult"),
        words_per_sentence=round(per_sentence, 2),
        syllables_per_word=round(per_word, 2),
    )


_LEVELS = (
    (90, "very easy"), (80, "easy"), (70, "fairly easy"), (60, "plain"), (50, "fairly difficult"), (30,
    "difficult"),
)  # fmt: skip
"""Flesch's own names for the ranges of his figure."""


def _language(words: Sequence[str]) -> Language:
    if not words:
        return Language(code=None, confidence=0.0)
    shares = sorted(
        ((sum(word in stops for word in words) / len(words), code) for code, stops in STOP_WORDS.items()),
        reverse=True,
    )
    (best, code), (second, _) = shares[:2]
    if best == second:
        return Language(code=None, confidence=0.0)
    return Language(code=code, confidence=round((best - second) / best, 3))


def _top(words: Sequence[str], language: str | None) -> list[Top]:
    """The most frequent words that are no stop words; of equals, in the order of the alphabet."""
    stops = STOP_WORDS.get(language or "", frozenset[str]())
    counted = Counter(word for word in words if word not in stops and len(word) > 1)
    ranked = sorted(counted.items(), key=lambda entry: (-entry[1], entry[0]))
    return [Top(word=word, count=count) for word, count in ranked[:_TOP]]


def _sentiment(words: Sequence[str]) -> Sentiment:
    positive = negative = 0
    for place, word in enumerate(words):
        mood = (word in POSITIVE) - (word in NEGATIVE)
        if mood and any(before in NEGATIONS for before in words[max(0, place - _REACH) : place]):
            mood = -mood
        positive, negative = positive + (mood > 0), negative + (mood < 0)
    score = (positive - negative) / (positive + negative) if positive + negative else 0.0
    label = "positive" if score > 0.2 else "negative" if score < -0.2 else "neutral"
    return Sentiment(score=round(score, 3), label=label, positive=positive, negative=negative)
