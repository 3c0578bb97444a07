"""What crosses the rim between python-chess and the kernel, and what is refused there."""

from __future__ import annotations

import chess
import numpy as np
import pytest

from arena.boards import (
    MoveError,
    PositionError,
    is_standard_start,
    legal_uci,
    line_from_game,
    policy_index,
    position_of,
    uci,
)
from arena.kernel.bitboard import NO_SQUARE
from swa.policy_map import MOVES

CASTLING = "r3k2r/8/8/8/8/8/8/R3K2R {} KQkq - 0 1"


@pytest.mark.parametrize("side", ["w", "b"])
def test_castling_is_king_takes_rook_inside_and_a_king_move_outside(side: str) -> None:
    position = position_of(chess.Board(CASTLING.format(side)))
    rank = "1" if side == "w" else "8"
    assert policy_index(position, f"e{rank}g{rank}") == MOVES.index("e1h1")
    assert policy_index(position, f"e{rank}h{rank}") == MOVES.index("e1h1")
    assert policy_index(position, f"e{rank}c{rank}") == MOVES.index("e1a1")
    assert uci(position, MOVES.index("e1h1")) == f"e{rank}g{rank}"
    assert uci(position, MOVES.index("e1a1")) == f"e{rank}c{rank}"


def test_a_rook_or_queen_between_the_same_squares_does_not_castle() -> None:
    position = position_of(chess.Board("3k4/8/8/8/8/8/8/K3R3 w - - 0 1"))
    assert uci(position, policy_index(position, "e1g1")) == "e1g1"
    assert policy_index(position, "e1g1") == MOVES.index("e1g1")


def test_promotions_of_both_sides() -> None:
    white = position_of(chess.Board("1n2k3/P7/8/8/8/8/8/4K3 w - - 0 1"))
    assert policy_index(white, "a7a8q") == MOVES.index("a7a8q")
    assert policy_index(white, "a7b8n") == MOVES.index("a7b8")
    assert uci(white, MOVES.index("a7b8")) == "a7b8n"
    assert uci(white, MOVES.index("a7b8r")) == "a7b8r"
    black = position_of(chess.Board("4k3/8/8/8/8/8/p7/4K3 b - - 0 1"))
    assert policy_index(black, "a2a1b") == MOVES.index("a7a8b")
    assert uci(black, MOVES.index("a7a8")) == "a2a1n"


def test_a_knight_that_reaches_the_last_rank_does_not_promote() -> None:
    position = position_of(chess.Board("4k3/8/1N6/8/8/8/8/4K3 w - - 0 1"))
    assert uci(position, policy_index(position, "b6a8")) == "b6a8"


def test_every_legal_move_there_and_back() -> None:
    board = chess.Board("r2q1rk1/pP1p2pp/Q4n2/bbp1p3/Np6/1B3NBn/pPPP1PPP/R3K2R b KQ - 0 1")
    position = position_of(board)
    moves = legal_uci(position)
    assert sorted(moves) == sorted(move.uci() for move in board.legal_moves)
    for move in moves:
        assert uci(position, policy_index(position, move)) == move
        assert policy_index(position, chess.Move.from_uci(move)) == policy_index(position, move)


@pytest.mark.parametrize("move", ["e2e5", "e7e5", "e2e4q", "e1g1", "a1a1", "0000", "d1d8"])
def test_illegal_moves_are_named(move: str) -> None:
    with pytest.raises(MoveError, match=move):
        policy_index(position_of(chess.Board()), move)


@pytest.mark.parametrize("text", ["", "e4", "e2e4x", "Nf3"])
def test_text_that_is_no_move(text: str) -> None:
    with pytest.raises(MoveError, match="not a move"):
        policy_index(position_of(chess.Board()), text)


@pytest.mark.parametrize("move", ["a7a8", "a7a8k"])
def test_promotions_that_do_not_exist(move: str) -> None:
    with pytest.raises(MoveError):
        policy_index(position_of(chess.Board("4k3/P7/8/8/8/8/8/4K3 w - - 0 1")), move)


@pytest.mark.parametrize(
    ("fen", "fault"),
    [
        ("8/8/8/8/8/8/8/8 w - - 0 1", "empty"),
        ("8/8/8/8/8/8/8/4K3 w - - 0 1", "no black king"),
        ("4k3/8/8/8/8/8/8/KK6 w - - 0 1", "too many kings"),
        ("4k2P/8/8/8/8/8/8/4K3 w - - 0 1", "pawns on backrank"),
        ("4k3/4R3/8/8/8/8/8/4K3 w - - 0 1", "opposite check"),
        ("4k3/8/8/8/8/8/8/4K3 w KQ - 0 1", "bad castling rights"),
        ("4k3/8/8/8/8/8/8/4K3 w - e6 0 1", "invalid ep square"),
        ("4k3/QQQQQ3/QQQQQ3/8/8/8/8/4K3 b - - 0 1", "more promoted pieces"),
    ],
)
def test_positions_that_are_refused(fen: str, fault: str) -> None:
    with pytest.raises(PositionError, match=fault) as caught:
        position_of(chess.Board(fen))
    assert len(str(caught.value).splitlines()) <= 3


def test_fen_ep_square_is_taken_as_given() -> None:
    pushed = "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq e3 0 1"
    assert position_of(chess.Board(pushed)).ep == chess.E6
    assert line_from_game(chess.Board(), ["e2e4"], 2).positions["ep"][1] == NO_SQUARE


def test_fill_is_off_only_at_the_standard_start() -> None:
    assert is_standard_start(chess.Board())
    counted = chess.Board("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 7 5")
    assert line_from_game(counted, [], 1).fill == 0
    for fen in (
        "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR b KQkq - 0 1",
        "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQk - 0 1",
        "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1",
    ):
        assert not is_standard_start(chess.Board(fen))
        assert line_from_game(chess.Board(fen), [], 1).fill == 1


def test_line_has_the_capacity_asked_for() -> None:
    game = line_from_game(chess.Board(), ["e2e4", chess.Move.from_uci("e7e5")], 8)
    assert game.positions.shape == (8,)
    assert game.last == 2
    assert np.array_equal(game.positions["black"][:3], [0, 1, 0])
    with pytest.raises(ValueError, match="need 3 positions"):
        line_from_game(chess.Board(), ["e2e4", "e7e5"], 2)
