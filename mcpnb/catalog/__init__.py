"""What all servers offer under which names: entries, replica groups, conflicts, and the check of arguments.

Nothing here talks to a server: listings come in, resolutions and events go out. jsonschema is imported only
when a schema needs it.
"""

from mcpnb.catalog.book import Catalog
from mcpnb.catalog.checking import preload
from mcpnb.catalog.entry import ToolEntry
from mcpnb.catalog.parameters import Parameter
from mcpnb.catalog.policies import POLICIES
from mcpnb.catalog.resolution import Conflict, Resolution

__all__ = ["POLICIES", "Catalog", "Conflict", "Parameter", "Resolution", "ToolEntry", "preload"]
