from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chisquare

from arena.simulation.draws import outcome, run_keys, thresholds, word
from arena.simulation.outcomes import SCORES, balanced, strength, unbalanced
from arena.stats.elo import rms_opening_bias
from arena.stats.pentanomial import PairCounts
from arena.stats.sprt import EloModel


def test_the_generator_is_splitmix64() -> None:
    # the first outputs from state 0, as Vigna's splitmix64.c gives them
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert [word(np.uint64(0), n) for n in range(3)] == expected


def test_outcomes_come_as_often_as_the_law_says() -> None:
    law = np.array([0.05, 0.2, 0.4, 0.25, 0.1])
    limits = thresholds(law)
    found = [outcome(key, n, limits) for key in run_keys(5, 1, runs=100) for n in range(200)]
    assert chisquare(np.bincount(found, minlength=5), law * len(found)).pvalue > 1e-3


def test_outcomes_that_cannot_come_do_not() -> None:
    limits = thresholds([0.0, 0.0, 1.0, 0.0, 0.0])
    assert {outcome(key, n, limits) for key in run_keys(5, runs=10) for n in range(100)} == {2}


def test_keys_belong_to_seed_and_path() -> None:
    keys = run_keys(1, 2, 3, runs=50)
    assert np.array_equal(keys, run_keys(1, 2, 3, runs=50))
    others = [run_keys(2, 2, 3, runs=50), run_keys(1, 3, 2, runs=50), run_keys(1, 2, runs=50)]
    assert len(set(np.concatenate([keys, *others]).tolist())) == 200


@pytest.mark.parametrize("law", [[], [0.5, 0.4], [1.5, -0.5]])
def test_a_law_has_to_sum_to_one(law: list[float]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        thresholds(law)


@pytest.mark.parametrize(
    ("book", "logistic"),
    # measured with other code: nElo 5 in logistic Elo
    [(0.20, 4.47), (0.50, 3.54), (0.85, 1.94), (None, 2.55)],
)
def test_five_normalized_elo_are_this_many_logistic_ones(
    book: float | None, logistic: float
) -> None:
    made = unbalanced(0.49, 191.0) if book is None else balanced(book)
    law = made.law_at(5.0, EloModel.NORMALIZED)
    assert strength(law, EloModel.NORMALIZED) == pytest.approx(5.0, abs=1e-9)
    assert strength(law, EloModel.LOGISTIC) == pytest.approx(logistic, abs=0.005)


@pytest.mark.parametrize("draw_rate", [0.0, 0.3, 0.9])
def test_without_bias_the_games_of_a_pair_are_independent(draw_rate: float) -> None:
    decisive = (1.0 - draw_rate) / 2.0
    game = [decisive, draw_rate, decisive]
    law = balanced(draw_rate).law(0.0)
    assert law == pytest.approx(np.convolve(game, game))
    assert law.sum() == pytest.approx(1.0)


def test_the_bias_is_the_one_that_the_statistics_see() -> None:
    # Of a pair's games one is won by the opening's side more often: with all results known,
    # rms_opening_bias has to give back what was asked for.
    book = unbalanced(0.49, 191.0)
    law = book.law(0.0)
    bias = 1.0 / (1.0 + 10.0 ** (-191.0 / 400.0)) - 0.5
    win, loss = 0.255 + bias, 0.255 - bias
    millions = np.rint(np.array([law[0], law[1], win**2 + loss**2, 0.49**2, law[3], law[4]]) * 1e9)
    assert millions[2] + millions[3] == pytest.approx(law[2] * 1e9, abs=2)
    found = rms_opening_bias(PairCounts(*map(int, millions)))
    assert found == pytest.approx(191.0, abs=0.01)
    assert math.isclose(float(law @ SCORES), 0.5)
