"""Routing: which server takes a call. Pure: it is told what happened and when, and answers what to do.

`Dispatcher` is the state machine of calls; `Pool` a set of interchangeable servers; `strategies` holds one
way of choosing per file. Nothing here knows MCP, an event loop, a clock or a network.
"""

from mcpnb.routing.actions import Action, BreakerChanged, Cancel, Ejected, Finish, Send, WaitUntil
from mcpnb.routing.dispatcher import Dispatcher

__all__ = ["Action", "BreakerChanged", "Cancel", "Dispatcher", "Ejected", "Finish", "Send", "WaitUntil"]
