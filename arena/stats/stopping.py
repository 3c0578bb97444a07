"""Elo of a match that a sequential test ends, or will end.

Why: a match that stops at a good moment has, at that moment, a score that flatters. After a
promoting SPRT(0, 10) the plain Elo of a true +5 averages +10.7, and its 95 % interval covers 90 to
92 %. The estimates here know the rule: they ask, for every strength, how likely a worse *outcome of
the test* was (a faster rejection, a slower promotion, or, while it runs, a path that is further
down). The strength at which that is 1/2 is median-unbiased: too high as often as too low. The ends
of the interval are those at which it is 97.5 % and 2.5 %.

fishtest takes the LLR for a Brownian motion between the test's bounds, set back onto the bound
where it stopped. That is right for some 200 pairs and more. In shorter tests its interval is too
wide (it covers 95 to 100 %) and its point leans to the middle of the bounds (38 to 62 % lie below
the truth). By default three things are mended here: see ``_Walk``. Of 34 simulated tests of 17 to
150 pairs, 29 then have coverage within 94 to 97.5 % and 47 to 53 % of the points below the truth,
and none is outside 94.8 to 97.8 % and 46.7 to 56.7 %; by fishtest's way, 12 (reports/statistics).

Sources: fishtest ``sprt.py:50-132``, ``brownian.py:14-108``, reproduced to 1e-6 Elo by the
convention FISHTEST; D. Siegmund, "Sequential Analysis", 1985, sections III.4, IV.3 and chapter X
(overshoot); D. R. Cox and H. D. Miller, "The Theory of Stochastic Processes", 1965, section 5.7.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from scipy.optimize import brentq
from scipy.special import ndtri

from arena.stats.diffusion import mean_overshoots
from arena.stats.elo import (
    FASTCHESS,
    NELO_PER_DEVIATION,
    Convention,
    EloEstimate,
    elo_of_score,
)
from arena.stats.outcomes import PairLaw
from arena.stats.pentanomial import Moments, Outcomes
from arena.stats.sprt import Sprt, Verdict

ELO_LIMIT = 1000.0
"""fishtest ``sprt.py`` looks for strengths within +-1000 Elo and no further."""

SMALLEST_TAIL = 1e-9
"""Chances are computed to about this."""


@dataclass(frozen=True, slots=True)
class StoppingAware:
    """What a match says of the candidate, its stopping rule taken into account.

    ``elo``: logistic, median-unbiased. ``nelo``: the same three strengths in normalized Elo.
    ``los``: the chance in [0, 1] that an equal candidate would have fared worse.
    """

    elo: EloEstimate
    nelo: EloEstimate
    los: float


def stopping_aware(
    counts: Outcomes, sprt: Sprt, *, confidence: float = 0.95, convention: Convention = FASTCHESS
) -> StoppingAware | None:
    """Return Elo, normalized Elo and LOS, at any moment of a match that ``sprt`` may stop.

    ``counts``: what the test has seen, of a match that runs, has stopped, or met its pair limit.
    ``confidence``: of the two-sided interval, in (0, 1). None before two different results have
    been seen. ValueError where bounds in BayesElo meet pairs of which only the score is known.

    Zero counts are taken as 0.001, as in the LLR. Strengths are scores first: bounds in normalized
    Elo become scores at the sample's deviation of a game, sigma_g, and a score s becomes normalized
    Elo as 347.4 (s - 1/2) / sigma_g. A number is None where no score within (0, 1) gives it, which
    happens to an end of the interval after very few results.

    ``convention``: where it is regularised (fishtest's), one kind of result or none is enough;
    where it is clamped, strengths past +-1000 Elo are shown as +-1000; where it is touching, the
    LLR is a Brownian motion and stops on the bound, and only logistic Elo is None past (0, 1).
    """
    tail = (1.0 - confidence) / 2.0
    if not SMALLEST_TAIL < tail < 0.5:
        raise ValueError(f"confidence is {confidence!r}: it must be within (0, 1), such as 0.95")
    moments = counts.moments(regularised=True)
    assert moments is not None  # regularised counts are never all zero
    if not convention.regularised and sum(n > 0 for n in counts.counts) < 2:
        return None
    score0, score1 = sprt.score_bounds(moments, sprt.draw_elo(counts))
    width = score1 - score0
    if width <= 0.0:
        return None  # bounds that differ by less than a score can tell
    centre = (score0 + score1) / 2.0
    if convention.touching:
        time, position = _touching(moments, centre, width, sprt.bounds)
        chance = chance_of_worse(*sprt.bounds, time=time, position=position)
        limits = -math.inf, math.inf
    else:
        walk = _walk(counts, moments, sprt, centre, width)
        time, position, chance = walk.time, walk.position, walk.chance_of_worse
        limits = -centre / width, (1.0 - centre) / width
    drifts = [_drift_at(chance, worse, time, position, limits) for worse in (0.5, 1.0 - tail, tail)]
    scores = [centre + width * drift for drift in drifts]
    to_nelo = NELO_PER_DEVIATION / moments.game_deviation
    return StoppingAware(
        elo=EloEstimate(*(_elo(score, convention) for score in scores)),
        nelo=EloEstimate(*(_finite(to_nelo * (score - 0.5)) for score in scores)),
        los=min(max(chance((0.5 - centre) / width), 0.0), 1.0),
    )


def chance_of_worse(
    lower: float, upper: float, *, time: float, position: float
) -> Callable[[float], float]:
    """Return the chance of a worse outcome of a test, as a function of its LLR's drift.

    The LLR is a Brownian motion from 0 in (lower, upper), in nats, whose clock is its own variance:
    it has variance 1 and mean ``drift`` in unit ``time``. What was seen is ``position`` in
    [lower, upper] at ``time``; worse is to have left below before, or to be further down then.

    With that clock, drift d means a strength d bound widths from the middle of the bounds. Within
    1e-9 of fishtest ``brownian.py``, whose choice of a formula is kept, its error included where
    drift times a bound is 5 or more: up to 6e-4 (0.002 Elo in our examples) between bounds of
    similar size, 0.003 where one is ten times the other.
    """
    width = upper - lower
    by_series = None
    if time >= 1e-2 * width * width:
        by_series = _by_series(lower, upper, time, position)
    by_reflection = _by_reflection(lower, upper, time, position)

    def chance(drift: float) -> float:
        if by_series is None or abs(drift) * width > 15.0:
            return by_reflection(drift)
        return by_series(drift)

    return chance


def _by_series(
    lower: float, upper: float, time: float, position: float
) -> Callable[[float], float]:
    """Expand in the eigenfunctions of the interval: exact, and short unless ``time`` is small.

    The chance to leave below, ever, less that of doing so from above ``position`` after ``time``.
    """
    width = upper - lower
    decay = math.pi**2 * time / (2.0 * width * width)
    growth = min(position * position / (2.0 * time), 15.0)  # of the factor before the sum, in logs
    count = math.ceil(math.sqrt((30.0 + growth) / decay))
    terms = []
    for n in range(1, count + 1):
        angle = n * math.pi * (position - lower) / width
        weight = 2.0 * math.exp(-n * n * decay) * math.sin(-n * math.pi * lower / width)
        terms.append(
            (weight * math.sin(angle), weight * n * math.pi * math.cos(angle), (n * math.pi) ** 2)
        )

    def chance(drift: float) -> float:
        steepness = drift * width
        square = steepness * steepness
        total = sum((steepness * sine - cosine) / (square + n2) for sine, cosine, n2 in terms)
        below = (
            math.expm1(2.0 * drift * upper) / math.expm1(2.0 * steepness)
            if abs(steepness) > 1e-12
            else upper / width  # the limit
        )
        return below + math.exp(drift * position - drift * drift * time / 2.0) * total

    return chance


def _by_reflection(
    lower: float, upper: float, time: float, position: float
) -> Callable[[float], float]:
    """Reflect the path once at each bound (Siegmund): exact enough unless it has met both.

    A reflected term is exp(2 drift bound) times a normal tail. Where that is a product of a huge
    and a tiny number it is, as in fishtest, the first two terms of the tail's asymptotic series.
    """
    deviation = math.sqrt(time)

    def chance(drift: float) -> float:
        z = (position - drift * time) / deviation

        def reflected(bound: float, tail: float) -> float:
            if drift * bound < 5.0:
                return math.exp(2.0 * drift * bound) * _normal(tail)
            exponent = -z * z / 2.0 + 2.0 * bound * (position - bound) / time
            return math.exp(exponent) / math.sqrt(2.0 * math.pi) * (tail**-3 - 1.0 / tail)

        below = reflected(lower, -z + 2.0 * lower / deviation)
        above = reflected(upper, z - 2.0 * upper / deviation)
        return _normal(z) + below - above

    return chance


def _normal(z: float) -> float:
    """Distribution function of the normal law; ``ndtr`` is ten times slower on one number."""
    return math.erfc(-z / math.sqrt(2.0)) / 2.0


def _touching(
    moments: Moments, centre: float, width: float, bounds: tuple[float, float]
) -> tuple[float, float]:
    """Return time and place of the LLR; one past a bound is set back along its mean path onto it.

    The LLR is N (s1 - s0) (2 mean - s0 - s1) / (2 v), fishtest ``LLRcalc.py:194-209``: N variances
    of (s1 - s0)^2 / v.
    """
    lower, upper = bounds
    time = moments.size * width * width / moments.variance
    position = time * (moments.mean - centre) / width
    bound = min(max(position, lower), upper)
    return (time, position) if bound == position else (time * bound / position, bound)


@dataclass(frozen=True, slots=True)
class _Walk:
    """The LLR as the walk that it is, in steps of a pair, in the linear form of ``_touching``.

    Mended, beside a motion that touches Wald's bounds:

    * The test judges the exact LLR, and the linear form is up to 1.5 times that where it stops. The
      bound on the LLR's side is moved to where the sample's mean path has the exact LLR meet it;
      before a stop, by so much less as the LLR is nearer to 0.
    * The walk stops past its bound, by Siegmund's mean overshoot: both bounds are moved out by it.
      The stop is on the moved bound, half a pair before the pair at which it was seen, so that
      as good an outcome counts half; or where the mean path met it, if pairs followed.
    * At a strength with score s the variance of a pair is v + (mean - s)^2, its most likely value
      there, not the sample's v: as the LLR itself has it, and what Student's t does for a mean.

    ``time``, ``position``: of the linear form, at v. ``lower``, ``upper``: (b, c) for a bound at
    b + c v / (v + (mean - s)^2). ``offset``, ``slope``: (mean - s) / sqrt(v) is offset - slope
    times the drift.
    """

    time: float
    position: float
    lower: tuple[float, float]
    upper: tuple[float, float]
    offset: float
    slope: float

    def chance_of_worse(self, drift: float) -> float:
        """Return the chance of a worse outcome than was seen at this drift, in bound widths."""
        deviation = self.offset - self.slope * drift
        shrunk = 1.0 / (1.0 + deviation * deviation)
        lower, upper = (b + c * shrunk for b, c in (self.lower, self.upper))
        position = min(max(self.position * shrunk, lower), upper)
        time = self.time * shrunk
        return chance_of_worse(lower, upper, time=time, position=position)(drift)


def _walk(counts: Outcomes, moments: Moments, sprt: Sprt, centre: float, width: float) -> _Walk:
    llr = sprt.llr(counts)
    verdict = sprt.verdict(llr)
    time = moments.size * width * width / moments.variance
    position = time * (moments.mean - centre) / width
    below, above = (
        quarters * width / (4.0 * moments.variance)
        for quarters in mean_overshoots(_pair_law(counts.regularised()))
    )
    lower, upper = ((b, c) for b, c in zip(sprt.bounds, (-below, above), strict=True))
    bound, over = upper if llr > 0.0 else lower
    nearness = llr / bound  # 1 at the bound; either way off, the shift fades
    over += (position - llr) * (nearness if nearness < 1.0 else 1.0 / nearness)
    if llr > 0.0:
        upper = 0.0, max(bound + over, above)
    else:
        lower = 0.0, min(bound + over, -below)
    if verdict is not Verdict.UNDECIDED:
        end = sum(upper if verdict is Verdict.PROMOTE else lower)
        along = end / position if position * end > 0.0 else 1.0
        time *= min(along, 1.0 - 0.5 / moments.size)
        position = end
    deviation = math.sqrt(moments.variance)
    return _Walk(
        time, position, lower, upper, (moments.mean - centre) / deviation, width / deviation
    )


def _pair_law(weights: tuple[float, ...]) -> PairLaw:
    """Return the law of these outcomes as one over five scores: single games leave out two."""
    total = math.fsum(weights)
    law = [weight / total for weight in weights]
    if len(law) == 3:
        return law[0], 0.0, law[1], 0.0, law[2]
    return law[0], law[1], law[2], law[3], law[4]


def _drift_at(
    chance: Callable[[float], float],
    worse: float,
    time: float,
    position: float,
    limits: tuple[float, float],
) -> float:
    """Return the drift at which the chance of a worse outcome is ``worse``: it falls with drift.

    Infinite where it is not within ``limits``.
    """
    target = float(ndtri(worse))
    unit = 1.0 / math.sqrt(time)

    @cache  # a root is sought between two drifts that have been asked
    def excess(drift: float) -> float:
        # On the normal law's own scale the chance is nearly a straight line of slope -1 / unit.
        within = min(max(chance(drift), 1e-300), 1.0 - 1e-16)
        return float(ndtri(within)) - target

    guess = position / time - target * unit  # right if there were no bounds
    low = high = min(max(guess, limits[0]), limits[1])
    distance = excess(low)
    step = (1.1 * abs(distance) + 1e-3) * unit
    if distance > 0.0:
        while excess(high) > 0.0:
            if high == limits[1]:
                return math.inf
            low, high, step = high, min(high + step, limits[1]), 2.0 * step
    else:
        while excess(low) < 0.0:
            if low == limits[0]:
                return -math.inf
            low, high, step = max(low - step, limits[0]), low, 2.0 * step
    return float(brentq(excess, low, high, xtol=1e-10 * unit)) if low < high else low


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _elo(score: float, convention: Convention) -> float | None:
    """Logistic Elo of a score, which may be past 0 or 1: None, or clamped."""
    elo = elo_of_score(score) if 0.0 < score < 1.0 else None
    if not convention.clamped:
        return elo
    if elo is None:
        return math.copysign(ELO_LIMIT, score - 0.5)
    return min(max(elo, -ELO_LIMIT), ELO_LIMIT)
