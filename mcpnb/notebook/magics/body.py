"""The body of a `%%mcp` cell: a tool's arguments as YAML or JSON.

It owns how YAML is read here, by the rules that JSON's users expect: only `true` and `false` are booleans,
so that `country: no` is Norway; dates and times stay text; `$name` takes a variable; a name stands once.
PyYAML is imported when a body is no JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from mcpnb.notebook import arguments as written

__all__ = ["read_body"]

_PLAIN: Final = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    "float": (r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
}
"""What is no text where it stands without quotes, and what it may begin with: YAML 1.2's core, in short."""
_TYPED_TAGS: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in _PLAIN)
_VARIABLE: Final = re.compile(r"\$[A-Za-z_]\w*")


def read_body(text: str, variables: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The arguments that a body names, none for an empty one; and what was typed for numbers and the like.

    Raises:
        ValueError: It is no JSON object and no YAML mapping; the message says where.
    """
    if text.lstrip().startswith("{"):
        found, end = written.json_object(text, len(text) - len(text.lstrip()))
        if text[end:].strip():
            raise ValueError(f"nothing may follow the JSON object, but {text[end:].strip()[:40]!r} does")
        return found, {}
    value, words = _yaml(text, variables)
    if value is None:
        return {}, {}
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError("the body is not `name: value` lines or a JSON object")
    return value, words


def _yaml(text: str, variables: Mapping[str, Any]) -> tuple[Any, dict[str, str]]:
    try:
        import yaml  # noqa: PLC0415 - only for bodies that are no JSON
    except ImportError:
        raise ValueError(
            "a YAML body needs PyYAML: pip install 'mcpnb[yaml]', or write a JSON object"
        ) from None
    try:
        loader = _loader()(text)
        loader.variables = variables
        node = loader.get_single_node()
        return (None, {}) if node is None else (loader.construct_document(node), _words(node))
    except yaml.MarkedYAMLError as error:
        where = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise ValueError(f"the body is not YAML: {error.problem or error}{where}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"the body is not YAML: {error}") from None


def _words(node: Any) -> dict[str, str]:
    """What stands there for the values that are read as numbers, booleans and null."""
    pairs = node.value if node.id == "mapping" else []
    return {
        key.value: value.value for key, value in pairs if value.id == "scalar" and value.tag in _TYPED_TAGS
    }


@cache
def _loader() -> Any:
    """PyYAML's safe loader, with what it makes of unquoted words narrowed."""
    import yaml  # noqa: PLC0415 - as above

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's way to say it
        variables: Mapping[str, Any] = {}

        def construct_variable(self, node: Any) -> Any:
            name = node.value[1:]
            if name not in self.variables:
                raise ValueError(
                    f"there is no variable {name!r}; '{node.value}' in quotes is the text itself"
                )
            return self.variables[name]

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            found = super().construct_mapping(node, deep)
            if len(found) < len(node.value):
                names = [key.value for key, _ in node.value]
                raise ValueError(f"{next(name for name in names if names.count(name) > 1)} is given twice")
            return found

        def construct_whole(self, node: Any) -> int:
            return int(node.value)

        def construct_number(self, node: Any) -> float:
            return float(node.value)

    for kind, (pattern, firsts) in _PLAIN.items():
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"(?:{pattern})$"), list(firsts))
    Loader.add_implicit_resolver("!variable", re.compile(f"{_VARIABLE.pattern}$"), ["$"])
    Loader.add_constructor("!variable", Loader.construct_variable)
    Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_whole)
    Loader.add_constructor("tag:yaml.org,2002:float", Loader.construct_number)
    return Loader
