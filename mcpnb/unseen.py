"""Characters that a reader cannot see, or that a terminal would obey, as marks. It knows nothing else."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["visible"]

# C0 and C1 controls, soft hyphen, zero-width and bidi controls, line separators, lone surrogates, byte
# order marks, interlinear marks, and the tag block, which can carry instructions that no reader sees.
# Zero-width joiners stay: emoji and several scripts need them.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str, *, lines: bool = False) -> str:
    """`text` with control, bidi and zero-width characters shown as marks; line breaks stay if `lines`."""
    if text.isprintable():  # the common case: nothing unseen in it, and no line breaks either
        return text
    text = text.replace("\r\n", "\n")
    if not lines:
        text = text.replace("\n", " ⏎ ").replace("\t", " ")
    return _UNSEEN.sub(_named, text)


def _named(match: re.Match[str]) -> str:
    return f"⟨U+{ord(match[0]):04X}⟩"
