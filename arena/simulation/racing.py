"""Races by the thousand: ``arena.stats.racing``, compiled, among players of known strength.

Games follow Remi Coulom's model of draws (``arena.stats.outcomes.BayesElo``). On each opening every
player is stronger or weaker than it is by a normal deviate of its own, its taste for the opening,
so that what it does there against one opponent has to do with what it does against the others, and
with what it does in another match from the same opening. Tastes are symmetric about 0: who is equal
to another on the whole expects half of the points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from arena.simulation.draws import Keys, uniform
from arena.stats.racing import STAKES
from swa.jit import inline, kernel

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Field(NamedTuple):
    """Who plays. All in logits: Elo times ln(10) / 400, as the model of draws has it."""

    strengths: Vector  # [players]
    width: float  # of the draw
    taste: float  # standard deviation of a player's strength from opening to opening


class Rules(NamedTuple):
    """Of a race among the first ``entries`` players of a field."""

    entries: int
    goal: float  # capital that drops: 1 / error
    round: int  # openings between two looks
    openings: int  # at most
    stakes: Vector


def field_of(elos: Sequence[float], draw_rate: float, taste: float = 0.0) -> Field:
    """Return players whose small differences are ``elos``, in logistic Elo.

    ``draw_rate``: between equals without tastes, in [0, 1). ``taste``: standard deviation in Elo of
    a player's strength from opening to opening.
    """
    lost = (1.0 - draw_rate) / 2.0
    # A logit moves the score by 1/4 where no game is drawn, and by lost (1 - lost) here.
    logits = math.log(10.0) / 400.0 / (4.0 * lost * (1.0 - lost))
    strengths = logits * np.array(elos, np.float64)
    return Field(strengths, math.log((1.0 - lost) / lost), logits * taste)


def rules_of(entries: int, error: float, round_: int, openings: int) -> Rules:
    """Return a race with the stakes of ``arena.stats.racing``."""
    return Rules(entries, 1.0 / error, round_, openings, np.array(STAKES))


@dataclass(frozen=True, slots=True)
class Races:
    """How races ended, in the order of their keys."""

    dropped: Integers  # [races, entries] openings after which an entry was dropped, 0: it was not
    winners: Integers  # [races]
    pairs: Integers  # [races] of all encounters together


@inline
def result(field: Field, key: np.uint64, opening: int, one: int, other: int) -> int:
    """The points of ``one`` in its pair against ``other``, which comes after it, doubled: 0 to 4.

    The same whenever it is asked for.
    """
    players = len(field.strengths)
    first = opening * 2 * players * (players + 1)  # the first random number of this opening
    edge = field.strengths[one] - field.strengths[other]
    if field.taste > 0.0:
        edge += field.taste * (_normal(key, first + 2 * one) - _normal(key, first + 2 * other))
    won = 1.0 / (1.0 + math.exp(field.width - edge))
    lost = 1.0 / (1.0 + math.exp(field.width + edge))
    games = first + 2 * players * (1 + one) + 2 * other
    points = 0
    for game in range(2):
        luck = uniform(key, games + game)
        points += 2 if luck < won else (1 if luck < 1.0 - lost else 0)
    return points


@inline
def _normal(key: np.uint64, number: int) -> float:
    """A normal deviate of two random numbers: G. E. P. Box and M. E. Muller, 1958."""
    radius = math.sqrt(-2.0 * math.log(uniform(key, number)))
    return radius * math.cos(2.0 * math.pi * uniform(key, number + 1))


class Work(NamedTuple):
    """What a race remembers while it is run."""

    capitals: Matrix  # [entries, stakes]
    peaks: Vector  # [entries]
    points: Matrix  # [entries, entries]
    shares: Vector  # [entries]
    dropped: Integers  # [entries]


def new_work(rules: Rules) -> Work:
    """Return room for races by these rules, one after the other."""
    entries = rules.entries
    return Work(
        np.ones((entries, len(rules.stakes))),
        np.ones(entries),
        np.zeros((entries, entries)),
        np.zeros(entries),
        np.zeros(entries, np.int64),
    )


@kernel
def run_race(field: Field, rules: Rules, key: np.uint64, work: Work) -> tuple[int, int]:
    """Run one race; returns the winner and the pairs that were played. Changes ``work``."""
    work.capitals[:] = 1.0
    work.peaks[:] = 1.0
    work.points[:] = 0.0
    work.dropped[:] = 0
    left, pairs = rules.entries, 0
    for opening in range(rules.openings):
        pairs += left * (left - 1) // 2
        _play_opening(field, rules, key, opening, left, work)
        done = opening + 1
        if done % rules.round == 0 or done == rules.openings:
            left = _cut(rules, done, left, work)
            if left == 1:
                break
    return _leader(rules, work), pairs


@inline
def _play_opening(
    field: Field, rules: Rules, key: np.uint64, opening: int, left: int, work: Work
) -> None:
    work.shares[:] = 0.0
    for one in range(rules.entries):
        for other in range(one + 1, rules.entries):
            if work.dropped[one] or work.dropped[other]:
                continue
            share = 0.25 * result(field, key, opening, one, other)
            work.shares[one] += share
            work.shares[other] += 1.0 - share
            work.points[one, other] += share
            work.points[other, one] += 1.0 - share
    for one in range(rules.entries):
        if work.dropped[one]:
            continue
        lack = 0.5 - work.shares[one] / (left - 1)
        mean = 0.0
        for stake in range(len(rules.stakes)):
            work.capitals[one, stake] *= 1.0 + rules.stakes[stake] * lack
            mean += work.capitals[one, stake]
        work.peaks[one] = max(work.peaks[one], mean / len(rules.stakes))


@inline
def _cut(rules: Rules, done: int, left: int, work: Work) -> int:
    """Drop whose gambler has reached the goal, but not all of them; returns how many are left."""
    stays = -1
    for one in range(rules.entries):
        if not work.dropped[one] and (stays < 0 or work.peaks[one] < work.peaks[stays]):
            stays = one
    for one in range(rules.entries):
        if one != stays and not work.dropped[one] and work.peaks[one] >= rules.goal:
            work.dropped[one] = done
            left -= 1
    return left


@inline
def _leader(rules: Rules, work: Work) -> int:
    best, most = -1, -1.0
    for one in range(rules.entries):
        if work.dropped[one]:
            continue
        total = 0.0
        for other in range(rules.entries):
            if not work.dropped[other]:
                total += work.points[one, other]
        if total > most:
            best, most = one, total
    return best


def run_races(field: Field, rules: Rules, keys: Keys) -> Races:
    """Run a race for each key."""
    races = Races(
        np.zeros((len(keys), rules.entries), np.int64),
        np.zeros(len(keys), np.int64),
        np.zeros(len(keys), np.int64),
    )
    _run_races(field, rules, keys, new_work(rules), races.dropped, races.winners, races.pairs)
    return races


@kernel
def _run_races(
    field: Field,
    rules: Rules,
    keys: Keys,
    work: Work,
    dropped: Integers,
    winners: Integers,
    pairs: Integers,
) -> None:
    for race in range(len(keys)):
        winners[race], pairs[race] = run_race(field, rules, keys[race], work)
        for entry in range(rules.entries):
            dropped[race, entry] = work.dropped[entry]
