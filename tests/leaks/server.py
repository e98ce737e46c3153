"""A server that cannot keep a secret: `server.py stdio`, or `server.py http PORT`.

Whatever it was given, in its arguments, its environment or a request's headers and URL, it says again: in
errors, in logs, on standard error, in HTTP headers and bodies. Over HTTP it prints `ready` once it takes
connections; `/denied` answers 401, `/broken` 500, and `/moved` sends everybody to what ELSEWHERE says.
"""

import contextvars
import os
import sys

from mcp import MCPError
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("chatty", version="1.0", log_level="CRITICAL")
request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="")
STATUS = {"/denied": 401, "/broken": 500, "/moved": 307}


def everything() -> str:
    """All it knows of the client's secrets."""
    planted = {name: value for name, value in os.environ.items() if name.startswith("PLANTED")}
    return f"argv={sys.argv[1:]} environ={planted} request={request.get()}"


@server.tool()
def know() -> str:
    """Give it away as an answer, so that a test can see what it was given."""
    return everything()


@server.tool()
def fail() -> str:
    """Fail, and say with what."""
    raise ToolError(f"not with {everything()}")


@server.tool()
def refuse() -> str:
    """Answer with an error of the protocol."""
    raise MCPError(-32000, f"refused: {everything()}", data={"with": everything()})


@server.tool()
async def gossip(ctx: Context) -> str:
    """Tell the client's log, and the standard error."""
    await ctx.info(f"I was started with {everything()}")
    print(f"stderr: {everything()}", file=sys.stderr, flush=True)
    return "told"


async def answer(scope, receive, send) -> None:
    """The MCP endpoints at /mcp and /sse, and beside them others that fail with what they were sent."""
    if scope["type"] == "http":
        headers = " ".join(f"{name.decode()}={value.decode('latin-1')}" for name, value in scope["headers"])
        request.set(f"{scope['path']}?{scope['query_string'].decode()} {headers}")
        if scope["path"] in STATUS:
            await complain(STATUS[scope["path"]], send)
            return
    app = events if scope.get("path", "").startswith(("/sse", "/messages")) else inner
    await app(scope, receive, send)


async def complain(status: int, send) -> None:
    """Answer with everything, in a header and in the body."""
    said = request.get().encode()
    headers = [(b"content-type", b"text/plain"), (b"x-said", said)]
    if status == 307:
        headers.append((b"location", os.environ["ELSEWHERE"].encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": said})


def serve(port: int) -> None:
    import uvicorn

    class Announcing(uvicorn.Server):
        async def startup(self, sockets=None) -> None:
            await super().startup(sockets=sockets)
            print("ready", flush=True)

    Announcing(uvicorn.Config(answer, host="127.0.0.1", port=port, log_level="critical")).run()


if __name__ == "__main__":
    if sys.argv[1] == "http":
        inner, events = server.streamable_http_app(), server.sse_app()
        serve(int(sys.argv[2]))
    else:
        print(f"started with {everything()}", file=sys.stderr, flush=True)
        server.run("stdio")
