"""An aggregate in a notebook: frames, card, text and picture, whatever servers sent."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from mcpnb.aggregation import Answer, Trust, fuse
from mcpnb.notebook import aggregates
from mcpnb.notebook.disagreements import in_words
from mcpnb.notebook.frames import disagreements_frame, sources_frame
from mcpnb.notebook.plots import png
from mcpnb.notebook.results import Aggregate
from mcpnb.result import Aggregate as Core
from mcpnb.result import Source

EVIL = "<script>alert('x')</script>\"'&\u202e$\\frac{"


def aggregate(*values: object, tool: str = "weather", extra: tuple[Source, ...] = ()) -> Core:
    names = [f"s{place}" for place in range(len(values))]
    fused = fuse([Answer(name, value) for name, value in zip(names, values, strict=True)])
    sources = [
        Source(name, "ok", 0.01, fused.trust[name].confidence, "", "", fused.trust[name]) for name in names
    ]
    return Core(
        tool, fused.value, fused.method, {}, (*sources, *extra), fused.conflicts, fused.rows,
        fused.confidence, fused.alternatives,
    )  # fmt: skip


DOWN = Source("down", "timeout", 0.5, 0.0, "no answer within 0.5 s")


def test_sources_are_a_frame_with_the_parts_of_confidence():
    whole = Aggregate.of(aggregate({"t": 1, "sky": "x"}, {"t": 9, "sky": "x"}, extra=(DOWN,)))
    frame = whole.sources
    assert list(frame.columns) == [
        "server", "outcome", "latency_ms", "confidence", "reported", "reliability", "freshness", "agreement",
        "error", "note",
    ]  # fmt: skip
    assert list(frame["server"]) == ["s0", "s1", "down"]
    assert frame["latency_ms"].tolist() == [10.0, 10.0, 500.0]
    assert frame["agreement"].tolist()[:2] == [0.75, 0.75]
    assert pd.isna(frame["agreement"].iloc[2])
    assert frame["error"].iloc[2] == "no answer within 0.5 s"
    assert pd.isna(frame["error"].iloc[0])


def test_conflicts_are_a_frame_with_a_column_per_source():
    whole = Aggregate.of(aggregate({"t": 1, "sky": "x", "l": [1]}, {"t": 9, "sky": "x", "l": [1, 2]}))
    frame = whole.conflicts
    assert list(frame.columns) == ["field", "chosen", "spread", "s0", "s1"]
    assert frame["field"].tolist() == ["t", "l"]
    assert frame["s1"].tolist() == [9, [1, 2]]
    assert frame["spread"].iloc[0] == pytest.approx(8 / 9)


def test_frames_have_their_columns_when_they_are_empty():
    assert list(disagreements_frame([]).columns) == ["field", "chosen", "spread"]
    empty, full = sources_frame([]), sources_frame([DOWN])
    assert list(empty.columns) == list(full.columns)
    assert empty["outcome"].dtype == full["outcome"].dtype


def test_a_server_that_is_called_like_a_column_gets_one_of_its_own():
    fused = fuse([Answer("field", 1), Answer("spread", 9)])
    assert list(disagreements_frame(fused.conflicts).columns) == [
        "field", "chosen", "spread", "field_", "spread_",
    ]  # fmt: skip


def test_items_are_a_frame_with_their_source():
    frame = Aggregate.of(aggregate([{"title": "x"}], [{"title": "y"}])).df
    assert frame["server"].tolist() == ["s0", "s1"]
    assert frame["title"].tolist() == ["x", "y"]


def test_the_notebooks_aggregate_reads_like_the_cores():
    core = aggregate({"t": 1}, {"t": 9})
    whole = Aggregate.of(core)
    assert repr(whole) == repr(core)
    assert whole == Aggregate.of(core)
    assert whole != core
    assert (whole.value, whole.confidence, whole.alternatives) == (
        core.value,
        core.confidence,
        core.alternatives,
    )


def test_the_card_has_answer_sources_and_conflicts():
    core = aggregate({"t": 1}, {"t": 9}, extra=(DOWN,))
    bundle = Aggregate.of(core)._repr_mimebundle_()
    for words in (
        "Answer",
        "Sources",
        "Where they disagree",
        "2 other answers",
        "reliability</th>",
        "no answer within",
    ):
        assert words in bundle["text/html"], words
    assert "they disagree on t" in bundle["text/plain"]
    assert bundle["text/html"].count("≠") == 2


def card(*values: object, **options) -> str:
    return aggregates.aggregate_html(aggregate(*values, **options))


def test_each_field_of_the_answer_stands_beside_who_gave_it():
    core = replace(
        aggregate({"t": 1.0, "sky": "x"}, {"t": 2.0, "sky": "x"}), results={"s0": None, "s1": None}
    )
    html = aggregates.aggregate_html(core)
    assert '<th scope="col">Field</th>' in html
    assert html.index('title="1.5"') < html.index("<bdi>s0</bdi>")
    nested = replace(aggregate({"a": {"t": 1}}, {"a": {"t": 1}}), results={"s0": None, "s1": None})
    assert "who gave what" in aggregates.aggregate_html(nested)


def test_numbers_that_differ_are_drawn_on_a_line_with_a_dot_per_source():
    html = card(*({"t": value} for value in (20, 20.5, 21, 95)))
    line = html[html.index('class="mcpnb-dots"') :]
    assert line.count("<circle") == 4
    assert line.count('class="mcpnb-chosen"') == 1
    assert "s3 95" in line
    assert "<circle" not in card({"t": "x"}, {"t": "y"})
    assert card({"t": 10**400}, {"t": 10**401}).count("<circle") == 2


def test_of_many_sources_those_that_say_the_same_stand_together():
    html = card(*({"sky": "rain" if place % 5 else "sun"} for place in range(50)))
    assert "Said by" in html
    assert "40 of 50" in html
    assert "38 more servers" in html


@pytest.mark.parametrize(
    ("value", "words"),
    [("rain", "rain"), ("1", '"1"'), ("", '""'), ("true", '"true"'), (" x", '" x"'), (1, "1"), ([1], "[1]")],
)
def test_texts_stand_without_quotes_unless_they_would_be_taken_for_something_else(value, words):
    assert in_words(value) == words


def test_remarks_stand_below_the_sources_beside_their_server():
    html = card({"t": 1}, {"t": 9}, extra=(DOWN,))
    assert '<dd><span class="mcpnb-str">no answer within 0.5 s</span></dd>' in html


def test_what_servers_sent_is_text_everywhere():
    core = aggregate(
        {EVIL: EVIL, "n": [EVIL]}, {EVIL: "x", "n": [EVIL, EVIL]}, tool=EVIL,
        extra=(Source(EVIL, "ok", 0.1, 0.5, EVIL, EVIL, Trust()),),
    )  # fmt: skip
    bundle = Aggregate.of(core)._repr_mimebundle_()
    assert "<script" not in bundle["text/html"]
    assert "\u202e" not in bundle["text/html"] + bundle["text/plain"]
    assert png(Aggregate.of(core).plot().get_figure(root=True)).startswith(b"\x89PNG")


def test_the_picture_has_a_row_per_field_and_a_column_per_source():
    ax = Aggregate.of(aggregate({"t": 1, "sky": "x"}, {"t": 9, "sky": "x"}, {"t": 1}, extra=(DOWN,))).plot()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["s0", "s1", "s2", "down"]
    assert [label.get_text().split()[0] for label in ax.get_yticklabels()] == ["t", "sky"]
    words = [text.get_text() for text in ax.texts]
    assert words.count("✓") == 2
    assert "9" in words


def test_many_fields_and_sources_are_cut_and_the_cut_is_told():
    many = [{f"f{field}": field * (1 + place) for field in range(60)} for place in range(30)]
    core = aggregate(*many)
    html = aggregates.aggregate_html(core)
    assert "more fields" in html
    assert "more servers" in html
    ax = Aggregate.of(core).plot()
    assert "more fields not shown" in ax.get_xlabel()
    assert len(ax.get_xticklabels()) <= 16


def test_an_aggregate_of_nothing_can_be_looked_at():
    core = Core("t", None, "vote", {}, (), (), (), 0.0)
    assert "Answer" in aggregates.aggregate_html(core)
    assert Aggregate.of(core).plot() is not None
    assert Aggregate.of(core).sources.empty
