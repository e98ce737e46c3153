"""What a strategy is: it sees eligible servers and events, and picks one. It never reads a clock."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mcpnb.model import OutcomeKind
from mcpnb.routing.node import Node


@dataclass(frozen=True, slots=True)
class Parameter:
    """One knob of a strategy, described well enough for a widget to build its control.

    Raises:
        ValueError: The default lies outside the bounds.
    """

    name: str
    default: float
    """An `int` makes it a parameter of whole numbers."""
    minimum: float
    maximum: float
    help: str
    unit: str = ""
    """Of its values, as a label says it: `s`; empty for a count or a share of one."""

    def __post_init__(self) -> None:
        self.check(self.default)

    @property
    def label(self) -> str:
        """The name of its control: `tau, s`."""
        return f"{self.name}, {self.unit}" if self.unit else self.name

    @property
    def whole(self) -> bool:
        """Whether it takes whole numbers only."""
        return isinstance(self.default, int)

    def check(self, value: object) -> float:
        """The value as a number within the bounds, an `int` where only whole numbers make sense.

        Raises:
            TypeError: It is not a number.
            ValueError: It is out of bounds, or has a fraction where it must not.
        """
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{self.name} must be a number, not {value!r}")
        if not self.minimum <= value <= self.maximum:
            raise ValueError(
                f"{self.name} must lie between {self.minimum:g} and {self.maximum:g}, not {value:g}"
            )
        if not self.whole:
            return float(value)
        if value != int(value):
            raise ValueError(f"{self.name} must be a whole number, not {value:g}")
        return int(value)

    def __str__(self) -> str:
        return f"{self.name}={self.default:g} ({self.minimum:g} to {self.maximum:g}: {self.help})"


class Strategy:
    """Base of every strategy. One instance serves one pool, and its state is its own.

    The keyword arguments of a subclass's constructor are its `parameters`.
    """

    name: ClassVar[str] = ""
    aliases: ClassVar[tuple[str, ...]] = ()
    help: ClassVar[str] = ""
    """One line for a menu."""
    looks_at: ClassVar[str] = ""
    """What `measure` returns, with its unit; empty for strategies that look at nothing."""
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    keyed: ClassVar[bool] = False
    """Whether the pick depends on `key`."""

    key: str = ""
    """Before each pick of a keyed strategy: the call's affinity key, else its arguments', else its tool."""
    compared: Sequence[Node] = ()
    """The servers that the last pick weighed against each other, for the explanation."""

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:
        """One of `eligible`, which is never empty and always in the same stable order."""
        raise NotImplementedError

    def measure(self, node: Node, now: float) -> float:  # noqa: ARG002 - subclasses use both
        """The number that `pick` compares, lower is better."""
        return 0.0

    def locate(self, home: str, distances: Mapping[str, float]) -> None:
        """Where the calls come from, and how far the regions are from there; told before anything else."""

    def expected(self, node: Node, now: float) -> None:
        """When the strategy is new: a server of its pool that is not eligible yet."""

    def added(self, node: Node, now: float) -> None:
        """A server became eligible."""

    def removed(self, node: Node, now: float) -> None:
        """A server stopped being eligible. It may come back."""

    def started(self, node: Node, now: float) -> None:
        """An attempt that this strategy placed was sent; the server's calls in flight count it already."""

    def finished(self, node: Node, kind: OutcomeKind, latency: float, now: float) -> None:
        """An attempt that this strategy placed ended after `latency` seconds; it counts as in flight yet."""
