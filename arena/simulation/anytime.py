"""Whether an interval that is watched all the time ever excludes the truth, compiled.

For the confidence sequence of ``arena.stats.confidence`` no interval has to be computed: it
excludes the true mean exactly while the capital against that mean, of either side, exceeds 2 over
the chance of an error. For the interval of a match of fixed length it takes the sample's moments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from arena.simulation.draws import Keys, outcome, thresholds
from arena.stats.confidence import SHARES, WEIGHTS
from arena.stats.outcomes import PAIR_SCORES, PairLaw
from swa.jit import kernel

Vector = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

NORMAL_QUANTILE = 1.959963984540054
"""Reach of the usual 95 % interval, in standard errors."""

FIRST_NAIVE_LOOK = 10
"""Pairs before which nobody looks at the usual interval."""


@dataclass(frozen=True, slots=True)
class FirstErrors:
    """After how many pairs each interval first excluded the truth, of each match; 0 is never."""

    sequence: Integers
    naive: Integers


def watch(law: PairLaw, keys: Keys, pairs: int, *, confidence: float = 0.95) -> FirstErrors:
    """Play a match of ``pairs`` pairs for each key and look at both intervals after each.

    The usual interval is always that of 95 %, looked at from the tenth pair on.
    """
    mean = float(np.dot(law, PAIR_SCORES))
    first = FirstErrors(np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64))
    _watch(
        thresholds(law),
        mean,
        (_factors(mean), _factors(1.0 - mean)[::-1].copy()),
        WEIGHTS,
        (np.zeros(len(SHARES)), np.zeros(len(SHARES))),
        2.0 / (1.0 - confidence),
        keys,
        pairs,
        first.sequence,
        first.naive,
    )
    return first


def _factors(mean: float) -> Vector:
    """By what each result (row) multiplies the capital of each gambler against ``mean``."""
    return np.asarray(1.0 + SHARES * (np.array(PAIR_SCORES)[:, np.newaxis] / mean - 1.0))


@kernel
def _watch(
    limits: Keys,
    mean: float,
    factors: tuple[Vector, Vector],
    weights: Vector,
    capitals: tuple[Vector, Vector],
    goal: float,
    keys: Keys,
    pairs: int,
    first: Integers,
    first_naive: Integers,
) -> None:
    for match in range(len(keys)):
        for j in range(len(weights)):
            capitals[0][j] = capitals[1][j] = weights[j]
        total = squares = 0.0
        for pair in range(pairs):
            result = outcome(keys[match], pair, limits)
            low = high = 0.0
            for j in range(len(weights)):
                # A ruined gambler stays so; numbers below 1e-300 are slow.
                one = capitals[0][j] * factors[0][result, j]
                other = capitals[1][j] * factors[1][result, j]
                capitals[0][j] = one if one > 1e-290 else 0.0
                capitals[1][j] = other if other > 1e-290 else 0.0
                low += capitals[0][j]
                high += capitals[1][j]
            if max(low, high) > goal and first[match] == 0:
                first[match] = pair + 1
            off = 0.25 * result - mean
            total += off
            squares += off * off
            size = pair + 1
            variance = squares / size - (total / size) ** 2
            reach = NORMAL_QUANTILE * math.sqrt(max(variance, 0.0) / size)
            if size >= FIRST_NAIVE_LOOK and abs(total / size) > reach and first_naive[match] == 0:
                first_naive[match] = size
