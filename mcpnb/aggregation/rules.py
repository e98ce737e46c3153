"""How the answers of a tool are to be fused, as somebody declared it: by patterns of tool names.

Nothing is declared from the start. What is not declared goes by the shape of the answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from mcpnb.aggregation.units import known_unit
from mcpnb.aggregation.values import Answer
from mcpnb.errors import suggest

Fuser = Callable[[list[Answer]], object]
"""Copies of the answers, read alike → the fused value, or a `Fused`."""

METHOD_NAMES = ("concat", "mean", "median", "weighted", "vote", "best", "merge", "first")


@dataclass(frozen=True, slots=True)
class Rules:
    """How answers are read and fused."""

    method: str | Fuser | None = None
    """None lets the shape of the answers decide."""
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """The name that a field shall have → the names under which servers give it."""
    units: Mapping[str, str] = field(default_factory=dict[str, str])
    """Field → the unit it is in. An aliased field is converted to the unit of the name that it gets."""
    key: str | None = None
    """The field that tells records apart; None finds one, else goes by similarity."""
    similarity: float = 0.92
    """Records without a key are the same from this likeness of their texts on, 0 to 1."""
    tolerance: float = 0.05
    """Numbers further apart than this share of the greatest of them are a disagreement."""
    half_life: float = 3600.0
    """Seconds after which an older answer counts half."""

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < math.inf:
            raise ValueError(f"tolerance={self.tolerance} must be a share of the greatest number: 0 or more.")
        if not 0 <= self.similarity <= 1:
            raise ValueError(f"similarity={self.similarity} must be 0 to 1.")
        if not self.half_life > 0:
            raise ValueError(f"half_life={self.half_life} must be seconds above 0.")
        check_method(self.method)
        for name, unit in self.units.items():
            if known_unit(unit) is None:
                raise ValueError(f"units: {name!r} is in {unit!r}, which is no unit; pint knows the names.")


def check_method(method: object) -> None:
    """Raise unless it is None, a callable, or the name of a method.

    Raises:
        ValueError: For an unknown method; lists the known ones.
    """
    if method is None or callable(method) or method in METHOD_NAMES:
        return
    near = "".join(f" Did you mean {each}?" for each in suggest(str(method), METHOD_NAMES, n=1))
    known = ", ".join(METHOD_NAMES)
    raise ValueError(f"unknown fusion method {method!r}.{near} Known methods: {known}, or a callable.")


class Declared:
    """Rules by patterns of tool names. Safe to read from any thread while another declares."""

    def __init__(self) -> None:
        self._rules: dict[str, Rules] = {}

    def register(
        self,
        pattern: str,
        method: str | Fuser | None = None,
        *,
        aliases: Mapping[str, str | Iterable[str]] | None = None,
        units: Mapping[str, str] | None = None,
        key: str | None = None,
        similarity: float = 0.92,
        tolerance: float = 0.05,
        half_life: float = 3600.0,
    ) -> None:
        """Declare how answers of the tools of a name are fused. The last pattern that fits a tool is taken.

        Args:
            pattern: Of tool names, with `*` and `?`: `weather.*`.
            method: A method's name, or a callable that gets copies of the answers and returns the value.
            aliases: The name that a field shall have → the names under which servers give it.
            units: Field → the unit it is in, by any name that pint knows. An aliased field is converted to
                the unit of the name that it gets.
            key: The field that tells records apart.
            similarity: Records without a key are the same from this likeness of their texts on, 0 to 1.
            tolerance: Numbers further apart than this share of the greatest are a disagreement.
            half_life: Seconds after which an older answer counts half.

        Raises:
            ValueError: An unknown method or unit, or a number that is none for its option.
        """
        spelt = {name: _names(given) for name, given in (aliases or {}).items()}
        rules = Rules(method, spelt, dict(units or {}), key, similarity, tolerance, half_life)
        self._rules = {**{each: r for each, r in self._rules.items() if each != pattern}, pattern: rules}

    def forget(self, pattern: str) -> None:
        """Take a declaration back; one that there is not is fine."""
        self._rules = {each: rules for each, rules in self._rules.items() if each != pattern}

    def rules(self, tool: str, method: str | Fuser | None = None) -> Rules:
        """What is declared for a tool; with `method`, that one instead of the declared."""
        fitting = [rules for pattern, rules in self._rules.items() if fnmatchcase(tool, pattern)]
        found = fitting[-1] if fitting else Rules()
        return found if method is None else replace(found, method=method)


DECLARED = Declared()
"""What was declared in this process."""


def _names(given: str | Iterable[str]) -> tuple[str, ...]:
    names: Sequence[str] = [given] if isinstance(given, str) else list(given)
    return tuple(names)
