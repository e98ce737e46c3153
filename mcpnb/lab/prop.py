"""What a lesson needs besides servers: something on this computer that runs, is shown, and ends.

It owns how such a thing looks and that a `with` block ends it. What it is, its class says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import NamedTuple, Self

from mcpnb.notebook.cards import card, head
from mcpnb.notebook.markup import bundle, escape

__all__ = ["Prop", "Said"]


class Said(NamedTuple):
    """How a prop is."""

    state: str
    """A symbol and a word."""
    tone: str
    """`good`, `bad` or `dim`."""
    rest: str

    @classmethod
    def of(cls, rest: str, *, running: bool) -> Self:
        """Of one that could run."""
        return cls("● running", "good", rest) if running else cls("✗ stopped", "bad", rest)


class Prop(ABC):
    """It runs from the beginning until `close()`, the end of a `with` block, or the end of this process."""

    @abstractmethod
    def close(self) -> None:
        """End it for good. Closing twice is fine."""

    @abstractmethod
    def _said(self) -> Said:
        """How it is now."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        said = self._said()
        return f"{said.state}: {said.rest}"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        said = self._said()
        title = f'<span class="mcpnb-{said.tone}">{said.state}</span>'
        return bundle(card(head(title, (escape(said.rest),))), repr(self))
