"""Noise and temperature against their formulas; every draw is of a fixed seed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from arena.kernel import chance
from arena.kernel.tree import CHILD, END_OF_GAME, move_of, pack_edge, prior_of
from arena.search import Player, SearchSettings
from arena.selfplay_config import SelfplayParams
from arena.stand_ins import UniformEvaluator

SURELY = 1e-4
"""Of a p-value: with fixed seeds a test either fails for good or never."""


def settings(**chosen):
    params = SelfplayParams(visits=10, **chosen)
    return SearchSettings.of([Player("x", UniformEvaluator(), params)]).params[0]


def stream(number: int, purpose: int = chance.NOISE) -> np.uint64:
    return np.uint64(chance.stream(np.uint64(7), number, purpose))


# --- numbers ---


def test_splitmix_gives_the_published_numbers() -> None:
    """The first outputs of the generator's reference code for the seed 1234567."""
    step, state = 0x9E3779B97F4A7C15, 1234567
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    for value in expected:
        state = (state + step) % 2**64
        drawn = chance.uniform(np.uint64(state))
        assert drawn == ((value >> 11) + 0.5) / 2**53


def test_uniform_numbers_of_many_streams_are_uniform_and_independent() -> None:
    seeds = np.random.default_rng(1).integers(0, 2**63, 50, dtype=np.uint64)
    drawn = np.array(
        [
            [chance.uniform(np.uint64(chance.stream(seed, move, purpose))) for purpose in (0, 1)]
            for seed in seeds
            for move in range(100)
        ]
    )
    assert stats.kstest(drawn.ravel(), "uniform").pvalue > SURELY
    for lag in (1, 100):
        assert abs(np.corrcoef(drawn[:-lag, 0], drawn[lag:, 0])[0, 1]) < 4 / math.sqrt(len(drawn))
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 4 / math.sqrt(len(drawn))


@pytest.mark.parametrize("alpha", [0.03, 0.3, 1.0, 4.5])
def test_gamma_numbers_follow_the_distribution(alpha: float) -> None:
    drawn = [chance.log_gamma(alpha, stream(number))[0] for number in range(5000)]
    assert stats.kstest(drawn, stats.loggamma(alpha).cdf).pvalue > SURELY


# --- noise ---


def root_of(priors: list[float], visited: int = 0):
    """A tree whose root has these moves in their order, the first of them visited."""
    children = np.zeros(1 + visited, CHILD)
    edges = np.array([0] * 3 + [pack_edge(np.float32(p), i) for i, p in enumerate(priors)])
    edges = edges.astype(np.uint32)
    root = children[0]
    root.first_edge, root.edges, root.first_child, root.children = 3, len(priors), 1, visited
    for place in range(visited):
        children[1 + place].edge = edges[3 + place]
        children[1 + place].visits = 1
    return children, edges


def noised(priors: list[float], number: int, visited: int = 0, **chosen) -> dict[int, float]:
    children, edges = root_of(priors, visited)
    chance.add_noise(children, edges, settings(**chosen), stream(number), np.empty(256))
    return {int(move_of(edge)): float(prior_of(edge)) for edge in edges[3:]}


@pytest.mark.parametrize("alpha", [0.03, 0.3, 2.0])
def test_noise_alone_is_a_dirichlet_draw(alpha: float) -> None:
    """Mean, variance and covariance in closed form; each share is Beta distributed."""
    moves, draws = 6, 4000
    shares = np.empty((draws, moves))
    for number in range(draws):
        chance.dirichlet(alpha, stream(number), shares[number])
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-12)
    variance = (1 / moves) * (1 - 1 / moves) / (alpha * moves + 1)
    error = 5 * math.sqrt(variance / draws)
    np.testing.assert_allclose(shares.mean(axis=0), 1 / moves, atol=error)
    covariance = np.cov(shares.T)
    np.testing.assert_allclose(np.diag(covariance), variance, rtol=0.15)
    between = -1 / moves**2 / (alpha * moves + 1)
    off = covariance[~np.eye(moves, dtype=bool)]
    np.testing.assert_allclose(off, between, atol=0.1 * variance)
    marginal = stats.beta(alpha, alpha * (moves - 1))
    for move in range(moves):
        assert stats.kstest(shares[:, move], marginal.cdf).pvalue > SURELY


def test_the_smallest_alpha_gives_numbers() -> None:
    shares = np.empty(20)
    for number in range(200):
        chance.dirichlet(0.001, stream(number), shares)
        assert shares.sum() == pytest.approx(1)
        assert (shares >= 0).all()


@given(st.integers(0, 1000), st.floats(0.01, 1.0), st.integers(0, 4))
def test_noise_is_mixed_in_by_epsilon(number: int, epsilon: float, visited: int) -> None:
    priors = [0.4, 0.3, 0.2, 0.1]
    expected = np.empty(4)
    chance.dirichlet(float(np.float32(0.3)), stream(number), expected)
    mixed = noised(priors, number, visited, noise_epsilon=epsilon)
    for move, prior in enumerate(priors):
        value = (1 - epsilon) * prior + epsilon * expected[move]
        assert mixed[move] == pytest.approx(value, rel=2**-9, abs=1e-9)


def test_the_best_move_without_visits_is_next_and_visited_ones_keep_their_places() -> None:
    for number in range(50):
        children, edges = root_of([0.3, 0.25, 0.2, 0.15, 0.1], visited=2)
        chance.add_noise(
            children, edges, settings(noise_epsilon=1.0), stream(number), np.empty(256)
        )
        assert [move_of(child.edge) for child in children[1:]] == [0, 1]
        assert [child.edge for child in children[1:]] == edges[3:5].tolist()
        assert children[0].next_edge == edges[5] == edges[5:].max()


def test_a_proven_loss_stays_without_a_prior() -> None:
    children, edges = root_of([0.6, 0.4], visited=1)
    children[1].terminal, children[1].wl = END_OF_GAME, -1.0
    chance.add_noise(children, edges, settings(), stream(0), np.empty(256))
    assert prior_of(children[1].edge) < 1e-8


# --- temperature ---


def tree_with(visits: list[int], values: list[float] | None = None, priors=None):
    """A root all of whose moves have children, and its edges."""
    children, edges = root_of(priors or [1 / max(len(visits), 1)] * len(visits), len(visits))
    children["visits"][1:] = visits
    children["wl"][1:] = values or [0.0] * len(visits)
    return children, edges


def places(tree, temperature: float, draws: int, draw_score: float = 0.0, **chosen):
    children, edges = tree
    params, score = settings(**chosen), np.float32(draw_score)
    return [
        chance.place_by_chance(
            children, edges, params, temperature, score, stream(number, chance.MOVE)
        )
        for number in range(draws)
    ]


def drawn(tree, temperature: float, draws: int = 4000, **chosen):
    moves = int(tree[0][0].edges)
    return np.bincount(places(tree, temperature, draws, **chosen), minlength=moves)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 1.7])
def test_moves_are_drawn_by_visits_to_the_inverse_temperature(temperature: float) -> None:
    visits = [50, 20, 20, 9, 1]
    weights = np.array(visits) ** (1 / temperature)
    counts = drawn(tree_with([*visits, 0]), temperature)
    assert counts[-1] == 0
    expected = weights / weights.sum() * counts.sum()
    assert stats.chisquare(counts[:-1], expected).pvalue > SURELY


def test_moves_that_are_worse_by_more_than_the_cutoff_are_not_drawn() -> None:
    """10 % of winning chance are 0.2 in W - L; the most visited move is the measure."""
    children = tree_with([50, 40, 40, 40], [0.3, 0.11, 0.09, 0.9])
    counts = drawn(children, 1.0, draws=3000, temp_value_cutoff=10.0)
    assert counts[2] == 0
    share = np.array([50, 40, 40]) / 130
    assert stats.chisquare(counts[[0, 1, 3]], share * 3000).pvalue > SURELY


def test_a_temperature_near_zero_is_the_most_visited_move() -> None:
    assert drawn(tree_with([3, 700, 690]), 1e-4, draws=50)[1] == 50


def test_the_draw_score_counts_for_the_cutoff() -> None:
    """Of two even moves, the sure draw is worth 0.5 less where a draw is worth -0.5."""
    tree = tree_with([50, 40], [0.0, 0.0])
    tree[0]["d"][1:] = [0.0, 1.0]
    assert drawn(tree, 1.0, draws=200, temp_value_cutoff=20.0).all()
    counts = drawn(tree, 1.0, draws=200, draw_score=-0.5, temp_value_cutoff=20.0)
    assert counts.tolist() == [200, 0]


@pytest.mark.parametrize("offset", [-10.0, 5.0])
def test_the_offset_is_added_to_the_visits(offset: float) -> None:
    """Below 0 a move is not drawn; above, one without visits and without a child is."""
    children, edges = root_of([0.4, 0.3, 0.2, 0.1], visited=2)
    children["visits"][1:] = [30, 10]
    counts = drawn((children, edges), 1.0, temp_visit_offset=offset, fpu_value=0.0)
    weights = np.maximum(np.array([30, 10, 0, 0]) + offset, 0)
    possible = weights > 0
    assert (counts[~possible] == 0).all()
    expected = weights[possible] / weights.sum() * counts.sum()
    assert possible.sum() == 1 or stats.chisquare(counts[possible], expected).pvalue > SURELY


def test_a_move_without_visits_has_the_first_play_urgency_for_the_cutoff() -> None:
    children, edges = root_of([0.64, 0.36], visited=1)
    children["visits"][:2] = [11, 10]
    children["wl"][:2] = [-0.5, 0.5]  # the root's is seen from the other side
    chosen = {"temp_visit_offset": 10.0, "temp_value_cutoff": 20.0}
    # 0.5 - 0.3 * sqrt(0.64) = 0.26 is within 0.4 of 0.5; 0.5 - 0.6 * 0.8 = 0.02 is not.
    assert drawn((children, edges), 1.0, draws=200, fpu_value=0.3, **chosen).all()
    assert drawn((children, edges), 1.0, draws=200, fpu_value=0.6, **chosen)[1] == 0


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_where_no_move_has_visits_the_priors_are_drawn_from(temperature: float) -> None:
    priors = [0.5, 0.3, 0.2]
    counts = drawn(root_of(priors), temperature)
    weights = np.array(priors) ** (1 / temperature)
    assert stats.chisquare(counts, weights / weights.sum() * counts.sum()).pvalue > SURELY


def test_without_moves_nothing_is_drawn() -> None:
    assert places(tree_with([]), 1.0, 1) == [-1]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"temperature": 0.8}, {0: 0.8, 300: 0.8}),
        ({"temperature": 0.8, "tempdecay_moves": 4}, {0: 0.8, 1: 0.6, 3: 0.2, 4: 0.0, 9: 0.0}),
        (
            {"temperature": 0.8, "tempdecay_moves": 4, "tempdecay_delay_moves": 10},
            {9: 0.8, 10: 0.8, 11: 0.6, 13: 0.2, 14: 0.0},
        ),
        (
            {"temperature": 0.8, "tempdecay_moves": 4, "temp_endgame": 0.3},
            {0: 0.8, 2: 0.4, 3: 0.3, 50: 0.3},
        ),
        # The cut-off counts moves from 1: --temp-cutoff-move 5 is in force when four were made.
        ({"temperature": 0.8, "temp_cutoff_move": 5, "temp_endgame": 0.6}, {3: 0.8, 4: 0.6}),
        ({"temperature": 0.0, "tempdecay_moves": 4, "temp_endgame": 0.3}, {0: 0.0, 9: 0.0}),
        ({"temperature": 0.0, "temp_cutoff_move": 2, "temp_endgame": 0.3}, {0: 0.0, 1: 0.3}),
    ],
)
def test_the_schedule_is_lc0s(chosen: dict[str, float], expected: dict[int, float]) -> None:
    params = settings(**chosen)
    for moves, temperature in expected.items():
        assert chance.temperature_at(params, moves) == pytest.approx(temperature, abs=1e-6)
