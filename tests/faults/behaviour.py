"""What the fault servers answer, as plain JSON, whatever carries it. It imports nothing that takes time.

The test names the present fault in a control file, which is read again for every request: so a fault begins
and ends without the server being started anew. Beside it the server keeps two more files: `.pid`, and `.ran`
with a line for every call that was executed.
"""

import json
import os
import threading
from pathlib import Path

OLD, NEW = "2025-11-25", "2026-07-28"

METHOD_NOT_FOUND = -32601
INTERNAL = -32603

PAGES = 20
"""Of the fault `many_tools`, which says how many these are."""

TOOLS = 4
"""How many it has when nothing is wrong."""

_SERVER = {"name": "faulty", "version": "1.0"}
_ANY = {"type": "object"}


class Refused(Exception):
    """An error answer of the protocol."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Never(Exception):
    """This request is not answered."""


class Behaviour:
    """One server: its answers, and the traces it leaves for the test."""

    def __init__(self, control: Path, era: str) -> None:
        self.era, self._control = era, control
        self._ran = control.with_suffix(".ran")
        self._dying = False

    @property
    def fault(self) -> str:
        """The fault that the test wants now; empty for none."""
        return self._words()[0]

    @property
    def amount(self) -> float:
        """The number that stands behind the fault's name."""
        return float(self._words()[1])

    def _words(self) -> list[str]:
        try:
            return [*self._control.read_text().split(), "", "0"][:2]
        except FileNotFoundError:
            return ["", "0"]

    def begin(self) -> None:
        """Leave the number of this process where the test finds it."""
        written = self._control.with_suffix(".new")
        written.write_text(str(os.getpid()))
        written.replace(self._control.with_suffix(".pid"))

    def ran(self, what: str) -> None:
        """Note that a call is being executed."""
        with self._ran.open("a") as log:
            log.write(what + "\n")

    # -- the protocol --------------------------------------------------------------------------------------

    def result(self, method: str, params: dict) -> dict:
        """The result of a request.

        Raises:
            Refused: It is an error instead.
            Never: It is nothing at all.
        """
        if method == "tools/list":
            return self._stamped(self.tools(params.get("cursor")), listing=True)
        if method == "tools/call":
            return self._stamped(self.call(params["name"], params.get("arguments") or {}))
        if method == "ping" and self.era == OLD:
            return {}
        if method == "initialize" and self.era == OLD:
            return {"protocolVersion": OLD, "capabilities": {"tools": {}}, "serverInfo": _SERVER}
        if method == "server/discover" and self.era == NEW:
            return self._stamped({"supportedVersions": [NEW], "capabilities": {"tools": {}}}, listing=True)
        raise Refused(METHOD_NOT_FOUND, f"there is no {method} here")

    def _stamped(self, result: dict, *, listing: bool = False) -> dict:
        if self.era == OLD:
            return result
        fresh = {"ttlMs": 0, "cacheScope": "private"} if listing else {}
        meta = {"io.modelcontextprotocol/serverInfo": _SERVER}
        return {**result, **fresh, "resultType": "complete", "_meta": meta}

    def tools(self, cursor: str | None) -> dict:
        """One page of the listing."""
        fault = self.fault
        if fault == "flap" and not self._dying:
            # Only now, however slow this machine is: a server that dies before it was reached does not flap.
            self._dying = True
            threading.Timer(self.amount, os._exit, (1,)).start()
        tools = [tool("echo"), tool("work"), tool("big"), tool("look", annotations={"readOnlyHint": True})]
        if fault == "invalid_schema":
            tools.append(tool("odd", {"type": "object", "properties": {"x": {"type": "objekt"}}}))
        if fault == "unreadable_listing":
            tools.append(tool("odd", "any arguments will do"))
        if fault == "page_2_fails":
            if cursor:
                raise Refused(INTERNAL, "page 2 is lost")
            return {"tools": tools, "nextCursor": "2"}
        if fault == "many_tools":
            page, size = int(cursor or 0), int(self.amount) // PAGES
            more = [tool(f"tool_{page * size + n}") for n in range(size)]
            last = page == PAGES - 1
            tools = more if page else tools + more
            return {"tools": tools} if last else {"tools": tools, "nextCursor": str(page + 1)}
        return {"tools": tools}

    def call(self, name: str, arguments: dict) -> dict:
        """Execute a tool."""
        self.ran(str(arguments.get("id", name)))
        if name == "work":
            raise Never
        text = "x" * int(arguments["bytes"]) if name == "big" else str(arguments.get("text", ""))
        return {"content": [{"type": "text", "text": text}], "isError": bool(arguments.get("refuse"))}


def tool(name: str, schema: object = _ANY, **more: object) -> dict:
    """A tool of a listing."""
    return {"name": name, "inputSchema": schema, **more}


def answer(behaviour: Behaviour, request: dict) -> dict | None:
    """The whole JSON-RPC answer to a request; None when there is none."""
    frame = {"jsonrpc": "2.0", "id": request["id"]}
    try:
        return {**frame, "result": behaviour.result(request["method"], request.get("params") or {})}
    except Refused as refusal:
        return {**frame, "error": {"code": refusal.code, "message": refusal.message}}
    except Never:
        return None


def line(message: dict) -> str:
    """A message as one line."""
    return json.dumps(message, separators=(",", ":"))
