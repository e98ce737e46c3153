"""Draws that several strategies share. Chance comes in as an argument."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from mcpnb.routing.node import Node

SCAN = 64
"""Servers that a pick may look at one by one; beyond, it looks at two drawn at random."""
SHOWN = 8
"""Servers whose numbers an explanation shows."""


def two(nodes: Sequence[Node], rng: random.Random) -> tuple[Node, Node]:
    """Two distinct servers out of two or more, each pair with the same probability."""
    n = len(nodes)
    i, j = int(rng.random() * n), int(rng.random() * (n - 1))
    return nodes[i], nodes[j + 1 if j >= i else j]


def few(nodes: Sequence[Node], rng: random.Random) -> Sequence[Node]:
    """All servers when they are few, else two at random."""
    return nodes if len(nodes) <= SCAN else two(nodes, rng)


def lowest(nodes: Sequence[Node], measure: Callable[[Node], float], rng: random.Random) -> Node:
    """The server that measures least, ties at random."""
    values = [measure(node) for node in nodes]
    least = min(values)
    ties = [node for node, value in zip(nodes, values, strict=True) if value == least]
    return ties[int(rng.random() * len(ties))]


def shown(chosen: Node, nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The chosen server and some that it was weighed against, for the explanation."""
    return (chosen, *[node for node in nodes[:SHOWN] if node is not chosen])
