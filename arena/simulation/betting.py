"""The gamblers of ``arena.stats.betting``, compiled.

That module has the theorem, and says what they stake and why; their lines and goals are taken from
it. Capitals are kept as products instead of sums of logarithms. A gambler who is ruined to less
than 1e-290 is taken to be so for good.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from arena.stats.betting import LARGEST_LOSS, PRIOR, BettingTest, Gambler
from arena.stats.sprt import EloModel, Sprt
from swa.jit import inline, kernel

Vector = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

OUTCOMES = 5


class Side(NamedTuple):
    """A gambler against "m <= null scale(s)": a stake of 1 earns z - height - slope z^2.

    As in ``likelihood.Hypotheses``, no constant of ``arena.stats`` is compiled in.
    """

    truth: float
    null: float
    scale_is_one: bool
    tangent: bool  # then the line is chosen for each pair, and the arrays have one element
    heights: Vector  # [cells]
    slopes: Vector  # [cells]
    losses: Vector  # [cells] the most that a stake of 1 can lose
    goal: float  # capital that decides
    prior: Vector  # [5] pairs taken for seen before the first
    largest_loss: float  # share of the capital that one pair can cost


def sides_of(test: Sprt) -> tuple[Side, Side]:
    """Return who bets against elo0 and, from the baseline's side, who bets against elo1."""
    start = BettingTest.start(test)
    low, high = (
        _side(gambler, math.exp(goal))
        for gambler, goal in zip(start.against, start.thresholds, strict=True)
    )
    return low, high


def _side(gambler: Gambler, goal: float) -> Side:
    if gambler.payoffs is None:
        heights = slopes = losses = np.zeros(1)
    else:
        heights = -gambler.payoffs[:, 2]  # where z is 0
        slopes = 4.0 * (0.5 - heights - gambler.payoffs[:, 4])  # where z is 1/2
        losses = np.maximum(-gambler.payoffs.min(axis=1), 1e-300)
    one = gambler.model is EloModel.LOGISTIC
    tangent = gambler.payoffs is None
    line = gambler.truth, gambler.null, one, tangent, heights, slopes, losses
    return Side(*line, goal, np.array(PRIOR), LARGEST_LOSS)


@kernel
def bet(side: Side, counts: Integers, mirrored: bool, result: int, capitals: Vector) -> bool:
    """Let a gambler bet on ``result`` (0 to 4), knowing the ``counts`` before it.

    ``mirrored``: he sits at the baseline's side. Changes ``capitals`` [cells]; says whether the
    poorest has reached the goal.
    """
    size = mean = second = third = fourth = 0.0
    for i in range(OUTCOMES):
        seen, z = counts[i] + side.prior[i], 0.25 * i - 0.5
        size += seen
        mean += seen * z
        second += seen * z * z
        third += seen * z * z * z
        fourth += seen * z * z * z * z
    sign = -1.0 if mirrored else 1.0
    mean, third = sign * mean / size, sign * third / size
    second, fourth = second / size, fourth / size
    z = sign * (0.25 * result - 0.5)
    scale = 1.0 if side.scale_is_one else math.sqrt(second)
    poorest = math.inf
    for cell in range(len(side.heights)):
        height, slope, loss = side.heights[cell], side.slopes[cell], side.losses[cell]
        if side.tangent:
            height, slope = side.null * scale / 2.0, side.null * 0.5 / scale
            loss = _largest_loss(height, slope)
        earned = mean - height - slope * second
        square = (
            second
            + height * height
            + slope * slope * fourth
            - 2.0 * (height * mean + slope * third)
            + 2.0 * height * slope * second
        )
        variance = square - earned * earned
        gain = max(earned + side.truth * scale - mean, 0.0)
        stake = min(gain / (variance + gain * gain), side.largest_loss / loss)
        capital = capitals[cell] * (1.0 + stake * (z - height - slope * z * z))
        if capital < 1e-290:
            capital = 0.0
        capitals[cell] = capital
        poorest = min(poorest, capital)
    return poorest >= side.goal


@inline
def _largest_loss(height: float, slope: float) -> float:
    loss = 1e-300
    for i in range(OUTCOMES):
        z = 0.25 * i - 0.5
        loss = max(loss, height + slope * z * z - z)
    return loss
