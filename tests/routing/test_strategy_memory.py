"""What is remembered of servers that are here, out for a moment, or gone for good."""

from __future__ import annotations

from mcpnb.model import Endpoint
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.memory import ABSENT, Memory


def node(i: int) -> Node:
    return Node(Endpoint(f"s{i}"), i)


def test_a_server_that_is_out_for_a_moment_finds_its_history_again():
    memory, server = Memory[int](), node(0)
    memory.added(server)
    memory.put(server, 7)
    memory.removed(server)
    memory.added(server)
    assert memory.known[server] == 7


def test_of_those_that_are_gone_the_longest_absent_is_forgotten_first():
    memory, servers = Memory[int](), [node(i) for i in range(ABSENT + 3)]
    for server in servers:
        memory.added(server)
        memory.put(server, server.index)
    for server in servers[:-1]:
        memory.removed(server)
    assert set(servers) - set(memory.known) == set(servers[:2])
    memory.put(servers[2], 5)  # the last answer of one that left: it was heard of now
    memory.put(servers[0], 5)
    assert servers[2] in memory.known
    assert servers[3] not in memory.known
    assert servers[-1] in memory.known


def test_a_server_of_which_nothing_is_known_takes_no_room():
    memory = Memory[int]()
    for i in range(3 * ABSENT):
        server = node(i)
        memory.added(server)
        memory.removed(server)
    assert not memory.known
    assert not memory._absent
