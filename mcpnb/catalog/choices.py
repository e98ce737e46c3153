"""What a user chose for names that mean several things: policies, preferred servers, priorities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from mcpnb.catalog.policies import FIRST, PREFERENCE, Policy, Terms, policy_of
from mcpnb.catalog.resolution import KINDS, Kind

Name = tuple[Kind, str]

K = TypeVar("K")
V = TypeVar("V")

EVERY = frozenset({"*", "default"})
"""Stand for every name that has no policy of its own."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What was chosen so far."""

    policy: str = FIRST
    """Of names that have none of their own."""
    policies: Mapping[Name, str] = field(default_factory=dict[Name, str])
    preferences: Mapping[Name, tuple[str, ...]] = field(default_factory=dict[Name, tuple[str, ...]])
    """The servers that are wanted for a name, the first that offers it."""
    priorities: Mapping[str, int] = field(default_factory=dict[str, int])
    """Of servers that have another than their config says."""

    def of(self, kind: Kind, name: str, priorities: Mapping[str, int]) -> tuple[Policy, Terms]:
        """By which policy a name is resolved, and on what terms."""
        policy = self.policies.get((kind, name), self.policy)
        preferred = self.preferences.get((kind, name), ())
        return policy_of(policy), Terms(priorities, preferred, self.policy)

    def resolved(self, kind: Kind, name: str, policy: str | None) -> Choices:
        """With another policy for a name, or for one of `EVERY`; None takes a name's own one back.

        Raises:
            ValueError: There is no such policy; lists the known ones.
        """
        chosen = None if policy is None else policy_of(policy).name
        if name in EVERY:
            return replace(self, policy=chosen or FIRST)
        return replace(self, policies=_with(self.policies, (kind, name), chosen))

    def preferring(self, kind: Kind, name: str, servers: tuple[str, ...]) -> Choices:
        """With servers preferred for a name, in this order; none takes the preference back."""
        key = (kind, name)
        mine = PREFERENCE if servers else None
        policies = (
            _with(self.policies, key, mine) if servers or self.policies.get(key) == PREFERENCE else None
        )
        return replace(
            self,
            preferences=_with(self.preferences, key, servers or None),
            policies=self.policies if policies is None else policies,
        )

    def prioritising(self, server: str, priority: int | None) -> Choices:
        """With another priority for a server; None goes back to what its config says."""
        return replace(self, priorities=_with(self.priorities, server, priority))

    def by_kind(self, kind: Kind) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
        """Policies and preferences of one kind, by name."""
        policies = {name: policy for (of, name), policy in self.policies.items() if of == kind}
        preferences = {name: servers for (of, name), servers in self.preferences.items() if of == kind}
        return policies, preferences


def kind_of(text: str) -> Kind:
    """The kind of that name.

    Raises:
        ValueError: There is none.
    """
    for kind in KINDS:
        if text == kind:
            return kind
    raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {text!r}")


def _with(known: Mapping[K, V], key: K, value: V | None) -> dict[K, V]:
    others = {name: each for name, each in known.items() if name != key}
    return others if value is None else {**others, key: value}
