"""Connections to MCP servers: one task owns each session, and every death is somebody's error message.

    connection   one server, kept connected: states, backoff, the face that the fleet uses
    session      one entered SDK client: its owner task, requests, listings, health
    flight       one request, and how it ends when its session does not let it
    answers      the SDK's errors in our words
    wires        stdio, Streamable HTTP, SSE, in-process: what the SDK is given, why it ended
    stdio, http  the transports; stderr, watchdog: a child's last words, and its end with its parent
    listing, faults, pace, warm

It knows nothing of routing, retries or other servers. Importing it imports the MCP SDK (about a second).
"""

from __future__ import annotations

from .connection import Connection, OnProgress
from .listing import Listing
from .pace import Pace

__all__ = ["Connection", "Listing", "OnProgress", "Pace"]
