"""Versions of servers and tools: which is newer, and which fit what a caller asks for.

A version is read as SemVer where it is one, else as PEP 440; both fall into one order. What is neither is
unknown: it ranks last and fits no specifier. Build metadata and local parts do not count. It knows no
servers.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from packaging.version import InvalidVersion
from packaging.version import Version as Pep440

__all__ = ["Specifier", "Version", "parse", "rank", "specifier"]

_LONGEST: Final = 200
"""Characters of a version that is still looked at: beyond that it is none."""

_SEMVER: Final = re.compile(
    r"[vV]?([0-9]+)\.([0-9]+)\.([0-9]+)"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_CLAUSE: Final = re.compile(r"(~=|==|!=|<=|>=|<|>)?\s*([^\s<>=!~]+)")

Identifier = tuple[int, int, str]
"""A part of a prerelease, so that parts compare as SemVer has it: numbers before words."""

_FINAL: Final[tuple[Identifier, ...]] = ((2, 0, ""),)
_DEV: Final[tuple[Identifier, ...]] = ((-1, 0, ""),)
"""Before every other prerelease, as PEP 440 has it."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version that can be compared. Two that differ in their text may be equal: `v1.0` and `1.0.0+7`."""

    epoch: int
    release: tuple[int, ...]
    """Without trailing zeros."""
    pre: tuple[Identifier, ...] = _FINAL
    post: int = -1
    dev: float = float("inf")

    @property
    def prerelease(self) -> bool:
        """Whether it came before the release of its number."""
        return self.pre != _FINAL or self.dev != float("inf")


@lru_cache(maxsize=4096)
def parse(text: str | None) -> Version | None:
    """The version that a text states; None when it states none that can be compared."""
    if text is None or len(text) > _LONGEST:
        return None
    text = text.strip()
    if found := _SEMVER.fullmatch(text):
        release = _trimmed(int(part) for part in found.group(1, 2, 3))
        return Version(0, release, _identifiers(found[4]) if found[4] else _FINAL)
    try:
        return _from_pep440(Pep440(text))
    except InvalidVersion:
        return None


def rank(text: str | None) -> tuple[int, Version | None]:
    """A key to sort by, the newest last and what cannot be compared first."""
    version = parse(text)
    return (0, None) if version is None else (1, version)


def _from_pep440(found: Pep440) -> Version:
    dev = float("inf") if found.dev is None else found.dev
    post = -1 if found.post is None else found.post
    pre = _FINAL
    if found.pre is not None:
        word, number = found.pre
        pre = ((1, 0, {"a": "alpha", "b": "beta"}.get(word, word)), (0, number, ""))
    elif found.dev is not None and found.post is None:
        pre = _DEV
    return Version(found.epoch, _trimmed(found.release), pre, post, dev)


def _identifiers(text: str) -> tuple[Identifier, ...]:
    return tuple(
        (0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part) for part in text.split(".")
    )


def _trimmed(numbers: Iterable[int]) -> tuple[int, ...]:
    release = list(numbers)
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    return tuple(release)


_COMPARED: Final[Mapping[str, Callable[[Version, Version], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True)
class _Clause:
    operator: str
    version: Version
    prefix: tuple[int, ...] | None = None
    """The numbers that a version must begin with (`==1.2.*`, `~=1.2.3`)."""

    def fits(self, version: Version) -> bool:
        if self.operator in _COMPARED:
            return _COMPARED[self.operator](version, self.version)
        if self.operator == "<":
            return version < self.version and not self._announces(version)
        if self.operator == "~=":
            return version >= self.version and self._same(version)
        return self._same(version) is (self.operator == "==")

    def _same(self, version: Version) -> bool:
        if self.prefix is None:
            return version == self.version
        numbers = version.release + (0,) * len(self.prefix)
        return version.epoch == self.version.epoch and numbers[: len(self.prefix)] == self.prefix

    def _announces(self, version: Version) -> bool:
        # As PEP 440 has it: who asks for less than 2 does not mean 2.0.0-rc.1.
        mine = (self.version.epoch, self.version.release)
        return version.prerelease and not self.version.prerelease and (version.epoch, version.release) == mine


@dataclass(frozen=True, slots=True)
class Specifier:
    """Which versions fit; made by `specifier`."""

    text: str
    clauses: tuple[_Clause, ...]

    @property
    def prereleases(self) -> bool:
        """Whether prereleases fit: only where the specifier names one itself."""
        return any(clause.version.prerelease for clause in self.clauses if clause.operator != "!=")

    def refusal(self, text: str | None) -> str:
        """Why this version does not fit, in words that follow a name; empty when it does."""
        if text is None:
            return f"says no version, and {self.text} is asked for"
        version = parse(text)
        if version is None:
            return f"its version {text[:_LONGEST]!r} cannot be compared with {self.text}"
        if not all(clause.fits(version) for clause in self.clauses):
            return f"its version is {text}, and {self.text} is asked for"
        if version.prerelease and not self.prereleases:
            return f"its version {text} is a prerelease, and {self.text} names none"
        return ""


@lru_cache(maxsize=256)
def specifier(text: str) -> Specifier:
    """What a specifier such as `>=2,<3`, `~=1.4.2`, `==1.*` or a bare version (that very one) asks for.

    Raises:
        ValueError: It is none.
    """
    clauses = [_clause(part.strip(), text) for part in text.split(",")]
    return Specifier(text.strip(), tuple(clauses))


def _clause(part: str, whole: str) -> _Clause:
    found = _CLAUSE.fullmatch(part)
    if found is None:
        raise _none(whole)
    sign, stated = found[1] or "==", found[2]
    starred = stated.endswith(".*")
    version = parse(stated.removesuffix(".*"))
    if version is None or (starred and (sign not in {"==", "!="} or version.prerelease)):
        raise _none(whole)
    prefix = _prefix(sign, stated, whole) if starred or sign == "~=" else None
    return _Clause(sign, version, prefix)


def _prefix(sign: str, stated: str, whole: str) -> tuple[int, ...]:
    """The numbers as they are written: `~=1.4.0` keeps 1.4, `~=1.4` keeps 1."""
    written = re.match(r"[vV]?(?:[0-9]+!)?([0-9]+(?:\.[0-9]+)*)", stated)
    numbers = tuple(int(number) for number in written[1].split(".")) if written else ()
    if sign == "~=":
        numbers = numbers[:-1]
    if not numbers:
        raise _none(whole)
    return numbers


def _none(text: str) -> ValueError:
    return ValueError(f"{text!r} is no version specifier; write one like '>=2,<3'")
