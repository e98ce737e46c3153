"""What servers are called when nobody has named them, and that no two are called the same.

Owns names only. A name is shown everywhere, so it is never made of anything that may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from mcpnb.errors import ConfigError

from . import checks
from .jsonc import JsonObject
from .keys import URL_KEYS
from .redact import MASK, arguments, shown_url
from .servers import ServerConfig

__all__ = [
    "name_of_entry",
    "name_of_object",
    "name_of_url",
    "named",
    "refuse_doubles",
    "refuse_repeated",
    "unique",
]

_LAUNCHERS = frozenset({"npx", "uvx", "bunx", "pipx", "uv", "node", "bun", "deno", "python", "py"})
_LAUNCHERS_VERBS = frozenset({"run", "exec", "x", "tool"})


def name_of_url(url: str) -> str:
    """The host, and the port where it is given."""
    netloc = "" if "${" in url else urlsplit(shown_url(url)).netloc
    return re.sub(r"[\[\]]", "", netloc).replace(":", "-") or "server"


def name_of_object(target: object) -> str:
    """What an in-process server calls itself, else its class."""
    name: object = getattr(target, "name", None)
    return name if isinstance(name, str) and name.strip() else type(target).__name__.lower()


def name_of_entry(entry: Mapping[str, object]) -> str:
    """The host of a URL, the program of a command, or what a launcher such as npx or python runs."""
    url = next((entry[key] for key in URL_KEYS if isinstance(entry.get(key), str)), None)
    if isinstance(url, str):
        return name_of_url(url)
    words: list[object] = []
    for key in ("command", "args"):
        value = entry.get(key)
        words += value if checks.is_sequence(value) else [value]
    return _name_of_command(arguments([word for word in words if isinstance(word, str)]))


def _name_of_command(words: Sequence[str]) -> str:
    plain = [word for word in words if MASK not in word and "$" not in word]
    if not plain or plain[0] != words[0]:
        return "server"
    program = _stem(plain[0])
    if re.sub(r"[\d.]+$", "", program) in _LAUNCHERS:
        program = _stem(_launched(plain[1:])) or program
    return program or "server"


def _launched(words: Sequence[str]) -> str:
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1].rpartition(".")[2]
    return next((word for word in words if not word.startswith("-") and word not in _LAUNCHERS_VERBS), "")


def _stem(word: str) -> str:
    """`@scope/package@1.2` → package, `dir/server.py` → server, `name==1.0` → name."""
    base = PurePosixPath(word.replace("\\", "/")).name
    base = re.split(r"==|(?<=.)@", base)[0]
    return re.sub(r"\.(py|js|mjs|cjs|ts|exe|cmd|sh)$", "", base)


def named(configs: list[ServerConfig], name: str | None) -> list[ServerConfig]:
    """One server under the name given; several of them keep their own names behind it."""
    if name is None:
        return configs
    if len(configs) == 1:
        return [replace(configs[0], name=name)]
    return [replace(config, name=f"{name}.{config.name}") for config in configs]


def unique(configs: Iterable[ServerConfig]) -> list[ServerConfig]:
    """The same servers; a name that was given before gets -2, -3, ..., the first that nobody has."""
    listed = list(configs)
    given = {config.name for config in listed}
    taken: set[str] = set()
    renamed: list[ServerConfig] = []
    for config in listed:
        name, number = config.name, 2
        while name in taken or (number > 2 and name in given):
            name, number = f"{config.name}-{number}", number + 1
        taken.add(name)
        renamed.append(config if name == config.name else replace(config, name=name))
    return renamed


def refuse_repeated(entries: Mapping[str, object]) -> None:
    """Raise `ConfigError` where a file's table has a name twice; JSON itself keeps the last one silently."""
    if isinstance(entries, JsonObject) and entries.repeated:
        raise _twice(entries.repeated[0])


def refuse_doubles(configs: Sequence[ServerConfig]) -> None:
    """Raise `ConfigError` where two tables of one file have a name in common."""
    seen: set[str] = set()
    for config in configs:
        if config.name in seen:
            raise _twice(config.name)
        seen.add(config.name)


def _twice(name: str) -> ConfigError:
    return ConfigError("is defined twice.", server=name, key="name", fix="Rename one of the two.")
