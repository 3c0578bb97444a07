"""Sets of squares as 64-bit words, and where each piece attacks.

Bit ``rank * 8 + file`` is a square, a1 = 0, h8 = 63. numba turns ``uint64 - int`` into a float and
``uint64 << int`` into a signed number, so every constant here is a ``np.uint64`` and squares become
words only by ``bit``.

Sliding pieces use the obstruction difference (chessprogramming.org/Obstruction_Difference): 4 KB of
tables, no instruction that a CPU might lack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from swa.jit import compile_as, inline

Words = npt.NDArray[np.uint64]

NO_SQUARE = 64
EMPTY = np.uint64(0)
FULL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
ONE = np.uint64(1)
FILE_A = np.uint64(0x0101_0101_0101_0101)
FILE_H = np.uint64(0x8080_8080_8080_8080)
LIGHT_SQUARES = np.uint64(0x55AA_55AA_55AA_55AA)
RANK_1 = np.uint64(0xFF)
RANK_8 = np.uint64(0xFF00_0000_0000_0000)

signed = cast(Callable[[Any], int], np.int64)
"""A field of a record or an entry of a table as a signed number to reckon with: a square, a count.
``int`` would keep the field's unsigned type in compiled code. Constants that are passed on are
``signed``, too: numba compiles a function anew for each plain integer that it is called with."""

_ORTHOGONAL = ((0, 1), (1, 0), (0, -1), (-1, 0))
_OBLIQUE = ((1, 1), (1, -1), (-1, -1), (-1, 1))
_KNIGHT = ((1, 2), (2, 1), (2, -1), (1, -2), (-1, -2), (-2, -1), (-2, 1), (-1, 2))

_ASCENDING = ((0, 1), (1, 0), (1, 1), (-1, 1))
"""The steps (file, rank) that lead to higher squares, one for each line through a square."""
_FILE, _RANK, _RISING, _FALLING = range(4)


def trailing_zeros(word: np.uint64) -> int:
    """The lowest square of a set, 64 if it is empty."""
    value = int(word)
    return (value & -value).bit_length() - 1 if value else NO_SQUARE


def leading_zeros(word: np.uint64) -> int:
    """63 minus the highest square of a set, 64 if it is empty."""
    return 64 - int(word).bit_length()


def popcount(word: np.uint64) -> int:
    """The number of squares in a set."""
    return int(word).bit_count()


def flip(word: np.uint64) -> np.uint64:
    """The set as seen from the other side of the board: rank 1 <-> rank 8."""
    return np.uint64(int.from_bytes(int(word).to_bytes(8, "little"), "big"))


_ZERO_IS_64 = ir.Constant(ir.IntType(1), 0)
compile_as(
    trailing_zeros,
    (types.uint64,),
    types.int64,
    lambda builder, word: builder.cttz(word, _ZERO_IS_64),
)
compile_as(
    leading_zeros,
    (types.uint64,),
    types.int64,
    lambda builder, word: builder.ctlz(word, _ZERO_IS_64),
)
compile_as(popcount, (types.uint64,), types.int64, lambda builder, word: builder.ctpop(word))
compile_as(flip, (types.uint64,), types.uint64, lambda builder, word: builder.bswap(word))


def _ray(square: int, files: int, ranks: int, longest: int = 7) -> int:
    """The squares in one direction, as far as the edge or ``longest`` steps."""
    word = 0
    for steps in range(1, longest + 1):
        file, rank = square % 8 + files * steps, square // 8 + ranks * steps
        if not (0 <= file < 8 and 0 <= rank < 8):
            break
        word |= 1 << (rank * 8 + file)
    return word


def _steps(*directions: tuple[int, int]) -> Words:
    """For each square, the squares one step away: uint64[64]."""
    table = np.zeros(64, np.uint64)
    for square in range(64):
        table[square] = sum(_ray(square, files, ranks, 1) for files, ranks in directions)
    return table


def _below_and_above() -> tuple[Words, Words]:
    """uint64[64, 4] each: of every line through a square, the part below and above it."""
    below, above = np.zeros((64, 4), np.uint64), np.zeros((64, 4), np.uint64)
    for square in range(64):
        for line, (files, ranks) in enumerate(_ASCENDING):
            below[square, line] = _ray(square, -files, -ranks)
            above[square, line] = _ray(square, files, ranks)
    return below, above


def _between_and_through() -> tuple[Words, Words]:
    """uint64[64, 64] each, empty for squares that share no line."""
    between, through = np.zeros((64, 64), np.uint64), np.zeros((64, 64), np.uint64)
    for square in range(64):
        for files, ranks in _ORTHOGONAL + _OBLIQUE:
            whole = 1 << square | _ray(square, files, ranks) | _ray(square, -files, -ranks)
            passed, other = 0, _ray(square, files, ranks, 1)
            for steps in range(2, 9):
                if not other:
                    break
                between[square, other.bit_length() - 1] = passed
                through[square, other.bit_length() - 1] = whole
                passed |= other
                other = _ray(square, files, ranks, steps) & ~passed
    return between, through


KNIGHT_ATTACKS = _steps(*_KNIGHT)
KING_ATTACKS = _steps(*_ORTHOGONAL, *_OBLIQUE)
PAWN_ATTACKS = _steps((-1, 1), (1, 1))
"""Of the mover's pawns, which go up. Their pawns on these squares attack the square, too."""

_BELOW, _ABOVE = _below_and_above()
BETWEEN, THROUGH = _between_and_through()
"""The squares strictly between two squares; the whole line through both, edge to edge."""


@inline
def bit(square: int) -> np.uint64:
    """The set of one square."""
    return ONE << np.uint64(square)


@inline
def _line_attacks(below: np.uint64, above: np.uint64, occupied: np.uint64) -> np.uint64:
    """Along one line both ways, up to and including the first occupied squares."""
    upper = above & occupied
    first_above = upper & (EMPTY - upper)
    from_first_below = FULL << np.uint64(63 - leading_zeros((below & occupied) | ONE))
    return (below | above) & (first_above + first_above + from_first_below)


@inline
def straight_attacks(square: int, occupied: np.uint64) -> np.uint64:
    """Where a rook on ``square`` attacks."""
    return _line_attacks(_BELOW[square, _FILE], _ABOVE[square, _FILE], occupied) | _line_attacks(
        _BELOW[square, _RANK], _ABOVE[square, _RANK], occupied
    )


@inline
def diagonal_attacks(square: int, occupied: np.uint64) -> np.uint64:
    """Where a bishop on ``square`` attacks."""
    return _line_attacks(
        _BELOW[square, _RISING], _ABOVE[square, _RISING], occupied
    ) | _line_attacks(_BELOW[square, _FALLING], _ABOVE[square, _FALLING], occupied)


@inline
def knights_attacks(knights: np.uint64) -> np.uint64:
    """Where any of a set of knights attacks."""
    one_left = (knights & ~FILE_A) >> np.uint64(1)
    one_right = (knights & ~FILE_H) << np.uint64(1)
    two_left = (one_left & ~FILE_A) >> np.uint64(1)
    two_right = (one_right & ~FILE_H) << np.uint64(1)
    one, two = one_left | one_right, two_left | two_right
    return one << np.uint64(16) | one >> np.uint64(16) | two << np.uint64(8) | two >> np.uint64(8)


@inline
def their_pawns_attacks(pawns: np.uint64) -> np.uint64:
    """Where any of a set of the opponent's pawns, which go down, attacks."""
    return (pawns & ~FILE_A) >> np.uint64(9) | (pawns & ~FILE_H) >> np.uint64(7)
