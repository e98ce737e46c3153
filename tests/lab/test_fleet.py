"""A lab's fleet on real servers: what is done to them reaches them, they come back, nothing is left."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mcpnb
from mcpnb import lab
from mcpnb.lab.fleet import LabFleet
from mcpnb.lab.processes import kill_group
from mcpnb.lab.replicas import Rack, Wanted

CITY = {"location": "London"}


@pytest.fixture(scope="module")
def fleet() -> Iterator[LabFleet]:
    """One over HTTP, one over stdio, one in this process; each test leaves them all connected."""
    with lab.start(
        "weather",
        replicas=3,
        transport=["http", "stdio", "in-process"],
        regions=["eu", "us", None],
        latency_ms=1,
        today="2026-07-28",
        name="test lab",
    ) as fleet:
        yield fleet


def state(fleet: LabFleet, server: str) -> str:
    return next(status.state for status in fleet.status() if status.server == server)


def wait_until(fleet: LabFleet, server: str, wanted: str, seconds: float = 30) -> None:
    """Returns when the server has that state, woken by the events that change it."""
    reached = threading.Event()

    def look(_: object = None) -> None:
        if state(fleet, server) == wanted:
            reached.set()

    stop = fleet.on("server_state", look)
    look()
    assert reached.wait(seconds), f"{server} is {state(fleet, server)}"
    stop()


def test_the_servers_are_replicas_with_the_settings_asked_for(fleet: LabFleet) -> None:
    rows = {status.server: status for status in fleet.status()}
    assert list(rows) == ["weather-1", "weather-2", "weather-3"]
    assert [row.transport for row in rows.values()] == ["http", "stdio", "in-process"]
    assert [row.region for row in rows.values()] == ["eu", "us", None]
    assert {row.state for row in rows.values()} == {"connected"}
    assert fleet.conflicts.empty
    assert fleet.options(server="weather-2").call("weather.current", CITY).value["date"] == "2026-07-28"


def test_all_of_them_answer_a_call_alike(fleet: LabFleet) -> None:
    views = [fleet.options(server=f"weather-{n}") for n in (1, 2)]
    assert views[0].call("weather.forecast", CITY).value == views[1].call("weather.forecast", CITY).value
    servers = {fleet.call("weather.current", CITY).server for _ in range(40)}
    assert servers == {"weather-1", "weather-2", "weather-3"}


@pytest.mark.parametrize("server", ["weather-1", "weather-2", "weather-3"])
def test_a_profile_reaches_its_server_and_only_that(fleet: LabFleet, server: str) -> None:
    fleet.profile(server, error_rate=1)
    try:
        with pytest.raises(mcpnb.ToolError, match="error rate struck"):
            fleet.options(server=server).call("weather.current", CITY)
        other = "weather-1" if server != "weather-1" else "weather-2"
        assert fleet.options(server=other).call("weather.current", CITY).ok
    finally:
        assert fleet.profile(server, error_rate=0).error_rate == 0
    assert fleet.options(server=server).call("weather.current", CITY).ok
    assert fleet.profile(server).latency_ms == 1


def test_an_http_server_that_crashed_stays_away_until_it_is_restarted(fleet: LabFleet) -> None:
    pid = fleet.pid("weather-1")
    fleet.crash("weather-1")
    assert fleet.pid("weather-1") is None
    wait_until(fleet, "weather-1", "reconnecting")
    assert {fleet.call("weather.current", CITY).server for _ in range(10)} <= {"weather-2", "weather-3"}
    fleet.restart("weather-1")
    wait_until(fleet, "weather-1", "connected")
    assert fleet.pid("weather-1") not in {None, pid}
    assert fleet.options(server="weather-1").call("weather.current", CITY).ok


def test_a_stdio_server_that_crashed_is_started_again_by_its_connection(fleet: LabFleet) -> None:
    pid = fleet.pid("weather-2")
    assert pid
    fleet.crash("weather-2")
    wait_until(fleet, "weather-2", "reconnecting")
    wait_until(fleet, "weather-2", "connected")
    assert fleet.pid("weather-2") not in {None, pid}


def test_a_stdio_server_can_be_restarted(fleet: LabFleet) -> None:
    pid = fleet.pid("weather-2")
    fleet.restart("weather-2")
    wait_until(fleet, "weather-2", "connected")
    assert fleet.pid("weather-2") not in {None, pid}


@pytest.mark.parametrize("server", ["weather-1", "weather-2"])
def test_a_server_that_hangs_answers_nothing_and_is_brought_back(fleet: LabFleet, server: str) -> None:
    fleet.hang(server)
    assert fleet.pid(server) is not None
    with pytest.raises((mcpnb.CallTimeout, mcpnb.NoServerAvailable)):
        fleet.options(server=server, timeout=0.3).call("weather.current", CITY)
    assert fleet.call(
        "weather.current",
        CITY,
    ).ok
    fleet.restart(server)
    wait_until(fleet, server, "connected")
    assert fleet.options(server=server).call("weather.current", CITY).ok


@pytest.mark.parametrize("server", ["weather-1", "weather-2", "weather-3"])
def test_a_partition_lets_nothing_through_until_it_is_healed(fleet: LabFleet, server: str) -> None:
    fleet.partition(server)
    assert fleet.profile(server).partitioned
    with pytest.raises((mcpnb.CallTimeout, mcpnb.NoServerAvailable)):
        fleet.options(server=server, timeout=0.3).call("weather.current", CITY)
    fleet.heal(server)
    wait_until(fleet, server, "connected")
    assert fleet.options(server=server).call("weather.current", CITY).ok


def test_answers_that_drip_run_into_the_deadline_of_the_call(fleet: LabFleet) -> None:
    fleet.drip("weather-1", 50)
    with pytest.raises((mcpnb.CallTimeout, mcpnb.NoServerAvailable)):
        fleet.options(server="weather-1", timeout=0.5).call("weather.current", CITY)
    fleet.heal("weather-1")
    assert fleet.options(server="weather-1").call("weather.current", CITY).ok
    with pytest.raises(mcpnb.McpnbError, match="weather-2 cannot drip"):
        fleet.drip("weather-2")


def test_a_script_plays_on_real_servers_and_says_what_became_of_it(fleet: LabFleet) -> None:
    timeline = [
        mcpnb.At(0, "weather-3", latency_ms=50), mcpnb.At(0.01, "weather-1", crash=True),
        mcpnb.At(0.02, "weather-3", leave=True), mcpnb.At(0.03, "weather-1", recover=True),
        mcpnb.At(0.04, "weather-3", join=True, slow=1),
    ]  # fmt: skip
    before = fleet.profile("weather-1")
    script = fleet.script(timeline).wait(60)
    assert [(step.state, step.error) for step in script.steps] == [("done", "")] * 5
    for server in ("weather-1", "weather-3"):
        wait_until(fleet, server, "connected")
        assert fleet.options(server=server).call("weather.current", CITY).ok
    assert fleet.profile("weather-1") == before
    assert fleet.profile("weather-3").latency_ms == 1


def test_a_script_that_cannot_be_played_begins_nothing(fleet: LabFleet) -> None:
    for timeline, why in [
        ([mcpnb.At(1, "weather-9", slow=2)], "no server 'weather-9'"),
        ([mcpnb.At(1, "weather-3", crash=True)], "runs inside this process"),
        ([mcpnb.At(1, "weather-1", weight=2)], "in a simulation only"),
        ([], "needs a timeline"),
        (None, "needs a timeline"),
        (mcpnb.At(1, "weather-1", slow=2), "needs a timeline"),
        ([5], "needs a timeline"),
    ]:
        with pytest.raises(mcpnb.McpnbError, match=why):
            fleet.script(timeline)


def test_calls_that_run_while_a_server_is_killed_are_all_answered(fleet: LabFleet) -> None:
    fleet.profile("weather-1", latency_ms=50)
    with lab.traffic(fleet, rate=80) as calls:
        assert calls.let_pass(20)
        fleet.crash("weather-1")
        assert calls.let_pass(40)
        fleet.restart("weather-1")
        assert calls.let_pass(20)
    assert (calls.answered, calls.failed) == (calls.sent, 0)
    fleet.profile("weather-1", latency_ms=1)
    wait_until(fleet, "weather-1", "connected")


def test_a_server_in_this_process_cannot_crash_and_the_error_says_what_to_do(fleet: LabFleet) -> None:
    for verb in (fleet.crash, fleet.hang):
        with pytest.raises(mcpnb.McpnbError, match=r"runs inside this process.*transport=.http."):
            verb("weather-3")
    fleet.restart("weather-3")
    wait_until(fleet, "weather-3", "connected")


def test_what_was_done_to_the_servers_is_among_the_events(fleet: LabFleet) -> None:
    for latency_ms in (250, 250, 1):
        fleet.profile("weather-3", latency_ms=latency_ms)
    events = fleet.events
    said = events[(events["kind"] == "lab") & (events["server"] == "weather-3")]["detail"]
    assert list(said)[-2:] == ["slowed to 250 ms", "sped up to 1 ms"]


def test_an_unknown_server_or_setting_is_named_with_what_there_is(fleet: LabFleet) -> None:
    with pytest.raises(mcpnb.McpnbError, match=r"no server 'wether-1'.*weather-1, weather-2.*Did you mean"):
        fleet.crash("wether-1")
    with pytest.raises(mcpnb.McpnbError, match="no 'latency'; it has latency_ms"):
        fleet.profile("weather-1", latency=3)


def test_the_dashboard_gets_the_labs_controls(fleet: LabFleet) -> None:
    panel = fleet.panels()[-1]
    assert [row.children[0].value for row in panel.build().children[:-1]] == [
        f"<b>weather-{n}</b>" for n in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"replicas": 0}, "replicas"),
        ({"replicas": "3"}, "replicas must be a whole number"),
        ({"transport": "carrier-pigeon"}, "carrier-pigeon"),
        ({"transport": ["http"]}, "1 entries for 3 servers"),
        ({"latency_ms": [1, 2]}, "latency_ms has 2 entries for 3 servers"),
        ({"latency_ms": -1}, "latency_ms"),
        ({"today": "tomorrow"}, "today must be a day"),
        ({"kind": "wether"}, "Did you mean weather"),
    ],
)
def test_settings_that_make_no_sense_start_nothing(settings: dict[str, Any], says: str) -> None:
    kind = settings.pop("kind", "weather")
    with pytest.raises(mcpnb.McpnbError, match=says):
        lab.start(kind, **settings)


def test_a_fleet_that_cannot_be_made_leaves_no_server_behind() -> None:
    made: list[Rack] = []

    class Watched(Rack):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    rack = Watched([Wanted("weather-1", "weather")])
    assert rack["weather-1"].pid
    with pytest.raises(mcpnb.StrategyError):
        LabFleet(rack, strategy="no such strategy")
    assert rack["weather-1"].pid is None


def test_a_server_that_does_not_start_ends_the_others_too() -> None:
    with pytest.raises(
        mcpnb.McpnbError, match=r"(?s)weather-2 did not start.*unrecognized arguments: --nonsense"
    ):
        Rack([Wanted("weather-1", "weather"), Wanted("weather-2", "weather", options=("--nonsense",))])


class Killed(Rack):
    """A rack whose first server is killed while it starts, as often as the test says."""

    def __init__(self, wanted: list[Wanted], *, times: int) -> None:
        self.times = times
        super().__init__(wanted, meanwhile=self.kill)

    def kill(self) -> None:
        replica = next(iter(self._replicas.values()))
        launch = replica.launch

        def launch_and_kill() -> None:
            launch()
            self.times -= 1
            if self.times > 0:
                kill_group(replica.pid or 0)

        replica.launch = launch_and_kill  # type: ignore[method-assign]
        kill_group(replica.pid or 0)


def test_a_server_that_is_killed_while_it_starts_is_started_once_more() -> None:
    rack = Killed([Wanted("weather-1", "weather")], times=1)
    assert rack["weather-1"].pid
    rack.close()


def test_a_server_that_is_killed_at_every_start_leaves_the_others_working_and_can_be_restarted() -> None:
    rack = Killed([Wanted("weather-1", "weather"), Wanted("weather-2", "weather")], times=2)
    assert rack["weather-1"].pid is None
    with LabFleet(rack, name="half a lab") as fleet:
        assert fleet.call("weather.current", CITY).server == "weather-2"
        assert state(fleet, "weather-1") == "reconnecting"
        fleet.restart("weather-1")
        wait_until(fleet, "weather-1", "connected")


def test_starting_a_lab_of_the_same_name_ends_the_one_before_and_closing_leaves_nothing() -> None:
    first = lab.start(replicas=1, name="again")
    folder, pid = first._rack._folder, first.pid("weather-1")
    assert pid
    with lab.start(replicas=2, transport=["http", "stdio"], name="again") as second:
        assert first.pid("weather-1") is None
        assert not folder.exists()
        pids = [second.pid(server) for server in ("weather-1", "weather-2")]
        folder = second._rack._folder
    assert not folder.exists()
    for pid in pids:
        assert pid
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    second.close()


KERNEL = textwrap.dedent(
    """
    import sys
    from mcpnb import lab

    fleet = lab.start("weather", replicas=3, transport=["http", "http", "stdio"])
    fleet.hang("weather-2")
    print(*(fleet.pid(f"weather-{n}") for n in (1, 2, 3)), fleet._rack._folder, flush=True)
    sys.stdin.read()
    """
)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux to watch a process that is no child")
@pytest.mark.parametrize("end", ["killed", "left"])
def test_nothing_is_left_of_a_notebook_that_never_closed_its_lab(end: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KERNEL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as kernel:
        assert kernel.stdin
        assert kernel.stdout
        *pids, folder = kernel.stdout.readline().split()
        watched = [os.pidfd_open(int(pid)) for pid in pids]
        if end == "killed":
            kernel.kill()
        else:
            kernel.stdin.close()
        kernel.wait(30)
    for descriptor in watched:
        assert select.select([descriptor], [], [], 10)[0]
        os.close(descriptor)
    assert len(watched) == 3
    if end == "left":
        assert not Path(folder).exists()
    shutil.rmtree(folder, ignore_errors=True)  # nobody could remove it when the kernel was killed
