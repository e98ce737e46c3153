"""What sightings say, what servers are called, and how they are advertised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpnb import ConfigError
from mcpnb.config import ServerConfig
from mcpnb.discovery import Added, Changed, Removed, Static, advert_of, divided
from mcpnb.discovery.advertised import advertised, facts_of
from mcpnb.discovery.changes import between, said, touches_connection
from mcpnb.discovery.naming import Names

from .given import Lister, at


def test_sightings_differ_by_who_left_who_came_and_who_is_described_otherwise():
    a, b, heavy, c = at(1, "a"), at(2, "b"), at(2, "b", weight=3), at(3, "c")
    assert between({"a": a, "b": b}, {"b": heavy, "c": c}) == [Removed(a), Changed(b, heavy), Added(c)]


@pytest.mark.parametrize(
    ("field", "value", "touches"),
    [
        ("weight", 2.0, False), ("priority", 3, False), ("region", "eu", False), ("version", "2", False),
        ("tags", ["x"], False), ("max_in_flight", 3, False), ("replicas", "g", False), ("timeout", 2, False),
        ("url", "http://127.0.0.1:2/mcp", True), ("headers", {"X": "y"}, True), ("connections", 3, True),
        ("transport", "sse", True), ("disabled", True, True),
    ],
)  # fmt: skip
def test_only_what_a_session_depends_on_needs_a_new_one(field, value, touches):
    before = at(1)
    fields = {"name": "weather", "transport": "http", "url": before.url, field: value}
    assert touches_connection(before, ServerConfig(**fields)) is touches


def test_a_change_is_told_with_the_values_of_what_is_no_secret():
    after = at(2, headers={"Authorization": "Bearer hunter2"}, weight=2.5, tags=["eu", "a"])
    words = said(at(1), after)
    assert words == "url, headers, tags {} → {a, eu}, weight 1 → 2.5"


def test_a_server_keeps_its_name_while_it_is_listed_and_takes_nobody_elses():
    names = Names()
    assert names.claim(0, "k1", "weather", taken=()) == "weather"
    assert names.claim(1, "k1", "weather", taken=()) == "weather-2"
    assert names.claim(1, "k2", "weather", taken={"weather-3"}) == "weather-4"
    names.release(0, "k1")
    assert names.claim(1, "k1", "weather", taken=()) == "weather-2"
    assert names.claim(2, "k1", "weather", taken=()) == "weather"


def test_facts_reach_the_config_and_the_directory_fills_what_they_do_not_say():
    facts = {"PATH": "api/mcp", "scheme": "https", "region": "eu", "weight": "2.5", "priority": "-3",
             "tags": "gpu, big", "version": "1.2", "max_in_flight": "4", "unrelated": "x"}  # fmt: skip
    config = advertised("a", facts, host="::1", port=8443, replicas="s", region="dc1", weight=9.0)
    assert config.url == "https://[::1]:8443/api/mcp"
    assert (config.region, config.weight, config.priority, config.version) == ("eu", 2.5, -3, "1.2")
    assert (config.tags, config.max_in_flight, config.replicas) == ({"gpu", "big"}, 4, "s")
    assert advertised("a", {}, host="h", port=1, region="dc1").region == "dc1"


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"weight": "heavy"}, "'weight': is not a number"), ({"priority": "1.5"}, "not a whole number"),
        ({"weight": "-1"}, "weight"), ({"weight": "nan"}, "weight"), ({"transport": "stdio"}, "transport"),
        ({"scheme": "ftp"}, "neither http nor https"), ({"url": "file:///etc/passwd"}, "http or https"),
        ({"command": "rm"}, "what a directory says is not run"), ({"ENV": {}}, "not run"),
    ],
)  # fmt: skip
def test_facts_that_make_no_sense_are_refused_with_the_server_and_the_key(facts, why):
    with pytest.raises(ConfigError, match=why) as caught:
        advertised("weather-1", facts, host="h", port=1)
    assert caught.value.server == "weather-1"


def test_text_from_a_directory_is_not_searched_for_variables(monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    config = advertised("a", {"path": "/${SECRET}", "region": "${SECRET}"}, host="h", port=1)
    assert config.region == "${SECRET}"
    assert "hunter2" not in str(config.url)


texts = st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
configs = st.builds(
    ServerConfig,
    name=st.just("a"),
    transport=st.sampled_from(["http", "sse"]),
    url=st.just("http://127.0.0.1:8000/mcp"),
    region=st.none() | texts,
    version=st.none() | texts,
    weight=st.floats(0.001, 1e6),
    priority=st.integers(-100, 100),
    tags=st.frozensets(st.text("abc", min_size=1), max_size=3),
    max_in_flight=st.none() | st.integers(1, 99),
    max_queue=st.none() | st.integers(0, 99),
    rate_limit=st.none() | st.floats(0.1, 1e6),
)


@given(configs)
def test_what_is_published_of_a_server_reads_back_as_the_same_server(config):
    advert = advert_of(config, "s")
    back = advertised("a", {**advert.facts, "url": advert.url})
    assert back == config
    assert facts_of(back) == advert.facts


def test_no_credential_of_a_server_is_published():
    url = "https://user:hunter2@example.org:8443/mcp?key=hunter3#hunter4"
    advert = advert_of(ServerConfig("a", "http", url=url, headers={"X": "hunter5"}), None)
    assert "hunter" not in repr(advert)
    assert (advert.url, advert.host, advert.port) == ("https://example.org:8443/mcp", "example.org", 8443)
    assert advert.service == "a"


def test_a_program_of_ours_cannot_be_published():
    with pytest.raises(ConfigError, match="over stdio, by us alone"):
        advert_of(ServerConfig("a", "stdio", command="x"), None)


def test_backends_are_told_from_other_sources_wherever_they_stand():
    one, two, three = Lister("1"), Lister("2"), Static({})
    same = {"a": "http://127.0.0.1:1/mcp"}
    assert divided(same) == (same, [])
    assert divided(one)[0] == {}
    rest, found = divided([one, "mcp.json", {"lab": two, "web": "http://h/mcp"}, three])
    assert rest == ["mcp.json", {"web": "http://h/mcp"}]
    assert [(f.backend, f.prefix, f.name("x")) for f in found] == [
        (one, None, "x"), (two, "lab", "lab.x"), (three, None, "x"),
    ]  # fmt: skip
    rest, found = divided({"all": [one, two]})
    assert (rest, [f.prefix for f in found]) == ({}, ["all", "all"])


def test_a_misspelt_option_of_a_backend_is_told_when_it_is_made():
    with pytest.raises(ConfigError, match="timeout"):
        Lister(config={"timeot": 3})
