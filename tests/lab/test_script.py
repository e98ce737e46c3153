"""A timeline on live servers: in order, at its times, and nothing of it is lost silently."""

from __future__ import annotations

import threading
from typing import Any

from mcpnb.errors import McpnbError
from mcpnb.lab.profile import Profile
from mcpnb.lab.script import Script
from mcpnb.simulation import At

USUAL = Profile(latency_ms=20)


class Play:
    """A stage that notes what happens on it and when, with a clock that moves when somebody waits."""

    def __init__(self) -> None:
        self.now, self.seen = 100.0, list[Any]()
        self.stop_at = float("inf")

    def pause(self, seconds: float) -> bool:
        self.now += seconds
        return self.now >= self.stop_at

    def behave(self, server: str, profile: Profile, what: str) -> None:
        self.seen.append((self.now, server, profile, what))

    def crash(self, server: str) -> None:
        self.seen.append((self.now, server, "crash"))
        self.now += 0.5

    def leave(self, server: str) -> None:
        raise McpnbError(f"<{server}> cannot leave")

    def join(self, server: str) -> None:
        self.seen.append((self.now, server, "join"))


def played(play: Play, *timeline: At) -> Script:
    profiles = {at.server: USUAL for at in timeline}
    return Script(play, timeline, profiles, clock=lambda: play.now, pause=play.pause).wait()


def test_everything_happens_in_order_at_its_time() -> None:
    play = Play()
    script = played(
        play,
        At(12, "b", crash=True),
        At(5, "b", latency_ms=500),
        At(13, "b", recover=True),
        At(14, "b", slow=2),
    )
    assert play.seen == [
        (105.0, "b", Profile(latency_ms=500), "500 ms per call"),
        (112.0, "b", "crash"),
        (113.0, "b", USUAL, "recover"),
        (113.0, "b", "join"),
        (114.0, "b", Profile(latency_ms=40), "2\N{MULTIPLICATION SIGN} as slow"),
    ]
    assert [step.state for step in script.steps] == ["done"] * 4
    assert [step.late for step in script.steps] == [0, 0.5, 0, 0]
    assert not script.running
    assert repr(script) == "<Script over: 4 of 4 changes done>"


def test_what_fails_is_told_and_the_rest_goes_on() -> None:
    play = Play()
    script = played(play, At(1, "b", leave=True), At(2, "b", slow=2))
    assert [(step.state, step.error) for step in script.steps] == [
        ("failed", "<b> cannot leave"),
        ("done", ""),
    ]
    assert "1 of 2 changes done, 1 failed" in repr(script)
    page = script._repr_mimebundle_()["text/html"]
    assert "✗ failed" in page
    assert "&lt;b&gt; cannot leave" in page


def test_a_server_that_takes_its_time_does_not_keep_the_others_waiting() -> None:
    others_went_on = threading.Event()

    class Slow(Play):
        def join(self, server: str) -> None:
            self.seen.append((server, others_went_on.wait(10)))

        def behave(self, server: str, profile: Profile, what: str) -> None:
            if server == "a":
                others_went_on.set()

    play = Slow()
    script = Script(play, [At(0, "b", join=True), At(0.01, "a", slow=2)], {"a": USUAL, "b": USUAL}).wait(20)
    assert [step.state for step in script.steps] == ["done", "done"]
    assert play.seen == [("b", True)]


def test_a_script_that_is_stopped_leaves_out_what_is_to_come() -> None:
    play = Play()
    play.stop_at = 105
    script = played(play, At(1, "a", slow=2), At(5, "a", crash=True), At(9, "a", slow=1))
    assert [step.state for step in script.steps] == ["done", "left out", "left out"]
    assert len(play.seen) == 1


def test_a_real_script_waits_and_can_be_stopped_while_it_does() -> None:
    play = Play()
    with Script(play, [At(3600, "a", crash=True)], {"a": USUAL}) as script:
        assert script.running
        assert repr(script) == "<Script running: 0 of 1 changes done; at 3600 s: a crash>"
        assert "○ to come" in script._repr_mimebundle_()["text/html"]
    assert not script.running
    assert play.seen == []
