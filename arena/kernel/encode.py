"""A position with its history, as the 112 packed planes that a net reads (input format 1).

``formats`` has the other input formats.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from arena.kernel.bitboard import EMPTY, FULL, NO_SQUARE, bit, flip, signed
from arena.kernel.position import (
    OUR_KINGSIDE,
    OUR_QUEENSIDE,
    THEIR_KINGSIDE,
    THEIR_QUEENSIDE,
    Line,
    Position,
    castling_right,
)
from swa import planes
from swa.jit import inline, kernel

Masks = npt.NDArray[np.uint64]
Values = npt.NDArray[np.float32]

_ZERO = np.float32(0)
_ONE = np.float32(1)


@inline
def _seen(word: np.uint64, from_other_side: bool) -> np.uint64:
    return flip(word) if from_other_side else word


@inline
def _all_if(condition: bool) -> np.uint64:
    return FULL if condition else EMPTY


@inline
def _pack_side(
    masks: Masks, first: int, position: Position, side: np.uint64, flipped: bool
) -> None:
    """The six planes P N B R Q K of one side's pieces."""
    pawns, kings = position.pawns & side, position.kings & side
    queens = position.straights & position.diagonals & side
    straights, diagonals = position.straights & side, position.diagonals & side
    masks[first] = _seen(pawns, flipped)
    masks[first + 1] = _seen(side & ~(pawns | kings | straights | diagonals), flipped)
    masks[first + 2] = _seen(diagonals & ~queens, flipped)
    masks[first + 3] = _seen(straights & ~queens, flipped)
    masks[first + 4] = _seen(queens, flipped)
    masks[first + 5] = _seen(kings, flipped)


@inline
def pack_board(masks: Masks, first: int, position: Position, flipped: bool) -> None:
    """The thirteen planes of one position, ``flipped`` if its mover is now the opponent."""
    ours = position.theirs if flipped else position.ours
    theirs = position.ours if flipped else position.theirs
    _pack_side(masks, first + planes.OUR_PAWNS, position, ours, flipped)
    _pack_side(masks, first + planes.THEIR_PAWNS, position, theirs, flipped)
    masks[first + planes.REPETITION] = _all_if(position.repetitions > 0)


@inline
def undo_double_push(masks: Masks, first: int, position: Position, flipped: bool) -> None:
    """Put the pawn that has just skipped ``position.ep`` back to where it came from."""
    skipped = signed(position.ep)
    pawn = _seen(bit(skipped - 8) | bit(skipped + 8), flipped)
    masks[first + (planes.OUR_PAWNS if flipped else planes.THEIR_PAWNS)] ^= pawn


@kernel
def pack_planes(line: Line, last: int, fill: int, masks: Masks, values: Values) -> None:
    """Write the planes of ``line[last]`` to ``masks`` uint64[112] and ``values`` float32[112].

    A plane is ``bits(mask) * value``, bit 0 = a1. ``fill`` is 1 if ``line[0]`` came from a FEN
    other than the start position: then missing history repeats it, as it was before the double
    push if it has an en passant square; 0 leaves those planes empty (lc0 src/neural/encoder.cc,
    ``EncodePositionNoTransform`` with history fill FEN_ONLY).
    """
    current = line[last]
    values[:] = _ONE
    for back in range(planes.HISTORY):
        first = back * planes.PLANES_PER_POSITION
        index = max(last - back, 0)
        flipped = (last - index) & 1 == 1
        if back <= last:
            pack_board(masks, first, line[index], flipped)
        elif fill == 1:
            pack_board(masks, first, line[0], flipped)
            if line[0].ep != NO_SQUARE:
                undo_double_push(masks, first, line[0], flipped)
        else:
            masks[first : first + planes.PLANES_PER_POSITION] = EMPTY
    masks[planes.OUR_QUEENSIDE] = _all_if(castling_right(current, OUR_QUEENSIDE) != 0)
    masks[planes.OUR_KINGSIDE] = _all_if(castling_right(current, OUR_KINGSIDE) != 0)
    masks[planes.THEIR_QUEENSIDE] = _all_if(castling_right(current, THEIR_QUEENSIDE) != 0)
    masks[planes.THEIR_KINGSIDE] = _all_if(castling_right(current, THEIR_KINGSIDE) != 0)
    masks[planes.BLACK_TO_MOVE] = _all_if(current.black == 1)
    masks[planes.RULE50] = FULL
    values[planes.RULE50] = np.float32(current.rule50)
    masks[planes.ZEROS] = EMPTY
    masks[planes.ONES] = FULL
