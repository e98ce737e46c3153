"""What values look like, and that nothing foreign gets out of its text."""

from __future__ import annotations

import base64
import math
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpnb.aggregation.values import Disagreement, FusedRow
from mcpnb.model import Attempt, AttemptRecord, Explanation, ServerStatus
from mcpnb.notebook import aggregates, display, markup, servers
from mcpnb.result import Source

EVIL = "<script>alert('x')</script>\"'&"


class Reader(HTMLParser):
    """What a browser would make of it: elements, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def record(
    number: int, server: str, outcome: str, *, queued: float = 0.0, latency: float = 0.04, why: str = "first",
    saw: tuple[tuple[str, float], ...] = (), error: str = "",
) -> AttemptRecord:  # fmt: skip
    attempt = Attempt(number, 1, number, server, "weather.forecast", "p2c", 0.0, queued, False, why, saw)
    return AttemptRecord(attempt, outcome, latency, error)  # type: ignore[arg-type]


EXPLANATION = Explanation(
    tool="weather.forecast",
    candidates=("alpha", "beta", "gamma", "delta"),
    excluded={"delta": "breaker open, next probe in 12 s"},
    strategy="p2c",
    looked_at="calls in flight",
    attempts=(
        record(1, "beta", "refused", saw=(("beta", 1.0), ("gamma", 3.0)), error="connection refused"),
        record(2, "alpha", "ok", queued=0.05, why="retry: refused by beta"),
    ),
    resolution="first_server: alpha's group over omega's",
    total=0.09,
)


@dataclass
class Answer:
    """A result as `display` reads it, without an SDK behind it."""

    value: Any
    tool: str = "weather.forecast"
    server: str = "alpha"
    ok: bool = True
    latency: float = 0.0441
    attempts: int = 1
    cached: bool = False
    content: list[Any] = field(default_factory=list)

    def explain(self) -> Explanation:
        return EXPLANATION


def html_of(value: Any, **fields: Any) -> str:
    return display.result_html(Answer(value, **fields))  # type: ignore[arg-type]


# -- foreign text


@given(st.text(max_size=60))
def test_any_text_comes_out_as_text(text: str) -> None:
    reader = Reader(markup.escape(text))
    assert reader.elements == []
    assert reader.text == markup.visible(text)


@given(st.text(max_size=60))
def test_nothing_that_is_shown_is_invisible_or_unsendable(text: str) -> None:
    shown = markup.visible(text, lines=True)
    shown.encode("utf-8")
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]", shown
    )


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("\x1b[31mred", "⟨U+001B⟩[31mred"),
        ("invoice\u202efdp.exe", "invoice⟨U+202E⟩fdp.exe"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("tag\U000e0041", "tag⟨U+E0041⟩"),
        ("half\ud800", "half⟨U+D800⟩"),
        ("two\nlines", "two ⏎ lines"),
        ("👩‍🔬", "👩‍🔬"),
    ],
)
def test_what_cannot_be_seen_is_shown_as_a_mark(sent: str, seen: str) -> None:
    assert markup.visible(sent) == seen


def test_names_are_isolated_from_their_neighbours_direction() -> None:
    assert markup.name("שלום") == "<bdi>שלום</bdi>"


def test_a_long_text_is_cut_and_can_be_seen_whole() -> None:
    text = "word " * 500
    cut = markup.cut(text)
    assert cut.startswith("<details><summary>")
    assert "2,500 characters" in cut
    assert text in Reader(cut).text


def test_a_huge_text_says_how_much_is_not_on_the_page() -> None:
    cut = markup.cut("x" * 300_000)
    assert len(cut) < 110_000
    assert "200,000 more characters" in cut


def test_scripts_in_a_result_are_text() -> None:
    html = html_of({EVIL: EVIL, "list": [EVIL, {"k": EVIL}]}, tool=EVIL, server=EVIL)
    reader = Reader(html)
    assert "script" not in {tag for tag, _ in reader.elements}
    assert not any(key.startswith("on") for _, attrs in reader.elements for key in attrs)
    assert reader.text.count("<script>") >= 5


def test_scripts_in_a_servers_row_are_text() -> None:
    status = ServerStatus(
        EVIL,
        "failed",
        EVIL,
        protocol=EVIL,
        version=EVIL,
        region=EVIL,
        breaker=EVIL,
        last_error=EVIL,
        stderr=(EVIL,),
    )
    reader = Reader(display.fleet_html([status], title=EVIL, strategy=EVIL))
    assert "script" not in {tag for tag, _ in reader.elements}


# -- values


def test_records_are_a_table_with_numbers_at_the_right() -> None:
    html = html_of([{"city": "London", "t": 8.5}, {"city": "Rome", "t": 15}])
    assert '<th scope="col">city</th><th scope="col" class="mcpnb-r">t</th>' in html
    assert "<td>London</td>" in html


def test_deep_values_fold_and_very_deep_ones_end() -> None:
    value: Any = "bottom"
    for _ in range(2_000):
        value = {"down": value}
    html = html_of(value)
    assert "<details>" in html
    assert "too deep to show" in html


def test_wide_values_say_what_is_left_out() -> None:
    assert "… 940 more" in html_of({f"k{n}": n for n in range(1_000)})


@pytest.mark.parametrize("value", ["", 0, False, None, [], {}])
def test_falsy_values_are_shown(value: Any) -> None:
    shown = Reader(markup.tree(value)).text
    assert shown in {"empty text", "0", "false", "null", "0 items", "0 fields"}


def test_a_tool_error_is_word_symbol_and_colour() -> None:
    shown = '<span class="mcpnb-state mcpnb-warn"><span aria-hidden="true">!</span> tool error</span>'
    assert shown in html_of("no", ok=False)


def test_pictures_show_as_themselves_when_they_cannot_carry_script() -> None:
    data = base64.b64encode(b"\x89PNG\r\n\x1a\npicture").decode()
    png = SimpleNamespace(type="image", data=data, mime_type="image/png")
    vector = SimpleNamespace(type="image", data=data, mime_type="image/svg+xml")
    broken = SimpleNamespace(type="image", data='"><script>', mime_type="image/png")
    reader = Reader(html_of("", content=[png, vector, broken]))
    assert [attrs["src"] for attrs in reader.attributes("img")] == [f"data:image/png;base64,{data}"]
    assert "not a kind that is shown here" in reader.text
    assert "not valid base64" in reader.text


def test_only_web_links_can_be_followed() -> None:
    links = [
        SimpleNamespace(type="resource_link", uri=uri, name="a name")
        for uri in ("javascript:alert(1)", "https://example.org/x")
    ]
    reader = Reader(html_of("text", content=links))
    assert [attrs["href"] for attrs in reader.attributes("a")] == ["https://example.org/x"]
    assert "javascript:alert(1)" in reader.text


# -- aggregates


AGGREGATE = SimpleNamespace(
    tool="weather.current",
    value={"temperature_c": 8.4},
    method="mean",
    results={"alpha": 1, "beta": 2},
    sources=(
        Source("alpha", "ok", 0.04, 0.9),
        Source("beta", "ok", 0.2, 0.8),
        Source("gamma", "timeout", 0.5, 0.0, "no answer within 0.5 s"),
    ),
    conflicts=(Disagreement("temperature_c", {"alpha": 8.1, "beta": 8.7}, 0.07),),
    confidence=0.82,
    alternatives=(),
    rows=(FusedRow("temperature_c", 8.4, ("alpha", "beta")),),
)


def test_an_aggregate_shows_answer_sources_and_disagreement() -> None:
    text = Reader(aggregates.aggregate_html(AGGREGATE)).text  # type: ignore[arg-type]
    for words in (
        "2 of 3 servers answered", "fused by mean", "confidence 82 %", "1 disagreement", "8.4", "timed out",
        "no answer within 0.5 s", "Where they disagree", "8.7", "7.0 %",
    ):  # fmt: skip
        assert words in text, words


def test_an_aggregate_in_plain_text_says_the_same() -> None:
    text = aggregates.aggregate_text(AGGREGATE)  # type: ignore[arg-type]
    assert "2 of 3 servers" in text
    assert "they disagree on temperature_c" in text


# -- fleets


def statuses() -> list[ServerStatus]:
    up = ServerStatus("alpha", "connected", "http", version="2.1.0", region="eu", calls=1234, p50_ms=38.2)
    down = ServerStatus("beta", "reconnecting", "stdio", last_error="exit status 1", stderr=("boom", "bang"))
    return [replace(up, in_flight=3, max_in_flight=16), replace(down, retry_in=2.4, breaker="half_open")]


def test_a_fleets_table_can_be_read_by_a_screen_reader() -> None:
    reader = Reader(display.fleet_html(statuses(), title="weather"))
    assert len(reader.attributes("caption")) == 1
    scopes = [attrs.get("scope") for attrs in reader.attributes("th")]
    assert scopes.count("row") == 2
    assert None not in scopes


def test_a_state_is_word_symbol_and_colour() -> None:
    html = display.fleet_html(statuses())
    assert '<span class="mcpnb-state mcpnb-good"><span aria-hidden="true">●</span> connected</span>' in html
    assert (
        '<span class="mcpnb-state mcpnb-bad"><span aria-hidden="true">↻</span> reconnecting · in 3 s</span>'
        in html
    )


def test_a_fleet_says_what_is_wrong_with_a_server_that_is_down() -> None:
    text = Reader(display.fleet_html(statuses())).text
    assert "1 of 2 servers take calls" in text
    assert "exit status 1" in text
    assert "boom" in text


def test_a_fleet_in_plain_text_is_an_aligned_table() -> None:
    lines = display.fleet_text(statuses(), title="weather", strategy="p2c").splitlines()
    assert lines[0] == "weather: 1 of 2 servers take calls, strategy p2c"
    assert lines[1].startswith("server  state")
    assert lines[2].index("http") == lines[3].index("stdio")


def test_every_state_breaker_and_outcome_has_its_own_symbol_or_word() -> None:
    for looks in (servers.STATES, servers.BREAKERS, servers.OUTCOMES):
        assert len({str(look) for look in looks.values()}) == len(looks)
    assert servers.look(servers.STATES, "brand_new").word == "brand_new"


def test_an_empty_fleet_has_a_picture() -> None:
    assert "no servers" in display.fleet_html([])
    assert "no servers" in display.fleet_text([])


# -- bundles


def test_a_bundle_stands_alone_and_falls_back_to_text() -> None:
    bundle = display.mimebundle(EXPLANATION)
    html = bundle["text/html"].replace("http://www.w3.org/2000/svg", "")  # the name of SVG, not an address
    assert html.startswith("<style>")
    assert '<pre class="mcpnb-text">' in html
    assert '<div class="mcpnb" style="display:none">' in html
    assert bundle["text/plain"].startswith("weather.forecast: 4 candidates")
    for absent in ("<script", "http://", "https://", "@import", "--mcpnb-accents"):
        assert absent not in html


def test_the_style_knows_every_kind_of_dark_page() -> None:
    style = markup.style()
    for page in ('[data-theme="dark"]', "body.vscode-dark", '[data-jp-theme-light="false"]'):
        assert page in style


def test_a_stranger_has_no_picture() -> None:
    with pytest.raises(TypeError, match="no picture for a int"):
        display.mimebundle(3)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.1234, "0.123"),
        (3.14159, "3.14"),
        (41.23, "41.2"),
        (204.4, "204"),
        (math.nan, "—"),
        (14164.0, "14\u202f164"),
    ],
)
def test_figures_have_three_digits_that_matter(value: float, shown: str) -> None:
    assert markup.number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.002, "2 ms"),
        (0.0441, "44.1 ms"),
        (0.21, "210 ms"),
        (0.9999, "1 s"),
        (1.5, "1.5 s"),
        (math.nan, "—"),
    ],
)
def test_durations_have_their_unit(seconds: float, shown: str) -> None:
    assert markup.duration(seconds) == shown


@pytest.mark.parametrize(
    ("share", "shown"), [(0, "0 %"), (0.024, "2.4 %"), (0.0999, "10 %"), (1, "100 %"), (math.nan, "—")]
)
def test_shares_are_percentages(share: float, shown: str) -> None:
    assert markup.percent(share) == shown
