"""What a match has produced, counted so that nothing later has to be guessed.

Why pairs: the two games of an opening share its bias, so they are not independent, and single-game
statistics on a biased book are wrong by up to a factor of two (rms bias 191 Elo: a nominal 5 % SPRT
errs 0.3 % and takes twice the pairs). A pair is therefore one observation with one of five scores,
and won-lost pairs are kept apart from drawn-drawn ones, which that score alone cannot tell.

All counts are from the candidate's side; ``flipped()`` gives the baseline's.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields
from numbers import Integral
from typing import ClassVar

REGULARISED_ZERO = 1e-3
"""Count that stands for an outcome not seen; fishtest ``LLRcalc.py``, fastchess ``sprt.cpp``."""

PAIR_NAMES = {
    (0.0, 0.0): "LL",
    (0.0, 0.5): "LD",
    (0.0, 1.0): "WL",
    (0.5, 0.5): "DD",
    (0.5, 1.0): "WD",
    (1.0, 1.0): "WW",
}
"""The name of a pair by the points of its two games, the lower first."""


@dataclass(frozen=True, slots=True)
class Moments:
    """The sample law of one observation's score, the score being a share of the points in [0, 1].

    ``size``: observations (not whole where zero counts are regularised). ``mean``, ``variance`` of
    the score; ``skewness`` and ``excess_kurtosis`` are dimensionless and 0 where nothing varies.
    ``games_each``: games in one observation.
    """

    size: float
    mean: float
    variance: float
    skewness: float
    excess_kurtosis: float
    games_each: int

    @property
    def game_deviation(self) -> float:
        """Standard deviation of one game's score that would give this variance: sigma_g."""
        return math.sqrt(self.games_each * self.variance)

    @property
    def mean_error(self) -> float:
        """Standard error of ``mean``."""
        return math.sqrt(self.variance / self.size)


class Outcomes(ABC):
    """Counts of equally spaced scores, worst first: what every statistic here is computed from."""

    __slots__ = ()

    games_each: ClassVar[int]

    @property
    @abstractmethod
    def counts(self) -> tuple[int, ...]:
        """Observations per score, worst first; the scores run evenly from 0 to 1."""

    @property
    def size(self) -> int:
        """Observations: pairs, or games where there are no pairs."""
        return sum(self.counts)

    @property
    def games(self) -> int:
        """Games played."""
        return self.size * self.games_each

    @property
    def points(self) -> float:
        """Points won, 1 a game."""
        top = len(self.counts) - 1
        return sum(i * n for i, n in enumerate(self.counts)) * self.games_each / top

    @property
    def score(self) -> float | None:
        """Points per game in [0, 1], or None before the first game."""
        return self.points / self.games if self.games else None

    @property
    def scores(self) -> tuple[float, ...]:
        """The score in [0, 1] that each count belongs to."""
        top = len(self.counts) - 1
        return tuple(i / top for i in range(top + 1))

    def regularised(self) -> tuple[float, ...]:
        """Return the counts with every zero replaced by 0.001, so that no logarithm is of zero."""
        return tuple(float(n) or REGULARISED_ZERO for n in self.counts)

    def moments(self, *, regularised: bool = False) -> Moments | None:
        """Return mean and spread of the score, or None where there is no observation at all.

        ``regularised`` takes the regularised counts, as fishtest does, instead of the plain ones.
        """
        weights = self.regularised() if regularised else tuple(map(float, self.counts))
        size = math.fsum(weights)
        if size == 0.0:
            return None
        law = [(n / size, score) for n, score in zip(weights, self.scores, strict=True)]
        mean = math.fsum(p * score for p, score in law)
        second, third, fourth = (
            math.fsum(p * (score - mean) ** power for p, score in law) for power in (2, 3, 4)
        )
        return Moments(
            size=size,
            mean=mean,
            variance=second,
            skewness=third / second**1.5 if second else 0.0,
            excess_kurtosis=fourth / second**2 - 3.0 if second else 0.0,
            games_each=self.games_each,
        )


@dataclass(frozen=True, slots=True)
class GameCounts(Outcomes):
    """Single games, for results of other programs that did not keep their pairs (trinomial)."""

    losses: int = 0
    draws: int = 0
    wins: int = 0

    games_each: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _require_counts(self)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Games: losses, draws, wins."""
        return self.losses, self.draws, self.wins

    def flipped(self) -> GameCounts:
        """Return the same games from the other side."""
        return GameCounts(self.wins, self.draws, self.losses)


@dataclass(frozen=True, slots=True)
class Pentanomial(Outcomes):
    """Pairs by score alone, as other programs print them: ``Ptnml(0-2)``.

    Enough for Elo and the SPRT; wins, draws and losses cannot be told from it.
    """

    LL: int = 0
    LD: int = 0
    WL_DD: int = 0
    WD: int = 0
    WW: int = 0

    games_each: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _require_counts(self)

    @property
    def counts(self) -> tuple[int, int, int, int, int]:
        """Pairs with 0, 0.5, 1, 1.5 and 2 points."""
        return self.LL, self.LD, self.WL_DD, self.WD, self.WW

    def flipped(self) -> Pentanomial:
        """Return the same pairs from the other side."""
        return Pentanomial(*self.counts[::-1])


@dataclass(frozen=True, slots=True)
class PairCounts(Outcomes):
    """Pairs by the results of their two games, in either order, from the candidate's side.

    ``LL`` both lost (0 points), ``LD`` one lost and one drawn (0.5), ``WL`` one each (1), ``DD``
    both drawn (1), ``WD`` one won and one drawn (1.5), ``WW`` both won (2).
    """

    LL: int = 0
    LD: int = 0
    WL: int = 0
    DD: int = 0
    WD: int = 0
    WW: int = 0

    games_each: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _require_counts(self)

    @classmethod
    def of_pair(cls, points_game1: float, points_game2: float) -> PairCounts:
        """Count one pair, by the candidate's points in each game: 0, 0.5 or 1; else ValueError."""
        name = PAIR_NAMES.get((min(points_game1, points_game2), max(points_game1, points_game2)))
        if name is None:
            raise ValueError(
                f"a pair scored {points_game1!r} and {points_game2!r}: each game gives 0, 0.5 or 1"
            )
        return cls(**{name: 1})

    @classmethod
    def total(cls, parts: Iterable[PairCounts]) -> PairCounts:
        """Return the sum of any number of counts; no pair at all where there are none."""
        return sum(parts, cls())

    def __add__(self, other: PairCounts) -> PairCounts:
        # Spelled out, as a report adds the pairs of a match many times.
        return PairCounts(
            self.LL + other.LL,
            self.LD + other.LD,
            self.WL + other.WL,
            self.DD + other.DD,
            self.WD + other.WD,
            self.WW + other.WW,
        )

    def flipped(self) -> PairCounts:
        """Return the same pairs from the other side."""
        return PairCounts(LL=self.WW, LD=self.WD, WL=self.WL, DD=self.DD, WD=self.LD, WW=self.LL)

    @property
    def pentanomial(self) -> tuple[int, int, int, int, int]:
        """Pairs with 0, 0.5, 1, 1.5 and 2 points: [LL, LD, WL+DD, WD, WW]."""
        return self.LL, self.LD, self.WL + self.DD, self.WD, self.WW

    @property
    def counts(self) -> tuple[int, int, int, int, int]:
        """The pentanomial."""
        return self.pentanomial

    @property
    def pairs(self) -> int:
        """Pairs played."""
        return self.size

    @property
    def losses(self) -> int:
        """Games lost."""
        return 2 * self.LL + self.LD + self.WL

    @property
    def draws(self) -> int:
        """Games drawn."""
        return self.LD + 2 * self.DD + self.WD

    @property
    def wins(self) -> int:
        """Games won."""
        return self.WL + self.WD + 2 * self.WW

    @property
    def single_games(self) -> GameCounts:
        """The same games without their pairing, as trinomial statistics see them."""
        return GameCounts(self.losses, self.draws, self.wins)

    @property
    def draw_ratio(self) -> float | None:
        """Share of pairs with one point, in [0, 1]: fastchess's DrawRatio; None before any."""
        return _ratio(self.WL + self.DD, self.pairs)

    @property
    def pairs_ratio(self) -> float | None:
        """Pairs won per pair lost: fastchess's PairsRatio, ``stats.hpp``; None if none was lost."""
        return _ratio(self.WD + self.WW, self.LL + self.LD)

    @property
    def wl_dd_ratio(self) -> float | None:
        """Won-lost pairs per drawn-drawn pair: fastchess's WL/DD Ratio; None if none was drawn."""
        return _ratio(self.WL, self.DD)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _require_counts(outcomes: GameCounts | Pentanomial | PairCounts) -> None:
    """ValueError unless every field is a whole number, 0 or more; numpy's become plain ints."""
    for field in fields(outcomes):
        count = getattr(outcomes, field.name)
        if type(count) is int and count >= 0:
            continue
        if isinstance(count, bool) or not isinstance(count, Integral) or count < 0:
            raise ValueError(f"{field.name} is {count!r}: counts are whole numbers, 0 or more")
        object.__setattr__(outcomes, field.name, int(count))
