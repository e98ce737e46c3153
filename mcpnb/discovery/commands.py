"""What a registry's entry would run or reach: packages → commands, remotes → addresses.

It owns the launchers (npx, uvx, docker), how their command lines are written, and the words for what cannot
be used. It runs nothing and asks nobody; `inputs` brings the values.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from mcpnb.config import ServerConfig
from mcpnb.errors import ConfigError

from .inputs import Inputs
from .server_json import Entry

__all__ = ["Way", "command_of", "remote_of", "ways"]

Prefer = Literal["remote", "package"]
Table = Mapping[str, Any]

_LAUNCHERS: Mapping[str, tuple[str, ...]] = {
    "npm": ("npx", "bunx"), "pypi": ("uvx",), "oci": ("docker", "podman"),
}  # fmt: skip
"""Kind of package → who can run it; the first by default, another where the package hints at it."""
_HOME = {"npm": "https://registry.npmjs.org", "pypi": "https://pypi.org"}
"""Where a launcher looks by itself."""
_NOT_RUN = {
    "mcpb": "is a bundle for desktop programs; unpack it and connect to the command it holds",
    "nuget": "is a NuGet package; install it and connect to its command",
    "cargo": "is a Rust crate; install it and connect to its command",
}
_TRANSPORTS = {"streamable-http": "http", "sse": "sse"}
_NAME = re.compile(r"[A-Za-z0-9@~_][A-Za-z0-9@~_./:+-]*")
"""Of an npm or PyPI package, or a container: no option, no second word, no letter that looks like another."""
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!:-]*")
_BY_A_SHELL = os.name == "nt"
"""There npx is a batch file: whatever it is given, cmd.exe reads first."""
_ACTED_ON = frozenset('"&|<>^%!\r\n')
_SAYS_SOMETHING = ("value", "default", "valueHint", "description", "placeholder", "choices", "isRequired")


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a server: a package to run, or an address to reach."""

    kind: Literal["package", "remote"]
    table: Table
    launcher: str = ""


def ways(entry: Entry, prefer: Prefer, has: Callable[[str], bool]) -> tuple[list[Way], list[str]]:
    """The ways to a server that could be gone here, best first; and why the others could not.

    Args:
        entry: The server.
        prefer: Which kind goes first: running something here, or sending data elsewhere.
        has: Whether a launcher is installed.
    """
    good: list[Way] = []
    bad: list[str] = []
    for way, problem in (*map(_remote, entry.remotes), *(_package(table, has) for table in entry.packages)):
        if problem:
            bad.append(problem)
        else:
            good.append(way)
    if not entry.remotes and not entry.packages:
        bad.append("is listed with neither packages nor remotes: there is nothing to run or to reach")
    return sorted(good, key=lambda way: way.kind != prefer), bad


def _remote(table: Table) -> tuple[Way, str]:
    kind = str(table.get("type"))
    problem = "" if kind in _TRANSPORTS else f"its remote of type {kind} is of no kind that mcpnb knows"
    return Way("remote", table), problem


def _package(table: Table, has: Callable[[str], bool]) -> tuple[Way, str]:
    kind = str(table.get("registryType"))
    what = f"its package {table.get('identifier')}"
    if kind not in _LAUNCHERS:
        return Way(
            "package", table
        ), f"{what} {_NOT_RUN.get(kind, f'is of a kind ({kind}) that is not run here')}"
    transport: Table = table.get("transport") or {}
    if transport.get("type", "stdio") != "stdio":
        url = transport.get("url", "its URL")
        return Way("package", table), f"{what} serves HTTP by itself: start it, then connect to {url}"
    hint = table.get("runtimeHint")
    launcher = str(hint) if hint in _LAUNCHERS[kind] else _LAUNCHERS[kind][0]
    missing = "" if has(launcher) else f"{what} needs {launcher}, which is not installed"
    return Way("package", table, launcher), missing


async def remote_of(entry: Entry, way: Way, inputs: Inputs) -> ServerConfig:
    """The address of a remote, with its variables and headers filled in.

    Raises:
        ConfigError: A value is missing, or this makes no address.
    """
    table = way.table
    url = await inputs.text({"value": table.get("url", ""), "variables": table.get("variables")}, "url")
    if left := re.search(r"\{[^{}]*\}", url or ""):
        raise ConfigError(f"has a variable that is not declared: {left[0]}.", server=entry.name, key="url")
    headers = await _named(table.get("headers"), inputs)
    transport = _TRANSPORTS[str(table["type"])]
    return _config(entry, inputs, transport=transport, url=url, headers=headers)


async def command_of(entry: Entry, way: Way, inputs: Inputs) -> ServerConfig:
    """The command of a package, with its arguments and environment filled in.

    Raises:
        ConfigError: A value is missing, or what the package says makes no command.
    """
    table = way.table
    env = await _named(table.get("environmentVariables"), inputs)
    before = await _arguments(table.get("runtimeArguments"), inputs)
    after = await _arguments(table.get("packageArguments"), inputs)
    word = _identifier(table, entry)
    if table["registryType"] == "oci":
        # The values go to docker's own environment: a secret must not stand in a list of processes.
        names = [part for name in env for part in ("-e", name)]
        args = ["run", "-i", "--rm", *before, *names, word, *after]
    else:
        args = [*_launching(table, way.launcher, before), *before, word, *after]
    if _BY_A_SHELL and any(_ACTED_ON.intersection(word) for word in args):
        fix = "Write it into a file, by another command."
        raise ConfigError("has an argument that a shell of Windows would act on.", server=entry.name, fix=fix)
    return _config(entry, inputs, transport="stdio", command=way.launcher, args=tuple(args), env=env)


def _config(entry: Entry, inputs: Inputs, **fields: Any) -> ServerConfig:
    name = entry.name.rpartition("/")[2]
    return ServerConfig(name=name, version=entry.version or None, hidden=frozenset(inputs.hidden), **fields)


def _identifier(table: Table, entry: Entry) -> str:
    """What is run, at its exact version."""
    identifier, version = str(table.get("identifier", "")), str(table.get("version") or "")
    if not _NAME.fullmatch(identifier):
        raise ConfigError("is no name of a package.", server=entry.name, key="identifier")
    if version and not _VERSION.fullmatch(version):
        raise ConfigError("is no version of a package.", server=entry.name, key="version")
    if table["registryType"] != "oci":
        return f"{identifier}@{version}" if version else identifier
    image = _image(identifier, table)
    tagged = "@" in image or ":" in image.rpartition("/")[2]
    return image if tagged or not version else f"{image}:{version}"


def _image(identifier: str, table: Table) -> str:
    """A container's whole name. Older entries have its registry beside it; with none it is Docker Hub."""
    first, slash, _ = identifier.partition("/")
    base = urlsplit(str(table.get("registryBaseUrl") or "")).netloc
    whole = slash and (first == "localhost" or "." in first or ":" in first)
    return identifier if whole or not base else f"{base}/{identifier}"


def _launching(table: Table, launcher: str, given: Sequence[str]) -> Iterator[str]:
    """What a launcher needs besides: no question that nobody would see, and the registry if it is another."""
    if launcher == "npx" and not {"-y", "--yes"} & set(given):
        yield "-y"
    kind, base = str(table["registryType"]), str(table.get("registryBaseUrl") or "").rstrip("/")
    if base and base != _HOME[kind]:
        yield f"--registry={base}" if kind == "npm" else f"--default-index={base}/simple"


async def _named(items: Sequence[Table] | None, inputs: Inputs) -> dict[str, str]:
    """Headers or environment variables; those without a value that need none are left out."""
    found: dict[str, str] = {}
    for item in items or ():
        name = str(item.get("name", ""))
        text = await inputs.text(item, name)
        if text is not None:
            found[name] = text
    return found


async def _arguments(items: Sequence[Table] | None, inputs: Inputs) -> list[str]:
    """The words of positional and named arguments, in their order."""
    words: list[str] = []
    for number, item in enumerate(items or (), 1):
        name = str(item.get("name") or item.get("valueHint") or f"argument {number}")
        if item.get("type") == "named" and not any(key in item for key in _SAYS_SOMETHING):
            words.append(name)  # a flag
            continue
        for text in await inputs.texts(item, name):
            words += _worded(item, name, text)
    return words


def _worded(item: Table, name: str, text: str) -> list[str]:
    if item.get("type") != "named":
        return [text]
    if item.get("format") == "boolean":
        return [name] if text == "true" else []
    return [name, text]
