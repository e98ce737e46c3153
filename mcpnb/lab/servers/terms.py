"""Names in many languages, from the Unicode CLDR as Babel ships it.

It owns which kinds of names there are, how a term is recognised, and how sure that is. It knows no MCP.

Confidence: 1.0 for the name as CLDR spells it; 0.9 when only case, accents or spaces differ; for a near miss
0.8 times its likeness (`rapidfuzz.fuzz.ratio`, 0 to 1), and nothing below a likeness of 0.75.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import lru_cache
from typing import Any, Literal, NamedTuple, cast

from babel import Locale, UnknownLocaleError, localedata
from babel.units import get_unit_name
from rapidfuzz import fuzz, process
from typing_extensions import TypedDict

from mcpnb.errors import suggest
from mcpnb.lab.servers.refusal import Refused

__all__ = ["Alternative", "Kind", "Match", "Translation", "translate"]

Kind = Literal["country", "language", "currency", "month", "day", "unit"]
Match = Literal["exact", "case-insensitive", "fuzzy"]

_UNITS = (
    "length-meter", "length-kilometer", "length-centimeter", "length-millimeter", "length-mile",
    "length-foot", "length-inch", "length-yard", "mass-kilogram", "mass-gram", "mass-pound",
    "mass-ounce", "mass-tonne", "temperature-celsius", "temperature-fahrenheit", "temperature-kelvin",
    "volume-liter", "volume-milliliter", "duration-second", "duration-minute", "duration-hour",
    "duration-day", "duration-week", "duration-month", "duration-year", "speed-kilometer-per-hour",
    "speed-meter-per-second", "speed-mile-per-hour", "area-hectare", "area-square-meter",
    "area-square-kilometer", "pressure-hectopascal", "pressure-millibar", "energy-joule",
    "energy-kilowatt-hour", "power-watt", "power-kilowatt", "digital-byte", "digital-megabyte",
    "digital-gigabyte", "angle-degree", "concentr-percent",
)  # fmt: skip

_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}", re.ASCII)
_LIKENESS = 0.75
_OTHERS = 5
"""Alternatives that are listed."""


class Alternative(TypedDict):
    """Another reading of the term."""

    matched: str
    translation: str
    kind: Kind
    confidence: float


class Translation(TypedDict("From", {"from": str})):
    """A term in another language, how it was recognised, and what else it may have meant."""

    term: str
    to: str
    translation: str
    kind: Kind
    matched: str
    match: Match
    confidence: float
    alternatives: list[Alternative]


class _Name(NamedTuple):
    text: str
    kind: Kind
    code: str


class _Reading(NamedTuple):
    name: _Name
    match: Match
    confidence: float


class _Names(NamedTuple):
    """The names of one language: as they are, by their folded form, and by what they are names of."""

    exact: dict[str, list[_Name]]
    folded: dict[str, list[_Name]]
    of: dict[tuple[Kind, str], str]


def translate(term: str, to: str, source: str = "en") -> Translation:
    """The term in the language `to`, where CLDR has a name for it.

    Raises:
        Refused: CLDR knows no such language or no such term.
    """
    term = " ".join(term.split())
    names, wanted = _names_in(_tag(source)), _names_in(_tag(to))
    found = [each for each in _readings(term, names) if (each.name.kind, each.name.code) in wanted.of]
    if not found:
        raise Refused(
            f"CLDR has no {term[:80]!r} in {source!r}; "
            "it knows countries, languages, currencies, months, days and units"
        )
    best, *others = found

    def told(reading: _Reading) -> str:
        return wanted.of[reading.name.kind, reading.name.code]

    return Translation(
        {
            "from": source,
            "term": term,
            "to": to,
            "translation": told(best),
            "kind": best.name.kind,
            "matched": best.name.text,
            "match": best.match,
            "confidence": best.confidence,
            "alternatives": [
                Alternative(
                    matched=other.name.text,
                    translation=told(other),
                    kind=other.name.kind,
                    confidence=other.confidence,
                )
                for other in others[:_OTHERS]
            ],
        }
    )


def _tag(language: str) -> str:
    """A language tag as Babel writes it.

    Raises:
        Refused: It is none, or CLDR has no names for it.
    """
    if not _TAG.fullmatch(language):
        raise Refused(f"{language[:40]!r} is no language tag such as 'de' or 'pt-BR'")
    try:
        return str(Locale.parse(language.replace("-", "_")))
    except (UnknownLocaleError, ValueError):
        near = suggest(language, ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "ja", "zh", "ar", "ru"))
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise Refused(f"CLDR has no language {language!r}.{hint}") from None


def _readings(term: str, names: _Names) -> list[_Reading]:
    """What a term may mean, the surest first; of equals, in the order of the kinds."""
    exact = [_Reading(name, "exact", 1.0) for name in names.exact.get(term, ())]
    folded = [_Reading(name, "case-insensitive", 0.9) for name in names.folded.get(_fold(term), ())]
    return _distinct([*exact, *folded]) or _distinct(_near(term, names))


def _near(term: str, names: _Names) -> list[_Reading]:
    near = process.extract(
        _fold(term), names.folded.keys(), scorer=fuzz.ratio, score_cutoff=100 * _LIKENESS, limit=_OTHERS + 1
    )
    return [
        _Reading(name, "fuzzy", round(0.8 * likeness / 100, 3))
        for folded, likeness, _ in near
        for name in names.folded[folded]
    ]


def _distinct(readings: list[_Reading]) -> list[_Reading]:
    first: dict[tuple[Kind, str], _Reading] = {}
    for reading in readings:
        first.setdefault((reading.name.kind, reading.name.code), reading)
    return list(first.values())


@lru_cache(maxsize=32)
def _names_in(tag: str) -> _Names:
    names = _Names({}, {}, {})
    for name in _all_names(Locale.parse(tag)):
        names.exact.setdefault(name.text, []).append(name)
        names.folded.setdefault(_fold(name.text), []).append(name)
        names.of.setdefault((name.kind, name.code), name.text)
    return names


def _all_names(locale: Locale) -> Iterator[_Name]:
    for kind, named in _tables(locale):
        for code, text in named.items():
            yield _Name(text, kind, str(code))
    for unit in _UNITS:
        if text := get_unit_name(unit, length="long", locale=locale):
            yield _Name(text, "unit", unit)


def _tables(locale: Locale) -> Iterator[tuple[Kind, Mapping[Any, str]]]:
    yield "country", cast("Mapping[Any, str]", locale.territories)
    yield "language", cast("Mapping[Any, str]", locale.languages)
    yield "currency", cast("Mapping[Any, str]", locale.currencies)
    dates = _dates(str(locale))
    # On its own a month may be in another case than in a date.
    for context in ("stand-alone", "format"):
        yield "month", dates["months"][context]["wide"]
        yield "day", dates["days"][context]["wide"]


def _dates(tag: str) -> Mapping[str, Any]:
    """The names of months and days, read from a copy.

    Babel resolves "the same as" entries in place, in data that locales share: after Japanese was asked for
    its months, Swedish would answer with them.
    """
    data = localedata.load(tag)
    return localedata.LocaleDataDict({part: deepcopy(data[part]) for part in ("months", "days")})


def _fold(text: str) -> str:
    """Without case, accents and differences of spacing."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(sign for sign in apart if not unicodedata.combining(sign)).split())
