"""The 1858 moves of a policy: their order, and where each head keeps them.

A net knows no other moves than these, always seen from the mover (black's board is flipped), so
the whole project uses the index in this order as its move. Two things are not as in UCI: castling
is the king taking its own rook (``e1h1``), and a promotion to a knight is the plain move.

Order: lc0 ``kMoveStrs`` (src/neural/encoder.cc), lczero-training ``tf/policy_index.py``; planes of
the convolution head: lczero-training ``tf/lc0_az_policy_map.py``. All tables are made here from
their rules. Squares are ``rank * 8 + file`` with a1 = 0.

Canonical input formats turn the board before a net sees it, and its moves with it:
``TRANSFORMED``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

MOVE_COUNT = 1858
FIRST_PROMOTION = 1792
"""From this index on, moves promote to a queen, rook or bishop; below it, none does."""

NO_PROMOTION, QUEEN, ROOK, BISHOP = range(4)
"""What ``PROMOTION`` holds. A knight is ``NO_PROMOTION``: its move is the plain one."""

_PROMOTION_LETTERS = " qrb"

CONV_POLICY_PLANES = 80
"""Planes of the convolution head; the last seven are never read."""

_COMPASS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
"""Steps (file, rank) N, NE, E, SE, S, SW, W, NW: the order of the head's queen planes."""
_KNIGHT_STEPS = ((1, 2), (2, 1), (2, -1), (1, -2), (-1, -2), (-2, -1), (-2, 1), (-1, 2))
_CONV_PROMOTION_FILES = (-1, 0, 1)
_CONV_PROMOTION_PIECES = (ROOK, BISHOP, QUEEN)

FLIP_FILES, MIRROR_RANKS, TRANSPOSE = 1, 2, 4
"""Bits of a transform (lc0 src/neural/encoder.h): a to h, rank 1 to 8, and the reflection in the
diagonal from a8 to h1, in this order."""

Plain = tuple[int, int, int]
"""A move as (from square, to square, promotion)."""

Squares = npt.NDArray[np.int64]


def _step(square: int, files: int, ranks: int) -> int | None:
    """The square so many files and ranks away, or None beyond the edge."""
    file, rank = square % 8 + files, square // 8 + ranks
    return rank * 8 + file if 0 <= file < 8 and 0 <= rank < 8 else None


def _conv_moves() -> Iterator[tuple[int, Plain]]:
    """Every move with its place ``plane * 64 + from square`` in the convolution head."""
    queen = [(f * n, r * n) for f, r in _COMPASS for n in range(1, 8)]
    for plane, (files, ranks) in enumerate([*queen, *_KNIGHT_STEPS]):
        for origin in range(64):
            if (target := _step(origin, files, ranks)) is not None:
                yield plane * 64 + origin, (origin, target, NO_PROMOTION)
    first = len(queen) + len(_KNIGHT_STEPS)
    kinds = [(f, piece) for f in _CONV_PROMOTION_FILES for piece in _CONV_PROMOTION_PIECES]
    for plane, (files, piece) in enumerate(kinds, start=first):
        for origin in range(48, 56):
            if (target := _step(origin, files, 1)) is not None:
                yield plane * 64 + origin, (origin, target, piece)


def _index_order(move: Plain) -> tuple[bool, int, int, int]:
    """Sort key: plain moves by (from, to), then promotions by (from, to, piece q r b)."""
    origin, target, promotion = move
    return promotion != NO_PROMOTION, origin, target, promotion


def _square_name(square: int) -> str:
    return "abcdefgh"[square % 8] + str(square // 8 + 1)


def _name(move: Plain) -> str:
    origin, target, promotion = move
    return (_square_name(origin) + _square_name(target) + _PROMOTION_LETTERS[promotion]).strip()


def _index_tables() -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    plain = np.full((64, 64), -1, np.int16)
    promotions = np.full((8, 8, 4), -1, np.int16)
    for index, (origin, target, piece) in enumerate(_MOVES):
        if piece == NO_PROMOTION:
            plain[origin, target] = index
        else:
            promotions[origin % 8, target % 8, piece] = index
    return plain, promotions


def turned(squares: Squares, transform: int) -> Squares:
    """Where squares lie after a transform."""
    if transform & FLIP_FILES:
        squares = squares ^ 7
    if transform & MIRROR_RANKS:
        squares = squares ^ 56
    return (7 - squares % 8) * 8 + 7 - squares // 8 if transform & TRANSPOSE else squares


def _turned_by_lc0(squares: Squares, transform: int) -> Squares:
    return squares ^ 63 if transform & TRANSPOSE else turned(squares, transform)


def _transform_table(
    squares_after: Callable[[Squares, int], Squares],
) -> npt.NDArray[np.uint16]:
    origins, targets = FROM.astype(np.int64), TO.astype(np.int64)
    table = np.tile(np.arange(MOVE_COUNT, dtype=np.uint16), (8, 1))
    plain = PROMOTION == NO_PROMOTION
    for transform in range(8):
        ends = squares_after(origins, transform), squares_after(targets, transform)
        table[transform, plain] = INDEX[ends][plain]
        if transform & ~FLIP_FILES == 0:
            files = (squares[~plain] % 8 for squares in ends)
            table[transform, ~plain] = PROMOTION_INDEX[(*files, PROMOTION[~plain])]
    return table


def _frozen(array: npt.NDArray[np.generic]) -> None:
    array.setflags(write=False)


_PLACES = {move: place for place, move in _conv_moves()}
_MOVES = sorted(_PLACES, key=_index_order)

MOVES: tuple[str, ...] = tuple(_name(move) for move in _MOVES)
"""The moves in order: UCI as seen from the mover, castling ``e1h1``, a knight without letter."""

FROM, TO, PROMOTION = np.array(_MOVES, np.uint8).T.copy()
"""uint8[1858] each: from square, to square, ``NO_PROMOTION`` or the piece."""

INDEX, PROMOTION_INDEX = _index_tables()
"""``INDEX[from, to]`` int16[64, 64]; ``PROMOTION_INDEX[from file, to file, piece]`` int16[8, 8, 4];
-1 where there is no such move."""

CONV_POLICY = np.array([_PLACES[move] for move in _MOVES], np.int64)
"""int64[1858]: where each move stands in the flattened [80, 8, 8] convolution head."""

TRANSFORMED = _transform_table(turned)
"""uint16[8, 1858]: a move's index for a net that sees the board turned by a transform.

Flip comes first, then mirror, then transpose. Promotions, which no mirrored or transposed position
has, stay what they are there.
"""

LC0_TRANSFORMED = _transform_table(_turned_by_lc0)
"""The same as lc0 has read it since 0.32.0: a move that it should transpose it turns half round.

That is an error (lc0 src/neural/encoder.cc, ``Transform``, since pull request 2126); the planes are
transposed rightly. Training data of canonical formats that such an lc0 wrote has it, too. What is
to be flipped or mirrored before is not, either: seen in what lc0 0.33 reads.
"""

for _table in (
    FROM,
    TO,
    PROMOTION,
    INDEX,
    PROMOTION_INDEX,
    CONV_POLICY,
    TRANSFORMED,
    LC0_TRANSFORMED,
):
    _frozen(_table)
