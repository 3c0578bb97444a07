"""Elo differences, their intervals, and the chance of superiority, for a match of fixed length.

Why with a convention to choose: the programs people compare with agree on the formulas and differ
in what they do with counts that are zero and scores near 0 or 1. What arena shows is fastchess's
convention, except that where fastchess prints ``inf`` or ``nan`` there is None here; the others
are kept to reproduce their figures.

None of this knows about stopping: on a match that a sequential test ended, or that is still
running, these numbers are descriptions, not evidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtr, ndtri, stdtrit

from arena.stats.pentanomial import Moments, Outcomes, PairCounts

ELO_PER_DECADE = 400.0
"""Elo that multiplies the odds by ten (Arpad Elo's scale)."""

NELO_PER_DEVIATION = 800.0 / math.log(10.0)
"""Normalized Elo of a mean one standard deviation of a game above 1/2.

So that it equals logistic Elo, near 0, where no game is drawn. Van den Bergh, "Normalized Elo",
https://www.cantate.be/Fishtest/normalized_elo.pdf; fastchess ``sprt.cpp``.
"""

CLAMPED_SCORE = 1e-3
"""fishtest ``stat_util.py:23-27`` keeps scores this far from 0 and 1, which is +-1199.8 Elo."""


@dataclass(frozen=True, slots=True)
class Convention:
    """What a program does where the formulas leave a choice.

    ``regularised``: zero counts become 0.001. ``clamped``: scores are kept in [0.001, 0.999].
    ``student``: interval by Student's t with n - 1 degrees of freedom instead of the normal law.
    ``shape_aware``: the error of normalized Elo allows for skewness and kurtosis of the results.
    ``decisive``: LOS takes the spread about 1/2, which leaves drawn games out of account.
    ``coarse``: normal quantiles by a short formula, 1.9572 for 1.9600.
    ``touching``: a test that stops is on its bound, not past it (``stopping`` alone asks).
    """

    regularised: bool = False
    clamped: bool = False
    student: bool = False
    shape_aware: bool = False
    decisive: bool = False
    coarse: bool = False
    touching: bool = False


FASTCHESS = Convention()
"""fastchess ``elo_pentanomial.cpp``; what arena shows."""

FISHTEST = Convention(regularised=True, clamped=True, shape_aware=True, touching=True)
"""fishtest ``stat_util.py:52-68``, ``template_helpers.py:126-165``."""

OPENBENCH = Convention(clamped=True, student=True)
"""OpenBench ``stats.py:74-88``."""

CUTECHESS = Convention(decisive=True, coarse=True)
"""cutechess ``elo.cpp:39-74``, single games; lczero-server ``main.go:967-1006`` took it over."""


@dataclass(frozen=True, slots=True)
class EloEstimate:
    """A difference in Elo, candidate minus baseline, with its confidence interval.

    A number is None where it does not exist: the Elo of a sweep, the end of an interval that goes
    past a score of 0 or 1, any interval before two different results have been seen.
    """

    elo: float | None
    low: float | None
    high: float | None

    @property
    def margin(self) -> float | None:
        """Half the interval's width: the figure after "+/-" in fastchess and fishtest."""
        if self.low is None or self.high is None:
            return None
        return (self.high - self.low) / 2.0


NO_ESTIMATE = EloEstimate(None, None, None)


def score_of_elo(elo: float) -> float:
    """Return the expected score in (0, 1) at a logistic Elo difference: 1 / (1 + 10^(-elo/400))."""
    return 1.0 / (1.0 + math.pow(10.0, -elo / ELO_PER_DECADE))


def elo_of_score(score: float) -> float:
    """Return the logistic Elo difference at an expected score, the inverse of ``score_of_elo``.

    ValueError where the score is not strictly between 0 and 1.
    """
    if not 0.0 < score < 1.0:
        raise ValueError(f"no Elo difference gives a score of {score!r}: it must be within (0, 1)")
    return ELO_PER_DECADE * math.log10(score / (1.0 - score))


def logistic_elo(
    counts: Outcomes, *, confidence: float = 0.95, convention: Convention = FASTCHESS
) -> EloEstimate:
    """Return logistic Elo: the difference that gives the mean score, ends at mean +- z errors.

    ``confidence`` is that of the two-sided interval, in (0, 1); ``convention`` says whose treatment
    of the edge cases. Sources: fishtest ``stat_util.py:52-68``, fastchess
    ``elo_pentanomial.cpp:10-21``, OpenBench ``stats.py:74-88``.
    """
    moments = counts.moments(regularised=convention.regularised)
    if moments is None:
        return NO_ESTIMATE
    elo = _bounded_elo(moments.mean, convention)
    quantile = _quantile(moments, confidence, convention)
    if quantile is None:
        return EloEstimate(elo, None, None)
    reach = quantile * moments.mean_error
    return EloEstimate(
        elo,
        _bounded_elo(moments.mean - reach, convention),
        _bounded_elo(moments.mean + reach, convention),
    )


def normalized_elo(
    counts: Outcomes, *, confidence: float = 0.95, convention: Convention = FASTCHESS
) -> EloEstimate:
    """Return normalized Elo: 347.4 times the mean's distance from 1/2 in deviations of a game.

    It measures how many games a difference takes to prove, whatever the draw rate. The standard
    error in units of nElo is 347.4 / sqrt(games) with fastchess (shown); fishtest's allows for the
    error of the deviation itself.

    Sources: fastchess ``elo_pentanomial.cpp:18-25``, fishtest
    ``template_helpers.py:126-165``. OpenBench has no normalized Elo.
    """
    moments = counts.moments(regularised=convention.regularised)
    quantile = _quantile(moments, confidence, convention) if moments else None
    if moments is None or quantile is None:
        return NO_ESTIMATE
    nelo = NELO_PER_DEVIATION * (moments.mean - 0.5) / moments.game_deviation
    variance = 1.0
    if convention.shape_aware:
        t = (moments.mean - 0.5) / math.sqrt(moments.variance)
        variance += t * t * (moments.excess_kurtosis + 2.0) / 4.0 - t * moments.skewness
    error = math.sqrt(max(variance, 0.0) / (moments.games_each * moments.size))
    reach = NELO_PER_DEVIATION * quantile * error
    return EloEstimate(nelo, nelo - reach, nelo + reach)


def likelihood_of_superiority(
    counts: Outcomes, *, convention: Convention = FASTCHESS
) -> float | None:
    """Return LOS: the chance in [0, 1] that the candidate is the stronger.

    By the normal law of the mean; None before two different results have been seen. With cutechess
    Phi((W - L) / sqrt(W + L)); None before a decisive game. Sources: fishtest ``stat_util.py:66``,
    fastchess ``elo_pentanomial.cpp:55-59``, cutechess ``elo.cpp:71-74``.
    """
    moments = counts.moments(regularised=convention.regularised)
    if moments is None:
        return None
    lead = moments.mean - 0.5
    variance = moments.variance + lead * lead if convention.decisive else moments.variance
    if variance == 0.0:
        return None
    return float(ndtr(lead / math.sqrt(variance / moments.size)))


def rms_opening_bias(counts: PairCounts) -> float | None:
    """Return the root mean square of the openings' advantage for one side, in Elo.

    An opening's bias makes the games of a pair err in opposite directions: single games vary more
    than the pairs show, by its square. None before any pair. Source: fishtest
    ``template_helpers.py:318-321``.
    """
    pairs, games = counts.moments(), counts.single_games.moments()
    if pairs is None or games is None:
        return None
    bias = math.sqrt(max(games.variance - 2.0 * pairs.variance, 0.0))
    return _bounded_elo(0.5 + bias, FASTCHESS)


def _quantile(moments: Moments, confidence: float, convention: Convention) -> float | None:
    """Return the interval's reach in standard errors; None if nothing varies."""
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence!r}: it must be within (0, 1), such as 0.95")
    upper = (1.0 + confidence) / 2.0
    if moments.variance == 0.0:
        return None
    if convention.coarse:
        return _coarse_normal_quantile(confidence)
    return float(stdtrit(moments.size - 1.0, upper) if convention.student else ndtri(upper))


def _coarse_normal_quantile(confidence: float) -> float:
    """Two-sided normal quantile by the inverse of S. Winitzki's erf: cutechess ``elo.cpp:44-64``.

    "A handy approximation for the error function and its inverse", 2008: 0.003 short at 95 %.
    """
    a = 8.0 * (math.pi - 3.0) / (3.0 * math.pi * (4.0 - math.pi))
    log = math.log1p(-confidence * confidence)
    middle = 2.0 / (math.pi * a) + log / 2.0
    return math.sqrt(2.0 * (math.sqrt(middle * middle - log / a) - middle))


def _bounded_elo(score: float, convention: Convention) -> float | None:
    """Elo of a score that may lie at or past 0 or 1: clamped, or None."""
    if convention.clamped:
        score = min(max(score, CLAMPED_SCORE), 1.0 - CLAMPED_SCORE)
    return elo_of_score(score) if 0.0 < score < 1.0 else None
