"""Arguments that JSON cannot carry are told of before anything is sent, and by name."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import math
import pathlib
import uuid

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.server.mcpserver import MCPServer

from mcpnb import ArgumentError, MultiServerClient
from mcpnb.client.arguments import carried

HOUR = dt.datetime(2026, 7, 28, 12, tzinfo=dt.UTC)
ITSELF: list[object] = []
ITSELF.append({"again": ITSELF})


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_what_json_carries_goes_as_it_is(arguments) -> None:
    sent = carried("t", arguments)
    assert sent == arguments
    assert json.loads(json.dumps(sent)) == arguments
    assert json.dumps(sent) == json.dumps(arguments)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (np.int64(3), 3), (np.uint8(3), 3), (np.float32(0.5), 0.5), (np.float64(0.5), 0.5),
        (np.bool_(True), True),
        (Level.HIGH, 2), ((1, (2,)), [1, [2]]), ({"a": [np.int64(1)]}, {"a": [1]}),
    ],
)  # fmt: skip
def test_numbers_of_numpy_go_as_the_numbers_that_they_are(value, sent) -> None:
    got = carried("t", {"x": value})["x"]
    assert (got, json.dumps(got)) == (sent, json.dumps(sent))


@pytest.mark.parametrize(
    ("value", "where", "said"),
    [
        (HOUR, "x", "datetime has no form in JSON: write value.isoformat()"),
        (pd.Timestamp(HOUR), "x", "Timestamp has no form in JSON: write value.isoformat()"),
        (HOUR.date(), "x", "date has no form in JSON: write value.isoformat()"),
        (np.datetime64("2026-07-28"), "x", "datetime64 has no form in JSON"),
        ({1, 2}, "x", "set has no form in JSON: write list(value)"),
        (np.arange(2), "x", "ndarray has no form in JSON: write value.tolist()"),
        (pd.DataFrame(), "x", 'DataFrame has no form in JSON: write value.to_dict("records")'),
        (b"x", "x", "bytes has no form in JSON: write base64.b64encode(value).decode()"),
        (decimal.Decimal(1), "x", "Decimal has no form in JSON: write float(value) or str(value)"),
        (uuid.UUID(int=1), "x", "UUID has no form in JSON: write str(value)"),
        (pathlib.PurePosixPath("a"), "x", "PurePosixPath has no form in JSON: write str(value)"),
        (Colour.RED, "x", "Colour has no form in JSON: write value.value"),
        (pd.NA, "x", "NAType has no form in JSON: write None"),
        (np.complex128(1), "x", "complex128 has no form in JSON"),
        (math.nan, "x", "nan is no number in JSON: write None, or a text that names it"),
        (np.float64("inf"), "x", "inf is no number in JSON: write None, or a text that names it"),
        ({"a": [0, {"b": {1}}]}, "x.a[1].b", "set has no form in JSON: write list(value)"),
        ({"a": {1: 2}}, "", "x.a has the name 1, and names are texts in JSON"),
        ("\ud800", "x", "has half a character, \\ud800, which is no text"),
        (ITSELF, "x", "is nested too deeply, or contains itself"),
    ],
)
def test_what_json_cannot_carry_is_named_with_what_to_write_instead(value, where, said) -> None:
    with pytest.raises(ArgumentError) as caught:
        carried("t", {"x": value})
    assert (caught.value.tool, caught.value.field, caught.value.problem) == ("t", where, said)


@pytest.mark.anyio
async def test_no_verb_sends_it_and_every_server_gets_the_same() -> None:
    server, got = MCPServer("alpha", version="1.0", log_level="ERROR"), []

    @server.tool()
    def keep(things: dict) -> str:
        got.append(things)
        return "kept"

    async with MultiServerClient({"alpha": server, "beta": server}, replicas=True) as client:
        for verb in (client.call, client.call_tool, client.gather):
            with pytest.raises(ArgumentError, match=r"keep: things\.when: datetime"):
                await verb("keep", {"things": {"when": HOUR}})
        with pytest.raises(ArgumentError, match="the call has the name 1"):
            await client.call("keep", {1: 2})
        assert got == []
        await client.call("keep", things={"n": np.int64(1), "pair": (1, 2)})
        assert got == [{"n": 1, "pair": [1, 2]}]
        assert type(got[0]["n"]) is int
