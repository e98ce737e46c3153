"""The command line: `mcpnb demo | lab | status | call`.

It owns arguments, exit statuses and what a terminal shows. What a command does, other rooms do.

Exit status: 0 when everything asked for worked, 1 when something did not, 2 when it could not be asked. For
`status` that is: 0 every server takes calls, 1 at least one does not, 2 the configuration cannot work.
Servers that the configuration disables are listed and do not count.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import math
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mcpnb.errors import ArgumentError, ConfigError, McpnbError, ToolNotFound
from mcpnb.model import USABLE_STATES

if TYPE_CHECKING:
    from mcpnb.auth import LoginRequest, LoginRow
    from mcpnb.client import MultiServerClient
    from mcpnb.model import ServerStatus

__all__ = ["main"]

OK, FAILED, MISUSED = 0, 1, 2
INTERRUPTED = 130
"""What shells expect after Ctrl-C."""

FIRST_NOTEBOOK = "00_start_here.ipynb"
WORKING_FOLDER = "mcpnb-notebooks"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line. Returns the exit status."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot write ° must not end the demo
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            return options.run(options)
    except (ConfigError, ToolNotFound, ArgumentError, _Misuse) as error:
        return _complain(error, MISUSED)
    except McpnbError as error:
        return _complain(error, FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # `mcpnb status mcp.json | head -1`: whoever reads has read enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _warn(message: Warning | str, category: type[Warning], *where: object, **more: object) -> None:
    """A warning in one line: where in our code it was found is of no use on a command line."""
    del category, where, more
    print(f"mcpnb: warning: {message}", file=sys.stderr)


class _Misuse(Exception):
    """A command line that asks for something impossible."""


def _complain(error: Exception, status: int) -> int:
    print(f"mcpnb: {error}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mcpnb", description="Explore many MCP servers at once.")
    parser.add_argument("--version", action="version", version=f"mcpnb {version('mcpnb')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (_add_demo, _add_lab, _add_status, _add_call):
        add(commands)
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], about: str
) -> argparse.ArgumentParser:
    parser = cast("argparse.ArgumentParser", commands.add_parser(name, help=about, description=f"{about}."))
    parser.set_defaults(run=run)
    return parser


# -- demo


def _add_demo(commands: Any) -> None:
    about = "start three local servers, call them, kill one, compare four strategies"
    parser = _command(commands, "demo", _demo, about)
    parser.add_argument("--seed", type=int, default=0, help="makes chance repeatable (default: 0)")
    parser.add_argument(
        "--out", type=Path, default=Path("mcpnb-demo.png"), metavar="PNG", help="default: mcpnb-demo.png"
    )


def _demo(options: argparse.Namespace) -> int:
    out = cast("Path", options.out)
    if not out.parent.is_dir() or out.is_dir():
        raise _Misuse(
            f"--out {out}: there is no folder {out.parent}"
            if not out.is_dir()
            else f"--out {out} is a folder"
        )
    from mcpnb.lab.demo import Demo  # noqa: PLC0415 - the other commands do not need it

    def say(text: str) -> None:
        print(text, flush=True)

    return OK if Demo(out=out, seed=options.seed, say=say).run() else FAILED


# -- lab


def _add_lab(commands: Any) -> None:
    parser = _command(commands, "lab", _lab, "open JupyterLab on the first notebook")
    parser.add_argument("--port", type=int, default=None, help="port for JupyterLab")
    parser.add_argument("--no-browser", action="store_true", help="print the address instead of opening it")


def _lab(options: argparse.Namespace) -> int:
    if importlib.util.find_spec("jupyterlab") is None:
        raise _Misuse("JupyterLab is not installed here. Install it with: pip install 'mcpnb[lab]'")
    folder = prepare_notebooks(_packaged_notebooks(), Path.cwd())
    print(f"notebooks: {folder}", flush=True)
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}"]
    command.append(f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}")
    if options.port is not None:
        command.append(f"--port={options.port}")
    if options.no_browser:
        command.append("--no-browser")
    return _become(command)


def _become(command: list[str]) -> int:
    """Run a command in this one's place, so that Ctrl-C and other signals reach it directly."""
    if os.name == "posix":
        os.execv(command[0], command)  # noqa: S606 - a list, no shell
    return subprocess.call(command)  # noqa: S603 - a list, no shell


def _packaged_notebooks() -> Path:
    """Where the notebooks lie: in the wheel, or beside the package in a checkout.

    Raises:
        McpnbError: They are in neither place.
    """
    package = Path(__file__).parent
    for folder in (package / "_notebooks", package.parent / "notebooks"):
        if (folder / FIRST_NOTEBOOK).is_file():
            return folder
    raise McpnbError("this installation of mcpnb has lost its notebooks; install it again")


def prepare_notebooks(source: Path, cwd: Path) -> Path:
    """The folder to work in: the checkout's own notebooks when started there, else copies below `cwd`.

    A copy that is there already is left as it is: it may hold somebody's work.
    """
    if source == cwd / "notebooks":
        return source
    folder = cwd / WORKING_FOLDER
    folder.mkdir(exist_ok=True)
    for notebook in sorted(source.glob("*.ipynb")):
        target = folder / notebook.name
        if not target.exists():
            shutil.copyfile(notebook, target)
    return folder


# -- status


def _add_status(commands: Any) -> None:
    parser = _command(
        commands, "status", _status, "connect to the servers of a configuration and show their state"
    )
    _add_source(parser)
    parser.add_argument("--json", action="store_true", help="machine-readable output: a list of objects")
    parser.epilog = (
        "Exit status: 0 when every server takes calls, 1 when one does not, 2 when the configuration cannot "
        "work. Servers that the configuration disables do not count."
    )


def _add_source(parser: argparse.ArgumentParser) -> None:
    about = "an MCP configuration (JSON), the URL of a server, or - for a configuration on standard input"
    parser.add_argument("file", metavar="FILE", help=about)
    parser.add_argument(
        "--timeout", type=seconds, default=15.0, help="seconds to wait for a server (default: 15)"
    )


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be greater than 0")
    return value


STATUS_KEYS = (
    "server", "state", "transport", "protocol", "version", "region", "tags", "weight", "priority", "tools",
    "resources", "prompts", "in_flight", "queued", "calls", "errors", "error_rate", "p50_ms", "p95_ms",
    "p99_ms", "breaker", "connected_at", "last_error",
)  # fmt: skip
"""The keys of a row of `status --json`, all of them in every row; the columns of `fleet.servers`."""


def _status(options: argparse.Namespace) -> int:
    # It looks and changes nothing: nobody is asked to log in.
    disabled, statuses, logins = _connected(options, _statuses, on_login=_decline)
    if options.json:
        print(json.dumps([_as_json(status) for status in statuses], indent=2))
    else:
        _print_statuses(statuses)
        _print_logins(logins)
    up = [status.state in USABLE_STATES for status in statuses if status.server not in disabled]
    return OK if all(up) else FAILED


def _decline(request: LoginRequest) -> None:
    request.cancel()


async def _statuses(client: MultiServerClient) -> tuple[set[str], list[ServerStatus], list[LoginRow]]:
    disabled = {config.name for config in client.configs if config.disabled}
    return disabled, client.servers(), client.logins()


def _print_statuses(statuses: Sequence[ServerStatus]) -> None:
    from mcpnb.lab.terminal import table, troubles  # noqa: PLC0415 - as below

    heads = ["server", "state", "transport", "protocol", "version", "tools", "resources", "prompts"]
    rows = [[getattr(status, name) for name in heads] for status in statuses]
    print(table(heads, rows))
    if trouble := troubles(statuses):
        print(f"\n{trouble}")


def _print_logins(rows: Sequence[LoginRow]) -> None:
    """Who is logged in, where servers have OAuth."""
    from mcpnb.lab.terminal import table  # noqa: PLC0415 - as below
    from mcpnb.notebook.login.words import login_words, oauth  # noqa: PLC0415 - as below

    now = time.time()
    told = [[row.server, login_words(row, now), row.issuer or ""] for row in oauth(rows)]
    if told:
        print(f"\n{table(['server', 'login', 'at'], told)}")


def _as_json(status: ServerStatus) -> dict[str, object]:
    row = {key: getattr(status, key) for key in STATUS_KEYS}
    if status.connected_at is not None:
        row["connected_at"] = datetime.fromtimestamp(status.connected_at, UTC).isoformat()
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()
    }


# -- call


def _add_call(commands: Any) -> None:
    parser = _command(commands, "call", _call, "call a tool on the server that routing picks")
    _add_source(parser)
    parser.add_argument("tool", metavar="TOOL", help="its name, or server:name")
    parser.add_argument("arguments", metavar="KEY=VALUE", nargs="*", help="the tool's arguments")
    parser.add_argument("--explain", action="store_true", help="say on standard error why that server")


def _call(options: argparse.Namespace) -> int:
    pairs = [_pair(text) for text in options.arguments]
    return _connected(options, lambda client: _call_on(client, options, pairs))


async def _call_on(
    client: MultiServerClient, options: argparse.Namespace, pairs: list[tuple[str, str]]
) -> int:
    schema = client.catalog.resolve(options.tool).entry.input_schema
    arguments = {key: _value(text, schema, key) for key, text in pairs}
    result = await client.call_tool(options.tool, arguments)
    value = result.value
    print(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))
    print(
        str(result.explain()) if options.explain else f"{result.server}, {result.latency * 1000:.0f} ms",
        file=sys.stderr,
    )
    return OK


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise _Misuse(f"{text!r} is not KEY=VALUE")
    return key, value


def _value(text: str, schema: Any, key: str) -> object:
    """What a word of the command line means: text where the schema wants text, else JSON if it is any."""
    wanted = schema.get("properties", {}).get(key, {})
    if wanted.get("type") == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text  # the schema's check says what is wrong with it


def _connected(
    options: argparse.Namespace,
    use: Callable[[MultiServerClient], Coroutine[Any, Any, Any]],
    **more: Any,
) -> Any:
    """Connect to the servers that the options name, use them, and leave nothing behind."""
    import anyio  # noqa: PLC0415 - the SDK takes a second to import, `--help` does not wait for it

    from mcpnb.client import MultiServerClient  # noqa: PLC0415 - as above
    from mcpnb.config import ask_on_stderr  # noqa: PLC0415 - as above

    source = _standard_input() if options.file == "-" else options.file

    async def run() -> Any:
        client = MultiServerClient(source, connect_timeout=options.timeout, ask=ask_on_stderr, **more)
        async with client:
            return await use(client)

    return anyio.run(run)


def _standard_input() -> object:
    from mcpnb.config import parse  # noqa: PLC0415 - `--help` does not need it

    return parse(sys.stdin.read())


if __name__ == "__main__":
    sys.exit(main())
