"""A sequential test that is shown one pair after another, compiled: what a simulated match asks.

``advance`` takes one result and says whether the test has ended. The likelihood tests look at the
ratio only where it can matter (``likelihood.still_within``), and end with the verdict, at the pair
and with the counts that looking each time gives.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from arena.simulation.betting import Side, bet, sides_of
from arena.simulation.likelihood import (
    OUTCOMES,
    Hypotheses,
    Workspace,
    hypotheses_of,
    llr,
    start_watch,
    still_within,
    workspace,
)
from arena.stats.betting import MOST_CELLS
from arena.stats.sprt import Sprt
from swa.jit import inline, kernel

Vector = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

KEEP, UNDECIDED, PROMOTE = -1, 0, 1
"""What a test says, as compiled code has it."""


class Rule(IntEnum):
    """How a test decides.

    ``PLAIN``: the GSPRT, at Wald's bounds. ``OVERSHOOT``: with fishtest's correction of the bounds
    for how far the ratio jumps past its records. ``CERTIFIED``: two gamblers, the first to reach
    his goal decides.
    """

    PLAIN = 0
    OVERSHOOT = 1
    CERTIFIED = 2


_OVERSHOOT, _CERTIFIED = int(Rule.OVERSHOOT), int(Rule.CERTIFIED)


class Decision(NamedTuple):
    """A test as compiled code wants it."""

    rule: int
    hypotheses: Hypotheses
    lower: float  # bounds of the log-likelihood ratio, in nats
    upper: float
    skips: bool  # False looks at the ratio after each pair
    sides: tuple[Side, Side]  # the gamblers, where they decide


class State(NamedTuple):
    """What a test remembers of a match; everything that ``advance`` changes."""

    counts: Integers  # [5] pairs seen, by their points
    looked: Integers  # [1] 1 from the first look at the ratio on
    records: Vector  # [4] lowest and highest ratio, sums of squared steps to them
    work: Workspace
    capitals: tuple[Vector, Vector]  # [cells] of each gambler; more than he has cells for


def decision(test: Sprt, rule: Rule, *, skips: bool = True) -> Decision:
    """Return the test with this rule; ``skips`` False looks at the ratio after each pair."""
    return Decision(int(rule), hypotheses_of(test), *test.bounds, skips, sides_of(test))


def new_state() -> State:
    """Return what a test knows before the first pair."""
    counts, looked = np.zeros(OUTCOMES, np.int64), np.zeros(1, np.int64)
    capitals = np.ones(MOST_CELLS + 1), np.ones(MOST_CELLS + 1)
    return State(counts, looked, np.zeros(4), workspace(), capitals)


@inline
def clear(state: State) -> None:
    """Forget a match."""
    state.counts[:] = 0
    state.looked[:] = 0
    state.records[:] = 0.0
    state.capitals[0][:] = 1.0
    state.capitals[1][:] = 1.0


@inline
def advance(test: Decision, state: State, result: int) -> int:
    """Count a pair's result, 0 (both lost) to 4 (both won); KEEP, UNDECIDED or PROMOTE."""
    if test.rule == _CERTIFIED:
        return _bet(test, state, result)
    state.counts[result] += 1
    if test.skips and state.looked[0] and state.counts[result] > 1:
        low, high = test.lower, test.upper
        if test.rule == _OVERSHOOT:
            low, high = state.records[0], state.records[1]
        if still_within(test.hypotheses.mean, result, low, high, state.work):
            return UNDECIDED
    return _look(test, state)


@inline
def _bet(test: Decision, state: State, result: int) -> int:
    below = bet(test.sides[0], state.counts, False, result, state.capitals[0])
    above = bet(test.sides[1], state.counts, True, result, state.capitals[1])
    state.counts[result] += 1
    return PROMOTE if below else (KEEP if above else UNDECIDED)


@kernel
def _look(test: Decision, state: State) -> int:
    ratio = llr(test.hypotheses, state.counts, state.work)
    start_watch(test.hypotheses, state.counts, ratio, state.work)
    state.looked[0] = 1
    if test.rule == _OVERSHOOT:
        return _corrected(test, state.records, ratio)
    return KEEP if ratio <= test.lower else (PROMOTE if ratio >= test.upper else UNDECIDED)


@inline
def _corrected(test: Decision, records: Vector, ratio: float) -> int:
    """Verdict with corrected bounds.

    Each bound is drawn in by the mean square of the steps from record to record over twice their
    mean: D. Siegmund, "Sequential Analysis", 1985, corollary 8.33; fishtest
    ``stat_util.py:249-308``, here after each pair. Between records nothing changes: at a record
    the ratio was inside the bounds as they have been since.
    """
    low, high = records[0], records[1]
    if ratio < low:
        records[0] = ratio
        records[2] += (ratio - low) ** 2
        return KEEP if ratio < test.lower - records[2] / (2.0 * ratio) else UNDECIDED
    if ratio > high:
        records[1] = ratio
        records[3] += (ratio - high) ** 2
        return PROMOTE if ratio > test.upper - records[3] / (2.0 * ratio) else UNDECIDED
    return UNDECIDED
