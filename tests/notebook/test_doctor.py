"""The doctor: what it says about facts that this machine may not have, and that it looks at this one."""

from __future__ import annotations

import io

import pytest

from mcpnb.notebook import doctor as doctor_module
from mcpnb.notebook.doctor import (
    Facts,
    Finding,
    Findings,
    diagnose,
    doctor,
    findings_html,
    shell_message_hazard,
)

HEALTHY = {
    "in_kernel": True,
    "ipykernel": (7, 4, 0),
    "nesting": None,
    "threaded_run": True,
    "stderr_has_descriptor": True,
    "ipywidgets": (8, 1, 9),
    "widgets_extension": True,
    "import_seconds": None,
    "slow_formats": False,
    "loop_running": True,
    "loop_lag": 0.0002,
}


def findings(**facts: object) -> Findings:
    return diagnose(Facts(**(HEALTHY | facts)))


def of_level(found: Findings, level: str) -> list[Finding]:
    return [finding for finding in found if finding.level == level]


def test_a_healthy_kernel_has_nothing_but_fine_findings():
    assert {finding.level for finding in findings()} == {"fine"}


def test_it_always_says_what_nest_asyncio_is_and_is_not_used_for():
    for facts in ({}, {"nesting": "nest_asyncio"}, {"nesting": "nest_asyncio2"}):
        assert any("does not need nest-asyncio" in finding.why for finding in findings(**facts))


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        ({"ipykernel": (7, 3, 0)}, "warning", "can lose a message"),
        ({"nesting": "nest_asyncio"}, "problem", "nest_asyncio has been applied"),
        ({"nesting": "nest_asyncio", "ipykernel": (6, 29, 5)}, "note", "asyncio is nested"),
        ({"nesting": "nest_asyncio2"}, "note", "asyncio is nested"),
        ({"threaded_run": False}, "note", "does not work in cells"),
        ({"stderr_has_descriptor": False}, "warning", "no file descriptor"),
        ({"ipywidgets": None}, "problem", "ipywidgets is not installed"),
        ({"ipywidgets": (7, 8, 1)}, "warning", "7.8.1 is older than 8.1.5"),
        ({"widgets_extension": False}, "note", "half of ipywidgets"),
        ({"import_seconds": 9.0}, "warning", "took 9.0 s"),
        ({"slow_formats": True}, "note", "rfc3987_syntax"),
        ({"loop_lag": 0.2}, "warning", "answers after 200 ms"),
        ({"loop_lag": None}, "problem", "did not answer"),
        ({"in_kernel": False}, "note", "no Jupyter kernel"),
    ],
)
def test_each_hazard_is_told_with_its_level(facts, level, words):
    assert any(words in finding.what for finding in of_level(findings(**facts), level))


@pytest.mark.parametrize("facts", [{"ipykernel": (7, 3, 0)}, {"nesting": "nest_asyncio"}, {"loop_lag": None}])
def test_what_is_wrong_comes_with_what_to_do(facts):
    assert all(
        finding.fix and finding.why
        for finding in findings(**facts)
        if finding.level in {"warning", "problem"}
    )


def test_outside_a_kernel_widgets_are_not_missed():
    found = findings(in_kernel=False, ipywidgets=None, ipykernel=None)
    assert not of_level(found, "problem")


def test_the_worst_comes_first():
    levels = [
        finding.level for finding in findings(loop_lag=None, stderr_has_descriptor=False, slow_formats=True)
    ]
    assert levels == sorted(levels, key=["problem", "warning", "note", "fine"].index)


@pytest.mark.parametrize(
    ("version", "hazard"),
    [
        (None, False),
        ((6, 29, 5), False),
        ((7, 0, 0), True),
        ((7, 3, 9), True),
        ((7, 4, 0), False),
        ((8,), False),
    ],
)
def test_the_message_hazard_is_of_7_0_to_7_3_only(version, hazard):
    assert (shell_message_hazard(version) is not None) is hazard


def test_a_text_stream_without_a_descriptor_is_noticed():
    assert not doctor_module._has_descriptor(io.StringIO())
    assert not doctor_module._has_descriptor(None)


def test_it_examines_this_process():
    found = doctor()
    assert any("no Jupyter kernel" in finding.what for finding in found)
    assert any("SDK" in finding.what for finding in found)


def test_the_text_tells_symbol_word_sentence_and_remedy():
    text = str(findings(loop_lag=None))
    assert text.startswith("✗ problem")
    assert "→ Move blocking work" in text


def test_the_bundle_has_text_and_escaped_html():
    found = Findings([Finding("warning", "<script>alert(1)</script>", "a & b", "do <this>")])
    shown = found._repr_mimebundle_()
    assert "<script>" not in shown["text/html"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown["text/html"]
    assert "<script>alert(1)</script>" in shown["text/plain"]
    assert "! warning" in findings_html(found)


def test_the_repr_is_one_line():
    assert repr(findings(loop_lag=None)).startswith("<Findings: ")
    assert repr(Findings()) == "<Findings: 0, the worst is fine>"
