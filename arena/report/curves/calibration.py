"""How right the players were: what they expected of a position against what its game then brought.

All moves of a game share its result, and both games of a pair their opening, so an interval must
not take positions for independent: the pair is the unit. A bin's mean is a ratio of sums over pairs
(points to positions), whose variance by linearisation is

    P / (P - 1) sum_i (s_i - m n_i)^2 / (sum_i n_i)^2

for P pairs with n_i positions each that brought s_i points, m being the mean (W. G. Cochran,
"Sampling Techniques", 3rd ed. 1977, section 6.3). From it comes an effective number of positions,
m (1 - m) / variance, and from that Wilson's interval (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927):
E. L. Korn and B. I. Graubard, "Confidence intervals for proportions with small expected number of
positive counts estimated from survey data", Survey Methodology 24, 1998, who take Clopper and
Pearson's for the latter. Where all pairs agree the variance says nothing, and each counts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from arena.match_file import Role
from arena.report.curves.expectations import ExpectedGame
from arena.report.schema import CalibrationBin
from arena.stats.proportion import wilson

MOST_BINS = 20

LEAST_POSITIONS = 50
"""In a bin, where there are so many at all."""

LEAST_PAIRS = 10
"""In a bin that has an interval."""

Floats = NDArray[np.float64]


def calibration(games: Sequence[ExpectedGame]) -> dict[str, list[CalibrationBin]]:
    """Return each player's bins, by what it expected, ascending; none where it never said.

    The bins of a player have equal counts of positions, up to one; among equal expectations the
    order is that of the games.
    """
    return {role: _bins(games, role) for role in get_args(Role)}


def _bins(games: Sequence[ExpectedGame], role: Role) -> list[CalibrationBin]:
    expected: list[Floats] = []
    scored: list[Floats] = []
    pairs: list[NDArray[np.int64]] = []
    for game in games:
        said = game.of(role)
        said = said[~np.isnan(said)]
        expected.append((said + 1.0) / 2.0)
        scored.append(np.full(said.size, game.points(role)))
        pairs.append(np.full(said.size, game.pair.number, np.int64))
    if not any(part.size for part in expected):
        return []
    every_expected, every_scored = np.concatenate(expected), np.concatenate(scored)
    every_pair = np.concatenate(pairs)
    order = np.argsort(every_expected, kind="stable")
    bins = max(1, min(MOST_BINS, order.size // LEAST_POSITIONS))
    return [
        CalibrationBin(
            positions=int(members.size),
            pairs=int(np.unique(every_pair[members]).size),
            expected=float(every_expected[members].mean()),
            scored=float(every_scored[members].mean()),
            scored_ci=_interval(every_scored[members], every_pair[members]),
        )
        for members in np.array_split(order, bins)
    ]


def _interval(scored: Floats, pair: NDArray[np.int64]) -> list[float] | None:
    """Wilson's 95 % interval of the mean, the pair being the unit; see the module's docstring."""
    _, index = np.unique(pair, return_inverse=True)
    positions, points = np.bincount(index), np.bincount(index, scored)
    pairs = positions.size
    if pairs < LEAST_PAIRS:
        return None
    mean = float(scored.mean())
    rests = points - mean * positions
    variance = pairs / (pairs - 1) * float(rests @ rests) / scored.size**2
    degenerate = variance < 1e-15 or not 0.0 < mean < 1.0
    effective = float(pairs) if degenerate else mean * (1.0 - mean) / variance
    return wilson(mean, effective)
