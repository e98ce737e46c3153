"""Tables that turn names into small codes. They own the bound on how many names, and how long, are kept."""

from __future__ import annotations

from typing import Final

__all__ = ["OTHER", "NameTable"]

OTHER: Final = "…other"
"""What stands for every name that came after its table was full."""

_LONGEST = 300  # characters: two lines of a message, enough to tell errors apart


class NameTable(dict[str, int]):
    """Name → code, growing up to `limit` names; code 0 is the empty name.

    Looking up a known name costs no more than in a dict. One thread looks up, any thread may read `names`.
    """

    __slots__ = ("limit", "names", "overflow")

    def __init__(self, limit: int) -> None:
        super().__init__({"": 0})
        self.limit = limit
        self.names: list[str] = [""]
        """The name of each code. Only ever appended to."""
        self.overflow = 0
        """How many look-ups found the table full."""

    def __missing__(self, name: str) -> int:
        kept = _kept(name)
        code = self.get(kept)
        if code is not None:
            return code
        if len(self.names) < self.limit:
            return self._add(kept)
        self.overflow += 1
        other = self.get(OTHER)
        return self._add(OTHER) if other is None else other

    def _add(self, name: str) -> int:
        # The name first, then the code: a reader who meets the code must find the name.
        self.names.append(name)
        code = self[name] = len(self.names) - 1
        return code


def _kept(name: str) -> str:
    """The name cut to a bounded length; lone surrogates, which Arrow-backed frames refuse, are spelt out."""
    cut = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
    return cut.encode("utf-8", "backslashreplace").decode()
