from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.stats.overshoot import Overshoot
from arena.stats.pentanomial import Pentanomial
from arena.stats.sprt import Sprt, closed_form_llr

STATES = {"H0": "rejected", "H1": "accepted"}


@pytest.fixture(scope="module")
def vectors(shared: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((shared / "golden/stats_vectors.json").read_text())[
        "vectors"
    ]
    return [vector for vector in found if vector["kind"] == "sprt_sequence"]


def batches_of(vector: dict[str, Any]) -> list[list[int]]:
    """Of pairs by score; vdbergh's programs look at the test after each pair."""
    given: dict[str, Any] = vector["input"]
    if "batches" in given:
        return list(given["batches"])
    return [[int(i == score) for i in range(5)] for score in given["pair_results_0to4"]]


@pytest.mark.parametrize("system", ["fishtest", "vdbergh-pentanomial"])
def test_sequences(vectors: list[dict[str, Any]], system: str) -> None:
    chosen = [vector for vector in vectors if vector["system"] == system]
    assert chosen
    for vector in chosen:
        check_sequence(vector)


def check_sequence(vector: dict[str, Any]) -> None:
    """Every update of a match of fishtest's or vdbergh's, its stop where theirs was."""
    given, output = vector["input"], vector["output"]
    approximate = given["model"] == "normalized_alt"
    model = "normalized" if approximate else given["model"]
    sprt = Sprt(given["elo0"], given["elo1"], given["alpha"], given["beta"], model)
    lower, upper = sprt.bounds
    overshoot, counts, state = Overshoot(), Pentanomial(), ""
    for batch in batches_of(vector):
        assert state == "", "the reference stopped later"
        counts = Pentanomial(*(a + b for a, b in zip(counts.counts, batch, strict=True)))
        llr = closed_form_llr(counts, sprt.elo0, sprt.elo1) if approximate else sprt.llr(counts)
        overshoot = overshoot.then(llr)
        low, high = overshoot.bounds(lower, upper)
        state = "rejected" if llr < low else "accepted" if llr > high else ""
    assert list(counts.counts) == output["final_pentanomial"]
    assert state == STATES.get(output["state"], output["state"]), vector["id"]
    assert llr == pytest.approx(output["llr"], rel=1e-9)
    low, high = overshoot.bounds(0.0, 0.0)
    assert (low, -high) == pytest.approx((output["o0"], output["o1"]), rel=1e-9)
    if "overshoot" in output:
        theirs = output["overshoot"]
        assert -overshoot.below.extreme == pytest.approx(theirs["ref0"], rel=1e-9)
        assert overshoot.below.squares == pytest.approx(theirs["sq0"], rel=1e-9)
        assert overshoot.above.extreme == pytest.approx(theirs["ref1"], rel=1e-9)
        assert overshoot.above.squares == pytest.approx(theirs["sq1"], rel=1e-9)


def after(llrs: list[float]) -> Overshoot:
    overshoot = Overshoot()
    for llr in llrs:
        overshoot = overshoot.then(llr)
    return overshoot


def test_before_the_first_record_the_bounds_are_walds() -> None:
    assert Overshoot().bounds(-2.5, 2.75) == (-2.5, 2.75)
    assert after([0.0]) == Overshoot()


def test_by_hand() -> None:
    """Record steps up: 0.5 and 0.25, so (0.25 + 0.0625) / (2 0.75); down: one of 0.5."""
    overshoot = after([0.5, 0.25, -0.5, 0.5, 0.75])
    lower, upper = overshoot.bounds(-3.0, 3.0)
    assert lower == -3.0 + 0.25
    assert upper == pytest.approx(3.0 - 0.3125 / 1.5)


def test_a_record_that_is_only_equalled_counts_for_nothing() -> None:
    assert after([0.5, 0.5, -0.25, -0.25]) == after([0.5, -0.25])


def test_steps_of_one_size_overshoot_by_half_of_it() -> None:
    lower, upper = after([0.125 * i for i in range(1, 9)]).bounds(-3.0, 3.0)
    assert (lower, upper) == (-3.0, 3.0 - 0.0625)


@given(st.lists(st.floats(-4, 4), max_size=60), st.floats(-9, -0.1), st.floats(0.1, 9))
def test_while_a_test_runs_no_bound_moves_by_more_than_a_third(
    steps: list[float], lower: float, upper: float
) -> None:
    overshoot, llr = Overshoot(), 0.0
    for step in steps:
        llr += step
        overshoot = overshoot.then(llr)
        low, high = overshoot.bounds(lower, upper)
        assert low >= lower
        assert high <= upper
        if llr < low or llr > high:
            return
        assert low <= lower * (2 / 3) + 1e-9
        assert high >= upper * (2 / 3) - 1e-9


@given(st.lists(st.floats(-4, 4), max_size=30))
def test_the_other_side_sees_the_mirror_image(llrs: list[float]) -> None:
    lower, upper = after(llrs).bounds(-2.0, 3.0)
    assert after([-llr for llr in llrs]).bounds(-3.0, 2.0) == (-upper, -lower)


@pytest.mark.parametrize("drift", [-0.5, 0.5])
def test_the_mean_overshoot_of_a_walk_is_foretold(drift: float) -> None:
    """Steps of a normal law, towards bounds far off: what was measured on the way, at the end."""
    generator = random.Random(3)
    foretold, true = [], []
    for _ in range(600):
        overshoot, llr = Overshoot(), 0.0
        while abs(llr) < 30.0:
            llr += generator.gauss(drift, 1.0)
            overshoot = overshoot.then(llr)
        ahead = overshoot.above if drift > 0 else overshoot.below
        foretold.append(ahead.mean_overshoot)
        true.append(abs(llr) - 30.0)
    assert sum(foretold) / 600 == pytest.approx(sum(true) / 600, rel=0.1)
