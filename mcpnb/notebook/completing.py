"""What Tab offers inside a fleet's calls: tools, their arguments, and what an argument may be.

It owns the reading of a half-written line. Values come from a tool's schema, and for a prompt from its
server, where that completes. It evaluates nothing that stands in the line but names and the tools behind
them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from mcpnb.errors import McpnbError
from mcpnb.notebook.tool import Tool, Tools

__all__ = ["Offer", "install", "offers"]

_READ: Final = 4_000
"""Characters before the cursor that are looked at."""
_OFFERED: Final = 200
_PATIENCE: Final = 1.0
"""Seconds that a server may take to complete: somebody waits with a finger on Tab."""
_HEAD: Final = re.compile(r"([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*|\[\s*(?:'[^'\n]*'|\"[^\"\n]*\")\s*\])*)\s*$")
_STEP: Final = re.compile(r"\.(?P<name>\w+)|\[\s*['\"](?P<key>[^\n]*?)['\"]\s*\]")
_FIRST: Final = re.compile(r"""\s*(?:'([^'\n]*)'|"([^"\n]*)")\s*,""")
_GIVEN: Final = re.compile(r"""(?:^|[(,])\s*([A-Za-z_]\w*)\s*=\s*(?:'([^'\n]*)'|"([^"\n]*)")?""")
_VALUE_OF: Final = re.compile(r"(?:^|[(,])\s*([A-Za-z_]\w*)\s*=\s*$")
_NAME_BEGINS: Final = re.compile(r"(?:^|,)\s*([A-Za-z_]\w*)?$")
_TOOL_VERBS: Final = frozenset({"call", "gather", "submit", "form", "map", "call_tool"})


class Offer(NamedTuple):
    """What may follow."""

    begun: str
    """The beginning that is there already; each word begins with it."""
    words: tuple[str, ...]
    kind: str
    """`tool`, `prompt`, `param` or `value`."""


class _Open(NamedTuple):
    """The innermost call that is still open at the end of a text."""

    head: str
    """What stands before its parenthesis."""
    inside: str
    """What stands in it, without the string that is being written."""
    string: str | None
    """The beginning of that string; None outside of one."""


def offers(text: str, names: Mapping[str, Any]) -> Offer | None:
    """What may follow a half-written text; None where it is in no call of a fleet's.

    Args:
        text: The cell up to the cursor.
        names: The notebook's variables.
    """
    if (call := _open_call(text[-_READ:])) is None or (head := _HEAD.search(call.head)) is None:
        return None
    steps = [step["name"] or step["key"] for step in _STEP.finditer(head[2])]
    owner = names.get(head[1])
    if isinstance(owner, Tool):
        return _of_tool(call, owner) if not steps or steps == ["gather"] else None
    tools = getattr(owner, "tool", None) if owner is not None else None
    if not isinstance(tools, Tools) or not steps:
        return None
    if steps[0] == "tool":
        tool = _walked(tools, steps[1:])
        return _of_tool(call, tool) if tool is not None else None
    return _of_verb(call, owner, tools, steps[0]) if len(steps) == 1 else None


def _open_call(text: str) -> _Open | None:
    """The innermost open call; None when there is none, or a list or dict stands open in it."""
    opened: list[int] = []
    quote, began = "", 0
    place = 0
    while place < len(text):
        letter = text[place]
        if quote:
            if letter == "\\":
                place += 1
            elif letter == quote:
                quote = ""
        elif letter in "'\"":
            quote, began = letter, place
        elif letter in "([{":
            opened.append(place)
        elif letter in ")]}" and opened:
            opened.pop()
        place += 1
    if not opened or text[opened[-1]] != "(":
        return None
    end = began if quote else len(text)
    return _Open(text[: opened[-1]], text[opened[-1] + 1 : end], text[began + 1 :] if quote else None)


def _walked(tools: Tools, steps: Iterable[str]) -> Tool | None:
    """The tool at the end of a path of names."""
    here: Any = tools
    for step in steps:
        if isinstance(here, Tool) and step in {"gather", "form"}:
            return here
        if step in dir(here):
            here = getattr(here, step)
        elif here is tools and step in tools:
            here = tools[step]
        else:
            return None
    return here if isinstance(here, Tool) else None


def _of_tool(call: _Open, tool: Tool) -> Offer | None:
    """The arguments of a tool, or what one of them may be."""
    if call.string is None:
        known = [name for name in tool.arguments if name.isidentifier()]
        return _argument(call.inside, known)
    if (argument := _VALUE_OF.search(call.inside)) is None:
        return None
    return _offer(call.string, tool.choices(argument[1]), "value")


def _of_verb(call: _Open, fleet: Any, tools: Tools, verb: str) -> Offer | None:
    """The first argument of a verb is a name; the others belong to what it names."""
    first = _FIRST.match(call.inside)
    if first is None:
        if call.string is None or call.inside.strip():
            return None
        known = list(tools) if verb in _TOOL_VERBS else _prompts(fleet) if verb == "prompt" else []
        return _offer(call.string, known, "tool" if verb in _TOOL_VERBS else "prompt")
    named, rest = first[1] or first[2] or "", call.inside[first.end() :]
    if verb == "prompt":
        return _of_prompt(call._replace(inside=rest), fleet, named)
    tool = _walked(tools, [named]) if verb in _TOOL_VERBS - {"map"} else None
    return _of_tool(call._replace(inside=rest), tool) if tool is not None else None


def _of_prompt(call: _Open, fleet: Any, prompt: str) -> Offer | None:
    """What an argument of a prompt may be: its server says."""
    argument = _VALUE_OF.search(call.inside)
    if call.string is None or argument is None:
        return None
    given = {each[1]: each[2] or each[3] or "" for each in _GIVEN.finditer(call.inside)}
    del given[argument[1]]
    try:
        asked = fleet.options(timeout=_PATIENCE)
        return _offer(call.string, asked.complete(prompt, argument[1], call.string, **given), "value")
    except McpnbError:
        return None  # it is said when the line runs


def _prompts(fleet: Any) -> list[str]:
    listed = getattr(fleet, "prompts", None)  # a view has none
    return [] if listed is None else list(dict.fromkeys(map(str, listed["prompt"])))


def _argument(inside: str, known: Iterable[str]) -> Offer | None:
    if (begun := _NAME_BEGINS.search(inside)) is None:
        return None
    given = {each[1] for each in _GIVEN.finditer(inside)}
    return _offer(begun[1] or "", [f"{name}=" for name in known if name not in given], "param")


def _offer(begun: str, words: Iterable[str], kind: str) -> Offer | None:
    """The words that begin so and fit on a line; None when there are none."""
    fitting = [word for word in words if word.startswith(begun) and word.isprintable() and len(word) <= 200]
    safe = [word for word in fitting if not {"'", '"', "\\"} & {*word}]
    return Offer(begun, tuple(safe[:_OFFERED]), kind) if safe else None


def install() -> None:
    """Have the notebook's completer ask here, too. Once is enough, twice is fine."""
    ipython = sys.modules.get("IPython")
    shell = getattr(ipython, "get_ipython", lambda: None)()
    completer = getattr(shell, "Completer", None)
    if shell is None or completer is None or _installed(completer):
        return
    from IPython.core.completer import SimpleCompletion, context_matcher  # noqa: PLC0415 - there is IPython

    @context_matcher(identifier=_IDENTIFIER, priority=60)  # pyright: ignore[reportUntypedFunctionDecorator] - IPython's
    def match(context: Any) -> Any:
        found = offers(context.full_text[: context.cursor_position], shell.user_ns)
        if found is None:
            return {"completions": []}
        made = [SimpleCompletion(word, type=found.kind) for word in found.words]
        return {"completions": made, "matched_fragment": found.begun, "suppress": True}

    completer.custom_matchers.append(match)


_IDENTIFIER: Final = "mcpnb"


def _installed(completer: Any) -> bool:
    return any(getattr(each, "matcher_identifier", "") == _IDENTIFIER for each in completer.custom_matchers)
