"""The parameters of a tool, read from its input schema: what a Python signature and a form need.

It takes whatever a stranger's schema holds and never raises; what it cannot read becomes `Any`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

_WORDS = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
    "null": "None",
}

# Deeper than any hand-written type; it ends reference loops.
_MAX_DEPTH = 4

# A longer list of choices says less in a signature than the type does.
_MAX_CHOICES = 12


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a tool."""

    name: str
    """As the schema has it; not always a Python identifier."""
    required: bool
    annotation: str
    """Python text: `str`, `int | None`, `list[str]`, `Literal['a', 'b']`, `Any`."""
    has_default: bool = False
    """Whether the schema states a default."""
    default: object = field(default=None, hash=False)
    description: str = ""

    def __str__(self) -> str:
        text = f"{self.name}: {self.annotation}"
        if self.required:
            return text
        return f"{text} = {self.default!r}" if self.has_default else f"{text} = ..."


def read(schema: Mapping[str, object]) -> tuple[Parameter, ...]:
    """The parameters of an input schema, required ones first, else in the schema's order."""
    properties = mapping(schema.get("properties"))
    required = {name for name in sequence(schema.get("required")) if isinstance(name, str)}
    found = [_parameter(name, part, name in required, schema) for name, part in properties.items()]
    return tuple(sorted(found, key=lambda parameter: not parameter.required))


def mapping(value: object) -> Mapping[str, object]:
    """The value if it is an object, else an empty one."""
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def sequence(value: object) -> Sequence[object]:
    """The value if it is a list, else an empty one."""
    return cast("Sequence[object]", value) if isinstance(value, (list, tuple)) else ()


def _parameter(name: str, part: object, required: bool, root: Mapping[str, object]) -> Parameter:
    schema = mapping(part)
    description = schema.get("description")
    return Parameter(
        name=name,
        required=required,
        annotation=_annotation(schema, root, 0),
        has_default="default" in schema,
        default=schema.get("default"),
        description=description if isinstance(description, str) else "",
    )


def _annotation(schema: Mapping[str, object], root: Mapping[str, object], depth: int) -> str:
    if depth > _MAX_DEPTH:
        return "Any"
    if isinstance(reference := schema.get("$ref"), str):
        return _annotation(local(reference, root), root, depth + 1)
    if choices := _choices(schema):
        return choices
    for keyword in ("anyOf", "oneOf"):
        if ways := sequence(schema.get(keyword)):
            return _union(_annotation(mapping(way), root, depth + 1) for way in ways[:_MAX_CHOICES])
    return _plain(schema, root, depth)


def _plain(schema: Mapping[str, object], root: Mapping[str, object], depth: int) -> str:
    kind = schema.get("type")
    kinds = [kind] if isinstance(kind, str) else [each for each in sequence(kind) if isinstance(each, str)]
    words = [_WORDS.get(each, "Any") for each in kinds[: len(_WORDS)]]
    if "list" in words and isinstance(schema.get("items"), Mapping):
        inner = _annotation(mapping(schema["items"]), root, depth + 1)
        words[words.index("list")] = "list" if inner == "Any" else f"list[{inner}]"
    return _union(words) if words else "Any"


def _choices(schema: Mapping[str, object]) -> str:
    values = [schema["const"]] if "const" in schema else list(sequence(schema.get("enum")))
    literal = all(value is None or isinstance(value, (str, int, bool)) for value in values)
    if not values or not literal or len(values) > _MAX_CHOICES:
        return ""
    return f"Literal[{', '.join(map(repr, values))}]"


def _union(words: object) -> str:
    unique = list(dict.fromkeys(cast("Sequence[str]", words)))
    return "Any" if "Any" in unique else " | ".join(unique)


def local(reference: str, root: Mapping[str, object]) -> Mapping[str, object]:
    """What a reference inside the same document points to; other documents are never looked at."""
    if not reference.startswith("#/"):
        return {}
    here: object = root
    for step in reference[2:].split("/"):
        here = mapping(here).get(step.replace("~1", "/").replace("~0", "~"))
    return mapping(here)
