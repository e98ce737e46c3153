"""How one name is resolved: its groups of replicas, ranked by a policy, and what was passed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcpnb.catalog import justify
from mcpnb.catalog.policies import FIRST, MERGE, POLICIES, Policy, Terms
from mcpnb.catalog.replicas import Group, listed
from mcpnb.catalog.resolution import Conflict, Kind
from mcpnb.errors import NoServerAvailable
from mcpnb.versions import specifier


@dataclass(frozen=True, slots=True)
class Choice:
    """What a name means among everything it could mean."""

    groups: tuple[Group, ...]
    """Best first; in the order of declaration when the policy chooses none."""
    chosen: Group | None
    conflict: Conflict | None
    """None when there was nothing to choose."""
    merged: bool = False
    """All groups together are meant."""
    reason: str = ""
    """Why the policy chose as it did."""

    @property
    def servers(self) -> tuple[str, ...]:
        """Those that may answer; none when the policy chooses none."""
        if self.merged:
            return tuple(server for group in self.groups for server in group.servers)
        return self.chosen.servers if self.chosen else ()

    def note(self, chosen: Group | None = None, because: str = "") -> str:
        """How the choice fell, for an explanation; empty when there was nothing to choose.

        Args:
            chosen: Another group than the policy's, which a call's own demand made it.
            because: That demand.
        """
        group = chosen or self.chosen
        if not self.conflict or not group:
            return ""
        if self.merged:
            return f"{self.conflict.policy}: {listed(self.groups)} as one"
        others = [other for other in self.groups if other is not group]
        reason = f" ({self.reason})" if group is self.chosen else ""
        return f"{self.conflict.policy}{because}: {group} over {listed(others)}{reason}"

    def fitting(self, name: str, version: str | None) -> tuple[Group | None, str]:
        """The best ranked group that has a demanded version, and that demand in words.

        Raises:
            NoServerAvailable: None has; a line per server.
        """
        if version is None or self.chosen is None or self.merged or len(self.groups) == 1:
            return self.chosen, ""
        asked = specifier(version)
        refusals = {
            entry.server: asked.refusal(entry.version) for group in self.groups for entry in group.entries
        }
        for group in self.groups:
            if not all(refusals[server] for server in group.servers):
                return group, f", version {version}"
        raise NoServerAvailable(name, refusals)


def choose(
    kind: Kind, name: str, groups: Sequence[Group], policy: Policy, terms: Terms, *, at: float
) -> Choice:
    """Which of the groups a name means; `at` (Unix time) is since when."""
    if len(groups) == 1:
        return Choice(tuple(groups), groups[0], None)
    if policy.name == MERGE and kind != "tool":
        policy = POLICIES[FIRST]  # there are no arguments by which a resource or prompt could be made one
    ranked, why, merged = policy.rank(groups, terms)
    merged = merged and kind == "tool"
    passed_over = () if merged else ranked[1:] if ranked else groups
    conflict = Conflict(
        at=at,
        tool=name,
        policy=policy.name,
        chosen=ranked[0].servers[0] if ranked else "",
        rejected=tuple(server for group in passed_over for server in group.servers),
        why=justify.why(why, groups),
        kind=kind,
    )
    return Choice(tuple(ranked or groups), ranked[0] if ranked else None, conflict, merged, why)
