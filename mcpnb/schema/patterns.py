"""Which regular expressions of a stranger may be run: those that cannot take long on the text at hand.

Python's engine backtracks and holds the interpreter while it does, so `(a+)+$` from a server's schema could
stop the whole process. The bound here is crude on purpose: what it refuses is left for the server to check.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Steps of backtracking that take well under 0.1 s.
_MAX_STEPS = 1_000_000

# Nobody writes longer ones by hand, and compiling takes time as well.
_MAX_LENGTH = 500

_ESCAPES_AND_CLASSES = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_REPEATED_GROUP = re.compile(r"\)(?:[*+]|\{)")
_EXACT_COUNT = re.compile(r"\{\d{1,3}\}")
_OPEN_ENDED = re.compile(r"[*+]|\{")


def matches(pattern: str, text: str) -> bool | None:
    """Whether the pattern is found in the text; None when it may not, or cannot, be run here."""
    if not cheap(pattern, len(text)):
        return None
    try:
        return re.search(pattern, text) is not None
    except (re.error, RecursionError, OverflowError):
        # The dialect of JSON Schema is ECMA-262; not all of it is Python's.
        return None


def cheap(pattern: str, length: int) -> bool:
    """Whether searching a text of that many characters takes few steps, whatever the text is."""
    cost = _cost(pattern)
    if cost is None:
        return False
    loops, choices = cost
    # Each loop can stop anywhere, the search can start anywhere, each choice can go two ways.
    return (length + 1) ** (loops + 1) * 2**choices <= _MAX_STEPS


@lru_cache(maxsize=1024)
def _cost(pattern: str) -> tuple[int, int] | None:
    """How many loops and choices a pattern has; None when they are nested or it is too long."""
    if len(pattern) > _MAX_LENGTH:
        return None
    bare = _ESCAPES_AND_CLASSES.sub("x", pattern)
    if _REPEATED_GROUP.search(bare):
        return None
    bare = _EXACT_COUNT.sub("", bare)
    return len(_OPEN_ENDED.findall(bare)), bare.count("?") + bare.count("|")
