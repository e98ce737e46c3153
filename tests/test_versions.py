"""Versions in one order, and what fits a specifier."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version as Pep440

from mcpnb.versions import parse, rank, specifier

SEMVER_PRECEDENCE = (
    "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
    "1.0.0-rc.1", "1.0.0", "1.2.3", "1.10.0", "2.0.0", "2.1.0", "2.1.1", "10.0.0",
)  # fmt: skip
"""The rows of section 11 of SemVer, and numbers that compare otherwise as text."""

PEP440_ORDER = (
    "1.0.dev1", "1.0a1.dev2", "1.0a1", "1.0a2", "1.0b1", "1.0rc1", "1.0", "1.0.post1", "1.0.1", "1.1",
    "1!0.1",
)  # fmt: skip


@pytest.mark.parametrize("order", [SEMVER_PRECEDENCE, PEP440_ORDER])
def test_versions_have_the_order_of_their_standard(order):
    shuffled = list(order)
    random.Random(7).shuffle(shuffled)
    assert sorted(shuffled, key=rank) == list(order)
    assert len({parse(text) for text in order}) == len(order)


def test_versions_of_both_standards_share_one_order():
    mixed = [
        "1.0.dev3",
        "1.0.0-alpha",
        "1.0a1",
        "1.0.0-alpha.2",
        "1.0b1",
        "1.0.0-rc.1",
        "1.0rc2",
        "1.0.0",
        "1.0.post1",
    ]
    assert sorted(random.Random(3).sample(mixed, len(mixed)), key=rank) == mixed


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("v1.2.3", "1.2.3"),
        ("V1.2", "1.2.0"),
        ("1.0.0+build.5", "1.0.0+build.7"),
        (" 2.0 ", "2"),
        ("01.2.3", "1.2.3"),
    ],
)
def test_texts_that_mean_the_same_are_equal(one, other):
    assert parse(one) == parse(other) is not None


@pytest.mark.parametrize(
    "odd", [None, "", "latest", "main", "1.x", "٣.1.0", "1." + "9" * 5000 + ".0", "1.0.0-", "v"]
)
def test_what_is_no_version_ranks_before_every_version(odd):
    assert parse(odd) is None
    assert max([odd, "0.0.0-0"], key=rank) == "0.0.0-0"


@given(
    st.lists(
        st.from_regex(r"\A[0-9]{1,3}(\.[0-9]{1,3}){0,2}((a|b|rc)[0-9]{1,2})?(\.post[0-9])?(\.dev[0-9])?\Z")
    )
)
def test_versions_of_pep_440_are_ordered_as_packaging_orders_them(texts):
    assert [parse(text) for text in sorted(texts, key=rank)] == [
        parse(text) for text in sorted(texts, key=Pep440)
    ]


@given(st.text(max_size=30))
def test_any_text_is_a_version_or_none(text):
    assert rank(text) <= rank("9999999999999999999!0") or parse(text) is not None


@pytest.mark.parametrize(
    ("wanted", "fitting", "others"),
    [
        (">=2,<3", ["2.0.0", "v2.9", "2.1.0+build"], ["1.9", "3.0", "3.0.0-rc.1", "2.5.0-beta"]),
        ("==2.*", ["2.0", "2.9.9"], ["3.0", "20.1", "1.9"]),
        ("!=2.*", ["3.0", "1.0"], ["2.0", "2.4"]),
        ("~=1.4.2", ["1.4.2", "1.4.9"], ["1.5.0", "1.4.1"]),
        ("~=1.4", ["1.4", "1.9"], ["2.0", "1.3"]),
        ("1.2", ["1.2.0", "v1.2"], ["1.2.1"]),
        (">=1.0.0-beta.2", ["1.0.0-beta.11", "1.0.0-rc.1", "1.0.0"], ["1.0.0-beta", "1.0.0-alpha.beta"]),
        (">1, !=1.5", ["1.1"], ["1.0", "1.5"]),
        ("<2", ["1.9"], ["2.0.0-rc.1", "2.0"]),
        ("<=2.0.0-rc.1", ["2.0.0-rc.1", "2.0.0-alpha"], ["2.0.0"]),
    ],
)  # fmt: skip
def test_a_specifier_takes_what_fits_and_says_why_not_the_others(wanted, fitting, others):
    asked = specifier(wanted)
    assert [asked.refusal(text) for text in fitting] == [""] * len(fitting)
    assert all(wanted in asked.refusal(text) for text in others)


def test_a_prerelease_is_told_apart_from_what_does_not_fit():
    assert "is a prerelease" in specifier(">=2").refusal("2.1.0-beta.1")


@pytest.mark.parametrize(
    "wrong", ["", ">=", "newest", ">=2;<3", "=>2", ">=2.*", "~=2", "==1.0-a.*", ",", "2,,3"]
)
def test_what_is_no_specifier_says_how_to_write_one(wrong):
    with pytest.raises(ValueError, match="write one like"):
        specifier(wrong)
