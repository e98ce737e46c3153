"""Answers that drip: in small pieces, at the pace asked for, and whole in the end."""

from __future__ import annotations

from typing import Any

import pytest

from mcpnb.lab.servers.dripping import Dripping

pytestmark = pytest.mark.anyio


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"x" * 45, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def answered(pace: float | None, *, kind: str = "http") -> tuple[list[Any], list[float]]:
    """What was sent, and how long was waited for it."""
    sent: list[Any] = []
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))

    async def send(message: Any) -> None:
        sent.append(message)

    await Dripping(app, lambda: pace, sleep=sleep)({"type": kind}, None, send)  # type: ignore[arg-type]
    return sent, slept


async def test_an_answer_arrives_in_pieces_at_the_pace_asked_for() -> None:
    sent, slept = await answered(200)
    assert [len(message.get("body", b"")) for message in sent] == [0, 20, 20, 5, 0]
    assert [message.get("more_body") for message in sent] == [None, True, True, True, False]
    assert slept == [0.1, 0.1, 0.025]


async def test_a_very_slow_one_arrives_byte_by_byte() -> None:
    sent, slept = await answered(2)
    assert len(sent) == 2 + 45
    assert set(slept) == {0.5}


@pytest.mark.parametrize(("pace", "kind"), [(None, "http"), (5, "lifespan")])
async def test_everything_else_passes_as_it_is(pace: float | None, kind: str) -> None:
    sent, slept = await answered(pace, kind=kind)
    assert len(sent) == 3
    assert slept == []
