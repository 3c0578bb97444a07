"""The column of a table that draws intervals on one scale, as a forest plot does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WHOLE_SHARE = 0.9
"""Of all intervals, those that fit whole; a few wild ones would make all others dots."""

REACHES = (10.0, 20.0, 50.0, 100.0, 200.0, 400.0)
"""Elo that a column may reach to either side."""

Interval = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval as places in the column, in per cent of its width; what is outside is cut off."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class Forest:
    """The scale: from ``-reach`` to ``reach`` Elo."""

    reach: float

    @classmethod
    def of(cls, intervals: Sequence[tuple[float | None, Interval | None]]) -> Forest:
        """Choose a round reach within which most of the intervals (Elo, its ends) lie."""
        ends = sorted(
            max(abs(end or 0.0) for end in (elo, *(ends or ())))
            for elo, ends in intervals
            if elo is not None
        )
        wanted = ends[math.ceil(WHOLE_SHARE * len(ends)) - 1] if ends else 0.0
        return cls(next((reach for reach in REACHES if reach >= wanted), REACHES[-1]))

    def bar(self, elo: float | None, ends: Interval | None) -> Bar | None:
        """Return where an interval lies; an end that is None lies beyond the column's."""
        if elo is None:
            return None
        low, high = ends or (elo, elo)
        return Bar(
            self._place(-math.inf if low is None else low),
            self._place(elo),
            self._place(math.inf if high is None else high),
        )

    def _place(self, elo: float) -> float:
        return round(50.0 + 50.0 * min(1.0, max(-1.0, elo / self.reach)), 1)
