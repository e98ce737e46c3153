"""A full-text index over a folder of documents, ranked by BM25.

It owns which files are read, how they are cut into title and text, and what a query means. It knows no MCP.
The ranking is SQLite's: FTS5's `bm25` with k1 = 1.2 and b = 0.75, a word in the title counting five times;
its sign is turned, so that more is better. Words are reduced to their stems (Porter); case and accents do not
matter.
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from typing_extensions import TypedDict

from mcpnb.errors import McpnbError
from mcpnb.lab.servers.refusal import Refused

__all__ = ["Document", "Found", "Hit", "Index", "Recent", "documents_in"]

ENDINGS = frozenset({".md", ".txt", ".rst"})
MAX_FILES = 10_000
MAX_BYTES = 1_000_000
"""Size of a document; larger ones are left out."""
MAX_WORDS = 32
"""Words of a query."""

_TITLE_WEIGHT = 5.0
_SNIPPET_WORDS = 24

_DATED = re.compile(r"^Date:[ \t]*(\d{4}-\d\d-\d\d)[ \t]*$", re.MULTILINE)
_QUERY = re.compile(r'"([^"]*)"|([^\s"]+)')
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Document:
    """One file of the folder."""

    name: str
    """Its path below the folder, with `/`."""
    title: str
    text: str
    date: str
    """The day it gives on a line `Date: YYYY-MM-DD`, else the day the file was changed."""


class Hit(TypedDict):
    """One document that was found; matches stand in [brackets] in the snippet."""

    document: str
    title: str
    date: str
    score: float
    snippet: str


class Found(TypedDict):
    """The best documents for a query, best first, of `total` that match."""

    query: str
    total: int
    hits: list[Hit]


class Recent(TypedDict):
    """A document in the list of the latest."""

    document: str
    title: str
    date: str


def documents_in(folder: Path) -> Iterator[Document]:
    """The documents below a folder, by name. Links are not followed.

    Raises:
        McpnbError: There is no such folder, or more files than anybody wants to index at a start.
    """
    if not folder.is_dir():
        raise McpnbError(f"there is no folder {str(folder)!r}")
    count = 0
    for here, folders, files in os.walk(folder):
        folders.sort()
        for path in (Path(here, name) for name in sorted(files) if Path(name).suffix.lower() in ENDINGS):
            facts = path.lstat()
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > MAX_BYTES:
                continue
            count += 1
            if count > MAX_FILES:
                raise McpnbError(f"{str(folder)!r} holds more than {MAX_FILES} documents")
            changed = datetime.fromtimestamp(facts.st_mtime, UTC).date()
            yield _document(path.relative_to(folder).as_posix(), path.read_bytes(), changed)


def _document(name: str, content: bytes, changed: date) -> Document:
    text = content.decode(errors="replace").replace("\0", " ")
    dated = _DATED.search(text)
    body = _DATED.sub("", text, count=1).strip()
    first, _, rest = body.partition("\n")
    is_title = first.startswith("#")
    return Document(
        name=name.encode(errors="replace").decode(),
        title=first.lstrip("# ").strip() if is_title else Path(name).stem,
        text=" ".join((rest if is_title else body).split()),
        date=dated[1] if dated else changed.isoformat(),
    )


class Index:
    """Documents that can be searched. Safe to use from several threads."""

    def __init__(self, documents: Iterator[Document]) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.execute(
            "CREATE VIRTUAL TABLE documents USING fts5"
            "(title, text, name UNINDEXED, date UNINDEXED, tokenize = 'porter unicode61 remove_diacritics 2')"
        )
        rows = ((each.title, each.text, each.name, each.date) for each in documents)
        self._database.executemany("INSERT INTO documents VALUES (?, ?, ?, ?)", rows)
        self._database.execute("INSERT INTO documents (documents) VALUES ('optimize')")
        self._database.commit()

    def search(self, query: str, limit: int = 10) -> Found:
        """The documents that hold any word of the query, the best ones first; "several words" are a phrase.

        Raises:
            Refused: The query holds no word, or too many.
        """
        match = _match(query)
        with self._lock:
            (total,) = self._database.execute(
                "SELECT count(*) FROM documents WHERE documents MATCH ?", (match,)
            ).fetchone()
            rows = self._database.execute(
                "SELECT name, title, date, -bm25(documents, ?, 1.0) AS score,"
                " snippet(documents, 1, '[', ']', ' ... ', ?)"
                " FROM documents WHERE documents MATCH ? ORDER BY score DESC, name LIMIT ?",
                (_TITLE_WEIGHT, _SNIPPET_WORDS, match, limit),
            ).fetchall()
        hits = [
            Hit(document=name, title=title, date=day, score=round(score, 6), snippet=snippet)
            for name, title, day, score, snippet in rows
        ]
        return Found(query=query, total=total, hits=hits)

    def recent(self, count: int) -> list[Recent]:
        """The latest documents, newest first."""
        with self._lock:
            rows = self._database.execute(
                "SELECT name, title, date FROM documents ORDER BY date DESC, name LIMIT ?", (count,)
            ).fetchall()
        return [Recent(document=name, title=title, date=day) for name, title, day in rows]


def _match(query: str) -> str:
    """The query in FTS5's language, with nothing of it taken for an operator."""
    terms: list[str] = []
    for phrase, word in _QUERY.findall(query):
        # Inside quotes FTS5 cuts words itself; only words arrive there, so no quote can end them.
        if words := _WORD.findall(phrase or word):
            terms.append('"' + " ".join(words) + '"')
    if not terms:
        raise Refused("the query holds no word to search for")
    if len(terms) > MAX_WORDS:
        raise Refused(f"the query has {len(terms)} words; at most {MAX_WORDS} are taken")
    return " OR ".join(terms)
