"""Discovery: servers that come and go, listed by somebody else.

Give a backend to `mcpnb.connect`, alone or among other sources; its servers join and leave while calls run.
Each is also an async iterator of `Added`, `Changed` and `Removed`.

    File, Static             a watched configuration file; servers that stay
    Registry                 the MCP Registry's API: server.json → commands and addresses, after asking
    DNS, Consul, Etcd        SRV records, a catalog of healthy instances, keys on leases

    backend                  what they have in common; reports: asked again after a failure
    following, reconciling   their servers in a fleet: names, damping, draining, a backend that goes away
    registering              servers of ours, published and renewed
    server_json, inputs, commands, asking     what a registry's entry would run, and who agrees to that
    advertised, changes, damping, naming, sources, web

It yields configurations and knows no client. What comes over a network is taken literally; nothing of it is
run before somebody has agreed to the exact command.
"""

from __future__ import annotations

from .asking import Approve, Person, Proposal
from .backend import Backend, Surroundings
from .changes import Added, BackendState, BackendStatus, Change, Changed, Removed, Sighting, Trouble
from .consul import Consul
from .damping import Damping
from .dns import DNS
from .etcd import Etcd
from .file import File
from .following import Following
from .reconciling import Members
from .registering import Member, Publisher, Registration, advert_of
from .registry import Registry
from .sources import Found, divided
from .static import Static

__all__ = [
    "DNS",
    "Added",
    "Approve",
    "Backend",
    "BackendState",
    "BackendStatus",
    "Change",
    "Changed",
    "Consul",
    "Damping",
    "Etcd",
    "File",
    "Following",
    "Found",
    "Member",
    "Members",
    "Person",
    "Proposal",
    "Publisher",
    "Registration",
    "Registry",
    "Removed",
    "Sighting",
    "Static",
    "Surroundings",
    "Trouble",
    "advert_of",
    "divided",
]
