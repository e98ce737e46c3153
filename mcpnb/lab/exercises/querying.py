"""Notebook 07: questions to a database, to weather services, to a folder of documents."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from mcpnb.lab.background import PLACES
from mcpnb.lab.exercises.start import TODAY
from mcpnb.lab.exercises.verdict import Check, Verdict, number, right, text, wrong
from mcpnb.lab.servers import shop
from mcpnb.lab.servers.weather import current

__all__ = ["EXERCISES"]

WORD = "queue"

_REVENUE = """
    SELECT country, sum(quantity * price) AS revenue, count(*) AS orders
    FROM orders JOIN products ON products.id = product_id JOIN customers ON customers.id = customer_id
    GROUP BY country ORDER BY revenue DESC
"""


def _sales() -> list[tuple[str, float, int]]:
    """Country, revenue and number of orders, the best country first."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(shop.image())
        return connection.execute(_REVENUE).fetchall()


def _best_country(answer: object) -> Verdict:
    given, sales = text(answer, "a country"), _sales()
    if given not in {country for country, *_ in sales}:
        return wrong(f"No customer lives in {given!r}.", "customers.country has the names.")
    if given == sales[0][0]:
        return right("One query over three tables.")
    place = [country for country, *_ in sales].index(given) + 1
    orders = max(sales, key=lambda row: row[2])[0]
    if given == orders:
        return wrong("It has the most orders, but not the most revenue.", "Revenue is quantity * price.")
    return wrong(f"It has place {place} by revenue.", "Join orders with customers and with products.")


def _warmest(answer: object) -> Verdict:
    given = text(answer, "a city")
    now = {place: current(place, TODAY)["temperature_c"] for place in PLACES}
    if given not in now:
        return wrong(f"{given!r} is not among the cities.", "They are in lab.PLACES.")
    if now[given] == max(now.values()):
        return right(f"{now[given]} °C in {given}.")
    warmer = sum(degrees > now[given] for degrees in now.values())
    many = "one city is" if warmer == 1 else f"{warmer} cities are"
    return wrong(f"{many.capitalize()} warmer than {given}.", "Ask for all of them and sort the table.")


def _documents() -> int:
    folder = Path(shop.__file__).parent / "corpus"
    return sum(WORD in each.read_text(encoding="utf-8").lower() for each in folder.glob("*.md"))


def _mentions(answer: object) -> Verdict:
    given, truth = number(answer, "a number of documents"), _documents()
    if given == truth:
        return right("Listing and reading are calls like any others, so they can run side by side.")
    return wrong(f"{given:g} is too {'many' if given > truth else 'few'}.",
                 "Read every document, and look for the word in its text in lower case.")  # fmt: skip


EXERCISES = {"a": Check(_best_country), "b": Check(_warmest), "c": Check(_mentions)}
