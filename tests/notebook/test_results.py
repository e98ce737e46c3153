"""Answers by their content: prose, Markdown, long tables, pictures, sounds, resources; and hostile ones."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from mcpnb.notebook import aggregates, display, markup
from mcpnb.notebook.media import block_html, block_text, text_html
from mcpnb.notebook.prose import is_markdown, markdown, prose
from mcpnb.notebook.value_text import value_text
from mcpnb.result import Source

from .test_display import Answer, Reader

SAFE_TAGS = {
    "div", "p", "h4", "h5", "h6", "ul", "ol", "li", "strong", "em", "s", "code", "pre", "a", "br", "hr",
    "table", "thead", "tbody", "tr", "th", "td", "blockquote", "span",
}  # fmt: skip
SAFE_ATTRIBUTES = {"class", "href", "title", "rel", "target", "start", "style"}

REPORT = """\
# Weather in Łódź

It will be **warm**, with `rain` at night.

- Monday: 21 °C
- Tuesday: 19 °C

| day | high |
|-----|-----:|
| Mon |   21 |

See [the source](https://example.org/weather).
"""

HOSTILE = [
    "# a\n\n[click](javascript:alert(1)) [x](vbscript:x) [d](data:text/html;base64,PHN)",
    "# a\n\n<script>alert(1)</script>\n\n<img src=x onerror=alert(2)>\n\n<svg onload=alert(3)>",
    "**b** [x]( jAvAsCrIpT&colon;alert(1) ) `c`",
    "# a\n\n![tracker](https://evil.example/pixel.png) ![x](javascript:alert(1))",
    "# a\n\n[a](/hub/logout) [b](?token) [c](../files/x) [d](//evil.example)",
    '# a\n\n<https://example.org/"onmouseover="alert(1)> <javascript:alert(1)>',
    "# a\n\n[ref]: javascript:alert(1)\n\n[ref] **b**",
    '```html"><script>alert(1)</script>\nx\n```',
    '# a\n\n[x](https://example.org "title"onclick=alert(1)")',
    "**b** &#x202e;txt.exe &#8203; `\u202e` \x1b[31m [\u202e](https://example.org/\u202e)",
    "| a | b |\n|---|---|\n| <b onclick=x> | [x](javascript:x) |",
]


def answer(value: Any, **fields: Any) -> str:
    return display.result_html(Answer(value, **fields))  # type: ignore[arg-type]


# -- Markdown


def test_markdown_is_rendered_and_its_source_kept():
    shown = Reader(prose(REPORT, limit=2_000))
    tags = [tag for tag, _ in shown.elements]
    assert {"h4", "strong", "code", "li", "table", "a", "details"} <= set(tags)
    assert [link["href"] for link in shown.attributes("a")] == ["https://example.org/weather"]
    assert REPORT in shown.text


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_markdown_runs_or_is_fetched(text):
    shown = Reader(markdown(text))
    assert {tag for tag, _ in shown.elements} <= SAFE_TAGS
    assert {name for _, attributes in shown.elements for name in attributes} <= SAFE_ATTRIBUTES
    for link in shown.attributes("a"):
        assert str(link["href"]).startswith(("https://example.org", "https://evil.example/pixel.png"))
        assert link["rel"] == "noopener noreferrer"
    assert "\u202e" not in markdown(text)
    assert "\x1b" not in markdown(text)


@given(st.text(alphabet="[]()!<>\"'&;#*_`~|-:/\\ \nabjs\u202e\x1b", max_size=80))
@examples(max_examples=150, deadline=None)
def test_whatever_markdown_holds_only_harmless_elements_come_out(text):
    shown = Reader(markdown(text))
    assert {tag for tag, _ in shown.elements} <= SAFE_TAGS
    for _, attributes in shown.elements:
        assert set(attributes) <= SAFE_ATTRIBUTES
        assert attributes.get("style") in {None, "text-align:left", "text-align:right", "text-align:center"}
        assert (
            str(attributes.get("href", "http")).lower().startswith(("http://", "https://", "mailto:", "http"))
        )


@pytest.mark.parametrize(
    "text",
    [
        REPORT,
        "```python\nprint(1)\n```",
        "a | b\n--|--\n1 | 2",
        "Look [here](https://example.org).",
        "# Title\n\n- one\n- two",
        "It is **very** warm, says `sensor-1`.",
    ],
)
def test_markdown_is_known_by_its_marks(text):
    assert is_markdown(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Plain words, and nothing else.",
        "2 * 3 * 4 = 24",
        "- only one kind of mark\n- is not enough",
        "# a comment\nimport os\n\n# another\ndef run():\n    return `x`;",
        "#!/bin/sh\n# list - all\nls -l;\n",
        '{"a": "**b**", "c": [1]}',
        "snake_case_name and __init__",
    ],
)
def test_other_text_is_left_as_it_stands(text):
    assert not is_markdown(text)
    assert "mcpnb-md" not in text_html(text)


def test_a_text_that_says_what_it_is_is_taken_at_its_word():
    assert "<strong>" in text_html("just **one** mark", "text/markdown; charset=utf-8")
    assert "mcpnb-tree" in text_html('{"a": 1}', "application/json")
    assert "mcpnb-str" in text_html("{not json", "application/json")
    assert "mcpnb-md" not in text_html(REPORT, "text/html")


def test_a_very_long_text_is_cut_and_never_parsed():
    text = "# a **b**\n" + "[" * 1_000_000
    shown = prose(text, limit=2_000)
    assert "mcpnb-md" not in shown
    assert len(shown) < 250_000
    assert "1,000,010 characters" in shown


# -- tables


def test_a_long_table_is_in_pages_that_fold_out():
    rows = [{"n": n, "name": f"row {n}"} for n in range(600)]
    shown = Reader(markup.tree(rows))
    assert shown.text.count("row 19") == 1 + 10 + 0
    summaries = [tag for tag, _ in shown.elements].count("summary")
    assert summaries == 5
    assert "rows 21 to 120" in shown.text
    assert "… 80 more; Python has the whole value" in shown.text
    assert len(shown.attributes("table")) == 6


def test_a_table_that_is_hardly_longer_than_a_page_is_one_page():
    assert "<details" not in markup.tree([{"n": n, "m": n} for n in range(30)])


# -- what stands beside a value


def block(kind: str, **fields: Any) -> SimpleNamespace:
    return SimpleNamespace(type=kind, **fields)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("image/png", b"\x89PNG\r\n\x1a\n"), ("image/jpeg", b"\xff\xd8\xff\xe0"), ("image/gif", b"GIF89a"),
        ("image/webp", b"RIFF1234WEBP"), ("IMAGE/PNG; q=1", b"\x89PNG\r\n\x1a\n"),
    ],
)  # fmt: skip
def test_pictures_are_shown_that_are_what_they_say(kind, data):
    assert Reader(block_html(block("image", data=encoded(data), mime_type=kind))).attributes("img")
    other = block_html(block("image", data=encoded(b"<svg onload=alert(1)>"), mime_type=kind))
    assert "not what it says it is" in other
    assert "<img" not in other


def test_sounds_have_controls_and_play_nothing_by_themselves():
    (sound,) = Reader(block_html(block("audio", data=encoded(b"OggSx"), mime_type="audio/ogg"))).attributes(
        "audio"
    )
    assert "controls" in sound
    assert "autoplay" not in sound
    assert "not what" in block_html(block("audio", data=encoded(b"MZ"), mime_type="audio/ogg"))


def test_a_link_says_what_it_leads_to():
    link = block(
        "resource_link", uri="note://7", name="seven", title="Note <7>", mime_type="text/plain", size=2_048,
        description="the seventh",
    )  # fmt: skip
    text = Reader(block_html(link)).text
    for words in ("Note <7>", "note://7", "text/plain", "2.0 kB", "the seventh"):
        assert words in text


def test_embedded_resources_are_shown_by_their_kind():
    def shown(**fields: Any) -> str:
        return block_html(block("resource", resource=SimpleNamespace(uri="x://<y>", **fields)))

    assert "<h4>" in shown(text=REPORT, mime_type="text/markdown")
    assert "mcpnb-tree" in shown(text='{"a": 1}', mime_type="application/json")
    assert "<img" in shown(blob=encoded(b"GIF89a"), mime_type="image/gif")
    assert "application/zip, 6 bytes" in shown(blob=encoded(b"GIF89a"), mime_type="application/zip")
    assert "&lt;script" in shown(text="<script>alert(1)</script>", mime_type="text/html")
    assert "a plain &lt;note&gt;" in shown(
        blob=encoded(b"a plain <note>"), mime_type="text/plain; charset=utf-8"
    )
    assert "mcpnb-tree" in shown(blob=encoded(b'{"a": 1}'), mime_type="application/json")
    assert "text/plain, 2 bytes" in shown(blob=encoded(b"\xff\xfe"), mime_type="text/plain")
    assert "x://&lt;y&gt;" in shown(text="", mime_type=None)


def test_text_and_pictures_keep_their_order():
    picture = block("image", data=encoded(b"GIF89a"), mime_type="image/gif")
    html = answer("first\nlast", content=[block("text", text="first"), picture, block("text", text="last")])
    assert html.index("first") < html.index("<img") < html.index("last")


def structured(value: Any, *texts: str) -> Answer:
    made = Answer(value, content=[block("text", text=text) for text in texts])
    made.raw = SimpleNamespace(structured_content=value)  # type: ignore[attr-defined]
    return made


def test_a_text_beside_structured_content_is_shown_where_it_says_something_else():
    said = structured({"hits": [{"a": 1}]}, "Found **one** hit", '{"hits": [{"a": 1}]}')
    assert "Found **one** hit" in display.result_html(said)  # type: ignore[arg-type]
    assert display.result_html(said).count("hits") == 1  # type: ignore[arg-type]
    assert display.result_text(said).splitlines()[1:] == ['{"hits": [{"a": 1}]}', "Found **one** hit"]  # type: ignore[arg-type]
    again = structured(["Oslo", 3, {"a": 1}], "Oslo", "3", '{"a": 1}', " ")
    assert display.result_html(again).count("Oslo") == 1  # type: ignore[arg-type]
    assert len(display.result_text(again).splitlines()) == 2  # type: ignore[arg-type]
    written = structured({"content": "Written to x\n"}, "Written to x\n")
    assert display.result_html(written).count("Written") == 1  # type: ignore[arg-type]


def test_a_prompts_messages_stand_under_their_roles():
    raw = SimpleNamespace(
        messages=[
            SimpleNamespace(role="user", content=block("text", text=REPORT)),
            SimpleNamespace(role="<b>assistant</b>", content=block("text", text="Yes.")),
        ]
    )
    made = Answer([])
    made.raw = raw  # type: ignore[attr-defined]
    shown = Reader(display.result_html(made))  # type: ignore[arg-type]
    assert "user" in shown.text
    assert "<b>assistant</b>" in shown.text
    assert shown.attributes("strong")


def test_viewers_without_html_are_told_of_pictures_in_words():
    picture = block("image", data=encoded(b"GIF89a"), mime_type="image/gif")
    link = block("resource_link", uri="note://7", name="seven")
    assert block_text(picture) == "[image/gif, 6 bytes]"
    text = display.result_text(Answer("", content=[picture, link]))  # type: ignore[arg-type]
    assert text.splitlines()[1] == "[image/gif, 6 bytes] [resource note://7: seven]"


def test_a_long_table_within_an_object_is_open_like_any_other():
    rows = [{"city": f"City {n}", "n": n} for n in range(40)]
    html = answer({"found": 40, "hits": rows})
    assert html.index("City 0<") < html.index("<details")
    assert "rows 21 to 40" in html


# -- of several servers


def gathered(value: Any, **contents: list[Any]) -> Any:
    results = {name: SimpleNamespace(content=content) for name, content in contents.items()}
    sources = tuple(Source(name, "ok", 0.01, 1.0) for name in contents)
    return SimpleNamespace(
        tool="radar", value=value, method="vote", results=results, sources=sources, conflicts=(),
        confidence=1.0, alternatives=(), rows=(),
    )  # fmt: skip


def test_an_aggregates_text_is_rendered_by_what_it_is():
    html = aggregates.aggregate_html(gathered(REPORT, alpha=[], beta=[]))
    assert "<strong>warm</strong>" in html


def test_pictures_and_links_of_all_servers_stand_beside_the_fused_answer_each_once():
    picture = block("image", data=encoded(b"GIF89a"), mime_type="image/gif")
    link = block("resource_link", uri="https://example.org/x", name="the <source>")
    made = gathered("", alpha=[picture, block("text", text="")], beta=[picture, link])
    html = aggregates.aggregate_html(made)
    assert html.count("<img") == 1
    assert html.count('href="https://example.org/x"') == 1
    assert "the &lt;source&gt;" in html
    assert "empty text" not in html
    lines = aggregates.aggregate_text(made).splitlines()
    assert lines[1] == "[image/gif, 6 bytes] from alpha, beta"
    assert lines[2] == "[resource https://example.org/x: the <source>] from beta"


# -- in a console


def test_records_within_an_object_are_a_table_in_a_console_too():
    rows = [{"city": f"City {n}", "n": n} for n in range(40)]
    lines = value_text({"found": 40, "hits": rows}).splitlines()
    assert lines[:3] == ['{"found": 40}', "hits:", "city      n"]
    assert lines[-1] == "… 20 more rows: .df has all of them"
    assert value_text({"a": rows, "b": rows}).startswith('{"a": [{"city"')


def test_records_in_a_console_are_the_head_of_a_table_that_says_where_the_rest_is():
    rows = [{"city": f"City {n}", "mean": n / 7, "at": [n]} for n in range(1_300)]
    lines = value_text(rows).splitlines()
    assert len(lines) == 22
    assert lines[0].split() == ["city", "mean", "at"]
    assert lines[2].split() == ["City", "1", "0.142857", "[1]"]
    assert lines[-1] == "… 1\N{NARROW NO-BREAK SPACE}280 more rows: .df has all of them"
    assert len({line.index("0.") for line in lines[2:6]}) == 1
    hostile = value_text([{"a": "\x1b[31m\u202e" + "x" * 9_000, "b": None}, {"a": "1", "b": 2}])
    assert "\x1b" not in hostile
    assert "\u202e" not in hostile
    assert max(map(len, hostile.splitlines())) < 80
    assert value_text({"a": [1, 2]}) == '{"a": [1, 2]}'
