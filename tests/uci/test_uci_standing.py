"""Positions of ``position``: long games, games that go on, and what is none."""

from __future__ import annotations

import random

import chess
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.uci.standing import StandingError, read_position, standing


def random_game(seed: int, plies: int, fen: str = chess.STARTING_FEN) -> list[str]:
    board, chance = chess.Board(fen), random.Random(seed)
    while board.ply() < plies and any(board.legal_moves):
        board.push(chance.choice(list(board.legal_moves)))
    return [move.uci() for move in board.move_stack]


@given(st.integers(0, 10**6), st.integers(0, 60), st.integers(0, 60))
def test_a_game_that_goes_on_is_the_game_from_its_beginning(seed: int, a: int, b: int) -> None:
    moves = random_game(seed, max(a, b))
    early = standing("startpos", moves[: min(a, b)])
    late = standing("startpos", moves, early)
    whole = standing("startpos", moves)
    assert np.array_equal(late.line, whole.line)
    assert np.array_equal(late.indices, whole.indices)
    assert early.leads_to(late)
    assert late.leads_to(early) == (len(early.moves) == len(late.moves))
    board = chess.Board()
    for move in moves:
        board.push_uci(move)
    assert sorted(late.legal()) == sorted(move.uci() for move in board.legal_moves)
    assert late.white == board.turn
    assert late.ply == board.ply()


def test_another_game_is_not_mixed_up_with_the_one_before() -> None:
    known = standing("startpos", ["e2e4", "e7e5", "g1f3"])
    other = standing("startpos", ["e2e4", "c7c5", "g1f3"], known)
    assert np.array_equal(other.line, standing("startpos", ["e2e4", "c7c5", "g1f3"]).line)
    assert not known.leads_to(other)
    fen = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 4 9"
    assert not known.leads_to(standing(fen, known.moves, known))


def test_a_game_of_2000_moves() -> None:
    shuffle = ["g1f3", "g8f6", "f3g1", "f6g8"] * 500
    at = read_position(["startpos", "moves", *shuffle])
    assert at.ply == 2000
    assert at.position.repetitions >= 2
    assert at.position.rule50 == 2000


def test_a_fen_may_lack_its_counters() -> None:
    words = ["fen", "4k3/8/4K3/4P3/8/8/8/8", "w", "-", "-", "moves", "e6d6", "e8d8"]
    assert read_position(words).moves == ("e6d6", "e8d8")


def test_castling_is_read_either_way() -> None:
    fen = "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1"
    king, rook = standing(fen, ["e1g1", "e8c8"]), standing(fen, ["e1h1", "e8a8"])
    assert np.array_equal(king.line, rook.line)
    assert king.leads_to(rook)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "fen",
        "startpos e2e4",
        "nowhere",
        "moves e2e4",
        "fen moves e2e4",
        "startpos moves e2e5",
        "startpos moves e2e4 e7e5 nonsense",
        "startpos moves e2e4 e2e4",
        "fen 8/8/8/8/8/8/8/8 w - - 0 1",
        "fen 4k3/8/8/8/8/8/8/4K2k w - - 0 1",
        "fen rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR x KQkq - 0 1",
        "fen rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP w KQkq - 0 1",
        "fen rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - a b",
        "fen " + "8/" * 1000,
    ],
)
def test_what_is_no_position_is_refused_in_one_line(words: str) -> None:
    with pytest.raises(StandingError) as refused:
        read_position(words.split())
    assert "\n" not in str(refused.value)
