"""Pictures: drawn without pyplot, on axes of one's own or on given ones, whatever the data."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mcpnb.experiment import Comparison, Mark, Workload, compare
from mcpnb.experiment.palette import accents, number

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def found(fleet):
    workload = Workload(tool="weather.forecast", rate=40.0, requests=400)
    rows = [("alpha", lambda rng: rng.expovariate(20)), ("beta", lambda rng: rng.expovariate(4))]
    return compare(fleet(*rows, workers=4), ["round_robin", "least_request", "first"], workload=workload)


def test_the_overview_has_four_pictures_and_is_written_as_png(found, tmp_path):
    figure = found.plot()
    assert isinstance(figure, Figure)
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "How many calls are slower than …",
        "p95 over time, ms",
        "Share of calls per server, %",
        "p99 with 95 % interval, ms",
    ]
    assert found.save(tmp_path / "found.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("name", ["plot_cdf", "plot_timeline", "plot_share", "plot_intervals"])
def test_each_picture_draws_on_given_axes_or_makes_its_own(found, name):
    ax = Figure().add_subplot()
    assert getattr(found, name)(ax=ax) is ax
    own = getattr(found, name)()
    assert own is not ax
    assert own._repr_png_().startswith(PNG)
    assert to_hex(own.get_figure().get_facecolor()) == "#ffffff"


def test_the_distribution_starts_at_all_calls_and_ends_at_the_last_one(found):
    ax = found.plot_cdf()
    for line, strategy in zip(ax.get_lines(), found.strategies, strict=True):
        x, y = line.get_data()
        n = len(found.latencies(strategy))
        assert y[0] == 1
        assert y[-2] == pytest.approx(1 / n)
        slower = (found.latencies(strategy) >= x[n // 2]).mean()
        assert y[n // 2] == pytest.approx(slower)


def test_a_strategy_has_one_colour_in_every_picture(found):
    colours = accents(found.strategies)
    assert len(set(colours.values())) == 3
    assert [to_hex(line.get_color()) for line in found.plot_cdf().get_lines()] == list(colours.values())
    assert [to_hex(line.get_color()) for line in found.plot_timeline().get_lines()] == list(colours.values())
    dots = [line for line in found.plot_intervals().get_lines() if line.get_marker() == "o"]
    assert [to_hex(dot.get_color()) for dot in dots] == list(colours.values())


def test_familiar_strategies_keep_their_colour_and_strangers_take_another():
    alone, crowded = accents(["p2c"]), accents(["mine", "random", "yours", "p2c"])
    assert alone["p2c"] == crowded["p2c"]
    assert len(set(crowded.values())) == 4
    assert len(accents([f"s{k}" for k in range(30)])) == 30


def test_the_shares_are_written_in_the_cells(found):
    numbers = [text.get_text() for text in found.plot_share().texts]
    assert numbers[:2] == ["50", "50"]
    assert numbers[-2:] == ["100", "0"]


def test_marks_are_drawn_on_the_time_axis(found):
    marked = Comparison(
        found.calls, found.blocks, strategies=found.strategies, workload=found.workload,
        marks=[Mark("beta slows down", 2, 5), Mark("beta dies", 7)],
    )  # fmt: skip
    ax = marked.plot_timeline()
    assert [text.get_text() for text in ax.texts[:2]] == ["beta slows down", "beta dies"]
    assert len(ax.patches) == 1


def test_lines_over_time_are_named_at_their_ends_in_their_colours_and_apart(found):
    figure = found.plot_timeline().get_figure()
    figure.canvas.draw()
    names = figure.axes[0].texts
    assert {text.get_text() for text in names} == set(found.strategies)
    colours = accents(found.strategies)
    assert {text.get_text(): to_hex(text.get_color()) for text in names} == colours
    boxes = sorted((text.get_window_extent() for text in names), key=lambda box: box.y0)
    assert all(above.y0 >= below.y1 - 5 for below, above in itertools.pairwise(boxes))
    assert max(box.x1 for box in boxes) <= figure.bbox.x1


def test_names_of_marks_that_are_close_take_a_row_each(found):
    marked = Comparison(
        found.calls, found.blocks, strategies=found.strategies, workload=found.workload,
        marks=[Mark("a long name of a mark", 2), Mark("another long name", 2.3), Mark("a third", 8)],
    )  # fmt: skip
    rows = [text.xyann[1] for text in marked.plot_timeline().texts[:3]]
    assert rows[0] == rows[2] > rows[1]


def test_an_unknown_metric_is_refused(found):
    with pytest.raises(ValueError, match="mean, p50, p95 or p99"):
        found.plot_intervals(metric="p90")


def test_nothing_few_and_strange_things_are_drawn_too(fleet, server, tmp_path):
    workload = Workload(tool="t", rate=40.0, requests=60)
    nothing = Comparison.from_rows([], [], strategies=["p2c", "random"], workload=workload)
    nothing.save(tmp_path / "nothing.png")
    dead = compare(fleet(server("a", 0.05, failing=1.0)), ["first"], workload=workload)
    dead.save(tmp_path / "dead.png")
    one = compare(fleet(("a", 0.05)), ["first"], workload=Workload(tool="t", rate=4.0, requests=1))
    one.save(tmp_path / "one.png")
    names = [(f"$server_{k}^ with a name far too long for a tick\u202e", 0.01) for k in range(40)]
    many = compare(
        fleet(*names), {f"strategy $\\frac {k}": "round_robin" for k in range(12)}, workload=workload
    )
    many.save(tmp_path / "many.png")
    assert len(list(tmp_path.iterdir())) == 4


def test_numbers_have_three_figures():
    shown = [number(x) for x in (0.0, 0.421, 4.21, 42.12, 421.2, 4212.3, np.nan)]
    assert shown == ["0.00", "0.42", "4.21", "42.1", "421", "4\u202f212", "\u2013"]


def test_matplotlib_is_loaded_only_to_draw_and_pyplot_never():
    code = (
        "import sys, mcpnb.experiment as e\n"
        "assert 'matplotlib' not in sys.modules, 'loaded by importing'\n"
        "w = e.Workload(tool='t', rate=1, requests=1)\n"
        "c = e.Comparison.from_rows([], [], strategies=['a'], workload=w)\n"
        "c.text(); c._repr_html_()\n"
        "assert 'matplotlib' not in sys.modules, 'loaded by showing a table'\n"
        "c.plot()\n"
        "assert 'matplotlib.pyplot' not in sys.modules, 'loaded by drawing'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
