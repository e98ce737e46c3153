"""Translation knows what CLDR knows, says how sure it is, and gives no path to anybody."""

from __future__ import annotations

import contextlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client, StdioServerParameters

from mcpnb.lab.servers import serving, translate
from mcpnb.lab.servers.refusal import Refused
from mcpnb.lab.servers.terms import translate as translated


@pytest.mark.parametrize(
    ("term", "source", "to", "translation", "kind"),
    [
        ("Germany", "en", "fr", "Allemagne", "country"), ("Allemagne", "fr", "de", "Deutschland", "country"),
        ("French", "en", "de", "Französisch", "language"), ("US Dollar", "en", "ja", "米ドル", "currency"),
        ("March", "en", "sv", "mars", "month"), ("Dienstag", "de", "en", "Tuesday", "day"),
        ("kilometers", "en", "fr", "kilomètres", "unit"), ("Brazil", "en", "pt-BR", "Brasil", "country"),
    ],
)  # fmt: skip
def test_each_kind_is_translated(term: str, source: str, to: str, translation: str, kind: str) -> None:
    found = translated(term, to, source)
    assert (found["translation"], found["kind"], found["match"], found["confidence"]) == (
        translation,
        kind,
        "exact",
        1,
    )


def test_confidence_falls_with_the_likeness() -> None:
    exact, folded = translated("Tuesday", "de"), translated("  tUESDAY ", "de")
    near, far = translated("Tuesdy", "de"), translated("Tusdy", "de")
    assert (folded["match"], folded["confidence"]) == ("case-insensitive", 0.9)
    assert (near["match"], near["matched"], near["translation"]) == ("fuzzy", "Tuesday", "Dienstag")
    assert near["confidence"] == round(0.8 * 12 / 13, 3)  # 2 x 6 common letters of 6 + 7
    assert exact["confidence"] > folded["confidence"] > near["confidence"] > far["confidence"] >= 0.6
    assert translated("curacao", "en")["translation"] == "Curaçao"


def test_other_readings_are_listed() -> None:
    found = translated("Austrlia", "de")
    assert found["translation"] == "Australien"
    assert {"Austria"} <= {other["matched"] for other in found["alternatives"]}


def test_one_language_s_months_never_show_up_in_another() -> None:
    months = {
        to: translated("March", to)["translation"] for to in ("ja", "sv", "ru", "fi", "en", "nb", "de-AT")
    }
    assert months == {
        "ja": "3月", "sv": "mars", "ru": "март", "fi": "maaliskuu", "en": "March", "nb": "mars", "de-AT": "März",  # noqa: E501 - reads best in one line
    }  # fmt: skip


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "x",
        "xx",
        "english",
        "../../../etc/passwd",
        "de/../fr",
        "de\0",
        "en_US.UTF-8",
        "e" * 40,
        "de\n",
        "\uff24\uff25",
    ],
)
def test_what_is_no_language_is_refused(tag: str) -> None:
    with pytest.raises(Refused):
        translated("Germany", tag)


def test_what_cldr_does_not_know_is_refused() -> None:
    with pytest.raises(Refused, match="countries, languages"):
        translated("barometer of the north", "de")


@given(st.text(min_size=1, max_size=200))
def test_any_term_is_translated_or_refused(term: str) -> None:
    with contextlib.suppress(Refused):
        assert 0.6 <= translated(term, "de")["confidence"] <= 1


@pytest.mark.anyio
async def test_the_tool_takes_from_as_its_argument() -> None:
    async with Client(translate.build(serving.Identity("t"))) as client:
        (tool,) = (await client.list_tools()).tools
        assert tool.input_schema["required"] == ["term", "to"]
        assert tool.input_schema["properties"]["from"]["default"] == "en"
        found = await client.call_tool("translate.term", {"term": "Spanien", "to": "en", "from": "de"})
        default = await client.call_tool("translate.term", {"term": "Spain", "to": "de"})
        wrong = await client.call_tool("translate.term", {"term": "Spain", "to": "../x"})
        empty = await client.call_tool("translate.term", {"term": " ", "to": "de"})
    assert found.structured_content["translation"] == "Spain"
    assert found.structured_content["from"] == "de"
    assert default.structured_content["translation"] == "Spanien"
    assert wrong.is_error
    assert empty.is_error


@pytest.mark.anyio
async def test_it_works_from_a_plain_client_over_stdio() -> None:
    command = StdioServerParameters(command=sys.executable, args=["-P", "-m", "mcpnb.lab.servers.translate"])
    async with Client(command) as client:
        found = await client.call_tool("translate.term", {"term": "Kenya", "to": "fr"})
    assert found.structured_content["translation"] == "Kenya"
