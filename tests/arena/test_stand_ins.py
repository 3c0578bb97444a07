"""What stands in for nets and is no net, as opponents."""

from __future__ import annotations

from collections.abc import Iterator

import chess
import pytest
from scipy.stats import chisquare

from arena.analyze import Analysis
from arena.config import SearchParams
from arena.game import GameTask, Opening
from arena.openings import default_book
from arena.referee import check_game
from arena.search import BatchedSearch, Player
from arena.stand_ins import HashEvaluator, MaterialEvaluator

ONE = SearchParams(visits=1)


def chosen(fen: str, *moves: str, seed: int = 0) -> str:
    player = Player("material", MaterialEvaluator(seed), ONE)
    return Analysis(player, [(fen, moves)]).search()[0].bestmove


@pytest.mark.parametrize(
    ("fen", "move"),
    [
        ("4k3/8/8/3q4/4P3/8/8/R3K2n w - - 0 1", "e4d5"),  # the queen, not the knight
        ("3qk2N/8/8/8/p7/3Q4/8/4K3 b - - 0 1", "d8d3"),  # as black
        ("6k1/5ppp/8/7q/6P1/8/8/R5K1 w - - 0 1", "a1a8"),  # mate before a queen
        ("8/P6k/8/8/8/8/8/4K3 w - - 0 1", "a7a8q"),
        ("1r5k/P7/8/8/8/8/8/4K3 w - - 0 1", "a7b8q"),  # a rook more than a queen only
        ("4k3/8/8/3pP3/8/8/8/4K3 w - d6 0 2", "e5d6"),  # en passant
    ],
)
def test_the_material_player_takes_most(fen: str, move: str) -> None:
    assert chess.Board(fen).is_legal(chess.Move.from_uci(move))
    for seed in range(5):
        assert chosen(fen, seed=seed) == move


def test_between_equals_it_chooses_by_chance() -> None:
    moves = {chosen(chess.STARTING_FEN, seed=seed) for seed in range(60)}
    assert len(moves) > 12


def test_the_hash_evaluator_at_one_visit_is_a_random_mover() -> None:
    counts = dict.fromkeys((move.uci() for move in chess.Board().legal_moves), 0)
    for seed in range(400):
        player = Player("random", HashEvaluator(seed), ONE)
        counts[Analysis(player, [("startpos", ())]).search()[0].bestmove] += 1
    assert chisquare(list(counts.values())).pvalue > 1e-4


def test_material_beats_chance() -> None:
    players = [
        Player("random", HashEvaluator(1), ONE),
        Player("material", MaterialEvaluator(1), ONE),
    ]
    book = default_book()

    def tasks() -> Iterator[GameTask]:
        for pair in range(10):
            opening: Opening = book.opening(31 * pair)
            yield GameTask(pair, True, opening, white=1, black=0)
            yield GameTask(pair, False, opening, white=0, black=1)

    points = 0.0
    for task, record in BatchedSearch(players, 20, 1).play([tasks()]):
        check_game(task.opening, record)
        points += record.candidate_points
    assert points >= 14  # of 20
