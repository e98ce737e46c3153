"""Answers walked through together, place by place: what each source gave there becomes one value.

How numbers become one, whether lists are united, and whom to follow is told from outside. It keeps the rows,
the disagreements and what was left out on its way.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import cast

from mcpnb.aggregation.beside import may_tell
from mcpnb.aggregation.names import MOMENTS, TOLD_OF_ITSELF
from mcpnb.aggregation.numbers import close, neighbours, outliers, relative_spread
from mcpnb.aggregation.rules import Rules
from mcpnb.aggregation.shapes import (
    MAX_DEPTH,
    WORDS,
    Kind,
    alike,
    described,
    is_number,
    key_name,
    kind_of,
    meaning,
    pooled,
)
from mcpnb.aggregation.values import Disagreement, FusedRow, LeftOut
from mcpnb.aggregation.voices import (
    Voice,
    heaviest,
    heaviest_kind,
    kind_of_most,
    servers_of,
    unit_said,
    units_told,
    votes_as,
)

Numbers = Callable[[Sequence[float], Sequence[float]], float]
"""Numbers and their weights → one number."""


class Walk:
    """One fusion while it walks. `given` is never empty, and in the order of the servers' names.

    Args:
        rules: The tolerance, and the key of records.
        numbers: Makes one of numbers; None lets them be voted on like words.
        robust: Leave numbers out that are far from the others.
        unite: Lists become one list of all items, rather than being compared item by item.
        follow: Take what this server says wherever it says something.
        whole: Take nothing from others where that server says nothing.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        numbers: Numbers | None = None,
        robust: bool = False,
        unite: bool = False,
        follow: str | None = None,
        whole: bool = False,
    ) -> None:
        self._tolerance, self._rules = rules.tolerance, rules
        self._numbers, self._robust, self._unite = numbers, robust, unite
        self._follow, self._whole = follow, whole
        self.rows: list[FusedRow] = []
        self.conflicts: list[Disagreement] = []
        self.left_out: list[LeftOut] = []
        self._shares: dict[str, list[float]] = {}

    @property
    def agreement(self) -> Mapping[str, float]:
        """Server → over the fields it gave, the mean share of the sources that say the same."""
        return {server: math.fsum(shares) / len(shares) for server, shares in self._shares.items()}

    def fuse(self, key: str, given: Sequence[Voice], depth: int = 0) -> object:
        """The fused value at one place."""
        kind = self._kind(given) if depth < MAX_DEPTH else "other"
        if kind == "other":
            return self._agreed(key, given)
        fitting = [each for each in given if kind_of(each.value) == kind]
        if len(fitting) < len(given):
            self._leave_out(key, given, kind)
        if kind == "number":
            return self._number(key, fitting, of=sum(each.value is not None for each in given))
        return self._object(key, fitting, depth) if kind == "object" else self._list(key, fitting, depth)

    def _kind(self, given: Sequence[Voice]) -> Kind:
        """The kind to go by: the followed server's; else that of most, where words need more than half."""
        followed = self._followed(given)
        if followed is not None:
            return votes_as(followed.value)
        if self._numbers is None:
            return heaviest_kind(given)
        return kind_of_most(given)

    def _followed(self, given: Sequence[Voice]) -> Voice | None:
        """The voice to follow here; a null is followed only where nothing may come from others."""
        found = next((each for each in given if each.server == self._follow), None)
        return None if found is not None and found.value is None and not self._whole else found

    # -- numbers

    def _number(self, key: str, given: Sequence[Voice], *, of: int) -> object:
        numbers = [cast("float", each.value) for each in given]
        odd = outliers(numbers, self._tolerance) if self._robust else frozenset[int]()
        kept = [each for i, each in enumerate(given) if i not in odd]
        far = "is far from what the others gave"
        self.left_out += [LeftOut(given[i].server, key, f"{numbers[i]} {far}") for i in sorted(odd)]
        assert self._numbers is not None  # noqa: S101 - the kind is no number otherwise
        value = self._numbers([cast("float", each.value) for each in kept], [each.weight for each in kept])
        self.rows.append(FusedRow(key, value, servers_of(kept)))
        self._compare(key, given, value, of=of)
        return value

    # -- containers

    def _object(self, key: str, given: Sequence[Voice], depth: int) -> object:
        members = [(each, cast("dict[str, object]", each.value)) for each in given]
        names = dict.fromkeys(name for _, fields in members for name in fields)
        if not names:
            return self._agreed(key, given)
        followed = next((fields for each, fields in members if each.server == self._follow), None)
        if self._whole and not followed:
            return self._agreed(key, given)
        empty = [each.server for each, fields in members if not fields]
        self.left_out += [LeftOut(server, key, "an object without fields") for server in empty]
        members = self._in_one_unit(key, members)
        fused: dict[str, object] = {}
        for name in names:
            below = f"{key}.{name}" if key else f"{name}"
            having = [each._replace(value=fields[name]) for each, fields in members if name in fields]
            if self._whole and followed is not None and name not in followed:
                reason = f"not in the answer of {self._follow}, which was taken whole"
                self.left_out += [LeftOut(each.server, below, reason) for each in having]
            else:
                fused[name] = self.fuse(below, having, depth + 1)
        return fused

    def _in_one_unit(
        self, key: str, members: Sequence[tuple[Voice, dict[str, object]]]
    ) -> Sequence[tuple[Voice, dict[str, object]]]:
        """Without the numbers that stand beside another unit than the one that is taken."""
        if len(members) < 2 or not any(may_tell(fields) for _, fields in members):
            return members
        odd: dict[str, set[str]] = {}
        for name, told in units_told(members).items():
            taken = self._followed(told) or heaviest(told)
            for each in told:
                if unit_said(each.value) != unit_said(taken.value):
                    reason = f"in {each.value!s:.40}, where others are in {taken.value!s:.40}"
                    self.left_out.append(LeftOut(each.server, f"{key}.{name}" if key else name, reason))
                    odd.setdefault(each.server, set()).add(name)
        return [
            (each, {name: value for name, value in fields.items() if name not in odd.get(each.server, ())})
            for each, fields in members
        ]

    def _list(self, key: str, given: Sequence[Voice], depth: int) -> object:
        lists = [cast("list[object]", each.value) for each in given]
        name = key_name(lists, self._rules.key)
        if name is not None:
            return self._by_key(key, given, lists, name, depth)
        if self._unite:
            return self._united(key, given, lists)
        lengths = {len(items) for items in lists}
        if len(lengths) > 1 or 0 in lengths:
            return self._agreed(key, given)
        return [
            self.fuse(
                f"{key}[{i}]",
                [each._replace(value=items[i]) for each, items in zip(given, lists, strict=True)],
                depth + 1,
            )
            for i in range(lengths.pop())
        ]

    def _united(self, key: str, given: Sequence[Voice], lists: Sequence[Sequence[object]]) -> object:
        if not any(lists):
            return self._agreed(key, given)
        items = pooled([(each.server, items) for each, items in zip(given, lists, strict=True)])
        self.rows += [FusedRow(f"{key}[{i}]", item, tuple(by)) for i, (item, by) in enumerate(items)]
        empty = [each.server for each, items in zip(given, lists, strict=True) if not items]
        self.left_out += [LeftOut(server, key, "an empty list") for server in empty]
        for server in servers_of(given):
            if shares := [len(by) / len(given) for _, by in items if server in by]:
                self._shares.setdefault(server, []).extend(shares)
        return [item for item, _ in items]

    def _by_key(
        self, key: str, given: Sequence[Voice], lists: Sequence[Sequence[object]], name: str, depth: int
    ) -> object:
        """Records of one key together, whatever their places: days by their date."""
        found: dict[Hashable, list[Voice]] = {}
        keys = [[alike(cast("dict[str, object]", item)[name]) for item in items] for items in lists]
        for each, items, its_keys in zip(given, lists, keys, strict=True):
            for item, by in zip(items, its_keys, strict=True):
                found.setdefault(by, []).append(each._replace(value=item))
        empty = [each.server for each, items in zip(given, lists, strict=True) if not items]
        self.left_out += [LeftOut(server, key, "an empty list") for server in empty]
        followed = self._followed(given) if self._whole else None
        order = _in_order(found, keys) if followed is None else keys[given.index(followed)]
        reason, kept = f"not in the answer of {self._follow}, which was taken whole", set(order)
        beyond = [each for by, those in found.items() if by not in kept for each in those]
        self.left_out += [LeftOut(each.server, key, reason) for each in beyond]
        return [self.fuse(f"{key}[{i}]", found[by], depth + 1) for i, by in enumerate(order)]

    # -- everything else

    def _agreed(self, key: str, given: Sequence[Voice]) -> object:
        """What the followed server says, else what weighs most; of equals the first server's by name."""
        said = [each for each in given if each.value is not None] or list(given)
        followed = self._followed(given)
        if followed is not None and followed.value is None:
            said = list(given)
        if len(said) < len(given):
            silent = [each for each in given if each.value is None]
            self.left_out += [LeftOut(each.server, key, "null") for each in silent]
        winner = followed or heaviest(said)
        split = self._compare(key, said, winner.value) or _told_of_itself(key)
        agreed = [each for each in said if not split or self._says(each.value, winner.value)]
        self.rows.append(FusedRow(key, winner.value, servers_of(agreed)))
        return winner.value

    def _compare(self, key: str, given: Sequence[Voice], chosen: object, *, of: int = 0) -> bool:
        """Note how far the sources agree, `of` so many that said something; whether they disagree."""
        if _told_of_itself(key):
            return False
        distinct = self._tally(given, max(of, len(given)))
        spread = self._spread(given)
        split = distinct > 1 if math.isnan(spread) else spread > self._tolerance
        if split:
            said = {each.server: each.value for each in given}
            agreeing = servers_of([each for each in given if self._says(each.value, chosen)])
            self.conflicts.append(Disagreement(key, said, spread, chosen, agreeing))
        return split

    def _tally(self, given: Sequence[Voice], of: int) -> int:
        """Note for each source what share of all says the same; how many different things they say.

        What only one source gives says nothing of agreement.
        """
        keys = [meaning(each.value) for each in given]
        counts, values = Counter(keys), dict(zip(keys, (each.value for each in given), strict=True))
        numbers = sorted((cast("float", its), key) for key, its in values.items() if is_number(its))
        same = dict(counts)
        near = neighbours([number for number, _ in numbers], self._rules.tolerance)
        for (_, key), places in zip(numbers, near, strict=True):
            same[key] = sum(counts[numbers[place][1]] for place in places)
        for each, key in zip(given, keys, strict=True) if of > 1 else ():
            self._shares.setdefault(each.server, []).append(same[key] / of)
        return len(counts)

    def _spread(self, given: Sequence[Voice]) -> float:
        if any(kind_of(each.value) != "number" for each in given):
            return math.nan
        return relative_spread([cast("float", each.value) for each in given])

    def _says(self, left: object, right: object) -> bool:
        if is_number(left) and is_number(right):
            return close(cast("float", left), cast("float", right), self._rules.tolerance)
        return meaning(left) == meaning(right)

    def _leave_out(self, key: str, given: Sequence[Voice], kind: Kind) -> None:
        """Put aside what is of another kind. It agrees with nobody but those who say the same."""
        said = Counter(meaning(each.value) for each in given if each.value is not None)
        for each in given:
            if each.value is None:
                self.left_out.append(LeftOut(each.server, key, "null"))
            elif kind_of(each.value) != kind:
                reason = f"{described(each.value)}, where others gave {WORDS[kind]}"
                self.left_out.append(LeftOut(each.server, key, reason))
                share = said[meaning(each.value)] / said.total()
                self._shares.setdefault(each.server, []).append(share)


def _told_of_itself(key: str) -> bool:
    """Whether a field is what each source says of its own answer, so that others' need not be the same."""
    name = key.rpartition(".")[2]
    return name in TOLD_OF_ITSELF or name in MOMENTS


def _in_order(found: Mapping[Hashable, object], lists: Sequence[Sequence[Hashable]]) -> list[Hashable]:
    """Keys in their own order where every list is, as days are; else as the servers gave them."""
    try:
        if all(list(keys) == _sorted(keys) for keys in lists):
            return _sorted(found)
    except TypeError:  # of different kinds
        pass
    return list(found)


def _sorted(keys: Iterable[Hashable]) -> list[Hashable]:
    return list[Hashable](sorted(cast("Iterable[str]", keys)))
