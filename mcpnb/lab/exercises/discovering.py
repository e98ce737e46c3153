"""Notebook 08: what SRV records ask for, how long a lease lasts, who is still there, and who logs in."""

from __future__ import annotations

import math
from typing import Any, cast

from mcpnb.lab.exercises.verdict import Check, Unreadable, Verdict, mapping, names, number, right, wrong

__all__ = ["EXERCISES"]

TTL, RENEWALS = 12.0, 3
"""Seconds of a lease, and how many times it is renewed within them."""


def _records() -> list[dict[str, Any]]:
    """Three servers that share the calls, and one that waits for the others to go."""
    return [
        {"priority": 10, "weight": 50, "host": "anna.example.org", "port": 8000},
        {"priority": 10, "weight": 30, "host": "bert.example.org", "port": 8000},
        {"priority": 20, "weight": 90, "host": "cleo.example.org", "port": 8000},
        {"priority": 10, "weight": 20, "host": "dora.example.org", "port": 8000},
    ]


def _shares(answer: object) -> Verdict:
    given, records = mapping(answer, "host → share of the calls"), _records()
    hosts = [str(record["host"]) for record in records]
    if unknown := [name for name in given if name not in hosts]:
        raise Unreadable(f"The answer is a dict with hosts for keys; {unknown[0]!r} is none of them.")
    said = {name: number(share, "a share between 0 and 1 for each host") for name, share in given.items()}
    first = min(int(record["priority"]) for record in records)
    total = sum(record["weight"] for record in records if record["priority"] == first)
    whole = sum(said.values())
    hint = "First who is asked at all, then how those share the calls."
    if not math.isclose(whole, 1.0, abs_tol=0.01):
        return wrong(f"These shares are {whole:g} together.", "All calls together are 1.")
    for record in records:
        host, share = str(record["host"]), said.get(str(record["host"]), 0.0)
        if record["priority"] != first and share > 0:
            return wrong(f"{host} gets calls only when others are gone.", hint)
        truth = record["weight"] / total if record["priority"] == first else 0.0
        if abs(share - truth) > 0.01:
            return wrong(f"The share of {host} is too {'large' if share > truth else 'small'}.", hint)
    return right("Priorities say who is asked at all, weights how those share the calls.")


def _outlives(answer: object) -> Verdict:
    what = "the seconds at least and at most, a pair such as (1, 2)"
    if not isinstance(answer, list | tuple) or len(cast("list[object]", answer)) != 2:
        raise Unreadable(f"The answer is {what}.")
    least, most = (number(each, what) for each in cast("list[object]", answer))
    if least > most:
        return wrong("The first of the two is the longer one.", "The shorter time comes first.")
    if not math.isclose(most, TTL):
        return wrong(
            f"The second of the two is too {'long' if most > TTL else 'short'}.",
            "It lasts longest when the server crashes just after it has renewed.",
        )
    shortest = TTL - TTL / RENEWALS
    if not math.isclose(least, shortest):
        return wrong(
            f"The first of the two is too {'long' if least > shortest else 'short'}.",
            "It lasts shortest when the server crashes just before it would have renewed.",
        )
    return right("A short lease takes dead servers out sooner, and costs more renewals.")


_STORY: list[tuple[int, str, str, tuple[str, ...]]] = [
    (0, "file", "lists", ("ada", "bob")),
    (0, "etcd", "lists", ("cy", "dee")),
    (10, "etcd", "cannot be asked", ()),
    (15, "file", "lists", ("ada",)),
    (30, "etcd", "lists", ("dee", "eve")),
    (35, "file", "cannot be read", ()),
]
_MOMENTS = (20, 40)


def _story() -> list[dict[str, Any]]:
    """What two directories said, one row each."""
    columns = ("at_s", "directory", "says", "servers")
    return [dict(zip(columns, (*row, list(servers)), strict=True)) for *row, servers in _STORY]


def _there(moment: int) -> set[str]:
    """Who is in the fleet at a moment: of each directory what it listed last."""
    listed = {who: which for at, who, what, which in _STORY if at <= moment and what == "lists"}
    return {server for servers in listed.values() for server in servers}


def _who(answer: object) -> Verdict:
    given = mapping(answer, "second → the servers")
    known = {server for *_, servers in _STORY for server in servers}
    for moment in _MOMENTS:
        if str(moment) not in given:
            raise Unreadable(f"The answer is a dict with the keys {_MOMENTS[0]} and {_MOMENTS[1]}.")
        said = set(names(given[str(moment)], f"the servers at {moment} s"))
        if unknown := sorted(said - known):
            raise Unreadable(f"There is no server {unknown[0]!r}; there are {', '.join(sorted(known))}.")
        truth = _there(moment)
        if said != truth:
            wrongly = "somebody too many is named" if said - truth else "somebody is missing"
            return wrong(
                f"At {moment} s {wrongly}.",
                "A directory that is away says nothing: neither that servers came, nor that they went.",
            )
    return right("What is not said any more is not the same as what is said to be gone.")


_HEADER, _PERSON, _PROGRAM = "a token in a header", "OAuth, by a person", "OAuth, client credentials"
_WANTED: list[tuple[str, str, str]] = [
    ("crm", _PERSON, "login.example.org"),
    ("wiki", _PERSON, "login.example.org"),
    ("bills", _PROGRAM, "login.example.org"),
    ("code", _PERSON, "git.example.org"),
    ("maps", _HEADER, ""),
    ("weather", "nothing", ""),
]
_LEAVES = "crm"


def _wishes() -> list[dict[str, Any]]:
    """What each server of a fleet wants of its callers, one row each."""
    return [{"server": server, "wants": what, "issuer": issuer} for server, what, issuer in _WANTED]


def _logins(answer: object) -> Verdict:
    shape = 'a number and a list of servers, such as (1, ["maps"])'
    if not isinstance(answer, list | tuple) or len(cast("list[object]", answer)) != 2:
        raise Unreadable(f"The answer is {shape}.")
    links, left = cast("list[object]", answer)
    times, out = number(links, "how often a link is opened"), set(names(left, "the servers that lose it"))
    known = {server for server, *_ in _WANTED}
    if unknown := sorted(out - known):
        raise Unreadable(f"There is no server {unknown[0]!r}; there are {', '.join(sorted(known))}.")
    issuers = {issuer for _, what, issuer in _WANTED if what == _PERSON}
    if times != len(issuers):
        return wrong(
            f"{times:g} times is too {'often' if times > len(issuers) else 'seldom'}.",
            "One login does for all servers that trust its issuer, and only a person needs a link.",
        )
    home = next(issuer for server, _, issuer in _WANTED if server == _LEAVES)
    if out != {server for server, what, issuer in _WANTED if (what, issuer) == (_PERSON, home)}:
        return wrong("The second part is not right.", "What is shared by a login is shared by its end.")
    return right("A login belongs to an issuer, not to a server.")


EXERCISES = {
    "a": Check(_shares, _records),
    "b": Check(_outlives),
    "c": Check(_who, _story),
    "d": Check(_logins, _wishes),
}
