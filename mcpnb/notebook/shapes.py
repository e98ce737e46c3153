"""What form a JSON Schema asks for: the fields of an object, of a list's items, of each of several forms.

It follows references inside the schema and stops where they go round. It decides what kind of field a part of
a schema is and never raises: what is no plain part takes JSON. Whether a value fits it leaves to a validator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from mcpnb.catalog.parameters import local, mapping, sequence
from mcpnb.notebook.fields import Choice, Field, Kind

__all__ = ["Shapes", "fields_of"]

_KINDS: Final[Mapping[object, Kind]] = {
    "string": "text", "number": "number", "integer": "integer", "boolean": "boolean",
}  # fmt: skip
_BOUNDS: Final[Mapping[Kind, tuple[str, str]]] = {
    "number": ("minimum", "maximum"), "integer": ("minimum", "maximum"), "text": ("minLength", "maxLength"),
    "choices": ("minItems", "maxItems"), "list": ("minItems", "maxItems"),
}  # fmt: skip
_LONG_FORMATS: Final = ("multiline", "multi-line", "textarea", "markdown", "html", "long")
_LONG: Final = 200
"""Characters from which on a text gets several lines."""
_DEPTH: Final = 5
"""Fields within fields; deeper ones, and references that go round, take JSON."""
_HOPS: Final = 16
"""References that lead to references."""
_MEMBERS: Final = 60
"""Fields of one object; others go into a JSON text."""
_CHOICES: Final = 1_000
"""Values of a menu; an enumeration of more takes what is typed."""
_ENDLESS: Final = 1e300
"""What a number beyond means is no bound that a person could meet."""
_WAYS: Final = 30
_EXAMPLES: Final = 30
_NOTHING: Final[Mapping[str, object]] = {}


class Shapes:
    """The fields of one schema.

    Args:
        schema: A JSON Schema, of whatever a stranger wrote.
        plain: Fields have no fields of their own: what would, takes JSON.
        titled: Fields go by their titles rather than by their names.
    """

    def __init__(self, schema: Mapping[str, Any], *, plain: bool = False, titled: bool = False) -> None:
        self._root, self._plain, self._titled = schema, plain, titled

    def whole(self, name: str = "") -> Field:
        """The arguments themselves: an object, or one of several forms of one."""
        about = self._read(self._root)
        kind: Kind = "ways" if len(_forms(about)) > 1 and not self._plain else "object"
        return Field(name, name, kind, required=True, schema=about)

    def members(self, field: Field) -> tuple[Field, ...]:
        """The fields of an object, in its order, as many as fit on a page."""
        needed = set(map(str, sequence(field.schema.get("required"))))
        properties = mapping(field.schema.get("properties")).items()
        known = [(str(name), about) for name, about in properties if about is not False][:_MEMBERS]
        return tuple(self._field(name, about, name in needed, field.depth + 1) for name, about in known)

    def more(self, field: Field, *, there: bool = False) -> Field | None:
        """A field for what an object may have beyond its members; None when that is not to be expected.

        With `there` it has something, and there is one unless the schema forbids it.
        """
        crowded = len(mapping(field.schema.get("properties"))) > _MEMBERS
        rest = field.schema.get("additionalProperties")
        stated = rest is True or mapping(rest) or mapping(field.schema.get("patternProperties"))
        if not crowded and not stated and not (there and rest is not False):
            return None
        said = "Further fields, as a JSON object."
        return Field("", "others", "json", description=said, depth=field.depth + 1)

    def item(self, field: Field) -> Field:
        """What each item of a list is."""
        return self._field("", field.schema.get("items"), True, field.depth + 1)

    def forms(self, field: Field) -> tuple[Field, ...]:
        """The forms that a field may have, each named by what tells it from the others."""
        about, ways = field.schema, _forms(field.schema)
        base = {key: part for key, part in about.items() if key not in {"anyOf", "oneOf", "default", "title"}}
        if "type" in base and not isinstance(base["type"], str):
            del base["type"]
        read = [self._read(_joined(base, self._read(mapping(way)))) for way in ways[:_WAYS]]
        return tuple(
            replace(
                self._field(field.name, way, True, field.depth + 1),
                title=_label(way, mapping(own), number),
                description=str(mapping(own).get("description") or ""),
            )
            for number, (way, own) in enumerate(zip(read, ways, strict=False), 1)
        )

    def _field(self, name: str, part: object, required: bool, depth: int) -> Field:
        about, nullable = _without_null(self._read(mapping(part)))
        about = self._read(about)
        kind, choices = self._kind(about, depth)
        least, most, above, below = _bounds(kind, about)
        title = str(about.get("title") or name) if self._titled else name or str(about.get("title") or "")
        return Field(
            name,
            title,
            kind,
            required,
            about.get("default"),
            str(about.get("description") or ""),
            str(about.get("format") or ""),
            choices,
            least,
            most,
            nullable,
            _number(about.get("multipleOf")),
            kind == "text" and _is_long(about),
            tuple(text for text in sequence(about.get("examples")) if isinstance(text, str))[:_EXAMPLES],
            about,
            depth,
            above,
            below,
        )

    def _kind(self, about: Mapping[str, object], depth: int) -> tuple[Kind, tuple[Choice, ...]]:
        if "const" in about and not self._plain:
            return "constant", (Choice(str(about.get("title") or about["const"]), about["const"]),)
        if choices := _choices(about):
            return "choice", choices
        kind = about.get("type")
        if kind == "array" and (choices := _choices(self._read(mapping(about.get("items"))))):
            return "choices", choices
        if not self._plain and depth <= _DEPTH and (nested := _nested(about)):
            return nested, ()
        if kind is None and _all_texts(about.get("enum")):
            return "text", ()
        return _KINDS.get(kind, "json") if isinstance(kind, str) else "json", ()

    def _read(self, about: Mapping[str, object]) -> Mapping[str, object]:
        """A part of the schema with its references followed and its `allOf` made one."""
        for _ in range(_HOPS):
            reference, parts = about.get("$ref"), sequence(about.get("allOf"))
            if isinstance(reference, str):
                about = _joined(local(reference, self._root), _without(about, "$ref"))
            elif parts:
                about = _without(about, "allOf")
                for part in parts[:_HOPS]:
                    about = _joined(mapping(part), about)
            else:
                return about
        return _NOTHING


def fields_of(schema: Mapping[str, Any]) -> tuple[Field, ...]:
    """The plain fields of an object's schema, in its order. What is no plain field takes JSON."""
    shapes = Shapes(schema, plain=True, titled=True)
    return shapes.members(shapes.whole())


def _nested(about: Mapping[str, object]) -> Kind | None:
    """The kind of a field with fields of its own; None when it is no such field."""
    if len(_forms(about)) > 1:
        return "ways"
    if mapping(about.get("properties")) and about.get("type") in ("object", None):
        return "object"
    if about.get("type") in ("array", None) and mapping(about.get("items")) and "prefixItems" not in about:
        return "list"
    return None


def _forms(about: Mapping[str, object]) -> Sequence[object]:
    """The forms that a part of a schema offers: of one keyword, or a type each."""
    if ways := sequence(about.get("oneOf")) or sequence(about.get("anyOf")):
        return ways
    kinds = sequence(about.get("type"))
    return [{"type": kind} for kind in kinds] if len(kinds) > 1 else ()


def _label(way: Mapping[str, object], own: Mapping[str, object], number: int) -> str:
    """What a form is called: its title, its constants, what it needs, its type."""
    if title := own.get("title") or way.get("title"):
        return str(title)
    properties = mapping(own.get("properties")) or mapping(way.get("properties"))
    fixed = [str(mapping(part)["const"]) for part in properties.values() if "const" in mapping(part)]
    if fixed:
        return ", ".join(fixed)
    if "const" in way:
        return str(way["const"])
    if needed := [str(name) for name in sequence(own.get("required"))]:
        return "with " + ", ".join(needed)
    kind = way.get("type")
    return {"string": "text", "array": "list"}.get(kind, kind) if isinstance(kind, str) else f"form {number}"


def _joined(first: Mapping[str, object], second: Mapping[str, object]) -> dict[str, object]:
    """What fulfils both, as far as a form needs to know."""
    both = {**first, **second}
    if "properties" in first and "properties" in second:
        names = {**mapping(first["properties"]), **mapping(second["properties"])}
        both["properties"] = {
            name: _joined(mapping(mapping(first["properties"]).get(name)), mapping(part))
            if mapping(part) and name in mapping(first["properties"])
            else part
            for name, part in names.items()
        }
    if "required" in first and "required" in second:
        both["required"] = [*sequence(first["required"]), *sequence(second["required"])]
    return both


def _without(about: Mapping[str, object], key: str) -> dict[str, object]:
    return {name: part for name, part in about.items() if name != key}


def _without_null(about: Mapping[str, object]) -> tuple[Mapping[str, object], bool]:
    """What a field is when it is there, and whether it may be null: there are four ways to write that."""
    for keyword in ("anyOf", "oneOf"):
        ways = sequence(about.get(keyword))
        others = [way for way in ways if mapping(way).get("type") != "null"]
        if ways and len(others) < len(ways):
            rest = _without(about, keyword)
            one = {**rest, **mapping(others[0])} if len(others) == 1 else {**rest, keyword: others}
            # What stands beside the forms is of the field, what is in one of them only of that.
            return ({**one, **{key: rest[key] for key in ("title", "description") if key in rest}}, True)
    kinds = sequence(about.get("type"))
    if "null" in kinds:
        left = [kind for kind in kinds if kind != "null"]
        return {**about, "type": left[0] if len(left) == 1 else left}, True
    if None in sequence(about.get("enum")) and len(sequence(about["enum"])) > 1:
        return {**about, "enum": [value for value in sequence(about["enum"]) if value is not None]}, True
    return about, about.get("nullable") is True


def _choices(about: Mapping[str, object]) -> tuple[Choice, ...]:
    """The values of an enumeration with their titles, in each of the three ways to write one."""
    values: Sequence[Any] = sequence(about.get("enum"))
    names = [str(title) for title in sequence(about.get("enumNames"))]
    if values:
        names = names if len(names) == len(values) else [str(value) for value in values]
        return tuple(map(Choice, names, values)) if len(values) <= _CHOICES else ()
    titled = [mapping(one) for one in sequence(about.get("oneOf")) or sequence(about.get("anyOf"))]
    if not titled or len(titled) > _CHOICES or not all("const" in one for one in titled):
        return ()
    return tuple(Choice(str(one.get("title") or one["const"]), one["const"]) for one in titled)


def _bounds(
    kind: Kind, about: Mapping[str, object]
) -> tuple[float | None, float | None, float | None, float | None]:
    """The least and the most that fits, and what it is above and below where no number is next to that."""
    low, high = (_number(about.get(key)) for key in _BOUNDS.get(kind, ("", "")))
    if kind not in {"number", "integer"}:
        return low, high, None, None
    above, below = _number(about.get("exclusiveMinimum")), _number(about.get("exclusiveMaximum"))
    if about.get("exclusiveMinimum") is True:  # as JSON Schema had it until draft 4
        low, above = None, low
    if about.get("exclusiveMaximum") is True:
        high, below = None, high
    if kind == "number":
        return low, high, above, below
    lows = [math.ceil(low)] if low is not None else []
    highs = [math.floor(high)] if high is not None else []
    lows += [math.floor(above) + 1] if above is not None else []
    highs += [math.ceil(below) - 1] if below is not None else []
    return max(lows, default=None), min(highs, default=None), None, None


def _all_texts(values: object) -> bool:
    known = sequence(values)
    return bool(known) and all(isinstance(value, str) for value in known)


def _is_long(about: Mapping[str, object]) -> bool:
    most, default = _number(about.get("maxLength")), about.get("default")
    return (
        about.get("format") in _LONG_FORMATS
        or about.get("multiline") is True
        or about.get("x-multiline") is True
        or str(about.get("contentMediaType") or "").startswith("text/")
        or (most is not None and most >= _LONG)
        or (isinstance(default, str) and ("\n" in default or len(default) >= _LONG))
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < _ENDLESS else None
