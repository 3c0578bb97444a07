from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from arena.simulation.likelihood import (
    hypotheses_of,
    likely_range,
    llr,
    start_watch,
    still_within,
    workspace,
)
from arena.stats.pentanomial import Pentanomial
from arena.stats.sprt import EloModel, Sprt

MODELS = [EloModel.LOGISTIC, EloModel.NORMALIZED]
COUNT = st.one_of(st.just(0), st.integers(0, 5), st.integers(0, 10**7))


@given(
    counts=st.lists(COUNT, min_size=5, max_size=5),
    elo0=st.floats(-400, 395),
    width=st.floats(0.1, 200),
    model=st.sampled_from(MODELS),
)
@example(counts=[26839, 3124, 0, 36, 0], elo0=0, width=5, model=EloModel.LOGISTIC)
@example(counts=[377, 3, 425, 193, 0], elo0=0, width=200, model=EloModel.NORMALIZED)
@example(counts=[1, 0, 0, 0, 9], elo0=100, width=100, model=EloModel.NORMALIZED)
@example(counts=[0, 0, 0, 0, 0], elo0=-5, width=5, model=EloModel.NORMALIZED)
@example(counts=[0, 0, 9, 0, 0], elo0=-5, width=10, model=EloModel.LOGISTIC)
def test_the_ratio_is_that_of_the_statistics(
    counts: list[int], elo0: float, width: float, model: EloModel
) -> None:
    test = Sprt(elo0, min(elo0 + width, 400.0), model=model)
    expected = test.llr(Pentanomial(*counts))
    found = llr(hypotheses_of(test), np.array(counts), workspace())
    # A ratio near 0 is the difference of two likelihoods, each with its own rounding.
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9 + 1e-14 * sum(counts))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("width", [5.0, 35.0, 150.0])
def test_the_watch_never_promises_too_much(model: EloModel, width: float) -> None:
    """However the next results are chosen, the ratio stays within what is said of it."""
    generator = np.random.default_rng(3)
    test = Sprt(-width / 3, 2 * width / 3, model=model)
    hypotheses, work, other = hypotheses_of(test), workspace(), workspace()
    watched = 0
    for _ in range(200):
        counts = generator.multinomial(10 ** generator.integers(1, 5), generator.dirichlet([2] * 5))
        start_watch(hypotheses, counts, llr(hypotheses, counts, work), work)
        following = generator.dirichlet([0.3] * 5)  # at times nearly all the same
        for result in generator.choice(5, 200, p=following):
            if counts[result] == 0:
                break
            counts[result] += 1
            least, most = likely_range(hypotheses.mean, result, work)
            if most == np.inf:
                break
            slack = 1e-14 * counts.sum()
            assert least - slack <= llr(hypotheses, counts, other) <= most + slack
            watched += 1
    assert watched > 2000


def test_the_watch_says_so_when_a_bound_is_near() -> None:
    hypotheses, work = hypotheses_of(Sprt(0, 5)), workspace()
    counts = np.array([200, 900, 2000, 950, 230])
    ratio = llr(hypotheses, counts, work)
    start_watch(hypotheses, counts, ratio, work)
    assert still_within(hypotheses.mean, 3, ratio - 0.1, ratio + 0.1, work)
    start_watch(hypotheses, counts, ratio, work)
    assert not still_within(hypotheses.mean, 3, ratio - 0.1, ratio + 1e-6, work)


def test_bounds_in_bayeselo_are_refused() -> None:
    with pytest.raises(ValueError, match="BayesElo"):
        hypotheses_of(Sprt(0, 5, model=EloModel.BAYESIAN))
