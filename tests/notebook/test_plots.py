"""Final pictures with matplotlib."""

from __future__ import annotations

import base64
import itertools
import subprocess
import sys

import pytest
from matplotlib.figure import Figure

from mcpnb.metrics import AttemptLog
from mcpnb.model import OutcomeKind
from mcpnb.notebook.palette import SERVERS
from mcpnb.notebook.plots import PictureAxes, Plots, png

KINDS = ("latency", "cdf", "timeline", "heatmap", "errors", "share")
_calls = itertools.count(1)


def call(log: AttemptLog, server: str, at: float, latency: float = 0.05, outcome: OutcomeKind = "ok") -> None:
    log.append(
        call=next(_calls), attempt=1, started_at=at, tool="weather.forecast", server=server, strategy="p2c",
        outcome=outcome, latency=latency, queued=0.0, hedge=False, cached=False, size=0, error="",
    )  # fmt: skip


@pytest.fixture
def log() -> AttemptLog:
    made = AttemptLog()
    for n in range(120):
        call(made, "alpha", 1000 + n / 2, 0.04)
        call(made, "beta", 1000 + n / 2, 0.2, "timeout" if n % 40 == 5 else "ok")
    return made


def words(ax: object) -> str:
    return " ".join(text.get_text() for text in ax.figure.findobj(match=lambda o: hasattr(o, "get_text")))  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_shows_the_picture_itself(log: AttemptLog, kind: str) -> None:
    data, sizes = getattr(Plots(log), kind)()._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert sizes["image/png"]["width"] == 760


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_goes_into_axes_of_ones_own(log: AttemptLog, kind: str) -> None:
    ax = Figure().subplots()
    assert getattr(Plots(log), kind)(ax) is ax
    assert not isinstance(ax, PictureAxes)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fleet_without_calls_has_a_picture(kind: str) -> None:
    ax = getattr(Plots(AttemptLog()), kind)()
    assert png(ax.figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", KINDS)
def test_axes_name_their_units(log: AttemptLog, kind: str) -> None:
    ax = getattr(Plots(log), kind)()
    said = f"{ax.get_xlabel()} {ax.get_ylabel()}"
    assert any(unit in said for unit in ("ms", "%", "seconds"))


def test_pyplot_is_never_touched() -> None:
    code = (
        "import sys; from mcpnb.metrics import AttemptLog; from mcpnb.notebook.plots import Plots;"
        "[getattr(Plots(AttemptLog()), kind)()._repr_mimebundle_() for kind in "
        f"{KINDS!r}]; print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"


def test_latency_has_a_row_per_server_with_its_count_and_medians(log: AttemptLog) -> None:
    ax = Plots(log).latency()
    assert {label.get_text().split()[0] for label in ax.get_yticklabels()} == {"alpha", "beta"}
    assert "40 · 40" in words(ax)
    assert "200 · 200" in words(ax)


def test_latency_may_be_by_tool_or_strategy_but_not_by_anything(log: AttemptLog) -> None:
    assert "weather.forecast" in Plots(log).latency(by="tool").get_yticklabels()[0].get_text()
    assert "p2c" in Plots(log).latency(by="strategy").get_yticklabels()[0].get_text()
    with pytest.raises(ValueError, match="cannot group attempts by 'colour'"):
        Plots(log).latency(by="colour")


def test_decades_side_by_side_get_a_logarithmic_axis() -> None:
    log = AttemptLog()
    for n in range(50):
        call(log, "quick", 1000 + n, 0.001)
        call(log, "slow", 1000 + n, 5.0 if n == 7 else 0.001)
    assert Plots(log).latency().get_xscale() == "log"


def test_a_window_looks_back_from_the_newest_call(log: AttemptLog) -> None:
    call(log, "gamma", 9000)
    ax = Plots(log).latency(window=60)
    assert [label.get_text().split()[0] for label in ax.get_yticklabels()] == ["gamma"]


def test_errors_say_how_many_failed(log: AttemptLog) -> None:
    said = words(Plots(log).errors())
    assert "3 of 120 failed" in said
    assert "none failed" in said
    assert "timeout (a fault)" in said


def test_a_server_has_the_same_accent_as_on_the_page(log: AttemptLog) -> None:
    ax = Plots(log).timeline()
    lines = {line.get_label(): line.get_color() for line in ax.lines}
    assert lines["beta"] == SERVERS.accent("beta").tone.light


def test_names_are_drawn_without_unseen_characters() -> None:
    log = AttemptLog()
    call(log, "a\u202eb\x1b", 1000)
    assert "⟨U+202E⟩" in words(Plots(log).share())


def test_more_servers_than_fit_are_counted() -> None:
    log = AttemptLog()
    for n in range(40):
        call(log, f"many-{n:02}", 1000 + n)
    assert "10 more not shown" in words(Plots(log).latency())


def test_the_shares_of_answers_rise_to_all_of_them(log: AttemptLog) -> None:
    ax = Plots(log).cdf()
    assert len(ax.lines) == 2
    for line in ax.lines:
        y = list(line.get_ydata())
        assert y == sorted(y)
        assert y[-1] == 100
    assert "alpha  40 ms" in words(ax)
    assert "beta  200 ms" in words(ax)
    with pytest.raises(ValueError, match="cannot group attempts by 'colour'"):
        Plots(log).cdf(by="colour")


def test_the_map_of_latency_has_a_row_for_each_server_and_says_what_its_colours_are(log: AttemptLog) -> None:
    ax = Plots(log).heatmap()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["alpha", "beta"]
    assert "p95 latency, ms" in words(ax)
    values = ax.images[0].get_array()
    assert values is not None
    assert values.shape[0] == 2


@pytest.mark.parametrize("kind", KINDS)
def test_without_calls_the_picture_says_so_and_measures_nothing(kind: str) -> None:
    ax = getattr(Plots(AttemptLog()), kind)()
    assert "no calls yet" in words(ax)
    assert list(ax.get_xticks()) == []


@pytest.mark.parametrize("kind", ["latency", "cdf", "timeline", "heatmap"])
def test_calls_that_all_failed_are_not_called_no_calls(kind: str) -> None:
    failed = AttemptLog()
    for n in range(3):
        call(failed, "down", 1000 + n, 0.01, "disconnected")
    said = words(getattr(Plots(failed), kind)())
    assert "none of 3 attempts was answered" in said
    assert "no calls yet" not in said


def test_a_single_call_can_be_seen() -> None:
    single = AttemptLog()
    call(single, "alpha", 1000)
    (line,) = Plots(single).cdf().lines
    assert list(line.get_ydata()) == [0, 100]
    (band,) = Plots(single).share().collections
    x = band.get_paths()[0].vertices[:, 0]
    assert x.max() > x.min()
