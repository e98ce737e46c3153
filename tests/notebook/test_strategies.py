"""`mcpnb.strategies()`: a table to read, and to build controls from."""

from __future__ import annotations

import pandas as pd
import pytest

import mcpnb
from mcpnb.routing.strategies import available, spec


def test_every_strategy_has_a_row_with_the_courses_names():
    frame = mcpnb.strategies()
    assert frame.index.name == "strategy"
    assert list(frame.index) == list(available())
    assert list(frame.columns) == ["help", "aliases", "looks_at", "parameters"]
    aliases = set(", ".join(frame.aliases).split(", "))
    assert {"least_connections", "load_balanced", "latency_based", "failover"} <= aliases
    assert frame.help.str.len().min() > 0


def test_parameters_are_enough_to_build_a_control_and_set_it():
    for name, parameters in mcpnb.strategies().parameters.items():
        for knob in parameters:
            assert knob.minimum <= knob.default <= knob.maximum
            assert knob.name
            assert knob.help
            step = 1 if knob.whole else (knob.maximum - knob.minimum) / 100
            for value in (knob.minimum, min(knob.default + step, knob.maximum), knob.maximum):
                assert spec(name, **{knob.name: value}).build().name == name


def test_parameters_read_as_text_where_the_table_is_shown():
    with pd.option_context("display.max_colwidth", None):
        shown = mcpnb.strategies().loc[["peak_ewma"]]
        for text in (shown.to_string(), shown.to_html()):
            assert "tau=10 (0.1 to 3600: seconds after which a sample weighs 1/e)" in text


@pytest.mark.parametrize(("name", "whole"), [("points", True), ("balance", False)])
def test_whole_numbers_are_told_from_others(name, whole):
    knobs = {knob.name: knob for knob in mcpnb.strategies().parameters["bounded_hash"]}
    assert knobs[name].whole is whole
