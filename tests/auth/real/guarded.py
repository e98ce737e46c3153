"""MCP servers over Streamable HTTP that want tokens, on an event loop of their own, counting what they see.

Made with the SDK: its bearer authentication, its protected resource metadata (RFC 9728). Tokens are verified
by the issuer's keys or by asking the issuer (RFC 7662). What the SDK's servers do not do (demand more scope
for one tool, move elsewhere) is done before they see a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2
import jwt
import uvicorn
from mcp import MCPError
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

PATIENCE = 30.0
INTROSPECTING = {"client_id": "resource-server", "client_secret": "known-to-the-resource-server"}
"""The client by which servers ask the issuer about tokens; the issuer has to know it."""

T = TypeVar("T")
Serve = Callable[[Any, Any, Any], Awaitable[None]]


class Street:
    """The loop that servers run on, in a thread, so that tests may block."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="guarded servers")
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@dataclass(frozen=True, slots=True)
class Seen:
    """One request to a server's MCP endpoint."""

    at: float
    message: str
    """The JSON-RPC method, with the tool's name for a call; the HTTP method where there is none."""
    token: str | None
    status: int


@dataclass
class Guarded:
    """One MCP server. What it demands may change while it runs."""

    name: str
    issuer: str
    url: str
    """The endpoint."""
    resource: str
    """What its tokens have to be for (RFC 8707), as its metadata say."""
    scopes: list[str] = field(default_factory=lambda: ["mcp:read"])
    introspects: bool = False
    any_audience: bool = False
    """Take tokens for other resources too, as servers do whose issuer knows no resources."""
    leeway: float = 1.0
    """Seconds a token is taken after its end: its times are whole seconds, rounded down."""
    refused: set[str] = field(default_factory=set)
    """Tokens that are good no more, whatever the issuer says."""
    refuses_all: bool = False
    demands: dict[str, str] = field(default_factory=dict)
    """Tool → the scope that calling it needs besides."""
    moved_to: str | None = None
    seen: list[Seen] = field(default_factory=list)
    _keys: jwt.PyJWKSet | None = None

    def calls(self, *, ok: bool | None = None) -> list[Seen]:
        """The tool calls that came, those it took or those it did not."""
        return [
            seen
            for seen in self.seen
            if seen.message.startswith("tools/call") and ok in (None, seen.status == 200)
        ]

    @property
    def tokens(self) -> list[str]:
        """The tokens it has seen, each once, in the order of their coming."""
        return list(dict.fromkeys(seen.token for seen in self.seen if seen.token))

    # -- the token

    async def verify_token(self, token: str) -> AccessToken | None:
        """What the token allows, or None."""
        if self.refuses_all or token in self.refused:
            return None
        claims = await (self._introspected(token) if self.introspects else self._read(token))
        if claims is None:
            return None
        return AccessToken(
            token=token,
            client_id=claims.get("client_id", "nobody"),
            scopes=str(claims.get("scope") or "").split(),
            subject=claims.get("sub", claims.get("client_id")),
            claims=claims,
        )

    async def _read(self, token: str) -> dict[str, Any] | None:
        if self._keys is None:
            async with httpx2.AsyncClient(verify=False) as http:
                about = (await http.get(f"{self.issuer}/.well-known/openid-configuration")).json()
                self._keys = jwt.PyJWKSet.from_dict((await http.get(about["jwks_uri"])).json())
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            audience = None if self.any_audience else self.resource
            options: Any = {"verify_aud": not self.any_audience}
            return jwt.decode(
                token,
                key,
                ["RS256"],
                options=options,
                audience=audience,
                issuer=self.issuer,
                leeway=self.leeway,
            )
        except (jwt.PyJWTError, KeyError):
            return None

    async def _introspected(self, token: str) -> dict[str, Any] | None:
        async with httpx2.AsyncClient(verify=False) as http:  # reading certificates takes long
            form = {"token": token, **INTROSPECTING}
            claims = (await http.post(f"{self.issuer}/token/introspection", data=form)).json()
        meant = self.any_audience or claims.get("aud") == self.resource
        return claims if claims.get("active") and meant else None

    # -- the server

    def served(self, path: str) -> tuple[MCPServer, Serve]:
        """The SDK's server, and the application that goes before it."""
        settings = AuthSettings(
            issuer_url=self.issuer,  # type: ignore[arg-type]
            resource_server_url=self.resource,  # type: ignore[arg-type]
            required_scopes=self.scopes,
            validate_token_resource=False,  # `verify_token` does
        )
        server = MCPServer(self.name, version="1.0", log_level="CRITICAL", auth=settings, token_verifier=self)
        add_tools(server, self.name)
        return server, self._before(server.streamable_http_app(streamable_http_path=path), path)

    def _before(self, app: Serve, path: str) -> Serve:
        async def serve(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] != path:
                return await app(scope, receive, send)
            body, again = await _whole(receive)
            message, token = _message(scope, body), _token(scope)

            async def telling(event: Any) -> None:
                if event["type"] == "http.response.start":
                    self.seen.append(Seen(time.time(), message, token, event["status"]))
                await send(event)

            if self.moved_to:
                return await _say(telling, 307, location=self.moved_to)
            demanded = self.demands.get(message.partition(" ")[2])
            if demanded and token and demanded not in _scopes(token):
                scopes = " ".join([*self.scopes, demanded])
                challenge = f'Bearer error="insufficient_scope", scope="{scopes}"'
                return await _say(telling, 403, **{"www-authenticate": challenge})
            return await app(scope, again, telling)

        return serve


def add_tools(server: MCPServer, name: str) -> None:
    """What all servers here can do."""

    @server.tool()
    def where() -> str:
        """Say which server this is."""
        return name

    @server.tool()
    def who() -> str:
        """Say who calls."""
        token = get_access_token()
        return str(token and token.subject)

    @server.tool()
    def repeat() -> str:
        """Say the token, as data."""
        return f"the token is {_given()}"

    @server.tool()
    def complain() -> str:
        """Say the token, as the reason of a failure."""
        raise ToolError(f"not with the token {_given()}")

    @server.tool()
    def refuse() -> str:
        """Say the token, in an error of the protocol."""
        raise MCPError(-32000, f"refused: {_given()}", data={"token": _given()})

    @server.tool()
    def write(text: str) -> str:
        """Write, for those who may."""
        return f"{name} wrote {text}"


def _given() -> str:
    token = get_access_token()
    return token.token if token else "none"


@dataclass
class Site:
    """Servers at one origin, while it is open."""

    url: str
    servers: dict[str, Guarded]

    def __getitem__(self, name: str) -> Guarded:
        return self.servers[name]


@contextlib.contextmanager
def opened(
    street: Street, issuer: str, *names: str, shared: bool = False, meant: str = "/{}/mcp", **demands: Any
) -> Iterator[Site]:
    """Servers at one origin, at /NAME/mcp each.

    Their tokens are for what is `meant` at that origin, or, `shared`, for all of it.
    """
    with listening() as (listens, url):
        servers = {
            name: Guarded(
                name, issuer, f"{url}/{name}/mcp", url if shared else url + meant.format(name), **demands
            )
            for name in names
        }
        made = {name: server.served(f"/{name}/mcp") for name, server in servers.items()}

        async def app(scope: Any, receive: Any, send: Any) -> None:
            name = next((part for part in scope["path"].split("/") if part in made), names[0])
            await made[name][1](scope, receive, send)

        with running(street, [server for server, _ in made.values()], app, listens):
            yield Site(url, servers)


@contextlib.contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A socket that listens on loopback, and its URL."""
    with socket.socket() as listens:
        listens.bind(("127.0.0.1", 0))
        listens.listen()
        yield listens, f"http://127.0.0.1:{listens.getsockname()[1]}"


@contextlib.contextmanager
def running(street: Street, servers: list[MCPServer], app: Serve, listens: socket.socket) -> Iterator[None]:
    """Serve an application there, with these servers' sessions."""
    settings = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=0)
    http = _Announced(settings)

    async def serve() -> None:
        async with contextlib.AsyncExitStack() as sessions:
            for server in servers:
                await sessions.enter_async_context(server.session_manager.run())
            await http.serve(sockets=[listens])

    serving = asyncio.run_coroutine_threadsafe(serve(), street.loop)
    assert http.up.wait(PATIENCE)
    try:
        yield
    finally:
        http.should_exit = True
        serving.result(PATIENCE)


class _Announced(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.up.set()

    def capture_signals(self) -> Any:
        return contextlib.nullcontext()


async def _whole(receive: Any) -> tuple[bytes, Any]:
    """A request's body, and a `receive` that gives it once more."""
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    first = [{"type": "http.request", "body": body}]

    async def again() -> Any:
        return first.pop() if first else await receive()

    return body, again


def _message(scope: Any, body: bytes) -> str:
    try:
        said = json.loads(body)
        return f"{said['method']} {said.get('params', {}).get('name', '')}".rstrip()
    except (ValueError, KeyError):
        return str(scope["method"])


def _token(scope: Any) -> str | None:
    value = dict(scope["headers"]).get(b"authorization", b"").decode()
    return value.removeprefix("Bearer ") or None


def _scopes(token: str) -> list[str]:
    claims = jwt.decode(token, options={"verify_signature": False})
    return str(claims.get("scope") or "").split()


async def _say(send: Any, status: int, **headers: str) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": b""})
