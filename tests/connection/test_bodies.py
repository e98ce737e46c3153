"""Which answers count as long, and that nothing of them is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import httpx2
import pytest

from mcpnb.connection.bodies import unhurried

from .conftest import connected
from .gate import gated

pytestmark = pytest.mark.anyio

KIB = 1024


class Pieces(httpx2.AsyncByteStream):
    def __init__(self, sizes: Iterable[int]) -> None:
        self.sizes = tuple(sizes)
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for n, size in enumerate(self.sizes):
            yield bytes([n % 256]) * size

    async def aclose(self) -> None:
        self.closed = True


class Patient:
    """Reads at once, and counts the bytes after which it might not have."""

    gave_way = 0

    async def rest(self, items: int) -> None: ...

    async def draft(self, tools: object) -> None: ...

    async def give_way(self, server: str, size: int) -> None:
        assert server == "web"
        self.gave_way += size


async def rests(*sizes: int) -> list[int]:
    """The sizes of the pieces after which others had the loop."""
    told: list[int] = []

    async def on_piece(size: int) -> None:
        told.append(size)

    pieces = Pieces(sizes)
    response = httpx2.Response(200, stream=pieces)
    unhurried(response, on_piece)
    assert await response.aread() == b"".join([piece async for piece in Pieces(sizes)])
    assert pieces.closed
    return told


async def test_an_answer_of_the_usual_size_is_read_at_once() -> None:
    assert await rests(*[64 * KIB] * 4) == []


async def test_of_a_long_one_others_have_the_loop_after_each_piece() -> None:
    assert await rests(*[64 * KIB] * 7) == [64 * KIB] * 3


async def test_a_stream_of_many_short_answers_is_never_held_up() -> None:
    assert await rests(*[64 * KIB, 64 * KIB, 200] * 50) == []
    assert await rests(*[8 * KIB] * 500) == []


async def test_who_waits_for_very_much_waits_no_longer_than_seconds_for_others() -> None:
    assert len(await rests(*[1024 * KIB] * 40)) == 32


async def test_a_long_answer_over_http_is_whole() -> None:
    text, patient = "x" * 3_000_000, Patient()
    async with gated() as (_, config), connected(config, reader=patient) as (connection, _):
        assert (await connection.call_tool("echo", {"text": text})).content[0].text == text
        assert patient.gave_way > 2_000_000
