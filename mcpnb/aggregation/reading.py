"""Text that means something else: JSON, a number with or without its unit, a date.

Each function says what it reads, or None; what could mean two things is not read. Nobody is asked to guess
whether 03/04/2026 is in March.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, cast

from mcpnb.aggregation.units import units_of

_NUMBER = re.compile(
    r"\s*([+\-\N{MINUS SIGN}]?)(\d[\d,]*)((?:\.\d+)?(?:[eE][+-]?\d{1,3})?)\s*([^\d\s][^\d]{0,20})?\s*"
)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_COMMA = re.compile(r"\d+,\d{1,2}")

_LONGEST_NUMBER = 40
_LONGEST_DATE = 50

_CLOCK = r"(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?\s?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_DATE = re.compile(
    rf"(?:[a-z]{{3,9}},?\s+)?(?:\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|{_DAY}\s+{_MONTH},?\s+\d{{4}}"
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
    """The number in `12.5`, `1,234`, `12,5` or `-3 °C`; None when there is more in the text than that."""
    match = _NUMBER.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    if match is None:
        return None
    sign, whole, rest, word = match.groups()
    units = units_of(word) if word else ()
    if word and not units:
        return None
    digits = _digits(whole, rest)
    if digits is None:
        return None
    value = float(digits) if re.search(r"[.eE]", digits) else int(digits)
    return Measured(-value if sign and sign != "+" else value, units)


def _digits(whole: str, rest: str) -> str | None:
    """The digits without separators; a comma before one or two digits is a decimal one."""
    if "," not in whole:
        return whole + rest
    if _THOUSANDS.fullmatch(whole):
        return whole.replace(",", "") + rest
    return whole.replace(",", ".") if _COMMA.fullmatch(whole) and not rest else None


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
    """The moment as a datetime, in UTC where the zone is given; None when the text is no date."""
    if len(text) > _LONGEST_DATE or not _DATE.fullmatch(text.strip()):
        return None
    from dateutil import parser, tz  # noqa: PLC0415 - only where two texts may be one date

    try:
        found = parser.parse(text.strip())
        return found if found.tzinfo is None else found.astimezone(tz.UTC)
    except (ValueError, OverflowError):
        return None
