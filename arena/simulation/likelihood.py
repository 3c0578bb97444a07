"""The exact GSPRT log-likelihood ratio of ``arena.stats``, compiled, and a watch over it.

The same problem and the same choices as ``arena/stats/likelihood.py``, which says why; here a
value costs a microsecond or two instead of a hundred. Laws have the five outcomes of a pair.

The ratio need not even be computed after each pair. It is G_0 - G_1, where G_j is how much less
likely hypothesis j makes the sample than its own frequencies do; by duality, for a mean s, the
maximum over x of

    G(x) = sum n_i ln(1 + x v_i),    v_i = a_i - s.

Let x be the one of a sample and let m more pairs come. At the old x the new sum is at hand, one
addition a pair, and falls short of the new maximum by at most -l - ln(1 - l), l^2 = g^2 / h with
g = sum m_i v_i / (1 + x v_i) and h = sum n_i v_i^2 / (1 + x v_i)^2, as G is self-concordant
(S. Boyd, L. Vandenberghe, "Convex Optimization", 2004, section 9.6.3). The 0.001 that stands for
an outcome not seen would spoil that; being concave, its term lies below its tangent, so h without
it bounds the shortfall. So a match of ten thousand pairs needs the ratio some hundred times: at
an outcome's first pair, when l has grown to 1/4, and when a bound of the test comes within reach.

A t-value's constraint is linear at a scale c that moves with the sample,

    v_i = z_i - k (z_i^2 / c + c) / 2,    z_i = a_i - 1/2

(``arena/stats/likelihood.py``). At the best scale the sum of n_i b_i is 0, where
b_i = (1 - z_i^2 / c^2) / (1 + x v_i). So e = sum m_i b_i tells how far the scale has moved, by
e / 2 N of itself, and that changes G by about x k c e^2 / 4 N. There is no proof of a bound here:
both shortfalls are taken ``_T_VALUE_SAFETY`` times in both directions, and tests compare with the
ratio at every pair, also where the results that follow are all of one kind.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from arena.stats.elo import NELO_PER_DEVIATION, score_of_elo
from arena.stats.likelihood import NEGLIGIBLE_T
from arena.stats.pentanomial import REGULARISED_ZERO
from arena.stats.sprt import EloModel, Sprt
from swa.jit import inline, kernel

Vector = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

OUTCOMES = 5
_SCALE_TOLERANCE = 1e-8  # relative; the likelihood is stationary in the scale
_T_VALUE_SAFETY = 4.0
_LARGEST_BEND = 1.0 / 16.0  # of e against N: the scale moves by 3 %
_ROUNDING = 1e-9  # of the sums that are kept up, and of the ratio
_LARGEST_SHIFT = 1.0 / 4.0  # l of the text
_SHORTFALL = 2.0 / 3.0  # -l - ln(1 - l) <= l^2 / (2 (1 - l)), so 2/3 l^2 up to l = 1/4


class Hypotheses(NamedTuple):
    """The two strengths that are compared, and what stands for an outcome not seen.

    No constant of ``arena.stats`` is compiled in: numba would not notice that it has changed.
    """

    mean: bool  # whether the strengths are scores; else they are t-values
    at0: float
    at1: float
    unseen: float  # count, instead of 0


class Fit(NamedTuple):
    """The likeliest law of a hypothesis, against the sample: what ``fit`` fills."""

    ratios: Vector  # [5] ln(law / fitted law), which is ln(1 + x v_i)
    slopes: Vector  # [5] v_i / (1 + x v_i)
    bends: Vector  # [5] b_i of the text; 0 for a mean
    scale: Vector  # [2] c and x k c of the text; 1 and 0 for a mean


class Workspace(NamedTuple):
    """Arrays that the compiled code works in; one a thread."""

    law: Vector  # [5] the sample's frequencies, zero counts regularised
    mirrored: Vector  # [5] the same, best outcome first
    values: Vector  # [5] of the outcomes, under the constraint that is fitted
    ratios: Vector  # [5] ln(law / fitted law)
    scale: Vector  # [1] at which that is
    fit0: Fit
    fit1: Fit
    watch: Vector  # [12] see ``start_watch``


def hypotheses_of(test: Sprt) -> Hypotheses:
    """Return what the compiled code needs to know of a test on pairs.

    ValueError where its bounds are in BayesElo: as scores they move with the draws seen.
    """
    if test.model is EloModel.BAYESIAN:
        raise ValueError("bounds in BayesElo cannot be simulated: take logistic or normalized ones")
    if test.model is EloModel.LOGISTIC:
        scores = score_of_elo(test.elo0), score_of_elo(test.elo1)
        return Hypotheses(True, *scores, REGULARISED_ZERO)
    unit = math.sqrt(2.0) / NELO_PER_DEVIATION
    t0, t1 = (t if abs(t) >= NEGLIGIBLE_T else 0.0 for t in (test.elo0 * unit, test.elo1 * unit))
    return Hypotheses(False, t0, t1, REGULARISED_ZERO)


def workspace() -> Workspace:
    """Return fresh arrays."""

    def fresh(size: int = OUTCOMES) -> Vector:
        return np.zeros(size)

    fit0, fit1 = (Fit(fresh(), fresh(), fresh(), fresh(2)) for _ in range(2))
    return Workspace(fresh(), fresh(), fresh(), fresh(), fresh(1), fit0, fit1, fresh(12))


@kernel
def llr(hypotheses: Hypotheses, counts: Integers, work: Workspace) -> float:
    """ln(likelihood at ``at1`` / likelihood at ``at0``) of [5] counts, each at its best."""
    size = 0.0
    for i in range(OUTCOMES):
        size += counts[i] if counts[i] else hypotheses.unseen
    for i in range(OUTCOMES):
        work.law[i] = (counts[i] if counts[i] else hypotheses.unseen) / size
        work.mirrored[OUTCOMES - 1 - i] = work.law[i]
    at0 = _fit(hypotheses.mean, hypotheses.at0, work, work.fit0)
    at1 = _fit(hypotheses.mean, hypotheses.at1, work, work.fit1)
    return size * (at1 - at0)


@kernel
def start_watch(hypotheses: Hypotheses, counts: Integers, ratio: float, work: Workspace) -> None:
    """Prepare ``still_within`` after ``llr``, whose value for these counts is ``ratio``."""
    watch = work.watch
    watch[0] = ratio
    size = 0.0
    for i in range(OUTCOMES):
        size += counts[i]
    for j, fit in enumerate((work.fit0, work.fit1)):
        curve = 0.0  # h of the text
        for i in range(OUTCOMES):
            curve += counts[i] * fit.slopes[i] ** 2
        watch[1 + j] = 0.0  # g of the text
        watch[3 + j] = _LARGEST_SHIFT**2 * curve
        watch[5 + j] = (1.0 if hypotheses.mean else _T_VALUE_SAFETY) * _SHORTFALL / curve
        watch[7 + j] = 0.0  # e of the text
        watch[9 + j] = _T_VALUE_SAFETY * abs(fit.scale[1]) / (4.0 * size)
    watch[11] = (_LARGEST_BEND * size) ** 2


@inline
def still_within(mean: bool, result: int, low: float, high: float, work: Workspace) -> bool:
    """Whether the ratio has surely stayed between ``low`` and ``high`` with one more result.

    Not for an outcome that ``start_watch`` has not seen.
    """
    least, most = likely_range(mean, result, work)
    return low < least and most < high


@inline
def likely_range(mean: bool, result: int, work: Workspace) -> tuple[float, float]:
    """Between what the ratio lies with one more result; infinite where it has to be computed."""
    watch = work.watch
    watch[0] += work.fit0.ratios[result] - work.fit1.ratios[result]
    watch[1] += work.fit0.slopes[result]
    watch[2] += work.fit1.slopes[result]
    square0, square1 = watch[1] * watch[1], watch[2] * watch[2]
    if square0 > watch[3] or square1 > watch[4]:
        return -math.inf, math.inf
    above, below = square0 * watch[5], square1 * watch[6]
    if not mean:
        watch[7] += work.fit0.bends[result]
        watch[8] += work.fit1.bends[result]
        square0, square1 = watch[7] * watch[7], watch[8] * watch[8]
        if max(square0, square1) > watch[11]:
            return -math.inf, math.inf
        above = below = above + below + square0 * watch[9] + square1 * watch[10]
    return watch[0] - below - _ROUNDING, watch[0] + above + _ROUNDING


@kernel
def _fit(mean: bool, at: float, work: Workspace, fit: Fit) -> float:
    """Fill ``fit``; returns the likelihood per pair as ``_fit_zero_mean`` does."""
    mirrored = not mean and at < 0.0
    likelihood = _fit_mean(work, at) if mean else _fit_t_value(work, at)
    scale, multiplier, reach = work.scale[0], 0.0, 0.0
    for i in range(OUTCOMES):
        from_ = OUTCOMES - 1 - i if mirrored else i
        divisor = math.exp(-work.ratios[from_])
        fit.ratios[i] = work.ratios[from_]
        fit.slopes[i] = work.values[from_] * divisor
        fit.bends[i] = 0.0 if mean else (1.0 - ((0.25 * i - 0.5) / scale) ** 2) * divisor
        if abs(work.values[from_]) > reach:
            reach = abs(work.values[from_])
            multiplier = math.expm1(work.ratios[from_]) / work.values[from_]
    fit.scale[0] = scale
    fit.scale[1] = 0.0 if mean else multiplier * scale * at / math.sqrt(1.0 + at * at)
    return likelihood


@kernel
def _fit_mean(work: Workspace, mean: float) -> float:
    """Log-likelihood per pair of the likeliest law with that mean, relative to the sample's own."""
    for i in range(OUTCOMES):
        work.values[i] = 0.25 * i - mean
    return _fit_zero_mean(work.law, work.values, work.ratios)


@kernel
def _fit_t_value(work: Workspace, t: float) -> float:
    """The same of the likeliest law whose mean is ``t`` of its deviations above 1/2."""
    law = work.law
    if t == 0.0:
        work.scale[0] = 0.5  # any will do
        return _fit_mean(work, 0.5)
    if t < 0.0:
        law, t = work.mirrored, -t
    k = t / math.sqrt(1.0 + t * t)
    mean = square = 0.0
    for i in range(OUTCOMES):
        offset = 0.25 * i - 0.5
        mean += law[i] * offset
        square += law[i] * offset * offset
    low, high = k * 0.25 * (1.0 - 1e-6), 0.5
    if mean >= k * math.sqrt(square):
        scale = _only_scale(law, k, low, high, min(max(math.sqrt(square), low), high), work)
        return _fit_at(law, k, scale, work)
    worse, better = low, high
    for _ in range(2):
        worse = _next_scale(law, k, worse, work)
        better = _next_scale(law, k, better, work)
    if abs(math.log(better / worse)) < 0.1:
        scale = _climb(law, k, math.sqrt(worse * better), low, high, work)
        return _fit_at(law, k, scale, work)
    one, other = (
        _climb(law, k, worse, low, high, work),
        _climb(law, k, better, low, high, work),
    )
    peak = _fit_at(law, k, one, work)
    if _fit_at(law, k, other, work) < peak:
        return _fit_at(law, k, one, work)
    return _fit_at(law, k, other, work)


@inline
def _fit_at(law: Vector, k: float, scale: float, work: Workspace) -> float:
    work.scale[0] = scale
    for i in range(OUTCOMES):
        offset = 0.25 * i - 0.5
        work.values[i] = offset - k * (offset * offset / scale + scale) / 2.0
    return _fit_zero_mean(law, work.values, work.ratios)


@kernel
def _next_scale(law: Vector, k: float, scale: float, work: Workspace) -> float:
    """Root mean square of the offsets under the law that is likeliest at this scale."""
    _fit_at(law, k, scale, work)
    square = 0.0
    for i in range(OUTCOMES):
        square += law[i] * math.exp(-work.ratios[i]) * (0.25 * i - 0.5) ** 2
    return math.sqrt(square)


@kernel
def _only_scale(
    law: Vector, k: float, low: float, high: float, start: float, work: Workspace
) -> float:
    """The scale that is its own next one, where there is only one: secants within a bracket."""
    scale = start
    step = _next_scale(law, k, scale, work) - scale
    following = scale + step
    for _ in range(200):
        if step > 0.0:
            low = scale
        else:
            high = scale
        if not low < following < high:
            following = 0.5 * (low + high)
        if abs(following - scale) <= _SCALE_TOLERANCE * scale:
            return following
        previous, last = step, scale
        scale = following
        step = _next_scale(law, k, scale, work) - scale
        slope = (step - previous) / (scale - last)
        following = scale - step / slope if slope < 0.0 else 2.0 * high
    return following


@kernel
def _climb(law: Vector, k: float, start: float, low: float, high: float, work: Workspace) -> float:
    """The fixed point of the next scale that is uphill of ``start``; as in ``arena.stats``."""
    lowest, highest = math.log(low), math.log(high)
    position = following = math.log(start)
    step = math.log(_next_scale(law, k, start, work) / start)
    stretch = 1.0
    for _ in range(100):
        following = min(max(position + stretch * step, lowest), highest)
        if abs(following - position) <= _SCALE_TOLERANCE:
            break
        scale = math.exp(following)
        previous, step = step, math.log(_next_scale(law, k, scale, work) / scale)
        slope = (step - previous) / (following - position)
        stretch = -1.0 / slope if slope < -0.25 else (4.0 if slope < 0.0 else 1.0)
        position = following
    return math.exp(following)


@kernel
def _fit_zero_mean(law: Vector, values: Vector, ratios: Vector) -> float:
    """Fill ``ratios`` for the likeliest law under which ``values`` average to 0.

    Returns its log-likelihood per pair, relative to the sample's own: 0 at best.
    """
    drift = 0.0
    for i in range(OUTCOMES):
        drift += law[i] * values[i]
    if drift == 0.0:
        for i in range(OUTCOMES):
            ratios[i] = 0.0
        return 0.0
    pole = values[0]
    for i in range(1, OUTCOMES):
        pole = min(pole, values[i]) if drift > 0.0 else max(pole, values[i])
    y = _log_distance_to_pole(law, values, pole)
    near, far = math.exp(y), -math.expm1(y)
    likelihood = 0.0
    for i in range(OUTCOMES):
        share = values[i] / pole
        if far * share < 0.5:
            ratios[i] = math.log1p(-far * share)
        else:
            ratios[i] = math.log(near + far * ((pole - values[i]) / pole))
        likelihood -= law[i] * ratios[i]
    return likelihood


@kernel
def _log_distance_to_pole(law: Vector, values: Vector, pole: float) -> float:
    """``ln u`` of the root; ``arena/stats/likelihood.py`` has the equation and the reasons."""
    positive = negative = total = curve = 0.0
    for i in range(OUTCOMES):
        share = values[i] / pole
        weight = law[i] * share
        total += weight
        curve += weight * share
        if values[i] == pole:
            positive += weight
        if weight < 0.0:
            negative -= weight
    low, high = math.log(positive / negative) - 1e-9, 0.0
    near_one = -total / curve
    y = math.log1p(-near_one) if near_one < 0.5 else low
    for _ in range(100):
        near, far = math.exp(y), -math.expm1(y)
        total = slope = 0.0
        for i in range(OUTCOMES):
            share = values[i] / pole
            denominator = near + far * ((pole - values[i]) / pole)
            term = law[i] * share / denominator
            total += term
            slope += term * share / denominator
        if total > 0.0:
            low = y
        else:
            high = y
        growth = -total / (total - near * slope)
        if abs(growth) <= 1e-9 * abs(y) + 1e-15:
            return y + growth
        following = y + math.log1p(growth) if growth > -1.0 else low
        y = following if low < following < high else (low + high) / 2.0
    return y
