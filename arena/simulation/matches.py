"""Whole matches, many at once: how often a test errs, and how long it takes.

Here pairs are counted as they are issued; ``in_flight`` has matches whose pairs overlap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from arena.simulation.draws import Keys, outcome, thresholds
from arena.simulation.likelihood import OUTCOMES
from arena.simulation.sequential import (
    KEEP,
    PROMOTE,
    UNDECIDED,
    Decision,
    State,
    advance,
    clear,
    new_state,
)
from arena.stats.outcomes import OutcomeModel, PairLaw, logistic_elo_at
from arena.stats.sprt import EloModel
from swa.jit import kernel

Integers = npt.NDArray[np.int64]

MOST_PAIRS = 10**7
"""A match that has not ended by then stays undecided; none of the experiments comes near it."""


@dataclass(frozen=True, slots=True)
class Ends:
    """How the matches ended, in the order of their keys."""

    verdicts: npt.NDArray[np.int8]  # KEEP, UNDECIDED or PROMOTE
    counts: Integers  # [matches, 5] pairs by their points

    @property
    def pairs(self) -> Integers:
        """Pairs counted, of each match."""
        return np.asarray(self.counts.sum(axis=1))

    @property
    def passed(self) -> float:
        """Share of the matches that promote."""
        return float(np.mean(self.verdicts == PROMOTE))

    @property
    def kept(self) -> float:
        """Share of the matches that keep."""
        return float(np.mean(self.verdicts == KEEP))

    @property
    def mean_pairs(self) -> float:
        """Pairs that a match took, on average."""
        return float(self.pairs.mean())

    @property
    def mean_pairs_error(self) -> float:
        """Standard error of ``mean_pairs``."""
        return float(self.pairs.std() / math.sqrt(len(self.pairs)))


def law_at(outcomes: OutcomeModel, elo: float, unit: EloModel) -> PairLaw:
    """Return the law of a pair where the candidate is ``elo`` stronger, in Elo of ``unit``."""
    return outcomes.law(logistic_elo_at(outcomes, elo, unit))


def play(test: Decision, law: PairLaw, keys: Keys, *, most_pairs: int = MOST_PAIRS) -> Ends:
    """Play a match for each key, of pairs that follow ``law``, until the test decides.

    Matches of the same keys and law see the same results, whatever the test.
    """
    ends = Ends(np.zeros(len(keys), np.int8), np.zeros((len(keys), OUTCOMES), np.int64))
    _play(test, new_state(), thresholds(law), keys, most_pairs, ends.verdicts, ends.counts)
    return ends


@kernel
def _play(
    test: Decision,
    state: State,
    limits: Keys,
    keys: Keys,
    most_pairs: int,
    verdicts: npt.NDArray[np.int8],
    counts: Integers,
) -> None:
    for match in range(len(keys)):
        clear(state)
        for pair in range(most_pairs):
            verdict = advance(test, state, outcome(keys[match], pair, limits))
            if verdict != UNDECIDED:
                verdicts[match] = verdict
                break
        for i in range(OUTCOMES):
            counts[match, i] = state.counts[i]
