"""Authentication: which credentials a request carries, where tokens come from, who is logged in.

    rows, request       what is shown of logins; one login of one person, and the ways to answer it
    token, store        tokens as values; where they are kept: memory, `file_store`, `keyring_store`
    web, refusal        requests to authorization servers; the error for a request without a token
    issuers             from a server's 401 to the authorization server it trusts (RFC 9728, 8414)
    grants              who we are at an issuer, and each way to get a token
    providers, replies  the SDK's OAuth providers, asked for one thing at a time; what issuers say
    credential, login   one client at one issuer: its tokens, one renewal in flight; who logs in (`sign_in`)
    listener, person    where the browser comes back to; who is asked to log in
    flow                one server's requests: the token they carry, and what a 401 or 403 leads to
    logins              all of these for the servers of one client

Which access token a server gets: its own, asked for with its own `resource` (RFC 8707). A server says itself
whom it trusts, so a hostile one may name the issuer of another, and must not be sent the other's token. Only
where a user names the issuer do servers share one. A login, which is known to the issuer alone, is shared in
any case: one person's login serves all servers that trust the same issuer.

It knows nothing of sessions, routing and notebooks. `logins` and what it needs import the MCP SDK (about a
second); what is exported here does not.
"""

from __future__ import annotations

from .request import LoginRequest, LoginRequestState, OnLogin
from .rows import LOGIN_STATES, LoginRow, LoginState, plain_row
from .store import MemoryTokens, TokenStore, store_of

__all__ = [
    "LOGIN_STATES",
    "LoginRequest",
    "LoginRequestState",
    "LoginRow",
    "LoginState",
    "MemoryTokens",
    "OnLogin",
    "TokenStore",
    "plain_row",
    "store_of",
]
