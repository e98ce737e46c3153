"""Tools as Python objects: `fleet.tool.weather.forecast("London", days=3)`, with signature and docstring.

It owns how a tool shows itself to a person who types: names to complete, what Shift-Tab says. Calls are the
fleet's verbs, the card is `tool_card`'s; what a name means is the catalog's business.
"""

from __future__ import annotations

import copy
import keyword
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from mcpnb.catalog import ToolEntry
from mcpnb.catalog.parameters import mapping, sequence
from mcpnb.client.documents import choices
from mcpnb.errors import AmbiguousTool, ToolChanged, ToolNotFound
from mcpnb.notebook.markup import shorten, visible
from mcpnb.notebook.tool_card import tool_bundle
from mcpnb.notebook.tool_signature import docstring, signature

if TYPE_CHECKING:
    import pandas as pd

    from mcpnb.catalog import Catalog
    from mcpnb.notebook.fleet import Fleet, View
    from mcpnb.notebook.forms import ToolForm
    from mcpnb.notebook.results import Aggregate, Result

__all__ = ["Namespace", "NoSuchTool", "Tool", "Tools", "entry_of"]

_OWN: Final = ("arguments", "choices", "form", "gather", "map", "name", "schema", "servers")
_NAME: Final = 80
"""Characters of a name that can be typed."""
_GONE: Final = "no server offers it now"


class NoSuchTool(ToolNotFound, AttributeError):
    """`fleet.tool.nonsense`: an attribute that is no tool, as `hasattr` wants to hear it."""


class Tool:
    """A tool of a fleet: call it like a function. `.form()`, `.gather()`, `.map()`, `.schema`.

    Its signature and docstring are made from the tool's schema. Arguments that are needed may be given in
    their order, all others by name.
    """

    def __init__(self, fleet: Fleet | View, catalog: Catalog, name: str) -> None:
        entry = entry_of(catalog, name)
        self._fleet, self._catalog, self._name = fleet, catalog, name
        self._known = catalog.providers(name)
        """Who offered it when it was last offered."""
        self.__name__ = self.__qualname__ = visible(shorten(name, 200))
        self.__doc__ = docstring(entry)
        self.__signature__ = signature(entry)
        self.__dict__["__call__"] = _like(self)

    # -- calls

    def __call__(self, /, *args: Any, **named: Any) -> Result:
        """Call it on the server that routing picks; see `Fleet.call`."""
        return self._fleet.call(self._name, self._arguments(args, named))

    def gather(self, /, *args: Any, **named: Any) -> Aggregate:
        """Call it on every server that has it, and fuse the answers; see `Fleet.gather`."""
        return self._fleet.gather(self._name, self._arguments(args, named))

    def map(self, rows: Any, /, **options: Any) -> pd.DataFrame:
        """Call it once for each row; see `Fleet.map`."""
        return self._fleet.map(self._name, rows, **options)

    def form(self, /, **start: Any) -> ToolForm:
        """A form with a field for each argument and a button that calls it.

        Args:
            start: Arguments that are filled in at first.
        """
        return self._fleet.form(self._name, start)

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of its arguments: a copy, as the server wrote it.

        Raises:
            ToolNotFound: No server offers it any more.
        """
        return copy.deepcopy(dict(self._entry.input_schema))

    @property
    def name(self) -> str:
        """Its true name, as `fleet.call` takes it."""
        return self._name

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of its arguments, those that are needed first."""
        return tuple(each.name for each in self._entry.parameters)

    def choices(self, argument: str) -> list[str]:
        """What an argument may be, as text, where its schema says so; else what it gives as examples."""
        about = mapping(mapping(self._entry.input_schema.get("properties")).get(argument))
        examples = [text for text in sequence(about.get("examples")) if isinstance(text, str)]
        return choices(self._entry.input_schema, argument) or examples

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers that offer it, in the order of declaration."""
        return tuple(entry.server for entry in self._catalog.providers(self._name))

    @property
    def _entry(self) -> ToolEntry:
        return entry_of(self._catalog, self._name)

    def _arguments(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
        """Positions become names, as in a function of that signature. Whether they fit the catalog says."""
        names = [
            each.name
            for each in self.__signature__.parameters.values()
            if each.kind is each.POSITIONAL_OR_KEYWORD
        ]
        if len(args) > len(names):
            takes = f"{len(names)} argument{'' if len(names) == 1 else 's'} without a name"
            raise TypeError(f"{self._name} takes {takes} ({', '.join(names)}), but {len(args)} were given")
        placed = dict(zip(names, args, strict=False))
        if doubled := placed.keys() & named.keys():
            raise TypeError(f"{self._name} got {', '.join(sorted(doubled))} twice")
        return {**placed, **named}

    # -- how it looks

    def _offered(self) -> bool:
        """Whether anybody offers it now, who is kept in mind then."""
        with suppress(ToolNotFound):
            self._known = self._catalog.providers(self._name)
            return True
        return False

    def __repr__(self) -> str:
        servers = ", ".join(visible(each.server) for each in self._known) if self._offered() else ""
        whence = f" from {servers}" if servers else f"; {_GONE}"
        return f"<Tool {self.__name__}{shorten(str(self.__signature__), 200)}{whence}>"

    def __dir__(self) -> Iterable[str]:
        children = [name for name in self.__dict__ if not name.startswith("_")]
        return [*_OWN, *children]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002
        gone = not self._offered()
        return tool_bundle(self._name, self._known, f"As it was: {_GONE}." if gone else "")


class Namespace:
    """Names that begin alike: `fleet.tool.weather` has `forecast` of `weather.forecast`."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __repr__(self) -> str:
        return f"<tools {self._path}.*: {', '.join(self.__dir__())}>"

    def __dir__(self) -> list[str]:
        return [name for name in self.__dict__ if not name.startswith("_")]

    def __getattr__(self, name: str) -> Any:
        known = [f"{self._path}.{each}" for each in self.__dir__()]
        raise NoSuchTool(f"{self._path}.{name}", known)


class Tools:
    """The tools of a fleet: `fleet.tool.weather.forecast`, `fleet.tool["weather.forecast"]`.

    Brackets take every name, and `server:tool` for the tool of one server; after a dot stand those that
    Python can write. What servers offer now counts.
    """

    def __init__(self, fleet: Fleet | View, catalog: Catalog) -> None:
        self._fleet, self._catalog = fleet, catalog
        self._version = -1
        self._tree: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Tool:
        return Tool(self._fleet, self._catalog, name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what IPython and Python ask of every object
            raise AttributeError(name)
        tree = self._grown()
        if name not in tree:
            raise NoSuchTool(name, self._catalog.names)
        return tree[name]

    def __dir__(self) -> list[str]:
        return sorted(self._grown())

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __contains__(self, name: object) -> bool:
        return name in self._names() or name in self._pairs()

    def __repr__(self) -> str:
        names = [visible(shorten(name, _NAME)) for name in self._names()]
        more = f", … {len(names) - 20} more" if len(names) > 20 else ""
        return f"<{len(names)} tools: {', '.join(names[:20])}{more}>"

    def _ipython_key_completions_(self) -> list[str]:
        return [*self._names(), *self._pairs()]

    def _names(self) -> list[str]:
        return list(dict.fromkeys(entry.name for entry in self._catalog.entries))

    def _pairs(self) -> list[str]:
        return [str(entry.ref) for entry in self._catalog.entries]

    def _grown(self) -> dict[str, Any]:
        """The names after the dot, made anew when servers offer something else."""
        if self._version != (version := self._catalog.version):
            self._tree = _grow(self, self._names())
            self._version = version
        return self._tree


def _grow(tools: Tools, names: Iterable[str]) -> dict[str, Any]:
    """Identifier → tool, or namespace. Of a tool that is also a namespace the inner tools are attributes."""
    tree: dict[str, Any] = {}
    for name in sorted(names, key=lambda name: name.count(".")):  # a tool comes before what stands in it
        steps = name.split(".")
        if not all(map(_can_be_typed, steps)):
            continue
        here, outer = tree, None
        for depth, step in enumerate(steps, 1):
            if isinstance(outer, Tool) and hasattr(Tool, step):  # such as its `form`: brackets have this one
                break
            if depth == len(steps):
                here[step] = tools[name]
            outer = here.setdefault(step, Namespace(".".join(steps[:depth])))
            here = outer.__dict__
    return tree


def _can_be_typed(name: str) -> bool:
    """Whether it can stand after a dot, and means nothing to Python and IPython themselves."""
    plain = name.isidentifier() and not keyword.iskeyword(name)
    return plain and not name.startswith("_") and len(name) <= _NAME


def entry_of(catalog: Catalog, name: str) -> ToolEntry:
    """What a name means; where it means several things, the first of them: a call says that it must choose.

    Raises:
        ToolNotFound: No server offers it; suggests near names.
    """
    try:
        return catalog.resolve(name).entry
    except (AmbiguousTool, ToolChanged):
        return catalog.providers(name)[0]


def _like(tool: Tool) -> Callable[..., Any]:
    """What introspection finds where a call goes: the same signature, and nothing that was said before."""

    def call(*args: Any, **named: Any) -> Any:
        return tool(*args, **named)

    call.__signature__ = tool.__signature__  # pyright: ignore[reportFunctionMemberAccess] - what inspect reads
    return call
