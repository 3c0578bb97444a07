"""Moves as the kernel notes them are those of python-chess, word for word."""

from __future__ import annotations

import chess
import pytest
from replayed_games import random_pairs

from arena.report.notation import Notation

# What notation has rules for, each by a position and its moves.
RARE = {
    "a knight by its file": "4k3/8/8/8/8/8/8/N1K1N3 w - - 0 1",
    "a rook by its rank": "R7/4k3/8/8/8/8/2K5/R7 w - - 0 1",
    "queens by file and rank": "6k1/8/8/8/Q2Q4/8/8/Q2Q3K w - - 0 1",
    "three queens of black": "q2q3k/8/8/q7/8/8/8/6K1 b - - 0 1",
    "a rival that is pinned": "4k3/4r3/8/8/8/2N5/4N3/4K3 w - - 0 1",
    "en passant": "4k3/8/8/2pPp3/8/8/8/4K3 w - c6 0 1",
    "en passant by black, two ways": "4k3/8/8/8/2pPp3/8/8/4K3 b - d3 0 1",
    "promotion with capture, check and mate": "1n1nk3/P1P1P3/8/8/8/8/8/4K2R w K - 0 1",
    "castling with check": "5k2/8/8/8/8/8/8/R3K2R w KQ - 0 1",
    "castling of black": "r3k2r/8/8/8/8/8/8/3K4 b kq - 0 1",
    "discovered check": "4k3/8/8/8/4N3/8/4R3/4K3 w - - 0 1",
    "smothered mate": "6rk/6pp/8/6N1/8/8/8/6K1 w - - 0 1",
    "stalemate is no check": "7k/8/6K1/5Q2/8/8/8/8 w - - 0 1",
}


@pytest.mark.parametrize("fen", RARE.values(), ids=RARE)
def test_every_move_of_rare_positions(fen):
    notation, board = Notation(), chess.Board(fen)
    moves = [*board.legal_moves]
    assert moves
    for move in moves:
        assert notation.moves(board, [move.uci()]) == [board.san(move)]


def test_whole_games_of_random_moves():
    notation, seen = Notation(), 0
    for pair in random_pairs(60, seed=3):
        for game in pair.games:
            board = pair.opening.board()
            moves = (*pair.opening.moves, *game.moves)
            found = notation.moves(board, moves)
            assert found == [board.san_and_push(chess.Move.from_uci(move)) for move in moves]
            seen += len(moves)
    assert seen > 3000


def test_the_board_stays_and_no_moves_are_none():
    board = chess.Board()
    assert Notation().moves(board, []) == []
    assert Notation().moves(board, ["e2e4", "e7e5"]) == ["e4", "e5"]
    assert board == chess.Board()


@pytest.mark.parametrize("moves", [["e2e5"], ["e2e4", "e2e4"], ["e7e5"]])
def test_an_illegal_move_is_named(moves):
    with pytest.raises(ValueError, match=f"move {len(moves)} of a game, {moves[-1]}, is illegal"):
        Notation().moves(chess.Board(), moves)
