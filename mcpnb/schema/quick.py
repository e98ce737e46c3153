"""A fast yes for the schemas that tools mostly have: flat objects of plain types.

Sound, not complete: True means that a JSON Schema validator would accept the value too, in every draft; False
means "ask the validator". It costs a few microseconds where jsonschema takes forty, and saves importing it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from mcpnb.schema.patterns import matches

Accept = Callable[[object], bool]

# Deeper schemas are rare, and a limit ends cycles.
_MAX_DEPTH = 12

_SILENT = frozenset({
    "$comment", "$defs", "$schema", "default", "definitions", "deprecated", "description", "examples",
    "format", "readOnly", "title", "writeOnly",
})  # fmt: skip
"""Keywords that accept everything, as long as nothing refers to what they hold."""

_KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "object": (dict,),
    "array": (list, tuple),
}

_OBJECT_KEYWORDS = frozenset({"properties", "required", "additionalProperties"})


def quick(schema: object, depth: int = 0) -> Accept | None:
    """A test that is True only for values that fit, or None when the schema is not of the plain kind."""
    if schema is True:
        return _anything
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return None
    parts = cast("dict[str, object]", schema)
    tests = [_object(parts, depth)] if _OBJECT_KEYWORDS & parts.keys() else []
    for keyword, value in parts.items():
        if keyword not in _OBJECT_KEYWORDS and keyword not in _SILENT and not keyword.startswith("x-"):
            make = _MAKERS.get(keyword)
            tests.append(make(value, depth) if make else None)
    return _every([test for test in tests if test]) if all(tests) else None


def _anything(_: object) -> bool:
    return True


def _every(tests: list[Accept]) -> Accept:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:  # an object of a type, text of a length: the common case is spared a list
        first, second = tests
        return lambda value: first(value) and second(value)
    return (lambda value: all([test(value) for test in tests])) if tests else _anything  # noqa: C419 - faster than a generator


def _object(schema: dict[str, object], depth: int) -> Accept | None:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, dict) or not _names(required):
        return None
    parts = {name: quick(part, depth + 1) for name, part in cast("dict[str, object]", properties).items()}
    rest = schema.get("additionalProperties", True)
    other = None if rest is False else quick(rest, depth + 1)
    if not all(parts.values()) or (other is None and rest is not False):
        return None
    return _object_test(cast("dict[str, Accept]", parts), frozenset(cast("list[str]", required)), other)


def _object_test(parts: dict[str, Accept], needed: frozenset[str], other: Accept | None) -> Accept:
    def accept(value: object) -> bool:
        if type(value) is not dict or not needed <= value.keys():  # pyright: ignore[reportUnknownMemberType]
            return False
        members: dict[str, object] = value  # pyright: ignore[reportUnknownVariableType] - a cast is a call
        for name, member in members.items():
            test = parts.get(name, other)
            if test is None or not test(member):
                return False
        return True

    return accept


def _type(value: object, _: int) -> Accept | None:
    names = [value] if isinstance(value, str) else value
    if not _names(names) or not all(name in _KINDS for name in cast("list[str]", names)):
        return None
    kinds = frozenset(kind for name in cast("list[str]", names) for kind in _KINDS[name])
    return lambda value: type(value) in kinds


def _enum(value: object, _: int) -> Accept | None:
    # Only text: 1, 1.0 and True are told apart by rules that differ between drafts.
    if not _names(value):
        return None
    words = frozenset(cast("list[str]", value))
    return lambda value: type(value) is str and value in words


def _const(value: object, _: int) -> Accept | None:
    return (lambda given: type(given) is str and given == value) if isinstance(value, str) else None


def _pattern(value: object, _: int) -> Accept | None:
    if not isinstance(value, str):
        return None
    return lambda given: type(given) is str and matches(value, given) is True


def _items(value: object, depth: int) -> Accept | None:
    test = quick(value, depth + 1)
    if test is None:
        return None
    return lambda value: isinstance(value, (list, tuple)) and all(map(test, cast("list[object]", value)))


def _any_of(value: object, depth: int) -> Accept | None:
    ways = (
        [quick(way, depth + 1) for way in cast("list[object]", value)] if isinstance(value, list) else [None]
    )
    known = [way for way in ways if way]
    return (lambda value: any([way(value) for way in known])) if ways and len(known) == len(ways) else None  # noqa: C419


def _bound(fits: Callable[[float, float], bool]) -> Callable[[object, int], Accept | None]:
    def make(limit: object, _: int) -> Accept | None:
        if type(limit) is not int and type(limit) is not float:
            return None
        return lambda value: type(value) in {int, float} and fits(cast("float", value), limit)

    return make


def _size(
    kinds: tuple[type, ...], fits: Callable[[float, float], bool]
) -> Callable[[object, int], Accept | None]:
    def make(limit: object, _: int) -> Accept | None:
        if type(limit) is not int:
            return None
        return lambda value: type(value) in kinds and fits(len(cast("str", value)), limit)

    return make


def _names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in cast("list[object]", value))


def _at_least(value: float, limit: float) -> bool:
    return value >= limit


def _at_most(value: float, limit: float) -> bool:
    return value <= limit


_MAKERS: Mapping[str, Callable[[object, int], Accept | None]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "pattern": _pattern,
    "items": _items,
    "anyOf": _any_of,
    "minimum": _bound(_at_least),
    "maximum": _bound(_at_most),
    "exclusiveMinimum": _bound(lambda value, limit: value > limit),
    "exclusiveMaximum": _bound(lambda value, limit: value < limit),
    "minLength": _size((str,), _at_least),
    "maxLength": _size((str,), _at_most),
    "minItems": _size((list, tuple), _at_least),
    "maxItems": _size((list, tuple), _at_most),
}
