"""The most likely outcome law under a hypothesis, which is all that a GSPRT has to compute.

Why a module of its own: the known implementations fail here. fishtest asserts when the multiplier
lies within 1e-9 of a pole (losing side nearly empty) or when ten rounds of its fixed point are not
enough; fastchess stops at a tolerance of 1e-3. Three choices make the answer exact for every count
vector (Van den Bergh, "Comments on Normalized Elo",
https://www.cantate.be/Fishtest/normalized_elo_practical.pdf, sections 1 and 4, has the problem):

* the unknown is the distance to the nearest pole, so nothing cancels however close the root lies;
* a t-value is an envelope of linear constraints in one parameter ``c``: each ``c`` is solved
  exactly, and only one dimension remains to be searched;
* where the likelihood can have two peaks (better results may come as WD or as WW), it is climbed
  from both ends and the higher peak taken.

Everything is plain Python floats: with at most five terms numpy would only add overhead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from scipy.optimize import brentq

SCALE_TOLERANCE = 1e-9
"""Relative. The likelihood is stationary in the scale: an error d in it costs only d squared."""

NEGLIGIBLE_T = 1e-12
"""Below it the constraint is that of t = 0 to double precision: 3e-10 normalized Elo."""

LogRatios = tuple[float, ...]
"""``ln(frequency_i / law_i)`` of each outcome, worst first: the sample against a fitted law."""


def fit_mean(frequencies: Sequence[float], scores: Sequence[float], mean: float) -> LogRatios:
    """Return the most likely law whose mean score is ``mean``.

    ``frequencies``: of each outcome, all positive, summing to 1. ``scores``: of each outcome,
    ascending, the first below and the last above ``mean``.

    Source: proposition 1.1 of "Comments on Normalized Elo"; fishtest ``LLRcalc.py:54-71``.
    """
    return _fit_zero_mean(frequencies, [score - mean for score in scores])


def fit_t_value(frequencies: Sequence[float], offsets: Sequence[float], t: float) -> LogRatios:
    """Return the most likely law whose mean is ``t`` of its standard deviations.

    ``frequencies``: of each outcome, all positive, summing to 1. ``offsets``: score minus 1/2 of
    each outcome, ascending and symmetric about 0. ``t``: dimensionless, of one observation.

    With m = sum q x and s = sum q x^2 the hypothesis reads m = k sqrt(s), k = t / sqrt(1 + t^2).
    As sqrt(s) is the least value of (s / c + c) / 2 over all c > 0, it is the same as the *linear*
    constraint sum q (x - k (x^2 / c + c) / 2) = 0 at c = sqrt(s), "the scale" from here on.
    Where the sample's own t is above the hypothesis, the laws below it form a convex set and the
    scale is unique. Where it is not, c <- sqrt(s) raises the likelihood up to a peak, and there
    may be two; no third was seen, and none missed, in scans of c for 15,000 random samples.

    Source of the definition: section 4.1 of "Comments on Normalized Elo"; fishtest
    ``LLRcalc.py:74-104`` has the same law as the limit of a fixed point.
    """
    if abs(t) < NEGLIGIBLE_T:
        return _fit_zero_mean(frequencies, offsets)
    if t < 0.0:
        return fit_t_value(frequencies[::-1], offsets, -t)[::-1]
    k = t / math.hypot(1.0, t)

    def fit_at(scale: float) -> LogRatios:
        values = [x - k * (x * x / scale + scale) / 2.0 for x in offsets]
        return _fit_zero_mean(frequencies, values)

    def next_scale(scale: float) -> float:
        return _root_mean_square(frequencies, offsets, fit_at(scale))

    mean = math.fsum(p * x for p, x in zip(frequencies, offsets, strict=True))
    square = math.fsum(p * x * x for p, x in zip(frequencies, offsets, strict=True))
    # x^2 lies between |x| times the smallest win and the square of the largest, so sqrt(s) does.
    least = k * min(x for x in offsets if x > 0.0)
    limits = least * (1.0 - 1e-6), offsets[-1] * (1.0 + 1e-6)  # wider by more than rounding
    if mean >= k * math.sqrt(square):
        return fit_at(brentq(lambda c: next_scale(c) - c, *limits, rtol=SCALE_TOLERANCE))
    low, high = limits
    for _ in range(2):
        low, high = next_scale(low), next_scale(high)
    starts = [math.sqrt(low * high)] if abs(math.log(high / low)) < 0.1 else [low, high]
    peaks = [fit_at(_climb(next_scale, start, limits)) for start in starts]
    return max(peaks, key=lambda fit: _log_likelihood(frequencies, fit))


def _climb(
    next_scale: Callable[[float], float], start: float, limits: tuple[float, float]
) -> float:
    """Return the fixed point that ``scale <- next_scale(scale)`` ascends to from ``start``.

    Secant steps in ln scale hasten it. They never turn back and are at most four plain steps
    long, so that they climb the peak on whose side ``start`` lies.
    """
    low, high = math.log(limits[0]), math.log(limits[1])
    position, step, stretch = math.log(start), math.log(next_scale(start) / start), 1.0
    for _ in range(100):
        following = min(max(position + stretch * step, low), high)
        if abs(following - position) <= SCALE_TOLERANCE:
            break
        scale = math.exp(following)
        previous, step = step, math.log(next_scale(scale) / scale)
        slope = (step - previous) / (following - position)
        stretch = -1.0 / slope if slope < -0.25 else 4.0 if slope < 0.0 else 1.0
        position = following
    return math.exp(following)


def _fit_zero_mean(frequencies: Sequence[float], values: Sequence[float]) -> LogRatios:
    """Return the most likely law under which ``values``, of both signs, average to 0.

    It is ``p_i / (1 + x v_i)`` with the one x that makes it so while all terms are positive. Let v
    be the largest value on the side that has to gain: in u = 1 + x v, the distance to that pole,
    each denominator is ``u + (1 - u) gap_i`` with ``gap_i = 1 - v_i / v``, sums of terms of one
    sign.
    """
    drift = math.fsum(p * v for p, v in zip(frequencies, values, strict=True))
    if drift == 0.0:
        return (0.0,) * len(values)
    pole = min(values) if drift > 0.0 else max(values)
    shares = [v / pole for v in values]
    gaps = [(pole - v) / pole for v in values]
    weights = [p * share for p, share in zip(frequencies, shares, strict=True)]
    y = _log_distance_to_pole(weights, shares, gaps)
    near, far = math.exp(y), -math.expm1(y)
    return tuple(
        math.log1p(-far * share) if far * share < 0.5 else math.log(near + far * gap)
        for share, gap in zip(shares, gaps, strict=True)
    )


def _log_distance_to_pole(
    weights: Sequence[float], shares: Sequence[float], gaps: Sequence[float]
) -> float:
    """``y = ln u``, where u in (0, 1) is the root of sum w_i u / (u + (1 - u) gap_i).

    The logarithm keeps u and 1 - u to full relative precision, whichever is tiny. The sum falls
    from positive to negative and is nearly linear in u at both ends, so Newton's steps in u
    converge at once; a step that leaves the bracket is replaced by bisection.
    """
    positive = math.fsum(w for w, gap in zip(weights, gaps, strict=True) if gap == 0.0)
    negative = -math.fsum(w for w in weights if w < 0.0)
    low, high = math.log(positive / negative) - 1e-9, 0.0
    near_one = -math.fsum(weights) / math.fsum(
        w * share for w, share in zip(weights, shares, strict=True)
    )
    y = math.log1p(-near_one) if near_one < 0.5 else low
    for _ in range(100):
        near, far = math.exp(y), -math.expm1(y)
        total = slope = 0.0
        for weight, share, gap in zip(weights, shares, gaps, strict=True):
            denominator = near + far * gap
            term = weight / denominator
            total += term
            slope += term * share / denominator
        if total > 0.0:
            low = y
        else:
            high = y
        growth = -total / (total - near * slope)  # Newton's step in u, relative to u
        if abs(growth) <= 1e-9 * abs(y) + 1e-15:
            return y + growth
        following = y + math.log1p(growth) if growth > -1.0 else low
        y = following if low < following < high else (low + high) / 2.0
    return y


def _log_likelihood(frequencies: Sequence[float], log_ratios: Sequence[float]) -> float:
    """Per observation, relative to the sample's own frequencies: 0 at best, else negative."""
    return -math.fsum(p * r for p, r in zip(frequencies, log_ratios, strict=True))


def _root_mean_square(
    frequencies: Sequence[float], offsets: Sequence[float], log_ratios: Sequence[float]
) -> float:
    """Of the offsets under the law ``frequency_i / ratio_i``."""
    return math.sqrt(
        math.fsum(
            p * math.exp(-r) * x * x
            for p, r, x in zip(frequencies, log_ratios, offsets, strict=True)
        )
    )
