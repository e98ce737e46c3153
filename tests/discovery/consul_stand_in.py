"""A stand-in for the part of Consul's HTTP API that is used here. Consul itself is in no package registry.

As the real one it answers blocking queries with an index that grows with every change of the catalog, at
once when the index asked for is not the present one any more; it filters by health; a service registered with
a TTL check is passing until nobody has updated the check for that long. Time is a test's: `mark` says when a
TTL is over.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


class ConsulStandIn:
    def __init__(self) -> None:
        self.url = ""
        self.index = 10
        self.services: dict[str, dict[str, Any]] = {}
        self.passing: dict[str, bool] = {}
        self.queries: list[dict[str, str]] = []
        self.tokens: list[str | None] = []
        self.renewals = 0
        self.acl: str | None = None
        self._changed = asyncio.Event()
        self.heard = asyncio.Event()
        """Set with every request."""
        self.app = Starlette(
            routes=[
                Route("/v1/health/service/{name}", self._health),
                Route("/v1/catalog/services", self._names),
                Route("/v1/agent/service/register", self._register, methods=["PUT"]),
                Route("/v1/agent/service/deregister/{name}", self._deregister, methods=["PUT"]),
                Route("/v1/agent/check/pass/{name}", self._pass, methods=["PUT"]),
            ]
        )

    # what a test does

    def add(
        self, name: str, port: int, *, service: str = "weather", passing: bool = True, **more: Any
    ) -> None:
        self.services[name] = {
            "ID": name, "Service": service, "Address": "127.0.0.1", "Port": port, "Meta": {}, "Tags": [],
            "Weights": {"Passing": 1, "Warning": 1}, **more,
        }  # fmt: skip
        self.passing[name] = passing
        self.move()

    def mark(self, name: str, *, passing: bool) -> None:
        self.passing[name] = passing
        self.move()

    def drop(self, name: str) -> None:
        del self.services[name], self.passing[name]
        self.move()

    def move(self, to: int | None = None) -> None:
        """The catalog changed; `to` an index, as after a restore."""
        self.index = self.index + 1 if to is None else to
        self.wake()

    def wake(self) -> None:
        """Answer every query that waits."""
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()

    async def until_asked(self, times: int) -> None:
        async with asyncio.timeout(20):
            while len(self.queries) < times:
                self.heard.clear()
                await self.heard.wait()

    # what Consul does

    def _refused(self, request: Request) -> Response | None:
        self.tokens.append(request.headers.get("X-Consul-Token"))
        self.heard.set()
        if self.acl is not None and request.headers.get("X-Consul-Token") != self.acl:
            return PlainTextResponse("Permission denied", 403)
        return None

    async def _health(self, request: Request) -> Response:
        self.queries.append(dict(request.query_params))
        if refused := self._refused(request):
            return refused
        if int(request.query_params.get("index", "0")) == self.index:
            await self._changed.wait()
        entries = [
            {
                "Node": {"Node": "n1", "Address": "127.0.0.1", "Datacenter": "dc1"},
                "Service": service,
                "Checks": [{"Status": "passing" if self.passing[name] else "critical"}],
            }
            for name, service in self.services.items()
            if service["Service"] == request.path_params["name"]
            and (self.passing[name] or "passing" not in request.query_params)
        ]
        return JSONResponse(entries, headers={"X-Consul-Index": str(self.index)})

    async def _names(self, request: Request) -> Response:
        return self._refused(request) or JSONResponse(
            {s["Service"]: s["Tags"] for s in self.services.values()}
        )

    async def _register(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        body = await request.json()
        assert body["Check"]["TTL"].endswith("s")
        more = {key: body[key] for key in ("Address", "Meta") if key in body}
        self.add(body["ID"], body["Port"], service=body["Name"], **more)
        return Response()

    async def _deregister(self, request: Request) -> Response:
        if request.path_params["name"] not in self.services:
            return PlainTextResponse("Unknown service ID", 404)
        self.drop(request.path_params["name"])
        return Response()

    async def _pass(self, request: Request) -> Response:
        name = request.path_params["name"].removeprefix("service:")
        if name not in self.services:
            return PlainTextResponse("Unknown check ID", 404)
        self.renewals += 1
        self.heard.set()
        if not self.passing[name]:
            self.mark(name, passing=True)
        return Response()
