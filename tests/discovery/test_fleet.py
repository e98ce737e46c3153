"""Discovery in a fleet: the synchronous face, the frame, the picture, and whom a notebook asks."""

from __future__ import annotations

import asyncio
from html import escape

import pandas as pd
import pytest

import mcpnb
from mcpnb import DiscoveryError
from mcpnb.config import Prompt
from mcpnb.discovery import BackendStatus, Etcd, File, Proposal, Static
from mcpnb.notebook import discovered
from mcpnb.notebook.directories import backends_html, backends_text, directories_panel
from mcpnb.notebook.forms.question import question_html
from mcpnb.notebook.frames import discovery_frame
from mcpnb.notebook.prompts import prompted

COLUMNS = ["backend", "address", "state", "servers", "held_back", "problems", "changed_at", "last_error"]
EVIL = "<script>alert(1)</script>\u202e"


def test_the_frame_has_its_columns_and_types_also_when_it_is_empty():
    away = BackendStatus("etcd", "http://h /mcp/", "away", 2, ("a", "b"), {"c": "no"}, 1.0, "gone")
    full, empty = discovery_frame([away]), discovery_frame([])
    assert list(full.columns) == list(empty.columns) == COLUMNS
    assert list(full.dtypes.astype(str))[3:] == list(empty.dtypes.astype(str))[3:]
    row = full.iloc[0]
    assert (row.state, row.servers, row.held_back, row.problems) == ("away", 2, "a, b", "c: no")
    assert row.changed_at == pd.Timestamp("1970-01-01 00:00:01", tz="UTC")


def test_what_a_directory_said_is_escaped_and_an_absence_told_with_its_consequence():
    status = BackendStatus("consul", EVIL, "away", 1, (EVIL,), {EVIL: EVIL}, None, EVIL)
    html, text = backends_html([status]), backends_text([status])
    assert "<script>" not in html
    assert "\u202e" not in html + text
    assert "its last known servers stay" in html
    assert "cannot be asked" in text
    assert (backends_html([]), backends_text([])) == ("", "")


def test_the_panel_is_there_while_there_are_backends_and_sends_nothing_when_nothing_changed():
    rows: list[BackendStatus] = []
    panel = directories_panel(lambda: rows)
    widget = panel.build()
    sent = []
    widget.observe(sent.append, "value")
    assert panel.refresh(widget) is False
    rows.append(BackendStatus("file", "mcp.json", "watching", 1))
    assert panel.refresh(widget) is True
    assert panel.refresh(widget) is True
    assert len(sent) == 1
    widget.close()


def test_a_fleet_connects_to_a_backend_shows_it_and_publishes_servers(etcd, tmp_path):
    with mcpnb.lab.start("weather", replicas=1, transport="http") as lab:
        with lab.register(Etcd(etcd.url, service="weather"), ttl=30) as registered:
            assert repr(registered).startswith("<Registered of weather")
            with mcpnb.connect(Etcd(etcd.url)) as fleet:
                assert fleet.name == "etcd"
                (name,) = fleet.servers["server"]
                assert registered.servers == (name,)
                assert fleet.call("weather.forecast", location="London").server == name
                frame = fleet.discovery
                assert list(frame["state"]) == ["watching"]
                assert "etcd" in fleet._repr_mimebundle_()["text/plain"]
                gone = asyncio.Event()
                fleet.on("discovery", lambda event: "is gone" in event.detail and gone.set())
                registered.close()
                fleet.run(_wait, gone)
        assert etcd.keys() == []
        registered.close()


async def _wait(event: asyncio.Event) -> None:
    async with asyncio.timeout(20):
        await event.wait()


def test_running_the_cell_again_replaces_the_fleet_of_the_same_backend_and_no_other(tmp_path):
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    for path in (one, two):
        path.write_text('{"mcpServers": {}}')
    first, other = mcpnb.connect(File(one)), mcpnb.connect(File(two))
    again = mcpnb.connect(File(one))
    assert "closed" in repr(first)
    assert "closed" not in repr(other)
    for fleet in (other, again):
        fleet.close()


def test_a_backend_that_cannot_be_used_is_one_readable_error_and_leaves_nothing_behind(dnsmasq):
    dnsmasq.know()
    with pytest.raises(DiscoveryError, match="there is no such record"):
        mcpnb.connect(mcpnb.discovery.DNS("_mcp._tcp.example.org", nameserver=dnsmasq.address))


def test_a_notebook_asks_before_it_runs_and_takes_nothing_but_a_yes(monkeypatch):
    asked = []

    async def ask(question):
        asked.append(question)
        return answers.pop(0)

    monkeypatch.setattr(discovered.DESK, "ask", ask)
    person = discovered.person()
    proposal = Proposal("io.x/y", "1.0", "The registry", "npx -y y@1.0", ("LEVEL=info",))
    answers = [{}, True, False, None]
    assert [asyncio.run(person.approves(proposal)) for _ in range(4)] == [True, True, False, False]
    assert "npx -y y@1.0" in asked[0].message
    assert "LEVEL=info" in asked[0].message
    answers = [{"answer": "hunter2"}, {"answer": None}, None]
    secret = Prompt("key", "The key", password=True)
    assert [asyncio.run(person.answers(secret)) for _ in range(3)] == ["hunter2", "", None]
    assert asked[-1].schema["properties"]["answer"]["format"] == "password"


def test_a_notebook_shows_the_whole_of_a_command_before_somebody_agrees_to_it(monkeypatch):
    asked, said = [], []

    async def ask(question):
        asked.append(question)
        return True

    monkeypatch.setattr(discovered.DESK, "ask", ask)
    words = " ".join(f"--option-{n} <b>" for n in range(200))
    proposal = Proposal("io.x/y", "1.0", "The registry", f"npx -y y@1.0 {words} --evil")
    asyncio.run(discovered.person().approves(proposal))
    prompted(asked[0], (), ask=lambda _: "y", say=said.append)
    assert words + " --evil" in said[0]
    html = question_html(asked[0])
    assert escape(words + " --evil") in html
    assert "<details>" not in html


def test_without_a_person_a_notebook_runs_nothing():
    with pytest.raises(mcpnb.McpnbError, match="without anybody"):
        asyncio.run(discovered.person().approves(Proposal("x", "1", "r", "rm")))


def test_static_servers_are_listed_by_name():
    assert Static({"a": "http://127.0.0.1:1/mcp"}).label == "static a"
