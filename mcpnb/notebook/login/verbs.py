"""A fleet's verbs about logins. They decide nothing: each is one call of the client, and its panel."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from mcpnb.errors import AuthError
from mcpnb.notebook import cells
from mcpnb.notebook.login.desk import LoginDesk
from mcpnb.notebook.waiting import waited

if TYPE_CHECKING:
    import pandas as pd

    from mcpnb.auth import LoginRequest, LoginRow
    from mcpnb.client import MultiServerClient

__all__ = ["LoginVerbs"]


class LoginVerbs:
    """The verbs of a fleet about logins."""

    client: MultiServerClient
    _desk: LoginDesk

    def login(
        self, server: str | None = None, *, answer: str | None = None, wait: bool | None = None
    ) -> None:
        """Log in where a server needs it; what it takes from a person is shown below the cell.

        One login serves all servers that trust the same issuer. Servers that are logged in stay so.

        Args:
            server: By name; None logs in wherever it is needed.
            answer: The address that the browser ended at, for a login that waits: what the panel's box takes.
            wait: Return when it is over. By default a notebook does not wait, because a kernel that is busy
                takes no pasted address; a script does. Interrupting a wait does not end the login.

        Raises:
            ConfigError: There is no such server.
            AuthError: It failed or was given up, as far as it is waited for; the answer is none.
        """
        self.client.check_open()
        if answer is not None:
            self._waiting_for(server).answer(answer)
            wait = True
        elif cells.in_kernel():
            cell = cells.Cell()
            self._desk.want(server, cell)
            self._desk.again(self._open(server), cell)
        if wait is None:
            wait = not cells.in_kernel()
        waited("login", self._log_in, server, wait)
        if not wait:
            self._desk.begun(server, self.login_rows())

    def logout(self, server: str | None = None) -> None:
        """Forget a login, at its issuer, too, for all servers that share it; without a name, every one.

        Raises:
            ConfigError: There is no such server.
        """
        self.client.check_open()
        waited("logout", self.client.logout, server)

    @property
    def logins(self) -> pd.DataFrame:
        """One row per server: how it knows us. No token is in it.

        Columns: server, issuer, client (our ID there), state (`logged_in`, `logged_out`, `needs_login`,
        `logging_in`, `static`, `none`), scopes, expires_at (UTC), refreshable, error.
        """
        from mcpnb.notebook.frames import logins_frame  # noqa: PLC0415 - loads pandas

        return logins_frame(self.login_rows())

    def login_rows(self) -> Sequence[LoginRow]:
        """The same as plain values."""
        return self.client.logins()

    def login_requests(self) -> Sequence[LoginRequest]:
        """Logins that wait for a person now."""
        return self.client.login_requests()

    def log_in(self, server: str) -> None:
        """Begin a login that the dashboard shows."""
        self._desk.want(server, None)
        self.run(self._log_in, server, False)

    async def _log_in(self, server: str | None, wait: bool) -> None:
        await self.client.login(server, wait=wait)

    def _open(self, server: str | None) -> list[LoginRequest]:
        return [each for each in self.login_requests() if server in {None, each.server, *each.servers}]

    def _waiting_for(self, server: str | None) -> LoginRequest:
        found = self._open(server)
        if len(found) == 1:
            return found[0]
        if not found:
            raise AuthError(server or "login", "no login waits for an answer. Begin one: fleet.login()")
        names = ", ".join(each.server for each in found)
        fix = "Say which: fleet.login(NAME, answer=...)"
        raise AuthError("login", f"several wait for an answer: {names}. {fix}")

    def run(self, function: Callable[..., Coroutine[Any, Any, Any]], /, *args: Any) -> Any:
        """Run a coroutine function where the client lives; the fleet says how."""
        raise NotImplementedError
