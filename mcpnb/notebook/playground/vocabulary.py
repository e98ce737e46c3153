"""The words of the playground's tables: kinds of service times, and of what may happen to a server.

It owns how a distribution or a change is called, how one is made of a word and a number, and which times of
a timeline are trouble. Values only; it knows no state and no widgets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Final, NamedTuple

from mcpnb.simulation import At
from mcpnb.simulation.service import (
    Deterministic,
    Exponential,
    Hyperexponential,
    Lognormal,
    Pareto,
    Service,
)

AS_GIVEN: Final = "as given"
"""The word for what the tables do not offer."""

_TAIL: Final = 1.8
"""The index of a heavy tail: it has a mean, and no variance."""


class Shape(NamedTuple):
    """A kind of distribution."""

    kind: type
    make: Callable[[float], Service]
    """Of a mean in seconds."""


def _lognormal(mean: float) -> Service:
    return Lognormal(mean, 1.0)


def _two_kinds(mean: float) -> Service:
    return Hyperexponential((0.9, 0.1), (mean * 5 / 9, mean * 5))


def _heavy_tail(mean: float) -> Service:
    return Pareto(_TAIL, mean * (_TAIL - 1) / _TAIL)


SHAPES: Final[Mapping[str, Shape]] = {
    "exponential": Shape(Exponential, Exponential),
    "lognormal": Shape(Lognormal, _lognormal),
    "constant": Shape(Deterministic, Deterministic),
    "two kinds": Shape(Hyperexponential, _two_kinds),
    "heavy tail": Shape(Pareto, _heavy_tail),
}
"""Word → distribution. `two kinds`: one call of ten takes nine times as long; `heavy tail`: a power law."""


def shape_of(service: Service) -> str:
    """The word for a distribution."""
    return next((word for word, shape in SHAPES.items() if isinstance(service, shape.kind)), AS_GIVEN)


def reshaped(service: Service, *, mean: float | None = None, shape: str | None = None) -> Service:
    """A distribution of another mean (seconds), of another shape, or both.

    A mean alone keeps a lognormal's spread; other shapes take that of the table.

    Raises:
        ValueError: The mean is no number above 0, or what was given has no mean to be changed.
    """
    mean = service.mean if mean is None else mean
    word = shape_of(service) if shape is None else shape
    if word not in SHAPES:
        raise ValueError("choose a distribution first: the mean of this one cannot be changed alone")
    if not 0 < mean < math.inf:
        raise ValueError(f"the mean must be a number above 0, not {mean!r}")
    if isinstance(service, Lognormal) and word == "lognormal":
        return Lognormal(mean, service.cv)
    return SHAPES[word].make(mean)


# -- what happens


class Fault(NamedTuple):
    """A kind of change: which fields of `At` it sets."""

    flags: tuple[str, ...] = ()
    """Fields that are True."""
    number: str = ""
    """The field that takes the amount; empty when there is none."""
    scale: float = 1.0
    """The field's value over the amount."""
    amount: float = 0.0
    """To begin with."""

    def make(self, t: float, server: str, amount: float) -> At:
        """The change of this kind at a time in seconds."""
        given: dict[str, bool | float] = dict.fromkeys(self.flags, True)
        if self.number:
            given[self.number] = amount * self.scale
        return At(t, server, **given)  # pyright: ignore[reportArgumentType] - the names above are its fields

    def read(self, at: At) -> float | None:
        """The amount; None when the change is of another kind."""
        if _set(at) != {*self.flags, *filter(None, [self.number])}:
            return None
        if not all(getattr(at, flag) for flag in self.flags):
            return None
        return float(getattr(at, self.number)) / self.scale if self.number else 0.0


def _set(at: At) -> set[str]:
    """The fields of a change that say something."""
    return {f.name for f in fields(at) if f.name not in {"t", "server"} and getattr(at, f.name) != f.default}


FAULTS: Final[Mapping[str, Fault]] = {
    "slower by": Fault(number="slow", amount=6.0),
    "takes (ms)": Fault(number="latency_ms", amount=1000.0),
    "errors": Fault(number="error_rate", scale=0.01, amount=20.0),
    "fails after": Fault(("fail",), "fail_time", 0.001, 1.0),
    "hangs": Fault(("hang",)),
    "crashes": Fault(("crash",)),
    "leaves": Fault(("leave",)),
    "joins": Fault(("join",)),
    "recovers": Fault(("recover",)),
}
"""Word → kind of change, in the order in which they are offered. Amounts are times, percent and ms."""


def fault_of(at: At) -> tuple[str, float]:
    """The word for a change, and its amount."""
    known = ((word, kind.read(at)) for word, kind in FAULTS.items())
    return next(((word, amount) for word, amount in known if amount is not None), (AS_GIVEN, 0.0))


class Episode(NamedTuple):
    """A time in which a server is not as it was at the start."""

    server: str
    begin: float
    """Seconds."""
    end: float
    words: str
    """What was worst about it."""


def episodes(
    timeline: Sequence[At], seconds: float, usual: Mapping[str, float] | None = None
) -> list[Episode]:
    """The times of trouble of each server, in the order of their beginnings, up to the end of the load.

    `usual` is what a call takes each server at the start, in ms: a change that names a longer time is
    trouble.
    """
    usual = usual or {}
    found: list[Episode] = []
    bad: dict[str, list[At]] = {}
    for at in sorted(timeline, key=lambda at: at.t):
        if at.t >= seconds:
            break
        if not _well(at, usual.get(at.server, 0.0)):
            bad.setdefault(at.server, []).append(at)
        elif at.server in bad:
            found.append(_episode(bad.pop(at.server), at.t))
    found += [_episode(changes, seconds) for changes in bad.values()]
    return sorted(found, key=lambda each: each.begin)


def _episode(changes: Sequence[At], end: float) -> Episode:
    """The time from the first of several changes for the worse, told by the worst of them."""
    worst = max(changes, key=lambda at: (at.slow or 1.0, at.latency_ms or 0.0, at.error_rate or 0.0))
    return Episode(changes[0].server, changes[0].t, end, _trouble(worst))


def _trouble(at: At) -> str:
    """What is wrong from this change on, in a few words."""
    said = [
        word
        for field_name, word in (
            ("crash", "crashed"), ("leave", "away"), ("fail", "fails every call"), ("hang", "hangs"),
        )
        if getattr(at, field_name)
    ]  # fmt: skip
    if (at.slow or 1.0) != 1.0:
        said.append(f"{at.slow:g}\N{MULTIPLICATION SIGN} as slow")
    if at.latency_ms is not None:
        said.append(f"{at.latency_ms:g} ms per call")
    if at.error_rate:
        said.append(f"{at.error_rate * 100:g} % errors")
    return ", ".join(said) or at.words


def _well(at: At, usual: float) -> bool:
    """Whether nothing is wrong with the server from this change on, where a call usually takes `usual` ms."""
    slow = (at.slow or 1.0) != 1.0 or (at.latency_ms or 0.0) > usual * 1.001
    return not (at.goes or at.fail or at.hang or slow or (at.error_rate or 0.0) > 0)
