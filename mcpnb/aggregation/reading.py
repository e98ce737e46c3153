"""Text that means something else: JSON, a number with or without its unit, a date.

Each function says what it reads, or None; what could mean two things is not read. Nobody is asked to guess
whether 03/04/2026 is in March.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, cast

from mcpnb.aggregation.units import units_of

# Apostrophes and spaces of any width stand between thousands.
_GAP = "[ '\N{RIGHT SINGLE QUOTATION MARK}\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}]"
_MINUS = "\N{MINUS SIGN}"
_NUMBER = re.compile(
    rf"\s*([+\-{_MINUS}]?)(\d(?:(?:[\d.,]|{_GAP})*\d)?)([eE][+-]?\d{{1,3}})?"
    r"\s*([^\d\s][^\d]{0,20})?\s*"
)
_POINTED = tuple(
    re.compile(form)
    for form in (
        r"\d+(?:\.\d+)?",
        r"\d{1,3}(?:,\d{3})+(?:\.\d+)?",
        r"\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?",
        rf"\d{{1,3}}(?:{_GAP}\d{{3}})+(?:\.\d+)?",
    )
)
"""Digits with a decimal point, and thousands or lakhs apart."""
_COMMAED = tuple(
    re.compile(form)
    for form in (
        r"\d+,\d{1,2}",
        r"\d{1,3}(?:\.\d{3})+,\d+",
        r"\d{1,3}(?:\.\d{3}){2,}",
        rf"\d{{1,3}}(?:{_GAP}\d{{3}})+,\d+",
    )
)
"""Digits with a decimal comma, where it can be nothing else."""

_LONGEST_NUMBER = 40
_LONGEST_DATE = 50

_CLOCK = r"(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?\s?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_DATE = re.compile(
    rf"(?:[a-z]{{3,9}},?\s+)?(?:\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|(\d{{1,2}})([/.-])(\d{{1,2}})\2\d{{4}}|{_DAY}\s+{_MONTH},?\s+\d{{4}}"
    rf"|{_MONTH}\s+{_DAY},?\s+\d{{4}}){_CLOCK}",
    re.IGNORECASE,
)


class Measured(NamedTuple):
    """A number that was written as text."""

    value: float
    units: tuple[str, ...]
    """What its unit may mean; empty without one."""


def json_of(text: str) -> object:
    """The object or list that a text holds as JSON, else None."""
    if text.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("object", found) if isinstance(found, (dict, list)) else None


def number_of(text: str) -> Measured | None:
    """The number in `12.5`, `1,234.5`, `1.234,5`, `1 234` or `-3 °C`; None when there is more in the text."""
    match = _NUMBER.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    if match is None:
        return None
    sign, written, power, word = match.groups()
    units = units_of(word) if word else ()
    if word and not units:
        return None
    digits = _digits(written)
    if digits is None:
        return None
    value = float(digits + (power or "")) if power or "." in digits else int(digits)
    return Measured(-value if sign and sign != "+" else value, units)


def _digits(written: str) -> str | None:
    """The digits with a decimal point and without separators; None where they could mean two numbers."""
    if any(form.fullmatch(written) for form in _POINTED):
        return re.sub(r"[^\d.]", "", written)
    if any(form.fullmatch(written) for form in _COMMAED):
        return re.sub(r"[^\d,]", "", written).replace(",", ".")
    return None


_TRUTHS = {"true": True, "yes": True, "false": False, "no": False}


def truth_of(text: str) -> bool | None:
    """The truth value that a text writes out, else None."""
    return _TRUTHS.get(text.strip().casefold())


def date_of(text: str) -> str | None:
    """The date in ISO 8601, in UTC where the zone is given: `28 July 2026` → `2026-07-28`."""
    found = _moment(text)
    if found is None:
        return None
    if ":" not in text:
        return found.date().isoformat()
    if found.tzinfo is None:
        return found.isoformat()
    return f"{found.replace(tzinfo=None).isoformat()}Z"


def seconds_of(text: str) -> float | None:
    """A date as Unix time; one without a zone is taken for UTC."""
    found = _moment(text)
    if found is None:
        return None
    from dateutil import tz  # noqa: PLC0415 - only where answers say when they were made

    return found.replace(tzinfo=tz.UTC).timestamp()


def _moment(text: str) -> Any:
    """The moment as a datetime, in UTC where the zone is given; None when the text is no date, or two."""
    match = _DATE.fullmatch(text.strip()) if len(text) <= _LONGEST_DATE else None
    if match is None or _is_two_dates(*match.groups()):
        return None
    from dateutil import parser, tz  # noqa: PLC0415 - only where two texts may be one date

    try:
        found = parser.parse(text.strip(), dayfirst=match[2] == ".")
        return found if found.tzinfo is None else found.astimezone(tz.UTC)
    except (ValueError, OverflowError):
        return None


def _is_two_dates(one: str | None, mark: str | None, other: str | None) -> bool:
    """Whether day and month could be either; with points between them the day is first everywhere."""
    if one is None or other is None or mark == ".":
        return False
    return one != other and int(one) <= 12 and int(other) <= 12
