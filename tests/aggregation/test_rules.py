"""What is declared for tools by pattern, and what is refused when it is declared."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mcpnb.aggregation import METHODS, Answer, Rules, fuse
from mcpnb.aggregation.rules import METHOD_NAMES, Declared


def test_the_last_pattern_that_fits_is_taken():
    declared = Declared()
    declared.register("weather.*", "median", tolerance=0.1)
    declared.register("weather.now", "vote")
    assert declared.rules("weather.now").method == "vote"
    assert declared.rules("weather.forecast") == Rules("median", tolerance=0.1)
    assert declared.rules("search") == Rules()
    declared.register("weather.*", "mean")
    assert declared.rules("weather.now").method == "mean"


def test_a_declaration_can_be_taken_back():
    declared = Declared()
    declared.register("x", "vote")
    declared.forget("x")
    declared.forget("never declared")
    assert declared.rules("x") == Rules()


def test_a_calls_own_method_goes_before_the_declared_and_keeps_the_rest():
    declared = Declared()
    declared.register("x", "vote", aliases={"temperature": "temp"}, key="code")
    rules = declared.rules("x", "best")
    assert (rules.method, rules.key, rules.aliases) == ("best", "code", {"temperature": ("temp",)})
    assert fuse([Answer("a", 1), Answer("b", 3)], "mean", rules=rules).method == "mean"


def test_a_callable_can_be_declared():
    declared = Declared()
    declared.register("x", len)
    assert fuse([Answer("a", 1), Answer("b", 3)], rules=declared.rules("x")).value == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "medain"}, "Did you mean median"),
        ({"units": {"t": "degX"}}, "'t' is in 'degX', which is no unit"),
        ({"tolerance": -1}, "tolerance=-1"),
        ({"similarity": 2}, "similarity=2"),
        ({"half_life": 0}, "half_life=0"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_declared(options, words):
    with pytest.raises(ValueError, match=words):
        Declared().register("x", **options)


def test_nothing_heavy_is_loaded_before_it_is_needed():
    code = (
        "import sys, mcpnb.client; print([m for m in ('pint', 'rapidfuzz', 'dateutil') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_every_named_method_is_there():
    assert tuple(METHODS) == METHOD_NAMES
