"""Server configurations: which servers there are, how to reach them, and what of that may be shown.

Owns every form of `source`, the dialects of configuration files, variables, and the rules for secrets. It
contacts no server, and knows neither the MCP SDK nor frames.

    load(source) → [ServerConfig, ...]       sources → dialects → servers; texts go through variables
    child_environment(config, environ)       what a stdio server's process may see
    redact(text, secrets_of(config))         for whatever a server or a library said
"""

from __future__ import annotations

from .environment import INHERITED, PASSED_THROUGH, child_environment
from .jsonc import parse
from .logs import hush
from .oauth import OAuth, is_private
from .place import ConfigErrors, ConfigWarning
from .redact import MASK, redact
from .servers import ServerConfig, TransportName, secrets_of
from .sources import load
from .variables import Ask, Prompt, ask_in_terminal, ask_on_stderr

__all__ = [
    "INHERITED",
    "MASK",
    "PASSED_THROUGH",
    "Ask",
    "ConfigErrors",
    "ConfigWarning",
    "OAuth",
    "Prompt",
    "ServerConfig",
    "TransportName",
    "ask_in_terminal",
    "ask_on_stderr",
    "child_environment",
    "hush",
    "is_private",
    "load",
    "parse",
    "redact",
    "secrets_of",
]
