"""What kind of thing an answer is, when two are alike, and which method their shapes ask for."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Literal, cast

from mcpnb.aggregation.names import TOLD_OF_ITSELF

# Deeper values are compared by identity: Python's own recursion limit must not end a fusion.
MAX_DEPTH = 60

Kind = Literal["number", "object", "list", "other"]

_MARKS = " .,;:!?…\"'"

_SURE = ("confidence", "certainty", "probability")

KEYS = ("id", "uri", "url", "key", "date", "time", "timestamp", "datetime", "day", "hour", "name")
"""Fields that tell the records of a list apart, when each record has its own."""

_TIMES = ("date", "time", "timestamp", "datetime", "day", "hour")
_IDENTITIES = frozenset({"id", "uri", "url", "link", "key", "name", "title"})
_ASIDE = TOLD_OF_ITSELF | frozenset(_TIMES)
"""Fields that do not tell numbers from words: they say when, or how sure."""

WORDS = {"number": "a number", "object": "an object", "list": "a list", "other": "something else"}


def is_number(value: object) -> bool:
    """Whether it is a finite number. Truth values are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and _is_finite(value)


def kind_of(value: object) -> Kind:
    """What can be done with it."""
    if is_number(value):
        return "number"
    if isinstance(value, dict):
        return "object"
    return "list" if isinstance(value, list) else "other"


def described(value: object) -> str:
    """The value's kind in a word, for the reason why it was left out."""
    if value is None:
        return "null"
    if isinstance(value, (bool, float)):
        return f"{value}"
    return "text" if isinstance(value, str) else WORDS[kind_of(value)]


def alike(value: object, depth: int = 0) -> Hashable:
    """A key that is equal for equal JSON: 1 and 1.0 are, 1 and True are not, NaN and NaN are."""
    if value is None or isinstance(value, (bool, str, bytes)):
        return (type(value).__name__, value)
    if isinstance(value, (int, float)):
        return ("number", "nan" if value != value else value)  # noqa: PLR0124 - NaN alone differs from itself
    if depth < MAX_DEPTH and isinstance(value, dict):
        members = cast("dict[Hashable, object]", value)
        return ("object", frozenset((name, alike(part, depth + 1)) for name, part in members.items()))
    if depth < MAX_DEPTH and isinstance(value, list):
        return ("list", tuple(alike(part, depth + 1) for part in cast("list[object]", value)))
    return (type(value).__name__, id(value))


def meaning(value: object) -> Hashable:
    """As `alike`, where texts that differ in case, white space or marks at their ends only are equal."""
    if not isinstance(value, str):
        return alike(value)
    plain = " ".join(unicodedata.normalize("NFC", value).split()).casefold().strip(_MARKS)
    return ("str", plain or value)


def wrapped_list(value: object) -> tuple[str, list[object]] | None:
    """The name and the list of an object that is nothing but a wrapper of one list."""
    if not isinstance(value, dict) or len(cast("dict[str, object]", value)) != 1:
        return None
    ((name, inner),) = cast("dict[str, object]", value).items()
    return (name, cast("list[object]", inner)) if isinstance(inner, list) else None


def listing_of(value: object) -> tuple[str, list[object]] | None:
    """The name and the records of an object that brings one list of them, beside nothing but single values.

    `{"query": "tea", "results": [{...}], "total": 3}` does.
    """
    if not isinstance(value, dict):
        return None
    lists = [(name, each) for name, each in cast("dict[str, object]", value).items() if not _is_single(each)]
    if len(lists) != 1 or not isinstance(lists[0][1], list):
        return None
    name, items = lists[0][0], cast("list[object]", lists[0][1])
    return (name, items) if items and all(isinstance(item, dict) for item in items) else None


def pooled(lists: Sequence[tuple[str, Sequence[object]]]) -> list[tuple[object, list[str]]]:
    """The items of all servers' lists, equal ones once, each with everybody who gave it.

    What one server gives twice stays twice; only what another repeats is joined.
    """
    found: dict[tuple[Hashable, int], tuple[object, list[str]]] = {}
    for server, items in lists:
        seen: Counter[Hashable] = Counter()
        for item in items:
            key = meaning(item)
            found.setdefault((key, seen[key]), (item, []))[1].append(server)
            seen[key] += 1
    return list(found.values())


def key_name(lists: Sequence[Sequence[object]], declared: str | None = None) -> str | None:
    """The field that tells the records of each list apart; None when there is none, or no records."""
    filled = [items for items in lists if items]
    if not filled or not all(isinstance(item, dict) for items in filled for item in items):
        return None
    records = [[cast("dict[str, object]", item) for item in items] for items in filled]
    names = KEYS if declared is None else (declared,)
    return next((name for name in names if all(_tells_apart(name, items) for items in records)), None)


def _tells_apart(name: str, records: Sequence[Mapping[str, object]]) -> bool:
    values = [record.get(name) for record in records]
    if not all(isinstance(value, (str, int)) and not isinstance(value, bool) for value in values):
        return False
    return len(set(map(alike, values))) == len(values)


def method_for(values: Sequence[object]) -> str:
    """The method that the shapes of the answers ask for; what half of them are decides, in this order.

    Lists, or objects that only wrap one: `concat`. Numbers, objects that are mostly numbers, and series of
    numbers by time: `mean`.
    Objects that bring one list of records: `concat`. Other objects with lists or objects in them: `merge`.
    Objects that say how confident they are: `best`. Words, truth values, and objects of these: `vote`.
    """
    given = [value for value in values if value is not None]
    for method, fits in _SHAPES:
        if sum(map(fits, given)) * 2 >= max(1, len(given)):
            return method
    return "vote"


def _is_listing(value: object) -> bool:
    is_list = isinstance(value, list) or wrapped_list(value) is not None
    return is_list and not _is_series(cast("object", value))


def _is_numeric(value: object) -> bool:
    return is_number(value) or _is_mostly_numbers(value) or _is_series(value)


def _is_series(value: object) -> bool:
    """Whether it is, or brings, a list by time of what has numbers and no name: the days of a forecast."""
    found = wrapped_list(value) or listing_of(value)
    items = found[1] if found else cast("list[object]", value) if isinstance(value, list) else []
    if not any(key_name([items], name) for name in _TIMES):
        return False
    records = [cast("dict[str, object]", item) for item in items]
    return all(_IDENTITIES.isdisjoint(each) and any(map(is_number, each.values())) for each in records)


def _brings_records(value: object) -> bool:
    return listing_of(value) is not None


def _is_nested(value: object) -> bool:
    return isinstance(value, dict) and not all(map(_is_single, cast("dict[str, object]", value).values()))


def _says_confidence(value: object) -> bool:
    return isinstance(value, dict) and reported_confidence(cast("object", value)) is not None


def _is_single(value: object) -> bool:
    return not isinstance(value, (dict, list))


def reported_confidence(value: object) -> float | None:
    """What an answer says of its own confidence, 0 to 1; None when it says nothing that is a share."""
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, object]", value)
    given = next((fields[name] for name in _SURE if name in fields), None)
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        return None
    if 1 < given <= 100:
        return given / 100
    return float(given) if 0 <= given <= 1 else None


def _is_mostly_numbers(value: object) -> bool:
    """Whether it is an object of which at least half the leaves are numbers, dates and confidence apart.

    One that brings a set of words, as keywords are, is none: its numbers are about something else.
    """
    if not isinstance(value, dict):
        return False
    pending, numbers, leaves = [cast("object", value)], 0, 0
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            members = cast("dict[str, object]", part)
            if _brings_words(members):
                return False
            pending.extend(each for name, each in members.items() if name not in _ASIDE)
        elif isinstance(part, list):
            pending.extend(cast("list[object]", part))
        else:
            leaves += 1
            numbers += is_number(part)
    return numbers * 2 >= leaves > 0


def _brings_words(members: Mapping[str, object]) -> bool:
    """Whether a list of words is among them that is no row of a table: beside as many numbers it is one."""
    lists = [cast("list[object]", each) for each in members.values() if isinstance(each, list) and each]
    rows = {len(each) for each in lists if all(map(is_number, each))}
    return any(len(each) not in rows and all(isinstance(item, str) for item in each) for each in lists)


_SHAPES: tuple[tuple[str, Callable[[object], bool]], ...] = (
    ("concat", _is_listing),
    ("mean", _is_numeric),
    ("concat", _brings_records),
    ("merge", _is_nested),
    ("best", _says_confidence),
)


def _is_finite(value: float) -> bool:
    # math.isfinite would turn a huge integer into a float, and fail.
    return isinstance(value, int) or math.isfinite(value)
