"""Authorization servers that nobody here wrote, as processes: their settings, and what they were asked.

`oidc-provider` and `oauth2-mock-server` are npm packages, installed by name; `issuer.mjs` and `mock.mjs` say
how they behave. A machine without Node skips these tests.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

PACKAGES = ("oidc-provider@9", "oauth2-mock-server@8")
HERE = Path(__file__).parent
PATIENCE = 30.0
"""Seconds after which what was waited for will not come."""


def installed(folder: Path) -> Path:
    """The folder with both packages and the programs that use them."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if not (npm and node):
        pytest.skip("Node and npm are not installed")
    (folder / "package.json").write_text(json.dumps({"private": True}))
    command = [npm, "install", "--no-audit", "--no-fund", "--silent", *PACKAGES]
    subprocess.run(command, cwd=folder, check=True, timeout=120)
    for program in HERE.glob("*.mjs"):
        shutil.copy(program, folder)
    return folder


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that an authorization server answered."""

    path: str
    route: str | None
    at: float
    """When it came, by the true clock, in seconds since the epoch."""
    status: int
    grant: str | None = None
    client: str | None = None
    resource: list[str] = field(default_factory=list)
    scope: str | None = None
    error: str | None = None
    lives: float | None = None
    """Seconds that the token lives which was given."""


class Issuer:
    """A running authorization server."""

    def __init__(self, folder: Path, program: str, clients: list[Mapping[str, Any]] | None = None) -> None:
        node = shutil.which("node")
        assert node
        errors = folder / f"{program}.err"
        with errors.open("wb") as stderr:
            self._process = subprocess.Popen(
                [node, program],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={"CLIENTS": json.dumps(clients or []), "NODE_NO_WARNINGS": "1"},
            )
        assert self._process.stdout
        first = self._process.stdout.readline()
        if not first:
            pytest.fail(f"{program} did not start:\n{errors.read_text()}")
        said = json.loads(first)
        self.url: str = said["issuer"]
        self._door = httpx2.Client(base_url=said["door"], verify=False)

    def stop(self) -> None:
        """End the process."""
        self._door.close()
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._process.stdout.close()

    def _tell(self, path: str, **body: Any) -> Any:
        return self._door.post(path, json=body).raise_for_status().json()

    def set(self, **changes: Any) -> None:
        """Change settings; the program knows their names."""
        self._tell("/set", **changes)

    def reset(self) -> None:
        """Settings as in the beginning, and an empty log. Whoever was registered or logged in still is."""
        self._tell("/reset")

    def down(self) -> None:
        """Take no connections, and break those there are."""
        self._tell("/down")

    def up(self) -> None:
        """Take connections again."""
        self._tell("/up")

    @property
    def log(self) -> list[Asked]:
        """All that was asked since the last reset."""
        return [Asked(**entry) for entry in self._tell("/log")]

    def tokens(self, grant: str | None = None, *, ok: bool | None = None) -> list[Asked]:
        """The token requests, those of one grant type, those that were granted or were not."""
        return [
            asked
            for asked in self.log
            if asked.path == "/token" and grant in (None, asked.grant) and ok in (None, asked.status == 200)
        ]

    def refreshes(self, *, ok: bool | None = None) -> list[Asked]:
        """The token requests with a refresh token."""
        return self.tokens("refresh_token", ok=ok)

    @property
    def logins(self) -> int:
        """How many times somebody filled in the page to log in at."""
        return sum(asked.route == "login" for asked in self.log)

    @property
    def secrets(self) -> set[str]:
        """Everything that was ever sent or received here and nobody else may see."""
        return set(self._tell("/secrets"))

    def await_waiting(self, count: int = 1) -> None:
        """Wait until as many token requests are held."""
        deadline = time.monotonic() + PATIENCE
        while self._tell("/waiting") < count:
            assert time.monotonic() < deadline, "no token request came"
            time.sleep(0.01)
