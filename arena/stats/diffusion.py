"""A sequential test as a Brownian motion between two bounds: exact in the limit of many pairs.

Wald's approximation with two things mended: drift and variance are those of the exact LLR, and the
bounds are moved outward by the mean overshoot, since a test that looks once a pair ends a little
past them. With a limit of pairs the chances come from the eigenfunctions of the motion between
absorbing ends (W. Feller, "An Introduction to Probability Theory and Its Applications" II, X.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

from arena.stats.elo import NELO_PER_DEVIATION, score_of_elo
from arena.stats.likelihood import fit_mean, fit_t_value
from arena.stats.outcomes import PAIR_SCORES, PairLaw
from arena.stats.sprt import EloModel, Sprt

STEEP = 25.0
"""Drift to the farther bound over variance, above which the time to the end is
taken to be that to the bound ahead: where the sums would lose their digits."""

MOST_TERMS = 20_000
"""Of the sums. Where more were needed, a path has moved by 0.015 % of the width between the
bounds, so that nothing has ended: an error below 1e-18 if both bounds are 0.14 % of it away, as
they are of every test with alpha + beta up to 0.97."""

SMALLEST_CHANCE = 1e-12
"""Stands for an outcome that cannot happen; the hypotheses' laws need all five."""


@dataclass(frozen=True, slots=True)
class Ends:
    """How a test has ended by some time: chances that sum to 1."""

    promote: float
    keep: float
    undecided: float


@dataclass(frozen=True, slots=True)
class Diffusion:
    """A motion from 0 with ``drift`` and ``variance`` per pair, absorbed at lower < 0 < upper."""

    drift: float
    variance: float
    lower: float
    upper: float

    @property
    def pass_probability(self) -> float:
        """Chance to leave at the upper bound, given time."""
        rate = 2.0 * self.drift / self.variance
        if rate < 0.0:
            return 1.0 - self._flipped().pass_probability
        if rate * (self.upper - self.lower) < 1e-9:
            return -self.lower / (self.upper - self.lower)
        return math.expm1(rate * self.lower) / math.expm1(rate * (self.lower - self.upper))

    @property
    def mean(self) -> float:
        """Expected pairs to an end, without a limit."""
        passed, width = self.pass_probability, self.upper - self.lower
        if abs(self.drift) * width < 1e-7 * self.variance:
            return -self.lower * self.upper / self.variance
        return (self.upper * passed + self.lower * (1.0 - passed)) / self.drift

    def ends(self, pairs: float) -> Ends:
        """Return how the test has ended after that many pairs."""
        up, down, _ = self._later(pairs)
        passed = self.pass_probability
        return Ends(_share(passed - up), _share(1.0 - passed - down), _share(up + down))

    def truncated_mean(self, limit: float) -> float:
        """Return the expected pairs where no more than ``limit`` are played."""
        up, down, beyond = self._later(limit)
        waiting = (
            _share(up + down) * limit
        )  # those alone; all there is where the difference cancels
        return min(max(self.mean - beyond, waiting), limit)

    def quantile(self, share: float) -> float:
        """Return the pairs after which a share of the tests in (0, 1) has ended."""

        def excess(log_pairs: float) -> float:
            return self.ends(math.exp(log_pairs)).undecided - (1.0 - share)

        high = math.log(self.mean)
        while excess(high) > 0.0:
            high += 1.0
        low = high - 1.0
        while excess(low) < 0.0:
            low -= 1.0
        return math.exp(brentq(excess, low, high, xtol=1e-6))

    def _flipped(self) -> Diffusion:
        return Diffusion(-self.drift, self.variance, -self.upper, -self.lower)

    def _later(self, pairs: float) -> tuple[float, float, float]:
        """Chances to end after ``pairs`` at the upper and at the lower bound; mean pairs beyond."""
        if abs(self.drift) * max(self.upper, -self.lower) > STEEP * self.variance:
            return self._later_if_steep(pairs)
        width, start = self.upper - self.lower, -self.lower
        tilt, slowest = self.drift / self.variance, math.pi**2 * self.variance / (2.0 * width**2)
        if slowest * pairs * MOST_TERMS**2 < 45.0:
            passed = self.pass_probability
            return passed, 1.0 - passed, self.mean - pairs
        terms = np.arange(1, 2 + int(math.sqrt(45.0 / (slowest * pairs))))
        rates = self.drift * tilt / 2.0 + slowest * terms**2
        waves = terms * np.sin(terms * (math.pi * start / width)) * np.exp(-rates * pairs) / rates
        waves *= math.pi * self.variance / width**2
        up = math.exp(tilt * self.upper) * waves * np.where(terms % 2, 1.0, -1.0)
        down = math.exp(tilt * self.lower) * waves
        return float(up.sum()), float(down.sum()), float(((up + down) / rates).sum())

    def _later_if_steep(self, pairs: float) -> tuple[float, float, float]:
        """Take the time to the bound ahead alone, which is inverse Gaussian.

        J. L. Folks, R. S. Chhikara, "The Inverse Gaussian Distribution and Its Statistical
        Application", Journal of the Royal Statistical Society B 40, 1978.
        """
        if self.drift < 0.0:
            down, up, beyond = self._flipped()._later_if_steep(pairs)
            return up, down, beyond
        spread = math.sqrt(self.variance * pairs)
        ahead, behind = (
            (self.drift * pairs - self.upper) / spread,
            (self.drift * pairs + self.upper) / spread,
        )
        rate = 2.0 * self.drift * self.upper / self.variance
        mirror = math.exp(min(rate + float(log_ndtr(-behind)), 0.0))  # above 0 by rounding alone
        waiting = float(ndtr(-ahead)) - mirror
        beyond = (self.upper * (float(ndtr(-ahead)) + mirror)) / self.drift - pairs * waiting
        passed = self.pass_probability
        return waiting * passed, waiting * (1.0 - passed), max(beyond, 0.0)


def log_likelihood_ratios(sprt: Sprt, law: PairLaw) -> tuple[float, ...]:
    """Return what each outcome of a pair adds to the LLR in the long run, if ``law`` is true."""
    total = math.fsum(max(chance, SMALLEST_CHANCE) for chance in law)
    frequencies = [max(chance, SMALLEST_CHANCE) / total for chance in law]
    if sprt.model is EloModel.LOGISTIC:
        fits = [fit_mean(frequencies, PAIR_SCORES, score_of_elo(e)) for e in (sprt.elo0, sprt.elo1)]
    else:
        offsets = [score - 0.5 for score in PAIR_SCORES]
        unit = math.sqrt(2.0) / NELO_PER_DEVIATION
        fits = [fit_t_value(frequencies, offsets, e * unit) for e in (sprt.elo0, sprt.elo1)]
    return tuple(at_elo0 - at_elo1 for at_elo0, at_elo1 in zip(*fits, strict=True))


def diffusion_of(sprt: Sprt, law: PairLaw) -> Diffusion:
    """Return the motion of the LLR if pairs end by ``law``. ValueError where nothing varies."""
    jumps = log_likelihood_ratios(sprt, law)
    drift = math.fsum(p * jump for p, jump in zip(law, jumps, strict=True))
    variance = math.fsum(p * (jump - drift) ** 2 for p, jump in zip(law, jumps, strict=True))
    if not variance > 0.0:
        raise ValueError("every pair ends alike, so that there is nothing to test")
    below, above = mean_overshoots(law)
    unit = (jumps[-1] - jumps[0]) / 4.0
    lower, upper = sprt.bounds
    return Diffusion(drift, variance, lower - below * unit, upper + above * unit)


def mean_overshoots(law: PairLaw) -> tuple[float, float]:
    """Return how far past a distant bound a walk of pair scores ends: below, above; in quarters.

    The walk has no drift: the law is shifted so that pairs average 1/2. A ladder height H is 1 or
    2 quarters, and the overshoot E[H^2] / (2 E[H]) where the bound may lie anywhere (D. Siegmund,
    "Sequential Analysis", 1985, VIII and X). The law of H follows from the Wiener-Hopf factors of
    1 - E[z^step], a polynomial with a double root at 1: P(H = 2) = -1 / r of the other root r
    outside the unit circle above, and likewise of its inverse below.
    """
    p = _centred(law)
    # z^2 (1 - E[z^step]) = (z - 1)^2 (a z^2 + b z + c), from the outer coefficients:
    a, c = -p[4], -p[0]
    b = -p[3] + 2.0 * a
    root = math.sqrt(max(b * b - 4.0 * a * c, 0.0))
    far = -2.0 * c / (b - root), (b - root) / (-2.0 * a)
    inside, outside = min(far, key=abs), max(far, key=abs)
    two_down, two_up = -inside, -1.0 / outside
    return (
        (1.0 + 3.0 * two_down) / (2.0 * (1.0 + two_down)),
        (1.0 + 3.0 * two_up) / (2.0 * (1.0 + two_up)),
    )


def _centred(law: PairLaw) -> list[float]:
    """Return the law tilted exponentially until pairs average 1/2.

    Newton's method on ln(upward) - ln(downward moment): its slope in the tilt is within 2 and 4.
    """
    ll, ld, _, wd, ww = p = [max(chance, SMALLEST_CHANCE) for chance in law]
    tilt = 0.0
    for _ in range(100):
        y = math.exp(tilt)
        up, down = (wd + 2.0 * ww * y) * y, (ld + 2.0 * ll / y) / y
        slope = (wd + 4.0 * ww * y) * y / up + (ld + 4.0 * ll / y) / y / down
        step = math.log(down / up) / slope
        tilt += step
        if abs(step) < 1e-13:
            break
    weights = [chance * math.exp(tilt * k) for k, chance in enumerate(p, -2)]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def _share(chance: float) -> float:
    return min(max(chance, 0.0), 1.0)
