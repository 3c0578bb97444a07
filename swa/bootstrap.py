"""Intervals of means over positions that come from games, by resampling the games.

Positions of one game are alike: they share the opening, the pieces and the result. An interval from
positions taken as independent is far too narrow, so whole games are drawn, with replacement, each
with all of its positions (the cluster bootstrap: Davison and Hinkley, "Bootstrap Methods and their
Application", 1997, section 3.8). A mean is then a ratio of two sums over the drawn games; whatever
is computed from means of the same draw, a difference of two nets above all, is paired.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 10_000
"""With so many an end of the interval is itself uncertain by 0.03 standard errors."""

CONFIDENCE = 0.95

FEW_GAMES = 30
"""Below it, intervals by resampling are noticeably too narrow."""

_DRAWN_AT_ONCE = 2**20  # games


def resampled_means(sums: Floats, counts: Floats, resamples: int, seed: int) -> Floats:
    """Means [resamples, K] of K quantities over games drawn with replacement.

    ``sums`` and ``counts`` [G, K]: of each game the sum of a quantity over its positions, and over
    how many. All K are taken from the same draws. NaN where a draw has no position of a quantity.
    """
    games, columns = sums.shape
    random = np.random.default_rng(seed)
    table = np.hstack([sums, counts])
    means = np.empty((resamples, columns))
    step = max(1, _DRAWN_AT_ONCE // games)
    for first in range(0, resamples, step):
        rows = min(step, resamples - first)
        drawn = random.integers(games, size=(rows, games)) + games * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * games).reshape(rows, games)
        totals = times.astype(np.float64) @ table
        above, below = totals[:, :columns], totals[:, columns:]
        part = means[first : first + rows]
        part.fill(np.nan)
        np.divide(above, below, out=part, where=below > 0)
    return means


def interval(means: Floats, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """The percentile interval of resampled means [resamples]; NaNs do not count, None without any.

    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    known = means[~np.isnan(means)]
    if not known.size:
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)
