"""A race: of several players that all meet each other, drop the worse ones while they play.

What is asked: the chance that the best player is ever dropped is at most ``error``, however many
players there are, however often one looks, and whatever the results on one opening have to do with
each other.

How. All survivors play all others on the same openings. On an opening a player's value x is its
mean share of the points of a pair over its opponents still in the race, in [0, 1]. Say that the
best player is one that expects at least half of the points against each of the others. Then its x
has a mean of at least 1/2 against any set of them, so that for a stake from 0 to 2

    prod (1 + stake (1/2 - x))

is what a gambler has who bets against that with a capital of 1: it cannot grow on average, and
neither can the mean of several such capitals. By Ville's inequality it ever reaches 1 / error with
probability ``error`` at most. Whoever's gambler gets there is dropped. Only the best player's own
gambler can drop the best player, so the error need not be divided among the players. Nothing is
asked of how x varies, nor of how the values of several players hang together; who the opponents are
may depend on all that was played before.

Where no player is at least equal to each of the others (a circle) there is no best one in this
sense, and nothing is promised. Who is left when the openings run out is no more than whoever scored
best: the race bounds the chance to drop the best, not the chance to miss it.

The capital is the mean over ``STAKES``, each twice the one before, or nearly. To second order a
stake of r times the best one grows 2 r - r^2 times as fast; so one of them has at least 8/9 of the
growth of the best stake, where that is from 3/16 to 2. Smaller ones are for differences that a few
hundred openings cannot show. The capital does not depend on the order of the openings. Openings
drawn without replacement shift the mean of x as the book runs out; that is neglected, as it is in
``arena.stats.betting``.

Sources: O. Maron and A. W. Moore, "Hoeffding races: accelerating model selection search for
classification and function approximation", NIPS 6, 1994; J. Ville, "Etude critique de la notion de
collectif", 1939; I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by
betting", J. R. Stat. Soc. B, 2024 (arXiv:2010.09686).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

STAKES = (0.25, 0.5, 1.0, 1.9)
"""What the gamblers stake of each unit of capital; 2 could lose all of it on one opening."""


@dataclass(frozen=True, slots=True, eq=False)
class Race:
    """A race in progress: a value, to be replaced by ``then`` and ``cut``.

    ``survivors``: indices of the players still in it, ascending. ``log_capitals`` [player, stake]:
    ln of the capital that bets against the player being the best. ``evidence`` [player]: ln of the
    highest that the mean over stakes has been, 0 or more. ``points`` and ``pairs`` [player,
    opponent]: what was scored, 0 to 1 a pair, and in how many pairs.
    """

    error: float
    survivors: tuple[int, ...]
    log_capitals: Floats
    evidence: Floats
    points: Floats
    pairs: NDArray[np.int64]

    @classmethod
    def start(cls, players: int, error: float) -> Self:
        """Return the race before the first opening.

        ``error``: the highest chance, between 0 and 1, that the best player is dropped. Raises
        ValueError for another one, or for fewer than two players.
        """
        if players < 2:
            raise ValueError(f"a race of {players}: there must be at least 2 players")
        if not 0.0 < error < 1.0:
            raise ValueError(f"error {error:g}: must be between 0 and 1")
        square = (players, players)
        return cls(
            error,
            tuple(range(players)),
            np.zeros((players, len(STAKES))),
            np.zeros(players),
            np.zeros(square),
            np.zeros(square, np.int64),
        )

    @property
    def goal(self) -> float:
        """The evidence, in nats, from which on a player is dropped."""
        return -math.log(self.error)

    @property
    def scores(self) -> dict[int, float]:
        """Each survivor's mean share of the points against the other survivors, 1/2 without any."""
        rows = list(self.survivors)
        points = self.points[np.ix_(rows, rows)].sum(axis=1)
        pairs = self.pairs[np.ix_(rows, rows)].sum(axis=1)
        return {
            player: float(won / of) if of else 0.5
            for player, won, of in zip(rows, points, pairs, strict=True)
        }

    @property
    def leader(self) -> int:
        """The survivor of the highest score; of several, the first."""
        scores = self.scores
        return max(self.survivors, key=lambda player: scores[player])

    def then(self, shares: ArrayLike) -> Self:
        """Return the race after one more opening.

        ``shares`` [player, opponent]: the player's share of the points of their pair, in [0, 1],
        its opponent's 1 less it; NaN where there is no pair that counts. Those of players that were
        dropped are not looked at. Raises ValueError for shares that cannot be.
        """
        table = np.array(shares, np.float64)
        if table.shape != self.points.shape:
            raise ValueError(f"shares of shape {table.shape}, not {self.points.shape}")
        alive = np.zeros(len(table), np.bool_)
        alive[list(self.survivors)] = True
        counts = alive[:, np.newaxis] & alive & ~np.eye(len(table), dtype=np.bool_)
        counts &= ~np.isnan(table)
        if not ((table[counts] >= 0.0) & (table[counts] <= 1.0)).all():
            raise ValueError("a share of the points must be from 0 to 1")
        if (counts != counts.T).any() or ((table + table.T)[counts] != 1.0).any():
            raise ValueError("what a player has of a pair, its opponent must lack")
        won = np.where(counts, table, 0.0)
        opponents = counts.sum(axis=1)
        # A player without a pair is not bet on: 1/2 - x is 0.
        lack = np.where(opponents > 0, 0.5 - won.sum(axis=1) / np.maximum(opponents, 1), 0.0)
        capitals = self.log_capitals + np.log1p(np.outer(lack, STAKES))
        mean = np.logaddexp.reduce(capitals, axis=1) - math.log(len(STAKES))
        return replace(
            self,
            log_capitals=capitals,
            evidence=np.maximum(self.evidence, mean),
            points=self.points + won,
            pairs=self.pairs + counts,
        )

    def cut(self) -> Self:
        """Return the race without those whose evidence has reached the goal.

        Survivors that all have are not all dropped: the one of least evidence stays, of several the
        first. It can be asked after any opening, and need not be after each.
        """
        stay = [player for player in self.survivors if self.evidence[player] < self.goal]
        if not stay:
            stay = [min(self.survivors, key=lambda player: float(self.evidence[player]))]
        return replace(self, survivors=tuple(stay))
