"""Random numbers that a run's key and a number name: the same in any order, on any thread.

Why by number: in a simulation of many pairs in flight the results are asked for in the order in
which pairs finish, and have to be those of the same pairs counted in the order of issue.

The generator is SplitMix64, whose n-th output is a function of n: G. L. Steele, D. Lea,
C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 16.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from swa.jit import inline

Keys = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_ONE, _27, _30, _31 = np.uint64(1), np.uint64(27), np.uint64(30), np.uint64(31)
_11 = np.uint64(11)


def run_keys(seed: int, *path: int, runs: int) -> Keys:
    """Return a key for each run: numpy's ``SeedSequence`` of ``seed`` at ``path``.

    ``path`` numbers what is simulated; different paths of one seed give unrelated keys.
    """
    words = np.random.SeedSequence(seed, spawn_key=path).generate_state(runs, np.uint64)
    return words.astype(np.uint64, copy=False)


def thresholds(law: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    """Return, for the outcomes of ``law`` but the last, 2^64 times the chance of it or a worse one.

    ValueError unless ``law`` is of positive length, has no negative chance and sums to 1.
    """
    chances = np.asarray(law, np.float64)
    if not chances.size or chances.min() < 0.0 or abs(chances.sum() - 1.0) > 1e-9:
        raise ValueError(f"a law needs chances that sum to 1, and these do not: {chances.tolist()}")
    scaled = [int(x * 2.0**64) for x in np.cumsum(chances)[:-1]]
    return np.array([min(x, 2**64 - 1) for x in scaled], np.uint64)


@inline
def word(key: np.uint64, number: int) -> np.uint64:
    """The random 64 bits numbered ``number`` (0 and up) of a run."""
    z = key + (np.uint64(number) + _ONE) * _GOLDEN
    z = (z ^ (z >> _30)) * _FIRST
    z = (z ^ (z >> _27)) * _SECOND
    return z ^ (z >> _31)


@inline
def uniform(key: np.uint64, number: int) -> float:
    """The same, as a number in (0, 1)."""
    return (float(word(key, number) >> _11) + 0.5) * 2.0**-53


@inline
def outcome(key: np.uint64, number: int, limits: Keys) -> int:
    """The result of pair ``number``: how many of ``limits`` lie at or below its random bits."""
    bits = word(key, number)
    found = 0
    for limit in limits:
        found += bits >= limit
    return found
