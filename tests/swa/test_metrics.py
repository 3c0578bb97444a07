"""Every figure against closed forms, and against what plain Python or scipy makes of it."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from swa import metrics
from swa.metrics import BINS

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def ragged(lengths, seed, spread=3.0):
    """Logits, target probabilities and offsets of positions with so many moves."""
    random = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    logits = random.normal(0, spread, offsets[-1]).astype(np.float32)
    targets = np.concatenate([random.dirichlet(np.full(length, 0.3)) for length in lengths])
    return logits, targets, offsets


def rows(numbers, offsets):
    return [numbers[first:end] for first, end in pairwise(offsets)]


lengths = st.lists(st.integers(1, 40), min_size=1, max_size=12)
seeds = st.integers(0, 2**32 - 1)


@given(lengths, seeds)
def test_policy_figures_are_those_of_position_after_position(lengths, seed):
    logits, targets, offsets = ragged(lengths, seed)
    logs = metrics.log_policy(logits, offsets)
    assert logs.dtype == np.float64
    expected = [special.log_softmax(row.astype(np.float64)) for row in rows(logits, offsets)]
    np.testing.assert_allclose(logs, np.concatenate(expected), **EXACT)
    np.testing.assert_allclose(
        metrics.policy_cross_entropy(logs, targets, offsets),
        [
            -math.fsum(t * p for t, p in zip(wanted, log, strict=True))
            for wanted, log in zip(rows(targets, offsets), expected, strict=True)
        ],
        **EXACT,
    )
    np.testing.assert_allclose(
        metrics.policy_entropy(targets, offsets),
        [special.entr(row).sum() for row in rows(targets, offsets)],
        **EXACT,
    )


@given(lengths, seeds)
def test_kl_is_that_of_scipy_and_the_cross_entropy_above_the_entropy(lengths, seed):
    logits, _, offsets = ragged(lengths, seed)
    other, _, _ = ragged(lengths, seed + 1)
    p, q = metrics.log_policy(logits, offsets), metrics.log_policy(other, offsets)
    found = metrics.policy_kl(p, q, offsets)
    np.testing.assert_allclose(
        found,
        [
            special.rel_entr(np.exp(one), np.exp(two)).sum()
            for one, two in zip(rows(p, offsets), rows(q, offsets), strict=True)
        ],
        rtol=1e-12,
        atol=1e-14,
    )
    excess = metrics.policy_cross_entropy(q, np.exp(p), offsets)
    excess -= metrics.policy_entropy(np.exp(p), offsets)
    np.testing.assert_allclose(found, excess, **EXACT)
    assert (found >= 0).all()
    assert not metrics.policy_kl(p, p, offsets).any()


def test_kl_of_two_moves_by_hand():
    logs = np.log([0.5, 0.5]), np.log([0.75, 0.25])
    found = metrics.policy_kl(*logs, np.array([0, 2]))
    np.testing.assert_allclose(found, 0.5 * math.log(4 / 3), **EXACT)


def test_a_policy_to_which_all_moves_are_the_same_loses_the_logarithm_of_their_number():
    offsets = np.array([0, 1, 4, 24])
    logits = np.full(24, 7, np.float32)
    targets = np.zeros(24)
    targets[[0, 2, 20]] = 1
    found = metrics.policy_cross_entropy(metrics.log_policy(logits, offsets), targets, offsets)
    np.testing.assert_allclose(found, np.log([1, 3, 20]), **EXACT)


def test_huge_logits_stay_finite():
    logits, offsets = np.array([1e8, -1e8, 3e38, -3e38], np.float32), np.array([0, 2, 4])
    logs = metrics.log_policy(logits, offsets)
    assert np.isfinite(logs).all()
    found = metrics.policy_cross_entropy(logs, np.array([0.0, 1, 1, 0]), offsets)
    np.testing.assert_allclose(found, [2e8, 0], **EXACT)


def test_a_position_without_legal_moves_is_refused():
    for offsets in ([0, 0, 2], [0, 2, 2]):
        with pytest.raises(ValueError, match=r"position [01] has no legal move"):
            metrics.log_policy(np.zeros(2), np.array(offsets))


@given(lengths, seeds)
def test_ranks_are_places_in_the_sorted_moves(lengths, seed):
    logits, targets, offsets = ragged(lengths, seed)
    logits, targets = logits.round(), targets.round(1)  # so that there are equals
    expected, firsts = [], []
    for row, wanted, first in zip(rows(logits, offsets), rows(targets, offsets), offsets):  # noqa: B905
        order = sorted(range(len(row)), key=lambda place: (-row[place], place))
        best = {place for place in range(len(row)) if wanted[place] == max(wanted)}
        expected.append(next(rank for rank, place in enumerate(order) if place in best))
        firsts.append(first + order[0])
    np.testing.assert_array_equal(metrics.rank_of_best(logits, targets, offsets), expected)
    np.testing.assert_array_equal(metrics.first_moves(logits, offsets), firsts)


def test_outcomes_by_hand():
    wdl = np.array([[0.5, 0.25, 0.25], [0, 0, 1], [1, 0, 0]], np.float32)
    result = np.array([[0, 1.0, 0], [0, 0, 1], [0, 0, 1]])
    floor = -math.log(metrics.LEAST_PROBABILITY)
    np.testing.assert_allclose(
        metrics.outcome_cross_entropy(wdl, result), [math.log(4), 0, floor], **EXACT
    )
    assert floor == pytest.approx(87.34, abs=0.01)
    np.testing.assert_allclose(metrics.brier(wdl, result), [0.875, 0, 2], **EXACT)
    np.testing.assert_allclose(metrics.q_of(wdl), [0.25, -1, 1], **EXACT)
    np.testing.assert_allclose(metrics.expected_score(wdl), [0.625, 0, 1], **EXACT)
    np.testing.assert_array_equal(metrics.outcome_right(wdl, result), [False, True, False])


@given(seeds)
def test_outcomes_of_mixed_targets(seed):
    random = np.random.default_rng(seed)
    wdl = random.dirichlet((1, 1, 1), 20).astype(np.float32)
    targets = random.dirichlet((1, 1, 1), 20)
    np.testing.assert_allclose(
        metrics.outcome_cross_entropy(wdl, targets),
        [
            -math.fsum(t * math.log(float(p)) for t, p in zip(*pair, strict=True))
            for pair in zip(targets, wdl, strict=True)
        ],
        **EXACT,
    )
    right = [list(t).index(max(t)) == list(p).index(max(p)) for t, p in zip(targets, wdl)]  # noqa: B905
    np.testing.assert_array_equal(metrics.outcome_right(wdl, targets), right)


def test_huber_is_that_of_scipy():
    errors = np.array([-25, -10, -1, 0, 3, 10, 10.5, 1e6])
    np.testing.assert_allclose(metrics.huber(errors), special.huber(10, errors), **EXACT)


@given(seeds, st.integers(1, 300))
def test_ece_is_the_sum_over_bins_as_defined(seed, count):
    random = np.random.default_rng(seed)
    predicted = random.beta(0.5, 0.5, count).astype(np.float32)
    observed = random.choice([0.0, 0.5, 1.0], count)
    expected = 0.0
    for number in range(BINS):
        inside = [
            i
            for i, p in enumerate(predicted)
            if number <= float(p) * BINS and (float(p) * BINS < number + 1 or number == BINS - 1)
        ]
        if inside:
            confidence = math.fsum(float(predicted[i]) for i in inside) / len(inside)
            share = math.fsum(observed[i] for i in inside) / len(inside)
            expected += len(inside) / count * abs(share - confidence)
    found = metrics.reliability(predicted, observed)
    assert found.ece == pytest.approx(expected, abs=1e-12)
    assert found.positions.sum() == count
    half = count // 2
    parts = [
        metrics.reliability(predicted[p], observed[p]) for p in np.split(np.arange(count), [half])
    ]
    assert parts[0].plus(parts[1]).ece == pytest.approx(expected, abs=1e-12)


def test_reliability_by_hand():
    found = metrics.reliability(np.array([1, 1 - 1e-7, 0.5, 0]), np.array([1, 0, 0.5, 0]))
    assert [row[1:] for row in found.rows()] == [(0, 1), (0.5, 1), (0.5, 2)]
    assert found.ece == pytest.approx((2 - 1e-7 - 1) / 4, abs=1e-15)
    assert metrics.reliability(np.zeros(0), np.zeros(0)).ece == 0


def test_what_is_drawn_from_the_predictions_is_calibrated():
    random = np.random.default_rng(0)
    predicted = random.random(200_000)
    assert metrics.reliability(predicted, random.random(200_000) < predicted).ece < 0.005
    assert metrics.reliability(predicted, random.random(200_000) < predicted**2).ece > 0.1


def test_the_winners_side():
    """Of a won, a lost and a drawn game: right, wrong, undecided."""
    wdl = np.array([[0.4, 0.3, 0.3], [0.3, 0.3, 0.4], [0.25, 0.5, 0.25]], np.float32)
    for result, expected in (
        ([1, 0, 0], [1, 0, 0.5]),
        ([0, 0, 1], [0, 1, 0.5]),
        ([0, 1, 0], [np.nan] * 3),
    ):
        found = metrics.side_right(wdl, np.tile(result, (3, 1)))
        np.testing.assert_array_equal(found, expected)
