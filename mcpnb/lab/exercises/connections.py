"""Notebook 01: configs that cannot work, and how long connecting takes."""

from __future__ import annotations

from typing import Any

from mcpnb.config import load
from mcpnb.errors import ConfigError
from mcpnb.lab.exercises.verdict import Check, Verdict, names, number, right, wrong

__all__ = ["EXERCISES"]


def _config() -> dict[str, Any]:
    """Six servers as a config file has them."""
    return {
        "notes": {"command": "notes-server", "args": "--root ."},
        "search": {"url": "https://search.example.org/mcp", "timeout": 20},
        "shop": {"type": "http"},
        "weather": {"url": "https://weather.example.org/mcp", "headers": {"X-Key": "${MCPNB_LESSON_KEY}"}},
        "maps": {"command": "maps-server", "env": {"LEVEL": "${MCPNB_LESSON_LEVEL:-3}"}},
        "clock": {"command": "clock-server", "timeout": -5},
    }


def _broken(answer: object) -> Verdict:
    given, config = set(names(answer, "the names of servers")), _config()
    bad = {name for name, entry in config.items() if not _loads(name, entry)}
    if strangers := sorted(given - config.keys()):
        return wrong(f"{strangers[0]!r} is not in the config.", "Its keys are the servers' names.")
    if fine := sorted(given - bad):
        return wrong(
            f"{fine[0]} can work as it stands.",
            "A variable with ':-' brings a default for when it is not set."
            if ":-" in str(config[fine[0]])
            else "It says how to reach it, and every value makes sense.",
        )
    if missing := len(bad - given):
        return wrong(
            f"{missing} more cannot work either.",
            "Connect to all of it and read the error: it names every problem.",
        )
    return right("Every problem is found before anything is started.")


def _loads(name: str, entry: dict[str, Any]) -> bool:
    try:
        load({name: entry})
    except ConfigError:
        return False
    return True


def _delays() -> dict[str, float]:
    """Server → seconds until it is connected."""
    return {"near": 0.4, "far": 2.0, "farther": 1.1, "quick": 0.2}


def _together(answer: object) -> Verdict:
    given, delays = number(answer, "a time in seconds"), _delays().values()
    if abs(given - max(delays)) <= 0.1:
        return right("All connect at once, so the slowest alone decides.")
    if abs(given - sum(delays)) <= 0.1:
        return wrong("That would be one after the other.", "When does the second one begin?")
    return wrong(
        f"{given:g} s is too {'long' if given > max(delays) else 'short'}.",
        "They all begin at the same time, and wait=True waits for each.",
    )


EXERCISES = {"a": Check(_broken, _config), "b": Check(_together, _delays)}
