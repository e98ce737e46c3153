"""A town with an issuer, and somebody who uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .town import Clock, Guests, Issuer, Town


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Issuer:
    return Issuer(clock)


@pytest.fixture
async def town(issuer: Issuer) -> Town:
    town = Town(issuer)
    for name in ("a", "b", "c"):
        town.build(name)
    return town


@pytest.fixture
async def guests(town: Town, clock: Clock) -> AsyncIterator[Guests]:
    guests = Guests(town, clock)
    yield guests
    await guests.close()
