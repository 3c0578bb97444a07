from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy.optimize import minimize

from arena.stats.likelihood import fit_mean, fit_t_value
from arena.stats.pentanomial import Pentanomial

SCORES = [0.0, 0.25, 0.5, 0.75, 1.0]
OFFSETS = [score - 0.5 for score in SCORES]


def frequencies_of(*counts: int) -> list[float]:
    regularised = Pentanomial(*counts).regularised()
    return [n / sum(regularised) for n in regularised]


def law_of(frequencies: list[float], log_ratios: tuple[float, ...]) -> np.ndarray:
    return np.array(frequencies) * np.exp(-np.array(log_ratios))


def log_likelihood(frequencies: list[float], log_ratios: tuple[float, ...]) -> float:
    return -float(np.dot(frequencies, log_ratios))


def t_value(law: np.ndarray) -> float:
    mean = law @ OFFSETS
    return float(mean / math.sqrt(law @ np.square(OFFSETS) - mean**2))


def best_found_by_descent(frequencies: list[float], t: float, generator: random.Random) -> float:
    """The best log-likelihood that a general optimiser finds from several starts."""
    p, k, squares = np.array(frequencies), t / math.hypot(1, t), np.square(OFFSETS)
    constraints = (
        {"type": "eq", "fun": lambda q: q.sum() - 1.0},
        {"type": "eq", "fun": lambda q: q @ OFFSETS - k * np.sqrt(q @ squares)},
    )
    found = []
    for _ in range(3):
        start = np.array([generator.expovariate(1) for _ in range(5)])
        result = minimize(
            lambda q: -float(p @ np.log(q / p)),
            start / start.sum(),
            bounds=[(1e-9, 1.0)] * 5,
            constraints=constraints,
            method="SLSQP",
            options={"ftol": 1e-13, "maxiter": 150},
        )
        if result.success and abs(result.x.sum() - 1) < 1e-8 and abs(t_value(result.x) - t) < 1e-7:
            found.append(-float(result.fun))
    return max(found, default=-math.inf)


@pytest.mark.parametrize("mean", [0.001, 0.2, 0.5, 0.503, 0.9, 0.999])
@pytest.mark.parametrize(
    "counts", [(11, 240, 560, 297, 14), (0, 0, 10**7, 0, 0), (10**7, 0, 0, 0, 0), (1, 0, 0, 0, 9)]
)
def test_fitted_law_has_the_mean(counts: tuple[int, ...], mean: float) -> None:
    frequencies = frequencies_of(*counts)
    law = law_of(frequencies, fit_mean(frequencies, SCORES, mean))
    assert law.sum() == pytest.approx(1.0, abs=1e-10)
    assert law @ SCORES == pytest.approx(mean, abs=1e-10)
    assert (law > 0).all()


@pytest.mark.parametrize("t", [-2.4, -0.3, -1e-3, 1e-9, 0.0, 0.02, 0.8, 2.4])
@pytest.mark.parametrize(
    "counts", [(11, 240, 560, 297, 14), (0, 0, 10**7, 0, 0), (10**7, 0, 0, 0, 0), (1, 0, 0, 0, 9)]
)
def test_fitted_law_has_the_t_value(counts: tuple[int, ...], t: float) -> None:
    frequencies = frequencies_of(*counts)
    law = law_of(frequencies, fit_t_value(frequencies, OFFSETS, t))
    assert law.sum() == pytest.approx(1.0, abs=1e-8)
    assert t_value(law) == pytest.approx(t, rel=1e-7, abs=1e-10)
    assert (law > 0).all()


def test_a_hypothesis_that_the_sample_meets_leaves_it_alone() -> None:
    frequencies = frequencies_of(11, 240, 560, 297, 14)
    t = t_value(np.array(frequencies))
    assert fit_t_value(frequencies, OFFSETS, t) == pytest.approx([0.0] * 5, abs=1e-9)
    mean = float(np.dot(frequencies, SCORES))
    assert fit_mean(frequencies, SCORES, mean) == pytest.approx([0.0] * 5, abs=1e-12)


def test_no_other_law_is_more_likely() -> None:
    generator = random.Random(7)
    compared = 0
    for _ in range(10):
        frequencies = frequencies_of(*(generator.choice([0, 2, 20, 300, 5000]) for _ in range(5)))
        t = generator.choice([-1, 1]) * generator.choice([0.01, 0.05, 0.3, 1.0])
        found = best_found_by_descent(frequencies, t, generator)
        ours = log_likelihood(frequencies, fit_t_value(frequencies, OFFSETS, t))
        assert ours >= found - 1e-7 * max(1.0, abs(found)), (frequencies, t)
        compared += math.isfinite(found) and abs(ours - found) < 1e-5 * max(1e-3, abs(ours))
    assert compared >= 6  # the optimiser does find our law, mostly


def test_the_higher_of_two_peaks_is_taken() -> None:
    """Nearly all draws: more WD (-27.45 nats) is likelier than more WW (-28.15, the other peak)."""
    frequencies = frequencies_of(7, 3, 518, 4, 0)
    t = 50 * math.sqrt(2) * math.log(10) / 800
    fit = fit_t_value(frequencies, OFFSETS, t)
    assert 532.001 * log_likelihood(frequencies, fit) == pytest.approx(-27.447, abs=5e-3)
    law = law_of(frequencies, fit)
    assert law[3] > law[4]
