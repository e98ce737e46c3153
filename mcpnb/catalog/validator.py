"""jsonschema, made safe for a stranger's schema: nothing is fetched, nothing runs long.

What cannot be checked safely is not checked here at all; the server checks its arguments itself. This module
is imported only when a schema or a wrong argument needs it: jsonschema takes up to two seconds to import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, cast

from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.exceptions import SchemaError
from jsonschema.protocols import Validator
from referencing.jsonschema import EMPTY_REGISTRY

from mcpnb.schema.patterns import matches

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]

# Keywords that one check may evaluate: about 0.1 s. A reference tree can ask for 2**30.
_MAX_STEPS = 20_000

# Checking that a schema is one costs about 0.1 ms a node.
_MAX_NODES = 4_000

# Beyond these the caller has enough to read.
_MAX_ERRORS = 20

_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})


class Unusable(Exception):
    """A schema that cannot be checked here; the text says why."""


class TooLong(Exception):
    """A check that would take too long."""


class Checked:
    """One compiled schema.

    Raises:
        Unusable: When the schema is no schema, refers to other documents, or is too large.
    """

    def __init__(self, schema: Mapping[str, object]) -> None:
        self.skipped: set[str] = set()
        self._left = 0
        _inspect(schema)
        try:
            # Its own dialect is settled here: a validator that met `$schema` again would forget our limits.
            base: Any = validators.validator_for(cast("Any", schema), default=Draft202012Validator)
            base.check_schema(schema, format_checker=None)
            extend = cast("Callable[..., Any]", validators.extend)
            limited = extend(base, self._keywords(base), type_checker=_tuples_are_lists(base))
            bare = {key: part for key, part in schema.items() if key != "$schema"}
            self._validator: Validator = limited(bare, registry=EMPTY_REGISTRY)
        except SchemaError as error:
            raise Unusable(f"it is not a valid JSON Schema ({error.message[:120]})") from error
        except Exception as error:
            raise Unusable(f"it cannot be read ({type(error).__name__})") from error

    def errors(self, arguments: Mapping[str, object]) -> list[ValidationError]:
        """What is wrong with the arguments; empty when nothing is.

        Raises:
            TooLong: When the schema asks for more work than any honest one.
            Unusable: When the validator breaks on the schema.
        """
        self._left = _MAX_STEPS
        try:
            return list(islice(self._validator.iter_errors(cast("Any", arguments)), _MAX_ERRORS))
        except TooLong:
            raise
        except RecursionError as error:
            raise Unusable(
                "its references go round in circles, or the arguments are nested too deeply"
            ) from error
        except Exception as error:
            raise Unusable(f"checking against it broke ({type(error).__name__}: {error!s:.120})") from error

    def _keywords(self, base: Any) -> dict[str, Keyword]:
        """The dialect's keywords, each counted; the ones that run patterns replaced by careful ones."""
        known = cast("dict[str, Keyword]", base.VALIDATORS)
        careful: dict[str, Keyword] = {
            "properties": partial(_properties, known["properties"]),
            "pattern": self._pattern,
            "patternProperties": self._pattern_properties,
            "additionalProperties": partial(self._additional, known.get("additionalProperties", _nothing)),
            # These walk the schema on their own, uncounted, and run its patterns.
            "unevaluatedProperties": _nothing,
            "unevaluatedItems": _nothing,
        }
        return {name: partial(self._counted, careful.get(name, known[name])) for name in known}

    def _counted(self, keyword: Keyword, *parts: Any) -> Iterator[ValidationError]:
        self._left -= 1
        if self._left < 0:
            raise TooLong
        return iter(keyword(*parts) or ())

    def _matches(self, pattern: str, text: object) -> bool | None:
        found = matches(pattern, text) if isinstance(text, str) else None
        if found is None:
            self.skipped.add(pattern)
        return found

    def _pattern(self, validator: Any, pattern: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
        if validator.is_type(instance, "string") and self._matches(pattern, instance) is False:
            yield ValidationError(f"{instance!r} does not match {pattern!r}")

    def _pattern_properties(
        self, validator: Any, rules: Any, instance: Any, _: Any
    ) -> Iterator[ValidationError]:
        if not validator.is_type(instance, "object"):
            return
        for pattern, rule in rules.items():
            for name, member in instance.items():
                if self._matches(pattern, name):
                    yield from validator.descend(member, rule, path=name, schema_path=pattern)

    def _additional(
        self, known: Keyword, validator: Any, rule: Any, instance: Any, schema: Any
    ) -> Iterator[ValidationError]:
        patterns = schema.get("patternProperties", {})
        if patterns and isinstance(instance, dict):
            # A name that one pattern knows, or that cannot be tried against one, is no additional one.
            names = {
                name for name in cast("dict[str, object]", instance) if not self._is_known(name, patterns)
            }
            instance = {
                name: member for name, member in cast("dict[str, object]", instance).items() if name in names
            }
            schema = {"properties": schema.get("properties", {})}
        yield from known(validator, rule, instance, schema) or ()

    def _is_known(self, name: str, patterns: Mapping[str, object]) -> bool:
        return any(self._matches(pattern, name) is not False for pattern in patterns)


def _properties(
    known: Keyword, validator: Any, rules: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    """As jsonschema does it, but an error about a field that is never allowed says which field."""
    if isinstance(instance, dict):
        for name in [name for name, rule in rules.items() if rule is False and name in instance]:
            yield ValidationError("never allowed", validator="forbidden", path=(name,))
    yield from known(validator, {name: rule for name, rule in rules.items() if rule}, instance, schema) or ()


def _nothing(*_: Any) -> None:
    return None


def _tuples_are_lists(base: Any) -> Any:
    # JSON writes both the same way.
    return base.TYPE_CHECKER.redefine("array", _is_array)


def _is_array(_: object, value: object) -> bool:
    return isinstance(value, (list, tuple))


def _inspect(schema: object) -> None:
    """Refuse what may lead out of the document, out of its dialect, or on for too long."""
    pending, nodes = [schema], 0
    while pending:
        nodes += 1
        if nodes > _MAX_NODES:
            raise Unusable(f"it has more than {_MAX_NODES} parts")
        part = pending.pop()
        if isinstance(part, dict):
            members = cast("dict[str, object]", part)
            _refuse_references(members, root=part is schema)
            pending.extend(members.values())
        elif isinstance(part, (list, tuple)):
            pending.extend(cast("list[object]", part))


def _refuse_references(part: dict[str, object], *, root: bool) -> None:
    for keyword in _REFERENCES & part.keys():
        target = part[keyword]
        inside = keyword == "$ref" and isinstance(target, str) and (target == "#" or target.startswith("#/"))
        if isinstance(target, str) and not inside:
            raise Unusable(f"it refers to {target[:80]!r}; only references of the form '#/...' are followed")
    if not root and isinstance(part.get("$schema"), str):
        raise Unusable("a part of it is written in another dialect")
