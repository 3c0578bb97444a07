from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from arena.simulation.draws import outcome, run_keys, thresholds, word


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
