"""The sequential test whose error rates are a theorem: ``--certified``.

Why: the error rates of a GSPRT are those of a limit, nearly reached when hundreds of pairs decide.
Those of a gambler's capital are bounds for any number of pairs and any draw rate. It starts at 1
and cannot grow on average while the hypothesis holds that he bets against; so by Ville's inequality
it ever reaches 1 / alpha with probability alpha at most. One gambler bets against "at most elo0
stronger", the other against "at least elo1 stronger"; the first to reach his goal decides. Each
stakes as if the truth were the other's bound. At the bounds that takes 2 to 8 % more pairs than the
GSPRT, and up to 17 % more where less than a hundred pairs decide (simulated).

The theorem. Let z be a pair's score less 1/2, m its mean, y = z^2 and s its mean. In both models a
hypothesis reads m <= k scale(s): logistic, scale = 1 and k = score(elo0) - 1/2; normalized, where
m = t deviations, scale = sqrt(s) and k = t / sqrt(1 + t^2). Take a line, line(s) = a + b s, with
k line(s) >= k scale(s). Then z - k line(y) has the mean m - k line(s) <= 0, and the capital

    prod_i (1 + stake_i (z_i - k line_i(y_i)))

is a supermartingale, for any stake >= 0 that leaves it positive and any such line, as long as both
depend only on the pairs before. Lines that will do:

* Logistic: 1. The law of a pair may depend on all those before, if only its mean given them obeys
  the hypothesis.
* Normalized, k >= 0: any tangent of the square root, as it lies above the root everywhere. Again
  the law of a pair may depend on those before, if it obeys the hypothesis.
* Normalized, k < 0: a chord of the square root, which lies below the root between its ends. The
  scales from 0 to 1/2 are cut into cells with a capital for each, and the evidence is the least of
  them, which is no more than that of the cell where the truth lies. The pairs must have one law, or
  at least scales within one cell. The cut costs little: outside its cell a chord lies above the
  root, so that the capital there grows the faster.

"At least elo1" is the same hypothesis seen from the baseline's side. If every pair is drawn, s = 0,
both hypotheses of a normalized test hold, and no capital grows. Openings drawn without replacement
shift the law of a pair as the book runs out; that is neglected.

Sources: J. Ville, "Etude critique de la notion de collectif", 1939; I. Waudby-Smith and A. Ramdas,
"Estimating means of bounded random variables by betting", J. R. Stat. Soc. B, 2024
(arXiv:2010.09686), for the bets on a mean; A. Ramdas, P. Grünwald, V. Vovk and G. Shafer,
"Game-theoretic statistics and safe anytime-valid inference", Statistical Science 38(4), 2023
(arXiv:2210.01948), for the least capital over a composite hypothesis. The lines are this project's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from arena.stats.elo import NELO_PER_DEVIATION, score_of_elo
from arena.stats.sprt import EloModel, Sprt, Verdict

PRIOR = (0.2, 0.4, 0.8, 0.4, 0.2)
"""Pairs of each score that are thought to have been seen before the first, worst first."""

LARGEST_LOSS = 0.9
"""Share of the capital that one pair can cost."""

CHORD_LOSS = 0.005
"""Of the distance between the bounds, what a chord may lie below the square root."""

SMALLEST_SCALE = 1.0 / 64.0
"""Upper end of the first cell, as sqrt(s): the scale where one pair in 256 is not drawn."""

MOST_CELLS = 250
"""Reached where the bounds differ by less than a two-hundredth of their distance from 0."""

Floats = NDArray[np.float64]

_OFFSETS = np.linspace(-0.5, 0.5, 5)
_SQUARES = _OFFSETS**2


@dataclass(frozen=True, slots=True, eq=False)
class Gambler:
    """Who bets against "m <= ``null`` scale(s)" as if it were m = ``truth`` scale(s).

    ``log_capitals``: ln of the capital, one for each cell of scales that the hypothesis is cut into
    (or the only one). ``payoffs`` [cell, outcome]: what a stake of 1 earns, z - null line(y); None
    where the line is a tangent, chosen anew for each pair.
    """

    null: float
    truth: float
    model: EloModel
    log_capitals: Floats
    payoffs: Floats | None = None

    @classmethod
    def start(cls, null: float, truth: float, model: EloModel) -> Self:
        """Return the gambler before the first pair, with a capital of 1."""
        if model is EloModel.LOGISTIC:
            return cls(null, truth, model, np.zeros(1), _payoffs(null, np.ones(1), np.zeros(1)))
        if null >= 0.0:
            return cls(null, truth, model, np.zeros(1))
        ends = cell_ends(CHORD_LOSS * (truth - null) / -null)
        lower, upper = ends[:-1], ends[1:]
        slopes = 1.0 / (lower + upper)
        payoffs = _payoffs(null, lower * upper * slopes, slopes)
        return cls(null, truth, model, np.zeros(len(slopes)), payoffs)

    @property
    def evidence(self) -> float:
        """Ln of the capital against the whole hypothesis: that of the poorest cell."""
        return float(self.log_capitals.min())

    def then(self, law: Floats, outcome: int) -> Self:
        """Return the gambler after a pair of this ``outcome``, 0 to 4, worst first.

        ``law``: the five outcomes' estimated probabilities, from the pairs before.
        """
        scale = 1.0 if self.model is EloModel.LOGISTIC else math.sqrt(law @ _SQUARES)
        payoffs = self.payoffs
        if payoffs is None:
            payoffs = _payoffs(self.null, np.array([scale / 2.0]), np.array([0.5 / scale]))
        means = payoffs @ law
        variances = (payoffs - means[:, np.newaxis]) ** 2 @ law
        # What a stake of 1 would earn on average under such a law, were its mean the truth.
        gains = np.maximum(means + (self.truth * scale - law @ _OFFSETS), 0.0)
        losses = np.maximum(-payoffs.min(axis=1), 1e-300)
        # The stake of the greatest mean of ln(1 + stake payoff), to second order.
        stakes = np.minimum(gains / (variances + gains**2), LARGEST_LOSS / losses)
        growth = np.log1p(stakes * payoffs[:, outcome])
        return replace(self, log_capitals=self.log_capitals + growth)


@dataclass(frozen=True, slots=True, eq=False)
class BettingTest:
    """A certified test in progress: a value, to be replaced by ``then`` pair by pair.

    ``sprt``: the bounds, error rates and model. ``counts``: pairs so far by score, worst first.
    ``verdict``: of the gambler who reached his goal first, PROMOTE if both did at once.
    ``against``: the gamblers against "at most elo0 stronger" and, from the baseline's side, "at
    least elo1 stronger".
    """

    sprt: Sprt
    counts: tuple[int, ...]
    verdict: Verdict
    against: tuple[Gambler, Gambler]

    @classmethod
    def start(cls, sprt: Sprt) -> Self:
        """Return the test before the first pair."""
        k0, k1 = (_coefficient(elo, sprt.model) for elo in (sprt.elo0, sprt.elo1))
        gamblers = Gambler.start(k0, k1, sprt.model), Gambler.start(-k1, -k0, sprt.model)
        return cls(sprt, (0, 0, 0, 0, 0), Verdict.UNDECIDED, gamblers)

    def then(self, score: float) -> Self:
        """Return the test after one more pair; once there is a verdict, the test unchanged.

        ``score``: the candidate's share of the pair's points, 0, 1/4, 1/2, 3/4 or 1; else
        ValueError. Pairs must come in the order in which they were issued, not finished.
        """
        if score not in _SCORES:
            raise ValueError(f"a pair scored {score!r}: it must be 0, 0.25, 0.5, 0.75 or 1")
        if self.verdict is not Verdict.UNDECIDED:
            return self
        outcome = _SCORES.index(score)
        seen = np.array(self.counts) + PRIOR
        law = seen / seen.sum()
        low, high = self.against
        low, high = low.then(law, outcome), high.then(law[::-1], 4 - outcome)
        counts = tuple(n + (i == outcome) for i, n in enumerate(self.counts))
        following = replace(self, counts=counts, against=(low, high))
        goal0, goal1 = self.thresholds
        if low.evidence >= goal0:
            return replace(following, verdict=Verdict.PROMOTE)
        if high.evidence >= goal1:
            return replace(following, verdict=Verdict.KEEP)
        return following

    @property
    def against_elo0(self) -> float:
        """Ln of the capital of who bets against "the candidate is at most elo0 stronger"."""
        return self.against[0].evidence

    @property
    def against_elo1(self) -> float:
        """Ln of the capital of who bets against "the candidate is at least elo1 stronger"."""
        return self.against[1].evidence

    @property
    def thresholds(self) -> tuple[float, float]:
        """What ``against_elo0`` must reach to promote, and ``against_elo1`` to keep, in nats."""
        return -math.log(self.sprt.alpha), -math.log(self.sprt.beta)


_SCORES = (0.0, 0.25, 0.5, 0.75, 1.0)


def _coefficient(elo: float, model: EloModel) -> float:
    """``k`` of a bound: the mean of z is k scale(s) there."""
    if model is EloModel.LOGISTIC:
        return score_of_elo(elo) - 0.5
    t = math.sqrt(2.0) * elo / NELO_PER_DEVIATION
    return t / math.hypot(1.0, t)


def _payoffs(null: float, heights: Floats, slopes: Floats) -> Floats:
    """Return z - null (height + slope y) for each line and outcome."""
    return _OFFSETS - null * (heights[:, np.newaxis] + slopes[:, np.newaxis] * _SQUARES)


def cell_ends(loss: float) -> Floats:
    """Return the scales that part the cells of a hypothesis, from 0 to 1/2.

    Between r and q r a chord of the square root lies below it by 1 - sech(ln(q) / 2) of it at most:
    by ``loss`` or less, as a share of it, except in the first cell and with too many cells.
    """
    cells = 1
    if loss < 1.0:
        widest = 2.0 * math.acosh(1.0 / (1.0 - loss))
        span = math.log(0.5 / SMALLEST_SCALE)
        cells = MOST_CELLS if widest * MOST_CELLS <= span else math.ceil(span / widest)
    return np.concatenate([[0.0], np.geomspace(SMALLEST_SCALE, 0.5, cells + 1)])
