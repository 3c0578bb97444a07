"""How often each result of a pair comes: two players, a draw rate, and openings with a bias.

The model is BayesElo's (R. Coulom), with the opening's advantage added to the side that has it:
a game at a difference of x is won with chance 1 / (1 + 10^((d - x) / 400)) and lost with
1 / (1 + 10^((d + x) / 400)). A pair plays both sides of its opening, so x is D + b, then D - b.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq, fsolve

from arena.stats.elo import ELO_PER_DECADE, NELO_PER_DEVIATION, elo_of_score, score_of_elo
from arena.stats.sprt import EloModel

Law = npt.NDArray[np.float64]
"""Chances of 0, 1/2, 1, 3/2 and 2 points of a pair, which sum to 1."""

SCORES = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
"""The score of each outcome: its share of the pair's points."""


@dataclass(frozen=True, slots=True)
class Book:
    """What decides the spread of the results: ``draw_elo`` d, and the openings' biases in Elo.

    Each bias comes equally often.
    """

    draw_elo: float
    biases: tuple[float, ...] = (0.0,)

    def law(self, difference: float) -> Law:
        """Return the law of a pair's points at a difference of BayesElo."""
        laws = [_pair_law(self.draw_elo, difference, bias) for bias in self.biases]
        return np.asarray(np.mean(laws, axis=0))

    def law_at(self, elo: float, model: EloModel) -> Law:
        """Return the law at which the candidate is ``elo`` stronger, in the Elo of ``model``."""

        def distance(difference: float) -> float:
            return strength(self.law(difference), model) - elo

        return self.law(float(brentq(distance, -1500.0, 1500.0, xtol=1e-12)))

    def game_draw_rate(self) -> float:
        """Return the share of drawn games between equal players."""
        wins, draws, losses = np.mean(
            [_game_law(self.draw_elo, bias) for bias in self.biases], axis=0
        )
        return float(draws / (wins + draws + losses))

    def rms_bias(self) -> float:
        """Return the openings' bias as ``arena.stats.elo.rms_opening_bias`` would see it, in Elo.

        Between equal players: the root mean square of a game's expected score minus 1/2.
        """
        expected = [w + d / 2.0 for w, d, _ in (_game_law(self.draw_elo, b) for b in self.biases)]
        return elo_of_score(0.5 + math.sqrt(np.mean(np.square(np.array(expected) - 0.5))))


def balanced(draw_rate: float) -> Book:
    """Return the book without bias that gives equal players this share of drawn games."""
    return Book(ELO_PER_DECADE * math.log10((1.0 + draw_rate) / (1.0 - draw_rate)))


def unbalanced(draw_rate: float, rms_bias: float) -> Book:
    """Return the book of two opposite biases with this draw rate and rms bias, in Elo."""

    def misses(unknown: Law) -> list[float]:
        book = Book(float(unknown[0]), (-float(unknown[1]), float(unknown[1])))
        return [book.game_draw_rate() - draw_rate, (book.rms_bias() - rms_bias) / 100.0]

    draw_elo, bias = fsolve(misses, [300.0, 300.0], xtol=1e-12)
    return Book(float(draw_elo), (-float(bias), float(bias)))


def strength(law: Law, model: EloModel) -> float:
    """Return the Elo of ``model`` that a law of a pair's points stands for."""
    mean = float(law @ SCORES)
    if model is EloModel.LOGISTIC:
        return elo_of_score(mean)
    game_deviation = math.sqrt(2.0 * float(law @ np.square(SCORES - mean)))
    return NELO_PER_DEVIATION * (mean - 0.5) / game_deviation


def _game_law(draw_elo: float, difference: float) -> tuple[float, float, float]:
    """Chances to win, draw, lose."""
    win, loss = score_of_elo(difference - draw_elo), score_of_elo(-difference - draw_elo)
    return win, 1.0 - win - loss, loss


def _pair_law(draw_elo: float, difference: float, bias: float) -> Law:
    first, second = (_game_law(draw_elo, difference + b)[::-1] for b in (bias, -bias))
    return np.convolve(first, second)
