"""An hour's worth of trouble in a minute: ten servers, faults at random, and every call accounted for.

`MCPNB_SOAK_SECONDS` makes it longer (at most three minutes); `MCPNB_SOAK_SEED` chooses another run.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mcpnb.client import MultiServerClient
from mcpnb.errors import McpnbError, ToolError

from .behaviour import NEW, OLD
from .conftest import Holdings, nothing_is_left
from .matrix import answered, cut, for_another, ruled, status, unruled
from .stages import LIMIT, Forks, NetStage, Stage, StdioStage

SECONDS = min(180.0, float(os.environ.get("MCPNB_SOAK_SECONDS", "60")))
SEED = int(os.environ.get("MCPNB_SOAK_SEED", "1"))
CALLERS = 32
TIMEOUT = 2.0
"""Seconds a call is given, retries included."""

GROWTH = 48 * 1024 * 1024
"""Bytes that the process may have grown by: 100 000 rows of the log, and what an allocator keeps."""

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(400)]

Ending = Callable[[], Awaitable[None]]


class Ledger:
    """Every call that was submitted, and how it ended."""

    def __init__(self) -> None:
        self.submitted = 0
        self.ended: Counter[str] = Counter()
        self.ok: set[str] = set()
        """Calls that were answered."""
        self.repeatable: set[str] = set()
        """Calls that may be sent again although they may have run."""

    def submit(self, tool: str) -> str:
        self.submitted += 1
        call = f"call-{self.submitted}"
        if tool == "look":
            self.repeatable.add(call)
        return call


async def caller(client: MultiServerClient, rng: random.Random, ledger: Ledger, stop: asyncio.Event) -> None:
    """Calls one thing after the other; now and then it changes its mind."""
    while not stop.is_set():
        tool = rng.choice(("echo", "look"))
        call = ledger.submit(tool)
        arguments = {"id": call, "text": call, "refuse": rng.random() < 0.05}
        task = asyncio.create_task(client.options(timeout=TIMEOUT).call(tool, arguments))
        if rng.random() < 0.05:
            asyncio.get_running_loop().call_later(rng.uniform(0, 0.02), task.cancel)
        end = await outcome(task)
        ledger.ended[end] += 1
        if end == "ok":
            ledger.ok.add(call)
        await asyncio.sleep(rng.uniform(0.01, 0.1))


async def outcome(task: asyncio.Task) -> str:
    try:
        async with asyncio.timeout(LIMIT):
            await task
    except ToolError as error:
        return "tool_error" if error.result is not None else "failed"
    except McpnbError:
        return "failed"
    except asyncio.CancelledError:
        return "cancelled"
    return "ok"


# -- trouble -----------------------------------------------------------------------------------------------


async def trouble(stages: list[Stage], rng: random.Random, stop: asyncio.Event) -> Counter[str]:
    """One fault after the other, sometimes several at a time, each on a server that has none."""
    well, told = list(stages), Counter()
    async with asyncio.TaskGroup() as tasks:
        while not stop.is_set():
            if len(well) > len(stages) // 2:
                stage = well.pop(rng.randrange(len(well)))
                name = rng.choice(sorted(FAULTS[stage.transport]))
                told[f"{stage.transport} {name}"] += 1
                begin = FAULTS[stage.transport][name]
                tasks.create_task(_one(begin, stage, rng.uniform(0.1, 1.0), well))
            await asyncio.sleep(rng.uniform(0.05, 0.4))
    return told


async def _one(
    begin: Callable[[Stage], Awaitable[Ending]], stage: Stage, seconds: float, well: list[Stage]
) -> None:
    end = await begin(stage)
    await asyncio.sleep(seconds)
    await end()
    well.append(stage)


async def _nothing() -> None:
    """It is over by itself."""


def _kill(stage: Stage) -> None:
    # Over stdio it may just be between two lives.
    with contextlib.suppress(ProcessLookupError):
        stage.signal(signal.SIGKILL)


async def killed(stage: Stage) -> Ending:
    _kill(stage)
    return stage.start if isinstance(stage, NetStage) else _nothing


async def stopped(stage: Stage) -> Ending:
    pid = stage.pid

    async def end() -> None:
        # Over stdio it is ended meanwhile, and another takes its place.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)

    return end


def misbehaving(fault: str) -> Callable[[Stage], Awaitable[Ending]]:
    async def begin(stage: Stage) -> Ending:
        stage.tell(fault)

        async def end() -> None:
            stage.tell("")

        return end

    return begin


async def started_in_vain(stage: Stage) -> Ending:
    end = await misbehaving("exit_on_connect")(stage)
    _kill(stage)
    return end


def in_between(rule) -> Callable[[Stage], Awaitable[Ending]]:
    async def begin(stage: NetStage) -> Ending:
        ruled(rule)(stage)

        async def end() -> None:
            unruled(stage)

        return end

    return begin


async def half_open(stage: NetStage) -> Ending:
    stage.proxy.freeze()

    async def end() -> None:
        stage.proxy.thaw()

    return end


FAULTS: dict[str, dict[str, Callable[[Stage], Awaitable[Ending]]]] = {
    "stdio": {
        "kill": killed,
        "stop": stopped,
        "exit on connect": started_in_vain,
        "garbage": misbehaving("garbage"),
        "wrong id": misbehaving("wrong_id"),
    },
    "http": {
        "kill": killed,
        "stop": stopped,
        "503": in_between(status(503, "Service Unavailable", retry_after="1")),
        "429": in_between(status(429, "Too Many Requests")),
        "404": in_between(status(404, "Not Found")),
        "reset": in_between(answered(cut)),
        "half open": half_open,
        "wrong id": in_between(answered(for_another)),
    },
    "in-process": {"failing listing": misbehaving("page_2_fails")},
}


# -- the test ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
async def test_every_call_is_accounted_for_and_nothing_is_executed_twice(tmp_path, forks) -> None:
    before = Holdings.now()
    stages = [_stage(n, tmp_path, forks) for n in range(10)]
    for stage in stages:
        await stage.open()
    try:
        configs = [replace(stage.config(), name=f"server-{n}") for n, stage in enumerate(stages)]
        async with MultiServerClient(configs, replicas=True, seed=SEED) as client:
            await _soak(client, stages)
    finally:
        for stage in stages:
            await stage.close()
    await nothing_is_left(before)


def _stage(n: int, tmp_path: Path, forks: Forks) -> Stage:
    """Four over stdio, four over HTTP, two in this process; half of them of each era."""
    era, control = (OLD, NEW)[n % 2], tmp_path / f"server-{n}"
    if n < 4:
        return StdioStage(era, control)
    return NetStage(era, control, "http", forks, direct=False) if n < 8 else Stage(era, control)


async def _soak(client: MultiServerClient, stages: list[Stage]) -> None:
    ledger, stop, rng = Ledger(), asyncio.Event(), random.Random(SEED)
    callers = [
        asyncio.create_task(caller(client, random.Random(rng.random()), ledger, stop)) for _ in range(CALLERS)
    ]
    troubles = asyncio.create_task(trouble(stages, rng, stop))
    await asyncio.sleep(SECONDS / 4)
    grown = -_memory()
    await asyncio.sleep(SECONDS * 3 / 4)
    stop.set()
    told = await troubles
    await asyncio.gather(*callers)
    await _all_well(client)
    grown += _memory()
    print(f"{ledger.submitted} calls: {dict(ledger.ended)}; faults: {dict(told)}; {grown / 2**20:.1f} MiB")

    assert ledger.ended.keys() <= {"ok", "tool_error", "failed", "cancelled"}
    assert ledger.submitted == sum(ledger.ended.values())
    ran = _executions(stages)
    twice = {call: times for call, times in ran.items() if times > 1}
    assert not twice.keys() - ledger.repeatable
    assert not ledger.ok - ran.keys()
    assert {row.in_flight for row in client.servers()} == {0}
    assert sum(row.calls for row in client.servers()) == client.log.total
    assert grown < GROWTH
    assert ledger.ended["ok"] > ledger.submitted / 2


def _executions(stages: list[Stage]) -> Counter[str]:
    """How often each call was executed, on all servers together."""
    ran: Counter[str] = Counter()
    for stage in stages:
        ran.update(stage.control.with_suffix(".ran").read_text().split())
    return ran


async def _all_well(client: MultiServerClient) -> None:
    """Wait until every server has healed."""
    news = asyncio.Event()
    off = client.on("server_state", lambda event: news.set())
    async with asyncio.timeout(LIMIT):
        while any(row.state != "connected" for row in client.servers()):
            news.clear()
            await news.wait()
    off()


def _memory() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
