"""One client at one issuer, and the people who log in there: a `Credential` that somebody can renew.

    begin(guest)            have somebody log in, or the program itself; `signed_in` waits for that
    step_up(guest, scopes)  a server wants more: what the next login asks for, and whether it is worth one
    log_out()               forget the tokens, and give them back

`sign_in` has the steps of a login. They run in a task of their own, whoever it was that wanted it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from mcpnb.config import OAuth

from .credential import Credential, Means, spawn
from .grants import Wanted, revoke
from .guest import Guest
from .issuers import Issuer
from .refusal import NoToken
from .request import LoginRequest, LoginRequestState
from .rows import LoginState
from .sign_in import SignedIn, SignIn
from .token import Kept

__all__ = ["Login"]

_GRACE = 0.5
"""Seconds that a renewal has when the client is closed."""


class Login(Credential):
    """See the module."""

    def __init__(self, key: str, issuer: Issuer, settings: OAuth, means: Means, *, own: bool = False) -> None:
        super().__init__(key, issuer, settings, means, own=own)
        self.more: tuple[str, ...] = ()
        """Scopes that a guest wants beyond what was granted: for the next login."""
        self.request: LoginRequest | None = None
        """The login that waits for its person."""
        self._signing_in: asyncio.Task[None] | None = None
        self._asked: frozenset[str] = frozenset()
        """The scopes that the last login asked for."""
        self._offered: set[str] = set()
        """Scopes for which a person was asked unasked."""

    def __repr__(self) -> str:
        return f"<Login at {self.issuer.name}: {self.state()}>"

    @property
    def signing_in(self) -> bool:
        """Whether a login is under way."""
        return self._signing_in is not None and not self._signing_in.done()

    def state(self, guest: Guest | None = None) -> LoginState:
        """How things stand, for that guest or at all."""
        return "logging_in" if self.signing_in else self.standing(guest)

    def begin(self, guest: Guest) -> None:
        """Have somebody log in, or the program itself, unless that is under way; see `signed_in`."""
        if not self.signing_in:
            self.out = False
            work = self._sign_in(guest) if self.by_person else self._present(guest)
            self._signing_in = spawn(work)
            self._signing_in.add_done_callback(self._signing_in_ended)

    def _signing_in_ended(self, task: asyncio.Task[None]) -> None:
        """Whoever began it may have gone on; should a mistake of ours have ended it, nobody waits in vain."""
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, NoToken):
            self._end_request("failed", "mcpnb itself failed")
            self.changed("needs_login", f"mcpnb itself failed: {type(error).__name__}")
            said = {"message": f"the login at {self.issuer.name} failed", "exception": error}
            task.get_loop().call_exception_handler(said)

    async def signed_in(self) -> None:
        """Until the login that was begun has ended.

        Raises:
            NoToken: It failed.
        """
        if self._signing_in is not None:
            await asyncio.shield(self._signing_in)

    async def _present(self, guest: Guest) -> None:
        """A program's credentials are shown again."""
        self.problem = None
        try:
            await self._renewal(guest, self.held(guest))
        except NoToken as error:
            self.changed("needs_login", error.reason)
            raise
        self.changed("logged_in", "logged in")

    async def _sign_in(self, guest: Guest) -> None:
        """A person logs in, and what that brings takes the place of what there was."""
        self.problem = None
        try:
            if await self._found(guest):
                return
            async with self._means.turns.setdefault(self.issuer.name, asyncio.Lock()):
                signed = await self._new_sign_in(guest).run()
            async with self._alone():
                await self._settle_in(signed, guest)
        except NoToken as error:
            await self._forget_registration()
            self._end_request("failed", error.reason)
            self.problem = error.reason
            self.changed(self.standing(guest), error.reason)
            raise
        self._end_request("logged_in", None)
        self.changed("logged_in", f"logged in at {self.issuer.name}")

    async def _found(self, guest: Guest) -> bool:
        """Whether somebody has logged in meanwhile, in another process that keeps its tokens there, too."""
        async with self._alone():
            token = self.held(guest)
            usable = token is not None and token.usable(self._means.clock())
        found = (usable or self.kept.refresh is not None) and not self.more
        if found:
            self.changed("logged_in", f"logged in at {self.issuer.name}, as was found")
        return found

    def _new_sign_in(self, guest: Guest) -> SignIn:
        if self._means.on_login is None:
            raise NoToken("nobody can be asked: connect with on_login=", login=True)
        first = self.kept.tokens[self.slot(guest)].scopes if self.more and self.held(guest) else ()
        scopes = tuple(dict.fromkeys((*(first or self._scopes(guest)), *self.more)))
        others = (name for name in self._means.listener.guests(self) if name != guest.name)
        return SignIn(
            self._means.web, Wanted(self.issuer, guest.resource, scopes), self.settings, self.client(),
            (guest.name, *others), self._means.on_login, self._show, self._means.clock, self._means.patience,
        )  # fmt: skip

    def _show(self, request: LoginRequest) -> None:
        self.request = request
        self.changed("logging_in", f"log in at {self.issuer.name}")

    async def _settle_in(self, signed: SignedIn, guest: Guest) -> None:
        given = self.settings.client_id is not None
        client = {} if given else signed.client.model_dump(mode="json", exclude_none=True)
        self.adopt(Kept(client, binds=self.kept.binds))  # whoever logged in may be somebody else than before
        self._accepted.clear()
        self._asked, self.more = frozenset((*self._scopes(guest), *self.more)), ()
        await self.keep(signed.granted, self.slot(guest), guest.resource, signed.asked_at)

    async def _forget_registration(self) -> None:
        """A login that was not finished may have stood before a page that does not know us any more."""
        if self.kept.client and self.kept.refresh is None:
            async with self._alone():
                self.adopt(replace(self.kept, client={}))
                await self._save()

    def _end_request(self, state: LoginRequestState, error: str | None) -> None:
        if self.request is not None:
            self.request.end(state, error)
            self.request = None

    def step_up(self, guest: Guest, scopes: tuple[str, ...]) -> NoToken:
        """A server wants more than was granted: what to say, after a new login was prepared.

        Only what was not asked for yet is worth a login: an issuer that did not grant it then will not now.
        """
        if not scopes:
            return NoToken("it wants more scope, and does not say which", narrow=True)
        named, granted = " ".join(scopes), self.held(guest)
        missing = set(scopes) - set(granted.scopes if granted is not None else ())
        if not self.by_person:
            fix = "add it to scopes=" if self.settings.scopes is not None else "name it with scopes="
            return NoToken(f"it wants more scope ({named}): {fix}", narrow=True)
        if not missing or missing <= self._asked:
            why = f"{self.issuer.name} has not granted it" if missing else "the token has it"
            return NoToken(f"it wants more scope ({named}), and {why}", narrow=True)
        self.more = tuple(dict.fromkeys((*self.more, *scopes)))
        self.prompted = missing <= self._offered
        self._offered |= missing
        self.changed(None, f"more scope is wanted: {named}")
        return NoToken(f"it wants more scope ({named})", narrow=True, login=True)

    async def log_out(self) -> None:
        """Forget the tokens, here and in the store, and give them back where the issuer takes them.

        Raises:
            NoToken: They are forgotten, and the issuer could not be told.
        """
        self.out = True
        if self._signing_in is not None:
            self._signing_in.cancel()
            await asyncio.wait([self._signing_in])
        self._end_request("cancelled", "logged out")
        async with self._alone():
            client, before = self.client(), self.kept
            self.adopt(Kept(before.client, binds=before.binds))
            self.problem, self.more = None, ()
            await self._save()
        self.changed("logged_out", "logged out")
        given = {token.access: "access_token" for token in before.tokens.values()}
        if before.refresh is not None:
            given = {before.refresh: "refresh_token", **given}
        if given and client is not None:
            await revoke(self._means.web, Wanted(self.issuer, self.issuer.name), self.settings, client, given)

    async def aclose(self) -> None:
        """End what is under way; a renewal gets a moment: its issuer may have replaced the refresh token."""
        if self._signing_in is not None:
            self._signing_in.cancel()
            await asyncio.wait([self._signing_in])
        self._end_request("cancelled", "the client was closed")
        if self._renewals:
            _, late = await asyncio.wait(self._renewals.values(), timeout=_GRACE)
            for task in late:
                task.cancel()
        self._means.listener.secrets(self, frozenset())
