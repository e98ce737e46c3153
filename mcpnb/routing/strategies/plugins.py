"""Strategies that other distributions bring along: the entry points of the group `mcpnb.strategies`.

    [project.entry-points."mcpnb.strategies"]
    sticky = "their_package.routing:Sticky"

An entry point names a `Strategy` class, or a function that returns one. It knows nothing of what a strategy
is: who calls says how to register one. A plug-in that does not work costs a warning and nothing else.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

GROUP = "mcpnb.strategies"


def load(register: Callable[[object, str], None]) -> None:
    """Hand each entry point's object and name to `register`; in the end, warn of those that failed."""
    from importlib.metadata import EntryPoint, entry_points  # noqa: PLC0415 - slow to import, and rarely needed

    def attempt(point: EntryPoint) -> str:
        try:
            register(point.load(), point.name)
        except Exception as problem:  # noqa: BLE001 - somebody else's code may raise anything
            owner = point.dist.name if point.dist is not None else "an unknown distribution"
            return (
                f"{owner}: the entry point {point.name!r} ({point.value}) of {GROUP} cannot be used: "
                f"{type(problem).__name__}: {problem}"
            )
        return ""

    problems = [attempt(point) for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)]
    for problem in filter(None, problems):
        warnings.warn(problem, RuntimeWarning, stacklevel=2)
