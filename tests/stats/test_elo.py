from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from arena.stats.elo import (
    CUTECHESS,
    FASTCHESS,
    FISHTEST,
    NO_ESTIMATE,
    OPENBENCH,
    Convention,
    EloEstimate,
    elo_of_score,
    likelihood_of_superiority,
    logistic_elo,
    normalized_elo,
    rms_opening_bias,
    score_of_elo,
)
from arena.stats.pentanomial import GameCounts, Outcomes, PairCounts, Pentanomial

COUNT = st.integers(0, 10**6) | st.just(0)
PENTANOMIALS = st.builds(Pentanomial, COUNT, COUNT, COUNT, COUNT, COUNT)
CONVENTIONS = st.sampled_from([FASTCHESS, FISHTEST, OPENBENCH, CUTECHESS])


def outcomes_of(vector: dict[str, Any]) -> Outcomes:
    given = vector["input"]
    if "pentanomial" in given:
        return Pentanomial(*given["pentanomial"])
    return GameCounts(given["losses"], given["draws"], given["wins"])


@pytest.fixture(scope="module")
def vectors(shared: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((shared / "golden/stats_vectors.json").read_text())[
        "vectors"
    ]
    return found


def of_kind(vectors: list[dict[str, Any]], kind: str, system: str) -> list[dict[str, Any]]:
    chosen = [v for v in vectors if (v["kind"], v["system"]) == (kind, system)]
    assert chosen, f"no reference vectors of {kind} by {system}"
    return chosen


def approx(value: float, vector: dict[str, Any]) -> Any:
    return pytest.approx(value, rel=vector["rtol"], abs=vector["atol"])


def finite(value: float | str) -> float | None:
    """The reference's number, or None for its nan and inf, which we never show."""
    return None if isinstance(value, str) else value


def test_block_of_fastchess() -> None:
    counts = Pentanomial(11, 240, 560, 297, 14)
    elo, nelo = logistic_elo(counts), normalized_elo(counts)
    assert elo.elo == pytest.approx(9.76, abs=5e-3)
    assert elo.margin == pytest.approx(7.645, abs=5e-4)
    assert nelo.elo == pytest.approx(18.36, abs=5e-3)
    assert nelo.margin == pytest.approx(14.38, abs=6e-3)
    assert likelihood_of_superiority(counts) == pytest.approx(0.9938, abs=5e-5)


def test_fastchess_vectors(vectors: list[dict[str, Any]]) -> None:
    for vector in of_kind(vectors, "elo_ci_los", "fastchess"):
        counts, output = outcomes_of(vector), vector["output"]
        elo, nelo = logistic_elo(counts), normalized_elo(counts)
        los = likelihood_of_superiority(counts)
        assert counts.score == approx(output["score"], vector)
        if finite(output["nelo"]) is None:  # a sweep, or nothing but draws
            assert nelo == NO_ESTIMATE, vector["id"]
            assert (elo.margin, los) == (None, None)
            assert elo.elo == finite(output["elo"])
            continue
        assert elo.elo == approx(output["elo"], vector), vector["id"]
        assert elo.margin == approx(output["elo_pm95"], vector), vector["id"]
        assert nelo.elo == approx(output["nelo"], vector), vector["id"]
        assert nelo.margin == approx(output["nelo_pm95"], vector), vector["id"]
        assert los is not None
        assert f"{100 * los:.2f} %" == output["los_printed"]


def test_fishtest_vectors(vectors: list[dict[str, Any]]) -> None:
    for vector in of_kind(vectors, "elo_ci_los", "fishtest"):
        counts, output = outcomes_of(vector), vector["output"]
        elo = logistic_elo(counts, convention=FISHTEST)
        los = likelihood_of_superiority(counts, convention=FISHTEST)
        assert elo.elo == approx(output["elo"], vector), vector["id"]
        assert elo.margin == approx(output["elo_pm95"], vector), vector["id"]
        assert los == approx(output["los"], vector), vector["id"]


def test_fishtest_normalized_vectors(vectors: list[dict[str, Any]]) -> None:
    for vector in of_kind(vectors, "nelo_ci", "fishtest"):
        counts, output = outcomes_of(vector), vector["output"]
        moments = counts.moments(regularised=True)
        nelo = normalized_elo(counts, convention=FISHTEST)
        assert moments is not None
        assert moments.size == approx(output["n5"], vector)
        assert moments.variance == approx(output["var5"], vector)
        assert moments.skewness == approx(output["skewness5"], vector)
        assert moments.excess_kurtosis == approx(output["exkurt5"], vector)
        assert nelo.elo == approx(output["nelo5"], vector), vector["id"]
        assert nelo.margin == approx(output["nelo5_delta"], vector), vector["id"]


def test_openbench_vectors(vectors: list[dict[str, Any]]) -> None:
    for vector in of_kind(vectors, "elo_ci", "OpenBench"):
        counts, output = outcomes_of(vector), vector["output"]
        elo = logistic_elo(counts, convention=OPENBENCH)
        if output["elo_lower"] == output["elo_upper"]:  # nothing varies: we claim no interval
            assert (elo.low, elo.high) == (None, None), vector["id"]
            continue
        assert elo.elo == approx(output["elo"], vector), vector["id"]
        assert elo.low == approx(output["elo_lower"], vector), vector["id"]
        assert elo.high == approx(output["elo_upper"], vector), vector["id"]


@pytest.mark.parametrize(
    ("kind", "system"), [("elo_ci_los", "cutechess"), ("elo_ci_gate", "lczero-server")]
)
def test_single_game_vectors(vectors: list[dict[str, Any]], kind: str, system: str) -> None:
    for vector in of_kind(vectors, kind, system):
        counts, output = outcomes_of(vector), vector["output"]
        elo = logistic_elo(counts, convention=CUTECHESS)
        assert elo.elo == (finite(output["elo"]) and approx(output["elo"], vector)), vector["id"]
        if output["elo_pm95"] != 0.0:  # nothing but draws: we claim no interval
            margin = finite(output["elo_pm95"])
            assert elo.margin == (margin and approx(margin, vector)), vector["id"]
        else:
            assert elo.margin is None
        if system == "lczero-server":  # its gate; an infinite Elo is one of ours that is None
            gate = vector["input"]["gate_threshold_elo"]
            score = counts.score
            assert score is not None
            assert (score > score_of_elo(gate)) is output["passed"]
            continue
        los, theirs = likelihood_of_superiority(counts, convention=CUTECHESS), output["los_percent"]
        assert los == (finite(theirs) and approx(theirs / 100.0, vector)), vector["id"]
        assert counts.score == approx(output["point_ratio"], vector)


def test_coarse_quantiles() -> None:
    """cutechess's 1.9572; as exact as said, over the confidences anyone asks for."""
    counts = GameCounts(400, 1000, 420)
    for confidence in (0.5, 0.9, 0.95, 0.99):
        coarse = logistic_elo(counts, confidence=confidence, convention=CUTECHESS).margin
        exact = logistic_elo(counts, confidence=confidence).margin
        assert coarse == pytest.approx(exact, rel=0.003)
        assert coarse != exact


@pytest.mark.parametrize(
    ("counts", "elo"),
    [
        (Pentanomial(), None),  # nothing at all
        (Pentanomial(WL_DD=100), 0.0),  # nothing but drawn pairs
        (Pentanomial(WW=10), None),  # a sweep
        (Pentanomial(WD=7), elo_of_score(0.75)),  # one result only
    ],
)
def test_without_two_different_results_there_is_no_interval(
    counts: Pentanomial, elo: float | None
) -> None:
    assert logistic_elo(counts) == EloEstimate(elo, None, None)
    assert normalized_elo(counts) == NO_ESTIMATE
    assert likelihood_of_superiority(counts) is None


def test_an_interval_past_a_perfect_score_has_no_end_there() -> None:
    elo = logistic_elo(Pentanomial(WD=1, WW=1))
    assert elo.elo == pytest.approx(elo_of_score(0.875))
    assert elo.low is not None
    assert elo.high is None
    assert elo.margin is None


@given(PENTANOMIALS, CONVENTIONS)
def test_no_number_is_infinite_or_undefined(counts: Pentanomial, convention: Convention) -> None:
    elo = logistic_elo(counts, convention=convention)
    nelo = normalized_elo(counts, convention=convention)
    los = likelihood_of_superiority(counts, convention=convention)
    for number in (elo.elo, elo.low, elo.high, nelo.elo, nelo.low, nelo.high, los):
        assert number is None or math.isfinite(number)


def mirrored(estimate: EloEstimate) -> EloEstimate:
    def negated(value: float | None) -> Any:
        return None if value is None else pytest.approx(-value, rel=1e-6, abs=1e-6)

    return EloEstimate(negated(estimate.elo), negated(estimate.high), negated(estimate.low))


@given(PENTANOMIALS, CONVENTIONS)
def test_the_other_side_sees_the_negative(counts: Pentanomial, convention: Convention) -> None:
    flipped = counts.flipped()
    for estimate in (logistic_elo, normalized_elo):
        ours = estimate(counts, convention=convention)
        assert estimate(flipped, convention=convention) == mirrored(ours)
    los = likelihood_of_superiority(counts, convention=convention)
    others = likelihood_of_superiority(flipped, convention=convention)
    assert (los is None) == (others is None)
    if los is not None and others is not None:
        assert los + others == pytest.approx(1.0)


@given(PENTANOMIALS)
def test_one_more_won_pair_raises_the_elo(counts: Pentanomial) -> None:
    better = Pentanomial(*counts.counts[:-1], counts.WW + 1)
    before, after = logistic_elo(counts).elo, logistic_elo(better).elo
    assume(before is not None and after is not None)
    assert before is not None
    assert after is not None
    assert after > before


@given(PENTANOMIALS, st.integers(2, 50))
def test_more_of_the_same_results_narrow_the_interval_by_the_root(
    counts: Pentanomial, times: int
) -> None:
    once = normalized_elo(counts).margin
    repeated = normalized_elo(Pentanomial(*(times * n for n in counts.counts))).margin
    assume(once is not None and repeated is not None)
    assert once is not None
    assert repeated == pytest.approx(once / math.sqrt(times))


@given(st.floats(-600, 600))
def test_elo_and_score_are_inverse(elo: float) -> None:
    assert elo_of_score(score_of_elo(elo)) == pytest.approx(elo, abs=1e-9)
    assert score_of_elo(elo) + score_of_elo(-elo) == pytest.approx(1.0)


def test_elo_scale() -> None:
    assert score_of_elo(400) == pytest.approx(10 / 11)
    assert elo_of_score(0.64) == pytest.approx(99.95, abs=0.01)


@pytest.mark.parametrize("score", [0.0, 1.0, -0.1, float("nan")])
def test_no_elo_for_an_impossible_score(score: float) -> None:
    with pytest.raises(ValueError, match="must be within"):
        elo_of_score(score)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ValueError, match=r"such as 0\.95"):
        logistic_elo(Pentanomial(1, 2, 3, 4, 5), confidence=confidence)


def test_openings_that_decide_every_game_are_all_bias() -> None:
    assert rms_opening_bias(PairCounts(WL=50)) is None  # each opening is won: no finite Elo
    assert rms_opening_bias(PairCounts(DD=50)) == 0.0
    assert rms_opening_bias(PairCounts()) is None


def test_opening_bias_of_a_constructed_book() -> None:
    """Games won with 0.6 from one side and 0.4 from the other, no draws: rms bias 0.1 in score."""
    p, n = 0.6, 10**6
    counts = PairCounts(
        LL=round(n * p * (1 - p)), WL=round(n * (p * p + (1 - p) ** 2)), WW=round(n * p * (1 - p))
    )
    assert rms_opening_bias(counts) == pytest.approx(elo_of_score(0.6), rel=1e-6)
