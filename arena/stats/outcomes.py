"""How pairs of games end at a given strength: the laws that a plan takes for the truth.

Two models. ``BayesElo`` needs no games: a draw rate and how unbalanced the openings are.
``Observed`` takes the results of pairs already played and shifts them to another strength.
Both give a pair's law, the chances of [LL, LD, WL+DD, WD, WW] from the candidate's side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit, softmax

from arena.stats.elo import ELO_PER_DECADE, NELO_PER_DEVIATION, elo_of_score, score_of_elo
from arena.stats.pentanomial import Outcomes
from arena.stats.sprt import EloModel

PairLaw = tuple[float, float, float, float, float]
"""Chances of 0, 0.5, 1, 1.5 and 2 points from a pair; they sum to 1."""

PAIR_SCORES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Score of each outcome, a share of the points."""

LARGEST_TRUE_ELO = 1500.0
"""Logistic, either side: a score of 0.99982."""

_LOGITS_PER_ELO = math.log(10.0) / ELO_PER_DECADE


class OutcomeModel(Protocol):
    """Anything that knows the law of a pair at a difference in strength."""

    def law(self, elo: float) -> PairLaw:
        """Return the law whose mean score is that of ``elo``, logistic."""
        ...


@dataclass(frozen=True, slots=True)
class BayesElo:
    """Remi Coulom's model of draws, on openings that favour one side.

    A game is won with 1 / (1 + 10^((D - d - b) / 400)) and lost with 1 / (1 + 10^((D + d + b) /
    400)). ``d`` is the difference in strength. ``D``, the width of the draw, and the opening's
    advantage ``b`` to the candidate are set so that at d = 0 a game is drawn with chance
    ``draw_rate`` and the favoured side scores as one that is ``opening_bias`` logistic Elo
    stronger, which is what ``rms_opening_bias`` measures. The two games of a pair are independent
    and have +b and -b; every opening has the same b.

    ``draw_rate`` in [0, 1), ``opening_bias`` in Elo, either sign. ValueError outside, and where so
    many draws leave no room for the bias: the favoured side can score (1 - draw_rate) / 2 above
    1/2 at most, when the other never wins.

    Source: https://www.remi-coulom.fr/Bayesian-Elo/#theory; the inverse is fishtest's
    ``stat_util.py:71-117``.
    """

    draw_rate: float
    opening_bias: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.draw_rate < 1.0:
            raise ValueError(
                f"the draw rate is {self.draw_rate!r}: it must be a share in [0, 1), such as 0.5"
            )
        if not math.isfinite(self.opening_bias):
            raise ValueError(f"the opening bias is {self.opening_bias!r}: it must be a number")
        won, lost = self._favoured
        if lost <= 0.0 or won >= 1.0:
            # The score of a side that never loses; without draws any bias that is below 1.
            most = elo_of_score(min(1.0 - self.draw_rate / 2.0, 1.0 - 1e-12))
            raise ValueError(
                f"with a draw rate of {self.draw_rate:g} openings cannot be biased by "
                f"{abs(self.opening_bias):g} Elo: it must be below {most:.1f}"
            )

    @property
    def _favoured(self) -> tuple[float, float]:
        """Chances of the favoured side to win and to lose, between equals."""
        edge = score_of_elo(abs(self.opening_bias)) - 0.5
        decisive = (1.0 - self.draw_rate) / 2.0
        return decisive + edge, decisive - edge

    def law(self, elo: float) -> PairLaw:
        """Return the law whose mean score is exactly that of ``elo``, logistic.

        ValueError past +-1500 Elo.
        """
        _require_elo(elo)
        won, lost = (float(logit(chance)) for chance in self._favoured)
        advantage, width = (won - lost) / 2.0, -(won + lost) / 2.0
        target = score_of_elo(elo)

        def game(strength: float) -> tuple[float, float, float]:
            win, loss = float(expit(strength - width)), float(expit(-strength - width))
            return loss, max(1.0 - win - loss, 0.0), win

        def excess(strength: float) -> float:
            pair = game(strength + advantage), game(strength - advantage)
            return sum(win - loss for loss, _, win in pair) / 4.0 + 0.5 - target

        # With the draw's width and the bias on top, the wins alone make up the score.
        reach = abs(elo) * _LOGITS_PER_ELO + width + advantage + 1e-9
        strength = float(brentq(excess, -reach, reach, xtol=1e-14, rtol=1e-14))
        (l1, d1, w1), (l2, d2, w2) = game(strength + advantage), game(strength - advantage)
        return l1 * l2, l1 * d2 + d1 * l2, l1 * w2 + d1 * d2 + w1 * l2, w1 * d2 + d1 * w2, w1 * w2


@dataclass(frozen=True)
class Observed:
    """The pairs of a match, shifted to another strength.

    Each outcome's share is multiplied by e^(x score), with the x that gives the mean score wanted:
    of all laws with that mean the one nearest to what was seen (in relative entropy), whatever the
    book and the draws are like. Outcomes not seen count 0.001. ValueError without any pair.
    """

    counts: Outcomes

    def __post_init__(self) -> None:
        if len(self.counts.counts) != len(PAIR_SCORES):
            raise ValueError("results of single games tell nothing about pairs")
        if self.counts.size == 0:
            raise ValueError("there are no pairs to plan by")

    @cached_property
    def _logs(self) -> NDArray[np.float64]:
        return np.asarray(np.log(self.counts.regularised()))

    def law(self, elo: float) -> PairLaw:
        """Return the law whose mean score is that of ``elo``. ValueError past +-1500 Elo."""
        _require_elo(elo)
        scores, target = np.array(PAIR_SCORES), score_of_elo(elo)

        def shifted(tilt: float) -> NDArray[np.float64]:
            return np.asarray(softmax(self._logs + tilt * scores))

        reach = 200.0  # more than any counts below 10^9 and 1500 Elo ask for
        tilt = brentq(lambda x: float(shifted(x) @ scores) - target, -reach, reach, xtol=1e-13)
        ll, ld, level, wd, ww = (float(chance) for chance in shifted(tilt))
        return ll, ld, level, wd, ww


def pair_law(elo: float, draw_rate: float, opening_bias: float = 0.0) -> PairLaw:
    """Return the law of a pair by the model of ``BayesElo``, which says what is meant and refused.

    ``elo``: logistic, candidate minus baseline. ``draw_rate``: share of games drawn between equals,
    in [0, 1). ``opening_bias``: advantage of the side that the opening favours, in Elo.
    """
    return BayesElo(draw_rate, opening_bias).law(elo)


def nelo_of_law(law: PairLaw) -> float:
    """Return normalized Elo: 347.4 times the mean's distance from 1/2 in deviations of a game."""
    mean = math.fsum(p * score for p, score in zip(law, PAIR_SCORES, strict=True))
    variance = math.fsum(p * (a - mean) ** 2 for p, a in zip(law, PAIR_SCORES, strict=True))
    return NELO_PER_DEVIATION * (mean - 0.5) / math.sqrt(2.0 * variance)


def logistic_elo_at(model: OutcomeModel, elo: float, unit: EloModel) -> float:
    """Return the logistic Elo at which the model has ``elo`` in ``unit``.

    ValueError where that is past +-1500 logistic Elo.
    """
    if unit is EloModel.LOGISTIC:
        _require_elo(elo)
        return elo
    at_zero = nelo_of_law(model.law(0.0))  # 0 but for rounding
    if elo == 0.0 or at_zero / elo >= 1.0:
        return 0.0
    end = math.copysign(LARGEST_TRUE_ELO, elo)
    if abs(nelo_of_law(model.law(end))) < abs(elo):
        raise ValueError(f"{elo:g} normalized Elo is more than +-{LARGEST_TRUE_ELO:g} logistic Elo")
    root = brentq(lambda x: nelo_of_law(model.law(x)) - elo, 0.0, end, xtol=1e-10, rtol=1e-12)
    return float(root)


def _require_elo(elo: float) -> None:
    if not abs(elo) <= LARGEST_TRUE_ELO:
        raise ValueError(f"an Elo of {elo!r}: it must be within +-{LARGEST_TRUE_ELO:g}")
