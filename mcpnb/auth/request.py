"""One login of one person: the link to open, and the ways to answer.

The browser comes back to a listener on this computer; where it runs elsewhere, a person pastes the address
it ended at. Whichever comes first counts. It owns what an answer must look like; it knows no tokens.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from mcpnb.errors import AuthError

__all__ = ["Answer", "LoginRequest", "LoginRequestState", "OnLogin"]

LoginRequestState = Literal["waiting", "answered", "logged_in", "failed", "cancelled"]
"""`answered`: the code is being exchanged for tokens."""

_LONGEST = 8192
"""Of what is pasted, in characters: an address bar holds no more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a browser brought back from a login that was granted."""

    code: str = field(repr=False)
    iss: str | None = None


class LoginRequest:
    """A person is asked to log in. May be answered from any thread; the first answer counts.

    Made by `mcpnb.auth`, on its event loop, and given to `on_login`.
    """

    def __init__(
        self, *, server: str, servers: tuple[str, ...], issuer: str, url: str, redirect_uri: str,
        scopes: tuple[str, ...], state: str, needs_iss: bool,
    ) -> None:  # fmt: skip
        self.server = server
        """The server that asked first."""
        self.servers = servers
        """All that it is known to be for."""
        self.issuer = issuer
        self.url = url
        """What to open in a browser. It works once, and for this client only."""
        self.redirect_uri = redirect_uri
        """Where the browser ends, on this computer; the address to paste begins with it."""
        self.scopes = scopes
        self.state: LoginRequestState = "waiting"
        self.error: str | None = None
        """Why it failed or was given up."""
        self._state, self._needs_iss = state, needs_iss
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Answer] = self._loop.create_future()
        self._over = asyncio.Event()
        self._watchers: list[Callable[[LoginRequest], object]] = []
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<LoginRequest {self.server} at {self.issuer}: {self.state}>"

    @property
    def done(self) -> bool:
        """Whether it is over, one way or another."""
        return self.state in {"logged_in", "failed", "cancelled"}

    def answer(self, pasted: str) -> None:
        """Take the address that the browser ended at, or the code alone; returns at once.

        An address that says that the login was refused ends it, too.

        Raises:
            AuthError: It is no answer to this login, which goes on; or it is over already.
        """
        text = pasted.strip()
        said = _fields(text)
        if said is None:
            self._take(Answer(self._bare(text)))
            return
        if not secrets.compare_digest(said.get("state", "").encode(), self._state.encode()):
            raise self._wrong("that address belongs to another login. Open the link again")
        if "error" in said:
            words = said.get("error_description") or said["error"]
            self.end("failed", f"the authorization server said no: {words[:200]}")
        elif not said.get("code"):
            raise self._wrong("that address has no code in it. Paste the one that the browser ended at")
        else:
            self._take(Answer(said["code"], said.get("iss")))

    def cancel(self) -> None:
        """Give it up: nobody logs in. Without effect once it is over."""
        self.end("cancelled", "the login was given up")

    async def wait(self) -> None:
        """Until it is over. On the loop it was made on."""
        await self._over.wait()

    def on_done(self, callback: Callable[[LoginRequest], object]) -> None:
        """Call it once this is over, on the loop; at once if it is."""
        with self._lock:
            if not self.done:
                self._watchers.append(callback)
                return
        callback(self)

    # -- for those who carry it out

    async def answered(self) -> Answer | None:
        """The first answer; None where there will be none, see `error`."""
        with suppress(asyncio.CancelledError):
            return await asyncio.shield(self._answer)
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise asyncio.CancelledError
        return None

    def end(self, state: LoginRequestState, error: str | None = None) -> None:
        """It is over. The first end stands."""
        with self._lock:
            if self.done:
                return
            self.state, self.error = state, error
            watchers, self._watchers = self._watchers, []
        self._on_loop(self._ended, watchers)

    def _take(self, answer: Answer) -> None:
        with self._lock:
            if self.state != "waiting":
                raise self._wrong(
                    "it was answered already" if self.error is None else f"it is over: {self.error}"
                )
            self.state = "answered"
        self._on_loop(self._hand_over, answer)

    def _hand_over(self, answer: Answer) -> None:
        if not self._answer.done():
            self._answer.set_result(answer)

    def _ended(self, watchers: list[Callable[[LoginRequest], object]]) -> None:
        self._answer.cancel()
        self._over.set()
        for watcher in watchers:
            watcher(self)

    def _on_loop(self, call: Callable[..., None], *args: object) -> None:
        """Now where this is the loop's own thread; else as soon as it gets there."""
        with suppress(RuntimeError):
            if asyncio.get_running_loop() is self._loop:
                call(*args)
                return
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            self._loop.call_soon_threadsafe(call, *args)

    def _bare(self, text: str) -> str:
        if not text or len(text) > _LONGEST or any(c.isspace() for c in text) or "://" in text:
            raise self._wrong("that is neither the address that the browser ended at nor a code")
        if self._needs_iss:
            raise self._wrong("paste the whole address: this issuer signs it with its name")
        return text

    def _wrong(self, why: str) -> AuthError:
        return AuthError(self.server, f"login: {why}.")


OnLogin = Callable[[LoginRequest], Awaitable[None] | None]
"""Brings a person and a login together: shows `url`, takes the answer. A plain function runs in a thread."""


def _fields(text: str) -> dict[str, str] | None:
    """The parameters of a pasted address (or of its query alone); None where it has none."""
    if len(text) > _LONGEST:
        return None
    try:
        query = urlsplit(text).query if "://" in text else text.lstrip("?")
    except ValueError:
        return None
    said = {name: values[-1] for name, values in parse_qs(query).items()}
    return said if "code" in said or "error" in said or "state" in said else None
