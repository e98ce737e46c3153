r"""`${...}` in configuration texts: owns what a variable means and when a question is asked.

    ${NAME}                 the environment variable, else the server's own one; unset is an error
    ${NAME:-default}        ... or the default where it is unset or empty (defaults may hold variables)
    ${env:NAME}             the same, as VS Code, Cursor and Windsurf write it
    ${input:id}             asked once for each source; declared under "inputs"
    ${file:path}            what a file holds, without the line break at its end, as Windsurf writes it
    ${workspaceFolder}      the folder the file belongs to; ${workspaceFolderBasename} is its name
    ${userHome}             the home folder, as is a leading ~ in paths and arguments
    ${pathSeparator}, ${/}  / or \

`$NAME` without braces stays as it is, as does `$$`; a literal `${` is written `${:-$}{`. What a variable
holds is not expanded again. It knows no servers.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mcpnb.errors import ConfigError

from .redact import MASK, looks_secret, sounds_secret, worth_hiding

__all__ = ["Ask", "Prompt", "Variables", "ask_in_terminal", "ask_on_stderr"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EDGE = re.compile(r"\$\{|\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question that a configuration file declares under `inputs`."""

    id: str
    description: str = ""
    password: bool = False
    """Do not echo the answer, and hide it everywhere."""
    default: str | None = None
    """Taken when the answer is empty."""
    options: tuple[str, ...] = ()
    """The only answers allowed; empty allows any."""


Ask = Callable[[Prompt], str]
"""Puts one question to the user and returns the answer. May raise EOFError when nobody can answer."""


def ask_in_terminal(prompt: Prompt) -> str:
    """Ask with `input`, or `getpass` for a password: in a notebook, a box below the cell."""
    return _password(prompt) if prompt.password else input(_question(prompt))


def ask_on_stderr(prompt: Prompt) -> str:
    """Ask in a terminal whose standard output is for something else, or goes into a file."""
    if prompt.password:
        return _password(prompt)
    sys.stderr.write(_question(prompt))
    sys.stderr.flush()
    return input()


def _password(prompt: Prompt) -> str:
    from getpass import getpass  # noqa: PLC0415 - pulls in termios, and few files ask

    return getpass(_question(prompt))


def _question(prompt: Prompt) -> str:
    extra = f" [{', '.join(prompt.options)}]" if prompt.options else ""
    extra += f" (empty: {prompt.default})" if prompt.default and not prompt.password else ""
    return f"{prompt.description or prompt.id}{extra}: "


@dataclass(frozen=True, slots=True)
class Variables:
    """What names mean in one source."""

    environ: Mapping[str, str] = field(repr=False)
    folder: Path
    """${workspaceFolder}, and what relative paths are relative to."""
    ask: Ask = ask_in_terminal
    inputs: Mapping[str, Prompt] = field(default_factory=dict[str, Prompt])
    own: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """What a server's entry sets itself under `env`: looked at for what `environ` does not have."""
    answers: dict[str, str | None] = field(default_factory=dict[str, str | None], repr=False)
    """Shared by all servers of the source, so that each question is asked once; None: nobody answered."""
    forgiving: bool = False
    """Leave what cannot be expanded as it is and ask nothing: for servers that are disabled."""

    def forgive(self) -> Variables:
        """The same names for a server that will not be started."""
        return replace(self, forgiving=True)

    def home(self) -> str:
        """The user's home folder, by the environment given."""
        return self.environ.get("HOME") or self.environ.get("USERPROFILE") or str(Path.home())

    def expand_home(self, text: str) -> str:
        """A leading `~` or `~/` as the home folder."""
        if text == "~" or text.startswith(("~/", "~\\")):
            return self.home() + text[1:]
        return text

    def expand(self, text: str, key: str, hidden: set[str]) -> str:
        """`text` with its variables replaced; the secret ones among their values are added to `hidden`.

        Raises `ConfigError` for what is unset, unknown or unclosed.
        """
        pieces: list[str] = []
        position = 0
        while (start := text.find("${", position)) >= 0:
            end = _closing(text, start)
            if end < 0:
                break
            pieces += [text[position:start], self._value(text[start + 2 : end], key, hidden)]
            position = end + 1
        if not self.forgiving and "${" in text[position:]:
            raise ConfigError("has a ${ that is never closed.", key=key, fix="Close it with }.")
        return "".join([*pieces, text[position:]])

    def _value(self, inside: str, key: str, hidden: set[str]) -> str:
        name, has_default, default = inside.partition(":-")
        value = self._builtin(name)
        if value is None:
            value = self._lookup(name, key, hidden, required=not has_default)
        if value:
            return value
        return self.expand(default, key, hidden) if has_default else (value or "")

    def _builtin(self, name: str) -> str | None:
        match name:
            case "workspaceFolder" | "workspaceRoot":
                return str(self.folder)
            case "workspaceFolderBasename":
                return self.folder.name
            case "userHome":
                return self.home()
            case "pathSeparator" | "/":
                return os.sep
            case _:
                return None

    def _lookup(self, name: str, key: str, hidden: set[str], *, required: bool) -> str | None:
        kind, colon, rest = name.partition(":")
        if colon and kind == "input":
            return f"${{{name}}}" if self.forgiving else self._answer(rest, key, hidden)
        if colon and kind == "file":
            return f"${{{name}}}" if self.forgiving else self._content(rest, key, hidden, required=required)
        variable = rest if colon and kind == "env" else name
        value = self.environ.get(variable)
        if value and (sounds_secret(variable) or looks_secret(value)):
            hidden.add(value)
        if value is None and (value := self.own.get(variable)) and worth_hiding(variable, value):
            hidden.add(value)  # all that stands under env counts as secret
        if value is None and self.forgiving:
            return f"${{{name}}}" if required else None
        if value is None and variable == "CLAUDE_PROJECT_DIR":
            value = str(self.folder) if required else None  # Claude Code sets it for its servers
        if value is None and required:
            raise _unknown(variable, key)
        return value

    def _content(self, path: str, key: str, hidden: set[str], *, required: bool) -> str | None:
        """What a file holds; files are where secrets are kept, so it counts as one."""
        try:
            content = (self.folder / self.expand_home(path)).read_text(encoding="utf-8-sig").rstrip("\r\n")
        except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the path
            if not required:
                return None
            why = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be read as text"
            shown = MASK if looks_secret(path) else path
            raise ConfigError(
                f"needs the file {shown}, which {why}.", key=key, fix="Check the path."
            ) from None
        hidden.add(content)
        return content

    def _answer(self, id_: str, key: str, hidden: set[str]) -> str:
        prompt = self.inputs.get(id_)
        if prompt is None:
            fix = f'Declare it: "inputs": [{{"type": "promptString", "id": "{id_}"}}].'
            raise ConfigError(f"uses the input {id_!r}, which is not declared.", key=key, fix=fix)
        if id_ not in self.answers:
            self.answers[id_] = self._ask(prompt, key)
        answer = self.answers[id_]
        if answer is None:
            fix = f"Pass ask=..., or write ${{env:NAME}} instead of ${{input:{id_}}}."
            raise ConfigError(f"asks for the input {id_!r}, and nobody can answer.", key=key, fix=fix)
        if answer and (prompt.password or sounds_secret(id_) or looks_secret(answer)):
            hidden.add(answer)
        return answer

    def _ask(self, prompt: Prompt, key: str) -> str | None:
        try:
            answer = self.ask(prompt) or prompt.default or ""
        except (EOFError, NotImplementedError, OSError):  # no terminal, or a kernel without a front end
            return None
        if prompt.options and answer not in prompt.options:
            fix = f"Answer one of: {', '.join(prompt.options)}."
            raise ConfigError(
                f"got an answer for the input {prompt.id!r} that is none of its options.", key=key, fix=fix
            )
        return answer


def _closing(text: str, start: int) -> int:
    """The index of the } that closes the ${ at `start`, inner ones skipped; -1 when there is none."""
    depth = 0
    for match in _EDGE.finditer(text, start):
        depth += 1 if match[0] == "${" else -1
        if depth == 0:
            return match.start()
    return -1


def _unknown(name: str, key: str) -> ConfigError:
    name = MASK if looks_secret(name) else name
    if _NAME.fullmatch(name):
        fix = f"Set it before connecting, or give a default: ${{{name}:-default}}."
        return ConfigError(f"needs the environment variable {name}, which is not set.", key=key, fix=fix)
    fix = (
        "Use ${NAME}, ${NAME:-default}, ${env:NAME}, ${input:id}, ${file:path}, ${workspaceFolder} "
        "or ${userHome}."
    )
    return ConfigError(f"has a variable of a form that mcpnb does not know: ${{{name}}}.", key=key, fix=fix)
