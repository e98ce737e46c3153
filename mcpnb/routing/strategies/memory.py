"""What a strategy knows of each server, without growing for ever in a fleet where servers come and go."""

from __future__ import annotations

from typing import Generic, TypeVar

from mcpnb.routing.node import Node

T = TypeVar("T")

ABSENT = 4096
"""Servers that are out and still remembered; of the one that was heard of longest ago all is forgotten."""


class Memory(Generic[T]):
    """One value for each server that is here, and for the last `ABSENT` that are not.

    A server that is out for a moment finds its history again. `known` is for reading, and for writing of
    those that are here.
    """

    __slots__ = ("_absent", "_here", "known")

    def __init__(self) -> None:
        self.known: dict[Node, T] = {}
        self._here: set[Node] = set()
        self._absent: dict[Node, None] = {}  # the longest absent first

    def added(self, node: Node) -> None:
        """The server is here: what is known of it stays."""
        self._here.add(node)
        self._absent.pop(node, None)

    def removed(self, node: Node) -> None:
        """The server is out."""
        self._here.discard(node)
        if node in self.known:
            self._miss(node)

    def put(self, node: Node, value: T) -> T:
        """Remember a value; also of a server that left while its last call was out."""
        self.known[node] = value
        if node not in self._here:
            self._miss(node)
        return value

    def _miss(self, node: Node) -> None:
        self._absent.pop(node, None)
        self._absent[node] = None
        if len(self._absent) > ABSENT:
            oldest = next(iter(self._absent))
            del self._absent[oldest], self.known[oldest]
