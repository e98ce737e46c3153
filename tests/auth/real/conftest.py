"""What these tests share: one of each authorization server, and the loop that MCP servers run on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import mcpnb

from .guarded import INTROSPECTING, PATIENCE, Site, Street, opened
from .issuers import Issuer, installed
from .person import Person

MACHINE = {"client_id": "machine", "client_secret": "only the machine knows/5Qz81"}
"""A client that needs no person."""


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the npm packages."""
    return installed(tmp_path_factory.mktemp("issuers"))


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    """The private key of the client `signer`."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def pem(key: rsa.RSAPrivateKey) -> str:
    """The same, as a file would hold it."""
    secret = serialization.NoEncryption()
    encoded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)
    return encoded.decode()


def clients(key: rsa.RSAPrivateKey) -> list[dict[str, Any]]:
    """The clients that oidc-provider knows from the beginning."""
    public = {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "k", "use": "sig"}
    machine: dict[str, Any] = {
        "grant_types": ["client_credentials"],
        "redirect_uris": [],
        "response_types": [],
    }
    by_key = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [public]}}
    return [
        {**machine, **MACHINE},
        {**machine, "client_id": "signer", **by_key},
        {**machine, **INTROSPECTING, "token_endpoint_auth_method": "client_secret_post"},
        {
            "client_id": "notebook",
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        },
        {"client_id": "keyholder", "grant_types": ["authorization_code", "refresh_token"], **by_key},
    ]


@pytest.fixture(scope="session")
def oidc_process(packages: Path, key: rsa.RSAPrivateKey) -> Iterator[Issuer]:
    running = Issuer(packages, "issuer.mjs", clients(key))
    yield running
    running.stop()


@pytest.fixture
def oidc(oidc_process: Issuer) -> Issuer:
    """A running oidc-provider with its settings as in the beginning."""
    oidc_process.reset()
    return oidc_process


@pytest.fixture(scope="session")
def mock_process(packages: Path) -> Iterator[Issuer]:
    running = Issuer(packages, "mock.mjs")
    yield running
    running.stop()


@pytest.fixture
def mock(mock_process: Issuer) -> Issuer:
    """A running oauth2-mock-server with its settings as in the beginning."""
    mock_process.reset()
    return mock_process


@pytest.fixture(scope="session")
def street() -> Iterator[Street]:
    """The loop of the MCP servers."""
    running = Street()
    yield running
    running.close()


@pytest.fixture
def site(street: Street, oidc: Issuer) -> Iterator[Callable[..., Site]]:
    """Opens MCP servers that trust oidc-provider, unless another issuer is named."""
    with ExitStack() as open_sites:

        def open_one(*names: str, issuer: str = oidc.url, **demands: Any) -> Site:
            return open_sites.enter_context(opened(street, issuer, *names, **demands))

        yield open_one


@pytest.fixture
def alice() -> Person:
    """A person whom the issuer does not know yet."""
    return Person()


@pytest.fixture
def connect() -> Iterator[Callable[..., mcpnb.Fleet]]:
    """Connects to all servers of these sites; closed with the test."""
    with ExitStack() as fleets:

        def connect_to(*sites: Site, **options: Any) -> mcpnb.Fleet:
            urls = {name: server.url for site in sites for name, server in site.servers.items()}
            return fleets.enter_context(mcpnb.connect(urls, connect_timeout=PATIENCE, **options))

        yield connect_to


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """The URL of another origin, and all that it was ever sent."""
    sent: list[str] = []

    class Noting(BaseHTTPRequestHandler):
        def handle(self) -> None:
            sent.append(self.rfile.readline().decode())

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Noting)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_address[1]}", sent
    listening.shutdown()
    thread.join()
    listening.server_close()


def eventually(true: Callable[[], bool], what: str = "") -> None:
    """Wait until it is true."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what or "it never became true"
        time.sleep(0.02)


def state(fleet: mcpnb.Fleet, server: str) -> str:
    """How a server is."""
    return next(status.state for status in fleet.status() if status.server == server)


def ask(fleet: mcpnb.Fleet, server: str, tool: str = "who", **arguments: Any) -> str:
    """Call a tool of that server."""
    return fleet.options(server=server).call(tool, **arguments).text
