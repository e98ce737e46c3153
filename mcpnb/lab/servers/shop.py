"""The example database: a small shop for instruments that measure the weather.

It owns the tables and how they are filled, always alike. It knows no server.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
from datetime import date, timedelta

__all__ = ["image", "statements"]

TABLES = """
CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    city TEXT NOT NULL,
    country TEXT NOT NULL
);
CREATE TABLE products (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    price REAL NOT NULL
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    product_id INTEGER NOT NULL REFERENCES products (id),
    quantity INTEGER NOT NULL,
    ordered TEXT NOT NULL
);
CREATE VIEW revenue AS
    SELECT substr(ordered, 1, 7) AS month, category, round(sum(quantity * price), 2) AS revenue
    FROM orders JOIN products ON products.id = product_id GROUP BY month, category;
"""

_CITIES = (
    ("London", "United Kingdom"), ("Paris", "France"), ("Tokyo", "Japan"), ("Nairobi", "Kenya"),
    ("Sydney", "Australia"), ("Oslo", "Norway"), ("New York", "United States"), ("Lima", "Peru"),
)  # fmt: skip

_NAMES = (
    "Ada", "Bo", "Chidi", "Dana", "Emre", "Farah", "Goran", "Hana", "Imani", "Jun", "Kaya", "Lin",
    "Mira", "Noor", "Otto", "Priya", "Quinn", "Rosa", "Sami", "Tala", "Uma", "Vera", "Wim", "Yara",
)  # fmt: skip

_PRODUCTS = (
    ("Mercury barometer", "pressure", 189.0), ("Pocket barometer", "pressure", 49.5),
    ("Barograph", "pressure", 420.0), ("Alcohol thermometer", "temperature", 12.9),
    ("Min-max thermometer", "temperature", 24.0), ("Infrared thermometer", "temperature", 65.0),
    ("Hair hygrometer", "humidity", 38.0), ("Digital hygrometer", "humidity", 29.9),
    ("Cup anemometer", "wind", 145.0), ("Wind vane", "wind", 79.0), ("Rain gauge", "rain", 18.5),
    ("Tipping bucket", "rain", 210.0),
)  # fmt: skip

_ORDERS = 400
_FIRST_DAY = date(2026, 1, 1)


def image() -> bytes:
    """The database as the bytes of a SQLite file."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(TABLES)
        for statement, rows in statements():
            connection.executemany(statement, rows)
        connection.commit()
        return connection.serialize()


def statements() -> list[tuple[str, list[tuple[int | float | str, ...]]]]:
    """What fills the tables: a statement and its rows for each."""
    rng = random.Random(1643)  # the year of the first barometer
    customers = [(n, name, *rng.choice(_CITIES)) for n, name in enumerate(_NAMES, 1)]
    products = [(n, *product) for n, product in enumerate(_PRODUCTS, 1)]
    orders = [
        (
            n,
            rng.randint(1, len(customers)),
            rng.randint(1, len(products)),
            rng.choice([1, 1, 1, 2, 2, 3, 5]),
            (_FIRST_DAY + timedelta(days=round(180 * n / _ORDERS))).isoformat(),
        )
        for n in range(1, _ORDERS + 1)
    ]
    return [
        ("INSERT INTO customers VALUES (?, ?, ?, ?)", [*customers]),
        ("INSERT INTO products VALUES (?, ?, ?, ?)", [*products]),
        ("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", [*orders]),
    ]
