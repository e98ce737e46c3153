"""The lessons' pictures: what they tell in words, and that nothing in them is trusted."""

from __future__ import annotations

from mcpnb.lab import pictures, side_by_side
from mcpnb.model import Event

EVENTS = [
    Event(10.0, "server_state", "a", "connecting"),
    Event(10.0, "server_state", "<b>", "connecting"),
    Event(10.5, "tools_changed", "a", "a offers everything"),
    Event(11.0, "server_state", "a", "connected"),
    Event(11.0, "server_state", "<b>", "failed: command not found: <b>"),
    Event(14.0, "lab", "a", "crashed on purpose"),
    Event(14.1, "server_state", "a", "reconnecting: the process ended"),
]


def test_a_life_has_the_states_and_what_was_done_from_the_first_event_on() -> None:
    told, seconds = pictures.lives_of(EVENTS)
    assert round(seconds, 6) == 4.1
    assert [life.server for life in told] == ["a", "<b>"]
    assert [(round(at, 6), what.partition(":")[0]) for at, what in told[0].states] == [
        (0, "connecting"), (1, "connected"), (4.1, "reconnecting"),
    ]  # fmt: skip
    assert [what for _, what in told[0].done] == ["crashed on purpose"]


def test_directories_have_lives_below_the_servers_with_what_they_said() -> None:
    listed = {"backend": "etcd http://h /mcp/"}
    told, _ = pictures.lives_of([
        Event(10.0, "server_state", "a", "connecting"),
        Event(10.1, "discovery", None, "etcd http://h /mcp/: b found", listed),
        Event(10.2, "server_state", "b", "connecting"),
        Event(10.3, "discovery", "b", "published to etcd http://h /mcp/"),
        Event(11.0, "discovery", None, "etcd http://h /mcp/: cannot be asked", {**listed, "state": "away"}),
        Event(11.5, "discovery", None, "etcd http://h /mcp/: can be asked", {**listed, "state": "watching"}),
        Event(12.0, "discovery", None, "etcd http://h /mcp/: b is gone", listed),
    ])  # fmt: skip
    assert [life.server for life in told] == ["a", "b", "etcd"]
    etcd = told[-1]
    assert [(round(at, 1), state) for at, state in etcd.states] == [
        (0, "watching"), (1, "away"), (1.5, "watching"),
    ]  # fmt: skip
    assert [(round(at, 1), said) for at, said in etcd.done] == [(0.1, "+ b"), (2, "- b")]


def test_the_picture_shows_words_and_escapes_names() -> None:
    picture = pictures._svg(*pictures.lives_of(EVENTS))
    assert "connected" in picture
    assert "▲ crashed on purpose" in picture
    assert "&lt;b&gt;" in picture
    assert "<b>" not in picture
    assert pictures._words(pictures.lives_of(EVENTS)[0]) == (
        "a: 0.0 s connecting, 1.0 s connected, 4.1 s reconnecting\n<b>: 0.0 s connecting, 1.0 s failed"
    )
    assert "0.1 s" in pictures._svg(*pictures.lives_of([]))


def one() -> str:
    # A comment is no line of code.
    return "<one>"


def two() -> str:

    words = ["two"]
    return " ".join(words)


class Three:
    """A class."""

    def method(self) -> None:
        """Does nothing."""


def test_a_class_shows_whole() -> None:
    assert repr(side_by_side(Three, one)).startswith('# by hand\nclass Three:\n    """A class."""\n\n    def')


def test_two_functions_stand_side_by_side_with_their_lines_counted() -> None:
    picture = side_by_side(one, two, titles=("first", "second"))
    assert repr(picture).startswith("# first\ndef one()")
    page = picture._repr_mimebundle_()["text/html"]
    assert "2 lines" in page
    assert "3 lines" in page
    assert "word-break:normal" in page  # else JupyterLab breaks a long line within its words
    assert "&lt;one&gt;" in page
