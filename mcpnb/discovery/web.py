"""JSON over HTTP, as registries, Consul and etcd speak it: one client, and its failures in our words.

It owns what may be said about a request that failed. Addresses are shown without userinfo and query, whatever
else is secret is given, and neither stands in an error or in what the HTTP library logs. It knows no backend.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from mcpnb.config import ServerConfig, hush, redact, secrets_of
from mcpnb.errors import ConfigError, DiscoveryError

if TYPE_CHECKING:
    from collections.abc import Generator

    import httpx2

__all__ = ["Address", "Answer", "Web"]

_TIMEOUT = 10.0
"""Seconds for an answer that nobody has to wait for a change for."""
_SHOWN = 200
"""Characters of an answer that an error quotes."""


class Address:
    """Where an HTTP API is, and what of that may be shown.

    Raises:
        ConfigError: It is no complete http or https URL.
    """

    def __init__(self, url: str, backend: str, headers: Mapping[str, str] | None = None) -> None:
        try:
            # The rules for the URL of a server and for its secrets are the same.
            checked = ServerConfig(backend, "http", url=url, headers=headers or {})
        except ConfigError as error:
            fix = "Write it whole, for example http://127.0.0.1:8500."
            raise ConfigError(f"{backend}: {error.problem}", key=error.key, fix=fix) from None
        self.backend, self.url, self.headers = backend, url.rstrip("/"), dict(checked.headers)
        self.shown = checked.address.rstrip("/")
        self.secrets = secrets_of(checked)


class Answer:
    """What came back: status, headers, and the value of its body."""

    def __init__(self, status: int, headers: Mapping[str, str], value: Any) -> None:
        self.status, self.headers, self.value = status, headers, value


class Web:
    """Requests to one address. Made by `Web.open`."""

    def __init__(self, address: Address, client: httpx2.AsyncClient) -> None:
        self._address, self._client = address, client
        self.headers: dict[str, str] = {}
        """Sent with every request from now on, such as a token that was just got."""

    @classmethod
    @asynccontextmanager
    async def open(cls, address: Address) -> AsyncGenerator[Web]:
        """A client for a while; the secrets of its address are out of the logs meanwhile."""
        import httpx2  # noqa: PLC0415 - a tenth of a second, and only for those who discover over HTTP

        release = hush(address.secrets)
        try:
            async with httpx2.AsyncClient(
                base_url=address.url, headers=address.headers, timeout=_TIMEOUT
            ) as client:
                yield cls(address, client)
        finally:
            release()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        within: float = _TIMEOUT,
        accept: tuple[int, ...] = (),
    ) -> Answer:
        """One request; a status that is neither a success nor in `accept` is an error.

        Raises:
            DiscoveryError: Nobody answered within so many seconds, or the answer is none.
        """
        options: Any = {"params": params or {}, "headers": self.headers, "timeout": within}
        try:
            with self._in_our_words():
                answer = await self._client.request(method, path, json=body, **options)
        except TimeoutError:
            raise self.failed(f"did not answer within {within:g} s.") from None
        if answer.status_code not in accept:
            self._check(answer)
        value = self._value(answer.text) if answer.is_success and answer.content.strip() else None
        return Answer(answer.status_code, answer.headers, value)

    @asynccontextmanager
    async def lines(self, path: str, body: object, *, silence: float) -> AsyncGenerator[AsyncIterator[Any]]:
        """The JSON values of an answer that goes on, one a line.

        Raises:
            TimeoutError: Nothing came for `silence` seconds.
            DiscoveryError: As of `request`.
        """
        import httpx2  # noqa: PLC0415 - loaded by `open`

        with self._in_our_words():
            timeout = httpx2.Timeout(_TIMEOUT, read=silence)
            options: Any = {"headers": self.headers, "timeout": timeout, "json": body}
            async with self._client.stream("POST", path, **options) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    self._check(answer)
                yield self._each(answer)

    async def _each(self, answer: httpx2.Response) -> AsyncIterator[Any]:
        async for line in answer.aiter_lines():
            if line.strip():
                yield self._value(line)

    def _value(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            raise self.failed("answers with something that is not JSON.", lasting=True) from None

    def _check(self, answer: httpx2.Response) -> None:
        status = answer.status_code
        if status < 300:
            return
        why = redact(" ".join(answer.text.split())[:_SHOWN], self._address.secrets)
        said = f"HTTP {status}" + (f": {why}" if why else "")
        if status in {401, 403}:
            raise self.failed(f"refuses: {said}.", fix="Check the token.", lasting=True)
        raise self.failed(f"answers {said}.", lasting=300 <= status < 500 and status != 429)

    def failed(self, problem: str, *, fix: str | None = None, lasting: bool = False) -> DiscoveryError:
        """The error that names the backend and its address."""
        where = f"{self._address.backend} {self._address.shown}"
        return DiscoveryError(problem, backend=where, fix=fix, lasting=lasting)

    @contextmanager
    def _in_our_words(self) -> Generator[None]:
        import httpx2  # noqa: PLC0415 - loaded by `open`

        try:
            yield
        except httpx2.ReadTimeout:
            raise TimeoutError from None
        except httpx2.ConnectError:
            raise self.failed("nobody answers there (connection refused, or no such host).") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            why = redact(str(error), self._address.secrets) or type(error).__name__
            raise self.failed(f"went away: {why}.") from None
