"""The race strip: what became of every sending, with symbol, word and colour, whoever sent it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

import mcpnb
from mcpnb.model import Attempt, AttemptRecord, Explanation
from mcpnb.notebook import race
from mcpnb.notebook.markup import style
from mcpnb.notebook.racing import Race, _Track

EVIL = "<script>alert('x')</script>\"'&\u202e"


def record(
    number: int,
    server: str,
    outcome: str = "ok",
    *,
    at: float = 0.0,
    latency: float = 0.04,
    queued: float = 0.0,
) -> AttemptRecord:
    attempt = Attempt(number, 1, number, server, "forecast", "p2c", 100.0 + at, queued, False, "first", ())
    return AttemptRecord(attempt, outcome, latency)  # type: ignore[arg-type]


def call(
    *attempts: AttemptRecord, strategy: str = "p2c", servers: tuple[str, ...] = ("alpha", "beta")
) -> Explanation:
    return Explanation(
        "forecast", servers, strategy=strategy, attempts=attempts, arrived=100.0, total=0.1, looked_at="x"
    )


HEDGED = call(record(2, "alpha", at=0.05, latency=0.03), record(1, "beta", "cancelled", latency=0.08))


class Page(HTMLParser):
    """What a browser would make of it: text, titles and bars."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.labels, self.text = list[str](), list[str](), ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not any(key.startswith("on") for key, _ in attrs)
        self.labels += [value for key, value in attrs if key == "aria-label"]

    def handle_data(self, data):
        self.text += data


def bars(svg: str) -> list[str]:
    return re.findall(r'mcpnb-bar mcpnb-(\w+)"', svg)


def test_each_strategy_has_its_strip_and_each_server_its_lane():
    svg = race.strip({"p2c + hedge": HEDGED, "round_robin": call(record(1, "beta", latency=0.6))})
    text = Page(svg).text
    assert bars(svg) == ["cancelled", "won", "won"]
    for words in (
        "p2c + hedge",
        "round_robin",
        "beta · ⊘ cancelled · 80 ms",
        "alpha · ✓ won · 30 ms",
        "600 ms",
    ):
        assert words in text, words


def test_an_answer_that_came_too_late_is_wasted_and_a_fault_is_called_by_its_name():
    late = call(record(1, "alpha"), record(2, "beta", at=0.01), record(3, "gamma", "refused"))
    svg = race.strip([late])
    assert sorted(bars(svg)) == ["lost", "wasted", "won"]
    text = Page(svg).text
    assert "beta · ≈ wasted: answered, not used" in text
    assert "gamma · ✕ refused" in text


def test_a_tools_no_that_was_followed_by_an_answer_did_not_win():
    retried = call(record(1, "alpha", "tool_error"), record(2, "beta", at=0.1))
    won = race.winner(retried)
    assert won is not None
    assert won.attempt.server == "beta"
    assert race.winner(call(record(1, "alpha", "tool_error"))) is not None
    assert race.winner(call(record(1, "alpha", "timeout"))) is None


def test_a_tools_no_is_called_so_even_where_it_is_what_the_call_came_to():
    assert "alpha · ! tool error · 40 ms" in Page(race.strip([call(record(1, "alpha", "tool_error"))])).text


def test_a_wait_for_a_free_server_is_drawn_and_told():
    svg = race.strip([call(record(1, "alpha", at=0.02, queued=0.02))])
    assert svg.count('class="mcpnb-wait"') == 1
    assert "⋯ queued 20 ms" in Page(svg).text


def test_a_server_that_was_asked_twice_has_one_lane_that_tells_both():
    svg = race.strip([call(record(1, "alpha", "refused"), record(2, "alpha", at=0.1))])
    assert bars(svg) == ["lost", "won"]
    assert len(set(re.findall(r'<rect class="mcpnb-bar[^>]* y="([\d.]+)"', svg))) == 1
    assert "alpha · ✕ refused, then ✓ won · 80 ms" in Page(svg).text


def test_whoever_cannot_see_it_is_told_every_bar():
    svg = race.strip({"p2c": HEDGED}, title="race of forecast")
    page = Page(svg)
    assert page.tags.count("title") == 1 + 2
    assert page.labels[0] == (
        "race of forecast; p2c: beta: ⊘ cancelled after 80 ms, alpha: ✓ won after 30 ms"
    )


def test_every_foreign_name_is_escaped():
    evil = call(record(1, EVIL, "refused"), servers=(EVIL,), strategy=EVIL)
    for made in (
        race.strip({EVIL: evil}, title=EVIL),
        race.strip([replace(evil, tool=EVIL)]),
        race.strip_html([evil]),
    ):
        page = Page(made.replace(style(), ""))
        assert "script" not in page.tags
        assert "\u202e" not in page.text


def test_strategies_of_one_name_are_numbered_and_nothing_sent_is_said():
    empty = Explanation("forecast", (), strategy="p2c", cached=True)
    assert race.strip_text([HEDGED, empty]).splitlines() == [
        "p2c                    beta · ⊘ cancelled · 80 ms",
        "                       alpha · ✓ won · 30 ms",
        "p2c 2                  answered from the cache",
    ]
    assert "answered from the cache" in race.strip([empty])


# -- live


def weather() -> MCPServer:
    server = MCPServer("weather")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def forecast(city: str) -> str:
        return f"sun in {city}"

    @server.tool()
    def order(city: str) -> str:
        return city

    return server


@pytest.fixture(scope="module")
def fleet():
    with mcpnb.connect({"alpha": weather(), "beta": weather()}, replicas=True, name="race") as fleet:
        yield fleet


def test_a_fleet_races_one_call_under_each_strategy(fleet):
    found = fleet.race("forecast", city="Oslo", strategies=["p2c", "round_robin"])
    assert list(found.explanations) == ["p2c", "round_robin"]
    assert set(found.winners.values()) <= {"alpha", "beta"}
    assert all(seconds > 0 for seconds in found.latencies.values())
    bundle = found._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Race of forecast under 2 strategies\np2c ")
    assert "mcpnb-race" in bundle["text/html"]
    assert "Race: <bdi>forecast(city=&quot;Oslo&quot;)</bdi>" in bundle["text/html"]
    assert "2 strategies, one call each" in bundle["text/html"]


def test_without_strategies_the_fleets_own_runs_first_and_none_twice(fleet):
    found = fleet.race("forecast", {"city": "Oslo"})
    assert list(found.explanations) == ["p2c", "round_robin", "least_request", "peak_ewma"]


def test_a_tool_that_may_change_something_is_not_raced_unasked(fleet):
    sent = len(fleet.calls)
    with pytest.raises(mcpnb.McpnbError, match="once per strategy: repeatable=True, if it may be"):
        fleet.race("order", city="Oslo")
    assert len(fleet.calls) == sent
    assert fleet.race("order", city="Oslo", repeatable=True, strategies=["p2c"]).winners


def test_the_dashboards_panel_offers_what_only_reads_and_tells_errors(fleet):
    panel = next(panel for panel in fleet.panels() if panel.title.startswith("Race"))
    widget = panel.build()
    assert panel.refresh is not None
    assert panel.refresh(widget) is True
    track = widget.keeper
    assert track.tool.options == ("forecast",)
    assert track.arguments.value == '{"city": ""}'
    track._run = lambda action: action()
    for given, words in (
        ('{"city": "Oslo"}', "✓ won"),
        ('{"city": "Oslo"}', "<bdi>forecast(city=&quot;Oslo&quot;)</bdi>"),
        ("[1]", "are a JSON object"),
        ("{", "that did not work"),
    ):
        track.arguments.value = given
        track.button.click()
        assert words in track.shown.value
        assert track.button.disabled is False


def test_a_race_says_what_was_asked_however_long_it_is_and_when():
    long = Race("t" * 500, {EVIL: [EVIL] * 500}, {"p2c": HEDGED}, at=0.5)
    html = long._repr_mimebundle_()["text/html"].replace(style(), "")
    title = Page(html[html.index('class="mcpnb-head"') :]).text
    assert len(title.partition("strategies")[0]) < 220
    assert re.search(r"at \d\d:\d\d:\d\d", title)
    assert "\u202e" not in html
    assert "<script" not in html


def test_a_fleet_without_tools_that_only_read_shows_no_panel():
    class Bare:
        def safe_tools(self):
            return {}

        def race(self, tool, arguments=None, /, *, repeatable=False):
            return Race(tool, {}, {})

    assert _Track(Bare()).refresh() is False
