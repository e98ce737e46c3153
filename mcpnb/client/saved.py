"""Choices and pins as a JSON file: what `save` writes, what `choices=` and `pin=` read.

    {"mcpnb": "choices", "version": 1, "policy": "first_server",
     "policies": {"tool": {"search": "merge"}},
     "preferences": {"tool": {"forecast": ["beta", "alpha"]}},
     "priorities": {"alpha": 10},
     "pins": {"alpha": {"forecast": {"fingerprint": "...", "description": "...", "arguments": "..."}}}}

Every key but the first two may be missing. A file is replaced as a whole or not at all.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from mcpnb.catalog import KINDS, POLICIES, Choices, Kind, Pin
from mcpnb.errors import ConfigError, suggest
from mcpnb.model import ToolRef

__all__ = ["Saved", "document", "read", "understood", "write"]

_KEYS = ("mcpnb", "version", "policy", "policies", "preferences", "priorities", "pins")


class Saved(NamedTuple):
    """What a file holds."""

    choices: Choices
    pins: Mapping[ToolRef, Pin] | None
    """None where the file speaks of none."""


def read(path: Path) -> Saved | None:
    """What stands in the file; None where there is none.

    Raises:
        ConfigError: It cannot be read, or holds something else; names the key.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"cannot be read: {why}.", file=str(path)) from None
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        fix = "Restore it from a copy, or remove it to begin anew."
        raise ConfigError(f"is not JSON ({error}).", file=str(path), fix=fix) from None
    return _Reader(str(path)).saved(document)


def write(path: Path, saved: Saved) -> None:
    """Replace the file.

    Raises:
        OSError: It cannot be written; what was there is still there.
    """
    target = path.resolve()  # a link stays a link
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document(saved), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            Path(name).chmod(target.stat().st_mode & 0o777)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def understood(stated: object, file: str) -> Saved:
    """What a document says that `document` made; `file` names where it stood.

    Raises:
        ConfigError: It says something else; names the key.
    """
    return _Reader(file).saved(stated)


def document(saved: Saved) -> dict[str, Any]:
    """Choices and pins as the JSON object that a file of them holds."""
    choices, kinds = saved.choices, {kind: saved.choices.by_kind(kind) for kind in KINDS}
    made: dict[str, Any] = {"mcpnb": "choices", "version": 1, "policy": choices.policy}
    made["policies"] = {kind: policies for kind, (policies, _) in kinds.items() if policies}
    made["preferences"] = {kind: preferred for kind, (_, preferred) in kinds.items() if preferred}
    made["priorities"] = dict(choices.priorities)
    if saved.pins is not None:
        pins: dict[str, Any] = made.setdefault("pins", {})
        for ref, pin in saved.pins.items():
            pins.setdefault(ref.server, {})[ref.tool] = {
                "fingerprint": pin.fingerprint, "description": pin.description, "arguments": pin.arguments,
            }  # fmt: skip
    return made


class _Reader(NamedTuple):
    """Reads a document that anybody may have written."""

    file: str

    def saved(self, value: object) -> Saved:
        document = self._object(value, "the file")
        if document.get("mcpnb") != "choices":
            raise self._wrong("mcpnb", 'is not "choices": this is another kind of file.')
        if document.get("version") != 1:
            raise self._wrong("version", "is not 1: another version of mcpnb wrote this file.")
        for key in document:
            if key not in _KEYS:
                near = ", ".join(suggest(key, _KEYS)) or ", ".join(_KEYS)
                raise self._wrong(key, f"is not known here; did you mean {near}?")
        policies = self._by_kind(document, "policies")
        preferences = self._by_kind(document, "preferences")
        choices = Choices(
            self._policy(document.get("policy", Choices().policy), "policy"),
            {name: self._policy(policy, f"policies: {name[1]}") for name, policy in policies},
            {name: self._names(servers, f"preferences: {name[1]}") for name, servers in preferences},
            {
                server: self._whole(number, f"priorities: {server}")
                for server, number in self._object(document.get("priorities", {}), "priorities").items()
            },
        )
        return Saved(choices, self._pins(document["pins"]) if "pins" in document else None)

    def _pins(self, value: object) -> dict[ToolRef, Pin]:
        found: dict[ToolRef, Pin] = {}
        for server, tools in self._object(value, "pins").items():
            for tool, stated in self._object(tools, f"pins: {server}").items():
                fields = self._object(stated, f"pins: {server}: {tool}")
                words = [fields.get(name, "") for name in Pin.__slots__]
                if "fingerprint" not in fields or not all(isinstance(word, str) for word in words):
                    raise self._wrong(f"pins: {server}: {tool}", "is no pin.")
                found[ToolRef(server, tool)] = Pin(*cast("list[str]", words))
        return found

    def _by_kind(self, document: Mapping[str, object], key: str) -> Iterable[tuple[tuple[Kind, str], object]]:
        given = self._object(document.get(key, {}), key)
        for kind in given:
            if kind not in KINDS:
                raise self._wrong(f"{key}: {kind}", f"is none of {', '.join(KINDS)}.")
        return [
            ((kind, name), value)
            for kind in KINDS
            for name, value in self._object(given.get(kind, {}), f"{key}: {kind}").items()
        ]

    def _policy(self, value: object, key: str) -> str:
        if not isinstance(value, str) or value not in POLICIES:
            raise self._wrong(key, f"is no policy; known are {', '.join(POLICIES)}.")
        return value

    def _names(self, value: object, key: str) -> tuple[str, ...]:
        names = cast("list[object]", value) if isinstance(value, list) else [None]
        if not names or not all(isinstance(name, str) for name in names):
            raise self._wrong(key, "is no list of names of servers.")
        return tuple(cast("list[str]", names))

    def _whole(self, value: object, key: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(key, "is no whole number.")
        return value

    def _object(self, value: object, key: str) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise self._wrong(key, "is no object.")
        return cast("dict[str, object]", value)

    def _wrong(self, key: str, problem: str) -> ConfigError:
        return ConfigError(problem, file=self.file, key=key)
