"""The experiments behind what the project says of its statistics: each gives rows of figures.

An experiment is a list of jobs; a job is one cell of a table, has a name that stays the same, and
can be run alone and in any order. ``scripts/experiment_stats.py`` runs them and writes the report.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from arena.simulation.anytime import watch
from arena.simulation.draws import Keys, run_keys
from arena.simulation.in_flight import Schedule, play_in_flight
from arena.simulation.matches import law_at, play
from arena.simulation.sequential import Rule, decision
from arena.stats.confidence import confidence_sequence
from arena.stats.elo import NO_ESTIMATE, EloEstimate, elo_of_score, logistic_elo
from arena.stats.outcomes import PAIR_SCORES, BayesElo
from arena.stats.pentanomial import Pentanomial
from arena.stats.plan import operating_characteristic
from arena.stats.sprt import EloModel, Sprt
from arena.stats.stopping import stopping_aware

Integers = npt.NDArray[np.int64]

Row = dict[str, Any]
"""One cell: what was simulated and what came out, as JSON has it."""

BOOKS = {
    "20 % draws": BayesElo(0.20),
    "50 % draws": BayesElo(0.50),
    "85 % draws": BayesElo(0.85),
    "unbalanced book": BayesElo(0.49, opening_bias=191.0),
}
"""Results between equal players. The unbalanced one draws 49 % and has an rms bias of 191 Elo."""

WIDTHS = (80, 35, 20, 5)
"""Distances between the bounds, of which elo0 is 0; the quick ones first."""

TRUTHS = ("elo0", "elo1", "middle")
"""How strong the candidate really is."""


@dataclass(frozen=True, slots=True)
class Job:
    """One cell of an experiment.

    ``run`` takes the number of runs, which is ``runs`` for the report, and a seed.
    """

    section: str
    name: str
    run: Callable[[int, int], Row]
    runs: int = 20_000


def strength_at(truth: str, test: Sprt) -> float:
    """Return the Elo that one of ``TRUTHS`` means for a test."""
    middle = (test.elo0 + test.elo1) / 2.0
    return {"elo0": test.elo0, "middle": middle, "elo1": test.elo1}[truth]


def keys_of(seed: int, name: str, runs: int) -> Keys:
    """Return the runs' keys for what ``name`` describes: those of other names are unrelated."""
    return run_keys(seed, zlib.crc32(name.encode()), runs=runs)


def error_jobs() -> Iterator[Job]:
    """Every book, model, width and rule at both bounds; the plain rule in the middle, too."""
    for model in (EloModel.LOGISTIC, EloModel.NORMALIZED):
        for rule in Rule:
            for width in WIDTHS:
                for book in BOOKS:
                    for truth in TRUTHS:
                        if truth == "middle" and rule is not Rule.PLAIN:
                            continue
                        yield _error_job(book, model, width, rule, truth)


def _error_job(book: str, model: EloModel, width: int, rule: Rule, truth: str) -> Job:
    test = Sprt(0.0, float(width), model=model)
    match = f"{book}, {model}, {truth} of 0..{width}"

    def run(runs: int, seed: int) -> Row:
        law = law_at(BOOKS[book], strength_at(truth, test), model)
        # All rules see the same matches.
        ends = play(decision(test, rule), law, keys_of(seed, match, runs))
        return {
            "book": book,
            "model": str(model),
            "width": width,
            "rule": rule.name.lower(),
            "truth": truth,
            "promoted": ends.passed,
            "kept": ends.kept,
            "mean_pairs": ends.mean_pairs,
            "mean_pairs_error": ends.mean_pairs_error,
        }

    return Job("errors", f"{match}, {rule.name.lower()}", run)


FLIGHTS = ((256, 0.4), (64, 0.4), (16, 0.4), (256, 0.1), (256, 0.04), (256, -0.4))
"""Pairs in flight, and ``Schedule.spread``."""


def order_jobs() -> Iterator[Job]:
    """Pairs in flight that last longer or shorter by their result, counted in both ways."""
    for rule in Rule:
        for lanes, spread in FLIGHTS:
            for at_completion in (False, True):
                for truth in ("elo0", "elo1"):
                    yield _order_job(rule, Schedule(lanes, spread, at_completion), truth)


def _order_job(rule: Rule, schedule: Schedule, truth: str) -> Job:
    test = Sprt(0.0, 35.0, model=EloModel.LOGISTIC)
    match = f"50 % draws, order, {truth} of 0..35"
    order = "completion" if schedule.at_completion else "issue"

    def run(runs: int, seed: int) -> Row:
        law = law_at(BOOKS["50 % draws"], strength_at(truth, test), test.model)
        ends, issued = play_in_flight(
            decision(test, rule), law, schedule, keys_of(seed, match, runs)
        )
        return {
            "rule": rule.name.lower(),
            "lanes": schedule.lanes,
            "spread": schedule.spread,
            "order": order,
            "truth": truth,
            "promoted": ends.passed,
            "kept": ends.kept,
            "mean_pairs": ends.mean_pairs,
            "mean_pairs_issued": issued,
        }

    name = f"{match}, {schedule.lanes} lanes, {schedule.spread:+g}, {order}"
    return Job("order", f"{name}, {rule.name.lower()}", run)


ANYTIME_PAIRS = 20_000
"""Length of the matches in which the confidence sequence is watched."""

WIDTH_MATCHES = 400
"""Matches over which the width of intervals is averaged."""


def anytime_jobs() -> Iterator[Job]:
    """The confidence sequence, and the usual interval, watched for 20,000 pairs."""
    for book in BOOKS:
        for elo in (0.0, 35.0):
            yield _anytime_job(book, elo)


def _anytime_job(book: str, elo: float) -> Job:
    name = f"{book}, {elo:g} Elo, anytime"

    def run(runs: int, seed: int) -> Row:
        law = law_at(BOOKS[book], elo, EloModel.LOGISTIC)
        first = watch(law, keys_of(seed, name, runs), ANYTIME_PAIRS)
        row: Row = {
            "book": book,
            "elo": elo,
            "wrong": float(np.mean(first.sequence > 0)),
            "naive_wrong": float(np.mean(first.naive > 0)),
            "wrong_by": [float(np.mean(_by(first.sequence, n))) for n in WRONG_BY],
            "naive_wrong_by": [float(np.mean(_by(first.naive, n))) for n in WRONG_BY],
        }
        generator = np.random.default_rng(keys_of(seed, f"{name}, width", 4))
        for pairs in (200, 1000):
            sequence, naive = _half_widths(generator.multinomial(pairs, law, WIDTH_MATCHES))
            row[f"half_width_{pairs}"] = sequence
            row[f"naive_half_width_{pairs}"] = naive
        return row

    return Job("anytime", name, run, runs=4_000)


WRONG_BY = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
"""Pairs after which the share of matches with a wrong interval so far is recorded."""


def _by(first: Integers, pairs: int) -> npt.NDArray[np.bool_]:
    return np.asarray((first > 0) & (first <= pairs))


def _half_widths(matches: Integers) -> tuple[float, float]:
    """Mean half-width in Elo of the confidence sequence and of the usual interval."""
    counts = [Pentanomial(*map(int, match)) for match in matches]
    sequence = [confidence_sequence(c).elo.margin for c in counts]
    naive = [logistic_elo(c).margin for c in counts]
    return float(np.mean(np.array(sequence))), float(np.mean(np.array(naive)))


def stopping_jobs() -> Iterator[Job]:
    """The intervals after a stop, by the plain test, at every book and three strengths."""
    for model in (EloModel.LOGISTIC, EloModel.NORMALIZED):
        for width in (80, 35, 20, 10):
            for book in BOOKS:
                for truth in TRUTHS:
                    yield _stopping_job(book, model, width, truth)


def _stopping_job(book: str, model: EloModel, width: int, truth: str) -> Job:
    test = Sprt(0.0, float(width), model=model)
    name = f"{book}, {model}, {truth} of 0..{width}, stopping"

    def run(runs: int, seed: int) -> Row:
        law = law_at(BOOKS[book], strength_at(truth, test), model)
        ends = play(decision(test, Rule.PLAIN), law, keys_of(seed, name, runs))
        true_elo = elo_of_score(float(np.dot(law, PAIR_SCORES)))
        kinds, matches = np.unique(ends.counts, axis=0, return_counts=True)
        aware = naive = below = naive_below = 0  # matches
        for kind, times in zip(kinds, matches.tolist(), strict=True):
            counts = Pentanomial(*map(int, kind))
            estimate = stopping_aware(counts, test)
            elo = NO_ESTIMATE if estimate is None else estimate.elo
            aware += times * _covers(elo, true_elo)
            below += times * _is_below(elo, counts, true_elo)
            elo = logistic_elo(counts)
            naive += times * _covers(elo, true_elo)
            naive_below += times * _is_below(elo, counts, true_elo)
        return {
            "book": book,
            "model": str(model),
            "width": width,
            "truth": truth,
            "coverage": aware / runs,
            "below": below / runs,
            "naive_coverage": naive / runs,
            "naive_below": naive_below / runs,
            "mean_pairs": ends.mean_pairs,
        }

    return Job("stopping", name, run, runs=4_000)


def _covers(interval: EloEstimate, elo: float) -> bool:
    """Whether an interval contains ``elo``; an end that does not exist is infinite."""
    low = -math.inf if interval.low is None else interval.low
    high = math.inf if interval.high is None else interval.high
    return low <= elo <= high


def _is_below(estimate: EloEstimate, counts: Pentanomial, elo: float) -> bool:
    """Whether the point is below ``elo``; one that does not exist is infinite, as the score is."""
    if estimate.elo is not None:
        return estimate.elo < elo
    score = counts.score
    return score is not None and score < 0.5


def plan_jobs() -> Iterator[Job]:
    """What ``arena plan`` expects of each match with the plain rule that ``error_jobs`` plays."""
    for model in (EloModel.LOGISTIC, EloModel.NORMALIZED):
        for width in WIDTHS:
            for book in BOOKS:
                yield _plan_job(book, model, width)


def _plan_job(book: str, model: EloModel, width: int) -> Job:
    def run(runs: int, seed: int) -> Row:
        expected = operating_characteristic(Sprt(0.0, float(width), model=model), BOOKS[book])
        return {
            "book": book,
            "model": str(model),
            "width": width,
            "pairs": [row.pairs for row in expected],
            "promoted": [row.promote for row in expected],
        }

    return Job("plan", f"{book}, {model}, 0..{width}, plan", run, runs=1)


PLANNED = ("elo0", "middle", "elo1")
"""The strengths that a plan's figures are for, in this order."""


SECTIONS: dict[str, Callable[[], Iterator[Job]]] = {
    "errors": error_jobs,
    "order": order_jobs,
    "anytime": anytime_jobs,
    "stopping": stopping_jobs,
    "plan": plan_jobs,
}
"""The experiments by name."""
