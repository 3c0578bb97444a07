"""Matches whose pairs are played many at a time, and last longer or shorter by their result.

Why: a runner that counts pairs as they finish sees the short ones first. With wins shorter than
losses the first hundreds of counted pairs are mostly wins, however strong the candidate is, and a
sequential test acts on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from arena.simulation.draws import Keys, outcome, thresholds, uniform
from arena.simulation.likelihood import OUTCOMES
from arena.simulation.matches import Ends, Integers
from arena.simulation.sequential import (
    UNDECIDED,
    Decision,
    State,
    advance,
    clear,
    new_state,
)
from arena.stats.outcomes import PairLaw
from swa.jit import inline, kernel

Vector = npt.NDArray[np.float64]

GAMMA_SHAPE = 8
"""Durations are gamma distributed with this shape: they scatter by 35 % about their mean."""

_LONGEST_WAIT = 64  # times the lanes: so many later pairs never finish before an earlier one


@dataclass(frozen=True, slots=True)
class Schedule:
    """How pairs are played and counted.

    ``lanes``: pairs in flight; a lane that finishes a pair takes the next one. ``spread``: by how
    much a pair of two losses lasts longer than a drawn one, and one of two wins shorter: 0.4 is
    +-40 %. ``at_completion``: whether a pair counts when it finishes; else when all pairs issued
    before it have finished, too.
    """

    lanes: int
    spread: float
    at_completion: bool


def play_in_flight(
    test: Decision, law: PairLaw, schedule: Schedule, keys: Keys
) -> tuple[Ends, float]:
    """Play a match for each key; returns how they ended, and the mean of the pairs issued by then.

    The pair numbered n has the result that ``matches.play`` shows the test as its n-th.
    """
    ends = Ends(np.zeros(len(keys), np.int8), np.zeros((len(keys), OUTCOMES), np.int64))
    issued = np.zeros(len(keys), np.int64)
    _play(
        test,
        new_state(),
        thresholds(law),
        1.0 + schedule.spread * np.linspace(1.0, -1.0, OUTCOMES),
        schedule.at_completion,
        keys,
        (np.zeros(schedule.lanes), np.zeros(schedule.lanes, np.int64)),
        np.zeros(_LONGEST_WAIT * schedule.lanes, np.bool_),
        ends.verdicts,
        ends.counts,
        issued,
    )
    return ends, float(issued.mean())


@kernel
def _play(
    test: Decision,
    state: State,
    limits: Keys,
    mean_durations: Vector,
    at_completion: bool,
    keys: Keys,
    heap: tuple[Vector, Integers],
    finished: npt.NDArray[np.bool_],
    verdicts: npt.NDArray[np.int8],
    counts: Integers,
    issued: Integers,
) -> None:
    times, pairs = heap
    lanes = len(times)
    for match in range(len(keys)):
        key = keys[match]
        clear(state)
        finished[:] = False
        for lane in range(lanes):
            times[lane] = -np.inf  # to be replaced below
            pairs[lane] = -1
        for pair in range(lanes):
            _replace_first(times, pairs, _duration(key, pair, limits, mean_durations), pair)
        upcoming, counted = lanes, 0
        verdict = UNDECIDED
        while verdict == UNDECIDED:
            now, pair = times[0], pairs[0]
            if at_completion:
                verdict = advance(test, state, outcome(key, pair, limits))
            else:
                finished[pair % len(finished)] = True
                while verdict == UNDECIDED and finished[counted % len(finished)]:
                    finished[counted % len(finished)] = False
                    verdict = advance(test, state, outcome(key, counted, limits))
                    counted += 1
                if upcoming - counted >= len(finished):
                    break  # stays undecided, which no experiment counts as right
            end = now + _duration(key, upcoming, limits, mean_durations)
            _replace_first(times, pairs, end, upcoming)
            upcoming += 1
        verdicts[match] = verdict
        issued[match] = upcoming - 1
        for i in range(OUTCOMES):
            counts[match, i] = state.counts[i]


@inline
def _duration(key: np.uint64, pair: int, limits: Keys, means: Vector) -> float:
    total = 0.0
    other = ~key  # a stream of its own
    for i in range(GAMMA_SHAPE):
        total -= math.log(uniform(other, GAMMA_SHAPE * pair + i))
    return means[outcome(key, pair, limits)] * total / GAMMA_SHAPE


@kernel
def _replace_first(times: Vector, pairs: Integers, time: float, pair: int) -> None:
    """Take the earliest entry out of a binary heap and put another one in."""
    place, size = 0, len(times)
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and times[child + 1] < times[child]:
            child += 1
        if times[child] >= time:
            break
        times[place], pairs[place] = times[child], pairs[child]
        place = child
    times[place], pairs[place] = time, pair
