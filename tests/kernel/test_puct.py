"""The parts of PUCT against their definitions; test_golden_search holds the whole against lc0."""

from __future__ import annotations

import math

import chess
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_nets import WhiteWins

from arena.analyze import Analysis
from arena.boards import policy_index, position_of
from arena.config import SearchParams
from arena.evaluator import Evaluation, Leaves
from arena.kernel import puct, tree
from arena.search import Player
from arena.stand_ins import HashEvaluator, UniformEvaluator
from swa import planes


@given(st.floats(-80.0, 0.0, width=32))
def test_the_fast_exponential_is_within_lc0s_bound(x: float) -> None:
    assert float(puct.fast_exp(np.float32(x))) == pytest.approx(math.exp(x), rel=3e-3)


@given(st.floats(1.0, 1e6, width=32))
def test_the_fast_logarithm_is_within_lc0s_bound(x: float) -> None:
    assert float(puct.fast_log(np.array([x]))[0]) == pytest.approx(math.log(x), abs=7e-3)


def test_exploration_is_cpuct_times_the_root_of_the_childrens_visits() -> None:
    table = puct.exploration_table(1.745, 38739.0, 3.894, 900)
    assert len(table) == 901
    for visits in (1, 2, 100, 900):
        cpuct = 1.745 + 3.894 * math.log((visits + 38739) / 38739)
        assert table[visits] == pytest.approx(cpuct * math.sqrt(max(visits - 1, 1)), rel=1e-2)


def search(fen: str, visits: int, evaluator=None, moves=(), **params):
    player = Player("x", evaluator or UniformEvaluator(), SearchParams(visits=visits, **params))
    return Analysis(player, [(fen, list(moves))]).search()[0]


def test_a_mate_in_one_is_found_and_proven() -> None:
    result = search("6k1/5ppp/8/8/8/8/5PPP/R5K1 w - - 0 1", 60)
    assert result.bestmove == "a1a8"
    best = next(child for child in result.children if child.move == "a1a8")
    assert best.q == 1.0


def test_a_forced_mate_propagates_through_sticky_endgames() -> None:
    """King and rook mate in two: every reply loses, so the first move is a proven win."""
    fen = "7k/8/5K2/8/8/8/8/R7 w - - 0 1"
    found = search(fen, 3000)
    best = next(child for child in found.children if child.move == found.bestmove)
    assert best.q == 1.0
    board = chess.Board(fen)
    board.push_uci(found.bestmove)
    assert all(has_mate_in_one(board, reply) for reply in list(board.legal_moves))
    loose = search(fen, 3000, sticky_endgames=False)
    best = next(child for child in loose.children if child.move == loose.bestmove)
    assert best.q is not None
    assert best.q < 1.0


def has_mate_in_one(board: chess.Board, reply: chess.Move) -> bool:
    board.push(reply)
    mates = False
    for move in list(board.legal_moves):
        board.push(move)
        mates = mates or board.is_checkmate()
        board.pop()
    board.pop()
    return mates


def test_a_proven_loss_is_not_played_while_anything_else_is_left() -> None:
    """A net that puts almost all its policy on the move that allows a mate in one."""
    fen = "6k1/5ppp/8/8/8/r7/5PPP/6K1 w - - 0 1"
    board = chess.Board(fen)
    blunder = policy_index(position_of(board), "g1h1")

    class Blunderer(HashEvaluator):
        def evaluate(self, leaves: Leaves) -> Evaluation:
            white_moves = leaves.masks[:, planes.BLACK_TO_MOVE] == 0
            by_white = np.repeat(white_moves, np.diff(leaves.offsets))
            blunders = by_white & (leaves.moves == blunder)
            logits = np.where(blunders, np.float32(8), np.float32(0))
            return super().evaluate(leaves)._replace(logits=logits)

    assert search(fen, 1, Blunderer()).bestmove == "g1h1"
    result = search(fen, 300, Blunderer())
    lost = next(child for child in result.children if child.move == "g1h1")
    assert lost.q == -1.0
    assert result.bestmove != "g1h1"


def test_a_repetition_inside_the_searched_line_is_a_draw_only_if_asked() -> None:
    """White wins everywhere: only a draw by repetition pulls a value down."""
    winning = WhiteWins(0.5, 0.5)
    fen = "k7/8/8/8/8/8/8/K6R w - - 0 1"
    lost = [
        search(fen, 400, winning, two_fold_draws=two_fold, sticky_endgames=False)
        for two_fold in (True, False)
    ]
    assert lost[0] != lost[1]


@pytest.mark.parametrize("terminal_draws", [True, False])
def test_values_stay_in_bounds_and_visits_add_up(terminal_draws: bool) -> None:
    for seed in range(6):
        result = search(
            "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1",
            500,
            HashEvaluator(seed),
            two_fold_draws=terminal_draws,
        )
        assert result.visits == 500
        assert sum(child.visits for child in result.children) == 499
        assert all(child.q is None or -1 <= child.q <= 1 for child in result.children)
        assert sum(child.prior for child in result.children) == pytest.approx(1.0, abs=2e-3)


def test_moves_left_shorten_a_win_only_beyond_the_threshold() -> None:
    fen = "8/8/8/4k3/8/8/4P3/4K3 w - - 0 1"
    sure = WhiteWins(0.95, 0.05, has_moves_left=True)
    assert search(fen, 200, sure) != search(fen, 200, sure, moves_left_max_effect=0.0)
    unsure = WhiteWins(0.6, 0.3, has_moves_left=True)
    assert search(fen, 200, unsure) == search(fen, 200, unsure, moves_left_max_effect=0.0)


def child_record(**fields: float):
    record = np.zeros(1, tree.CHILD)[0]
    tree.start_child(record, tree.pack_edge(np.float32(0.5), 1))
    for name, value in fields.items():
        setattr(record, name, value)
    return record


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"visits": 1, "wl": 1.0, "terminal": tree.END_OF_GAME, "m": 9}, {"visits": 50, "wl": 0.9}),
        (
            {"visits": 1, "wl": 1.0, "terminal": tree.END_OF_GAME, "m": 3},
            {"visits": 5, "wl": 1.0, "terminal": tree.END_OF_GAME, "m": 5},
        ),
        (
            {"visits": 1, "wl": 1.0, "terminal": tree.END_OF_GAME, "m": 9},
            {"visits": 5, "wl": 1.0, "terminal": tree.TABLEBASE, "m": 5},
        ),
        ({"visits": 1, "wl": -0.5}, {"visits": 9, "wl": -1.0, "terminal": tree.END_OF_GAME}),
        (
            {"visits": 1, "wl": -1.0, "terminal": tree.END_OF_GAME, "m": 8},
            {"visits": 9, "wl": -1.0, "terminal": tree.END_OF_GAME, "m": 4},
        ),
        ({"visits": 10, "wl": -0.5}, {"visits": 9, "wl": 0.5}),
        ({"visits": 9, "wl": 0.5}, {"visits": 9, "wl": 0.4}),
        ({"visits": 9, "wl": 0.1}, {"visits": 2, "wl": 0.0, "terminal": tree.END_OF_GAME}),
    ],
)
def test_the_better_move_by_lc0s_order(better: dict[str, float], worse: dict[str, float]) -> None:
    one, other = child_record(**better), child_record(**worse)
    even = np.float32(0.0)
    assert puct._preferred(one, other, even)
    assert not puct._preferred(other, one, even)


def test_of_two_moves_with_the_same_visits_a_draw_counts_by_its_score() -> None:
    drawish = child_record(visits=9, wl=0.0, d=1.0)
    sharp = child_record(visits=9, wl=0.1, d=0.2)
    assert puct._preferred(sharp, drawish, np.float32(0.0))
    assert puct._preferred(drawish, sharp, np.float32(0.2))
