"""Intervals by resampled games: against theory and scipy, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from swa import bootstrap
from swa.bootstrap import interval, resampled_means


def games(random, count):
    """Sums and counts of games of many lengths, whose positions share most of their luck."""
    lengths = random.integers(5, 80, count)
    luck = random.normal(0.3, 0.5, count)
    noise = [luck[game] + random.normal(0, 0.3, length) for game, length in enumerate(lengths)]
    return noise, np.array([row.sum() for row in noise]), lengths.astype(float)


def test_the_spread_is_that_of_a_ratio_of_sums():
    random = np.random.default_rng(1)
    _, sums, counts = games(random, 200)
    means = resampled_means(sums[:, None], counts[:, None], 20_000, 3)[:, 0]
    mean = sums.sum() / counts.sum()
    # Linearised (Cochran, Sampling Techniques, 1977, section 2.11)
    error = np.sqrt(((sums - mean * counts) ** 2).sum()) / counts.sum()
    assert means.mean() == pytest.approx(mean, abs=0.05 * error)
    assert means.std() == pytest.approx(error, rel=0.05)


def test_the_interval_is_that_of_scipy():
    random = np.random.default_rng(2)
    _, sums, counts = games(random, 40)
    found = interval(resampled_means(sums[:, None], counts[:, None], 20_000, 5)[:, 0])
    expected = stats.bootstrap(
        (sums, counts),
        lambda one, two, axis: one.sum(axis=axis) / two.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(7),
    )
    width = expected.confidence_interval[1] - expected.confidence_interval[0]
    assert found == pytest.approx(tuple(expected.confidence_interval), abs=0.03 * width)


def test_same_seed_same_draws_however_many_are_drawn_at_once(monkeypatch):
    random = np.random.default_rng(3)
    sums, counts = random.normal(size=(30, 4)), random.integers(1, 9, (30, 4)).astype(float)
    means = resampled_means(sums, counts, 100, 1)
    monkeypatch.setattr(bootstrap, "_DRAWN_AT_ONCE", 70)
    np.testing.assert_array_equal(resampled_means(sums, counts, 100, 1), means)
    assert (resampled_means(sums, counts, 100, 2) != means).any()


def test_all_quantities_are_of_the_same_draws():
    random = np.random.default_rng(4)
    sums, counts = random.normal(size=50), random.integers(1, 9, 50).astype(float)
    pair = np.stack([sums, sums + 0.25 * counts], axis=1)
    means = resampled_means(pair, np.stack([counts, counts], axis=1), 500, 1)
    np.testing.assert_allclose(means[:, 1] - means[:, 0], 0.25, rtol=1e-12)
    assert np.ptp(means[:, 0]) > 0.1


def test_what_no_drawn_game_has_is_not_counted():
    sums, counts = np.array([[3.0, 0], [1, 0], [4, 8]]), np.array([[1.0, 0], [1, 0], [1, 4]])
    means = resampled_means(sums, counts, 300, 0)
    assert not np.isnan(means[:, 0]).any()
    assert 0 < np.isnan(means[:, 1]).sum() < 300
    assert interval(means[:, 1]) == (2, 2)
    assert interval(np.full(3, np.nan)) is None
    assert interval(np.zeros(0)) is None


def test_coverage():
    """Of 400 intervals from 40 games each some 95 % hold the true mean; by positions, few."""
    random = np.random.default_rng(5)
    held = held_by_positions = 0
    for seed in range(400):
        rows, sums, counts = games(random, 40)
        low, high = interval(resampled_means(sums[:, None], counts[:, None], 400, seed)[:, 0])
        held += low <= 0.3 <= high
        positions = np.concatenate(rows)
        error = 1.96 * positions.std() / np.sqrt(len(positions))
        held_by_positions += abs(positions.mean() - 0.3) <= error
    # Percentile intervals of 40 games hold some 93.5 %; three standard deviations of 400 are 3.7 %
    assert 0.90 <= held / 400 <= 0.97
    assert held_by_positions / 400 < 0.6
