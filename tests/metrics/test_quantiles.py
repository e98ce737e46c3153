"""Quantiles against NumPy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpnb.metrics import grouped_quantiles, quantile, quantiles
from mcpnb.metrics.quantiles import dense

values = st.lists(st.floats(0, 1e6), max_size=60)
shares = st.lists(st.floats(0, 1), min_size=1, max_size=4)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), shares)
def test_quantiles_are_numpys(sample: list[float], qs: list[float]) -> None:
    assert quantiles(sample, qs) == pytest.approx(np.quantile(sample, qs), rel=1e-12, abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 6), st.floats(0, 1e6) | st.just(math.nan)), max_size=80), shares)
def test_grouped_quantiles_are_the_quantiles_of_each_group(
    pairs: list[tuple[int, float]], qs: list[float]
) -> None:
    groups = np.array([group for group, _ in pairs], np.int64)
    sample = np.array([value for _, value in pairs], np.float64)
    found = grouped_quantiles(groups, sample, 7, qs)
    assert found.shape == (7, len(qs))
    for group in range(7):
        assert found[group] == pytest.approx(quantiles(sample[groups == group], qs), nan_ok=True)


@given(values, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_never_has_a_smaller_quantile(sample: list[float], p: float, q: float) -> None:
    low, high = quantiles(sample, sorted((p, q)))
    assert not low > high


@given(st.lists(st.integers(0, 50)), st.sampled_from([51, 1 << 21]))
def test_dense_numbers_the_codes_that_occur(codes: list[int], n: int) -> None:
    present, places = dense(np.array(codes, np.int64), n)
    assert present.tolist() == sorted(set(codes))
    assert present[places].tolist() == codes


def test_a_quantile_of_nothing_is_nan_and_nan_does_not_count() -> None:
    assert math.isnan(quantile([], 0.5))
    assert math.isnan(quantile([math.nan], 0.5))
    assert quantile([math.nan, 3.0, 1.0], 0.5) == 2.0


def test_more_than_65536_groups_keep_their_values_apart() -> None:
    groups = np.arange(70_000)
    assert grouped_quantiles(groups, groups * 1.0, 70_000, (0.5,))[:, 0].tolist() == groups.tolist()


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_a_share_outside_0_to_1_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile([1.0], q)
