"""Notebook 00: calls, and where they went."""

from __future__ import annotations

from datetime import date

from mcpnb.lab.exercises.verdict import Check, Verdict, mapping, number, right, wrong
from mcpnb.lab.servers.weather import forecast

__all__ = ["EXERCISES", "TODAY"]

TODAY = date(2026, 7, 28)
"""What day it is for the servers of this notebook."""

CALLS = 30
SERVERS = ("weather-1", "weather-2", "weather-3")


def _warmest(answer: object) -> Verdict:
    given = number(answer, "a temperature in °C")
    days = forecast("Tokyo", 5, TODAY)["days"]
    if abs(given - max(day["high_c"] for day in days)) < 0.05:
        return right("A table of a result is a DataFrame like any other.")
    hint = "fleet.call('weather.forecast', location=..., days=...).df has a column high_c."
    if any(abs(given - day["low_c"]) < 0.05 for day in days):
        return wrong("That is how cold one of the nights gets.", hint)
    if any(abs(given - day["high_c"]) < 0.05 for day in days):
        return wrong("One of the five days gets as warm as that, but another gets warmer.", hint)
    return wrong("None of the five days has that temperature.", f"{hint} The city is Tokyo.")


def _counts(answer: object) -> Verdict:
    given = {server: number(count, "a count") for server, count in mapping(answer, "server → calls").items()}
    if strangers := sorted(given.keys() - set(SERVERS)):
        return wrong(f"{strangers[0]!r} is no server of this fleet.", "result.server names who answered.")
    if sum(given.values()) != CALLS:
        return wrong(
            f"The counts add up to {sum(given.values()):g}, and you were to make {CALLS} calls.",
            "collections.Counter counts what a list holds.",
        )
    if sum(count > 0 for count in given.values()) < 2:
        return wrong(
            "All calls went to one server.",
            "Look at the fleet: do the others take calls? Then look at result.explain().",
        )
    return right("Nobody told the fleet whom to ask: it spread the calls by itself.")


EXERCISES = {"a": Check(_warmest), "b": Check(_counts)}
