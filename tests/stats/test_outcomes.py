from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.stats.elo import rms_opening_bias, score_of_elo
from arena.stats.outcomes import (
    PAIR_SCORES,
    BayesElo,
    Observed,
    PairLaw,
    logistic_elo_at,
    nelo_of_law,
    pair_law,
)
from arena.stats.pentanomial import GameCounts, PairCounts, Pentanomial
from arena.stats.sprt import EloModel

UHO = BayesElo(0.49, 190.5)

PER_NELO = {  # logistic Elo at 5 normalized; simulated laws of facts on match statistics, 5.2
    BayesElo(0.2): 4.47,
    BayesElo(0.35): 4.03,
    BayesElo(0.5): 3.54,
    BayesElo(0.7): 2.74,
    BayesElo(0.85): 1.94,
    BayesElo(0.95): 1.12,
    BayesElo(0.49, 191.0 - 0.2): 2.55,
}


def mean_of(law: PairLaw) -> float:
    return sum(p * a for p, a in zip(law, PAIR_SCORES, strict=True))


@given(st.floats(-900, 900), st.floats(0, 0.99), st.floats(0, 0.98))
def test_mean_score_is_that_of_the_elo(elo: float, draw_rate: float, share: float) -> None:
    edge = share * (1.0 - draw_rate) / 2.0
    bias = 400.0 * math.log10((0.5 + edge) / (0.5 - edge))
    law = pair_law(elo, draw_rate, bias)
    assert all(p >= 0.0 for p in law)
    assert sum(law) == pytest.approx(1.0, abs=1e-12)
    assert mean_of(law) == pytest.approx(score_of_elo(elo), abs=1e-9)


@given(st.floats(-600, 600))
def test_the_other_side_sees_the_mirrored_law(elo: float) -> None:
    assert UHO.law(-elo) == pytest.approx(UHO.law(elo)[::-1], abs=1e-10)
    assert BayesElo(0.49, -190.5).law(elo) == pytest.approx(UHO.law(elo), abs=1e-10)


def test_between_equals_without_bias_the_law_is_that_of_two_games() -> None:
    for draw in (0.0, 0.3, 0.9):
        won = (1.0 - draw) / 2.0
        expected = (won**2, 2 * won * draw, 2 * won**2 + draw**2, 2 * won * draw, won**2)
        assert pair_law(0.0, draw) == pytest.approx(expected, abs=1e-12)


def test_bias_is_what_is_measured_and_draws_are_as_asked() -> None:
    won, lost = 0.4, 0.15  # of the favoured side
    bias = 400.0 * math.log10((0.5 + 0.125) / (0.5 - 0.125))
    drawn = 1.0 - won - lost
    law = pair_law(0.0, drawn, bias)
    mixed = won * drawn + drawn * lost
    assert law == pytest.approx(
        (won * lost, mixed, won**2 + lost**2 + drawn**2, mixed, won * lost), abs=1e-12
    )
    n = 10_000
    counts = PairCounts(
        LL=round(n * won * lost),
        LD=round(n * mixed),
        WL=round(n * (won**2 + lost**2)),
        DD=round(n * drawn**2),
        WD=round(n * mixed),
        WW=round(n * won * lost),
    )
    assert rms_opening_bias(counts) == pytest.approx(bias, rel=1e-3)


@pytest.mark.parametrize(("model", "elo"), PER_NELO.items())
def test_normalized_elo_of_the_models(model: BayesElo, elo: float) -> None:
    found = logistic_elo_at(model, 5.0, EloModel.NORMALIZED)
    assert found == pytest.approx(elo, abs=6e-3)
    assert nelo_of_law(model.law(found)) == pytest.approx(5.0, abs=1e-8)
    assert logistic_elo_at(model, 5.0, EloModel.LOGISTIC) == 5.0


@pytest.mark.parametrize(
    ("draw_rate", "bias", "what"),
    [
        (1.0, 0.0, "draw rate is 1.0"),
        (-0.1, 0.0, "draw rate is -0.1"),
        (math.nan, 0.0, "draw rate is nan"),
        (0.5, math.inf, "opening bias is inf"),
        (0.67, 155.0, "below 119"),
        (0.0, 1e6, "cannot be biased"),
    ],
)
def test_what_no_game_can_be(draw_rate: float, bias: float, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        BayesElo(draw_rate, bias)


def test_elos_out_of_reach() -> None:
    with pytest.raises(ValueError, match="1600"):
        UHO.law(1600.0)
    with pytest.raises(ValueError, match="normalized"):
        logistic_elo_at(UHO, 1e6, EloModel.NORMALIZED)


def test_observed_pairs_are_their_own_law_at_their_own_strength() -> None:
    counts = Pentanomial(11, 240, 560, 297, 14)
    score = counts.score
    assert score is not None
    elo = 400.0 * math.log10(score / (1.0 - score))
    shares = [n / counts.size for n in counts.counts]
    assert Observed(counts).law(elo) == pytest.approx(shares, abs=1e-10)
    for other in (-700.0, 0.0, 300.0):
        assert mean_of(Observed(counts).law(other)) == pytest.approx(score_of_elo(other), abs=1e-9)


def test_observed_needs_pairs() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        Observed(Pentanomial())
    with pytest.raises(ValueError, match="single games"):
        Observed(GameCounts(1, 1, 1))
