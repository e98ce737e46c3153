"""Tables written as text: Markdown and CSV. It owns recognising them and typing their cells; no frames here.

It would rather find no table than make one of prose: CSV must be rectangular under a header of names.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["TextTable", "find_table", "unfenced"]

Cell = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class TextTable:
    """A header of n names, and n columns of equally many cells; an empty cell is None."""

    header: tuple[str, ...]
    columns: tuple[list[Cell], ...]


_RULE: Final = re.compile(r":?-+:?")
_PIPE: Final = re.compile(r"(?<!\\)\|")
# Numbers as JSON and CSV writers write them. "007" is a name, not the number 7.
_INTEGER: Final = re.compile(r"[+-]?(0|[1-9]\d{0,17})")
_NUMBER: Final = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_DELIMITERS: Final = (",", ";", "\t", "|")
_LONGEST_NAME: Final = 60  # characters of a CSV column's name; a longer first line is prose


def find_table(text: str) -> TextTable | str:
    """The one table in a text, or in words what the text is instead."""
    body = unfenced(text)
    markdown = _markdown_tables(body.splitlines())
    if len(markdown) > 1:
        return f"text with {len(markdown)} Markdown tables"
    rows = markdown[0] if markdown else _csv_rows(body)
    if rows is None:
        return _described(text)
    header, *lines = rows
    columns = zip(*lines, strict=True) if lines else ([] for _ in header)
    return TextTable(tuple(header), tuple(_typed(list(column)) for column in columns))


def unfenced(text: str) -> str:
    """What stands between the fences of the one fenced block in a Markdown text, else the text."""
    if "```" not in text:
        return text
    lines = text.splitlines(keepends=True)
    fences = [at for at, line in enumerate(lines) if line.startswith("```")]
    return "".join(lines[fences[0] + 1 : fences[1]]) if len(fences) == 2 else text


def _described(text: str) -> str:
    shown = " ".join(text.split())
    if not shown:
        return "empty"
    return f"text, {shown!r}" if len(shown) <= 60 else f"text of {len(text):,} characters, {shown[:60]!r}…"


def _markdown_tables(lines: Sequence[str]) -> list[list[list[str]]]:
    """Each Markdown table as rows of cells, the header first."""
    tables: list[list[list[str]]] = []
    at = 0
    while at + 1 < len(lines):
        width = _markdown_width(lines[at], lines[at + 1])
        if not width:
            at += 1
            continue
        end = at + 2
        while end < len(lines) and "|" in lines[end]:
            end += 1
        tables.append([_cells(lines[i], width) for i in range(at, end) if i != at + 1])
        at = end
    return tables


def _markdown_width(header: str, rule: str) -> int:
    """The number of columns when these two lines begin a table, else 0."""
    if "|" not in header or "|" not in rule or "-" not in rule:
        return 0
    # Cell by cell, because one pattern for the whole line would backtrack for ever on a hostile one.
    rules = _split(rule)
    width = len(rules)
    return width if all(map(_RULE.fullmatch, rules)) and len(_split(header)) == width else 0


def _cells(line: str, width: int) -> list[str]:
    """The cells of a line; missing ones are empty, and what exceeds the last one stays in it."""
    cells = _split(line)
    last = " | ".join(cells[width - 1 :])
    return [*cells[: width - 1], *([""] * (width - 1 - len(cells))), last]


def _split(line: str) -> list[str]:
    bare = line.strip().removeprefix("|")
    if bare.endswith("|") and not bare.endswith("\\|"):
        bare = bare[:-1]
    return [cell.strip().replace("\\|", "|") for cell in _PIPE.split(bare)]


def _csv_rows(text: str) -> list[list[str]] | None:
    """The rows of a CSV text, the header first, or None when it is none."""
    for delimiter in _DELIMITERS:
        rows = _rectangle(text, delimiter)
        if rows and _is_header(rows[0]) and not _reads_like_prose(text, rows, delimiter):
            return [[cell.strip() for cell in row] for row in rows]
    return None


def _rectangle(text: str, delimiter: str) -> list[list[str]] | None:
    try:
        rows = [
            row
            for row in csv.reader(
                text.strip("\r\n").splitlines(keepends=True), delimiter=delimiter, strict=True
            )
            if row
        ]
    except csv.Error:
        return None
    rectangular = len(rows) >= 2 and len(rows[0]) >= 2 and len({len(row) for row in rows}) == 1
    return rows if rectangular else None


def _is_header(names: Sequence[str]) -> bool:
    return all(
        name.strip()
        and len(name) <= _LONGEST_NAME
        and name.strip()[-1] not in ".!?"
        and not _NUMBER.fullmatch(name.strip())
        for name in names
    )


def _reads_like_prose(text: str, rows: Sequence[Sequence[str]], delimiter: str) -> bool:
    """Commas followed by spaces throughout and nothing that is a number: sentences, most likely."""
    if f"{delimiter} " not in text or delimiter == "\t":
        return False
    spaced = all(cell.startswith(" ") for row in rows for cell in row[1:])
    return spaced and not any(_NUMBER.fullmatch(cell.strip()) for row in rows[1:] for cell in row)


def _typed(cells: Sequence[str]) -> list[Cell]:
    """The cells as integers, floats or booleans where every one of them is that; else as they are."""
    filled = [cell for cell in cells if cell]
    if not filled:
        return [None] * len(cells)
    if len(filled) == len(cells) and all(_INTEGER.fullmatch(cell) for cell in filled):
        return [int(cell) for cell in cells]
    if all(_NUMBER.fullmatch(cell) for cell in filled) and not any(_is_long(cell) for cell in filled):
        return [float(cell) if cell else None for cell in cells]
    if {cell.lower() for cell in filled} <= {"true", "false"}:
        return [cell.lower() == "true" if cell else None for cell in cells]
    return [cell or None for cell in cells]


def _is_long(cell: str) -> bool:
    """Whether this is a whole number, an identifier most likely, of which a float would lose digits."""
    return cell.lstrip("+-").isdigit() and len(cell) > 15
