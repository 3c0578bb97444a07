"""Tests by the question they answer, for those who would rather not choose two bounds.

Sources of the choice: ``SPRT(0, d)`` is what fishtest and OpenBench test gains with, ``SPRT(-d,
0)`` simplifications; ``SPRT(-d, d)`` treats both nets alike, and costs what ``SPRT(0, 2 d)`` does.
"""

from __future__ import annotations

import math
from enum import StrEnum

from arena.stats.sprt import EloModel, Sprt


class Preset(StrEnum):
    """The question."""

    SUPERIORITY = "superiority"
    NON_REGRESSION = "non-regression"
    PICK_BEST = "pick-best"


MEANINGS = {
    Preset.SUPERIORITY: "promote: the candidate is stronger, and not just by luck; keep: it is not "
    "{width:g} Elo stronger. Take it where promoting costs something.",
    Preset.NON_REGRESSION: "promote: the candidate is not {width:g} Elo weaker; keep: it is not as "
    "strong as the baseline. Take it where the candidate has other merits.",
    Preset.PICK_BEST: "promote: the candidate is not {width:g} Elo weaker; keep: it is not "
    "{width:g} Elo stronger. Take it where neither net is favoured, such as raw against averaged.",
}
"""What the verdicts then mean, and when to take which."""

_LOWER_UPPER = {
    Preset.SUPERIORITY: (0.0, 1.0),
    Preset.NON_REGRESSION: (-1.0, 0.0),
    Preset.PICK_BEST: (-1.0, 1.0),
}


def preset(
    name: Preset | str,
    width: float,
    *,
    alpha: float = 0.05,
    beta: float = 0.05,
    model: EloModel = EloModel.NORMALIZED,
) -> Sprt:
    """Return the test of a preset: ``width`` is its d, in Elo of ``model``.

    superiority (0, d), non-regression (-d, 0), pick-best (-d, d). ValueError for an unknown name
    and for a width that is not positive or that makes no test.
    """
    if name not in tuple(Preset):
        raise ValueError(f"there is no preset {name!r}: take one of {', '.join(Preset)}")
    if not (math.isfinite(width) and width > 0.0):
        raise ValueError(f"the width of a preset is {width!r}: it must be above 0 Elo, such as 10")
    lower, upper = _LOWER_UPPER[Preset(name)]
    return Sprt(lower * width, upper * width, alpha, beta, model)


def meaning(name: Preset, width: float) -> str:
    """Return in words what the verdicts of a preset mean, and when to take it."""
    return MEANINGS[name].format(width=width)
