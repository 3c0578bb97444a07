"""``Sprt.llr`` of many counts of pairs at once, in numpy: for rehearsing a test, not for judging.

The formulas are those of ``arena.stats.likelihood``, which explains them. What differs: iterations
stop at a hundredth of the tolerance that a rehearsal needs, and where a normalized likelihood has
two peaks, the one nearest to the sample is taken (rare, and only while a test is far from its
end). Against ``Sprt.llr``: tests/stats/test_batch_llr.py.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from arena.stats.elo import NELO_PER_DEVIATION, score_of_elo
from arena.stats.likelihood import NEGLIGIBLE_T
from arena.stats.pentanomial import REGULARISED_ZERO
from arena.stats.sprt import EloModel, Sprt

Floats = NDArray[np.float64]

OFFSETS = np.array([-0.5, -0.25, 0.0, 0.25, 0.5])
"""Score minus 1/2 of each outcome of a pair."""

SCALE_ROUNDS = 40
"""At most; two or three are the rule."""

SCALE_TOLERANCE = 1e-3
"""Relative. The likelihood is stationary in the scale: it errs by the square of this."""

NEWTON_ROUNDS = 60
NEWTON_TOLERANCE = 1e-6
"""Relative, of the distance to the pole; the likelihood is stationary in this as well."""

BLOCK = 2048
"""Columns at a time, so that they stay in the processor's cache."""


def batch_llr(sprt: Sprt, counts: NDArray[np.integer]) -> Floats:
    """Return the LLR [n], in nats, of counts [5, n] of pairs: LL, LD, WL+DD, WD, WW.

    Within 0.003 of ``sprt.llr`` where that is within twice the usual bounds, and past a bound
    wherever that is; with both bounds hundreds of Elo from 0, half a nat off in rare samples.
    """
    llr = np.empty(counts.shape[1])
    for start in range(0, llr.size, BLOCK):
        block = counts[:, start : start + BLOCK]
        weights = np.where(block > 0, block, REGULARISED_ZERO)
        size = weights.sum(axis=0)
        frequencies = weights / size
        at_elo0, at_elo1 = (_divergence(sprt.model, frequencies, e) for e in (sprt.elo0, sprt.elo1))
        llr[start : start + BLOCK] = size * (at_elo0 - at_elo1)
    return llr


def approximate_llr(sprt: Sprt, counts: NDArray[np.integer]) -> Floats:
    """Return the LLR's closed approximation [n], of counts [5, n] of at least one pair.

    Off by some per cent near a bound in long tests, by far more while few different results were
    seen. Source: fishtest ``LLRcalc.py:152-162, 243-268``.
    """
    won, lost = counts[3] + 2.0 * counts[4], counts[1] + 2.0 * counts[0]
    size = counts.sum(axis=0)
    mean = (won - lost) / (4.0 * size)
    square = (won + lost + 2.0 * (counts[0] + counts[4])) / (16.0 * size)
    if sprt.model is EloModel.LOGISTIC:
        s0, s1 = score_of_elo(sprt.elo0) - 0.5, score_of_elo(sprt.elo1) - 0.5
        spread0, spread1 = (
            np.log(np.maximum(square + s * (s - 2.0 * mean), 1e-12)) for s in (s0, s1)
        )
        return np.asarray(size / 2.0 * (spread0 - spread1))
    t = mean / np.sqrt(np.maximum(square - mean * mean, 1e-12))
    t0, t1 = (math.sqrt(2.0) * elo / NELO_PER_DEVIATION for elo in (sprt.elo0, sprt.elo1))
    return np.asarray(size / 2.0 * (np.log1p((t - t0) ** 2) - np.log1p((t - t1) ** 2)))


def _divergence(model: EloModel, frequencies: Floats, elo: float) -> Floats:
    """Return how far [n] samples are from a hypothesis: ln likelihood lost by it, per pair."""
    t = math.sqrt(2.0) * elo / NELO_PER_DEVIATION
    if model is EloModel.NORMALIZED and abs(t) >= NEGLIGIBLE_T:
        return _t_divergence(frequencies if t > 0.0 else frequencies[::-1], abs(t))
    mean = score_of_elo(elo) - 0.5 if model is EloModel.LOGISTIC else 0.0
    values = np.repeat(OFFSETS[:, None] - mean, frequencies.shape[1], axis=1)
    return np.asarray((frequencies * np.log(_ratios(frequencies, values))).sum(axis=0))


def _t_divergence(frequencies: Floats, t: float) -> Floats:
    """Return the divergence [n] from "the mean is t > 0 deviations"; see ``fit_t_value``."""
    k = t / math.hypot(1.0, t)
    squares = (OFFSETS**2)[:, None]
    low, high = k * 0.25 * (1.0 - 1e-6), 0.5
    scale = np.clip(np.sqrt((frequencies * squares).sum(axis=0)), low, high)
    ratios = np.empty_like(frequencies)
    left = np.arange(scale.size)
    for _ in range(SCALE_ROUNDS):
        p, c = frequencies[:, left], scale[left]
        fit = _ratios(p, OFFSETS[:, None] - (k / 2.0) * (squares / c + c))
        ratios[:, left] = fit
        scale[left] = np.clip(np.sqrt((p / fit * squares).sum(axis=0)), low, high)
        left = left[np.abs(scale[left] - c) > SCALE_TOLERANCE * c]
        if not left.size:
            break
    return np.asarray((frequencies * np.log(ratios)).sum(axis=0))


def _ratios(frequencies: Floats, values: Floats) -> Floats:
    """Return frequency / law [5, n] of the likeliest laws under which ``values`` average to 0.

    ``gap + u share`` with the distance u to the pole, which is found by Newton's steps in u as in
    ``arena.stats.likelihood._log_distance_to_pole``; none is so close to 0 here that its logarithm
    is needed.
    """
    drift = (frequencies * values).sum(axis=0)
    shares = values / np.where(drift > 0.0, values.min(axis=0), values.max(axis=0))
    weights = frequencies * shares
    gaps = 1.0 - shares
    low = np.where(gaps == 0.0, weights, 0.0).sum(axis=0) / -np.minimum(weights, 0.0).sum(axis=0)
    near_one = -weights.sum(axis=0) / (weights * shares).sum(axis=0)
    u = np.maximum(np.where(near_one < 0.5, 1.0 - near_one, low), low)
    left = np.arange(u.size)
    parts = weights, shares, gaps, u.copy(), low * (1.0 - 1e-9), np.ones_like(u)
    for _ in range(NEWTON_ROUNDS):
        weight, share, gap, at, below, above = parts
        denominators = gap + at * share
        terms = weight / denominators
        total = terms.sum(axis=0)
        slope = (terms / denominators * share).sum(axis=0)
        below, above = np.where(total > 0.0, at, below), np.where(total > 0.0, above, at)
        following = at * (1.0 - total / (total - at * slope))
        inside = (following >= below) & (following <= above)
        following = np.where(inside, following, np.sqrt(below * above))
        u[left] = following
        moving = np.abs(following - at) > NEWTON_TOLERANCE * at
        if not moving.any():
            break
        parts = weight, share, gap, following, below, above
        if 2 * np.count_nonzero(moving) < moving.size:
            left = left[moving]
            parts = tuple(part[..., moving] for part in parts)
    return np.asarray(gaps + u * shares)
