"""The story of a call, as text and as HTML."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

import mcpnb
from mcpnb.model import Attempt, AttemptRecord, Explanation
from mcpnb.notebook import display, explain
from mcpnb.notebook.results import Shown

EVIL = "<script>alert('x')</script>\"'&\u202e"


class Reader(HTMLParser):
    """What a browser would make of it: elements and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not any(key.startswith("on") for key, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)


def record(
    number: int, server: str, outcome: str, *, at: float = 0.0, queued: float = 0.0, latency: float = 0.04,
    hedge: bool = False, why: str = "first", saw: tuple[tuple[str, float], ...] = (), error: str = "",
    tool: str = "weather.forecast", strategy: str = "p2c",
) -> AttemptRecord:  # fmt: skip
    attempt = Attempt(number, 1, number, server, tool, strategy, 100.0 + at, queued, hedge, why, saw)
    return AttemptRecord(attempt, outcome, latency, error)  # type: ignore[arg-type]


STORY = Explanation(
    tool="weather.forecast",
    candidates=("alpha", "beta", "gamma", "delta"),
    excluded={"delta": "breaker open: 5 failures in a row"},
    out_of=1,
    strategy="p2c",
    looked_at="calls in flight",
    attempts=(
        record(
            1, "beta", "refused", at=0.02, queued=0.02, saw=(("beta", 1.0), ("gamma", 3.0)),
            error="connection refused",
        ),
        record(3, "gamma", "ok", at=0.14, latency=0.03, hedge=True, why="hedge: no answer after 80 ms"),
        record(
            2, "alpha", "cancelled", at=0.06, latency=0.11, why="retry: refused on beta",
            saw=(("alpha", 2.0), ("gamma", 0.5)),
        ),
    ),
    resolution="first_server: alpha's group over omega's",
    queued=0.02,
    total=0.17,
    arrived=100.0,
)  # fmt: skip


def bars(html: str) -> list[tuple[str, float, float]]:
    """(how it ended, left end, width) of each bar of the race, in percent."""
    found = re.findall(r'mcpnb-bar mcpnb-(\w+)" x="([\d.]+)%" y="[\d.]+" width="([\d.]+)%"', html)
    return [(how, float(x), float(width)) for how, x, width in found]


def test_the_text_tells_everything_in_the_order_of_sending():
    assert str(STORY).splitlines() == [
        "weather.forecast: 4 candidates (alpha, beta, gamma, delta)",
        "  chosen among tools of this name: first_server: alpha's group over omega's",
        "  filtered out  delta: breaker open: 5 failures in a row",
        (
            "  attempt 1 → beta, sent after 20.0 ms: refused after 40.0 ms (connection refused);"
            " p2c compared beta 1, gamma 3 (calls in flight)"
        ),
        (
            "  attempt 2 → alpha [retry: refused on beta], sent after 60.0 ms: cancelled after 110.0 ms;"
            " p2c compared alpha 2, gamma 0.5 (calls in flight)"
        ),
        "  attempt 3 → gamma [hedge: no answer after 80 ms], sent after 140.0 ms: ok after 30.0 ms; p2c",
        "  waited 20.0 ms for a free server",
        "  170.0 ms in all",
    ]


def test_a_plain_call_is_told_in_three_lines():
    plain = Explanation("t", ("a",), attempts=(record(1, "a", "ok", tool="t"),), total=0.05, arrived=100.0)
    assert str(plain).splitlines() == [
        "t: 1 candidate (a)",
        "  attempt 1 → a: ok after 40.0 ms; p2c",
        "  50.0 ms in all",
    ]


def test_the_page_names_the_winner_the_reasons_the_numbers_and_the_filters():
    text = Reader(explain.explanation_html(STORY)).text
    for words in (
        "was answered by gamma", "3 attempts", "1 hedge", "waited 20 ms for a free server", "170 ms in all",
        "1 → beta", "2 → alpha", "3 → gamma", "won", "connection refused", "retry: refused on beta",
        "hedge: no answer after 80 ms · sent after 140 ms", "filtered out", "breaker open: 5 failures",
        "calls in flight, attempt 1", "calls in flight, attempt 2", "not compared", "0.5", "over omega",
        "strategy p2c",
    ):  # fmt: skip
        assert words in text, words


def test_each_lane_begins_when_its_attempt_was_sent_and_is_as_long_as_it_took():
    html = explain.race_html(STORY)
    (lost, first, width), (gone, second, longer), (won, third, _) = bars(html)
    assert (lost, gone, won) == ("lost", "cancelled", "won")
    start = first - width * 0.02 / 0.04
    assert (second - start) / width == pytest.approx(0.06 / 0.04, abs=0.02)
    assert (third - start) / width == pytest.approx(0.14 / 0.04, abs=0.02)
    assert longer / width == pytest.approx(0.11 / 0.04, abs=0.02)
    assert html.count('class="mcpnb-wait"') == 1


def test_a_server_that_was_asked_twice_tells_both():
    twice = replace(
        STORY,
        attempts=(
            record(1, "alpha", "refused"),
            record(2, "alpha", "ok", at=0.1, why="retry: after a backoff"),
        ),
    )
    text = Reader(explain.explanation_html(twice)).text
    assert text.count("alpha") >= 3
    assert "refused after 40 ms" in text
    assert "retry: after a backoff" in text


def test_a_tool_that_stood_in_is_named():
    stood_in = replace(
        STORY,
        attempts=(
            record(1, "beta", "refused"),
            record(
                2,
                "epsilon",
                "ok",
                at=0.1,
                tool="climate.normals",
                why="fallback: weather.forecast ended as refused",
            ),
        ),
    )
    text = Reader(explain.explanation_html(stood_in)).text
    assert "was answered by epsilon with climate.normals" in text
    assert "calls climate.normals" in text
    assert "attempt 2 → climate.normals at epsilon [fallback" in str(stood_in)


def test_a_call_without_answer_says_so():
    lost = Explanation("t", ("a",), attempts=(record(1, "a", "timeout", tool="t"),))
    assert "got no answer" in explain.explanation_html(lost)
    assert explain.race_html(Explanation("t", ())) == ""


def test_an_answer_from_the_cache_says_whose_it_was():
    kept = Explanation("t", ("a", "b"), cached=True, origin="the answer of a, 12.0 s old")
    text = Reader(explain.explanation_html(kept)).text
    assert "was answered from the cache" in text
    assert "nothing was sent: the answer of a, 12.0 s old." in text
    assert "Candidate" not in text
    assert "nothing was sent (the answer of a, 12.0 s old)" in str(kept)


def test_thousands_of_candidates_are_counted_instead_of_listed():
    names = tuple(f"server-{n:04}" for n in range(3_000))
    many = replace(
        STORY,
        candidates=names,
        excluded=dict.fromkeys(names[1000:1008], "connecting"),
        out_of=900,
        attempts=(record(1, "server-2000", "ok", saw=(("server-2000", 1.0), ("server-2001", 2.0))),),
    )
    html = explain.explanation_html(many)
    text = Reader(html).text
    assert len(html) < 20_000
    assert "server-2000" in text
    assert "connecting" in text
    assert "… 2\u202f990 more candidates, 892 of them filtered out" in text
    assert len(str(many)) < 2_000
    assert "2992 more" in str(many)
    assert "filtered out  892 more" in str(many)


def test_a_storm_of_attempts_is_cut():
    storm = replace(STORY, attempts=tuple(record(n, "alpha", "refused", at=n / 10) for n in range(1, 41)))
    html = explain.explanation_html(storm)
    assert len(bars(html)) == 12
    assert "… 28 more attempts" in Reader(html).text


def test_whatever_a_server_says_stays_text():
    evil = Explanation(
        tool=EVIL,
        candidates=(EVIL, "b"),
        excluded={"b": EVIL},
        strategy=EVIL,
        looked_at=EVIL,
        attempts=(
            record(1, EVIL, "refused", error=EVIL, saw=((EVIL, 1.0),), queued=0.1, why=EVIL),
            record(2, EVIL, "ok", tool=EVIL + "2", why=EVIL, at=0.2),
        ),
        resolution=EVIL,
        queued=0.1,
        cached=False,
        arrived=99.9,
    )
    for story in (evil, replace(evil, cached=True, origin=EVIL)):
        reader = Reader(explain.explanation_html(story))
        assert "script" not in reader.tags
        assert "\u202e" not in reader.text
        page = display.mimebundle(story)
        assert "<script" not in page["text/html"]
        assert "\u202e" not in page["text/html"] + page["text/plain"]


def test_a_notebook_shows_it_and_plain_text_says_the_same():
    shown = Shown.of(STORY)
    bundle = shown._repr_mimebundle_()
    assert bundle["text/plain"] == repr(shown) == str(STORY)
    assert "mcpnb-race" in bundle["text/html"]


# -- of real calls


def slow(name: str, gate: asyncio.Event | None, *, broken: bool = False) -> MCPServer:
    server = MCPServer(name, version="1.0", log_level="ERROR")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    async def work(item: int = 0) -> str:
        if gate is not None:
            await gate.wait()
        return name

    return server


@pytest.mark.anyio
async def test_a_hedge_is_told_with_its_reason():
    gate = asyncio.Event()
    servers = {"slow": slow("slow", gate), "quick": slow("quick", None)}
    async with mcpnb.MultiServerClient(servers, replicas=True, strategy="round_robin", seed=1) as client:
        results = [await client.options(hedge=0.02).call("work") for _ in range(2)]
        gate.set()
    hedged = next(result for result in results if result.attempts == 2)
    html = explain.explanation_html(hedged.explain())
    assert "hedge: no answer after 20 ms" in Reader(html).text
    assert {how for how, *_ in bars(html)} == {"cancelled", "won"}
    assert "hedge: no answer after 20 ms" in str(hedged.explain())


@pytest.mark.anyio
async def test_a_wait_for_a_free_server_is_told():
    gate = asyncio.Event()
    source = {"only": slow("only", gate)}
    async with mcpnb.MultiServerClient(source, max_in_flight=1) as client:
        first = asyncio.create_task(client.call("work"))
        second = asyncio.create_task(client.call("work", item=1))
        while not client.servers()[0].queued:  # noqa: ASYNC110 - a queue tells nobody of its length
            await asyncio.sleep(0.001)
        gate.set()
        await first
        story = (await second).explain()
    assert story.queued > 0
    assert "for a free server" in str(story)
    assert "for a free server" in Reader(explain.explanation_html(story)).text


def test_the_story_folds_out_below_a_result():
    with mcpnb.connect({"alpha": slow("alpha", None)}) as fleet:
        html = fleet.call("work")._repr_mimebundle_()["text/html"]
        assert "<summary>Why <bdi>alpha</bdi>?</summary>" in html
        assert "mcpnb-race" in html
