"""Estimators against NumPy, against theory, and against what they promise to cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mcpnb.experiment import statistics


@given(
    values=arrays(float, st.integers(1, 40), elements=st.floats(0, 1e6)),
    data=st.data(),
)
def test_replicates_are_the_statistics_of_the_repeated_values(values, data):
    blocks = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(values), max_size=len(values))))
    draws = np.array(
        data.draw(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=5))
    )
    found = statistics.block_replicates(values, np.arange(4), blocks, draws)
    for k, times in enumerate(draws):
        sample = np.repeat(values, times[blocks])
        for name, q in statistics.QUANTILES.items():
            want = np.quantile(sample, q) if len(sample) else math.nan
            assert found[name][k] == pytest.approx(want, rel=1e-9, abs=1e-6, nan_ok=True)
        mean = sample.mean() if len(sample) else math.nan
        assert found["mean"][k] == pytest.approx(mean, rel=1e-9, abs=1e-6, nan_ok=True)


def test_point_estimates_are_numpys():
    values = np.random.default_rng(0).exponential(size=501)
    found = statistics.point(values)
    assert found["mean"] == pytest.approx(values.mean())
    assert [found[k] for k in ("p50", "p95", "p99", "p999")] == pytest.approx(
        list(np.quantile(values, [0.5, 0.95, 0.99, 0.999]))
    )


def test_nothing_gives_nan_and_no_interval():
    assert all(math.isnan(x) for x in statistics.point(np.zeros(0)).values())
    replicates = statistics.call_replicates(np.zeros(0), np.random.default_rng(0))
    assert all(np.isnan(x).all() for x in replicates.values())
    assert all(math.isnan(x) for x in statistics.interval(replicates["p50"], units=0))


def test_call_replicates_scatter_like_the_mean_of_a_sample():
    values = np.random.default_rng(1).normal(100, 15, size=400)
    found = statistics.call_replicates(values, np.random.default_rng(2), 4000)
    assert found["mean"].std() == pytest.approx(15 / math.sqrt(400), rel=0.15)
    low, high = statistics.interval(found["mean"], units=400)
    assert low < values.mean() < high


def test_blocks_that_lean_together_widen_the_interval():
    rng = np.random.default_rng(3)
    blocks = np.repeat(np.arange(20), 50)
    values = 100 + rng.normal(0, 10, 20)[blocks] + rng.normal(0, 1, 1000)
    draws = statistics.block_draws(20, rng, 2000)
    by_block = statistics.block_replicates(values, np.arange(20), blocks, draws)["mean"].std()
    by_call = statistics.call_replicates(values, rng)["mean"].std()
    assert by_block > 4 * by_call


def test_shared_draws_pair_the_strategies():
    """A drift that hits both alike is nearly absent from the difference."""
    rng = np.random.default_rng(4)
    blocks = np.repeat(np.arange(12), 40)
    drift = rng.normal(0, 30, 12)[blocks]
    a, b = 100 + drift + rng.normal(0, 2, 480), 104 + drift + rng.normal(0, 2, 480)
    draws = statistics.block_draws(12, rng, 2000)
    a, b = (statistics.block_replicates(v, np.arange(12), blocks, draws)["mean"] for v in (a, b))
    low, high = statistics.interval(b - a, units=12)
    assert 2 < low < 4 < high < 6
    assert a.std() > 20 * (b - a).std()


@pytest.mark.parametrize(("units", "t"), [(8, 2.3646), (12, 2.2010), (30, 2.0452), (1000, 1.9623)])
def test_the_tails_are_students(units, t):
    """Normal replicates: the half width must be t · sqrt(n / (n - 1)) standard errors."""
    grid = np.linspace(0, 1, 200_001)[1:-1]
    from statistics import NormalDist

    replicates = np.array([NormalDist().inv_cdf(float(x)) for x in grid[::20]])
    _, high = statistics.interval(replicates, units=units)
    assert high == pytest.approx(t * math.sqrt(units / (units - 1)), rel=0.01)


def test_intervals_over_ten_blocks_cover_the_truth_about_as_often_as_they_say():
    rng, hits, trials = np.random.default_rng(5), 0, 300
    blocks = np.repeat(np.arange(10), 10)
    for _ in range(trials):
        values = 50 + rng.normal(0, 5, 10)[blocks] + rng.normal(0, 5, 100)
        draws = statistics.block_draws(10, rng, 600)
        low, high = statistics.interval(
            statistics.block_replicates(values, np.arange(10), blocks, draws)["mean"], units=10
        )
        hits += low <= 50 <= high
    assert 0.91 <= hits / trials <= 0.99


@pytest.mark.parametrize("keeps", [0.0, 0.8, 0.95])
def test_how_many_calls_lean_on_each_other_is_that_of_an_autoregression(keeps):
    rng, values = np.random.default_rng(3), np.zeros(40_000)
    for i, shock in enumerate(rng.normal(0, 1, len(values) - 1)):
        values[i + 1] = keeps * values[i] + shock
    assert statistics.leaning_calls(values) == pytest.approx((1 + keeps) / (1 - keeps), rel=0.15)


def test_how_calls_lean_is_unknown_of_few_and_nothing_where_all_are_alike():
    assert math.isnan(statistics.leaning_calls(np.ones(5)))
    assert statistics.leaning_calls(np.ones(500)) == 1.0


def test_jains_index():
    assert statistics.jain(np.array([0.25] * 4)) == pytest.approx(1)
    assert statistics.jain(np.array([1.0, 0, 0, 0])) == pytest.approx(0.25)
    assert math.isnan(statistics.jain(np.zeros(3)))


def test_wilsons_interval_is_sensible_at_the_ends():
    assert statistics.wilson(0, 0) == (0.0, 1.0)
    assert statistics.wilson(0, 100) == pytest.approx((0, 0.0370), abs=1e-4)
    assert statistics.wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


def test_a_straggler_does_not_stretch_the_working_time_but_a_backlog_does():
    at = np.arange(1, 21) / 20
    quick = np.full(20, 0.05)
    assert statistics.busy_seconds(at + quick, quick, 1.0) == pytest.approx(1.0, rel=0.02)
    straggling = np.append(quick[:-1], 5.0)
    assert statistics.busy_seconds(at + straggling, straggling, 1.0) == pytest.approx(1.0, rel=0.02)
    ends = np.arange(1, 21) / 10  # half as fast as they were sent
    assert statistics.busy_seconds(ends, ends - at, 1.0) == pytest.approx(2.0, rel=0.06)
    assert statistics.busy_seconds(np.zeros(0), np.zeros(0), 1.0) == 1.0


@pytest.mark.parametrize("n", [1, 7, 100])
def test_calls_drawn_by_theory_scatter_like_calls_drawn_one_by_one(n):
    rng = np.random.default_rng(n)
    values = rng.lognormal(size=n)
    found = statistics.call_replicates(values, rng, 20_000)
    samples = values[rng.integers(0, n, size=(20_000, n))]
    for name, q in statistics.QUANTILES.items():
        levels = [0.05, 0.25, 0.5, 0.75, 0.95]
        ours, theirs = (np.quantile(x, levels) for x in (found[name], np.quantile(samples, q, axis=1)))
        np.testing.assert_allclose(ours, theirs, rtol=0.1)


def test_the_mean_of_very_many_calls_scatters_as_theory_says():
    values = np.random.default_rng(6).exponential(size=50_000)
    found = statistics.call_replicates(values, np.random.default_rng(7))["mean"]
    assert found.mean() == pytest.approx(values.mean(), rel=0.001)
    assert found.std() == pytest.approx(values.std() / math.sqrt(50_000), rel=0.1)
