"""Fields within fields: an object, a list, one of several forms.

It owns how inputs stand in each other on the page, and which input a field gets. What is read from them it
does not judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from mcpnb.notebook.face import close_tree
from mcpnb.notebook.fields import Field
from mcpnb.notebook.forms.controls import LEFT_OUT, label
from mcpnb.notebook.forms.inputs import (
    UNSAID,
    Input,
    Leaf,
    Problem,
    Wrong,
    help_html,
    inner,
    said_html,
)
from mcpnb.notebook.forms.kit import Kit
from mcpnb.notebook.markup import escape, shorten, visible
from mcpnb.notebook.shapes import Shapes

__all__ = ["Group", "Rows", "Ways", "make", "whole"]

_ROWS: Final = 100
"""Items of one list."""
_FIRST_ROWS: Final = 5
"""Empty items that a list begins with, when it needs them."""


def make(kit: Kit, shapes: Shapes, field: Field, start: Any = UNSAID) -> Input:
    """The input of a field.

    Args:
        kit: Makes the widgets.
        shapes: Knows the fields within the field.
        field: What is asked for.
        start: The value that it holds at first; LEFT_OUT for none.
    """
    if start is UNSAID:
        start = LEFT_OUT if field.default is None else field.default
    if start is not LEFT_OUT and not (start is None and field.nullable) and not field.accepts(start):
        start = LEFT_OUT
    if field.kind not in {"object", "list", "ways"}:
        return Leaf(kit, field, start)
    if kit.left <= 0 or (isinstance(start, list) and len(start) > _ROWS):
        return Leaf(kit, replace(field, kind="json", least=None, most=None), start)
    if field.kind == "ways" or not field.required or field.nullable:
        return Ways(kit, shapes, field, start)
    return (Group if field.kind == "object" else Rows)(kit, shapes, field, start)


class _Nested:
    """What fields with fields of their own share: a head, a line for what is wrong, a box."""

    def __init__(self, kit: Kit, shapes: Shapes, field: Field) -> None:
        self._kit, self._shapes, self.field = kit, shapes, field
        self._head, self._trouble = kit.html(_head(field)), kit.html()
        self._titled = True

    def say(self, text: str) -> None:
        """See `Input.say`."""
        self._kit.say(self._trouble, help_html("", text))

    def rename(self, title: str) -> None:
        """See `Input.rename`."""
        self.field = replace(self.field, title=title)
        self._kit.say(self._head, _head(self.field) if self._titled else "")

    def behead(self) -> None:
        """Show no title: something above has it."""
        self._titled = False
        self._kit.say(self._head, "")


def _head(field: Field) -> str:
    said = f' <span class="mcpnb-small">{said_html(field.description)}</span>'
    return f'<div class="mcpnb-legend"><b>{escape(label(field))}</b>{said}</div>'


class Group(_Nested):
    """An object: its members, and a JSON text for what it may have beyond them.

    Args:
        whole: It is the form itself, without a head; what `start` does not say, defaults do.
    """

    def __init__(
        self, kit: Kit, shapes: Shapes, field: Field, start: Any = LEFT_OUT, *, whole: bool = False
    ) -> None:
        super().__init__(kit, shapes, field)
        given = {} if start is LEFT_OUT else dict(start)
        unsaid = UNSAID if whole or start is LEFT_OUT else LEFT_OUT
        self._members = [
            (member.name, make(kit, shapes, member, given.pop(member.name, unsaid)))
            for member in shapes.members(field)
        ]
        more = shapes.more(field, there=bool(given))
        self._more = None if more is None else Leaf(kit, more, given or LEFT_OUT)
        self._names = {name for name, _ in self._members}
        rows = [part for _, member in self._members for part in member.widgets]
        rows += self._more.widgets if self._more else ()
        if whole:
            self.widgets = (*rows, self._trouble)
        else:
            self.widgets = (kit.box((self._head, *rows, self._trouble), "mcpnb-fields"),)

    def read(self, at: str, wrong: Wrong) -> Any:
        """See `Input.read`."""
        values = {name: member.read(inner(at, name), wrong) for name, member in self._members}
        given = {name: value for name, value in values.items() if value is not LEFT_OUT}
        return {**self._others(at, wrong), **given}

    def _others(self, at: str, wrong: Wrong) -> dict[str, Any]:
        """What stands in the JSON text."""
        place = inner(at, "others") if self._more else ""
        others = LEFT_OUT if self._more is None else self._more.read(place, wrong)
        if others is LEFT_OUT:
            return {}
        if not isinstance(others, dict):
            wrong[place] = Problem("this needs a JSON object")
            return {}
        if doubled := self._names.intersection(others):
            wrong[place] = Problem(f"{', '.join(sorted(doubled))} has a field of its own")
        return others

    def places(self, at: str) -> Iterator[tuple[str, Input]]:
        """See `Input.places`."""
        yield at, self
        for name, member in self._members:
            yield from member.places(inner(at, name))
        if self._more:
            yield inner(at, "others"), self._more

    def rest(self, busy: bool) -> None:
        """See `Input.rest`."""
        for _, member in self._members:
            member.rest(busy)
        if self._more:
            self._more.rest(busy)


class Rows(_Nested):
    """A list: a row for each item, which can be removed, and a button for one more."""

    def __init__(self, kit: Kit, shapes: Shapes, field: Field, start: Any = LEFT_OUT) -> None:
        super().__init__(kit, shapes, field)
        self._item = shapes.item(field)
        self._rows: list[tuple[Input, Any, Any]] = []  # the item, its button, what stands on the page
        self._box = kit.box()
        self._busy = False
        self._add = kit.button(f"Add to {label(field).removesuffix(' *')}", "One more item", self._add_one)
        parts = (self._head, self._box, self._add, self._trouble)
        self.widgets = (kit.box(parts, "mcpnb-fields"),)
        needed = min(int(field.least or 0), _FIRST_ROWS) if field.least else 0
        for value in [UNSAID] * needed if start is LEFT_OUT else list(start)[:_ROWS]:
            self._append(value)
        self._number()

    def read(self, at: str, wrong: Wrong) -> Any:
        """See `Input.read`."""
        values = [item.read(f"{at}[{place}]", wrong) for place, (item, _, _) in enumerate(self._rows)]
        return [value for value in values if value is not LEFT_OUT]

    def places(self, at: str) -> Iterator[tuple[str, Input]]:
        """See `Input.places`."""
        yield at, self
        for place, (item, _, _) in enumerate(self._rows):
            yield from item.places(f"{at}[{place}]")

    def rest(self, busy: bool) -> None:
        """See `Input.rest`."""
        self._busy = busy
        for item, remove, _ in self._rows:
            item.rest(busy)
            remove.disabled = busy
        self._add.disabled = busy or len(self._rows) >= _ROWS or self._kit.left <= 0

    def _append(self, value: Any) -> None:
        item = make(self._kit, self._shapes, self._item, value)
        remove = self._kit.button("Remove", "Take this item out of the list", lambda: self._remove(item))
        line = self._kit.row((self._kit.box(item.widgets, "mcpnb-item"), remove))
        line.add_class("mcpnb-line")
        self._rows.append((item, remove, line))

    def _add_one(self) -> None:
        if not self._add.disabled:
            self._append(UNSAID)
            self._number()

    def _remove(self, item: Input) -> None:
        for row in list(self._rows):
            if row[0] is item:
                self._rows.remove(row)
                self._kit.left += sum(isinstance(each, Leaf) for _, each in item.places(""))
                self._number()
                close_tree(row[2])

    def _number(self) -> None:
        """Have the page show the items, each under its place in the list."""
        for place, (item, remove, _) in enumerate(self._rows):
            name = f"{shorten(self.field.title, 40)}[{place}]"
            item.rename(name)
            remove.tooltip = visible(f"Take {name} out of the list")
        self._box.children = tuple(line for _, _, line in self._rows)
        self.rest(self._busy)
        self._kit.changed()


class Ways:
    """One of several forms, or none: a menu, and below it the inputs of what was chosen.

    An object or a list that may be left out or null is such a choice, too.
    """

    def __init__(self, kit: Kit, shapes: Shapes, field: Field, start: Any = LEFT_OUT) -> None:
        self._kit, self._shapes, self.field = kit, shapes, field
        alone = replace(field, required=True, nullable=False, default=None)
        self._forms = shapes.forms(field) if field.kind == "ways" else (alone,)
        self._made: dict[int, Input] = {}
        self._start = start
        self._help, self._box, self._wrong = kit.html(), kit.box(), ""
        self._menu = kit.watched(self._choices(start), self._show)
        self.widgets = (self._menu, self._help, self._box)
        self._show()

    def _choices(self, start: Any) -> Any:
        field = self.field
        free = [] if field.required else [("left out", "out")]
        null = [("null", "null")] if field.nullable else []
        only = field.kind != "ways"
        forms = [
            ("filled in" if only else shorten(visible(form.title), 60), place)
            for place, form in enumerate(self._forms)
        ]
        return self._kit.w.Dropdown(
            options=[*free, *null, *forms],
            value=self._first(start),
            description=label(field),
            tooltip=f"Which form {visible(shorten(field.title, 60))} has",
            style={"description_width": "150px"},
            layout={"width": "560px", "max_width": "calc(100% - 4px)"},
        )

    def _first(self, start: Any) -> Any:
        """What is chosen at first: what fits the value."""
        if start is None and self.field.nullable:
            return "null"
        if start is LEFT_OUT:
            return 0 if self.field.required else "out"
        whole = (n for n, form in enumerate(self._forms) if fits(self._shapes, form, start))
        part = (n for n, form in enumerate(self._forms) if fits(self._shapes, form, start, in_part=True))
        return next(whole, next(part, 0))

    def _show(self) -> None:
        """Have the page show the inputs of the form that is chosen; others keep what is in them."""
        chosen = self._menu.value
        if isinstance(chosen, int) and chosen not in self._made:
            form, start = self._forms[chosen], self._start
            fitting = start is not LEFT_OUT and fits(self._shapes, form, start, in_part=True)
            start = start if fitting else UNSAID
            self._made[chosen] = _bare(make(self._kit, self._shapes, form, start))
        self._box.children = () if self._chosen is None else self._chosen.widgets
        self.say(self._wrong)
        self._kit.changed()

    def say(self, text: str) -> None:
        """See `Input.say`."""
        self._wrong = text
        said = self.field.description
        if isinstance(self._chosen, Group | Rows):  # a plain field says it itself
            said = self._chosen.field.description or said
        self._kit.say(self._help, help_html(said_html(said), text))

    @property
    def _chosen(self) -> Input | None:
        return self._made.get(self._menu.value) if isinstance(self._menu.value, int) else None

    def read(self, at: str, wrong: Wrong) -> Any:
        """See `Input.read`."""
        if (chosen := self._chosen) is not None:
            return chosen.read(at, wrong)
        return None if self._menu.value == "null" else LEFT_OUT

    def places(self, at: str) -> Iterator[tuple[str, Input]]:
        """See `Input.places`."""
        yield at, self
        if (chosen := self._chosen) is not None:
            yield from chosen.places(at)

    def rest(self, busy: bool) -> None:
        """See `Input.rest`."""
        self._menu.disabled = busy
        for made in self._made.values():
            made.rest(busy)

    def rename(self, title: str) -> None:
        """See `Input.rename`."""
        self.field = replace(self.field, title=title)
        self._menu.description = label(self.field)


def _bare(made: Input) -> Input:
    """An input whose head the menu above it has."""
    if isinstance(made, Group | Rows):
        made.behead()
    return made


def fits(shapes: Shapes, field: Field, value: Any, *, in_part: bool = False) -> bool:
    """Whether a value may be one of that form, by its kind, its needed members and its constants.

    With `in_part` members may be missing: somebody is still filling them in.
    """
    if not field.accepts(value):
        return False
    if field.kind != "object":
        return True
    for member in shapes.members(field):
        if member.name not in value:
            if member.required and not in_part:
                return False
        elif member.kind in {"constant", "choice"} and not member.accepts(value[member.name]):
            return False
    return True


def whole(kit: Kit, schema: Mapping[str, Any], start: dict[str, Any]) -> Input:
    """The input of a form itself: all that a schema asks for."""
    shapes = Shapes(schema)
    field = shapes.whole("arguments")
    if field.kind == "ways":
        return Ways(kit, shapes, field, start or LEFT_OUT)
    return Group(kit, shapes, field, start, whole=True)
