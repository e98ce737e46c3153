"""What a form is for, as far as the form needs to know: a port, and no tool, prompt or fleet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from mcpnb.notebook.cells import Cell

if TYPE_CHECKING:
    from mcpnb.notebook.future import CallFuture

__all__ = ["Subject"]


class Subject(Protocol):
    """What a form is for: something with arguments that can be called."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of its arguments, as it is now.

        Raises:
            McpnbError: It is not there any more.
        """
        ...

    @property
    def destructive(self) -> bool:
        """Whether it may change or delete things; raises as `schema` does."""
        ...

    @property
    def verbs(self) -> tuple[str, ...]:
        """Ways to call it, the usual one first: `call`, `gather`; `prompt`; `read`."""
        ...

    def begin(self, verb: str, arguments: Mapping[str, Any], cell: Cell | None) -> CallFuture[Any]:
        """Start a call, for that cell, and do not wait for it."""
        ...

    def code(self, verb: str, arguments: Mapping[str, Any]) -> str:
        """The line of Python that does the same."""
        ...

    def suggest(
        self, argument: str, text: str, known: Mapping[str, Any], take: Callable[[Sequence[str]], None]
    ) -> None:
        """Have `take` told, on whatever thread, what an argument's text may become."""
        ...

    @property
    def suggests(self) -> bool:
        """Whether `suggest` may know anything."""
        ...

    def head(self) -> str:
        """Its name, what it does, who offers it, as HTML."""
        ...

    def still(self, note: str) -> dict[str, str]:
        """What it looks like where nothing lives, as a MIME bundle, with a note of ours."""
        ...
