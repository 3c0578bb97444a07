"""Attack tables and CPU instructions against python-chess and plain integers."""

from __future__ import annotations

import random
from typing import Any

import chess
import numpy as np
import pytest

from arena.kernel import bitboard
from swa.jit import kernel

WORDS = [0, 1, 1 << 63, (1 << 64) - 1, 0x8100_0000_0000_0081, 0x00FF_0000_1234_5678]


@pytest.mark.parametrize("name", ["trailing_zeros", "leading_zeros", "popcount", "flip"])
def test_instruction_equals_its_plain_form(name: str) -> None:
    plain = getattr(bitboard, name)

    @kernel
    def compiled(word: np.uint64) -> Any:
        return plain(word)

    for word in map(np.uint64, WORDS):
        assert compiled(word) == plain(word)


def test_leaper_tables() -> None:
    for square in chess.SQUARES:
        assert bitboard.KNIGHT_ATTACKS[square] == chess.BB_KNIGHT_ATTACKS[square]
        assert bitboard.KING_ATTACKS[square] == chess.BB_KING_ATTACKS[square]
        assert bitboard.PAWN_ATTACKS[square] == chess.BB_PAWN_ATTACKS[chess.WHITE][square]


def test_between_and_through() -> None:
    for one in chess.SQUARES:
        for other in chess.SQUARES:
            assert bitboard.BETWEEN[one, other] == chess.between(one, other)
            assert bitboard.THROUGH[one, other] == chess.ray(one, other)


def test_sliders_on_random_boards() -> None:
    source = random.Random(5)
    board = chess.Board.empty()
    for _ in range(300):
        occupied = source.getrandbits(64) & source.getrandbits(64)
        square = source.randrange(64)
        board.occupied = occupied
        word = np.uint64(occupied)
        rook = chess.BB_RANK_ATTACKS[square][chess.BB_RANK_MASKS[square] & occupied]
        rook |= chess.BB_FILE_ATTACKS[square][chess.BB_FILE_MASKS[square] & occupied]
        assert bitboard.straight_attacks(square, word) == rook
        bishop = chess.BB_DIAG_ATTACKS[square][chess.BB_DIAG_MASKS[square] & occupied]
        assert bitboard.diagonal_attacks(square, word) == bishop


def test_attacks_of_sets() -> None:
    source = random.Random(6)
    for _ in range(50):
        pieces = source.getrandbits(64) & source.getrandbits(64) & source.getrandbits(64)
        knights = pawns = 0
        for square in chess.scan_forward(pieces):
            knights |= chess.BB_KNIGHT_ATTACKS[square]
            pawns |= chess.BB_PAWN_ATTACKS[chess.BLACK][square]
        assert bitboard.knights_attacks(np.uint64(pieces)) == knights
        assert bitboard.their_pawns_attacks(np.uint64(pieces)) == pawns
