from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import logsumexp

from arena.stats.confidence import SHARES, WEIGHTS, ScoreInterval, confidence_sequence
from arena.stats.elo import elo_of_score
from arena.stats.pentanomial import GameCounts, Outcomes, PairCounts, Pentanomial

COUNT = st.just(0) | st.integers(0, 100) | st.integers(0, 2 * 10**6)
CELLS = st.lists(COUNT, min_size=5, max_size=5)
CONFIDENCES = st.sampled_from([0.5, 0.95, 0.999])

LAWS = {
    "20 % draws": (0.16, 0.16, 0.36, 0.16, 0.16),
    "50 % draws": (0.0625, 0.25, 0.375, 0.25, 0.0625),
    "85 % draws": (0.005625, 0.1275, 0.73375, 0.1275, 0.005625),
    "unbalanced book": (0.0094, 0.2222, 0.5368, 0.2222, 0.0094),
}


def log_capital(counts: Sequence[int], mean: float) -> float:
    """The definition: gambler by gambler, result by result."""
    top = len(counts) - 1
    gamblers = [
        math.log(weight)
        + math.fsum(n * math.log1p(u * (i / top / mean - 1)) for i, n in enumerate(counts))
        for u, weight in zip(SHARES, WEIGHTS, strict=True)
    ]
    return float(logsumexp(gamblers))


def lower_end(counts: Sequence[int], target: float) -> float:
    top = len(counts) - 1
    mean = sum(i * n for i, n in enumerate(counts)) / top / sum(counts)
    if mean == 0 or log_capital(counts, 1e-250) < target:
        return 0.0
    bracket = math.log(1e-250), math.log(mean)
    return math.exp(
        brentq(lambda y: log_capital(counts, math.exp(y)) - target, *bracket, xtol=1e-13)
    )


def random_counts(generator: np.random.Generator) -> list[int]:
    """Up to four empty cells and totals up to 10^7, cells of very unequal size."""
    shares = generator.exponential(size=5) ** generator.choice([1, 3])
    shares[generator.permutation(5)[: generator.integers(5)]] = 0.0
    return [int(n) for n in 10 ** generator.uniform(0, 7) * shares / shares.sum()]


def test_the_grid_is_a_fixed_mixture_of_honest_bets() -> None:
    assert WEIGHTS.sum() == pytest.approx(1.0, abs=1e-15)
    assert WEIGHTS.min() > 0.0
    assert 0.0 < SHARES.min() < SHARES.max() < 1.0


@pytest.mark.parametrize("seed", range(3))
def test_the_ends_are_where_the_capital_is_two_over_alpha(seed: int) -> None:
    generator = np.random.default_rng(seed)
    for _ in range(40):
        counts = random_counts(generator)
        if not sum(counts):
            continue
        confidence = generator.choice([0.5, 0.95, 0.999])
        target = math.log(2 / (1 - confidence))
        interval = confidence_sequence(Pentanomial(*counts), confidence=confidence)
        assert interval.low == pytest.approx(lower_end(counts, target), rel=1e-8), counts
        assert interval.high == pytest.approx(1 - lower_end(counts[::-1], target), rel=1e-8)


@pytest.mark.parametrize("cells", LAWS.values(), ids=LAWS)
def test_capital_is_fair_at_the_mean_and_shrinks_below_it(cells: Sequence[float]) -> None:
    """Exactly: the mean of K over all results of three pairs, in every order."""
    generator = np.random.default_rng(0)
    for law in (np.array(cells) / sum(cells), generator.dirichlet(np.ones(5)), np.eye(5)[3]):
        mean = float(law @ np.linspace(0, 1, 5))
        for m, expected in ((mean, 1.0), (mean * 0.8 + 0.2, None)):
            total = 0.0
            for a in np.ndindex(5, 5, 5):
                counts = np.bincount(a, minlength=5).tolist()
                total += float(np.prod(law[list(a)])) * math.exp(log_capital(counts, m))
            assert total <= 1 + 1e-12
            if expected:
                assert total == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "law", [(0.3, 0.4, 0.3), (0.01, 0.9, 0.09), (0.5, 0, 0.5), (0.97, 0, 0.03)]
)
def test_error_over_a_whole_match_is_within_its_bound(law: tuple[float, ...]) -> None:
    """Exactly, by following the probability of every count vector that has not yet erred."""
    mean, confidence = law[1] / 2 + law[2], 0.75
    alive: dict[tuple[int, ...], float] = {(0, 0, 0): 1.0}
    erred = 0.0
    for _ in range(15):
        following: dict[tuple[int, ...], float] = {}
        for counts, probability in alive.items():
            for i, p in enumerate(law):
                after = tuple(n + (i == j) for j, n in enumerate(counts))
                following[after] = following.get(after, 0.0) + probability * p
        alive = {}
        for counts, probability in following.items():
            interval = confidence_sequence(GameCounts(*counts), confidence=confidence)
            if interval.low <= mean <= interval.high:
                alive[counts] = probability
            else:
                erred += probability
    assert erred <= 1 - confidence
    assert erred + sum(alive.values()) == pytest.approx(1.0)


def test_error_of_long_matches_and_of_the_usual_interval() -> None:
    """Both are watched from the tenth pair on; the simulation can tell an honest one from not."""
    law = np.array(LAWS["50 % draws"])
    generator, matches, pairs = np.random.default_rng(7), 300, 2000
    scores = generator.choice(np.linspace(0, 1, 5), p=law, size=(pairs, matches))
    high, low = np.tile(WEIGHTS, (2, matches, 1))
    erred = np.zeros(matches, bool)
    for score in scores[:, :, np.newaxis]:
        high *= 1 + SHARES * (score / 0.5 - 1)
        low *= 1 + SHARES * ((1 - score) / 0.5 - 1)
        erred |= np.maximum(high.sum(axis=1), low.sum(axis=1)) >= 2 / 0.05
    assert 0.005 < erred.mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / matches)

    sizes = np.arange(1, pairs + 1)[:, np.newaxis]
    means = scores.cumsum(axis=0) / sizes
    errors = np.sqrt((np.square(scores).cumsum(axis=0) / sizes - means**2).clip(0) / sizes)
    usual = (np.abs(means - 0.5) > 1.96 * errors)[10:].any(axis=0)
    assert usual.mean() > 0.4


@pytest.mark.parametrize("name", LAWS)
def test_width_against_the_usual_interval(name: str) -> None:
    for pairs, limit in ((200, 1.6), (1000, 2.0), (20_000, 2.05)):
        counts = Pentanomial(*(round(pairs * p) for p in LAWS[name]))
        moments, interval = counts.moments(), confidence_sequence(counts)
        assert moments is not None
        ratio = (interval.high - interval.low) / 2 / (1.959964 * moments.mean_error)
        assert 1.4 < ratio <= limit


@given(CELLS, CONFIDENCES)
def test_it_lies_round_the_score_and_within_zero_and_one(
    cells: list[int], confidence: float
) -> None:
    counts = Pentanomial(*cells)
    interval = confidence_sequence(counts, confidence=confidence)
    if counts.score is None:
        assert interval == ScoreInterval(None, 0.0, 1.0)
        return
    assert 0.0 <= interval.low <= counts.score <= interval.high <= 1.0
    assert interval.low < interval.high
    for end in (interval.elo.low, interval.elo.high, interval.elo.elo):
        assert end is None or math.isfinite(end)


@given(CELLS, CONFIDENCES)
def test_the_other_side_sees_its_mirror_image(cells: list[int], confidence: float) -> None:
    mine = confidence_sequence(Pentanomial(*cells), confidence=confidence)
    other = confidence_sequence(Pentanomial(*cells).flipped(), confidence=confidence)
    assert other.low == pytest.approx(1 - mine.high, abs=1e-12)
    assert other.high == pytest.approx(1 - mine.low, abs=1e-12)


@given(CELLS)
def test_more_confidence_takes_more_room(cells: list[int]) -> None:
    intervals = [
        confidence_sequence(Pentanomial(*cells), confidence=confidence)
        for confidence in (0.5, 0.9, 0.95, 0.999)
    ]
    for inner, outer in pairwise(intervals):
        assert outer.low <= inner.low
        assert inner.high <= outer.high


@given(st.lists(st.integers(1, 3000), min_size=5, max_size=5), st.integers(0, 3))
def test_better_results_raise_both_ends(cells: list[int], worse: int) -> None:
    better = list(cells)
    better[worse] -= 1
    better[worse + 1] += 1
    before, after = (confidence_sequence(Pentanomial(*c)) for c in (cells, better))
    assert before.low < after.low
    assert before.high < after.high


@given(COUNT, COUNT, COUNT)
def test_only_the_scores_matter(losses: int, draws: int, wins: int) -> None:
    """Single games are results of 0, 1/2 and 1 like any other; pairs are told by their points."""
    games = confidence_sequence(GameCounts(losses, draws, wins))
    pairs = [Pentanomial(losses, 0, draws, 0, wins), PairCounts(LL=losses, WL=draws, WW=wins)]
    for same in pairs:
        interval = confidence_sequence(same)
        assert interval.low == pytest.approx(games.low, rel=1e-9)
        assert interval.high == pytest.approx(games.high, rel=1e-9)


def test_elo_of_the_interval() -> None:
    interval = confidence_sequence(Pentanomial(11, 240, 560, 297, 14))
    assert interval.elo.elo == pytest.approx(elo_of_score(1153.5 / 2244))
    assert interval.elo.low == pytest.approx(elo_of_score(interval.low))
    assert interval.elo.high == pytest.approx(elo_of_score(interval.high))


@pytest.mark.parametrize("counts", [Pentanomial(WW=30), GameCounts(wins=30)])
def test_a_sweep_has_no_upper_elo(counts: Outcomes) -> None:
    interval = confidence_sequence(counts)
    assert interval.high == 1.0
    assert (interval.elo.elo, interval.elo.high) == (None, None)
    assert interval.elo.low is not None
    assert interval.elo.low > 200


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95, -0.5, math.nan])
def test_a_confidence_is_a_probability(confidence: float) -> None:
    with pytest.raises(ValueError, match=r"confidence is .*: it must be within"):
        confidence_sequence(Pentanomial(), confidence=confidence)
