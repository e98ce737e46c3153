"""Exercises of the notebooks: `lab.check` judges an answer, `lab.material` hands out what it is about.

It owns the list of exercises. Each module has those of one notebook, and works out the truth with the same
code that the notebook teaches; nothing is looked up in a list of solutions.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

from mcpnb.errors import McpnbError, suggest
from mcpnb.lab.exercises.verdict import Check, Unreadable, Verdict

__all__ = ["Verdict", "check", "known", "material"]

_NOTEBOOKS = {
    "00": "start",
    "01": "connections",
    "02": "routing",
    "03": "failures",
    "04": "conflicts",
    "05": "aggregation",
    "06": "comparing",
    "07": "querying",
    "08": "discovering",
}
"""Number of a notebook → the module with its exercises; imported when one of them is checked."""


def check(exercise: str, answer: Any) -> Verdict:
    """Judge the answer to an exercise: what is right or wrong about it, and a hint, never the answer.

        lab.check("02-a", {"a": 1, "b": 1, "c": 1})

    Args:
        exercise: Which one, such as "02-a".
        answer: Yours. `...` stands for none yet.

    Raises:
        McpnbError: There is no such exercise; lists those there are.
    """
    found = _exercise(exercise)
    if answer is ...:
        verdict = Verdict("no answer", "Put your answer in place of the dots, and run the cell again.")
    else:
        try:
            verdict = found.judge(answer)
        except Unreadable as unreadable:
            verdict = Verdict("not yet", str(unreadable), "Look at the last sentence of the exercise.")
    return replace(verdict, exercise=exercise)


def material(exercise: str) -> Any:
    """What an exercise is about, such as a scenario or a config; made anew each time, so change it freely.

    Raises:
        McpnbError: There is no such exercise, or it hands out nothing.
    """
    found = _exercise(exercise)
    if found.material is None:
        raise McpnbError(f"exercise {exercise} needs no material: its notebook has all of it")
    return found.material()


def known() -> list[str]:
    """All exercises there are, in order."""
    return [f"{number}-{letter}" for number in _NOTEBOOKS for letter in _of(number)]


def _of(number: str) -> dict[str, Check]:
    return import_module(f"mcpnb.lab.exercises.{_NOTEBOOKS[number]}").EXERCISES


def _exercise(exercise: object) -> Check:
    number, _, letter = str(exercise).partition("-")
    found = _of(number).get(letter) if number in _NOTEBOOKS else None
    if found is not None:
        return found
    there = known()
    near = suggest(str(exercise), there)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise McpnbError(f"there is no exercise {exercise!r}; there are {', '.join(there)}.{hint}")
