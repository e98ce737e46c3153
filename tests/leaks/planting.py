"""Secrets for every place of a configuration, a configuration with all of them, and how to look for them."""

from __future__ import annotations

import base64
import logging
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import mcpnb

SERVER = Path(__file__).parent / "server.py"

PLANTED = {
    place: f"planted {place}/7F3a9C"
    for place in (
        "header",
        "env",
        "token",
        "argument",
        "input",
        "user",
        "password",
        "query",
        "shared",
        "fleet",
        "file",
    )
}
"""Place → the secret that is planted there and nowhere else."""


def forms(place: str) -> set[str]:
    """What a secret may look like: as it is, and quoted for a URL."""
    secret = PLANTED[place]
    return {secret, quote(secret), quote(secret, safe=""), quote(secret, safe="").lower()}


BASIC = base64.b64encode(f"{PLANTED['user']}:{PLANTED['password']}".encode()).decode()
"""What an HTTP client makes of userinfo."""


def found(text: str) -> list[str]:
    """The places whose secrets stand in a text."""
    places = [place for place in PLANTED if any(form in text for form in forms(place))]
    return [*places, "basic"] if BASIC in text else places


def configuration(host: str) -> dict[str, Any]:
    query = f"?api_key={quote(PLANTED['query'])}&{quote(PLANTED['query'], safe='')}"
    user = f"{quote(PLANTED['user'], safe='')}:{quote(PLANTED['password'], safe='')}"
    args = ["--token", PLANTED["argument"], "${input:key}", "--file=${file:secret.txt}"]
    program = {"command": sys.executable, "env": {"PLANTED": PLANTED["env"]}}
    secret = {"headers": {"X-Any": PLANTED["header"]}, "mcpnb": {"token": PLANTED["token"]}}
    return {
        "inputs": [{"type": "promptString", "id": "key", "password": True}],
        "mcpnb": {"auth": {"company": {"token": PLANTED["shared"]}}},
        "servers": {
            "child": {**program, "args": [str(SERVER), "stdio", *args]},
            "dying": {**program, "args": [str(SERVER.with_name("dying.py")), *args]},
            "web": {**secret, "url": f"http://{host}/mcp{query}"},
            "events": {**secret, "url": f"http://{host}/sse{query}"},
            "user": {"url": f"http://{user}@{host}/mcp{query}", "headers": {"X-Any": PLANTED["header"]}},
            "shared": {"url": f"http://{host}/mcp", "mcpnb": {"auth": "company"}},
            "plain": {"url": f"http://{host}/mcp"},
            "denied": {**secret, "url": f"http://{host}/denied{query}"},
            "broken": {**secret, "url": f"http://{host}/broken{query}"},
            "moved": {**secret, "url": f"http://{host}/moved{query}"},
            "nobody": {**secret, "url": f"http://{user}@127.0.0.1:{free_port()}/mcp{query}"},
        },
    }


@dataclass(frozen=True, slots=True)
class Planted:
    """A fleet whose servers know secrets, its configuration, and all that was logged since before it."""

    fleet: mcpnb.Fleet
    file: Path
    lines: list[str]
    elsewhere: list[str]
    """What a server of another origin, to which one of the servers redirects, was sent."""


class Lines(logging.Handler):
    """Every record of every logger, as a file would get it."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
