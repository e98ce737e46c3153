"""The demo, with servers killed at every point of it: it never raises, never hangs and loses no call."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpnb.lab.demo import MOMENTS, Demo, Size
from mcpnb.lab.fleet import LabFleet

SMALL = Size(calls=4, rate=40, phase=10, requests=24, compare_rate=60)

PNG = b"\x89PNG\r\n"

pytestmark = pytest.mark.slow


class Killer:
    """Kills a server at some of the demo's moments."""

    def __init__(self, server: str, *moments: str) -> None:
        self.server, self.moments = server, moments
        self.passed: list[str] = []

    def __call__(self, moment: str, fleet: LabFleet) -> None:
        self.passed.append(moment)
        if moment in self.moments:
            fleet.crash(self.server)


def run(out: Path, moment: Killer) -> list[str]:
    said: list[str] = []
    demo = Demo(out=out, size=SMALL, say=said.append, moment=moment)
    assert demo.run(), "\n".join(said)
    assert moment.passed == list(MOMENTS)
    assert "0 of them not answered" in said[-1]
    assert out.read_bytes().startswith(PNG)
    return said


def test_it_tells_the_whole_story_in_plain_text(tmp_path: Path) -> None:
    said = "\n".join(run(tmp_path / "plot.png", Killer("nobody")))
    assert "\x1b" not in said
    for expected in (
        "reconnecting",
        "killed weather-2",
        "all connected again",
        "round_robin",
        "p2c",
        "plot.png",
    ):
        assert expected in said
    assert "3 candidates (weather-1, weather-2, weather-3)" in said


@pytest.mark.parametrize("server", ["weather-1", "weather-2", "weather-3"])
def test_killing_one_server_at_every_moment_loses_no_call(tmp_path: Path, server: str) -> None:
    run(tmp_path / "plot.png", Killer(server, *MOMENTS))


@pytest.mark.parametrize(
    ("moment", "server"),
    [
        ("busy", "weather-3"),
        ("dead", "weather-1"),
        ("comparing", "weather-3"),
    ],
)
def test_killing_one_server_at_one_moment_loses_no_call(tmp_path: Path, moment: str, server: str) -> None:
    run(tmp_path / "plot.png", Killer(server, moment))


def test_calls_that_nobody_can_answer_make_it_fail_and_say_so(tmp_path: Path) -> None:
    said: list[str] = []

    def end_all(moment: str, fleet: LabFleet) -> None:
        if moment == "started":
            for status in fleet.status():
                fleet.profile(status.server, error_rate=1)
        if moment == "routed":
            for status in fleet.status():
                fleet.profile(status.server, error_rate=0)

    assert not Demo(out=tmp_path / "plot.png", size=SMALL, say=said.append, moment=end_all).run()
    assert any("4 of them not answered" in line for line in said)
    assert any("error rate struck" in line for line in said)
