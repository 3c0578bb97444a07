from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise, repeat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from arena.stats.betting import (
    CHORD_LOSS,
    LARGEST_LOSS,
    MOST_CELLS,
    PRIOR,
    SMALLEST_SCALE,
    BettingTest,
    cell_ends,
)
from arena.stats.elo import score_of_elo
from arena.stats.sprt import EloModel, Sprt, Verdict

X = np.linspace(0, 1, 5)
BOUNDS = [(0, 10), (-10, 10), (-20, 0), (40, 80), (-250, -200), (-600, 600)]
MODELS = st.sampled_from(list(EloModel))
SCORES = st.lists(st.sampled_from(X.tolist()), max_size=12)
SHAPES = [
    (1, 4, 6, 4, 1),
    (1, 1, 2, 1, 1),
    (1, 20, 120, 20, 1),
    (0, 1, 400, 1, 0),
    (1, 0, 0, 0, 1),
    (1, 0, 30, 0, 1),
    (3, 1, 0, 1, 0.01),
    (0.1, 1, 0.1, 1, 3),
]


def excess(law: np.ndarray, model: EloModel, elo: float) -> float:
    """How far a law's strength is above ``elo``, in the unit of a score."""
    mean = law @ X
    if model is EloModel.LOGISTIC:
        return float(mean - score_of_elo(elo))
    t = math.sqrt(2) * elo * math.log(10) / 800
    return float(mean - 0.5 - t * math.sqrt(law @ (X - mean) ** 2))


def law_at(shape: Sequence[float], model: EloModel, elo: float) -> np.ndarray | None:
    """The shape tilted to a strength of exactly ``elo``, or None where it cannot be."""

    def tilted(tilt: float) -> np.ndarray:
        weights = np.array(shape, float) * np.exp(tilt * (X - 0.5))
        return weights / weights.sum()

    low, high = (excess(tilted(tilt), model, elo) for tilt in (-60, 60))
    if low * high >= 0:
        return None
    return tilted(brentq(lambda tilt: excess(tilted(tilt), model, elo), -60, 60, xtol=1e-14))


def laws_at(model: EloModel, elo: float) -> Iterator[np.ndarray]:
    found = [law_at(shape, model, elo) for shape in SHAPES]
    assert sum(law is not None for law in found) >= 3
    yield from (law for law in found if law is not None)


def play(test: BettingTest, scores: Sequence[float]) -> BettingTest:
    for score in scores:
        test = test.then(score)
    return test


def every_match(start: BettingTest, pairs: int) -> list[list[BettingTest]]:
    """The test after every sequence of up to ``pairs`` pairs, by length, in counting order."""
    matches = [[start]]
    for _ in range(pairs):
        matches.append([test.then(x) for test in matches[-1] for x in X.tolist()])
    return matches


def mean_capitals(matches: list[list[BettingTest]], laws: Iterator[np.ndarray]) -> np.ndarray:
    """Mean of both capitals at the end, the pair after each result following the next law."""
    chances = np.ones(1)
    for tests in matches[:-1]:
        chances = np.concatenate(
            [p * law for p, law in zip(chances, islice(laws, len(tests)), strict=True)]
        )
    capitals = np.exp([(test.against_elo0, test.against_elo1) for test in matches[-1]])
    return np.asarray(chances @ capitals)


@pytest.mark.parametrize("model", list(EloModel))
@pytest.mark.parametrize("bounds", BOUNDS)
def test_no_capital_grows_where_its_hypothesis_holds(
    model: EloModel, bounds: tuple[float, float]
) -> None:
    """Exactly: over every sequence of pairs, at the very edge of each hypothesis and inside."""
    elo0, elo1 = bounds
    for errors, pairs in ((1e-6, 3), (0.45, 4)):  # never stopped, and stopped when decided
        matches = every_match(BettingTest.start(Sprt(elo0, elo1, errors, errors, model)), pairs)
        for inside in (0, 30):
            for side, elo in ((0, max(elo0 - inside, -600)), (1, min(elo1 + inside, 600))):
                for law in laws_at(model, elo):
                    assert mean_capitals(matches, repeat(law))[side] <= 1 + 1e-12


@pytest.mark.parametrize("model", list(EloModel))
@pytest.mark.parametrize("bounds", [(0, 10), (-30, 0), (40, 80), (-80, -40)])
def test_pairs_may_depend_on_those_before(model: EloModel, bounds: tuple[float, float]) -> None:
    """After each result another law, as long as it obeys the hypothesis.

    Not in a normalized test of a hypothesis beyond 1/2, whose theorem asks for one scale.
    """
    generator = np.random.default_rng(3)
    matches = every_match(BettingTest.start(Sprt(*bounds, 1e-6, 1e-6, model)), 3)
    for side, elo in enumerate(bounds):
        if model is EloModel.NORMALIZED and (elo < 0 if side == 0 else elo > 0):
            continue
        known = list(laws_at(model, elo))
        for _ in range(20):
            laws = (known[i] for i in generator.integers(len(known), size=31))
            assert mean_capitals(matches, laws)[side] <= 1 + 1e-12


@pytest.mark.parametrize("model", list(EloModel))
def test_a_capital_is_fair_at_the_edge_of_a_hypothesis_about_the_mean(model: EloModel) -> None:
    """No growth is given away where the hypothesis is a line itself, and it grows beyond."""
    matches = every_match(BettingTest.start(Sprt(0, 60, 1e-9, 1e-9, model)), 4)
    for law in laws_at(model, 0):
        assert mean_capitals(matches, repeat(law))[0] == pytest.approx(1.0, abs=1e-12)
    for side, elo in ((0, 60), (1, 0)):
        law = law_at(SHAPES[0], model, elo)
        assert law is not None
        assert mean_capitals(matches, repeat(law))[side] > 1.01


@given(st.floats(1e-12, 10))
def test_chords_are_below_the_root_by_no_more_than_allowed(loss: float) -> None:
    ends = cell_ends(loss)
    assert (ends[0], ends[1], ends[-1]) == (0.0, pytest.approx(SMALLEST_SCALE), 0.5)
    assert len(ends) <= MOST_CELLS + 2
    for low, high in pairwise(ends[1:]):
        scales = np.linspace(low, high, 20)
        chord = (low * high + scales**2) / (low + high)
        gap = (scales - chord) / scales
        assert gap.min() >= -1e-12
        assert gap.max() <= loss + 1e-12 or len(ends) == MOST_CELLS + 2


def reference(sprt: Sprt, scores: Sequence[float]) -> tuple[float, float]:
    """The update rule in plain floats, from the formulas of the module's docstring."""

    def against(null: float, truth: float, outcomes: list[int]) -> float:
        logistic = sprt.model is EloModel.LOGISTIC
        ends = [0.0]
        if null < 0:
            loss = CHORD_LOSS * (truth - null) / -null
            widest = 2 * math.acosh(1 / (1 - loss))
            cells = min(math.ceil(math.log(0.5 / SMALLEST_SCALE) / widest), MOST_CELLS)
            ratio = (0.5 / SMALLEST_SCALE) ** (1 / cells)
            ends += [SMALLEST_SCALE * ratio**i for i in range(cells + 1)]
        cells_or_one = list(pairwise(ends)) or [(0.0, 0.0)]
        logs = [0.0] * (1 if logistic else len(cells_or_one))
        seen = list(PRIOR)
        for outcome in outcomes:
            law = [n / sum(seen) for n in seen]
            s = math.fsum(p * (i / 4 - 0.5) ** 2 for i, p in enumerate(law))
            for j in range(len(logs)):
                if logistic:
                    height, slope = 1.0, 0.0
                elif null >= 0:
                    height, slope = math.sqrt(s) / 2, 0.5 / math.sqrt(s)
                else:
                    low, high = cells_or_one[j]
                    height, slope = low * high / (low + high), 1 / (low + high)
                pay = [z - null * (height + slope * z * z) for z in (i / 4 - 0.5 for i in range(5))]
                gain = truth * (1 if logistic else math.sqrt(s)) - null * (height + slope * s)
                mean = math.fsum(p * v for p, v in zip(law, pay, strict=True))
                variance = math.fsum(p * (v - mean) ** 2 for p, v in zip(law, pay, strict=True))
                stake = max(gain, 0) / (variance + max(gain, 0) ** 2)
                if min(pay) < 0:
                    stake = min(stake, LARGEST_LOSS / -min(pay))
                logs[j] += math.log(1 + stake * pay[outcome])
            seen[outcome] += 1
        return min(logs)

    def k(elo: float) -> float:
        if sprt.model is EloModel.LOGISTIC:
            return score_of_elo(elo) - 0.5
        t = math.sqrt(2) * elo * math.log(10) / 800
        return t / math.sqrt(1 + t * t)

    outcomes = [round(4 * score) for score in scores]
    return (
        against(k(sprt.elo0), k(sprt.elo1), outcomes),
        against(-k(sprt.elo1), -k(sprt.elo0), [4 - i for i in outcomes]),
    )


@pytest.mark.parametrize("model", list(EloModel))
@pytest.mark.parametrize("bounds", BOUNDS)
def test_capitals_are_those_of_the_plain_formulas(
    model: EloModel, bounds: tuple[float, float]
) -> None:
    scores = np.random.default_rng(5).choice(X, size=30, p=np.array(SHAPES[0]) / 16).tolist()
    sprt = Sprt(*bounds, 1e-9, 1e-9, model)
    test = play(BettingTest.start(sprt), scores)
    assert (test.against_elo0, test.against_elo1) == pytest.approx(
        reference(sprt, scores), rel=1e-9, abs=1e-11
    )


@given(st.floats(-599, 590), st.floats(0.01, 300), MODELS, SCORES)
@settings(max_examples=50)
def test_every_match_has_finite_capitals_and_a_mirror_image(
    elo0: float, width: float, model: EloModel, scores: list[float]
) -> None:
    elo1 = min(elo0 + width, 600.0)
    mine = play(BettingTest.start(Sprt(elo0, elo1, 0.05, 0.1, model)), scores)
    other = play(
        BettingTest.start(Sprt(-elo1, -elo0, 0.1, 0.05, model)), [1 - score for score in scores]
    )
    assert math.isfinite(mine.against_elo0)
    assert math.isfinite(mine.against_elo1)
    assert sum(mine.counts) <= len(scores)
    assert other.counts == mine.counts[::-1]
    assert (other.against_elo0, other.against_elo1) == pytest.approx(
        (mine.against_elo1, mine.against_elo0), rel=1e-9, abs=1e-9
    )


@pytest.mark.parametrize("model", list(EloModel))
@pytest.mark.parametrize("score", X.tolist())
def test_a_match_of_one_kind_of_pair(model: EloModel, score: float) -> None:
    test = play(BettingTest.start(Sprt(0, 5, model=model)), [score] * 1500)
    expected = {0.0: Verdict.KEEP, 0.25: Verdict.KEEP, 0.75: Verdict.PROMOTE, 1.0: Verdict.PROMOTE}
    even = Verdict.KEEP if model is EloModel.LOGISTIC else Verdict.UNDECIDED
    assert test.verdict is expected.get(score, even)


@pytest.mark.parametrize("bounds", [(0, 10), (5, 10), (-10, -5), (-10, 10)])
def test_drawn_pairs_prove_nothing_in_a_normalized_test(bounds: tuple[float, float]) -> None:
    """A law without spread has every normalized strength at once."""
    test = play(BettingTest.start(Sprt(*bounds)), [0.5] * 500)
    assert max(test.against_elo0, test.against_elo1) <= 0.0


def test_the_first_to_cross_decides_and_the_verdict_stays() -> None:
    test = BettingTest.start(Sprt(0, 80, alpha=0.05, beta=0.1))
    assert test.thresholds == pytest.approx((math.log(20), math.log(10)))
    for _ in range(200):
        before, test = test, test.then(0.75)
        if test.verdict is not Verdict.UNDECIDED:
            break
        assert test.against_elo0 < test.thresholds[0]
    assert test.verdict is Verdict.PROMOTE
    assert before.against_elo0 < test.thresholds[0] <= test.against_elo0
    assert play(test, [0.0] * 100) is test


def test_a_state_is_a_value() -> None:
    test = play(BettingTest.start(Sprt(0, 10)), [0.25, 0.5, 1.0])
    before = test.counts, test.against_elo0, test.against_elo1
    branches = [play(test, scores) for scores in ([0.0] * 3, [1.0] * 3, [0.0] * 3)]
    assert (test.counts, test.against_elo0, test.against_elo1) == before
    assert branches[0].against_elo1 == branches[2].against_elo1 > branches[1].against_elo1
    assert branches[0].counts == (3, 1, 1, 0, 1)


@pytest.mark.parametrize("score", [-0.25, 0.3, 2, math.nan, None])
def test_a_pair_scores_quarters(score: float) -> None:
    with pytest.raises(ValueError, match=r"a pair scored .*: it must be 0, 0\.25, 0\.5, 0\.75 or"):
        BettingTest.start(Sprt(0, 10)).then(score)


@pytest.mark.parametrize("model", list(EloModel))
@pytest.mark.parametrize("truth", [0.0, 80.0])
def test_errors_and_length_of_simulated_matches(model: EloModel, truth: float) -> None:
    """The GSPRT, of no proven error rate, takes 30 pairs (logistic) or 56 here (simulated)."""
    law = law_at(SHAPES[0], model, truth)
    assert law is not None
    matches, start = 150, BettingTest.start(Sprt(0, 80, model=model))
    wrong = pairs = 0
    for scores in np.random.default_rng(11).choice(X, p=law, size=(matches, 600)):
        test = start
        for score in scores:
            if test.verdict is not Verdict.UNDECIDED:
                break
            test = test.then(score)
        wrong += test.verdict is not (Verdict.PROMOTE if truth else Verdict.KEEP)
        pairs += sum(test.counts)
    assert wrong / matches <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / matches)
    assert pairs / matches < 1.25 * (30 if model is EloModel.LOGISTIC else 56)
