"""What the discovery tests share: time that tests advance, and directories, real ones where there are any."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mcpnb.discovery import Person, Surroundings

from .consul_stand_in import ConsulStandIn
from .daemons import Dnsmasq, Etcd
from .given import Time
from .serving import served


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def around(time: Time) -> Surroundings:
    return Surroundings(clock=time.clock, sleep=time.sleep, rng=random.Random(7), person=Person())


@pytest.fixture(scope="session")
def etcd_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    daemon = Etcd(tmp_path_factory.mktemp("etcd"))
    daemon.start()
    yield daemon
    daemon.stop()


@pytest.fixture
def etcd(etcd_daemon: Etcd) -> Etcd:
    """A running etcd with nothing in it."""
    etcd_daemon.start()
    etcd_daemon.clear()
    return etcd_daemon


@pytest.fixture
def dnsmasq(tmp_path: Path) -> Iterator[Dnsmasq]:
    daemon = Dnsmasq(tmp_path)
    yield daemon
    daemon.stop()


@pytest.fixture
async def consul(anyio_backend: str) -> AsyncIterator[ConsulStandIn]:
    stand_in = ConsulStandIn()
    async with served(stand_in.app) as url:
        stand_in.url = url
        yield stand_in
        stand_in.wake()
