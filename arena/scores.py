"""Expected results as other programs show them: centipawns, and shares of won, drawn and lost."""

from __future__ import annotations

import math
from typing import NamedTuple

CENTIPAWN_SCALE, CENTIPAWN_ANGLE = 90.0, 1.5637541897
"""lc0's score type "centipawn" (lc0 src/search/classic/search.cc, ``SendUciInfo``)."""


class Wdl(NamedTuple):
    """Chances of the three results, in [0, 1]; their sum is 1."""

    win: float
    draw: float
    loss: float


def centipawns(q: float) -> int:
    """lc0's centipawns of an expected result in [-1, 1]: 0 is 0, a win for certain 12780."""
    bounded = max(-1.0, min(1.0, q))
    return round(CENTIPAWN_SCALE * math.tan(CENTIPAWN_ANGLE * bounded))


def expected_result(score: float) -> float:
    """The expected result in [-1, 1] that lc0 shows as so many centipawns; beyond +-12780, +-1."""
    return max(-1.0, min(1.0, math.atan(score / CENTIPAWN_SCALE) / CENTIPAWN_ANGLE))


def wdl(q: float, d: float) -> Wdl:
    """The chances that an expected result in [-1, 1] and a draw's in [0, 1] stand for.

    Where they contradict each other (``|q| + d > 1``, by rounding or an engine that does not know
    its draws) the expected result is right, and a draw is as likely as it allows.
    """
    draw = min(d, 1.0 - abs(q))
    return Wdl((1.0 + q - draw) / 2.0, draw, (1.0 - q - draw) / 2.0)
