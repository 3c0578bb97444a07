from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from arena.stats.bayeselo import (
    CUTECHESS,
    LEELA_ZERO,
    OPENBENCH,
    BayesElo,
    PlainTest,
    bayes_elo,
    plain_llr,
    sample_draw_elo,
)
from arena.stats.elo import score_of_elo
from arena.stats.pentanomial import GameCounts, Outcomes, PairCounts, Pentanomial
from arena.stats.sprt import EloModel, Sprt

COUNT = st.just(0) | st.integers(0, 100) | st.integers(0, 2 * 10**6)
GAMES = st.builds(GameCounts, COUNT, COUNT, COUNT)
PAIRS = st.builds(PairCounts, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT)
SEEN = st.integers(1, 10**6)
PLAIN_TESTS = {
    "OpenBench": OPENBENCH,
    "cutechess": CUTECHESS,
    "leela-zero": LEELA_ZERO,
    "fishtest": OPENBENCH,
}


@pytest.fixture(scope="module")
def vectors(shared: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((shared / "golden/stats_vectors.json").read_text())[
        "vectors"
    ]
    return [vector for vector in found if vector["kind"] == "llr_bayeselo"]


def games_of(vector: dict[str, Any]) -> GameCounts:
    given = vector["input"]
    return GameCounts(given["losses"], given["draws"], given["wins"])


@pytest.mark.parametrize("system", list(PLAIN_TESTS))
def test_plain_llr_vectors(vectors: list[dict[str, Any]], system: str) -> None:
    chosen = [vector for vector in vectors if vector["system"] == system]
    assert chosen
    for vector in chosen:
        games, given, output = games_of(vector), vector["input"], vector["output"]
        llr = plain_llr(games, given["elo0"], given["elo1"], PLAIN_TESTS[system])
        assert llr == pytest.approx(output["llr"], rel=1e-9), vector["id"]
        if "drawelo" in output:
            assert sample_draw_elo(games) == pytest.approx(output["drawelo"], rel=1e-9)


def test_bayesian_gsprt_vectors(vectors: list[dict[str, Any]]) -> None:
    chosen = [vector for vector in vectors if vector["system"] == "fastchess"]
    assert chosen
    for vector in chosen:
        given = vector["input"]
        sprt = Sprt(given["elo0"], given["elo1"], model=EloModel.BAYESIAN)
        expected = pytest.approx(vector["output"]["llr"], rel=vector["rtol"], abs=vector["atol"])
        assert sprt.llr(games_of(vector)) == expected, vector["id"]


def test_a_sample_of_even_thirds() -> None:
    """Won, drawn and lost alike: odds of 1 : 2 against winning are 400 log10 2 Elo of draws."""
    law = bayes_elo(GameCounts(20, 20, 20))
    assert law.elo == pytest.approx(0.0, abs=1e-12)
    assert law.draw_elo == pytest.approx(400 * math.log10(2))
    assert law.scale == pytest.approx(8 / 9)
    assert law.score == 0.5


@given(SEEN, SEEN, SEEN)
def test_the_law_of_a_sample_is_its_shares(losses: int, draws: int, wins: int) -> None:
    games = GameCounts(losses, draws, wins)
    shares = [n / games.size for n in games.counts]
    assert bayes_elo(games).law == pytest.approx(shares, rel=1e-9)
    assert bayes_elo(games).score == pytest.approx(games.score)


@given(st.floats(-600, 600), st.floats(0, 2000))
def test_chances_sum_to_one(elo: float, draw_elo: float) -> None:
    law = BayesElo(elo, draw_elo).law
    assert min(law) >= 0.0
    assert math.fsum(law) == pytest.approx(1.0, rel=1e-12)


@given(st.floats(-600, 600), st.floats(1, 2000))
def test_logarithms_of_the_chances(elo: float, draw_elo: float) -> None:
    law = BayesElo(elo, draw_elo)
    assert law.log_law == pytest.approx([math.log(chance) for chance in law.law], abs=1e-9)


def test_scale_is_the_slope_at_equal_strength() -> None:
    for draw_elo in (0.0, 100.0, 250.0, 600.0):
        step = BayesElo(0.01, draw_elo).score - BayesElo(-0.01, draw_elo).score
        logistic = score_of_elo(0.01) - score_of_elo(-0.01)
        assert BayesElo(0.0, draw_elo).scale == pytest.approx(step / logistic, rel=1e-6)


def test_without_draws_it_is_logistic_elo() -> None:
    for elo in (-300.0, -5.0, 0.0, 40.0):
        assert BayesElo(elo, 0.0).score == pytest.approx(score_of_elo(elo), rel=1e-12)


@given(GAMES | PAIRS)
def test_every_sample_has_a_finite_draw_elo(counts: Outcomes) -> None:
    assert math.isfinite(sample_draw_elo(counts))
    assert sample_draw_elo(counts) >= 0.0


def test_pairs_tell_by_their_single_games() -> None:
    drawn, shared_out = PairCounts(LD=3, DD=10, WD=4), PairCounts(LD=3, WL=10, WD=4)
    assert sample_draw_elo(drawn) == sample_draw_elo(GameCounts(3, 27, 4))
    assert sample_draw_elo(shared_out) == sample_draw_elo(GameCounts(13, 7, 14))


def test_pairs_by_score_alone_cannot_tell() -> None:
    sprt = Sprt(0, 10, model=EloModel.BAYESIAN)
    for use in (sample_draw_elo, sprt.llr, sprt.remaining):
        with pytest.raises(ValueError, match="BayesElo needs the share of drawn games"):
            use(Pentanomial(1, 2, 3, 4, 5))
    moments = Pentanomial(1, 2, 3, 4, 5).moments()
    assert moments is not None
    with pytest.raises(ValueError, match="before the draw Elo is given"):
        sprt.score_bounds(moments)


@given(GAMES | PAIRS, st.floats(-400, 390), st.floats(0.1, 200))
def test_bayesian_llr_is_the_logistic_one_at_the_converted_bounds(
    counts: GameCounts | PairCounts, elo0: float, width: float
) -> None:
    """Rounding of a score near 1/2 moves the bounds by a little more than 1e-13 Elo."""
    sprt = Sprt(elo0, elo0 + width, model=EloModel.BAYESIAN)
    llr = sprt.llr(counts)
    assert math.isfinite(llr)
    mirror = Sprt(-sprt.elo1, -sprt.elo0, model=EloModel.BAYESIAN)
    assert mirror.llr(counts.flipped()) == pytest.approx(-llr, rel=1e-7, abs=1e-6)
    scores = [BayesElo(elo, sample_draw_elo(counts)).score for elo in (elo0, sprt.elo1)]
    low, high = (400 * math.log10(score / (1 - score)) for score in scores)
    if high - low >= 0.01:
        logistic = Sprt(low, high, model=EloModel.LOGISTIC).llr(counts)
        assert llr == pytest.approx(logistic, rel=1e-6, abs=1e-6)


def test_a_side_that_never_won_still_moves_the_test() -> None:
    """fastchess says 0 here until both sides have won a game."""
    sprt = Sprt(0, 35, model=EloModel.BAYESIAN)
    assert sprt.llr(GameCounts(losses=0, draws=30, wins=30)) > 0.05
    assert sprt.llr(GameCounts(losses=30, draws=30, wins=0)) < -0.05


def test_bayesian_bounds_shrink_with_draws() -> None:
    """The same lead of 40 games proves less of +35 BayesElo where that is worth less Elo."""
    few, many = GameCounts(480, 40, 520), GameCounts(480, 4000, 520)
    moments = many.moments()
    assert moments is not None
    sprt = Sprt(0, 35, model=EloModel.BAYESIAN)
    wide = sprt.score_bounds(moments, sample_draw_elo(few))[1]
    narrow = sprt.score_bounds(moments, sample_draw_elo(many))[1]
    assert 0.5 < narrow < wide < score_of_elo(35)


@given(GAMES, st.sampled_from([OPENBENCH, CUTECHESS, LEELA_ZERO]))
@example(GameCounts(0, 30346, 0), CUTECHESS)  # bounds of 10^5 BayesElo
def test_plain_llr_is_finite_and_changes_sign_with_the_side(
    games: GameCounts, test: PlainTest
) -> None:
    llr = plain_llr(games, -3, 8, test)
    assert math.isfinite(llr)
    other = plain_llr(games.flipped(), -8, 3, test)
    assert other == pytest.approx(-llr, rel=1e-9, abs=1e-9 * (1 + games.size))
