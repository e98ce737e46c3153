"""What a fault of one server costs the callers of the others: nothing that they could measure.

What is measured: the 95th percentile of what calls to three other servers take in a run of 600 with the
fault, over that in a run of 600 without it. Runs with and without alternate on the same servers. They are
counted in calls, not in seconds, so that on a busy machine they are longer and not emptier. A call's cost is
counted in processor time of the event loop's own thread, in units of a piece of work that is timed beside
it: so neither the time that other programs take nor how much they slow this processor down is in it
(`neighbours`).

Why so many calls: who calls for a second or two while a server dies makes some hundred of them, and that is
the run whose 95th percentile he knows. A reconnect costs the loop some 10 ms, once. Three callers may each
meet it with one call: that is half a hundredth of such a run, and a twentieth is what counts. What goes on
while the fault does (a flood, pages of a listing, attempts to connect over and over) meets more calls.

What is not seen: a wait of this thread in which it does not work, and waiting for the interpreter's lock. No
work is given to another thread for a fault's sake; long listings and answers are read by the loop itself, a
little at a time.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import numpy as np
import pytest

from .matrix import ERAS, FAULTS, WELL, Case, Fault
from .neighbours import Street
from .stages import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.measured]

BOUND = 1.2
"""Times the undisturbed 95th percentile."""

CLEARLY = 1.1
"""Times; one pair of runs varies by a twentieth, on a busy machine by a tenth."""
PAIRS = 5
"""Of runs; their median decides. One that is clearly good is enough, and so are two that are good."""

STREETS = [(transport, era) for transport, eras in ERAS.items() for era in eras]

CELLS = [
    pytest.param(street, fault, id=f"{'-'.join(street)}-{fault.name}")
    for street in STREETS
    for fault in FAULTS
    if street[0] in fault.cases and (street[1] in fault.eras or len(ERAS[street[0]]) == 1)
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Servers are shared by tests, and so is the loop."""
    return "asyncio"


@pytest.fixture(scope="module")
async def street(request, tmp_path_factory, forks) -> AsyncIterator[Street]:
    async with Street.built(*request.param, tmp_path_factory.mktemp("street"), forks) as built:
        yield built


@pytest.mark.parametrize(("street", "fault"), CELLS, indirect=["street"])
async def test_calls_to_other_servers_are_as_fast_as_ever(street, fault, request) -> None:
    ratios = await measured(street, fault, request.node.callspec.params["street"][0])
    print(f"the others' p95 is {np.median(ratios):.2f} times what it was, in {len(ratios)} pairs of runs")
    assert np.median(ratios) <= BOUND, ratios


async def measured(street: Street, fault: Fault, transport: str) -> list[float]:
    """The ratios of pairs of runs."""
    ratios: list[float] = []
    for n in range(PAIRS):
        if (n == 1 and max(ratios) <= CLEARLY) or (n == 2 and max(ratios) <= BOUND):
            break
        calm, disturbed = await street.pair(fault, fault.cases[transport])
        ratios.append(disturbed / calm)
    return ratios


@pytest.mark.parametrize("street", [("stdio", ERAS["stdio"][-1])], indirect=True)
async def test_five_milliseconds_of_the_loop_for_each_message_of_a_server_would_be_seen(street) -> None:
    def spoilt(stage: Stage) -> None:
        street.spoil = five_milliseconds

    def well(stage: Stage) -> None:
        street.spoil = lambda: None

    ratios = await measured(
        street, Fault("blocking", "idle", {"stdio": Case(spoilt, "ok", WELL, well)}), "stdio"
    )
    assert np.median(ratios) > BOUND, ratios


def five_milliseconds() -> None:
    until = time.thread_time() + 0.005
    while time.thread_time() < until:
        pass
