"""Moves of a game as ranks among the legal ones: small numbers, for a report's packed games."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from arena.kernel.bitboard import EMPTY, bit, signed
from arena.kernel.movegen import Moves, legal_moves
from arena.kernel.position import (
    OUR_KINGSIDE,
    OUR_QUEENSIDE,
    Line,
    Position,
    castling_right,
    king_square,
    make_move,
)
from swa.jit import inline, kernel
from swa.policy_map import INDEX, NO_PROMOTION, PROMOTION_INDEX

KNIGHT = 4
"""As the promotion of a spelled move; the other pieces are those of ``swa.policy_map``."""

_PLAIN = INDEX.astype(np.int64)
_PROMOTION = PROMOTION_INDEX.astype(np.int64)


@inline
def castling_target(position: Position, origin: int, target: int) -> int:
    """The square of the rook that a king's move castles with, else ``target``."""
    if target < 8 and origin == king_square(position):
        for side, king_to in ((OUR_QUEENSIDE, 2), (OUR_KINGSIDE, 6)):
            right = castling_right(position, side)
            if right != 0 and target == king_to and abs(target - origin) == 2:
                return right & 7
    return target


@inline
def policy_index(position: Position, spelled: int) -> int:
    """The policy index of a move as UCI spells it; -1 where there is none."""
    mirror = 56 if position.black else 0
    origin, target = (spelled & 63) ^ mirror, (spelled >> 6 & 63) ^ mirror
    piece = spelled >> 12
    promotes = target >= 56 and position.pawns & bit(origin) != EMPTY
    if promotes != (piece != NO_PROMOTION):
        return -1
    if piece not in (NO_PROMOTION, KNIGHT):
        return _PROMOTION[origin & 7, target & 7, piece]
    return _PLAIN[origin, castling_target(position, origin, target)]


@kernel
def rank_moves(
    line: Line, spelled: npt.NDArray[np.uint16], ranks: npt.NDArray[np.uint8], room: Moves
) -> int:
    """Write the rank of each move, which is how many legal moves have a smaller policy index.

    ``line`` is POSITION[2], the start at 0; both are overwritten. A move of ``spelled`` is ``from |
    to << 6 | promotion << 12`` as UCI has it, castling as the king moves or as it takes its rook.
    ``ranks`` has room for as many; ``room`` is uint16[>= MAX_MOVES]. Returns the number of moves
    before the first that is illegal, or all.
    """
    for ply in range(len(spelled)):
        here, there = line[ply & 1], line[1 - (ply & 1)]
        index = policy_index(here, signed(spelled[ply]))
        legal, smaller = False, 0
        for place in range(legal_moves(here, room)):
            legal |= room[place] == index
            smaller += room[place] < index
        if not legal:
            return ply
        ranks[ply] = smaller
        make_move(here, index, there)
    return len(spelled)
