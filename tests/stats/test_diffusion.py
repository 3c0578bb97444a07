from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.stats.diffusion import (
    MOST_TERMS,
    Diffusion,
    diffusion_of,
    log_likelihood_ratios,
    mean_overshoots,
)
from arena.stats.outcomes import BayesElo, PairLaw
from arena.stats.sprt import Sprt

DRIFTS = st.floats(-0.5, 0.5)
DISTANCES = st.floats(0.5, 10.0)


def test_walds_closed_forms() -> None:
    """Drift of half the variance, as an LLR has under elo1: the nominal errors exactly."""
    a, b = math.log(0.03 / 0.9), math.log(0.97 / 0.1)
    motion = Diffusion(0.005, 0.01, a, b)
    assert motion.pass_probability == pytest.approx(0.97)
    assert motion.mean == pytest.approx((0.97 * b + 0.03 * a) / 0.005)
    still = Diffusion(0.0, 0.01, a, b)
    assert still.pass_probability == pytest.approx(-a / (b - a))
    assert still.mean == pytest.approx(-a * b / 0.01)
    nearly = Diffusion(1e-9, 0.01, a, b)
    assert nearly.mean == pytest.approx(still.mean, rel=1e-4)


@given(DRIFTS, DISTANCES, DISTANCES, st.floats(0.3, 300.0))
def test_chances(drift: float, below: float, above: float, pairs: float) -> None:
    motion, mirrored = Diffusion(drift, 1.0, -below, above), Diffusion(-drift, 1.0, -above, below)
    ends, others = motion.ends(pairs), mirrored.ends(pairs)
    assert ends.promote + ends.keep + ends.undecided == pytest.approx(1.0, abs=1e-6)
    assert ends.promote == pytest.approx(others.keep, abs=1e-9)
    assert motion.mean == pytest.approx(mirrored.mean, rel=1e-6)
    assert motion.ends(2.0 * pairs).undecided <= ends.undecided + 1e-9
    assert motion.truncated_mean(pairs) <= min(pairs, motion.mean)


@pytest.mark.parametrize("drift", [-0.3, -0.02, 0.0, 0.1, 0.4, 2.0])
def test_mean_and_quantiles_agree_with_the_chances(drift: float) -> None:
    motion = Diffusion(drift, 1.0, -8.0, 9.0)
    times = np.linspace(0.0, 40.0 * motion.mean, 8001)[1:]
    waiting = np.array([motion.ends(float(t)).undecided for t in times])
    step = times[1] - times[0]
    assert (0.5 + waiting.sum()) * step == pytest.approx(motion.mean, rel=2e-3)
    half = times[999]
    assert motion.truncated_mean(half) == pytest.approx(
        (0.5 + waiting[:999].sum() + waiting[999] / 2.0) * step, rel=3e-3
    )
    for share in (0.1, 0.5, 0.9):
        assert motion.ends(motion.quantile(share)).undecided == pytest.approx(1 - share, abs=1e-5)


def test_both_series_agree_where_they_meet() -> None:
    """Either side of a drift that is called steep: nothing jumps."""
    for pairs in (2.0, 3.0, 4.0, 5.0, 8.0):
        gentle, steep = Diffusion(2.49999, 1.0, -6.0, 10.0), Diffusion(2.50001, 1.0, -6.0, 10.0)
        assert gentle.ends(pairs).promote == pytest.approx(steep.ends(pairs).promote, abs=1e-4)
        assert gentle.truncated_mean(pairs) == pytest.approx(steep.truncated_mean(pairs), rel=1e-3)


@pytest.mark.parametrize(
    "law",
    [
        BayesElo(0.5).law(0.0),
        BayesElo(0.0).law(0.0),
        BayesElo(0.9).law(0.0),
        (0.1, 0.2, 0.3, 0.4 / 3, 0.8 / 3),
        (0.0, 0.3, 0.4, 0.3, 0.0),
    ],
)
def test_overshoot_of_a_walk(law: PairLaw) -> None:
    """Against the ladder heights of walks on a line, found by repeated steps of their law."""
    steps = np.arange(-2, 3)
    tilt = 0.0
    for _ in range(60):  # Newton's steps to the law without drift
        weights = np.array(law) * np.exp(tilt * steps)
        p = weights / weights.sum()
        mean = p @ steps
        tilt -= mean / (p @ steps**2 - mean**2)
    reach = 400
    place = np.zeros(reach + 1)  # chance to stand at 0, -1, -2, ... before the first new record
    place[0], heights = 1.0, np.zeros(3)
    for _ in range(4000):
        padded = np.concatenate(([0.0, 0.0], place, [0.0, 0.0]))
        heights[1] += p[3] * place[0] + p[4] * place[1]
        heights[2] += p[4] * place[0]
        place = sum(p[2 + s] * padded[2 + s : 2 + s + reach + 1] for s in (-2, -1, 0, 1, 2))
    expected = (heights[1] + 4 * heights[2]) / (2 * (heights[1] + 2 * heights[2]))
    below, above = mean_overshoots(law)
    assert above == pytest.approx(expected, abs=0.02)
    assert mean_overshoots(law[::-1]) == pytest.approx((above, below))


def test_a_walk_of_single_games_overshoots_by_half_a_step() -> None:
    """Steps of two quarters, up or down: all that tells is where between two steps the bound is."""
    assert mean_overshoots((0.3, 0.0, 0.5, 0.0, 0.2)) == pytest.approx((1.0, 1.0), abs=1e-5)


def test_jumps_average_to_the_llr_of_a_law() -> None:
    """Of as many pairs as make every count whole, by the test itself."""
    from arena.stats.pentanomial import Pentanomial

    counts = Pentanomial(100, 200, 400, 200, 100)
    law = (0.1, 0.2, 0.4, 0.2, 0.1)
    for sprt in (Sprt(0, 30), Sprt(-10, 60, model="logistic")):  # type: ignore[arg-type]
        jumps = log_likelihood_ratios(sprt, law)
        drift = sum(p * jump for p, jump in zip(law, jumps, strict=True))
        assert 1000.0 * drift == pytest.approx(sprt.llr(counts), rel=1e-9)
        motion = diffusion_of(sprt, law)
        assert motion.drift == pytest.approx(drift)
        assert motion.lower < sprt.bounds[0] < sprt.bounds[1] < motion.upper


@pytest.mark.parametrize("drift", [-1e-5, 0.0, 2e-5])
def test_long_before_anything_can_end(drift: float) -> None:
    """No series of as many terms as the time is short; and no step where the series takes over."""
    motion = Diffusion(drift, 1.0, -1e7, 3e6)
    for pairs in (1e-300, 1.0, 1e6, 1e7):
        ends = motion.ends(pairs)
        assert (ends.promote, ends.keep) == pytest.approx((0.0, 0.0), abs=1e-12)
        assert ends.undecided == pytest.approx(1.0)
        assert motion.truncated_mean(pairs) <= pairs
    assert motion.truncated_mean(1e7) == pytest.approx(1e7, rel=1e-4)
    slowest = math.pi**2 / (2.0 * 1.3e7**2)
    border = 45.0 / (slowest * MOST_TERMS**2)
    before, after = motion.ends(border * 0.999), motion.ends(border * 1.001)
    assert before.undecided == pytest.approx(after.undecided, abs=1e-9)
