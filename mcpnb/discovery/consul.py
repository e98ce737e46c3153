"""Consul's catalog: the healthy instances of a service, by blocking queries; and registrations with a TTL.

It speaks the few endpoints it needs over the HTTP client that is there anyway: the clients for Python bring a
second and a third HTTP library (aiohttp, requests), know no types, and leave the index of a blocking query,
which is the whole of the work, to their callers. Its tests run against a stand-in for that API.

A server's facts stand in its service's metadata; `advertised` lists them. Its region is else its
datacenter, its weight what Consul calls the weight while passing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, ClassVar, cast
from urllib.parse import quote, urlsplit

from mcpnb.config import ServerConfig
from mcpnb.errors import ConfigError, suggest

from .advertised import Advert, advertised
from .backend import Backend, Surroundings
from .changes import Sighting, Trouble, reason
from .damping import Damping
from .registering import Gone, Publisher
from .web import Address, Answer, Web

__all__ = ["Consul"]

_WAIT = 30
"""Seconds that a query waits for a change. Short enough to notice before long that nobody is there."""
_GRACE = 10.0
"""Seconds for the answer itself, and for the sixteenth of the wait that Consul adds at random."""
_PAUSE = 0.1
"""Seconds between queries: a busy catalog wakes a query far more often than anybody wants to know."""
_FORGET_AFTER = "1m"
"""When Consul drops a registration whose TTL ran out; it takes no less."""


class Consul(Backend, Publisher):
    """The instances of a service that pass their health checks.

    Args:
        url: Of an agent, e.g. http://127.0.0.1:8500.
        service: The service's name.
        acl_token: For Consul itself. (`token=` is for the servers that it lists.)
        datacenter: Another one than the agent's.
        tag: Only instances with this tag.
        damping: See `Backend`.
        config: See `Backend`.

    Raises:
        ConfigError: The URL is none, or the service has no name.
    """

    kind: ClassVar[str] = "consul"

    def __init__(
        self, url: str, *, service: str, acl_token: str | None = None, datacenter: str | None = None,
        tag: str | None = None, damping: Damping | None = None, **config: object,
    ) -> None:  # fmt: skip
        super().__init__(damping=damping, config=config)
        if not service.strip():
            raise ConfigError("consul: is empty.", key="service", fix='Write for example service="weather".')
        headers = {} if acl_token is None else {"X-Consul-Token": acl_token}
        self._where = Address(url, self.kind, headers)
        self.service = service
        wanted = {"dc": datacenter, "tag": tag, "passing": "true"}
        self._params = {key: value for key, value in wanted.items() if value is not None}

    @property
    def address(self) -> str:
        """The agent's URL and the service."""
        return f"{self._where.shown} {self.service}"

    # -- what is there

    async def sightings(self, around: Surroundings) -> AsyncGenerator[Sighting | Trouble]:
        """The healthy instances, again whenever Consul says that something changed."""
        async with Web.open(self._where) as web:
            index, last = 0, None
            while True:
                answer = await self._ask(web, index)
                found = _index(answer)
                if found is None:
                    raise self.failed("does not answer as Consul does: it names no index.", lasting=True)
                # An index that went back means that the catalog was restored: start again.
                index = found if found >= index else 0
                sighting = self._sighting(answer.value)
                if not sighting.servers and last is None:
                    sighting = await self._explained(web, sighting)
                if sighting != last:
                    last = sighting
                    yield sighting
                await around.sleep(_PAUSE)

    async def _ask(self, web: Web, index: int) -> Answer:
        waiting = {"index": str(index), "wait": f"{_WAIT}s"} if index else {}
        path = f"/v1/health/service/{quote(self.service, safe='')}"
        within = _WAIT * 17 / 16 + _GRACE if index else _GRACE
        return await web.request("GET", path, params={**self._params, **waiting}, within=within)

    def _sighting(self, entries: object) -> Sighting:
        if not isinstance(entries, list):
            raise self.failed("does not answer as Consul does: this is no list of instances.", lasting=True)
        servers: dict[str, ServerConfig] = {}
        problems: dict[str, str] = {}
        for entry in cast("list[dict[str, Any]]", entries):
            try:
                node, service = entry["Node"], entry["Service"]
                name = str(service["ID"])
            except (KeyError, TypeError):
                raise self.failed("lists an instance in a form that Consul has not.", lasting=True) from None
            try:
                servers[name] = self._server(name, node, service)
            except ConfigError as error:
                problems[name] = reason(error)
        return Sighting(servers, problems)

    def _server(self, name: str, node: Mapping[str, Any], service: Mapping[str, Any]) -> ServerConfig:
        weights: Mapping[str, Any] = service.get("Weights") or {}
        return advertised(
            name,
            service.get("Meta") or {},
            host=service.get("Address") or node.get("Address", ""),
            port=int(service.get("Port") or 0),
            replicas=self.service,
            region=node.get("Datacenter"),
            weight=float(weights.get("Passing") or 1),
            tags=service.get("Tags") or [],
        )

    async def _explained(self, web: Web, sighting: Sighting) -> Sighting:
        """Nobody is there: the service may be of another name, or all of its instances unwell."""
        params = {key: value for key, value in self._params.items() if key == "dc"}
        known: Sequence[str] = list(
            (await web.request("GET", "/v1/catalog/services", params=params)).value or ()
        )
        if self.service in known:
            why = "no instance passes its health checks"
        else:
            near = ", ".join(suggest(self.service, known))
            why = f"no such service is registered yet{f'; there is {near}' if near else ''}"
        return Sighting({}, {**sighting.problems, self.service: why})

    # -- what is published

    async def publish(self, web: Web, advert: Advert, ttl: float) -> None:
        """Register the instance, healthy for `ttl` seconds."""
        parts = urlsplit(advert.url)
        meta = {**advert.facts, "path": parts.path or "/", "scheme": parts.scheme}
        check = {"TTL": f"{ttl:g}s", "Status": "passing", "DeregisterCriticalServiceAfter": _FORGET_AFTER}
        body: dict[str, object] = {
            "ID": advert.instance, "Name": advert.service, "Address": advert.host, "Port": advert.port,
            "Meta": meta, "Check": check,
        }  # fmt: skip
        await web.request("PUT", "/v1/agent/service/register", body=body)

    async def renew(self, web: Web, advert: Advert) -> None:
        """Say that the instance is well, for another TTL."""
        path = f"/v1/agent/check/pass/service:{quote(advert.instance, safe='')}"
        # An agent that does not know the check (any more) says 404; old ones said 500.
        answer = await web.request("PUT", path, accept=(404, 500))
        if answer.status != 200:
            raise Gone

    async def withdraw(self, web: Web, advert: Advert) -> None:
        """Take the instance out."""
        path = f"/v1/agent/service/deregister/{quote(advert.instance, safe='')}"
        await web.request("PUT", path, accept=(404,))

    @property
    def publishes_as(self) -> str:
        """See `Publisher`."""
        return self.service

    @property
    def publishes_to(self) -> Address:
        """See `Publisher`."""
        return self._where


def _index(answer: Answer) -> int | None:
    """Consul's index of this answer, at least 1; None when there is none."""
    text = answer.headers.get("X-Consul-Index", "")
    return max(1, int(text)) if text.isdigit() else None
