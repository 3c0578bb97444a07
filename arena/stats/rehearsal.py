"""The true test, played many times on paper: for plans of tests that few pairs decide.

There the Brownian limit is too rough: a pair moves the LLR by a good part of the way, the test
does not yet know the variance, and outcomes that were never seen count 0.001. So pairs are drawn,
and ``Sprt.llr`` of all of them is looked at after each, until it reaches a bound.

One rehearsal serves many strengths. Its pairs are drawn by a few laws, and a path counts for any
other law by the ratio of that law's chance of its results to their mixture's ("balance
heuristic": E. Veach, L. Guibas, "Optimally Combining Sampling Techniques for Monte Carlo
Rendering", SIGGRAPH 1995). Seeded, so that the same question always has the same answer; strata and
mirrored draws make the noise smaller, and the same draws for every law make curves smooth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from arena.stats.batch_llr import approximate_llr, batch_llr
from arena.stats.diffusion import SMALLEST_CHANCE, Ends
from arena.stats.outcomes import PairLaw
from arena.stats.sprt import Sprt

SEED = 20240229

NEAR, NEAR_SCALE = 1.5, 10.0
"""Nats: a path whose LLR, by the approximation and its error when last looked at, is farther than
``min(NEAR, NEAR_SCALE / sqrt(pairs))`` from both bounds is not looked at."""

FEW_PAIRS = 60
"""Up to here many paths have the same counts, and each is worked out once."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How paths of a test ended: ``counts`` [5, n] when they did, ``passed`` and ``kept`` [n].

    ``log_mixture`` [n]: logarithm of the mean chance, over the laws drawn from, of those counts in
    any one order.
    """

    counts: NDArray[np.int64]
    passed: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    log_mixture: NDArray[np.float64]

    @property
    def pairs(self) -> NDArray[np.int64]:
        """Pairs [n] until the end."""
        return np.asarray(self.counts.sum(axis=0))

    def weights(self, law: PairLaw) -> NDArray[np.float64]:
        """Return what each path [n] counts if pairs end by ``law``; the weights sum to 1."""
        logs = _log_chances([law], self.counts)[0] - self.log_mixture
        weights = np.exp(logs - logs.max())
        return np.asarray(weights / weights.sum())

    def ends(self, law: PairLaw) -> Ends:
        """Return the chances of the three ends under ``law``."""
        weights = self.weights(law)
        promote, keep = float(weights[self.passed].sum()), float(weights[self.kept].sum())
        return Ends(promote, keep, max(1.0 - promote - keep, 0.0))

    def mean(self, law: PairLaw) -> float:
        """Return the mean of pairs under ``law``."""
        return float(self.weights(law) @ self.pairs)

    def quantile(self, law: PairLaw, share: float) -> float:
        """Return the fewest pairs within which at least ``share`` of the paths have ended."""
        order = np.argsort(self.pairs, kind="stable")
        reached = np.cumsum(self.weights(law)[order])
        place = min(int(np.searchsorted(reached, share)), order.size - 1)
        return float(self.pairs[order[place]])


def rehearse(sprt: Sprt, laws: Sequence[PairLaw], paths: int, limit: int) -> Rehearsal:
    """Play a test ``paths`` times by each law, at most ``limit`` pairs each; ``paths`` is even."""
    random = np.random.default_rng(SEED)
    thresholds = np.cumsum(laws, axis=1)[:, :4].T
    law_of, draw_of = (part.ravel() for part in np.indices((len(laws), paths)))
    total, lower, upper = law_of.size, *sprt.bounds
    final = np.zeros((5, total), np.int64)
    passed, kept = np.zeros(total, np.bool_), np.zeros(total, np.bool_)
    active, counts, error = np.arange(total), np.zeros((5, total), np.int64), np.zeros(total)
    for size in range(1, limit + 1):
        draws = _draws(random, paths)[draw_of[active]]
        outcome = (draws >= thresholds[:, law_of[active]]).sum(axis=0)
        counts[outcome, np.arange(active.size)] += 1
        guess = error + approximate_llr(sprt, counts)
        margin = min(NEAR, NEAR_SCALE / math.sqrt(size))
        near = np.flatnonzero((guess <= lower + margin) | (guess >= upper - margin))
        llr = _llr(sprt, counts[:, near], size)
        error[near] += llr - guess[near]
        decided = (llr <= lower) | (llr >= upper)
        if decided.any():
            ended, promoting = near[decided], llr[decided] >= upper
            final[:, active[ended]] = counts[:, ended]
            passed[active[ended]], kept[active[ended]] = promoting, ~promoting
            going = np.ones(active.size, np.bool_)
            going[ended] = False
            active, error, counts = active[going], error[going], counts[:, going]
        if not active.size:
            break
    final[:, active] = counts
    log_mixture = logsumexp(_log_chances(laws, final), axis=0) - math.log(len(laws))
    return Rehearsal(final, passed, kept, np.asarray(log_mixture))


def _draws(random: np.random.Generator, paths: int) -> NDArray[np.float64]:
    """Return uniform numbers [paths], one in each of as many strata, and 1 minus each of them."""
    half = paths // 2
    draws = (random.permutation(half) + random.random(half)) / half
    return np.concatenate((draws, 1.0 - draws))


def _llr(sprt: Sprt, counts: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    if size > FEW_PAIRS:
        return batch_llr(sprt, counts)
    key = ((counts[0] * 64 + counts[1]) * 64 + counts[3]) * 64 + counts[4]
    _, first, place = np.unique(key, return_index=True, return_inverse=True)
    return np.asarray(batch_llr(sprt, counts[:, first])[place])


def _log_chances(laws: Sequence[PairLaw], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the logarithms [laws, n] of the chances of results with these counts, in one order."""
    return np.asarray(np.log(np.maximum(laws, SMALLEST_CHANCE)) @ counts)
