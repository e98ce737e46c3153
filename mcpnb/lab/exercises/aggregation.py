"""Notebook 05: one value from readings in different units, one ranking from several."""

from __future__ import annotations

from typing import Any, cast

from mcpnb.aggregation import Answer, fuse
from mcpnb.lab.exercises.verdict import Check, Verdict, names, number, right, wrong

__all__ = ["EXERCISES"]


def _readings() -> dict[str, dict[str, str]]:
    """Server → what its thermometer says."""
    return {
        "roof": {"temperature": "20.5 °C"},
        "garden": {"temperature": "69.8 °F"},
        "oven": {"temperature": "35 °C"},
    }


def _fused(method: str) -> float:
    answers = [Answer(server, value) for server, value in _readings().items()]
    value = cast("dict[str, str]", fuse(answers, method).value)["temperature"]
    return float(str(value).split()[0])


def _median(answer: object) -> Verdict:
    given = number(answer, "a temperature in °C")
    if abs(given - _fused("median")) < 0.06:
        return right("The median does not care how far off the odd one is.")
    if abs(given - _fused("mean")) < 0.06:
        return wrong("That is the mean, which the oven pulls up.", "Which of the three stands in the middle?")
    if given > 50:
        return wrong("That mixes degrees of different scales.", "Turn Fahrenheit into Celsius first.")
    return wrong(f"{given:g} °C is not what stands in the middle.", "Put all three into °C, then sort them.")


def _rankings() -> dict[str, list[str]]:
    """Server → documents, best first."""
    return {
        "library": ["queues", "retries", "hedging", "fronts"],
        "archive": ["hedging", "queues", "breakers"],
        "wiki": ["breakers", "hedging", "retries"],
    }


def _order() -> list[str]:
    answers = [Answer(s, [{"id": name} for name in ranked]) for s, ranked in _rankings().items()]
    rows = cast("list[dict[str, Any]]", fuse(answers, "concat").value)
    return [row["id"] for row in rows]


def _ranked(answer: object) -> Verdict:
    given, truth = names(answer, "documents, best first"), _order()
    if given and given[0] == truth[0] and len(given) == 1:
        return wrong("The first is right; the others are missing.", "All documents, each once.")
    if sorted(given) != sorted(truth):
        return wrong("These are not all documents, each once.", f"There are {len(truth)} of them.")
    if given == truth:
        return right("Standing high on several lists beats standing first on one.")
    right_ones = next(n for n, (one, two) in enumerate(zip(given, truth, strict=True)) if one != two)
    return wrong(
        f"The first {right_ones} are right, {given[right_ones]} does not come next.",
        "A document gets 1/(60 + place) from each list that has it, where the first place is 1.",
    )


EXERCISES = {"a": Check(_median, _readings), "b": Check(_ranked, _rankings)}
