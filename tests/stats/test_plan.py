from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest

from arena.stats.outcomes import BayesElo, Observed
from arena.stats.pentanomial import Pentanomial
from arena.stats.plan import default_elos, operating_characteristic, plan
from arena.stats.presets import Preset, meaning, preset
from arena.stats.sprt import EloModel, Sprt

LOGISTIC, NORMALIZED = EloModel.LOGISTIC, EloModel.NORMALIZED

BOOKS = {
    "draw20": BayesElo(0.2),
    "draw50": BayesElo(0.5),
    "draw85": BayesElo(0.85),
    "UHO": BayesElo(0.49, 190.5),
}

# Simulations of the exact test at elo0, in the middle and at elo1: mean pairs, share promoted.
# Width 5 with the overshoot correction, 700 to 1500 runs: facts on match statistics, 5.2.
NARROW = [
    ("draw20", LOGISTIC, (10099, 16607, 10265)),
    ("draw50", LOGISTIC, (6255, 10404, 6432)),
    ("draw85", LOGISTIC, (1954, 3146, 1870)),
    ("UHO", LOGISTIC, (3398, 5389, 3288)),
    ("draw20", NORMALIZED, (12790, 21290, 12900)),
    ("draw50", NORMALIZED, (12573, 20987, 12874)),
    ("draw85", NORMALIZED, (12415, 21499, 12619)),
    ("UHO", NORMALIZED, (12730, 20324, 13066)),
]

# Plain, counted pair by pair: 10,000 runs of an independent simulator, 20,000 at width 80.
WIDE = [
    (20, "draw50", LOGISTIC, (409.3, 671.1, 408.4), (0.047, 0.496, 0.950)),
    (20, "UHO", LOGISTIC, (215.4, 361.0, 218.6), (0.045, 0.499, 0.950)),
    (20, "draw20", NORMALIZED, (822.7, 1347.6, 819.3), (0.045, 0.501, 0.953)),
    (35, "draw85", LOGISTIC, (52.6, 91.6, 55.7), (0.027, 0.495, 0.959)),
    (35, "draw20", NORMALIZED, (269.7, 453.9, 272.3), (0.047, 0.503, 0.954)),
    (80, "draw50", LOGISTIC, (29.3, 50.0, 30.7), (0.038, 0.506, 0.953)),
    (80, "draw85", LOGISTIC, (16.7, 36.4, 20.7), (0.003, 0.496, 0.982)),
    (80, "UHO", LOGISTIC, (19.2, 33.9, 21.5), (0.016, 0.477, 0.980)),
]

WIDE_SLOW = [
    (20, "draw85", LOGISTIC, (133.9, 224.0, 134.8), (0.041, 0.502, 0.950)),
    (35, "UHO", LOGISTIC, (74.6, 126.4, 76.8), (0.040, 0.487, 0.957)),
    (35, "draw85", NORMALIZED, (270.1, 454.6, 276.4), (0.045, 0.500, 0.954)),
    (80, "draw20", LOGISTIC, (43.5, 74.2, 44.6), (0.049, 0.510, 0.950)),
    (80, "draw50", NORMALIZED, (54.9, 94.5, 56.4), (0.045, 0.512, 0.956)),
    (80, "draw85", NORMALIZED, (55.0, 98.0, 60.8), (0.031, 0.482, 0.957)),
]


@pytest.mark.parametrize(("book", "model", "pairs"), NARROW)
def test_lengths_of_narrow_tests(book: str, model: EloModel, pairs: tuple[float, ...]) -> None:
    rows = operating_characteristic(Sprt(0, 5, model=model), BOOKS[book])
    # The correction shortens these tests by up to 2 %, and 1500 runs have an error of 2 %.
    tolerance = 0.06 if book == "draw85" else 0.05
    assert [row.pairs for row in rows] == pytest.approx(pairs, rel=tolerance)
    assert [row.promote for row in rows] == pytest.approx([0.05, 0.5, 0.95], abs=0.015)


@pytest.mark.parametrize(
    ("width", "book", "model", "pairs", "passed"),
    [*WIDE, *(pytest.param(*cell, marks=pytest.mark.slow) for cell in WIDE_SLOW)],
)
def test_wide_tests(
    width: float,
    book: str,
    model: EloModel,
    pairs: tuple[float, ...],
    passed: tuple[float, ...],
) -> None:
    rows = operating_characteristic(Sprt(0, width, model=model), BOOKS[book])
    assert [row.pairs for row in rows] == pytest.approx(pairs, rel=0.05)
    assert [row.promote for row in rows] == pytest.approx(passed, abs=0.015)


def test_agrees_with_the_test_itself() -> None:
    """500 matches, played here with ``Sprt.llr`` after every pair."""
    sprt, elo, runs = Sprt(0, 150, model=LOGISTIC), 70.0, 500
    model = BayesElo(0.5)
    lower, upper = sprt.bounds
    draw = random.Random(1)
    law, passed, pairs = model.law(elo), 0, 0
    for _ in range(runs):
        counts, llr = [0] * 5, 0.0
        while lower < llr < upper:
            counts[draw.choices(range(5), law)[0]] += 1
            llr = sprt.llr(Pentanomial(*counts))
        passed += llr >= upper
        pairs += sum(counts)
    (row,) = plan(sprt, model, elos=[elo]).rows
    assert row.elo == elo
    assert row.promote == pytest.approx(passed / runs, abs=0.07)  # three standard errors
    assert row.pairs == pytest.approx(pairs / runs, rel=0.11)


@pytest.mark.parametrize("sprt", [Sprt(0, 10), Sprt(0, 120, model=LOGISTIC)], ids=str)
@pytest.mark.parametrize("limit", [None, 40])
def test_shape(sprt: Sprt, limit: int | None) -> None:
    found = plan(sprt, BOOKS["draw50"], limit)
    rows = found.rows
    assert len(rows) == 9
    assert found.rehearsed == (sprt.elo1 > 100)
    for row in rows:
        assert row.promote + row.keep + row.undecided == pytest.approx(1.0, abs=1e-9)
        assert min(row.promote, row.keep, row.undecided) >= 0.0
        assert row.median <= row.p90
        assert limit is None or max(row.pairs, row.p90) <= limit
        assert limit is not None or row.undecided == pytest.approx(0.0, abs=1e-9)
    for weaker, stronger in pairwise(rows):
        assert weaker.promote <= stronger.promote + 1e-12
        assert weaker.keep >= stronger.keep - 1e-12
        assert weaker.elo < stronger.elo
        assert weaker.nelo < stronger.nelo


@pytest.mark.parametrize("width", [10, 120])
def test_mirrored_question_has_the_mirrored_answer(width: float) -> None:
    sprt = Sprt(0, width, 0.02, 0.1, LOGISTIC)
    mirrored = Sprt(-width, 0, 0.1, 0.02, LOGISTIC)
    rows = plan(sprt, BOOKS["UHO"], 900, [0.0, width / 3]).rows
    others = plan(mirrored, BOOKS["UHO"], 900, [0.0, -width / 3]).rows
    for row, other in zip(rows, others, strict=True):
        assert row.promote == pytest.approx(other.keep, abs=0.006)
        assert row.pairs == pytest.approx(other.pairs, rel=0.01)


@pytest.mark.parametrize("sprt", [Sprt(0, 10), Sprt(0, 150, model=LOGISTIC)], ids=str)
def test_limit(sprt: Sprt) -> None:
    """A limit takes promotions away and adds none; a far one changes nothing, one pair decides
    nothing."""
    model = BOOKS["draw50"]
    free = operating_characteristic(sprt, model)
    for limit in (20, 200, 2000):
        for row, unlimited in zip(operating_characteristic(sprt, model, limit), free, strict=True):
            assert row.promote <= unlimited.promote + 1e-9
            assert row.pairs <= unlimited.pairs + 1e-9
    assert free[0].promote <= 0.05
    far = operating_characteristic(sprt, model, 10**6)
    for row, unlimited in zip(far, free, strict=True):
        assert row.promote == pytest.approx(unlimited.promote, abs=1e-9)
        assert row.pairs == pytest.approx(unlimited.pairs, rel=1e-9)
    (one,) = plan(sprt, model, 1, [0.0]).rows
    assert (one.promote, one.undecided, one.pairs) == pytest.approx((0.0, 1.0, 1.0), abs=1e-3)


def test_same_question_same_answer_and_any_number_of_strengths() -> None:
    sprt, model = Sprt(0, 200), BOOKS["draw50"]
    assert plan(sprt, model) == plan(sprt, model)
    many = [float(elo) for elo in range(-80, 281, 10)]
    dense = plan(sprt, model, elos=many).rows
    sparse = plan(sprt, model, elos=[0.0, 100.0, 200.0]).rows
    for row in sparse:
        (other,) = (d for d in dense if abs(d.nelo - row.nelo) < 1e-6)
        assert other.promote == pytest.approx(row.promote, abs=0.02)
        assert other.pairs == pytest.approx(row.pairs, rel=0.04)


def test_plans_by_pairs_that_were_played() -> None:
    model = BayesElo(0.5)
    played = Observed(Pentanomial(*(round(100_000 * p) for p in model.law(5.0))))
    for row, other in zip(
        operating_characteristic(Sprt(0, 10), played),
        operating_characteristic(Sprt(0, 10), model),
        strict=True,
    ):
        assert row.pairs == pytest.approx(other.pairs, rel=0.01)
        assert row.elo == pytest.approx(other.elo, abs=0.02)


def test_refuses() -> None:
    model = BOOKS["draw50"]
    with pytest.raises(ValueError, match="at least 1 pair"):
        plan(Sprt(0, 10), model, 0)
    with pytest.raises(ValueError, match="no true strength"):
        plan(Sprt(0, 10), model, elos=[])
    with pytest.raises(ValueError, match="nan"):
        plan(Sprt(0, 10, model=LOGISTIC), model, elos=[float("nan")])


def test_default_elos_stay_within_the_bounds_of_elo() -> None:
    assert default_elos(Sprt(0, 8)) == (-4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0)
    assert default_elos(Sprt(0, 600))[-1] == 600.0


def test_presets() -> None:
    assert preset("superiority", 10) == Sprt(0, 10)
    assert preset(Preset.NON_REGRESSION, 5, alpha=0.1) == Sprt(-5, 0, alpha=0.1)
    assert preset("pick-best", 8, model=LOGISTIC) == Sprt(-8, 8, model=LOGISTIC)
    for name in Preset:
        assert "12 Elo" in meaning(name, 12.0)
    for width in (0.0, -3.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="above 0"):
            preset("superiority", width)
    with pytest.raises(ValueError, match="no preset 'gate'"):
        preset("gate", 10)


@pytest.mark.parametrize("elo", [math.nan, math.inf, 601.0, -9e6])
def test_no_true_strength_past_that_of_the_bounds(elo: float) -> None:
    with pytest.raises(ValueError, match=r"it must be within \+-600"):
        plan(Sprt(0, 10), BayesElo(0.5), None, (0.0, elo))
