"""What all servers offer under which names: entries, replica groups, conflicts, and the check of arguments.

Nothing here talks to a server: listings come in, resolutions and events go out. jsonschema is imported only
when a schema needs it.
"""

from mcpnb.catalog.book import Catalog
from mcpnb.catalog.checking import preload
from mcpnb.catalog.choices import Choices
from mcpnb.catalog.documents import Documents
from mcpnb.catalog.entry import Draft, Entry, ToolEntry, draft
from mcpnb.catalog.merging import MergedEntry
from mcpnb.catalog.parameters import Parameter
from mcpnb.catalog.pins import Pin, Pins
from mcpnb.catalog.policies import POLICIES
from mcpnb.catalog.resolution import KINDS, Conflict, Kind, Resolution

__all__ = [
    "KINDS",
    "POLICIES",
    "Catalog",
    "Choices",
    "Conflict",
    "Documents",
    "Draft",
    "Entry",
    "Kind",
    "MergedEntry",
    "Parameter",
    "Pin",
    "Pins",
    "Resolution",
    "ToolEntry",
    "draft",
    "preload",
]
