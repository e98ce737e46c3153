"""Charts as inline SVG."""

from __future__ import annotations

import itertools
import math
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpnb.notebook import marks, svg
from mcpnb.notebook.palette import DASHES, TONES, Palette

NAN = math.nan


@pytest.fixture
def palette() -> Palette:
    return Palette()


def parsed(text: str) -> ET.Element:
    """The SVG as XML: what a strict reader makes of it."""
    return ET.fromstring(text)


def paths(text: str) -> list[str]:
    return [path.get("d") or "" for path in parsed(text).iter("path")]


def test_a_line_breaks_where_values_are_missing(palette: Palette) -> None:
    drawn = svg.line_chart([svg.Line("a", [1, 2, NAN, 3, 4], palette.accent("a"))], title="t", start="then")
    [path] = paths(drawn)
    assert path.count("M") == 2
    assert "nan" not in path


def test_a_lonely_value_is_drawn_as_a_dot(palette: Palette) -> None:
    [path] = paths(svg.sparkline([NAN, 5, NAN], palette.accent("a"), title="t"))
    assert re.fullmatch(r"M\d+ \d+h0", path)


def test_no_values_at_all_are_words(palette: Palette) -> None:
    assert "no calls" in svg.sparkline([NAN, NAN], palette.accent("a"), title="t")
    assert "no calls" in svg.sparkline([], palette.accent("a"), title="t")


def test_a_line_chart_without_any_value_is_still_a_picture(palette: Palette) -> None:
    assert parsed(svg.line_chart([svg.Line("a", [NAN, NAN], palette.accent("a"))], title="t", start="then"))
    assert parsed(svg.line_chart([], title="t", start="then"))
    assert parsed(svg.share_chart([], title="t", start="then"))


def test_every_line_is_labelled_with_its_name_and_last_value(palette: Palette) -> None:
    drawn = svg.line_chart([svg.Line("alpha", [10, 42], palette.accent("alpha"))], title="t", start="then")
    assert "alpha<tspan" in drawn
    assert ">42</tspan>" in drawn


def test_a_line_that_ended_has_no_figure_for_now(palette: Palette) -> None:
    values = [10.0, *[NAN] * 20]
    drawn = svg.line_chart([svg.Line("alpha", values, palette.accent("alpha"))], title="t", start="then")
    assert ">—</tspan>" in drawn


def test_marks_say_what_happened_when(palette: Palette) -> None:
    mark = svg.Mark(0.5, "beta slowed", "warn")
    drawn = svg.line_chart(
        [svg.Line("a", [1, 2], palette.accent("a"))], title="t", start="then", marks=[mark]
    )
    assert 'class="mcpnb-mark mcpnb-warn"' in drawn
    assert ">beta slowed</text>" in drawn


def marked(palette: Palette, *marks: svg.Mark) -> str:
    return svg.line_chart([svg.Line("a", [1, 2], palette.accent("a"))], title="t", start="then", marks=marks)


def test_marks_on_one_spot_share_a_line_which_tells_all_and_says_the_gravest(palette: Palette) -> None:
    tones = ("dim", "warn", "bad", "good", "dim", "dim")
    drawn = marked(palette, *(svg.Mark(0.5 + n / 1000, f"event {n}", tone) for n, tone in enumerate(tones)))
    assert drawn.count("mcpnb-mark mcpnb-bad") == 1
    assert drawn.count("<line class") == 5
    assert ">event 2 +5</text>" in drawn
    assert "<title>event 0; event 1; event 2; event 3; event 4; event 5</title>" in drawn


def test_the_same_mark_twice_is_said_once(palette: Palette) -> None:
    drawn = marked(palette, svg.Mark(0.5, "beta slowed"), svg.Mark(0.501, "beta slowed"))
    assert drawn.count(">beta slowed</text>") == 1
    assert "+1" not in drawn


def test_words_without_room_at_their_right_stand_left_of_their_line(palette: Palette) -> None:
    late = marked(palette, svg.Mark(0.97, "gamma reconnecting since then"))
    assert re.search(r'text-anchor="end">gamma reconnecting since then</text>', late)
    early = marked(palette, svg.Mark(0.1, "gamma reconnecting since then"))
    assert (
        "text-anchor" not in early.partition("gamma reconnecting since then</text>")[0].rpartition("<text")[2]
    )


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 40)), max_size=14))
def test_no_words_of_marks_stand_on_others(found: list[tuple[float, int]]) -> None:
    spots = marks.together([svg.Mark(at, f"{n}" * length) for n, (at, length) in enumerate(found)])
    rows: dict[int, list[tuple[float, float]]] = {0: [], 1: []}
    for spot, words in marks.placed(spots):
        if words is not None:
            ends = sorted((spot.at, spot.at + words.side * len(spot.words) * marks.CHARACTER))
            rows[words.row].append((ends[0], ends[1]))
    for row in rows.values():
        assert all(a[1] < b[0] for a, b in itertools.pairwise(sorted(row)))


def test_a_long_name_is_cut_as_it_is_read_and_its_title_has_it_whole(palette: Palette) -> None:
    drawn = svg.line_chart(
        [svg.Line("\u202e" * 30, [1], palette.accent("x"))], title="t", start="then", end="12:00:00"
    )
    assert "<title>⟨U+202E⟩⟨U+202E⟩" in drawn
    assert "⟨U+202E⟩⟨U+…<tspan" in drawn
    assert ">12:00:00</text>" in drawn


def test_shares_fill_the_whole_height(palette: Palette) -> None:
    lines = [svg.Line(name, [1.0, 3.0], palette.accent(name)) for name in ("a", "b")]
    bands = svg._stack([line.values for line in lines])
    assert bands[0] == ([0.0, 0.0], [0.5, 0.5])
    assert bands[1] == ([0.5, 0.5], [1.0, 1.0])
    assert svg.share_chart(lines, title="t", start="then").count("50 %") == 2


def test_a_bucket_without_calls_is_a_gap_in_the_shares(palette: Palette) -> None:
    drawn = svg.share_chart([svg.Line("a", [1, 0, 1], palette.accent("a"))], title="t", start="then")
    [path] = paths(drawn)
    assert path.count("Z") == 2


def test_a_share_of_nothing_has_no_label(palette: Palette) -> None:
    lines = [
        svg.Line("busy", [5, 5], palette.accent("busy")),
        svg.Line("idle", [5, 0], palette.accent("idle")),
    ]
    drawn = svg.share_chart(lines, title="t", start="then")
    assert "busy<tspan" in drawn
    assert "idle<tspan" not in drawn


def test_the_race_shows_winners_losers_and_waits(palette: Palette) -> None:
    a, b = palette.accent("a"), palette.accent("b")
    lanes = [
        svg.Lane("1 → a", [svg.Bar(0.0, 0.1, a, "cancelled", "100 ms · cancelled")]),
        svg.Lane(
            "2 → b", [svg.Bar(0, 0.05, b, "queued", "wait"), svg.Bar(0.05, 0.09, b, "won", "40 ms · won")]
        ),
    ]
    drawn = svg.race_strip(lanes, title="race")
    parsed(drawn)
    for piece in ("mcpnb-cancelled", "mcpnb-won", "mcpnb-wait", "40 ms · won", "2 → b", ">100 ms</text>"):
        assert piece in drawn


def test_a_race_of_no_length_does_not_divide_by_zero(palette: Palette) -> None:
    assert parsed(svg.race_strip([svg.Lane("x", [svg.Bar(0, 0, palette.accent("a"), "won", "")])], title="r"))
    assert parsed(svg.race_strip([], title="r"))


def test_foreign_names_cannot_leave_their_text(palette: Palette) -> None:
    evil = '"><script>alert(1)</script>'
    accent = palette.accent(evil)
    charts = [
        svg.line_chart([svg.Line(evil, [1], accent)], title=evil, start=evil, marks=[svg.Mark(0, evil)]),
        svg.share_chart([svg.Line(evil, [1], accent)], title=evil, start=evil),
        svg.race_strip([svg.Lane(evil, [svg.Bar(0, 1, accent, "won", evil)])], title=evil),
        svg.sparkline([1, 2], accent, title=evil),
        svg.meter(0.5, accent, title=evil),
    ]
    for chart in charts:
        assert "<script" not in chart
        parsed(chart)


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_the_top_of_a_scale_is_round_and_near(value: float) -> None:
    top = svg.nice_ceiling(value)
    assert value <= top * (1 + 1e-9)
    assert top <= 2 * value * (1 + 1e-9)


@pytest.mark.parametrize("value", [0.0, -1.0, NAN, math.inf])
def test_the_top_of_a_scale_exists_for_anything(value: float) -> None:
    assert svg.nice_ceiling(value) == 1.0


@given(st.lists(st.floats(min_value=0, max_value=150), max_size=10))
def test_labels_are_moved_apart_in_their_order(places: list[float]) -> None:
    moved = svg.spread(places, 0, 150, 14)
    ordered = [moved[i] for i in sorted(range(len(places)), key=lambda i: places[i])]
    assert all(b - a >= 14 - 1e-9 for a, b in itertools.pairwise(ordered))
    assert all(place <= 150 for place in moved)


def test_accents_go_by_first_appearance_and_stay(palette: Palette) -> None:
    first, second = palette.accent("x"), palette.accent("y")
    assert (first.tone, second.tone) == TONES[:2]
    assert palette.accent("x") == first


def test_accents_beyond_the_first_four_have_a_dash_as_well(palette: Palette) -> None:
    looks = [palette.accent(f"s{n}") for n in range(len(TONES) * 2)]
    assert [accent.dash for accent in looks[:4]] == [""] * 4
    assert all(accent.dash for accent in looks[4:])
    assert len(set(looks[:12])) == 12
    assert {accent.dash for accent in looks} == set(DASHES)


def test_accents_can_be_read_on_both_surfaces() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for tone in TONES:
        assert 1.05 / (luminance(tone.light) + 0.05) >= 4.3
        assert (luminance(tone.dark) + 0.05) / (luminance("#14171b") + 0.05) >= 4.5
