"""What a discovered server is called in the fleet: its own name, and never that of another one.

A server keeps its name for as long as its backend lists it. Pure.
"""

from __future__ import annotations

from collections.abc import Container

__all__ = ["Names"]


class Names:
    """Names in a fleet that several backends, and people, put servers into."""

    def __init__(self) -> None:
        self._given: dict[tuple[int, str], str] = {}

    def claim(self, backend: int, key: str, wanted: str, taken: Container[object]) -> str:
        """The name of a backend's server: the one it has, else `wanted`, else that with a number.

        Args:
            backend: Which of the backends.
            key: What the backend knows the server by.
            wanted: What it should be called.
            taken: Names of servers that came another way.
        """
        if (backend, key) not in self._given:
            used, chosen, number = set(self._given.values()), wanted, 2
            while chosen in used or chosen in taken:
                chosen, number = f"{wanted}-{number}", number + 1
            self._given[backend, key] = chosen
        return self._given[backend, key]

    def release(self, backend: int, key: str) -> None:
        """The backend's server has left for good."""
        self._given.pop((backend, key), None)
