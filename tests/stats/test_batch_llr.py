from __future__ import annotations

import numpy as np
import pytest

from arena.stats.batch_llr import approximate_llr, batch_llr
from arena.stats.pentanomial import Pentanomial
from arena.stats.sprt import EloModel, Sprt

TESTS = [
    Sprt(0, 5),
    Sprt(-40, 40),
    Sprt(-80, 0),
    Sprt(100, 300),
    Sprt(0, 80, model=EloModel.LOGISTIC),
    Sprt(-300, 600, model=EloModel.LOGISTIC),
]


def samples(seed: int, number: int) -> np.ndarray:
    """Counts [5, number] with many zeros among them."""
    random = np.random.default_rng(seed)
    laws = random.dirichlet(random.uniform(0.05, 3.0, 5), number)
    return np.array([random.multinomial(random.integers(1, 300), law) for law in laws]).T


@pytest.mark.parametrize("sprt", TESTS, ids=str)
def test_agrees_with_the_test_wherever_it_can_be_decided(sprt: Sprt) -> None:
    lower, upper = sprt.bounds
    counts = np.concatenate([samples(seed, 60) for seed in range(8)], axis=1)
    exact = np.array([sprt.llr(Pentanomial(*column)) for column in counts.T])
    found = batch_llr(sprt, counts)
    close = (exact > 2.0 * lower) & (exact < 2.0 * upper)
    assert np.count_nonzero(close) > 15
    error = np.abs(found - exact)[close]
    # Where two laws are nearly as likely, bounds far from 0 may find the other one.
    assert np.quantile(error, 0.9) < 5e-3
    assert error.max() < (0.7 if sprt.elo0 >= 100 else 5e-3)
    assert (found >= upper).tolist() == (exact >= upper).tolist()
    assert (found <= lower).tolist() == (exact <= lower).tolist()


def test_approximation_is_near_for_many_pairs() -> None:
    counts = np.array([[1100], [24_000], [56_000], [26_000], [1200]])
    for sprt in (Sprt(0, 5), Sprt(0, 5, model=EloModel.LOGISTIC)):
        exact = sprt.llr(Pentanomial(*counts[:, 0]))
        assert approximate_llr(sprt, counts)[0] == pytest.approx(exact, rel=0.01)


def test_one_pair_of_any_kind_has_a_finite_approximation() -> None:
    for sprt in TESTS:
        assert np.isfinite(approximate_llr(sprt, np.eye(5, dtype=np.int64))).all()
