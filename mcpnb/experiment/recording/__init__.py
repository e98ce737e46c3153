"""Recordings: a session's calls and answers in one file, to be answered from, looked at, or routed otherwise.

    record(client, path)   every call from now on, line by line
    Recording.load(path)   what was recorded, as frames, as arrivals, as a what-if
    Player                 answers a fleet's calls from it

The file is JSON lines in UTF-8: one JSON object a line, each written whole and at once, so that a process may
be killed at any time; what a killed one leaves unfinished is at most its last line. Seconds (`at`, `latency`,
`queued`) are counted from the beginning of the recording. Keys that are at their defaults are left out.

    header   the first line: {"mcpnb": "recording", "version": 1, "began": ISO 8601 time in UTC, "made_by",
             "name", "strategy", "timeout", "replicas", "choices", "protection", "home", "distances"}
    server   {"type": "server", "at", "server", "state", "error", "transport", "address", "protocol",
             "title", "version", "completes", "endpoint": {...}, "replicas", "timeout", "listing": {...}}
             when the recording begins and whenever any of it changes; `listing` (tools, resources, templates,
             prompts, as in MCP) only when that did. Its secrets, headers and variables are never written.
    group    {"type": "group", "group": 0, "servers": [...]}: who could take calls, named by `group` below
    call     {"type": "call", "call", "at", "kind", "name", "arguments", "group", "latency", "outcome",
             "server", "answer", "error": {"type", ...}, "attempts": [{"number", "server", "at", "latency",
             "outcome", "tool", "strategy", "queued", "hedge", "why", "saw", "error"}, ...], "request": {...},
             "stage", "excluded", "out_of", "looked_at"}
             one per call, written when it is over, its attempts in the order in which they ended; `kind` is
             tool, resource, prompt or completion; `answer` is the MCP result; `request` is what else the
             caller asked for (server, tags, timeout, priority, ...)
    update   {"type": "update", "at", "server", "uri"}: the server told of a change of a resource that the
             client was subscribed to
    end      {"type": "end", "at", "calls"}: it was stopped, not cut off

Who subscribes to a resource in a replay is told of its recorded changes, each once and in their order: at
their times from the beginning of the replay, those that are over at once; without latencies, all at once.
Where none was recorded an event `recording` says so. Progress, and what servers log, is not recorded.

Known secrets of the configuration read ••• wherever they stand: in arguments, answers, errors, listings.
"""

from __future__ import annotations

from mcpnb.experiment.recording.live import LiveRecording, record
from mcpnb.experiment.recording.player import AsRecorded, Player
from mcpnb.experiment.recording.recording import Recording

__all__ = ["AsRecorded", "LiveRecording", "Player", "Recording", "record"]
