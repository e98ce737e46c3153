"""Servers under a prefix in etcd: listed, then watched; and registrations that live on a lease.

It speaks etcd's own JSON gateway, which every etcd since 3.4 has under /v3 unless it was switched off, over
the HTTP client that is there anyway. The gRPC client for asyncio would bring 22 MB of compiled libraries into
the kernel and knows no types; five requests do not need it.

A key is PREFIX SERVICE/INSTANCE, its value a JSON object of facts (`advertised` lists them), or a bare URL.
Instances of one service are replicas of each other.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, cast

from mcpnb.config import ServerConfig
from mcpnb.errors import ConfigError

from .advertised import Advert, advertised
from .backend import Backend, Surroundings
from .changes import Sighting, Trouble, reason
from .damping import Damping
from .registering import Gone, Publisher
from .web import Address, Web

__all__ = ["Etcd"]

_SILENCE = 20.0
"""Seconds without a change after which everything is listed anew: a watch that died silently is noticed."""


class Etcd(Backend, Publisher):
    """What stands under a prefix in etcd, as it comes and goes.

    Args:
        url: Of a member, e.g. http://127.0.0.1:2379.
        prefix: Of the keys; a missing slash at its end is added.
        service: What `fleet.register` publishes servers as; their replica group, else their name, if None.
        user: Where etcd wants one.
        password: As `user`.
        damping: See `Backend`.
        config: See `Backend`.

    Raises:
        ConfigError: The URL is none, or the prefix is empty.
    """

    kind: ClassVar[str] = "etcd"

    def __init__(
        self, url: str, *, prefix: str = "/mcp/", service: str | None = None, user: str | None = None,
        password: str | None = None, damping: Damping | None = None, **config: object,
    ) -> None:  # fmt: skip
        super().__init__(damping=damping, config=config)
        if not prefix.strip("/ "):
            raise ConfigError("etcd: is empty.", key="prefix", fix='Write for example prefix="/mcp/".')
        self._where = Address(url, self.kind)
        self.prefix = prefix if prefix.endswith("/") else f"{prefix}/"
        self._service = service
        self._login = None if user is None else {"name": user, "password": password or ""}
        if password:
            self._where.secrets |= {password}
        self._leases: dict[str, str] = {}

    @property
    def address(self) -> str:
        """The member's URL and the prefix."""
        return f"{self._where.shown} {self.prefix}"

    # -- what is there

    async def sightings(self, around: Surroundings) -> AsyncGenerator[Sighting | Trouble]:  # noqa: ARG002 - etcd wakes us
        """Everything under the prefix, again after each change."""
        async with Web.open(self._where) as web:
            await self._log_in(web)
            last: Sighting | None = None
            while True:
                values, revision = await self._list(web)
                async for _ in self._watch(web, values, revision + 1):
                    sighting = self._sighting(values)
                    if sighting != last:
                        last = sighting
                        yield sighting

    async def _list(self, web: Web) -> tuple[dict[str, str], int]:
        answer = await web.request("POST", "/v3/kv/range", body=self._range())
        with self._understood():
            found = {_text(kv["key"]): _text(kv.get("value", "")) for kv in answer.value.get("kvs", ())}
            return found, int(answer.value["header"]["revision"])

    async def _watch(self, web: Web, values: dict[str, str], revision: int) -> AsyncIterator[None]:
        """Keep `values` in step, saying so each time; ends when it is time to list everything anew."""
        body = {"create_request": {**self._range(), "start_revision": str(revision)}}
        try:
            async with web.lines("/v3/watch", body, silence=_SILENCE) as lines:
                yield
                async for line in lines:
                    with self._understood():
                        if "error" in line:
                            raise self.failed(f"ends the watch: {line['error'].get('message')}.")
                        result = line["result"]
                        if result.get("compact_revision"):  # what happened since is forgotten: list it all
                            return
                        if result.get("canceled"):
                            raise self.failed(f"ended the watch: {result.get('cancel_reason')}.")
                        _apply(result.get("events", ()), values)
                    yield
        except TimeoutError:
            return
        raise self.failed("ended the watch.")

    def _sighting(self, values: Mapping[str, str]) -> Sighting:
        servers: dict[str, ServerConfig] = {}
        problems: dict[str, str] = {}
        for key, value in values.items():
            path = key.removeprefix(self.prefix)
            try:
                servers[path] = self._server(path, value)
            except ConfigError as error:
                problems[path] = reason(error)
        return Sighting(servers, problems)

    def _server(self, path: str, value: str) -> ServerConfig:
        service, _, instance = path.rpartition("/")
        # Without a service between prefix and instance the whole prefix is one.
        group = service or self.prefix.strip("/").rpartition("/")[2]
        return advertised(instance, _facts(value), replicas=group)

    def _range(self) -> dict[str, str]:
        last = self.prefix[:-1] + chr(ord(self.prefix[-1]) + 1)
        return {"key": _coded(self.prefix), "range_end": _coded(last)}

    async def _log_in(self, web: Web) -> None:
        if self._login is not None:
            # An etcd that was restored waits for ever for the revision of a token that it gave before.
            web.headers.pop("Authorization", None)
            answer = await web.request("POST", "/v3/auth/authenticate", body=self._login)
            with self._understood():
                web.headers["Authorization"] = str(answer.value["token"])

    @contextmanager
    def _understood(self) -> Generator[None]:
        """Whatever is not where etcd puts it means that this is no etcd."""
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self.failed("does not answer as etcd does.", lasting=True) from None

    # -- what is published

    def _key(self, advert: Advert) -> str:
        return f"{self.prefix}{advert.service}/{advert.instance}"

    async def publish(self, web: Web, advert: Advert, ttl: float) -> None:
        """Write the key on a new lease of `ttl` seconds."""
        await self._log_in(web)
        granted = await web.request("POST", "/v3/lease/grant", body={"TTL": round(ttl)})
        with self._understood():
            lease = str(granted.value["ID"])
        value = json.dumps({"url": advert.url, **advert.facts})
        body = {"key": _coded(self._key(advert)), "value": _coded(value), "lease": lease}
        await web.request("POST", "/v3/kv/put", body=body)
        self._leases[self._key(advert)] = lease

    async def renew(self, web: Web, advert: Advert) -> None:
        """Keep the lease alive."""
        lease = self._leases[self._key(advert)]
        answer = await web.request("POST", "/v3/lease/keepalive", body={"ID": lease})
        with self._understood():
            if int(answer.value["result"].get("TTL", 0)) <= 0:
                raise Gone

    async def withdraw(self, web: Web, advert: Advert) -> None:
        """End the lease, and with it the key."""
        lease = self._leases.pop(self._key(advert))
        await self._log_in(web)  # renewals need no token, and so kept none alive
        await web.request("POST", "/v3/lease/revoke", body={"ID": lease}, accept=(404,))

    @property
    def publishes_as(self) -> str | None:
        """See `Publisher`."""
        return self._service

    @property
    def publishes_to(self) -> Address:
        """See `Publisher`."""
        return self._where


def _apply(events: object, values: dict[str, str]) -> None:
    """Carry out what a watch tells."""
    for event in cast("list[Mapping[str, Any]]", events):
        key = _text(event["kv"]["key"])
        if event.get("type") == "DELETE":
            values.pop(key, None)
        else:
            values[key] = _text(event["kv"].get("value", ""))


def _facts(value: str) -> Mapping[str, object]:
    """A value's facts.

    Raises:
        ConfigError: It is neither a JSON object nor a URL.
    """
    if value.startswith(("http://", "https://")):
        return {"url": value}
    try:
        facts = cast("object", json.loads(value))
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        raise ConfigError(
            "is neither a JSON object nor a URL.", fix='Write for example {"url": "http://..."}.'
        )
    return cast("Mapping[str, object]", facts)


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _text(coded: str) -> str:
    return base64.b64decode(coded).decode("utf-8", "replace")
