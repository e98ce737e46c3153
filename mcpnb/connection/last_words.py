"""Which line of what a program wrote before it ended says why it ended.

Seldom the last one: Node ends with its own version, npm with the place of a log, an exception group of Python
with a frame, others with where help is to be had. Pure; it knows how programs word their errors, and nothing
of processes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["last_words"]

_LATELY = 40
"""Lines before the end in which an error may be the reason for it; a stack of Node takes a dozen."""

_LONGEST = 500
"""Characters of a line that are looked at and shown; a dump may be a single one."""

_ERROR = re.compile(
    r"""
      \b[\w.]*(?:Error|Exception)\b(?:[ ]\[\w+\])?:   # ValueError: x    Error [ERR_CODE]: x
    | \b(?:[Ee]rror|ERROR|[Ff]atal|FATAL|panic)\b[\]:]  # error: x    [ERROR] x    fatal: x
    | \bERROR\b                                         # 12:00:01 ERROR x
    | ^[\w./-]+:[ ](?:[Ee]rror|[Ff]atal)\b               # docker: Error response x
    | ^(?:\N{MULTIPLICATION SIGN}|╰─▶)                  # uv
    """,
    re.VERBOSE,
)
_FRAME = " \t|+-^}"
"""What stands around the lines of a traceback."""

_NPM = re.compile(r"^npm (?:error|ERR!) (?!code\b|errno\b|syscall\b|path\b|A complete log\b)(?=\S)")
"""Of npm's errors the first that is a sentence; the others explain it."""

_NOTHING = re.compile(r"^Node\.js v\d|^npm (?:error|ERR!|notice)")


def last_words(lines: Sequence[str]) -> str:
    """The line that says why the program ended, without its frame; empty when there is none.

    Args:
        lines: What it wrote, oldest first.
    """
    said = [told for line in lines[-_LATELY:] if (told := line.strip(_FRAME)[:_LONGEST])]
    plain = [line for line in reversed(said) if not _NOTHING.search(line)]
    error = next((line for line in plain if _ERROR.search(line)), "")
    npm = next((line for line in said if _NPM.search(line)), "")
    return error or npm or next(iter(plain), "")
