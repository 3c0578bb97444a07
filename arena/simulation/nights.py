"""Nights by the thousand: a choice among several entries, and the gate that the chosen one meets.

Only the gate can promote, and its error is that of its test for any candidate whose pairs tell
nothing about why it was chosen. So the choice must not have seen them: here are nights that keep
to that, and nights that do not. Seasons are nights one after another, whose champion may change.

The champion is the last player of a field, the others are the entries (``racing``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from arena.simulation.draws import Keys, word
from arena.simulation.racing import Field, Rules, Work, new_work, result, run_race
from arena.simulation.sequential import (
    PROMOTE,
    UNDECIDED,
    Decision,
    State,
    advance,
    clear,
    new_state,
)
from swa.jit import inline, kernel

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MOST_PAIRS = 10**6
"""Of a gate; one that has not ended by then does not promote."""


class Choice(IntEnum):
    """How the candidate is chosen.

    ``RACE``: by a race of the entries. ``SCORE``: all of them play the champion, as many pairs as a
    race has openings, and the one that scores best is chosen.
    """

    RACE = 0
    SCORE = 1


_RACE = int(Choice.RACE)


class Night(NamedTuple):
    """How a night is played.

    ``fresh``: the gate's openings are none of those that the choice was made on. Otherwise it
    begins with them: after ``RACE`` with other games from the same openings, after ``SCORE`` with
    the very pairs that the candidate was chosen for.
    """

    choice: int
    fresh: bool
    rules: Rules
    gate: Decision


@dataclass(frozen=True, slots=True)
class Nights:
    """How nights ended, in the order of their keys."""

    promoted: npt.NDArray[np.bool_]
    candidates: Integers
    gate_pairs: Integers  # counted


def play_nights(night: Night, field: Field, keys: Keys) -> Nights:
    """Play a night for each key."""
    nights = Nights(
        np.zeros(len(keys), np.bool_),
        np.zeros(len(keys), np.int64),
        np.zeros(len(keys), np.int64),
    )
    _play_nights(
        night,
        field,
        keys,
        new_work(night.rules),
        new_state(),
        nights.promoted,
        nights.candidates,
        nights.gate_pairs,
    )
    return nights


@kernel
def _play_nights(
    night: Night,
    field: Field,
    keys: Keys,
    work: Work,
    state: State,
    promoted: npt.NDArray[np.bool_],
    candidates: Integers,
    gate_pairs: Integers,
) -> None:
    for number in range(len(keys)):
        promoted[number], candidates[number], gate_pairs[number] = _play_night(
            night, field, keys[number], work, state
        )


@kernel
def _play_night(
    night: Night, field: Field, key: np.uint64, work: Work, state: State
) -> tuple[bool, int, int]:
    """Whether the night promotes, whom it would, and the pairs of its gate."""
    champion = night.rules.entries
    if night.choice == _RACE:
        candidate, _ = run_race(field, night.rules, key, work)
    else:
        candidate = _best_against_champion(field, night.rules, key)
    first = night.rules.openings if night.fresh else 0
    clear(state)
    verdict = UNDECIDED
    for pair in range(MOST_PAIRS):
        points = result(field, key, first + pair, candidate, champion)
        verdict = advance(night.gate, state, points)
        if verdict != UNDECIDED:
            break
    return verdict == PROMOTE, candidate, pair + 1


@inline
def _best_against_champion(field: Field, rules: Rules, key: np.uint64) -> int:
    best, most = 0, -1
    for entry in range(rules.entries):
        points = 0
        for opening in range(rules.openings):
            points += result(field, key, opening, entry, rules.entries)
        if points > most:
            best, most = entry, points
    return best


# --- seasons ---


@dataclass(frozen=True, slots=True)
class Seasons:
    """What became of the champion, in logits, in the order of the keys."""

    champions: Matrix  # [seasons, nights + 1] strength before the first night, and after each
    worse: Integers  # [seasons] promotions of a net that is weaker than the champion
    promotions: Integers  # [seasons]

    @property
    def fallen(self) -> Vector:
        """All falls of a season together."""
        return np.asarray(np.maximum(-np.diff(self.champions, axis=1), 0.0).sum(axis=1))

    @property
    def deepest(self) -> Vector:
        """How far the champion has at most been below the best one before it."""
        highest = np.maximum.accumulate(self.champions, axis=1)
        return np.asarray((highest - self.champions).max(axis=1))


def play_seasons(
    night: Night, field: Field, entries: Matrix, keys: Keys, *, relative: bool = False
) -> Seasons:
    """Play a season for each key, the champion being who was promoted last.

    ``field`` has the first champion, and room for the entries; ``entries`` [nights, entries] are
    their strengths in logits, of each night, or with ``relative`` what they have more than the
    champion of that night.
    """
    seasons = Seasons(
        np.zeros((len(keys), len(entries) + 1)),
        np.zeros(len(keys), np.int64),
        np.zeros(len(keys), np.int64),
    )
    tonight = field._replace(strengths=field.strengths.copy())
    _play_seasons(
        night,
        float(field.strengths[-1]),
        tonight,
        entries,
        relative,
        keys,
        new_work(night.rules),
        new_state(),
        seasons.champions,
        seasons.worse,
        seasons.promotions,
    )
    return seasons


@kernel
def _play_seasons(
    night: Night,
    first: float,
    tonight: Field,
    entries: Matrix,
    relative: bool,
    keys: Keys,
    work: Work,
    state: State,
    champions: Matrix,
    worse: Integers,
    promotions: Integers,
) -> None:
    last = night.rules.entries
    strengths = tonight.strengths
    for season in range(len(keys)):
        champions[season, 0] = strengths[last] = first
        for number in range(len(entries)):
            for entry in range(last):
                strengths[entry] = entries[number, entry]
                if relative:
                    strengths[entry] += strengths[last]
            key = word(keys[season], number)
            promoted, candidate, _ = _play_night(night, tonight, key, work, state)
            if promoted:
                promotions[season] += 1
                worse[season] += strengths[candidate] < strengths[last]
                strengths[last] = strengths[candidate]
            champions[season, number + 1] = strengths[last]
