"""A stdio server of the handshake era, written by hand, that can misbehave. Arguments name the misbehaviour.

    pages       two pages of tools
    loop        a second page that points to itself
    restless    says after every listing that it has changed; its tool's title counts them
    broken      tools/list is an error the first time
    silent      never answers server/discover (some servers do not)
    stubborn    ignores the end of stdin and SIGTERM
    noise       prints a line that is no message before every message
    badcall     its answers to tools/call are no tool results
    resources   has a resource, `note://1`, and tells of its changes; `mute` refuses to

Its tools: `grow` adds one, `touch` changes the resource, `flood` prints `lines` to the wrong place, `wait`
makes the file `mark` and never answers, `crash` says `text` on stderr and dies; any other answers its `text`,
and then dies if told to `die`.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

how = set(sys.argv[1:])
listings = []
extra = []
subscribed = []
NO_ANSWER = object()


def say(message) -> None:
    if "noise" in how:
        print("[info] about to answer", flush=True)
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def tool(name: str) -> dict:
    title = {"title": str(len(listings))} if "restless" in how else {}
    return {"name": name, "inputSchema": {"type": "object"}, **title}


def tools(cursor):
    listings.append(cursor)
    if "broken" in how and len(listings) == 1:
        return None
    if "pages" in how or "loop" in how:
        if cursor is None:
            return {"tools": [tool("first")], "nextCursor": "two"}
        return {"tools": [tool("second")], **({"nextCursor": "two"} if "loop" in how else {})}
    return {"tools": [tool("first"), *map(tool, extra)]}


def called(name: str, arguments: dict):
    if name == "grow":
        extra.append("grown")
        say({"method": "notifications/tools/list_changed"})
    if name == "touch" and subscribed:
        say({"method": "notifications/resources/updated", "params": {"uri": "note://1"}})
    if name == "flood":
        for n in range(arguments["lines"]):
            print(f'{{"level": "debug", "line": {n}}}')
    if name == "wait":
        Path(arguments["mark"]).touch()
        return NO_ANSWER
    if name == "crash":
        print(arguments["text"], file=sys.stderr, flush=True)
        os._exit(3)
    text = arguments.get("text", "ok")
    return {"content": [{"type": "text", "text": text}]} if "badcall" not in how else {"content": 7}


def about_resources(method: str, params: dict):
    if method == "resources/list":
        return {"resources": [{"uri": "note://1", "name": "one"}]}
    if method == "resources/subscribe" and "mute" not in how:
        subscribed.append(params["uri"])
        return {}
    if method == "resources/unsubscribe":
        subscribed.remove(params["uri"])
        return {}
    return {"resourceTemplates": []} if method == "resources/templates/list" else None


def handshake() -> dict:
    return {
        "protocolVersion": "2025-06-18",
        "capabilities": {
            "tools": {"listChanged": True},
            **({"resources": {"subscribe": True}} if "resources" in how else {}),
        },
        "serverInfo": {"name": "old", "version": "0.9"},
    }


def answer(method: str, params: dict):
    if method in {"initialize", "ping"}:
        return handshake() if method == "initialize" else {}
    if method == "server/discover" and "silent" in how:
        return NO_ANSWER
    if method == "tools/list":
        return tools(params.get("cursor"))
    if method.startswith("resources/") and "resources" in how:
        return about_resources(method, params)
    if method == "tools/call":
        return called(params["name"], params.get("arguments", {}))
    if method.endswith("/list"):
        print(f"asked for {method} although there are none", file=sys.stderr, flush=True)
    return None


if "stubborn" in how:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request:
        continue
    method, params = request["method"], request.get("params", {})
    result = answer(method, params)
    if result is None:
        say({"id": request["id"], "error": {"code": -32601, "message": f"no {method} here"}})
    elif result is not NO_ANSWER:
        say({"id": request["id"], "result": result})
    if method == "tools/list" and "restless" in how:
        say({"method": "notifications/tools/list_changed"})
    if method == "tools/call" and params.get("arguments", {}).get("die"):
        os._exit(0)
if "stubborn" in how:
    time.sleep(600)
