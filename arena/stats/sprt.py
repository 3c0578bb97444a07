"""The sequential test that decides a match, and how far it still has to go.

Why a generalised SPRT: the draw rate and the openings' bias are unknown, so each hypothesis fixes
only the strength of the candidate and takes the likeliest law of pair results that has it (GSPRT;
Van den Bergh, "The generalized maximum likelihood ratio for the expectation value of a
distribution", https://www.cantate.be/Fishtest/GSPRT_approximation.pdf). The likelihoods are exact;
the closed approximations that other programs print differ from them in the third digit.

The error rates hold for pairs counted in the order in which they were issued. Counted as they
finish, with many in flight and wins shorter than losses, a nominal 5 % can be 50 % or more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from arena.stats.bayeselo import BayesElo, sample_draw_elo
from arena.stats.elo import NELO_PER_DEVIATION, score_of_elo
from arena.stats.likelihood import LogRatios, fit_mean, fit_t_value
from arena.stats.pentanomial import Moments, Outcomes
from arena.stats.verdict import Verdict as Verdict

LARGEST_ELO = 600.0
"""Of a bound, either side. Past it the tests say nothing useful, and past 695 normalized Elo the
pairs' five scores no longer give a connected set of laws to search."""

LEAST_WIDTH = 0.01
"""Elo from bound to bound. A test this narrow takes some billion pairs."""

LEAST_ERROR = 1e-9
"""Of alpha and beta: no match could show that it errs less often."""

MOST_ERRORS = 0.99
"""Of alpha + beta. At 1 a bound is 0, and the test ends before it starts."""


class EloModel(StrEnum):
    """The unit of a test's bounds."""

    NORMALIZED = "normalized"
    LOGISTIC = "logistic"
    BAYESIAN = "bayesian"


PAIR_MODELS = (EloModel.NORMALIZED, EloModel.LOGISTIC)
"""Those that need nothing but the pairs' scores; BayesElo also needs to know the drawn games."""


class Method(StrEnum):
    """What decides a sequential test: ``arena.stats.sequential``.

    The plain GSPRT; the same with fishtest's correction for overshoot, which saves 2 to 7 % of the
    pairs and errs a little more often than asked for where the bounds are wide; or bets whose
    errors are below alpha and beta by theorem, for some more pairs.
    """

    GSPRT = "gsprt"
    OVERSHOOT = "overshoot"
    CERTIFIED = "certified"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What to expect of a test: the chance of PROMOTE in [0, 1], and the mean pairs to a verdict.

    Of a test on single games, ``pairs`` still counts two games each.
    """

    pass_probability: float
    pairs: float


@dataclass(frozen=True, slots=True)
class Sprt:
    """A test of "the candidate is ``elo0`` stronger" (keep) against ``elo1`` (promote).

    ``elo0``, ``elo1``: bounds in Elo of ``model``, candidate minus baseline. ``alpha``: chance to
    promote at elo0. ``beta``: chance to keep at elo1. ``method``: what decides. ValueError where
    they make no test.
    """

    elo0: float
    elo1: float
    alpha: float = 0.05
    beta: float = 0.05
    model: EloModel = EloModel.NORMALIZED
    method: Method = Method.GSPRT

    def __post_init__(self) -> None:
        for name, elo in (("elo0", self.elo0), ("elo1", self.elo1)):
            if not abs(elo) <= LARGEST_ELO:
                raise ValueError(f"{name} is {elo!r}: it must be within +-{LARGEST_ELO:g} Elo")
        if not self.elo0 < self.elo1:
            raise ValueError(
                f"elo0 is {self.elo0:g} and elo1 is {self.elo1:g}: elo0 must be the smaller one"
            )
        if self.elo1 - self.elo0 < LEAST_WIDTH * (1.0 - 1e-9):  # 5.01 - 5 is a little less
            raise ValueError(
                f"elo0 is {self.elo0:g} and elo1 is {self.elo1:g}: "
                f"they must be at least {LEAST_WIDTH:g} Elo apart"
            )
        for name, error in (("alpha", self.alpha), ("beta", self.beta)):
            if not LEAST_ERROR <= error < 1.0:
                raise ValueError(
                    f"{name} is {error!r}: it must be within [{LEAST_ERROR:g}, 1), such as 0.05"
                )
        if self.alpha + self.beta > MOST_ERRORS:
            raise ValueError(
                f"alpha {self.alpha:g} + beta {self.beta:g} is more than {MOST_ERRORS:g}: "
                "a coin would do as well"
            )
        if self.model not in tuple(EloModel):
            raise ValueError(f"model is {self.model!r}: it must be one of {', '.join(EloModel)}")
        if self.method not in tuple(Method):
            raise ValueError(f"method is {self.method!r}: it must be one of {', '.join(Method)}")
        if self.method == Method.CERTIFIED and self.model == EloModel.BAYESIAN:
            raise ValueError("a certified test has bounds in normalized or logistic Elo")
        object.__setattr__(self, "model", EloModel(self.model))
        object.__setattr__(self, "method", Method(self.method))

    @property
    def bounds(self) -> tuple[float, float]:
        """LLR at or below which the test keeps, and at or above which it promotes.

        ln(beta / (1 - alpha)) and ln((1 - beta) / alpha): A. Wald, "Sequential Analysis", 1947;
        fishtest ``stat_util.py:181-182``, fastchess ``sprt.cpp:22-23``.
        """
        return math.log(self.beta / (1.0 - self.alpha)), math.log((1.0 - self.beta) / self.alpha)

    def llr(self, counts: Outcomes) -> float:
        """Return ln(likelihood at elo1 / likelihood at elo0), each at its best, in nats.

        Zero counts are taken as 0.001, so that every count vector has a finite answer: fishtest
        ``LLRcalc.py:130-149, 234-240, 271-285``, fastchess ``sprt.cpp:202-311``.

        Bounds in BayesElo become scores at the draw Elo of the single games, and the test runs on
        ``counts`` as they are, pairs or games: fishtest ``stat_util.py:240-247``. ValueError if
        those are pairs of which only the score is known.
        """
        regularised = counts.regularised()
        size = math.fsum(regularised)
        law = [n / size for n in regularised]
        draw_elo = self.draw_elo(counts)
        at_elo0, at_elo1 = (self._fit(counts, law, elo, draw_elo) for elo in (self.elo0, self.elo1))
        return size * math.fsum(
            p * (r0 - r1) for p, r0, r1 in zip(law, at_elo0, at_elo1, strict=True)
        )

    def _fit(
        self, counts: Outcomes, law: list[float], elo: float, draw_elo: float | None
    ) -> LogRatios:
        if self.model is EloModel.NORMALIZED:
            t = math.sqrt(counts.games_each) * elo / NELO_PER_DEVIATION
            return fit_t_value(law, [score - 0.5 for score in counts.scores], t)
        return fit_mean(law, counts.scores, self._score(elo, draw_elo))

    def draw_elo(self, counts: Outcomes) -> float | None:
        """Return the draw Elo of the sample where the model needs it, else None.

        ValueError where it is needed and ``counts`` do not tell: see ``sample_draw_elo``.
        """
        return sample_draw_elo(counts) if self.model is EloModel.BAYESIAN else None

    def _score(self, elo: float, draw_elo: float | None) -> float:
        """Mean score at a bound that is not in normalized Elo."""
        if self.model is EloModel.LOGISTIC:
            return score_of_elo(elo)
        if draw_elo is None:
            raise ValueError("bounds in BayesElo are no scores before the draw Elo is given")
        return BayesElo(elo, draw_elo).score

    def verdict(self, llr: float) -> Verdict:
        """Return what the test says at this LLR; a bound that is just reached decides."""
        lower, upper = self.bounds
        if llr <= lower:
            return Verdict.KEEP
        return Verdict.PROMOTE if llr >= upper else Verdict.UNDECIDED

    def progress(self, llr: float) -> float:
        """Return the share of the way to the bound on the LLR's side: -1 keeps, +1 promotes."""
        lower, upper = self.bounds
        return llr / upper if llr >= 0.0 else -llr / lower

    def score_bounds(self, moments: Moments, draw_elo: float | None = None) -> tuple[float, float]:
        """Return elo0 and elo1 as mean scores in [0, 1], at this spread of the results.

        Normalized: 1/2 + elo sigma_g / 347.4, fishtest ``static/js/sprt.js:16-63``. BayesElo: at
        ``draw_elo``, as ``Sprt.draw_elo`` tells; ValueError without it.
        """
        if self.model is not EloModel.NORMALIZED:
            return self._score(self.elo0, draw_elo), self._score(self.elo1, draw_elo)
        unit = moments.game_deviation / NELO_PER_DEVIATION
        return 0.5 + self.elo0 * unit, 0.5 + self.elo1 * unit

    def forecast(
        self, moments: Moments, llr: float = 0.0, *, draw_elo: float | None = None
    ) -> Forecast | None:
        """Return how the test is expected to end, from this LLR on, if ``moments`` are the truth.

        The LLR is taken for a Brownian motion (Wald): off by a few per cent at most, except where
        the bounds are so wide that a handful of pairs decide. None if nothing varies, or if the
        bounds are the same score in double precision. ``draw_elo``: as in ``score_bounds``. Source:
        fishtest ``static/js/sprt.js:16-63``.
        """
        score0, score1 = self.score_bounds(moments, draw_elo)
        width = score1 - score0
        if moments.variance == 0.0 or width <= 0.0:
            return None
        drift = (2.0 * moments.mean - score0 - score1) / width
        lower, upper = self.bounds
        if not lower < llr < upper:
            return Forecast(float(llr >= upper), 0.0)
        passed, time = _exit(lower - llr, upper - llr, drift)
        games = time * moments.game_deviation**2 / width**2
        return Forecast(passed, games / 2.0)

    def remaining(self, counts: Outcomes) -> Forecast | None:
        """Return how the test is expected to end if the results so far are the truth.

        None before two different results have been seen. Early on the estimate is as uncertain as
        the score that it takes for the truth.
        """
        moments = counts.moments()
        if moments is None:
            return None
        return self.forecast(moments, self.llr(counts), draw_elo=self.draw_elo(counts))


def closed_form_llr(counts: Outcomes, elo0: float, elo1: float) -> float:
    """Return the normalized LLR by its closed approximation, to compare with programs that use it.

    games / 2 ln[(1 + (t - t0)^2) / (1 + (t - t1)^2)], all t of one game. Source: fishtest
    ``LLRcalc.py:243-268``.
    """
    moments = counts.moments(regularised=True)
    assert moments is not None  # regularised counts are never all zero
    t = (moments.mean - 0.5) / moments.game_deviation
    t0, t1 = elo0 / NELO_PER_DEVIATION, elo1 / NELO_PER_DEVIATION
    games = moments.size * moments.games_each
    return games / 2.0 * (math.log1p((t - t0) ** 2) - math.log1p((t - t1) ** 2))


def _exit(lower: float, upper: float, drift: float) -> tuple[float, float]:
    """Return where and when a Brownian motion from 0 leaves (lower, upper).

    The motion has variance 1 and mean ``drift / 2`` in unit time, as an LLR has that is measured
    in its own variance: the chance of the upper end, and the mean time.
    """
    if drift < 0.0:
        passed, time = _exit(-upper, -lower, -drift)
        return 1.0 - passed, time
    if drift < 1e-8:  # the limit; the difference below would cancel
        return -lower / (upper - lower), -lower * upper
    passed = math.expm1(drift * lower) / math.expm1(drift * (lower - upper))
    return passed, 2.0 / drift * (upper * passed + lower * (1.0 - passed))
