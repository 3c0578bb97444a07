"""The root's own rules against their definitions: smart pruning, draw score, first-play urgency."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.analyze import Analysis
from arena.config import SearchParams
from arena.kernel import root as at_root
from arena.kernel.puct import select_child
from arena.kernel.tree import CHILD, END_OF_GAME, TABLEBASE, move_of, pack_edge, prior_of
from arena.search import Player, SearchSettings
from arena.stand_ins import HashEvaluator, UniformEvaluator

NO_SCORE = np.float32(0.0)


def settings(**chosen):
    player = Player("x", UniformEvaluator(), SearchParams(**chosen))
    return SearchSettings.of([player])


def tree_of(moves: list[dict[str, float]], edges: int | None = None):
    """A root whose visited moves are these; its other edges have no child yet."""
    children = np.zeros(1 + len(moves), CHILD)
    root = children[0]
    root.first_child, root.children = 1, len(moves)
    root.edges = edges or len(moves)
    root.visits = 1 + sum(move["visits"] for move in moves)
    for index, move in enumerate(moves):
        child = children[1 + index]
        child.edge = pack_edge(np.float32(move.get("prior", 0.1)), index)
        for name, value in move.items():
            if name != "prior":
                setattr(child, name, value)
    if root.edges > len(moves):
        root.next_edge = pack_edge(np.float32(0.05), len(moves))
    return children


def is_settled(moves: list[dict[str, float]], edges: int | None = None, **chosen) -> bool:
    params = settings(smart_pruning_factor=1.0, **chosen).params[0]
    return bool(at_root.is_settled(tree_of(moves, edges), params, NO_SCORE))


# --- smart pruning: when lc0's SmartPruningStopper stops ---

LOST = {"visits": 1, "wl": -1.0, "terminal": END_OF_GAME}


def test_the_only_move_needs_no_search() -> None:
    assert is_settled([{"visits": 1, "wl": 0.1}])
    assert not is_settled([{"visits": 1, "wl": 0.1}], edges=2)


@pytest.mark.parametrize("kind", [END_OF_GAME, TABLEBASE])
def test_a_win_that_was_found_ends_the_search(kind: int) -> None:
    win = {"visits": 1, "wl": 1.0, "terminal": kind}
    assert is_settled([{"visits": 5, "wl": 0.9}, win], edges=9)
    assert not is_settled([{"visits": 5, "wl": 0.9}, win | {"wl": 0.0}], edges=9)


def test_where_all_moves_but_one_lose_that_one_is_played() -> None:
    assert is_settled([LOST, {"visits": 2, "wl": -0.9}])
    assert not is_settled([LOST, {"visits": 2, "wl": -0.9}], edges=3)


def test_a_game_that_may_be_resigned_is_searched_on() -> None:
    assert not is_settled([LOST, {"visits": 2, "wl": -0.99}])
    assert is_settled([LOST, LOST])


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.33, 4.0])
@pytest.mark.parametrize("leader", [2, 20, 40, 60, 80])
def test_the_search_ends_when_the_visits_left_cannot_change_the_order(
    factor: float, leader: int
) -> None:
    others = [{"visits": 10, "wl": 0.0}, {"visits": 4, "wl": 0.0}]
    children = tree_of([*others, {"visits": leader, "wl": 0.0}], edges=20)
    params = settings(visits=100, smart_pruning_factor=factor).params[0]
    most, second = sorted([10, 4, leader])[:0:-1]
    left = 100 - (1 + 14 + leader)
    settled = left / np.float64(np.float32(factor)) < most - second
    assert at_root.is_settled(children, params, NO_SCORE) == settled


def root_search(fen: str, evaluator=None, **params):
    player = Player("x", evaluator or HashEvaluator(5), SearchParams(**params))
    return Analysis(player, [(fen, [])]).search()[0]


POSITIONS = [
    "startpos",
    "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1",
    "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 b - - 0 1",
]


@pytest.mark.parametrize("fen", POSITIONS)
@pytest.mark.parametrize("factor", [0.7, 1.0, 1.33, 3.0])
def test_a_search_that_ends_early_is_settled_and_not_a_visit_before(
    fen: str, factor: float
) -> None:
    visits = 300
    result = root_search(fen, visits=visits, smart_pruning_factor=factor)
    assert sum(child.visits for child in result.children) == result.visits - 1
    if result.visits == visits:
        return
    most, second, *_ = sorted((child.visits for child in result.children), reverse=True)
    assert result.children[0].move == result.bestmove
    assert (visits - result.visits) / factor < most - second + 1e-6
    # One visit fewer, of whichever move, left the question open.
    assert (visits - result.visits + 1) / factor >= most - 1 - second - 1e-6


def test_pruning_saves_visits_and_keeps_a_clear_best_move() -> None:
    fen = "6k1/5ppp/8/8/8/8/5PPP/R5K1 w - - 0 1"
    whole = root_search(fen, UniformEvaluator(), visits=400)
    pruned = root_search(fen, UniformEvaluator(), visits=400, smart_pruning_factor=1.33)
    assert pruned.bestmove == whole.bestmove == "a1a8"
    assert pruned.visits < 100 < whole.visits == 400


@pytest.mark.parametrize("fen", POSITIONS)
@pytest.mark.parametrize(
    "same",
    [
        {"smart_pruning_factor": 1e-6},  # more visits are left than any lead
        {"root_has_own_cpuct_params": True},
        {"fpu_strategy_at_root": "reduction", "fpu_value_at_root": 0.33},
        {"draw_score": -0.0},
    ],
)
def test_rules_of_the_roots_own_that_are_the_usual_ones_change_nothing(
    fen: str, same: dict[str, float]
) -> None:
    assert root_search(fen, visits=200, **same) == root_search(fen, visits=200)


# --- selection, against the formula in float32 ---

moves = st.builds(
    dict,
    visits=st.integers(1, 60),
    wl=st.floats(-1, 1, width=32),
    d=st.floats(0, 1, width=32),
    prior=st.floats(0.015625, 0.125, width=32),
)


def expected_place(children, chosen: SearchParams, rates: np.ndarray, score: np.float32) -> int:
    """lc0's rule, word for word: Q + U of each move, those out of reach left out."""
    root = children[0]
    own = chosen.fpu_strategy_at_root != "same"
    strategy = chosen.fpu_strategy_at_root if own else chosen.fpu_strategy
    value = np.float32(chosen.fpu_value_at_root if own else chosen.fpu_value)
    policy = np.float32(0)
    for child in children[1:]:
        policy += np.float32(prior_of(child.edge))
    if strategy == "reduction":
        own_value = -np.float32(root.wl - np.float64(score * root.d))
        value = own_value - value * np.sqrt(policy)
    counts = [int(child.visits) for child in children[1:]]
    left = math.inf
    if chosen.smart_pruning_factor > 0:
        left = max(chosen.visits - int(root.visits), 1) / chosen.smart_pruning_factor
        left = max(int(left), 1)
    best, best_score = -1, -np.inf
    for place, child in enumerate(children[1:]):
        q = np.float32(child.wl + np.float64(score * child.d))
        u = np.float32(prior_of(child.edge)) * rates[root.visits] / np.float32(1 + child.visits)
        if left >= max(counts) - child.visits and u + q > best_score:
            best, best_score = place, u + q
    if root.next_edge and left >= max(counts):
        u = np.float32(prior_of(root.next_edge)) * rates[root.visits]
        if u + value > best_score:
            best = len(counts)
    return best


@given(
    st.lists(moves, min_size=1, max_size=6),
    st.floats(-1, 1, width=32),
    st.floats(0, 1, width=32),
    st.booleans(),
    st.floats(-1, 1, width=32),
    st.sampled_from([0.0, 0.75, 1.25]),
    st.sampled_from(["same", "reduction", "absolute"]),
    st.sampled_from(["reduction", "absolute"]),
)
def test_the_roots_next_move_is_by_lc0s_formula(
    visited, wl, d, more, draw_score, factor, at_the_root, below
) -> None:
    # Priors of different size: between equal scores the earlier edge wins, here and there.
    children = tree_of(visited, len(visited) + more)
    children[0].wl, children[0].d = wl, d
    own = {} if at_the_root == "same" else {"fpu_value_at_root": 0.25}
    chosen = SearchParams(
        visits=400,
        draw_score=draw_score,
        smart_pruning_factor=factor,
        fpu_strategy=below,
        fpu_strategy_at_root=at_the_root,
        root_has_own_cpuct_params=True,
        cpuct_at_root=2.5,
        **own,
    )
    packed = SearchSettings.of([Player("x", UniformEvaluator(), chosen)])
    params, rates = packed.params[0], packed.exploration[0]
    score = np.float32(-draw_score)
    place = at_root.select_at_root(children, params, rates[1], score)
    assert place == expected_place(children, chosen, rates[1], score)
    usual = SearchParams(visits=400, draw_score=draw_score, fpu_strategy=below)
    place = select_child(children[0], children, params, rates[0], score)
    assert place == expected_place(children, usual, rates[0], score)


def test_the_roots_exploration_is_its_own_and_nobody_elses() -> None:
    plain = settings(visits=50)
    own = settings(visits=50, root_has_own_cpuct_params=True, cpuct_at_root=0.0)
    assert (own.exploration[0, 0] == plain.exploration[0, 0]).all()
    assert (own.exploration[0, 1] < plain.exploration[0, 1] - 1.7).all()
    greedy = root_search(
        "startpos",
        UniformEvaluator(),
        visits=50,
        root_has_own_cpuct_params=True,
        cpuct_at_root=0.0,
        cpuct_factor_at_root=0.0,
    )
    assert [child.visits for child in greedy.children] == [49] + 19 * [0]


def test_an_absolute_first_play_urgency_of_1_visits_every_move_of_the_root_first() -> None:
    fen = POSITIONS[1]
    wide = root_search(fen, visits=49, fpu_strategy_at_root="absolute", fpu_value_at_root=1.0)
    assert [child.visits for child in wide.children] == 48 * [1]
    narrow = root_search(fen, visits=49)
    assert max(child.visits for child in narrow.children) > 1


# --- the value-only mode's root ---


def test_the_roots_value_is_its_best_moves() -> None:
    children = tree_of(
        [{"visits": 1, "wl": -0.5, "d": 0.1}, {"visits": 1, "wl": 0.25, "d": 0.5, "m": 7.0}]
    )
    at_root.take_best_value(children, NO_SCORE)
    assert (children[0].wl, children[0].d, children[0].m) == (-0.25, 0.5, 8.0)
    assert move_of(children[2].edge) == 1
