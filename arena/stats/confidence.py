"""An interval for the score that may be looked at after every pair, and acted upon.

Why: the usual 95 % interval holds for one look at a match of fixed length. Watched while two equal
players play 5,000 pairs, it excludes the truth at some moment in three matches of four. This one
excludes it at any moment, ever, with at most the probability stated, and is 1.5 to 2 times as wide.

How: against each candidate mean m stands a gambler who stakes a constant share ``u`` of his capital
on scores above m, so that each pair multiplies the capital by ``1 + u (x / m - 1)``. If no pair's
mean exceeds m given those before, the capital is a supermartingale, and so is an average of such
gamblers with different u,

    K(m) = sum_j w_j prod_i (1 + u_j (x_i / m - 1)),   u_j in (0, 1), w_j > 0, sum_j w_j = 1,

which by Ville's inequality ever reaches 2 / alpha with probability alpha / 2 at most. The lower end
is where K(m), which falls as m grows, is 2 / alpha; the upper end is the lower end of the other
side. No law is assumed, nor that pairs be independent; that openings drawn without replacement
shift the mean as the book runs out is neglected. As K depends on the counts alone, the order of
pairs does not matter and nothing has to be remembered; the intersection of all the intervals of a
match so far would be valid as well, but it would need that memory, so it is not taken.

Sources: J. Ville, "Etude critique de la notion de collectif", 1939; I. Waudby-Smith and A. Ramdas,
"Estimating means of bounded random variables by betting", J. R. Stat. Soc. B, 2024
(arXiv:2010.09686); F. Orabona and K.-S. Jun, "Tight concentrations and confidence sequences from
the regret of universal portfolio", IEEE Trans. Inf. Theory 70(1), 2024 (arXiv:2110.14099), who
average over all constant bets. The grid and its weights are this project's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arena.stats.elo import EloEstimate, elo_of_score
from arena.stats.pentanomial import Outcomes

SHARES = np.geomspace(0.001, 0.9, 48)
"""``u_j``. Against n pairs of variance v the best is about 1.6 / sqrt(n v): 0.9 for the shortest
matches that say anything, 0.04 for 20,000 pairs without draws."""

PREFERRED_SHARE, SPREAD = 0.75, 1.2
"""The weights are normal in ln u, by these in u and in ln u. Chosen so that the interval is at most
1.6 times the usual one at 200 pairs for draw rates of 20 to 85 %; at 20,000 it is twice as wide."""

WEIGHTS = np.exp(-0.5 * (np.log(SHARES / PREFERRED_SHARE) / SPREAD) ** 2)
WEIGHTS /= WEIGHTS.sum()

TOLERANCE = 1e-11
"""Of an end, relative."""

FLOOR = -600.0
"""Of ln m: an end below it is 0."""

MOST_STEPS = 200
"""Of Newton's method, which takes about six."""

Floats = NDArray[np.float64]

_LOG_WEIGHTS = np.log(WEIGHTS)


@dataclass(frozen=True, slots=True)
class ScoreInterval:
    """The mean score in [0, 1], None before the first result, and the ends of its interval."""

    score: float | None
    low: float
    high: float

    @property
    def elo(self) -> EloEstimate:
        """The same as logistic Elo; None where a number is that of a score of 0 or 1."""
        return EloEstimate(_elo(self.score), _elo(self.low), _elo(self.high))


def confidence_sequence(counts: Outcomes, *, confidence: float = 0.95) -> ScoreInterval:
    """Return the interval that contains the mean score at every moment of a match.

    ``confidence``: the probability, in (0, 1), that no interval of an endless match excludes a mean
    that every pair (or game) has, given those before; else ValueError. With no result it is [0, 1].
    Of pairs played at once, count the ones issued first: those that finish first are no fair
    sample. Module docstring: definition, proof and sources.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence!r}: it must be within (0, 1), such as 0.95")
    if counts.size == 0:
        return ScoreInterval(None, 0.0, 1.0)
    both = np.array([counts.counts, counts.counts[::-1]], dtype=np.float64)
    low, other_low = _lower_ends(both, np.array(counts.scores), math.log(2.0 / (1.0 - confidence)))
    return ScoreInterval(counts.score, float(low), float(1.0 - other_low))


def _lower_ends(counts: Floats, scores: Floats, target: float) -> Floats:
    """Return the mean at which ln K is ``target`` for each row of ``counts``.

    In ln m each gambler's ln capital is convex and falling, so ln K is too, and Newton's steps rise
    to the root from anywhere below it; from above, the first step leads below. The end is 0 where
    all results are 0, of which no gambler ever gained.
    """
    size, above = counts.sum(axis=1), counts[:, 1:, np.newaxis]
    mean = counts @ scores / size
    some = mean > 0.0
    mean = np.where(some, mean, 1.0)
    idle = _LOG_WEIGHTS + counts[:, :1] * np.log1p(-SHARES)
    stakes = SHARES[:, np.newaxis] * scores[1:]
    rests = 1.0 - SHARES[:, np.newaxis]
    # A gambler alone has less than all together, and less still without what he did not stake.
    alone = idle + (np.log(stakes) @ above)[..., 0] - target
    lowest = np.maximum((alone / np.maximum(size - counts[:, 0], 1.0)[:, np.newaxis]).max(1), FLOOR)
    variance = counts @ scores**2 / size - mean**2
    reach = 3.4 * np.sqrt(np.maximum(variance, 0.0) / size) / mean + 3.0 / size
    position = np.maximum(np.log(mean) - reach, lowest)
    for _ in range(MOST_STEPS):
        gains = stakes * np.exp(-position)[:, np.newaxis, np.newaxis]
        fortunes = rests + gains
        capitals = idle + (np.log(fortunes) @ above)[..., 0]
        largest = capitals.max(axis=1)
        parts = np.exp(capitals - largest[:, np.newaxis])
        total = parts.sum(axis=1)
        fall = (parts * ((gains / fortunes) @ above)[..., 0]).sum(axis=1) / total
        step = (largest + np.log(total) - target) / np.where(some, fall, 1.0)
        following = np.where(some, np.maximum(position + step, lowest), position)
        moved = np.abs(following - position).max()
        position = following
        if moved <= TOLERANCE:
            break
    return np.where(some & (position > FLOOR), np.exp(position), 0.0)


def _elo(score: float | None) -> float | None:
    return elo_of_score(score) if score is not None and 0.0 < score < 1.0 else None
