from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from mcpnb.simulation import service

MODELS = [
    service.exponential(0.5),
    service.deterministic(0.5),
    service.lognormal(0.5, 2.0),
    service.hyperexponential([3, 1], [0.2, 2.0]),
    service.pareto(4.0, 0.3),
    service.empirical([0.1, 0.2, 0.6]),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_samples_have_the_stated_mean_and_are_never_negative(model):
    samples = model.sample(np.random.default_rng(1), 200_000)
    assert samples.shape == (200_000,)
    assert samples.min() >= 0
    assert samples.mean() == pytest.approx(model.mean, rel=0.02)


def test_lognormal_has_the_stated_coefficient_of_variation():
    samples = service.lognormal(2.0, 0.5).sample(np.random.default_rng(1), 200_000)
    assert samples.std() / samples.mean() == pytest.approx(0.5, rel=0.02)


def test_pareto_starts_at_its_minimum_and_has_no_mean_with_a_heavy_tail():
    assert service.pareto(3.0, 0.2).sample(np.random.default_rng(1), 10_000).min() >= 0.2
    assert service.pareto(1.0, 0.2).mean == math.inf


def test_empirical_draws_only_what_was_measured():
    assert set(service.empirical(np.array([0.1, 0.7])).sample(np.random.default_rng(1), 100)) == {0.1, 0.7}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_draws_go_on_past_a_chunk_and_repeat_for_the_same_seed(model):
    first, again = (
        list(itertools.islice(service.draws(model, np.random.default_rng(7)), 500)) for _ in range(2)
    )
    assert len(first) == 500
    assert first == again


def test_equal_models_are_equal_values():
    assert service.empirical([1, 2]) == service.empirical([1.0, 2.0])
    assert hash(service.exponential(1.0)) == hash(service.exponential(1.0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: service.exponential(0), "mean must be a number above 0"),
        (lambda: service.exponential(math.nan), "mean must be a number above 0"),
        (lambda: service.deterministic(-1), "x must be a number of at least 0"),
        (lambda: service.lognormal(1, 0), "cv must be"),
        (lambda: service.hyperexponential([1], [1, 2]), "as many"),
        (lambda: service.hyperexponential([1, -1], [1, 2]), "weights must be"),
        (lambda: service.pareto(0, 1), "alpha must be"),
        (lambda: service.empirical([]), "samples is empty"),
        (lambda: service.empirical([1, math.nan]), "finite"),
    ],
)
def test_impossible_distributions_say_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()
