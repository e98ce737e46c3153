"""Records of several sources that are the same one: by what identifies them, else by likeness of their texts.

A wrong union loses a record and a missed one shows it twice, so it unites only what nothing speaks against.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import NamedTuple, cast

from mcpnb.aggregation.names import TOLD_OF_ITSELF, words_of
from mcpnb.aggregation.shapes import alike

_WORLDWIDE = ("url", "uri", "link", "href", "doi", "isbn", "issn", "guid", "uuid", "permalink")
"""Names of fields whose values mean the same thing at every server; an `id` is each server's own."""

_OWN = frozenset({"id", "_id", "index", "position", "snippet", "highlight", "_source", "source", "server"})
"""Fields that may differ between two servers' records of one thing: own numbering, what a search cut out."""

NAMING = _OWN | frozenset(_WORLDWIDE)
"""Fields that say which record it is, or where it stands; of one thing two servers may say different."""

_ALIKE_FROM = 12
"""Characters that a text must have for likeness to say something."""

_LONGEST = 500
"""Characters of a text that is compared by likeness: that takes the square of them."""

_COMPARED = 400
"""Records that are all compared with each other; of more, only those that share two of their rarest words."""

_RAREST = 4
"""Words of a record by which it is found among many: two of them may be misspelt."""

_TOO_COMMON = 60
"""Records that may share two words. More of them share a phrase, and say nothing by it."""

_NO_WORD = re.compile(r"[\W_]+")
_NUMBERS = re.compile(r"\d+")
_TRACKING = re.compile(r"[?&](?:utm_[a-z]+|ref|fbclid|gclid)=[^&#]*")


class Item(NamedTuple):
    """One item of one source's list."""

    server: str
    rank: int
    """Its place in that list, from 0."""
    value: object


def united(items: Sequence[Item], key: str | None, similarity: float) -> list[list[Item]]:
    """The items in groups of what is the same, in the order of their first. A source is in a group once.

    Args:
        items: Of all sources.
        key: The field that tells records apart; None finds out.
        similarity: The likeness from which on texts mean the same, 0 to 1.
    """
    groups = _grouped(items, key)
    if key is None and similarity < 1:
        _join_similar(groups, similarity)
    return [group for group in groups if group]


def _grouped(items: Sequence[Item], key: str | None) -> list[list[Item]]:
    """Groups by equality, or by key."""
    found: dict[tuple[Hashable, int], list[Item]] = {}
    seen: dict[tuple[str, Hashable], int] = {}
    for item in items:
        same = _identity(item.value, key)
        # What one source gives twice stays twice.
        turn = seen.get((item.server, same), 0)
        seen[item.server, same] = turn + 1
        found.setdefault((same, turn), []).append(item)
    return list(found.values())


def _identity(value: object, key: str | None) -> Hashable:
    if not isinstance(value, dict):
        return alike(value)
    record = cast("dict[str, object]", value)
    if key is not None:
        return ("key", alike(record[key])) if record.get(key) is not None else alike(record)
    return _worldwide(record) or alike(_essence(record))


def _essence(record: Mapping[str, object]) -> dict[str, object]:
    """The record without what its source says of the record's place in its own answer."""
    return {name: each for name, each in record.items() if name not in TOLD_OF_ITSELF}


def _worldwide(record: Mapping[str, object]) -> tuple[str, str] | None:
    for name in _WORLDWIDE:
        given = record.get(name)
        if isinstance(given, str) and given.strip():
            return name, _address(given)
    return None


def _address(text: str) -> str:
    """An address without what does not change where it leads."""
    bare = _TRACKING.sub("", text.strip()).partition("#")[0].rstrip("/")
    return re.sub(r"^https?://(?:www\.)?", "", bare, flags=re.IGNORECASE)


# -- likeness


def _join_similar(groups: list[list[Item]], similarity: float) -> None:
    """Join groups whose records read alike; the emptied ones stay as empty lists."""
    texts = [(i, text) for i, group in enumerate(groups) if (text := _text(group[0].value))]
    if len(texts) < 2:
        return
    for left, right in _similar(texts, similarity):
        if groups[left] and groups[right] and _may_join(groups[left], groups[right]):
            groups[left] += groups[right]
            groups[right] = []


def _similar(texts: Sequence[tuple[int, str]], similarity: float) -> Iterator[tuple[int, int]]:
    """Pairs of places whose texts read alike in whatever order of their words, the likest first."""
    from rapidfuzz import fuzz  # noqa: PLC0415 - only where there are records to compare

    words = [sorted(text.split()) for _, text in texts]
    plain = [" ".join(its) for its in words]
    found: set[tuple[float, int, int]] = set()
    for left, right in _worth_comparing(words):
        score = fuzz.ratio(plain[left], plain[right], score_cutoff=similarity * 100)
        if score:
            found.add((-score, texts[left][0], texts[right][0]))
    yield from ((left, right) for _, left, right in sorted(found))


def _worth_comparing(words: Sequence[Sequence[str]]) -> Iterator[tuple[int, int]]:
    """Pairs of places: all of a few texts; of many those that share two of their rarest words."""
    if len(words) <= _COMPARED:
        yield from combinations(range(len(words)), 2)
        return
    counts = Counter(chain.from_iterable(map(set, words)))
    sharing: dict[tuple[str, str], list[int]] = {}
    for place, its in enumerate(words):
        shared = sorted({word for word in its if counts[word] > 1}, key=lambda word: (counts[word], word))
        for pair in combinations(shared[:_RAREST], 2):
            sharing.setdefault(pair, []).append(place)
    for places in sharing.values():
        if len(places) <= _TOO_COMMON:
            yield from combinations(places, 2)


def _text(value: object) -> str:
    """The words of a record's own texts; empty when they are too few or too many to compare by."""
    texts = [value] if isinstance(value, str) else []
    if isinstance(value, dict):
        record = cast("dict[str, object]", value)
        texts = [
            record[name] for name in sorted(record) if name not in _OWN and isinstance(record[name], str)
        ]
    plain = _NO_WORD.sub(" ", " ".join(map(str, texts))).strip().casefold()
    return plain if isinstance(value, dict) and _ALIKE_FROM <= len(plain) <= _LONGEST else ""


def _may_join(left: Sequence[Item], right: Sequence[Item]) -> bool:
    """Whether nothing speaks against it: no source in both, and no fact on which they differ."""
    if {item.server for item in left} & {item.server for item in right}:
        return False
    return all(not _contradict(a.value, b.value) for a in left for b in right)


def _contradict(left: object, right: object) -> bool:
    """Whether two records differ in a number, a date, an address, or anything else that is no prose."""
    if not isinstance(left, dict) or not isinstance(right, dict):
        return True
    one, other = cast("dict[str, object]", left), cast("dict[str, object]", right)
    shared = [name for name in one if name in other and name not in TOLD_OF_ITSELF and name not in _OWN]
    return any(_facts(name, one[name]) != _facts(name, other[name]) for name in shared)


def _facts(name: str, value: object) -> Hashable:
    """What must be equal in two records of one thing; of prose the numbers only."""
    if not isinstance(value, str):
        return alike(value)
    if words_of(name) and words_of(name)[-1] in _WORLDWIDE:
        return _address(value)
    return tuple(sorted(_NUMBERS.findall(value)))
