"""`${input:id}` in a real kernel: the question goes to the front end, a secret one as a password prompt."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

import mcpnb
from mcpnb.config import Prompt

DOCUMENT = {
    "inputs": [
        {"type": "promptString", "id": "api-key", "description": "API key", "password": True},
        {
            "type": "pickString",
            "id": "region",
            "description": "Region",
            "options": ["eu", "us"],
            "default": "eu",
        },
    ],
    "servers": {
        "a": {"url": "http://${input:region}.h/", "headers": {"Authorization": "Bearer ${input:api-key}"}},
        "b": {"command": "x", "env": {"KEY": "${input:api-key}"}},
    },
}
ANSWERS = {"API key: ": "hunter22", "Region [eu, us] (empty: eu): ": ""}
CODE = f"""
import mcpnb.config
configs = mcpnb.config.load({DOCUMENT!r})
print(configs[0].url, configs[0].headers["Authorization"] == "Bearer " + configs[1].env["KEY"])
print(configs)
"""


@pytest.fixture
def kernel(start_kernel) -> Iterator[BlockingKernelClient]:
    with start_kernel() as (_, client):
        yield client


def test_a_kernel_asks_its_front_end_once_for_each_input(kernel: BlockingKernelClient) -> None:
    asked: list[tuple[str, bool]] = []
    printed: list[str] = []

    def answer(message: dict[str, Any]) -> None:
        content = message["content"]
        asked.append((content["prompt"], content["password"]))
        kernel.input(ANSWERS[content["prompt"]])

    def keep(message: dict[str, Any]) -> None:
        printed.append(message["content"].get("text", ""))

    try:
        reply = kernel.execute_interactive(CODE, timeout=60, stdin_hook=answer, output_hook=keep)
    except queue.Empty:
        pytest.fail(f"the kernel did not finish; it asked {asked}")
    said = "".join(printed)
    assert reply["content"]["status"] == "ok"
    assert sorted(asked) == [("API key: ", True), ("Region [eu, us] (empty: eu): ", False)]
    assert "http://eu.h/ True" in said
    assert "hunter22" not in said


def test_a_server_that_is_added_asks_where_the_user_waits_and_not_where_all_calls_run() -> None:
    asked: list[tuple[Prompt, threading.Thread]] = []

    def ask(prompt: Prompt) -> str:
        asked.append((prompt, threading.current_thread()))
        return "hunter22"

    entry = {"command": "no-such-command", "args": ["--token", "${input:api-key}"]}
    more = {"inputs": DOCUMENT["inputs"], "servers": {"more": entry}}
    with mcpnb.connect({}, name="asking", ask=ask) as fleet:
        fleet.add("more", more)
        ((prompt, thread),) = asked
        assert (prompt.id, prompt.password) == ("api-key", True)
        assert thread is threading.current_thread()
        with pytest.raises(mcpnb.ConfigError, match="already a server of that name"):
            fleet.add("more", more)
        assert len(asked) == 1
        assert fleet.client.configs == []
        assert "hunter22" not in repr(fleet.client.members["more"].config)
