"""Connections to MCP servers: one task owns each session, and every death is somebody's error message.

    connection   one server, kept connected: states, backoff, the face that the fleet uses
    pool         several sessions to one server, behind the face of one connection
    session      one entered SDK client: its owner task, requests, listings, health
    flight       one request, and how it ends when its session does not let it
    answers      the SDK's errors in our words
    wires        stdio, Streamable HTTP, SSE, in-process: what the SDK is given, why it ended
    stdio, http, replies, sse, messages
                 the transports; stderr, last_words, watchdog: what a child said before its end, and its
                 end with its parent
    requests     the verbs; questions: what servers ask of us, and who answers
    listing      what is offered; freshness, subscriptions: being told when it changes
    faults, health, discretion, chatter, pace, warm

It knows nothing of routing, retries or other servers. Importing it imports the MCP SDK (about a second).
"""

from __future__ import annotations

from .connection import Connection
from .listing import Listing
from .pace import Pace
from .pool import ConnectionPool, Understudy, connection_for
from .questions import Answering, Elicitation, OnElicit, OnSample, Sampling
from .requests import OnProgress

__all__ = [
    "Answering",
    "Connection",
    "ConnectionPool",
    "Elicitation",
    "Listing",
    "OnElicit",
    "OnProgress",
    "OnSample",
    "Pace",
    "Sampling",
    "Understudy",
    "connection_for",
]
