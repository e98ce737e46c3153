"""What is wrong with arguments, in plain words: a field, and one sentence about it.

It turns jsonschema's errors into `ArgumentError`s and knows nothing about how they were found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any, cast

from mcpnb.catalog.parameters import mapping, sequence
from mcpnb.errors import ArgumentError, suggest

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "True or False",
    "array": "a list",
    "object": "an object (dict)",
    "null": "None",
}

_BOUNDS = {
    "minimum": "must be at least {limit}, not {value}",
    "maximum": "must be at most {limit}, not {value}",
    "exclusiveMinimum": "must be more than {limit}, not {value}",
    "exclusiveMaximum": "must be less than {limit}, not {value}",
    "minLength": "must have at least {limit} characters, has {size}",
    "maxLength": "must have at most {limit} characters, has {size}",
    "minItems": "must have at least {limit} items, has {size}",
    "maxItems": "must have at most {limit} items, has {size}",
    "minProperties": "must have at least {limit} fields, has {size}",
    "maxProperties": "must have at most {limit} fields, has {size}",
    "multipleOf": "must be a multiple of {limit}, not {value}",
    "pattern": "must match the pattern {limit}, not {value}",
    "uniqueItems": "must not have the same item twice",
    "contains": "must contain an item of another kind",
    "const": "must be {limit}, not {value}",
}

# A misspelt name explains the missing one, so it is told first.
_TELLING = ("additionalProperties", "required", "type", "enum", "const")

_MAX_DEPTH = 4
_MAX_SHOWN = 60
_MAX_CHOICES = 20


def argument_error(tool: str, errors: Sequence[ValidationError]) -> ArgumentError:
    """The most telling one of the errors, as what a caller reads."""
    worst = min(errors, key=_telling)
    field, problem = _explain(worst, 0)
    more = len(errors) - 1
    return ArgumentError(tool, field, problem + (f" (and {more} more)" if more else ""))


def explained(error: ValidationError) -> tuple[str, str]:
    """The field that an error is about (`a.b[0].c`, empty for the whole), and the problem."""
    return _explain(error, 0)


def _telling(error: ValidationError) -> tuple[int, int, str]:
    rule = str(error.validator)
    rank = _TELLING.index(rule) if rule in _TELLING else len(_TELLING)
    return len(error.absolute_path), rank, _where(error.absolute_path)


def _explain(error: ValidationError, depth: int) -> tuple[str, str]:
    """The field and the problem."""
    field, rule = _where(error.absolute_path), str(error.validator)
    if rule == "required":
        return _missing(error, field)
    if rule == "additionalProperties":
        return _unknown(error, field)
    if rule in {"anyOf", "oneOf"}:
        return _no_way(error, field, depth)
    return field, _problem(error, rule)


def _problem(error: ValidationError, rule: str) -> str:
    value, limit = cast("Any", error.instance), cast("Any", error.validator_value)
    if rule == "type":
        return _wrong_type(value, [limit] if isinstance(limit, str) else limit)
    if rule == "enum":
        return _not_a_choice(value, limit)
    if rule in _BOUNDS:
        size = len(value) if isinstance(value, Sized) else 0
        return _BOUNDS[rule].format(limit=shown(limit), value=shown(value), size=size)
    if rule in {"forbidden", "None"}:
        return "is not allowed here"
    return cut(error.message, 200)


def _missing(error: ValidationError, field: str) -> tuple[str, str]:
    given, schema = mapping(error.instance), mapping(error.schema)
    names = [name for name in sequence(error.validator_value) if isinstance(name, str) and name not in given]
    # jsonschema reports one missing name per error, in this order and in these words.
    name = next((name for name in names if error.message.startswith(f"{name!r} ")), names[0])
    properties = mapping(schema.get("properties"))
    near = suggest(name, [each for each in given if each not in properties], n=1)
    instead = f"; {near[0]!r} was given instead" if near else ""
    kind = mapping(properties.get(name)).get("type")
    wanted = f" ({_KINDS[kind]})" if isinstance(kind, str) and kind in _KINDS else ""
    return _joined(field, name), f"is required{wanted} and missing{instead}"


def _unknown(error: ValidationError, field: str) -> tuple[str, str]:
    properties = mapping(mapping(error.schema).get("properties"))
    extras = [name for name in mapping(error.instance) if name not in properties]
    name = next((name for name in extras if suggest(name, properties, n=1)), extras[0] if extras else "")
    near = "".join(f" Did you mean {each}?" for each in suggest(name, properties, n=1))
    known = f" Known fields: {_listed(properties)}." if properties else " There are no fields."
    where = "of this tool" if not field else f"of {field}"
    return _joined(field, name), f"is not a field {where}.{near}{known}"


def _no_way(error: ValidationError, field: str, depth: int) -> tuple[str, str]:
    """None of several forms fits: their kinds when each is just a kind, else the nearest form's problem."""
    forms: dict[object, list[ValidationError]] = {}
    for part in cast("Iterable[ValidationError]", error.context or ()):
        forms.setdefault(part.schema_path[0] if part.schema_path else None, []).append(part)
    if not forms:
        return field, "fits several of the forms that exclude each other"
    only_kinds = [parts[0] for parts in forms.values() if len(parts) == 1 and parts[0].validator == "type"]
    if len(only_kinds) == len(forms) and all(not part.path for part in only_kinds):
        kinds = [kind for part in only_kinds for kind in _as_list(part.validator_value)]
        return field, _wrong_type(error.instance, kinds)
    nearest = min(forms.values(), key=lambda parts: (_is_other_kind(parts), _says_other(parts), len(parts)))
    worst = min(nearest, key=_telling)
    if depth >= _MAX_DEPTH:
        return field, "fits none of the allowed forms"
    inner, problem = _explain(worst, depth + 1)
    return inner, f"{problem} (the nearest of {len(forms)} allowed forms)"


def _says_other(parts: list[ValidationError]) -> bool:
    """Whether a constant tells that another form is meant."""
    return any(part.validator == "const" for part in parts)


def _is_other_kind(parts: list[ValidationError]) -> bool:
    return any(part.validator == "type" and not part.path for part in parts)


def _wrong_type(value: object, kinds: object) -> str:
    names = [_KINDS.get(str(kind), str(kind)) for kind in _as_list(kinds)]
    wanted = " or ".join(dict.fromkeys(names))
    hint = ""
    if (
        isinstance(value, str)
        and {"integer", "number"} & set(map(str, _as_list(kinds)))
        and _is_number(value)
    ):
        hint = f"; write {value.strip()} without quotes"
    return f"must be {wanted}, not {_named(value)}{hint}"


def _not_a_choice(value: object, choices: object) -> str:
    known = _as_list(choices)
    words = [word for word in known if isinstance(word, str)]
    near = suggest(value, words, n=1) if isinstance(value, str) else ()
    listed = ", ".join(shown(choice) for choice in known[:_MAX_CHOICES])
    more = f" and {len(known) - _MAX_CHOICES} more" if len(known) > _MAX_CHOICES else ""
    meant = f". Did you mean {near[0]!r}?" if near else ""
    return f"must be one of {listed}{more}, not {shown(value)}{meant}"


def _named(value: object) -> str:
    """The value with its kind, in a word a caller knows."""
    if value is None or isinstance(value, bool):
        return repr(value)
    for kind, word in ((str, "the text"), ((int, float), "the number"), ((list, tuple), "the list")):
        if isinstance(value, kind):
            return f"{word} {shown(cast('object', value))}"
    if isinstance(value, dict):
        return f"the object {shown(cast('object', value))}"
    return f"a {type(value).__module__}.{type(value).__qualname__}, which JSON does not have"


def shown(value: object) -> str:
    """A value, cut to one short line."""
    try:
        return cut(repr(value), _MAX_SHOWN)
    except (ValueError, RecursionError):
        # Python refuses to write integers of more than 4300 digits.
        return "a value too large to show"


def cut(text: str, limit: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _where(path: Iterable[object]) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def _joined(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def _listed(names: Mapping[str, object]) -> str:
    known = list(names)
    more = f" and {len(known) - _MAX_CHOICES} more" if len(known) > _MAX_CHOICES else ""
    return ", ".join(known[:_MAX_CHOICES]) + more


def _as_list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else [value]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
