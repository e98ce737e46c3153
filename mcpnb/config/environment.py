"""The environment of a stdio server's process: owns which of our variables a child may see.

A server is somebody else's program. It gets the few variables that programs cannot do without, and what
its configuration names; not whatever secrets the kernel happens to hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mcpnb.errors import ConfigError

from . import checks
from .servers import ServerConfig

__all__ = ["INHERITED", "PASSED_THROUGH", "child_environment", "read_env_file", "texts_of_env"]

INHERITED = (
    "HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER",
    "APPDATA", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATHEXT", "PROCESSOR_ARCHITECTURE", "SYSTEMDRIVE",
    "SYSTEMROOT", "TEMP", "TMP", "USERNAME", "USERPROFILE",
)  # fmt: skip
"""What the MCP SDK hands down on POSIX and on Windows."""

PASSED_THROUGH = (
    # Certificates: behind a private authority nothing connects without them.
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
    # Proxies, in both spellings that programs look for.
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    # Language and time zone, so that texts and times come out as in the notebook.
    "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ",
    # Folders, so that npx and uvx find what they fetched before.
    "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR",
    "UV_CACHE_DIR", "npm_config_cache", "NPM_CONFIG_CACHE",
)  # fmt: skip
"""What we hand down besides. A name under `env` overrides it; null under `env` (VS Code) takes it out."""


def child_environment(config: ServerConfig, environ: Mapping[str, str]) -> dict[str, str]:
    """The whole environment for a stdio server: what is safe of `environ`, then the server's own `env`."""
    passed = {
        name: value
        for name in (*INHERITED, *PASSED_THROUGH)
        # Values that begin with () are shell functions, which a shell below would run.
        if name not in config.unset
        and (value := environ.get(name)) is not None
        and not value.startswith("()")
    }
    return {**passed, **config.env}


_LINE = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Za-z_][\w.]*)\s*=\s*
    (?:'(?P<single>[^']*)'|"(?P<double>(?:\\.|[^"\\])*)"|(?P<bare>[^'"].*?)?)\s*(?:(?<=\s)\#.*)?""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def read_env_file(text: str) -> dict[str, str]:
    """The variables of a `.env` file: `NAME=value`, optional `export`, quotes and # comments.

    Raises `ConfigError` with the line's number, never its text.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ConfigError(
                f"has a line that is no NAME=value: line {number}.", key="envFile", fix="Correct it."
            )
        found[match["name"]] = _env_value(match)
    return found


def _env_value(match: re.Match[str]) -> str:
    single, double, bare = match["single"], match["double"], match["bare"]
    if double is not None:
        return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), double)
    return single if single is not None else (bare or "")


def texts_of_env(env: Mapping[str, object], *, loose: bool) -> dict[str, object]:
    """The values of an entry's `env` as texts; with `loose`, numbers too, and those that are null left out.

    Raises:
        ConfigError: naming every value that is no string, unless `loose`.
    """
    if not loose:
        _refuse_non_strings(env)
    return {name: _as_text(value) for name, value in env.items() if value is not None}


def _refuse_non_strings(env: Mapping[str, object]) -> None:
    """Name all wrong values at once, without quoting them."""
    wrong = {name: checks.kind_of(value) for name, value in env.items() if not isinstance(value, str)}
    if wrong:
        which = ", ".join(f"{name} is {kind}" for name, kind in wrong.items())
        fix = 'Put values in double quotes, as in "PORT": "8080", and leave out what is null.'
        raise ConfigError(f"is not a string ({which}).", key=f"env.{next(iter(wrong))}", fix=fix)


def _as_text(value: object) -> object:
    """A JSON scalar as it was written; anything else is left for the check that follows to refuse."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else value
