"""What a user may say about a client, checked where it is said: see `call_options` for what concerns a call.

Options with rooms of their own (configuration, choices, protections) are checked there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, cast

from mcpnb.errors import suggest
from mcpnb.model import EVENT_KINDS

__all__ = ["check_answering", "check_kind", "check_regions", "check_seed"]


def check_seed(seed: object) -> None:
    """Nothing, when this can seed every random choice.

    Raises:
        TypeError: It cannot.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | str | None):
        raise TypeError(f"seed must be a whole number or a text, not {seed!r}")


def check_regions(home: object, distances: object) -> None:
    """Nothing, when these say where we are and how far regions are from each other.

    Raises:
        TypeError: `home` is no name, or `distances` no dict of dicts.
        ValueError: A distance is no number from 0 on.
    """
    if not isinstance(home, str | None):
        raise TypeError(f"home must be the name of a region, not {home!r}")
    if distances is None:
        return
    for region, row in _table(distances).items():
        for other, distance in _table(row).items():
            number = isinstance(distance, int | float) and not isinstance(distance, bool)
            if not number or not 0 <= distance < math.inf:
                raise ValueError(
                    f"the distance from {region} to {other} must be a number from 0 on, not {distance!r}"
                )


def check_answering(on_elicit: object, on_sample: object, roots: object) -> None:
    """Nothing, when these can answer what servers ask.

    Raises:
        TypeError: A callback that is none, or roots that are no list.
    """
    for name, callback in (("on_elicit", on_elicit), ("on_sample", on_sample)):
        if callback is not None and not callable(callback):
            raise TypeError(f"{name} must be callable, not {callback!r}")
    if roots is not None and not isinstance(roots, Iterable):
        raise TypeError(f"roots must be a list of folders, not {roots!r}")


def check_kind(kind: object) -> None:
    """Nothing, when events of this kind may come; `*` is every kind. What is no text, the events refuse.

    Raises:
        ValueError: They never come.
    """
    if isinstance(kind, str) and kind != "*" and kind not in EVENT_KINDS:
        near = suggest(kind, EVENT_KINDS, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(
            f"there are no events of the kind {kind!r}{meant} Known: *, {', '.join(EVENT_KINDS)}."
        )


def _table(given: object) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in cast("Any", given)):
        raise TypeError(
            f'distances must be a dict of regions to dicts, such as {{"eu": {{"us": 90}}}}, not {given!r}'
        )
    return dict(cast("Mapping[str, Any]", given))
