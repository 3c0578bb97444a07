"""Legal moves, as policy indices.

No move is generated that would have to be taken back: pins and checks are known first, as sets of
squares that a piece must stay on.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from arena.kernel.bitboard import (
    BETWEEN,
    EMPTY,
    FILE_A,
    FILE_H,
    KING_ATTACKS,
    KNIGHT_ATTACKS,
    ONE,
    PAWN_ATTACKS,
    THROUGH,
    bit,
    diagonal_attacks,
    knights_attacks,
    signed,
    straight_attacks,
    their_pawns_attacks,
    trailing_zeros,
)
from arena.kernel.position import (
    OUR_KINGSIDE,
    OUR_QUEENSIDE,
    POSITION,
    Position,
    attackers,
    castling_right,
    ep_capture_is_legal,
    ep_capturers,
    king_square,
    knights_of,
    make_move,
)
from swa.jit import allocating, inline, kernel
from swa.policy_map import BISHOP, INDEX, PROMOTION_INDEX, QUEEN, ROOK

MAX_MOVES = 256
"""Room for the moves of one position. A game cannot reach one with more than 218."""

Moves = npt.NDArray[np.uint16]

_PLAIN = INDEX.astype(np.uint16)
_PROMOTION = PROMOTION_INDEX.astype(np.uint16)
_C1, _D1, _F1, _G1 = signed(2), signed(3), signed(5), signed(6)
_PUSH, _TO_LEFT, _TO_RIGHT = np.uint64(8), np.uint64(7), np.uint64(9)
_RANK_3 = np.uint64(0xFF_0000)
_RANK_7 = np.uint64(0x00FF_0000_0000_0000)
_OUR_RIGHTS = 0x00FF


@inline
def _write(moves: Moves, count: int, origin: int, targets: np.uint64) -> int:
    """Append the moves of one piece, by target square; returns the new count."""
    while targets != EMPTY:
        moves[count] = _PLAIN[origin, trailing_zeros(targets)]
        targets &= targets - ONE
        count += 1
    return count


@kernel
def _write_promotions(moves: Moves, count: int, origin: int, targets: np.uint64) -> int:
    """Append queen, rook, bishop and knight for each target square."""
    while targets != EMPTY:
        target = trailing_zeros(targets)
        for piece in (QUEEN, ROOK, BISHOP):
            moves[count] = _PROMOTION[origin & 7, target & 7, piece]
            count += 1
        moves[count] = _PLAIN[origin, target]
        count += 1
        targets &= targets - ONE
    return count


@kernel
def _write_pawn(
    position: Position, moves: Moves, count: int, origin: int, allowed: np.uint64
) -> int:
    """Append one pawn's moves: pushes first, then captures (with en passant) by target square."""
    empty = ~(position.ours | position.theirs)
    one = bit(origin + 8) & empty
    two = (one & _RANK_3) << _PUSH & empty
    captures = PAWN_ATTACKS[origin] & position.theirs
    if origin >= 48:
        count = _write_promotions(moves, count, origin, one & allowed)
        return _write_promotions(moves, count, origin, captures & allowed)
    count = _write(moves, count, origin, (one | two) & allowed)
    captures &= allowed
    # The square of none is 64, and no pawn attacks that.
    skipped = signed(position.ep)
    if skipped < 64 and PAWN_ATTACKS[origin] & bit(skipped) != EMPTY:  # noqa: SIM102
        if ep_capture_is_legal(position, origin):
            captures |= bit(skipped)
    return _write(moves, count, origin, captures)


@inline
def _write_king(position: Position, moves: Moves, count: int, king: int) -> int:
    """Append the king's steps to squares that are not attacked once it has left its own."""
    theirs = position.theirs
    attacked = their_pawns_attacks(position.pawns & theirs) | knights_attacks(
        knights_of(position, theirs)
    )
    targets = KING_ATTACKS[king] & ~position.ours & ~attacked
    occupied = (position.ours | theirs) ^ bit(king)
    while targets != EMPTY:
        target = trailing_zeros(targets)
        targets &= targets - ONE
        if attackers(position, target, theirs, occupied) == EMPTY:
            moves[count] = _PLAIN[king, target]
            count += 1
    return count


@inline
def _span(one: int, other: int) -> np.uint64:
    """The squares of the first rank from one to the other, both included."""
    return BETWEEN[one, other] | bit(one) | bit(other)


@kernel
def _may_castle(position: Position, king: int, right: int, king_to: int, rook_to: int) -> bool:
    """Whether castling with a right that is held is legal, the king not being in check.

    Also for Chess960: only king and rook may stand on either's way, and no square of the king's
    way may be attacked, the last one with the rook on its new square.
    """
    rook = right & 7
    occupied = (position.ours | position.theirs) & ~(bit(king) | bit(rook))
    if (_span(king, king_to) | _span(rook, rook_to)) & occupied != EMPTY:
        return False
    way = _span(king, king_to) & ~bit(king_to)
    while way != EMPTY:
        square = trailing_zeros(way)
        way &= way - ONE
        if attackers(position, square, position.theirs, occupied | bit(rook)) != EMPTY:
            return False
    return attackers(position, king_to, position.theirs, occupied | bit(rook_to)) == EMPTY


@kernel
def _write_castling(position: Position, moves: Moves, count: int, king: int) -> int:
    """Append castling as the king taking its own rook, queen side first."""
    queenside = castling_right(position, OUR_QUEENSIDE)
    if queenside != 0 and _may_castle(position, king, queenside, _C1, _D1):
        moves[count] = _PLAIN[king, queenside & 7]
        count += 1
    kingside = castling_right(position, OUR_KINGSIDE)
    if kingside != 0 and _may_castle(position, king, kingside, _G1, _F1):
        moves[count] = _PLAIN[king, kingside & 7]
        count += 1
    return count


@inline
def _pinned(position: Position, king: int) -> np.uint64:
    """The mover's pieces that alone stand between its king and an attacking slider."""
    theirs = position.theirs
    snipers = (straight_attacks(king, theirs) & position.straights & theirs) | (
        diagonal_attacks(king, theirs) & position.diagonals & theirs
    )
    pinned = EMPTY
    while snipers != EMPTY:
        shield = BETWEEN[king, trailing_zeros(snipers)] & position.ours
        snipers &= snipers - ONE
        if shield & (shield - ONE) == EMPTY:
            pinned |= shield
    return pinned


@inline
def _write_steps(moves: Moves, count: int, targets: np.uint64, step: int) -> int:
    """Append the moves of pawns that all move by ``step`` squares, by target square."""
    while targets != EMPTY:
        target = trailing_zeros(targets)
        moves[count] = _PLAIN[target - step, target]
        targets &= targets - ONE
        count += 1
    return count


@inline
def _write_pawns(
    position: Position, moves: Moves, count: int, pawns: np.uint64, allowed: np.uint64
) -> int:
    """Append the moves of a set of pawns that are not pinned."""
    for_each = pawns & _RANK_7
    while for_each != EMPTY:
        origin = trailing_zeros(for_each)
        for_each &= for_each - ONE
        count = _write_pawn(position, moves, count, origin, allowed)
    pawns &= ~_RANK_7
    empty = ~(position.ours | position.theirs)
    one = (pawns << _PUSH) & empty
    two = ((one & _RANK_3) << _PUSH) & empty
    victims = position.theirs & allowed
    count = _write_steps(moves, count, one & allowed, signed(8))
    count = _write_steps(moves, count, two & allowed, signed(16))
    count = _write_steps(moves, count, ((pawns & ~FILE_A) << _TO_LEFT) & victims, signed(7))
    count = _write_steps(moves, count, ((pawns & ~FILE_H) << _TO_RIGHT) & victims, signed(9))
    capturers = ep_capturers(position) & pawns
    while capturers != EMPTY:
        origin = trailing_zeros(capturers)
        capturers &= capturers - ONE
        if ep_capture_is_legal(position, origin):
            moves[count] = _PLAIN[origin, signed(position.ep)]
            count += 1
    return count


@inline
def _write_piece(position: Position, moves: Moves, count: int, origin: int, stay: np.uint64) -> int:
    """Append the moves of any one piece but the king."""
    piece = bit(origin)
    occupied = position.ours | position.theirs
    if position.pawns & piece != EMPTY:
        return _write_pawn(position, moves, count, origin, stay)
    targets = EMPTY
    if position.straights & piece != EMPTY:
        targets |= straight_attacks(origin, occupied)
    if position.diagonals & piece != EMPTY:
        targets |= diagonal_attacks(origin, occupied)
    # A pinned knight has no move.
    return _write(moves, count, origin, targets & stay)


@kernel
def legal_moves(position: Position, moves: Moves) -> int:
    """Write the legal moves to ``moves`` (uint16[>= MAX_MOVES]) and return their number.

    Kind of piece by kind of piece, which spares a branch that no processor can predict for each
    piece; the order of the moves means nothing.
    """
    king = king_square(position)
    occupied = position.ours | position.theirs
    checkers = attackers(position, king, position.theirs, occupied)
    count = _write_king(position, moves, signed(0), king)
    if checkers & (checkers - ONE) != EMPTY:
        return count
    allowed = ~position.ours
    if checkers != EMPTY:
        allowed &= checkers | BETWEEN[king, trailing_zeros(checkers)]
    elif position.castling & _OUR_RIGHTS != 0:
        count = _write_castling(position, moves, count, king)
    pinned = _pinned(position, king)
    free = position.ours & ~pinned
    while pinned != EMPTY:
        origin = trailing_zeros(pinned)
        pinned &= pinned - ONE
        count = _write_piece(position, moves, count, origin, allowed & THROUGH[king, origin])
    count = _write_pawns(position, moves, count, position.pawns & free, allowed)
    pieces = knights_of(position, free)
    while pieces != EMPTY:
        origin = trailing_zeros(pieces)
        pieces &= pieces - ONE
        count = _write(moves, count, origin, KNIGHT_ATTACKS[origin] & allowed)
    pieces = position.diagonals & free
    while pieces != EMPTY:
        origin = trailing_zeros(pieces)
        pieces &= pieces - ONE
        count = _write(moves, count, origin, diagonal_attacks(origin, occupied) & allowed)
    pieces = position.straights & free
    while pieces != EMPTY:
        origin = trailing_zeros(pieces)
        pieces &= pieces - ONE
        count = _write(moves, count, origin, straight_attacks(origin, occupied) & allowed)
    return count


@allocating
def perft(position: Position, depth: int) -> int:
    """The number of move sequences of ``depth`` >= 1 plies: the check of every rule at once."""
    stack = np.zeros(depth, POSITION)
    moves = np.zeros((depth, MAX_MOVES), np.uint16)
    left = np.zeros(depth, np.int64)
    stack[0] = position
    left[0] = legal_moves(stack[0], moves[0])
    total = 0
    ply = 0
    while ply >= 0:
        if ply == depth - 1:
            total += left[ply]
            ply -= 1
        elif left[ply] == 0:
            ply -= 1
        else:
            left[ply] -= 1
            make_move(stack[ply], signed(moves[ply, left[ply]]), stack[ply + 1])
            ply += 1
            left[ply] = legal_moves(stack[ply], moves[ply])
    return total
