"""Resources and prompts in a notebook: what is offered as DataFrames, what was read as something to look at.

It owns columns and dtypes, as `frames` does for everything else. Importing it loads pandas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mcpnb.client import documents as core
from mcpnb.notebook.results import Result
from mcpnb.notebook.tables import TEXT
from mcpnb.result import Result as Answer

if TYPE_CHECKING:
    from mcp_types import Prompt

    from mcpnb.connection import Listing

__all__ = ["Document", "prompts_frame", "resources_frame"]


@dataclass(frozen=True, repr=False)
class Document(core.Document, Result):  # pyright: ignore[reportIncompatibleVariableOverride] - the core's are meant
    """A resource or a prompt: `.value`, `.df`, `.text`, `.content`, `.raw`, `.server`, `.explain()`."""

    __repr__ = core.Document.__repr__

    @classmethod
    def of(cls, result: Answer) -> Document:
        """The same document, for a notebook."""
        made = object.__new__(cls)
        made.__dict__.update(result.__dict__)
        return made


def resources_frame(listings: Mapping[str, Listing]) -> pd.DataFrame:
    """One row per resource or template and server, in the servers' order.

    Columns: `uri` (a template's with its variables in braces), `server`, `name`, `title`, `description`,
    `mime_type`, `bytes` (missing when unknown), `template`.
    """
    rows = [
        (server, item)
        for server, listing in listings.items()
        for item in (*listing.resources, *listing.templates)
    ]
    return pd.DataFrame(
        {
            "uri": _texts(
                getattr(item, "uri", None) or getattr(item, "uri_template", "") for _, item in rows
            ),
            "server": _category(server for server, _ in rows),
            "name": _texts(item.name for _, item in rows),
            "title": _texts(item.title for _, item in rows),
            "description": _texts(item.description for _, item in rows),
            "mime_type": _category(item.mime_type for _, item in rows),
            "bytes": pd.array([getattr(item, "size", None) for _, item in rows], dtype="Int64"),
            "template": np.array([hasattr(item, "uri_template") for _, item in rows], np.bool_),
        }
    )


def prompts_frame(listings: Mapping[str, Listing]) -> pd.DataFrame:
    """One row per prompt and server, in the servers' order.

    Columns: `prompt`, `server`, `title`, `description`, `arguments` (joined by commas; optional ones end in
    a question mark).
    """
    rows = [(server, prompt) for server, listing in listings.items() for prompt in listing.prompts]
    return pd.DataFrame(
        {
            "prompt": _texts(prompt.name for _, prompt in rows),
            "server": _category(server for server, _ in rows),
            "title": _texts(prompt.title for _, prompt in rows),
            "description": _texts(prompt.description for _, prompt in rows),
            "arguments": _texts(_arguments(prompt) for _, prompt in rows),
        }
    )


def _arguments(prompt: Prompt) -> str:
    return ", ".join(a.name if a.required else f"{a.name}?" for a in prompt.arguments or ())


def _texts(values: Iterable[str | None]) -> pd.Series:
    return pd.Series(list(values), dtype=TEXT)


def _category(values: Iterable[str | None]) -> pd.Categorical:
    known = list(values)
    occurring = dict.fromkeys(value for value in known if value is not None)
    return pd.Categorical(known, categories=pd.Index(list(occurring), dtype=TEXT))
