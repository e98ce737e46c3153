"""Names that mean several things, in a notebook: the verbs of a fleet, and the panel of its dashboard.

A row per conflict says what the name means and why; its dropdown chooses, which is a preference like any
other and shown as the line of code that does the same. What a choice means is the catalog's business.

Handlers may run on any thread: they touch nothing but widgets and the fleet, never raise, and leave what
takes time to a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from mcpnb.catalog import KINDS
from mcpnb.notebook.background import in_background
from mcpnb.notebook.face import Panel, widgets
from mcpnb.notebook.markup import cut, escape, shorten
from mcpnb.notebook.servers import swatch

if TYPE_CHECKING:
    from mcpnb.catalog import Conflict
    from mcpnb.client import MultiServerClient

__all__ = ["ConflictVerbs", "Contested", "OpenConflict", "conflicts_panel"]

_ROWS: Final = 20
"""Conflicts with a row of their own: a page with more could not be read."""
_WHY: Final = 160
_HINT: Final = 400
_BY_POLICY: Final = ""
"""What the dropdown says where nobody was preferred."""


class OpenConflict(NamedTuple):
    """A name that different servers offer differently, and what it could mean."""

    conflict: Conflict
    groups: tuple[tuple[str, ...], ...]
    """The servers of each group of replicas."""
    preferred: bool = False
    """Whether it means what it means because a user said so."""


class Contested(Protocol):
    """A fleet, as far as the panel needs it."""

    def open_conflicts(self) -> Sequence[OpenConflict]:
        """What is in conflict now."""
        ...

    def prefer(self, name: str, *servers: str, kind: str = "tool") -> None:
        """Have a name mean what a server offers; no server: what the policy chooses."""
        ...


class ConflictVerbs:
    """The verbs of a fleet about names that mean several things. They take effect on running traffic."""

    client: MultiServerClient

    def prefer(self, name: str, *servers: str, kind: str = "tool") -> None:
        """Have a name mean what this server offers under it; of several the first that offers it.

        Its policy is `user_preference` from then on. A preferred server that is down is not replaced by
        another that offers something else. Without servers the preference is taken back.

        Args:
            name: A tool's or a prompt's name, a resource's URI or template.
            servers: By name, most wanted first.
            kind: `tool`, `resource` or `prompt`.

        Raises:
            ConfigError: There is no such server.
            ToolNotFound: The server does not offer it.
        """
        self.run(_now, partial(self.client.prefer, name, *servers, kind=kind))

    def resolve(self, name: str, policy: str | None, *, kind: str = "tool") -> None:
        """Have a policy choose what a name means that different servers offer.

        Args:
            name: As for `prefer`; `*`, or `default`, for every name that has no policy of its own.
            policy: `first_server`, `last_server`, `newest_version`, `oldest_version`, `server_priority`,
                `user_preference`, `namespace` or `merge`; None goes back to the default.
            kind: `tool`, `resource` or `prompt`.

        Raises:
            ValueError: There is no such policy; lists the known ones.
        """
        self.run(_now, partial(self.client.resolve, name, policy, kind=kind))

    def prioritise(self, server: str, priority: int | None) -> None:
        """Give a server another priority, larger is preferred; None goes back to its config's.

        The policy `server_priority` and the strategies that go by priority look at it.

        Raises:
            ConfigError: There is no such server.
            ValueError: It is no whole number.
        """
        self.run(_now, partial(self.client.prioritise, server, priority))

    def approve(self, tool: str) -> None:
        """Take a tool that changed as it is now: `tool` at every server that offers it, or `server:tool`.

        Raises:
            ToolNotFound: Nobody offers it.
            ConfigError: The fleet was made without `pin=`.
        """
        self.run(_now, partial(self.client.approve, tool))

    def save(self, path: str | Path) -> None:
        """Write policies, preferences, priorities and pins, to be read by `connect(..., choices=path)`.

        Raises:
            ConfigError: It cannot be written.
        """
        self.run(_now, partial(self.client.save, path))

    def open_conflicts(self) -> list[OpenConflict]:
        """Names that different servers offer differently, each with everything that it could mean."""
        catalog = self.client.catalog
        found: list[OpenConflict] = []
        for each in catalog.conflicts:
            groups = tuple(group.servers for group in catalog.groups(each.kind, each.tool))
            wanted = catalog.choices.preferences.get((each.kind, each.tool), ())
            if groups:  # else it has gone, while this thread looked
                preferred = each.policy == "user_preference" and not set(wanted).isdisjoint(groups[0])
                found.append(OpenConflict(each, groups, preferred))
        return found

    def run(self, function: Callable[..., Coroutine[Any, Any, Any]], /, *args: Any) -> Any:
        """Run a coroutine function where the client lives; the fleet says how."""
        raise NotImplementedError


async def _now(act: Callable[[], None]) -> None:
    act()


def conflicts_panel(fleet: Contested) -> Panel:
    """The panel for a dashboard. It is there while there are conflicts."""
    return Panel.of("Conflicts", lambda: _Board(fleet))


class _Board:
    """The rows of all conflicts."""

    def __init__(
        self, fleet: Contested, *, run: Callable[[Callable[[], None]], None] = in_background
    ) -> None:
        self._fleet, self._run = fleet, run
        self._rows: dict[tuple[str, str], _Row] = {}
        self._more = widgets().HTML()
        self.widget: Any = widgets().VBox([])
        self.refresh()

    def refresh(self) -> bool:
        """Bring the rows in line with the fleet; whether there are any. Sends nothing when they are."""
        # By name: a row must not run away from the hand that moves its dropdown.
        found = sorted(
            self._fleet.open_conflicts(),
            key=lambda each: (KINDS.index(each.conflict.kind), each.conflict.tool),
        )
        shown = {(each.conflict.kind, each.conflict.tool): each for each in found[:_ROWS]}
        for key in self._rows.keys() - shown.keys():
            self._rows.pop(key).close()
        for key, each in shown.items():
            if key in self._rows:
                self._rows[key].follow(each)
            else:
                self._rows[key] = _Row(each, self._choose)
        hidden = len(found) - len(shown)
        more = f'<span class="mcpnb-dim">{hidden} more: <code>fleet.conflicts</code></span>' if hidden else ""
        if more != self._more.value:
            self._more.value = more
        rows = (*(self._rows[key].widget for key in shown), self._more)
        if rows != self.widget.children:
            self.widget.children = rows
        return bool(found)

    def _choose(self, row: _Row, server: str) -> None:
        """What a dropdown asks for, done in the background."""
        row.wait()

        def carry_out() -> None:
            try:
                self._fleet.prefer(row.conflict.tool, *([server] if server else []), kind=row.conflict.kind)
                said = f'<span class="mcpnb-good">✓</span> <code>{escape(row.code(server))}</code>'
            except Exception as error:  # noqa: BLE001 - a control has no caller; its user is told instead
                said = f'<span class="mcpnb-bad">✕</span> {cut(str(error))}'
            row.done(said)
            self.refresh()

        self._run(carry_out)


class _Row:
    """One conflict: what is chosen, why, and the dropdown."""

    def __init__(self, open_: OpenConflict, choose: Callable[[_Row, str], None]) -> None:
        w = widgets()
        self.conflict, self._choose, self._said = open_.conflict, choose, ""
        self._following = False  # the dropdown moves because the fleet did, not by a user's hand
        self._label = w.HTML(layout=w.Layout(margin="0 8px", flex="1 1 260px"))
        self.menu: Any = w.Dropdown(
            options=_options(open_),
            value=_chosen(open_),
            description=shorten(self._title, 24),
            tooltip=f"Which server's {open_.conflict.kind} {self.conflict.tool} is meant",
            style={"description_width": "140px"},
            layout=w.Layout(width="400px"),
        )
        self.menu.observe(self._moved, "value")
        layout = w.Layout(flex_flow="row wrap", align_items="center")
        self.widget: Any = w.HBox([self.menu, self._label], layout=layout)
        self._tell()

    @property
    def _title(self) -> str:
        c = self.conflict
        return c.tool if c.kind == "tool" else f"{c.kind} {c.tool}"

    def follow(self, open_: OpenConflict) -> None:
        """Show how it stands now."""
        if self.menu.disabled:
            return
        if open_.conflict != self.conflict:
            self.conflict = open_.conflict
            self._tell()
        self._following = True
        try:
            options = tuple(_options(open_))
            if options != tuple(self.menu.options):
                self.menu.options = options
            if self.menu.value != (chosen := _chosen(open_)):
                self.menu.value = chosen
        finally:
            self._following = False

    def wait(self) -> None:
        """Take no other choice until this one is carried out."""
        self.menu.disabled = True

    def done(self, said: str) -> None:
        """Say how it went."""
        self._said, self.menu.disabled = said, False
        self._tell()

    def code(self, server: str) -> str:
        """The line that chooses the same."""
        c = self.conflict
        parts = [repr(c.tool), *([repr(server)] if server else [])]
        parts += [f"kind={c.kind!r}"] if c.kind != "tool" else []
        return f"fleet.prefer({', '.join(parts)})"

    def close(self) -> None:
        """Give the widgets up."""
        for widget in (self._label, self.menu, self.widget):
            widget.close()

    def _tell(self) -> None:
        c = self.conflict
        means = f"means {swatch(c.chosen)}" if c.chosen else "means nothing by itself"
        why, _, more = c.why.partition(". ")
        said = f" · {self._said}" if self._said else ""
        hint = f'<div class="mcpnb-small">{cut(more, _HINT)}</div>' if more else ""
        self._label.value = (
            f'<div class="mcpnb">{means} '
            f'<span class="mcpnb-dim">· {escape(c.policy)}: {cut(why, _WHY)}</span>{said}{hint}</div>'
        )

    def _moved(self, change: Mapping[str, Any]) -> None:
        if not self._following:
            self._choose(self, change["new"] or _BY_POLICY)


def _options(open_: OpenConflict) -> list[tuple[str, str]]:
    """Label and value; in an order that does not depend on what is chosen."""
    policy = open_.conflict.policy
    by_policy = "by policy" if policy == "user_preference" else f"by policy ({policy})"
    groups = sorted(open_.groups)
    return [(by_policy, _BY_POLICY), *((shorten(_label(group), 60), group[0]) for group in groups)]


def _label(group: tuple[str, ...]) -> str:
    more = len(group) - 1
    return group[0] if not more else f"{group[0]} and {more} replica{'s' if more > 1 else ''}"


def _chosen(open_: OpenConflict) -> str:
    return open_.conflict.chosen if open_.preferred else _BY_POLICY
