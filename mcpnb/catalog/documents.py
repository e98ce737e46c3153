"""Resources, templates and prompts of a listing, as entries of the catalog."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mcpnb.catalog.entry import Entry, fingerprint, own_version
from mcpnb.model import ToolRef

if TYPE_CHECKING:
    from mcp_types import Prompt, Resource, ResourceTemplate

__all__ = ["Documents", "prompts_of", "resources_of"]


class Documents(NamedTuple):
    """What a listing has beside tools."""

    resources: Sequence[Resource] = ()
    templates: Sequence[ResourceTemplate] = ()
    prompts: Sequence[Prompt] = ()


def resources_of(server: str, listed: Documents, version: str | None) -> dict[str, Entry]:
    """The resources by URI and the templates by their text; of two of one name the first counts."""
    templates = [_entry(server, item.uri_template, item, version) for item in listed.templates]
    return _by_name(
        [*(_entry(server, str(item.uri), item, version) for item in listed.resources), *templates]
    )


def prompts_of(server: str, listed: Documents, version: str | None) -> dict[str, Entry]:
    """The prompts by name; of two of one name the first counts."""
    return _by_name(_prompt(server, item, version) for item in listed.prompts)


def _entry(server: str, name: str, item: Resource | ResourceTemplate, version: str | None) -> Entry:
    """Alike are resources of one media type: what stands in them is nobody's to compare."""
    ref = ToolRef(server, name)
    own = own_version(item.meta) or version
    mark = fingerprint(ref, {"name": name, "type": item.mime_type})
    return Entry(ref, item.title or "", item.description or "", own, mark)


def _prompt(server: str, item: Prompt, version: str | None) -> Entry:
    """Alike are prompts that take the same arguments."""
    ref = ToolRef(server, item.name)
    takes = {argument.name: bool(argument.required) for argument in item.arguments or ()}
    own = own_version(item.meta) or version
    return Entry(ref, item.title or "", item.description or "", own, fingerprint(ref, takes))


def _by_name(entries: Iterable[Entry]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in entries:
        found.setdefault(entry.name, entry)
    return found
