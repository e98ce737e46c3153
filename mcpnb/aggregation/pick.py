"""`first` and `best`: one answer taken as it is, compared with the others field by field."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mcpnb.aggregation.draft import Draft
from mcpnb.aggregation.rules import Rules
from mcpnb.aggregation.values import FusedRow
from mcpnb.aggregation.voices import Voice, in_turn
from mcpnb.aggregation.walk import Walk


def first(voices: Sequence[Voice], rules: Rules) -> Draft:
    """The fastest answer that is not null; by the given order where latencies are equal or unknown.

    The one method in which order is the point.
    """
    given = [voice for voice in voices if voice.value is not None]
    if not given:
        return _nothing(voices, "first")
    fastest = min(given, key=lambda voice: math.inf if math.isnan(voice.latency) else voice.latency)
    return taken_whole(fastest, voices, rules, "first")


def best(voices: Sequence[Voice], rules: Rules) -> Draft:
    """The answer of the highest confidence: its parts and the others' agreement multiplied."""
    given = [voice for voice in in_turn(voices) if voice.value is not None]
    if not given:
        return _nothing(voices, "best")
    compared = Walk(rules)
    compared.fuse("", given)
    agreement = compared.agreement
    # max keeps the first of equals.
    chosen = max(given, key=lambda voice: (voice.weight * agreement.get(voice.server, 1.0), voice.weight))
    return taken_whole(chosen, voices, rules, "best")


def taken_whole(chosen: Voice, voices: Sequence[Voice], rules: Rules, method: str) -> Draft:
    """One answer as it is, with who agrees in which field, and who does not."""
    walk = Walk(rules, follow=chosen.server, whole=True)
    walk.fuse("", in_turn(voices))
    return Draft.of(walk, chosen.value, method, taken=chosen.server)


def _nothing(voices: Sequence[Voice], method: str) -> Draft:
    servers = tuple(voice.server for voice in in_turn(voices))
    return Draft(None, method, (FusedRow("", None, servers),) if servers else ())
