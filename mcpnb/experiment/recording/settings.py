"""How the recorded client was set up, as far as a replay or a what-if has to be the same."""

from __future__ import annotations

from typing import Any

from mcpnb.catalog import Choices
from mcpnb.client import saved
from mcpnb.errors import ConfigError, RecordingError
from mcpnb.experiment.recording.player import AsRecorded
from mcpnb.experiment.recording.protection import load_resilience
from mcpnb.experiment.recording.recording import Recording
from mcpnb.resilience.settings import Resilience

__all__ = ["protection_of", "settings"]


def settings(recording: Recording) -> dict[str, Any]:
    """Options of a client that treats calls as the recorded one did.

    Raises:
        RecordingError: The header says what cannot be.
    """
    header = recording.contents.header
    return {
        "strategy": AsRecorded(),
        "timeout": header.number_or_none("timeout"),
        "replicas": header.fields.get("replicas"),
        "choices": _choices(recording),
        **_protections(protection_of(recording)),
        "home": header.text_or_none("home"),
        "distances": dict(header.object("distances").fields) or None,
    }


def protection_of(recording: Recording) -> Resilience:
    """What protected the recorded calls.

    Raises:
        RecordingError: The header says what cannot be.
    """
    header = recording.contents.header
    try:
        return load_resilience(header.object("protection").fields)
    except (TypeError, ValueError) as error:
        return header.wrong("protection", f"cannot be: {error}")


def _protections(resilience: Resilience) -> dict[str, Any]:
    names = ("breaker", "retry", "hedge", "panic", "outlier")
    chosen = {name: getattr(resilience, name) for name in names}
    # A client's own defaults are on: what was off has to be said.
    off = {"breaker": False, "retry": False, "hedge": None, "panic": None, "outlier": False}
    return {
        **{name: off[name] if value is None else value for name, value in chosen.items()},
        "queue": resilience.queue,
    }


def _choices(recording: Recording) -> Choices | None:
    header = recording.contents.header
    stated = header.fields.get("choices")
    if stated is None:
        return None
    try:
        return saved.understood(stated, header.file).choices
    except ConfigError as error:
        raise RecordingError(header.file, f"choices: {error.problem}", line=header.line) from None
