"""Every kind of server can be had from the lab in the same way, and weather with an opinion of its own."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from mcpnb import lab
from mcpnb.errors import McpnbError
from mcpnb.lab.servers import KINDS, serving, weather

DAY = date(2026, 7, 28)
CALLS = {
    "weather": ("weather.current", {"location": "Oslo"}),
    "search": ("search.documents", {"query": "rain"}),
    "translate": ("translate.term", {"term": "Norway", "to": "fr"}),
    "analyze": ("analyze.text", {"text": "A lovely day."}),
    "filesystem": ("file.read", {"path": "hedging.md"}),
    "database": ("database.query", {"query": "SELECT count(*) AS n FROM orders"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fleet_of_each_kind_answers_from_every_replica(kind: str) -> None:
    tool, arguments = CALLS[kind]
    with lab.start(kind, replicas=2, transport="in-process", latency_ms=0) as fleet:
        answers = [fleet.options(server=f"{kind}-{n}").call(tool, arguments).value for n in (1, 2)]
    assert answers[0] == answers[1]


def test_servers_in_processes_share_the_folder_that_the_lab_made() -> None:
    with lab.start("filesystem", replicas=2, transport=["http", "stdio"], latency_ms=0) as fleet:
        fleet.options(server="filesystem-1").call("file.write", {"path": "x.txt", "content": "shared"})
        assert (
            fleet.options(server="filesystem-2").call("file.read", {"path": "x.txt"}).value["content"]
            == "shared"
        )


def test_a_root_of_ones_own_is_served_and_kept(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with lab.start("filesystem", replicas=1, transport="in-process", root=tmp_path, latency_ms=0) as fleet:
        assert fleet.call("file.read", {"path": "mine.txt"}).value["content"] == "kept"
    assert (tmp_path / "mine.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("kind", "setting"),
    [("weather", {"root": "."}), ("search", {"url": "sqlite:///x"}), ("database", {"today": "2026-01-01"}),
     ("analyze", {"bias": 1.0})],
)  # fmt: skip
def test_a_setting_of_another_kind_is_refused(kind: str, setting: dict[str, object]) -> None:
    with pytest.raises(McpnbError, match=f"not for {kind}"):
        lab.start(kind, replicas=1, transport="in-process", **setting)


def test_biased_providers_disagree_about_the_same_day() -> None:
    with lab.start(
        "weather", replicas=3, transport="in-process", bias=[-1.5, 0, 1.5], today="2026-07-28", latency_ms=0
    ) as fleet:
        seen = [
            fleet.options(server=f"weather-{n}")
            .call("weather.current", {"location": "London"})
            .value["temperature_c"]
            for n in (1, 2, 3)
        ]
    assert seen == [19.7, 21.2, 22.7]


@pytest.mark.parametrize("bias", [21.0, -21.0, float("nan"), float("inf")])
def test_a_bias_beyond_all_weather_is_refused(bias: float) -> None:
    with pytest.raises(McpnbError, match="bias"):
        weather.build(serving.Identity("w"), bias=bias)


@pytest.mark.parametrize("port", ["-1", "65536", "http", "1.5"])
def test_a_port_that_is_none_is_refused_with_the_range(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        serving.arguments("weather", "").parse_args([f"--port={port}"])
    assert "a port is a whole number from 0 to 65535" in capsys.readouterr().err
