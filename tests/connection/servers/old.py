"""A stdio server of the handshake era, written by hand, that can misbehave. Arguments name the misbehaviour.

    pages       two pages of tools
    loop        a second page that points to itself
    broken      tools/list is an error the first time
    silent      never answers server/discover (some servers do not)
    stubborn    ignores the end of stdin and SIGTERM
    noise       prints a line that is no message before every message
    badcall     its answers to tools/call are no tool results
"""

import json
import signal
import sys
import time

how = set(sys.argv[1:])
listed = 0
extra = []


def say(message) -> None:
    if "noise" in how:
        print("[info] about to answer", flush=True)
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def tool(name: str) -> dict:
    return {"name": name, "inputSchema": {"type": "object"}}


def tools(cursor) -> dict:
    global listed
    listed += 1
    if "pages" in how or "loop" in how:
        if cursor is None:
            return {"tools": [tool("first")], "nextCursor": "two"}
        return {"tools": [tool("second")], **({"nextCursor": "two"} if "loop" in how else {})}
    return {"tools": [tool("first"), *map(tool, extra)]}


def answer(method: str, params: dict):
    if method == "initialize":
        return {
            "protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "old", "version": "0.9"},
        }  # fmt: skip
    if method == "ping":
        return {}
    if method == "tools/list":
        return tools(params.get("cursor"))
    if method == "tools/call":
        if params["name"] == "grow":
            extra.append("grown")
            say({"method": "notifications/tools/list_changed"})
        for n in range(params.get("arguments", {}).get("lines", 0)):
            print(f'{{"level": "debug", "line": {n}}}')
        return {"content": [{"type": "text", "text": "ok"}]} if "badcall" not in how else {"content": 7}
    return None


if "stubborn" in how:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
for line in sys.stdin:
    request = json.loads(line)
    method = request.get("method", "")
    if "id" not in request or (method == "server/discover" and "silent" in how):
        continue
    if method in {"resources/list", "prompts/list", "resources/templates/list"}:
        print(f"asked for {method} although there are none", file=sys.stderr, flush=True)
    result = answer(method, request.get("params", {}))
    if method == "tools/list" and "broken" in how and listed == 1:
        result = None
    if result is None:
        say({"id": request["id"], "error": {"code": -32601, "message": f"no {method} here"}})
    else:
        say({"id": request["id"], "result": result})
if "stubborn" in how:
    time.sleep(600)
