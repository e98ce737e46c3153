"""The playground's two tables of controls: servers, and what happens to them, a row each.

It owns the widgets of the rows and what each control changes. It keeps no state: it is told what to show,
and hands on a change as a function from state to state. Rows are made when a table is first opened, and of
very many only the first few: each control costs a page some milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from mcpnb.notebook.markup import escape, visible
from mcpnb.notebook.palette import SERVERS
from mcpnb.notebook.playground import state as st
from mcpnb.notebook.playground import vocabulary as voc
from mcpnb.notebook.playground.state import State
from mcpnb.simulation import At, SimServer

MOST: Final = 12
"""Rows of a table; what is beyond stays as it is."""

Change = Callable[[State], State]
Tell = Callable[[Change], None]
"""Takes what a control wants changed."""


class Cell(NamedTuple):
    """A column of a table of controls."""

    head: str
    width: str
    """Of the column, as CSS grids say it."""
    kind: str
    """The name of the ipywidgets class."""
    options: Mapping[str, Any] = {}


class Table(Protocol):
    """What a table of controls is about."""

    noun: str
    """What a row is."""
    css: str
    cells: Sequence[Cell]

    def count(self, state: State) -> int:
        """How many rows the state has."""
        ...

    def values(self, state: State, place: int) -> Sequence[Any]:
        """What the controls of a row show."""
        ...

    def options(self, state: State) -> Mapping[int, Sequence[str]]:
        """Column → what its menu offers, where that depends on the state."""
        ...

    def name(self, state: State, place: int) -> str:
        """What the row is about, for its controls' labels."""
        ...

    def idle(self, state: State, place: int) -> Collection[int]:
        """Columns that say nothing in this row."""
        ...

    def changed(self, state: State, place: int, column: int, value: Any) -> State:
        """The state after a control was set."""
        ...

    def added(self, state: State) -> State:
        """The state with a row more."""
        ...

    def removed(self, state: State, place: int) -> State:
        """The state with a row less."""
        ...


class Servers:
    """The servers: who they are and how they work."""

    noun, css = "server", "mcpnb-rows-servers"
    cells: Sequence[Cell] = (
        Cell("name", "minmax(70px, 1.2fr)", "Text"),
        Cell("mean ms", "78px", "BoundedFloatText", {"min": 0.01, "max": 600_000, "step": 10}),
        Cell("time of a call", "minmax(96px, 1fr)", "Dropdown", {"options": (*voc.SHAPES, voc.AS_GIVEN)}),
        Cell("workers", "64px", "BoundedIntText", {"min": 1, "max": 1000}),
        Cell("rtt ms", "70px", "BoundedFloatText", {"min": 0, "max": 60_000, "step": 10}),
        Cell("errors %", "70px", "BoundedFloatText", {"min": 0, "max": 100, "step": 1}),
        Cell("region", "minmax(54px, 0.8fr)", "Text"),
        Cell("weight", "66px", "BoundedFloatText", {"min": 0.001, "max": 1e6, "step": 0.5}),
    )

    def count(self, state: State) -> int:
        """See `Table`."""
        return len(state.servers)

    def name(self, state: State, place: int) -> str:
        """See `Table`."""
        return state.servers[place].name

    def options(self, state: State) -> Mapping[int, Sequence[str]]:  # noqa: ARG002 - its menu is fixed
        """See `Table`."""
        return {}

    def values(self, state: State, place: int) -> Sequence[Any]:
        """See `Table`."""
        s = state.servers[place]
        return (
            s.name, round(s.service.mean * 1000, 6), voc.shape_of(s.service), s.workers,
            round(s.rtt * 1000, 6), round(s.error_rate * 100, 6), s.region or "", s.weight,
        )  # fmt: skip

    def idle(self, state: State, place: int) -> Collection[int]:  # noqa: ARG002 - each says something
        """See `Table`."""
        return ()

    def changed(self, state: State, place: int, column: int, value: Any) -> State:
        """See `Table`."""
        return st.edit_server(state, place, **_server_field(state.servers[place], column, value))

    def added(self, state: State) -> State:
        """See `Table`."""
        return st.add_server(state)

    def removed(self, state: State, place: int) -> State:
        """See `Table`."""
        return st.remove_server(state, place)


def _server_field(server: SimServer, column: int, value: Any) -> dict[str, Any]:
    """A control's value as the field of a server that it stands for."""
    if column == 1:
        return {"service": voc.reshaped(server.service, mean=value / 1000)}
    if column == 2:
        return {} if value == voc.AS_GIVEN else {"service": voc.reshaped(server.service, shape=value)}
    name, scale = _PLAIN[column]
    return {name: value * scale if scale != 1 else value or None if name == "region" else value}


_PLAIN: Final = {
    0: ("name", 1), 3: ("workers", 1), 4: ("rtt", 1e-3), 5: ("error_rate", 1e-2), 6: ("region", 1),
    7: ("weight", 1),
}  # fmt: skip
"""Column → the server's field, and that over the control's value."""


class Faults:
    """What happens to the servers, and when."""

    noun, css = "fault", "mcpnb-rows-faults"
    cells: Sequence[Cell] = (
        Cell("at, s", "84px", "BoundedFloatText", {"min": 0, "max": 3600, "step": 1}),
        Cell("server", "minmax(90px, 1fr)", "Dropdown"),
        Cell("what happens", "minmax(110px, 1.2fr)", "Dropdown", {"options": (*voc.FAULTS, voc.AS_GIVEN)}),
        Cell("by how much (times, %, ms)", "150px", "BoundedFloatText", {"min": 0, "max": 1e6, "step": 1}),
    )

    def count(self, state: State) -> int:
        """See `Table`."""
        return len(state.timeline)

    def name(self, state: State, place: int) -> str:
        """See `Table`."""
        at = state.timeline[place]
        return f"change {place + 1}, of {at.server} at {at.t:g} s"

    def options(self, state: State) -> Mapping[int, Sequence[str]]:
        """See `Table`."""
        return {1: [server.name for server in state.servers]}

    def values(self, state: State, place: int) -> Sequence[Any]:
        """See `Table`."""
        at = state.timeline[place]
        word, amount = voc.fault_of(at)
        return round(at.t, 3), at.server, word, round(amount, 6)

    def idle(self, state: State, place: int) -> Collection[int]:
        """See `Table`."""
        kind = voc.FAULTS.get(voc.fault_of(state.timeline[place])[0])
        return () if kind is not None and kind.number else (3,)

    def changed(self, state: State, place: int, column: int, value: Any) -> State:
        """See `Table`."""
        return st.edit_fault(state, place, _fault(state.timeline[place], column, value))

    def added(self, state: State) -> State:
        """See `Table`."""
        return st.add_fault(state)

    def removed(self, state: State, place: int) -> State:
        """See `Table`."""
        return st.remove_fault(state, place)


def _fault(at: At, column: int, value: Any) -> At:
    word, _ = voc.fault_of(at)
    if column == 0:
        return replace(at, t=value)
    if column == 1:
        return replace(at, server=value)
    if column == 2:
        kind = voc.FAULTS.get(value)
        return at if kind is None or value == word else kind.make(at.t, at.server, kind.amount)
    return voc.FAULTS[word].make(at.t, at.server, value) if word in voc.FAULTS else at


class Editor:
    """The widgets of one table."""

    def __init__(self, table: Table, tell: Tell) -> None:
        import ipywidgets  # noqa: PLC0415 - the panel has loaded it

        self._w: Any = ipywidgets
        self._table, self._tell = table, tell
        self._rows: list[list[Any]] = []
        self._removers: list[Any] = []
        self._state: State | None = None
        # One layout for all cells and one style per kind: each of their own would be two messages more.
        self._layout: Any = ipywidgets.Layout(width="auto", margin="0", min_width="0")
        self._styles: dict[str, Any] = {}
        self._heads: Any = ipywidgets.HTML(self._head_row(), layout=self._layout)
        self._more: Any = ipywidgets.HTML(layout=self._layout)
        self._add: Any = ipywidgets.Button(
            description=f"Add a {table.noun}",
            tooltip="One row more",
            layout=ipywidgets.Layout(width="150px", margin="6px 0 0"),
        )
        self._add.on_click(self._pressed(table.added))
        self.box: Any = ipywidgets.Box([], layout=ipywidgets.Layout(display="none"))
        for css in ("mcpnb-panel", "mcpnb-rows", table.css):
            self.box.add_class(css)
        self._shown: Callable[[], bool] = lambda: self.box.layout.display != "none"

    def open(self, shown: bool) -> None:
        """Show the table, or put it away."""
        self.box.layout.display = None if shown else "none"
        if shown and self._state is not None:
            self._draw(self._state)

    def follow(self, state: State) -> None:
        """Bring the rows in line with a state; those out of sight wait until they are opened."""
        self._state = state
        if self._shown():
            self._draw(state)

    def parts(self) -> list[Any]:
        """Widgets that stand in nothing at the moment, to be closed with the panel."""
        return [widget for row in self._rows for widget in row] + [
            *self._removers,
            self._add,
            self._heads,
            self._more,
        ]

    def _draw(self, state: State) -> None:
        count = self._table.count(state)
        shown = min(count, MOST)
        for place in range(len(self._rows), shown):
            self._rows.append(self._make(place, state))
            self._removers.append(self._remover(place))
        for place in range(shown):
            self._fill(place, state)
        left = count - shown
        words = (
            f"… and {left} more, which stay as they are"
            if left
            else ""
            if count
            else "nothing happens to any server"
        )
        self._more.value = f'<div class="mcpnb"><p class="mcpnb-dim">{words}</p></div>'
        cells = [
            w for row, gone in zip(self._rows[:shown], self._removers, strict=False) for w in (*row, gone)
        ]
        children = (self._heads, *cells, self._more, self._add)
        if children != self.box.children:
            self.box.children = children

    def _head_row(self) -> str:
        heads = "".join(f"<span>{escape(cell.head)}</span>" for cell in self._table.cells)
        return f'<div class="mcpnb mcpnb-heads {self._table.css}">{heads}</div>'

    def _make(self, place: int, state: State) -> list[Any]:
        offered = self._table.options(state)
        values = self._table.values(state, place)
        return [
            self._control(place, column, cell, values[column], offered.get(column))
            for column, cell in enumerate(self._table.cells)
        ]

    def _control(self, place: int, column: int, cell: Cell, value: Any, offered: Sequence[str] | None) -> Any:
        options = {**cell.options, **({"options": list(offered)} if offered is not None else {})}
        if cell.kind == "Text":
            options["continuous_update"] = False
        if cell.kind in self._styles:
            options["style"] = self._styles[cell.kind]
        control = getattr(self._w, cell.kind)(value=value, layout=self._layout, **options)
        self._styles[cell.kind] = control.style
        control.add_class(f"mcpnb-cell{column}")
        control.observe(partial(self._set, place, column), "value")
        return control

    def _set(self, place: int, column: int, change: Mapping[str, Any]) -> None:
        value = change["new"]
        self._tell(lambda state: self._table.changed(state, place, column, value))

    def _remover(self, place: int) -> Any:
        button = self._w.Button(description="Remove", layout=self._layout)
        button.on_click(self._pressed(lambda state: self._table.removed(state, place)))
        return button

    def _pressed(self, change: Change) -> Callable[[object], None]:
        return lambda _: self._tell(change)

    def _fill(self, place: int, state: State) -> None:
        """Set a row's controls; nothing is sent where nothing differs."""
        offered = self._table.options(state)
        about, idle = visible(self._table.name(state, place)), self._table.idle(state, place)
        for column, (control, value) in enumerate(
            zip(self._rows[place], self._table.values(state, place), strict=True)
        ):
            if column in offered and tuple(offered[column]) != tuple(control.options):
                control.options = list(offered[column])
            if control.value != value:
                control.value = value
            if control.disabled != (column in idle):
                control.disabled = column in idle
            label = f"{self._table.cells[column].head} of {about}"
            if control.description != label:
                control.description = label
        if self._removers[place].tooltip != (said := f"Remove {about}"):
            self._removers[place].tooltip = said
        if isinstance(self._table, Servers):
            self._paint(self._rows[place][0], state.servers[place].name)

    @staticmethod
    def _paint(control: Any, server: str) -> None:
        """Give a server's row its accent."""
        accent = SERVERS.accent(server).css
        worn = next((css for css in control._dom_classes if css.startswith("mcpnb-a")), "")  # noqa: SLF001 - ipywidgets has no other way to ask
        if worn != accent:
            if worn:
                control.remove_class(worn)
            control.add_class(accent)
