"""How one name is resolved: its groups of replicas, ranked by a policy, and what was passed over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mcpnb.catalog import justify
from mcpnb.catalog.policies import Policy
from mcpnb.catalog.replicas import Group, listed
from mcpnb.catalog.resolution import Conflict


@dataclass(frozen=True, slots=True)
class Choice:
    """What a name means among everything it could mean."""

    groups: tuple[Group, ...]
    """Best first; in the order of declaration when the policy chooses none."""
    chosen: Group | None
    conflict: Conflict | None
    """None when there was nothing to choose."""

    @property
    def note(self) -> str:
        """How the choice fell, for an explanation; empty when there was nothing to choose."""
        if not self.conflict or not self.chosen:
            return ""
        return f"{self.conflict.policy}: {self.chosen} over {listed(self.groups[1:])}"


def choose(
    name: str, groups: Sequence[Group], policy: Policy, priorities: Mapping[str, int], *, at: float
) -> Choice:
    """Which of the groups a name means; `at` (Unix time) is since when."""
    if len(groups) == 1:
        return Choice(tuple(groups), groups[0], None)
    ranked = policy.rank(groups, priorities)
    passed_over = ranked[1:] if ranked else groups
    conflict = Conflict(
        at=at,
        tool=name,
        policy=policy.name,
        chosen=ranked[0].servers[0] if ranked else "",
        rejected=tuple(server for group in passed_over for server in group.servers),
        why=justify.why(policy, ranked, groups),
    )
    return Choice(tuple(ranked or groups), ranked[0] if ranked else None, conflict)
