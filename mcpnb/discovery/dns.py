"""DNS: the servers that SRV records name, asked again when their time to live is over.

Two layouts are read. Of a plain service every SRV record at the name is a server, and a TXT record at the
name tells the facts of all of them. Where PTR records stand there (DNS-SD, RFC 6763) each names an instance
with an SRV and a TXT record of its own. `advertised` lists the facts.

SRV's priority, of which the lowest goes first, becomes ours with the sign turned; its weight becomes ours. It
owns the reading of records; how names are resolved dnspython knows.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from mcpnb.config import ServerConfig
from mcpnb.errors import ConfigError

from .advertised import advertised
from .backend import Backend, Surroundings, required
from .changes import Sighting, Trouble, reason
from .damping import Damping

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver
    from dns.resolver import Answer

__all__ = ["DNS"]

_SOONEST, _LATEST = 1.0, 300.0
"""Seconds between looks, whatever a time to live says: 0 would be a flood, a day too long for anybody."""
_NOBODY = 30.0
"""Seconds until the next look where there is no record, and so no time to live."""
_WITHIN = 5.0
"""Seconds for one question, its repetitions included."""
_LEAST = 0.01
"""SRV's weight 0 beside others: a very small chance, but one."""


@dataclass(frozen=True, slots=True)
class _Instance:
    """One server as its records have it."""

    key: str
    name: str
    host: str
    port: int
    priority: int
    weight: int
    facts: dict[str, str]


class DNS(Backend):
    """The servers of a service in DNS.

    Args:
        name: Of the service, e.g. `_mcp._tcp.example.org`.
        nameserver: Whom to ask, as an address or `address:port`; the system's own by default. Plain HTTP
            servers are then reached at the addresses that it knows, because the system may know none.
        damping: See `Backend`.
        config: See `Backend`.

    Raises:
        ConfigError: The name or the name server is none.
    """

    kind: ClassVar[str] = "dns"

    def __init__(
        self, name: str, *, nameserver: str | None = None, damping: Damping | None = None, **config: object
    ) -> None:
        super().__init__(damping=damping, config=config)
        self.name = name.strip().rstrip(".")
        if not self.name or any(c.isspace() for c in self.name) or "/" in self.name:
            fix = "Write for example _mcp._tcp.example.org."
            raise ConfigError("dns: is no name of a service.", key="name", fix=fix)
        self._nameserver = None if nameserver is None else _address(nameserver)

    @property
    def address(self) -> str:
        """The name, and whom it asks."""
        return self.name if self._nameserver is None else f"{self.name} at {_joined(*self._nameserver)}"

    async def sightings(self, around: Surroundings) -> AsyncGenerator[Sighting | Trouble]:
        """What the records say, again whenever their time to live is over."""
        look = _Look(self, self._resolver())
        last: Sighting | None = None
        while True:
            sighting = await look.whole(first=last is None)
            if sighting != last:
                last = sighting
                yield sighting
            await around.sleep(min(_LATEST, max(_SOONEST, look.ttl)))

    def _resolver(self) -> Resolver:
        dns = cast("Any", required("dns.asyncresolver", self.label))
        resolver: Resolver = dns.Resolver(configure=self._nameserver is None)
        if self._nameserver is not None:
            resolver.nameservers, resolver.port = [self._nameserver[0]], self._nameserver[1]
        resolver.lifetime = _WITHIN
        return resolver

    @property
    def resolves(self) -> bool:
        """Whether hosts are looked up here rather than by the system."""
        return self._nameserver is not None


class _Look:
    """Looks at one service, and how long what was seen is good for."""

    def __init__(self, backend: DNS, resolver: Resolver) -> None:
        self._backend, self._resolver = backend, resolver
        self.ttl = 0.0

    async def whole(self, *, first: bool) -> Sighting:
        """All servers now. Where there is no record nobody is there; at the first look that is an error.

        Raises:
            DiscoveryError: The name server does not answer, or there is no such record.
        """
        self.ttl = _LATEST
        name = self._backend.name
        instances = await self._at(name, name, facts=None)
        problems: dict[str, str] = {}
        for pointer in await self._ask(name, "PTR"):
            instance = str(pointer.target).rstrip(".")
            found = await self._at(instance, _first_label(pointer.target), facts={})
            if not found:
                problems[instance] = "has no SRV record"
            instances += found
        if not instances and not problems:
            self.ttl = _NOBODY
            if first:
                fix = "Check the name; servers are found by their SRV records."
                raise self._backend.failed("there is no such record.", fix=fix, lasting=True)
        return await self._sighting(instances, problems)

    async def _at(self, owner: str, label: str, facts: dict[str, str] | None) -> list[_Instance]:
        """The servers that the SRV records of one owner name; `facts` None: of a plain service."""
        records = [record for record in await self._ask(owner, "SRV") if str(record.target) != "."]
        told = _facts(await self._ask(owner, "TXT")) if records else {}
        instances: list[_Instance] = []
        for record in records:
            host = str(record.target).rstrip(".")
            name = label if facts is not None and len(records) == 1 else f"{host.split('.')[0]}-{record.port}"
            key = f"{owner} {host}:{record.port}"
            instances.append(_Instance(key, name, host, record.port, record.priority, record.weight, told))
        return instances

    async def _sighting(self, instances: list[_Instance], problems: dict[str, str]) -> Sighting:
        weights = any(instance.weight for instance in instances)
        servers: dict[str, ServerConfig] = {}
        for each in instances:
            try:
                servers[each.key] = advertised(
                    each.name,
                    each.facts,
                    host=await self._host(each),
                    port=each.port,
                    replicas=self._backend.name,
                    priority=-each.priority,
                    weight=float(each.weight or _LEAST) if weights else 1.0,
                )
            except ConfigError as error:
                problems[each.key] = reason(error)
        return Sighting(servers, problems)

    async def _host(self, instance: _Instance) -> str:
        """Where to connect: the name, or its address where the system may not know the name."""
        if (
            not self._backend.resolves
            or instance.facts.get("scheme") == "https"
            or _is_address(instance.host)
        ):
            return instance.host
        for kind in ("A", "AAAA"):
            for record in await self._ask(instance.host, kind):
                return str(record.address)
        raise ConfigError("its host has no address.", server=instance.name)

    async def _ask(self, name: str, kind: str) -> list[Any]:
        """The records of a kind; none where there are none."""
        import dns.exception  # noqa: PLC0415 - `required` has seen that it is there
        import dns.name  # noqa: PLC0415 - as above
        import dns.resolver  # noqa: PLC0415 - as above

        try:
            absolute = dns.name.from_text(name)
            answer = await self._resolver.resolve(absolute, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return []
        except dns.resolver.LifetimeTimeout:
            raise self._backend.failed(f"no name server answered within {_WITHIN:g} s.") from None
        except dns.resolver.NoNameservers:
            raise self._backend.failed("no name server could answer.") from None
        except dns.exception.DNSException as error:
            raise self._backend.failed(f"{type(error).__name__}: {error}.", lasting=True) from None
        except OSError as error:
            raise self._backend.failed(f"no name server can be reached: {error.strerror or error}.") from None
        return self._records(answer)

    def _records(self, answer: Answer) -> list[Any]:
        if answer.rrset is None:
            return []
        self.ttl = min(self.ttl, float(answer.rrset.ttl))
        return sorted(answer.rrset, key=str)


def _facts(records: Iterable[Any]) -> dict[str, str]:
    """The `key=value` strings of TXT records; of a key that stands twice the first, as RFC 6763 has it."""
    facts: dict[str, str] = {}
    for record in records:
        for string in cast("Iterable[bytes]", record.strings):
            key, _, value = string.decode("utf-8", "replace").partition("=")
            if key:
                facts.setdefault(key.lower(), value)
    return facts


def _first_label(target: Any) -> str:
    """An instance's own name: its first label, which may hold spaces and dots."""
    return cast("bytes", target.labels[0]).decode("utf-8", "replace")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _joined(host: str, port: int) -> str:
    where = f"[{host}]" if ":" in host else host
    return where if port == 53 else f"{where}:{port}"


def _address(text: str) -> tuple[str, int]:
    """An IP address and a port, 53 unless one is given."""
    host, port = text.strip(), "53"
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    if not _is_address(host) or not port.isdigit() or not 0 < int(port) < 65536:
        fix = "Write for example 127.0.0.1 or 127.0.0.1:8600."
        raise ConfigError("dns: is no address of a name server.", key="nameserver", fix=fix)
    return host, int(port)
