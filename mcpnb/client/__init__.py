"""The asynchronous core: `MultiServerClient`, the live driver of the dispatcher.

No frames, no widgets, no notebook: a service can use it as it is.
"""

from mcpnb.client.core import MultiServerClient
from mcpnb.client.verbs import CallView, Trial

__all__ = ["CallView", "MultiServerClient", "Trial"]
