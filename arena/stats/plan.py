"""What a test will cost and how it will end, before a game is played.

Two methods, chosen by how many pairs the test takes in the middle of its bounds. Long tests are a
Brownian motion between bounds (``arena.stats.diffusion``); of short ones the true test is played
some ten thousand times by a seeded rehearsal (``arena.stats.rehearsal``). The test is the plain
GSPRT, looked at after every pair, in the order of issue.

Measured against the exact test, counted pair by pair, at elo0, in the middle and at elo1, with
draw rates 20, 50, 85 % and a book of 49 % draws and 190 Elo of bias, bounds 5, 20, 35 and 80 Elo
wide, both models (96 cells): rehearsed ones are within 3.2 % of the mean and 1.0 points of the
chance to promote, those by diffusion within 3.1 % and 0.9 points; at width 5, where 1200 to 6000
runs themselves err by 1 to 2.4 %, within 4.4 % and 1.0 points. With 95 % draws diffusion is up to
6 % too long (logistic, 5 Elo wide).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from arena.stats.diffusion import Diffusion, Ends, diffusion_of
from arena.stats.outcomes import OutcomeModel, PairLaw, logistic_elo_at, nelo_of_law
from arena.stats.rehearsal import Rehearsal, rehearse
from arena.stats.sprt import LARGEST_ELO, Sprt

LONG_TEST = 250.0
"""Mean pairs in the middle of the bounds from which on a test is taken for a Brownian motion."""

MANY_UNEVEN_PAIRS, TOO_LONG_TO_REHEARSE = 100.0, 1500.0
"""Where so few pairs are not level, a test is short although it takes many pairs, up to a limit."""

MOST_PATHS, LEAST_PATHS, PATH_PAIRS = 27_000, 6_000, 5e6
"""Paths of a rehearsal; in between, so many that they take this number of pairs."""

MOST_PAIRS = 10**12
"""Of a limit; longer ones are no matches."""

MOST_LAWS = 16
"""That a rehearsal draws from; more strengths than that are had from their neighbours' paths."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """How a test goes at one true strength.

    ``elo`` logistic and ``nelo`` normalized, candidate minus baseline. ``promote``, ``keep``,
    ``undecided``: chances that sum to 1. ``pairs``: mean number played; ``median`` and ``p90``: a
    half and nine tenths of the tests take no more. With a limit of pairs none takes more than that.
    """

    elo: float
    nelo: float
    promote: float
    keep: float
    undecided: float
    pairs: float
    median: float
    p90: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The operating characteristic of a test: a row for each true strength, in the order asked.

    ``limit``: most pairs, or None. ``rehearsed``: the method, see above.
    """

    sprt: Sprt
    limit: int | None
    rehearsed: bool
    rows: tuple[Expectation, ...]


def plan(
    sprt: Sprt,
    model: OutcomeModel,
    limit: int | None = None,
    elos: Sequence[float] | None = None,
) -> Plan:
    """Return what to expect of a test where pairs end as ``model`` says.

    ``limit``: most pairs; a test that is not over then is undecided, which is no promotion, so
    that wrong promotions become fewer, never more. ``elos``: true strengths in the unit of the
    test's bounds; nine around them unless given.

    ValueError for a limit below 1 or above 10^12, no strengths, one past +-600 Elo or that the
    model cannot have, and a model whose pairs all end alike.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"the limit is {limit}: a match needs at least 1 pair")
    if limit is not None and limit > MOST_PAIRS:
        raise ValueError(f"the limit of pairs is above {MOST_PAIRS:,}: leave it out")
    elos = default_elos(sprt) if elos is None else tuple(elos)
    if not elos:
        raise ValueError("there is no true strength to plan for")
    for elo in elos:
        if not abs(elo) <= LARGEST_ELO:
            raise ValueError(f"a true Elo of {elo!r}: it must be within +-{LARGEST_ELO:g}")
    logistic = [logistic_elo_at(model, elo, sprt.model) for elo in elos]
    laws = [model.law(elo) for elo in logistic]
    middle = model.law(logistic_elo_at(model, (sprt.elo0 + sprt.elo1) / 2.0, sprt.model))
    motion = diffusion_of(sprt, middle)
    rehearsed = _is_short(motion.mean, middle)
    if rehearsed:
        rehearsal = _rehearsal(sprt, laws, motion.mean, limit)
        found = [_by_rehearsal(rehearsal, law) for law in laws]
    else:
        found = [_by_diffusion(diffusion_of(sprt, law), limit) for law in laws]
    rows = tuple(
        Expectation(elo, nelo_of_law(law), ends.promote, ends.keep, ends.undecided, *pairs)
        for elo, law, (ends, pairs) in zip(logistic, laws, found, strict=True)
    )
    return Plan(sprt, limit, rehearsed, rows)


def operating_characteristic(
    sprt: Sprt, model: OutcomeModel, limit: int | None = None
) -> tuple[Expectation, ...]:
    """Return the rows that say what a test does: at elo0, in the middle and at elo1."""
    return plan(sprt, model, limit, (sprt.elo0, (sprt.elo0 + sprt.elo1) / 2.0, sprt.elo1)).rows


def default_elos(sprt: Sprt) -> tuple[float, ...]:
    """Return nine strengths, from half the width below elo0 to half the width above elo1."""
    width = sprt.elo1 - sprt.elo0
    low, high = sprt.elo0 - width / 2.0, sprt.elo1 + width / 2.0
    return tuple(
        float(elo) for elo in np.linspace(max(low, -LARGEST_ELO), min(high, LARGEST_ELO), 9)
    )


def _is_short(pairs: float, law: PairLaw) -> bool:
    uneven = pairs * (1.0 - law[2])
    return pairs < LONG_TEST or (uneven < MANY_UNEVEN_PAIRS and pairs < TOO_LONG_TO_REHEARSE)


def _rehearsal(sprt: Sprt, laws: Sequence[PairLaw], pairs: float, limit: int | None) -> Rehearsal:
    """Play the test by these laws; without a limit, far beyond any that was seen to end later."""
    distinct = sorted(set(laws), key=lambda law: law[4] + law[3] - law[1] - law[0])
    chosen = np.unique(np.linspace(0, len(distinct) - 1, MOST_LAWS).round().astype(int))
    drawn_from = [distinct[i] for i in chosen]
    paths = min(max(PATH_PAIRS / pairs, LEAST_PATHS), MOST_PATHS) / len(drawn_from)
    most = limit if limit is not None else int(20.0 * pairs) + 1000
    return rehearse(sprt, drawn_from, 2 * round(paths / 2.0), most)


def _by_rehearsal(rehearsal: Rehearsal, law: PairLaw) -> tuple[Ends, tuple[float, float, float]]:
    median, p90 = (rehearsal.quantile(law, share) for share in (0.5, 0.9))
    return rehearsal.ends(law), (rehearsal.mean(law), median, p90)


def _by_diffusion(motion: Diffusion, limit: int | None) -> tuple[Ends, tuple[float, float, float]]:
    median, p90 = (motion.quantile(share) for share in (0.5, 0.9))
    if limit is None:
        passed = motion.pass_probability
        return Ends(passed, 1.0 - passed, 0.0), (motion.mean, median, p90)
    pairs = motion.truncated_mean(limit), min(median, limit), min(p90, limit)
    return motion.ends(limit), pairs
