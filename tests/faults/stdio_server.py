"""A stdio server that goes wrong as told: `stdio_server.py CONTROL ERA`.

It is written by hand, without the SDK: so it starts in a few hundredths of a second, and can write what no
SDK would.
"""

import json
import sys
import time
from pathlib import Path

from behaviour import Behaviour, answer, line

GARBAGE = "DEBUG:root:loaded 17 plugins {not json\n"
FLOOD = 5_000
DRIP = 0.05
"""Seconds between two bytes of a slow answer."""


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def reply(behaviour: Behaviour, message: dict) -> None:
    """Write the answer to a call, or what the fault makes of it."""
    fault = behaviour.fault
    if fault == "garbage":
        say(GARBAGE + line(message) + "\n" + GARBAGE)
    elif fault == "garbage_flood":
        say(GARBAGE * FLOOD + line(message) + "\n")
    elif fault == "garbage_only":
        say(GARBAGE)
    elif fault == "invalid_jsonrpc":
        say(line({**message, "jsonrpc": "1.0", "result": None, "error": 7}) + "\n")
    elif fault == "wrong_id":
        say(line({**message, "id": message["id"] + 1_000_000}) + "\n")
    elif fault == "drip":
        for character in line(message) + "\n":
            say(character)
            time.sleep(DRIP if behaviour.fault else 0)
    else:
        say(line(message) + "\n")


def main() -> None:
    behaviour = Behaviour(Path(sys.argv[1]), sys.argv[2])
    behaviour.begin()
    if behaviour.fault == "exit_on_connect":
        sys.exit("no licence found")
    if behaviour.fault == "slow_start":
        time.sleep(behaviour.amount)
    for text in sys.stdin:
        request = json.loads(text)
        if "id" not in request:
            continue
        message = answer(behaviour, request)
        if message is not None:
            if request["method"] == "tools/call":
                reply(behaviour, message)
            else:
                say(line(message) + "\n")


main()
