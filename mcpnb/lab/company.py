"""An authorization server on this computer, for lessons about logins.

    company = mcpnb.lab.issuer("crm", "wiki", life=5)
    fleet = mcpnb.connect(dict(company.servers), auth="oauth")

It owns the process, what may be asked of it, and the hand that presses Allow where no person does. What it
gives out and to whom, `servers.accounts` knows.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import httpx2

from mcpnb.errors import McpnbError
from mcpnb.lab.processes import Port, ServerProcess, python_module
from mcpnb.lab.prop import Prop, Said
from mcpnb.model import USABLE_STATES
from mcpnb.notebook.login.desk import ATTENDED

if TYPE_CHECKING:
    from mcpnb.auth import LoginRequest
    from mcpnb.notebook.fleet import Fleet

__all__ = ["Issuer", "issuer"]

_PATIENCE = 30.0
"""Seconds within which it must answer, and a login must end."""
_LOOK = 0.02
"""Seconds between two looks at whether a login waits by now."""
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_RESERVED = frozenset(
    {
        "authorize",
        "token",
        "register",
        "revoke",
        "revoke-all",
        "consent",
        "given",
        "mcp",
        "oauth-authorization-server",
        "oauth-protected-resource",
    }
)


class Issuer(Prop):
    """A company's authorization server, and MCP servers that take nobody without its tokens.

    One process, on loopback only. It runs from the beginning, and ends with `close()`, with a `with` block,
    or with this process. Each server has one tool, `NAME.whoami`: whom it takes the caller for.
    """

    def __init__(self, names: Sequence[str], life: int) -> None:
        self._port = Port()
        self._folder = Path(tempfile.mkdtemp(prefix="mcpnb-issuer-"))
        self._end = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self.url = f"http://127.0.0.1:{self._port.number}"
        """The issuer's address."""
        self.servers: Mapping[str, str] = MappingProxyType({name: f"{self.url}/{name}/mcp" for name in names})
        """Name → URL, for `mcpnb.connect(dict(...), auth="oauth")`."""
        self.life = life
        ATTENDED.add(self.url)
        command = python_module(
            "mcpnb.lab.servers.accounts", *names, "--port", str(self._port.number), "--life", str(life),
            "--tied",
        )  # fmt: skip
        self._process = ServerProcess("the issuer", command, stderr=self._folder / "stderr")
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._process.pid is not None

    def start(self) -> None:
        """Have it answer, at the same address; it knows nobody then. Nothing happens when it runs.

        Raises:
            McpnbError: It does not start; with its last words.
        """
        if not self.running:
            self._process.launch()
            self._process.wait_ready(_PATIENCE)

    def stop(self) -> None:
        """End it as a crash would; `start` brings it back. Nothing happens when it does not run."""
        self._process.kill()

    def close(self) -> None:
        """See `Prop`."""
        self.stop()
        ATTENDED.discard(self.url)
        self._port.release()
        self._end()

    def allow(self, fleet: Fleet, *, timeout: float = _PATIENCE) -> int:
        """Do what a person does whose login waits here: open its link, and press Allow.

        Waits for a login that is just beginning, and until servers that it was for are connected.

        Returns:
            How many logins it answered: none where nobody has to log in, or somebody did already.

        Raises:
            McpnbError: That was not so within `timeout` seconds, or the page does not answer.
        """
        until = time.monotonic() + timeout
        mine = {config.name for config in fleet.client.configs if (config.url or "").startswith(self.url)}
        answered = 0
        while time.monotonic() < until:
            waiting = [each for each in fleet.login_requests() if each.issuer == self.url and not each.done]
            for request in waiting:
                self._press(request, max(until - time.monotonic(), _LOOK))
                answered += 1
            if not waiting and not _goes_on(fleet, mine, answered):
                return answered
            time.sleep(_LOOK)
        raise McpnbError(f"a login at {self.url} was not over within {timeout:g} s")

    def _press(self, request: LoginRequest, timeout: float) -> None:
        over = threading.Event()
        request.on_done(lambda _: over.set())
        try:
            with httpx2.Client(follow_redirects=True, timeout=timeout) as browser:
                page = browser.get(request.url)
                browser.post(page.url, data={"say": "yes"}).raise_for_status()
        except httpx2.HTTPError as error:
            raise McpnbError(f"the login page at {self.url} does not answer: {error}") from None
        if not over.wait(timeout):
            raise McpnbError(f"a login at {self.url} was not over within {timeout:g} s")

    @property
    def given(self) -> list[dict[str, Any]]:
        """The tokens that were given out, a dict each.

        Its keys: number, kind (`login`, `renewal`), at (Unix time), client.

        Raises:
            McpnbError: It does not run.
        """
        return self._ask("GET", "/given").json()

    def revoke(self) -> None:
        """Take back every token, as when a company locks an account.

        Raises:
            McpnbError: It does not run.
        """
        self._ask("POST", "/revoke-all")

    def _ask(self, method: str, path: str) -> httpx2.Response:
        try:
            return httpx2.request(method, self.url + path, timeout=_PATIENCE).raise_for_status()
        except httpx2.HTTPError as error:
            raise McpnbError(f"the issuer at {self.url} does not answer: {error}") from None

    def _said(self) -> Said:
        rest = f"issuer at {self.url}, whose tokens last {self.life} s, for {', '.join(self.servers)}"
        return Said.of(rest, running=self.running)


def _goes_on(fleet: Fleet, names: Collection[str], answered: int) -> bool:
    """Whether a login just begins, or servers of one that has ended are just connecting."""
    if any(row.state == "logging_in" and row.server in names for row in fleet.login_rows()):
        return True
    return answered > 0 and any(
        status.server in names and status.state not in USABLE_STATES for status in fleet.client.servers()
    )


def issuer(*names: str, life: int = 60) -> Issuer:
    """Start an authorization server on this computer, and MCP servers of these names that trust it.

        company = mcpnb.lab.issuer("crm", "wiki", life=5)
        fleet = mcpnb.connect(dict(company.servers), auth="oauth")

    Args:
        names: Of the servers; lower-case letters, digits and hyphens.
        life: Seconds that an access token lasts.

    Raises:
        McpnbError: A name is none, or it does not start.
    """
    for name in names:
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise McpnbError(f"{name!r} cannot be a server's name here: take a word such as 'crm'")
    if not names or len(set(names)) < len(names):
        raise McpnbError("an issuer needs servers that trust it, each with a name of its own")
    if life < 1:
        raise McpnbError(f"a token lasts a second at least, not {life!r}")
    return Issuer(names, life)
