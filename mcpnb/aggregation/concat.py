"""`concat`: the records of all sources in one list, the same one once, ranked, each with who gave it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, cast

from mcpnb.aggregation.draft import Draft
from mcpnb.aggregation.records import NAMING, Item, united
from mcpnb.aggregation.rules import Rules
from mcpnb.aggregation.shapes import alike, described, is_number, listing_of, wrapped_list
from mcpnb.aggregation.values import FusedRow, LeftOut
from mcpnb.aggregation.voices import Voice, in_turn
from mcpnb.aggregation.walk import Walk

SOURCE = "_source"
"""The field of a fused record that names its sources; one that a server itself gives stays the server's."""

_SCORES = ("score", "_score", "relevance", "similarity")

# The constant of reciprocal-rank fusion (Cormack, Clarke and Büttcher, 2009).
_K = 60


class _Listing(NamedTuple):
    """One answer as a list of items."""

    voice: Voice
    name: str | None
    """Under which the list stands in its answer; None when the answer is the list."""
    items: list[object]
    beside: dict[str, object]
    """What else the answer says."""


def concat(voices: Sequence[Voice], rules: Rules) -> Draft:
    """All records in one list, by score or by their ranks, else by the names of the servers.

    A record that one source gives twice stays twice; only what another source repeats is united. An answer
    that is one object counts as one record, and an object that brings one list of records as these.
    """
    ordered = in_turn(voices)
    records = any(isinstance(voice.value, (list, dict)) for voice in ordered)
    name = _name_of_most(ordered)
    listings = [_listing(voice, name, records=records) for voice in ordered]
    groups = _ranked(united(_items(listings), rules.key, rules.similarity))
    prefix = _prefix(listings)
    weights = {voice.server: voice.weight for voice in ordered}
    made = [_record(f"{prefix}[{i}]", group, weights, rules) for i, group in enumerate(groups)]
    rows = tuple(
        FusedRow(f"{prefix}[{i}]", value, tuple(item.server for item in group))
        for i, (group, (value, _)) in enumerate(zip(groups, made, strict=True))
    )
    beside, aside = _beside(listings, rules)
    walks = [*(walk for _, walk in made if walk is not None), aside]
    return Draft(
        value=_rewrapped([_sourced(row) for row in rows], listings, beside),
        method="concat",
        rows=rows,
        conflicts=tuple(conflict for walk in walks for conflict in walk.conflicts),
        left_out=(*_empty(listings), *(part for walk in walks for part in walk.left_out)),
        agreement=_agreement(walks),
        complete=True,
    )


# -- what each answer brings


def _name_of_most(voices: Sequence[Voice]) -> str | None:
    """The name under which most answers bring their list."""
    found = [wrapped_list(voice.value) or listing_of(voice.value) for voice in voices]
    counts = Counter(name for name, _ in filter(None, found))
    return min(counts, key=lambda name: (-counts[name], name), default=None)


def _listing(voice: Voice, common: str | None, *, records: bool) -> _Listing:
    value = voice.value
    if isinstance(value, list):
        return _Listing(voice, None, cast("list[object]", value), {})
    found = wrapped_list(value) or listing_of(value)
    fields = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    if found is None and common is not None and isinstance(fields.get(common), list):
        # An empty one, where others have records.
        found = common, cast("list[object]", fields[common])
    if found:
        name, items = found
        return _Listing(voice, name, items, {each: fields[each] for each in fields if each != name})
    if isinstance(value, dict):
        return _Listing(voice, None, [cast("object", value)], {})
    # A lone word beside records is a remark, not a record.
    return _Listing(voice, None, [] if records or value is None else [value], {})


def _items(listings: Sequence[_Listing]) -> list[Item]:
    return [Item(each.voice.server, rank, item) for each in listings for rank, item in enumerate(each.items)]


def _empty(listings: Sequence[_Listing]) -> list[LeftOut]:
    """Who brought nothing, and why."""
    return [
        LeftOut(each.voice.server, "", _why_nothing(each.voice.value)) for each in listings if not each.items
    ]


def _why_nothing(value: object) -> str:
    if isinstance(value, (list, dict)):
        return "an empty list"
    return "null" if value is None else f"{described(value)}, where others gave records"


def _wrapper(listings: Iterable[_Listing]) -> str | None:
    """The name under which all answers bring their list."""
    names = {each.name for each in listings if each.voice.value is not None}
    return names.pop() if len(names) == 1 else None


def _prefix(listings: Sequence[_Listing]) -> str:
    beside = any(each.beside for each in listings)
    return (_wrapper(listings) or "") if beside else ""


def _beside(listings: Sequence[_Listing], rules: Rules) -> tuple[dict[str, object], Walk]:
    """What the answers say beside their lists, voted on; and how it was."""
    walk = Walk(rules)
    saying = [each.voice._replace(value=each.beside) for each in listings if each.beside]
    if not saying:
        return {}, walk
    if _wrapper(listings) is not None:
        return cast("dict[str, object]", walk.fuse("", saying)), walk
    reason = "stood beside a list, and the lists have no name in common"
    walk.left_out += [LeftOut(each.voice.server, name, reason) for each in listings for name in each.beside]
    return {}, walk


def _rewrapped(items: list[object], listings: Sequence[_Listing], beside: dict[str, object]) -> object:
    """The list in the wrapper that all answers share, else the list."""
    name = _wrapper(listings)
    return items if name is None else {**beside, name: items}


# -- in which order


def _ranked(groups: Sequence[list[Item]]) -> list[list[Item]]:
    """By score where scores compare, else by reciprocal-rank fusion; lists of no records as they came."""
    items = [item for group in groups for item in group]
    if len({item.server for item in items}) < 2 or not all(isinstance(item.value, dict) for item in items):
        return list(groups)
    field = _comparable(items)
    if field is not None:
        return sorted(groups, key=lambda group: -max(_score(item, field) for item in group))
    return sorted(groups, key=lambda group: -math.fsum(1 / (_K + item.rank + 1) for item in group))


def _comparable(items: Sequence[Item]) -> str | None:
    """The field in which all records have a score from 0 to 1; other scales are each engine's own."""
    for name in _SCORES:
        scores = [cast("dict[str, object]", item.value).get(name) for item in items]
        if all(is_number(score) and 0 <= cast("float", score) <= 1 for score in scores):
            return name
    return None


def _score(item: Item, name: str) -> float:
    return cast("float", cast("dict[str, object]", item.value)[name])


# -- one record of all its sources


def _record(
    key: str, group: Sequence[Item], weights: Mapping[str, float], rules: Rules
) -> tuple[object, Walk | None]:
    """The record as its most trusted source gives it, with the fields that only others have."""
    given = group[0].value
    if not isinstance(given, dict) or len(group) < 2 or len({alike(item.value) for item in group}) == 1:
        return cast("object", given), None
    told = [Voice(item.server, item.value, weights[item.server]) for item in group]
    follow = max(told, key=lambda voice: (_best_score(voice.value), voice.weight))
    walk = Walk(rules, follow=follow.server)
    known = cast("dict[str, object]", follow.value)
    return walk.fuse(key, [voice if voice is follow else _without(voice, known) for voice in told]), walk


def _without(voice: Voice, known: Mapping[str, object]) -> Voice:
    """A record without its own number and address, where the followed one has these."""
    record = cast("dict[str, object]", voice.value)
    kept = {name: each for name, each in record.items() if name not in NAMING or name not in known}
    return voice._replace(value=kept or record)


def _best_score(value: object) -> float:
    scores = [cast("dict[str, object]", value).get(name) for name in _SCORES]
    return max((cast("float", each) for each in scores if is_number(each)), default=0.0)


def _sourced(row: FusedRow) -> object:
    if not isinstance(row.value, dict):
        return row.value
    record = cast("dict[str, object]", row.value)
    return record if SOURCE in record else {**record, SOURCE: row.server}


def _agreement(walks: Iterable[Walk]) -> dict[str, float]:
    """Over the records that several sources gave, how far each agrees with the others."""
    sums: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for walk in walks:
        for server, share in walk.agreement.items():
            sums[server] += share  # pyright: ignore[reportArgumentType] - a counter of floats adds as well
            counts[server] += 1
    return {server: sums[server] / counts[server] for server in counts}
