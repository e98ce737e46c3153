"""A tool as Python describes a function: a signature and a docstring, made from its schema.

Pure. It takes whatever a stranger's schema holds, shows nothing that a terminal would obey, and cuts what
is long.
"""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from mcpnb.notebook.markup import shorten, visible

if TYPE_CHECKING:
    from mcpnb.catalog import ToolEntry

__all__ = ["docstring", "signature"]

_PARAMETERS: Final = 40
"""Parameters of a signature; further ones are in its `**others`."""
_NAME: Final = 80
"""Characters of a name that can be typed."""
_WORDS: Final = 80
"""Characters of an annotation or a default in a signature."""
_DOC: Final = 4_000
"""Characters of a description in a docstring."""


class _Shown(str):
    """A text that a signature shows as it is, rather than in quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def signature(entry: ToolEntry) -> inspect.Signature:
    """Needed arguments by position or name, others by name. What Python cannot write is in `**others`."""
    known = [
        each for each in entry.parameters if each.name.isidentifier() and not keyword.iskeyword(each.name)
    ]
    known = [each for each in known if len(each.name) <= _NAME][:_PARAMETERS]
    made = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD if each.required else inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if each.required else _default(each.has_default, each.default),
            annotation=_Shown(_annotation(each.annotation)),
        )
        for each in known
    ]
    if len(known) < len(entry.parameters):
        made.append(inspect.Parameter(_free("others", known), inspect.Parameter.VAR_KEYWORD))
    return inspect.Signature(made, return_annotation=_Shown("Result"))


def _annotation(annotation: str) -> str:
    """A type, of a long one only its beginning: IPython refuses a signature that breaks off in a bracket."""
    shown = visible(annotation)
    return shown if len(shown) <= _WORDS else shorten(shown.partition("[")[0], _WORDS)


def _default(stated: bool, value: object) -> _Shown:
    if not stated:
        return _Shown("...")
    shown = visible(repr(value))
    if len(shown) <= _WORDS:
        return _Shown(shown)
    if isinstance(value, str):
        return _Shown(visible(repr(shorten(value, _WORDS // 2))))
    return _Shown("{...}" if isinstance(value, Mapping) else "[...]")


def _free(name: str, known: Iterable[Any]) -> str:
    """A name that no parameter has."""
    taken = {each.name for each in known}
    while name in taken:
        name += "_"
    return name


def docstring(entry: ToolEntry) -> str:
    """Description, arguments, and what a caller should know, as a docstring."""
    said = visible(shorten(entry.description or entry.title or "No description.", _DOC), lines=True).strip()
    lines = [said]
    if entry.parameters:
        lines += ["", "Args:"]
        lines += [f"    {_line(each)}" for each in entry.parameters[:_PARAMETERS]]
    if hidden := len(entry.parameters) - _PARAMETERS:
        lines += [f"    … {hidden} more: see .schema"] if hidden > 0 else []
    nature = (
        "It only reads."
        if entry.read_only
        else "It may change or delete things."
        if entry.destructive
        else ""
    )
    lines += ["", *([nature] if nature else []), "The words above are the server's."]
    return "\n".join(lines)


def _line(parameter: Any) -> str:
    name = visible(shorten(parameter.name, _NAME))
    needed = "" if parameter.required else ", optional"
    said = visible(shorten(parameter.description, 400))
    return f"{name} ({visible(shorten(parameter.annotation, _WORDS))}{needed}){': ' if said else ''}{said}"
