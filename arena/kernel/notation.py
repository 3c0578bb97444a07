"""What standard algebraic notation must know of each move of a game, found on bitboards."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from arena.kernel.bitboard import (
    EMPTY,
    KNIGHT_ATTACKS,
    ONE,
    bit,
    diagonal_attacks,
    signed,
    straight_attacks,
    trailing_zeros,
)
from arena.kernel.movegen import Moves, legal_moves
from arena.kernel.position import (
    Line,
    Position,
    in_check,
    king_square,
    knights_of,
    make_move,
)
from arena.kernel.ranks import castling_target, policy_index
from swa.jit import inline, kernel
from swa.policy_map import INDEX

PIECE = 7  # 0 pawn, 1 knight, 2 bishop, 3 rook, 4 queen, 5 king
CAPTURE, BY_FILE, BY_RANK, CHECK, MATE, SHORT, LONG = (1 << place for place in range(3, 10))
"""Bits of a note: what it takes, what tells it from others of its kind, what it does, castling."""

_PLAIN = INDEX.astype(np.int64)


@inline
def _kind(position: Position, origin: int) -> int:
    """The piece of the side to move on a square, as ``PIECE`` counts."""
    square = bit(origin)
    if origin == king_square(position):
        return 5
    if position.pawns & square != EMPTY:
        return 0
    straight, diagonal = position.straights & square, position.diagonals & square
    if straight != EMPTY:
        return 4 if diagonal != EMPTY else 3
    return 2 if diagonal != EMPTY else 1


@inline
def _alike(position: Position, kind: int, origin: int, target: int) -> np.uint64:
    """The other pieces of a kind, of the side to move, that reach a square, pinned or not."""
    occupied = position.ours | position.theirs
    if kind == 1:
        found = KNIGHT_ATTACKS[target] & knights_of(position, position.ours)
    elif kind == 2:
        found = diagonal_attacks(target, occupied) & position.diagonals & ~position.straights
    elif kind == 3:
        found = straight_attacks(target, occupied) & position.straights & ~position.diagonals
    elif kind == 4:
        found = straight_attacks(target, occupied) | diagonal_attacks(target, occupied)
        found &= position.straights & position.diagonals
    else:
        found = EMPTY
    return found & position.ours & ~bit(origin)


@kernel
def note_moves(
    line: Line, spelled: npt.NDArray[np.uint16], notes: npt.NDArray[np.uint16], room: Moves
) -> int:
    """Write what notation must know of each move; the arguments are those of ``rank_moves``.

    Returns the number of moves before the first that is illegal, or all.
    """
    for ply in range(len(spelled)):
        here, there = line[ply & 1], line[1 - (ply & 1)]
        move = signed(spelled[ply])
        mirror = 56 if here.black else 0
        origin, target = (move & 63) ^ mirror, (move >> 6 & 63) ^ mirror
        index = policy_index(here, move)
        count = legal_moves(here, room)
        legal = False
        for place in range(count):
            legal |= room[place] == index
        if not legal:
            return ply
        kind = _kind(here, origin)
        note = kind
        if kind == 5:
            rook = castling_target(here, origin, target)
            if here.ours & bit(rook) != EMPTY:
                note |= SHORT if rook > origin else LONG
        if here.theirs & bit(target) != EMPTY or (kind == 0 and (origin ^ target) & 7 != 0):
            note |= CAPTURE
        others = _alike(here, kind, origin, target)
        same_file, same_rank, ambiguous = False, False, False
        while others != EMPTY:
            other = trailing_zeros(others)
            others &= others - ONE
            rival = _PLAIN[other, target]
            for place in range(count):
                if room[place] == rival:
                    ambiguous = True
                    same_file |= other & 7 == origin & 7
                    same_rank |= other >> 3 == origin >> 3
        if ambiguous and (same_rank or not same_file):
            note |= BY_FILE
        if ambiguous and same_file:
            note |= BY_RANK
        make_move(here, index, there)
        if in_check(there):
            note |= CHECK if legal_moves(there, room) > 0 else MATE
        notes[ply] = note
    return len(spelled)
