"""The samples served as an MCP Registry serves them: v0.1 and v0, pages, search, names, versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

SAMPLES = Path(__file__).parent / "samples"
META = "io.modelcontextprotocol.registry/official"


def sampled() -> list[dict[str, Any]]:
    pages = (json.loads((SAMPLES / f"list-page{n}.json").read_text()) for n in (1, 2))
    return [entry for page in pages for entry in page["servers"]]


class RegistryStandIn:
    def __init__(
        self, *, apis: tuple[str, ...] = ("v0.1", "v0"), by_name: bool = True, page: int = 3
    ) -> None:
        self.entries = sampled()
        self.requests: list[str] = []
        self._page, self._not_found = page, json.loads((SAMPLES / "not-found.json").read_text())
        routes = []
        for api in apis:
            routes.append(Route(f"/{api}/servers", self._list))
            if by_name:
                routes.append(Route(f"/{api}/servers/{{name:path}}/versions/{{version}}", self._one))
                routes.append(Route(f"/{api}/servers/{{name:path}}/versions", self._versions))
        self.app = Starlette(routes=routes, exception_handlers={404: self._missing})

    async def _missing(self, request: Request, error: Exception) -> Response:
        return JSONResponse(self._not_found, 404)

    def _note(self, request: Request) -> None:
        self.requests.append(f"{request.url.path}?{request.url.query}".rstrip("?"))

    async def _list(self, request: Request) -> Response:
        self._note(request)
        asked = request.query_params
        entries = [e for e in self.entries if asked.get("search", "") in e["server"]["name"]]
        if asked.get("version") == "latest":
            entries = [e for e in entries if e["_meta"][META]["isLatest"]]
        start = int(asked.get("cursor", "0"))
        page = entries[start : start + min(self._page, int(asked.get("limit", "30")))]
        metadata: dict[str, Any] = {"count": len(page)}
        if start + len(page) < len(entries):
            metadata["nextCursor"] = str(start + len(page))
        return JSONResponse({"servers": page, "metadata": metadata})

    async def _one(self, request: Request) -> Response:
        self._note(request)
        name, version = request.path_params["name"], request.path_params["version"]
        for entry in self.entries:
            latest = version == "latest" and entry["_meta"][META]["isLatest"]
            if entry["server"]["name"] == name and (latest or entry["server"]["version"] == version):
                return JSONResponse(entry)
        return JSONResponse(self._not_found, 404)

    async def _versions(self, request: Request) -> Response:
        self._note(request)
        found = [e for e in self.entries if e["server"]["name"] == request.path_params["name"]]
        if not found:
            return JSONResponse(self._not_found, 404)
        return JSONResponse({"servers": found, "metadata": {"count": len(found)}})
