"""What cannot be an option of a client is refused where it is said, by name."""

from __future__ import annotations

import pytest

from mcpnb import ArgumentError, MultiServerClient
from mcpnb.client.arguments import given
from mcpnb.metrics import AttemptLog
from mcpnb.metrics.summary import summarise_window


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"seed": 1.5}, TypeError, "seed must be a whole number or a text, not 1.5"),
        ({"seed": [1]}, TypeError, r"seed must be a whole number or a text, not \[1\]"),
        ({"home": 5}, TypeError, "home must be the name of a region, not 5"),
        ({"distances": 5}, TypeError, "distances must be a dict of regions to dicts, .* not 5"),
        ({"distances": {"eu": 5}}, TypeError, "distances must be a dict of regions to dicts, .* not 5"),
        ({"distances": {"eu": {"us": "far"}}}, ValueError, "from eu to us must be a number from 0 on"),
        ({"distances": {"eu": {"us": -1}}}, ValueError, "from eu to us must be a number from 0 on"),
        ({"on_elicit": 5}, TypeError, "on_elicit must be callable, not 5"),
        ({"on_sample": "x"}, TypeError, "on_sample must be callable, not 'x'"),
        ({"roots": 5}, TypeError, "roots must be a list of folders, not 5"),
        ({"policy": 5}, ValueError, "unknown conflict policy 5"),
    ],
)  # fmt: skip
def test_a_wrong_option_of_a_client_is_named(options, error, said) -> None:
    with pytest.raises(error, match=said):
        MultiServerClient({}, **options)


@pytest.mark.parametrize("arguments", [5, [1], "x", {1, 2}])
def test_arguments_that_are_no_dict_say_so(arguments) -> None:
    with pytest.raises(ArgumentError, match=r"^t: arguments are a dict of names to values, not "):
        given("t", arguments, {})


def test_a_name_goes_before_the_dict() -> None:
    assert given("t", {"a": 1, "b": 2}, {"b": 3}) == {"a": 1, "b": 3}
    assert given("t", None, {"b": 3}) == {"b": 3}


@pytest.mark.parametrize("by", [5, None, [], ["server", 5], "nope"])
def test_attempts_are_grouped_by_what_they_have(by) -> None:
    with pytest.raises(ValueError, match=r"cannot group attempts by .*: choose among server, tool, strategy"):
        summarise_window(AttemptLog(), by, window=None, now=None)


@pytest.mark.parametrize("window", ["x", -1, 0, [1], float("nan"), True])
def test_a_window_is_a_length_of_time(window) -> None:
    with pytest.raises(ValueError, match="window must be seconds above 0, not "):
        summarise_window(AttemptLog(), "server", window=window, now=None)


def test_the_seed_of_a_simulation_is_a_whole_number() -> None:
    from mcpnb.experiment.simulate import check_seed

    for seed in ("x", 1.5, None, [1], -1, True):
        with pytest.raises(ValueError, match="seed must be a whole number of at least 0, not "):
            check_seed(seed)
