"""What the playground's controls have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["heard", "narrow", "settle", "wide"]


def heard(action: Callable[[Any], None]) -> Callable[[Mapping[str, Any]], None]:
    """An observer that hands the new value on."""
    return lambda change: action(change["new"])


def settle(control: Any, value: Any, trait: str = "value") -> None:
    """Set a control's value where it differs: what is equal is not sent."""
    if getattr(control, trait) != value:
        setattr(control, trait, value)


def wide() -> Any:
    """The layout of a control that takes the room there is."""
    import ipywidgets  # noqa: PLC0415 - the panel has loaded it

    return ipywidgets.Layout(width="auto", margin="0")


def narrow() -> dict[str, str]:
    """The style of a control with a short label beside it."""
    return {"description_width": "64px"}
