"""The position: 64 bytes, seen from the mover, and what a move makes of it.

Seen from the mover means that its own side is at the bottom: for black the board is flipped
(a1 <-> a8), so nothing here knows colours, a flip is a byte swap of each word, and a move is its
index in the policy (``swa.policy_map``) for both sides alike. Squares are ``rank * 8 + file``.

A game, or a game with the line of a search after it, is a contiguous array ``line`` of POSITION;
``line[0]`` is the first position known. All functions trust their input: ``arena.boards`` checks
what comes from outside.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from arena.kernel.bitboard import (
    EMPTY,
    KING_ATTACKS,
    KNIGHT_ATTACKS,
    LIGHT_SQUARES,
    NO_SQUARE,
    PAWN_ATTACKS,
    RANK_1,
    RANK_8,
    Words,
    bit,
    diagonal_attacks,
    flip,
    popcount,
    signed,
    straight_attacks,
    their_pawns_attacks,
    trailing_zeros,
)
from swa.jit import inline, kernel
from swa.planes import HISTORY
from swa.policy_map import BISHOP, FROM, PROMOTION, QUEEN, ROOK, TO

POSITION = np.dtype(
    (
        np.record,
        [
            ("ours", "u8"),  # all pieces of the mover
            ("theirs", "u8"),
            ("pawns", "u8"),  # of both sides, as the next three
            ("diagonals", "u8"),  # bishops and queens
            ("straights", "u8"),  # rooks and queens
            ("kings", "u8"),  # what is left of ours | theirs: knights
            ("key", "u8"),  # hash of all of the above, castling, ep and black
            ("castling", "u2"),  # four rights of four bits, see OUR_QUEENSIDE
            ("rule50", "u2"),  # plies since the last capture or pawn move
            ("ep", "u1"),  # the square that their pawn has just skipped (40..47), or NO_SQUARE
            ("cycle", "u1"),  # plies back to the last equal position: 0 = none, at most 254
            ("repetitions", "u1"),  # earlier occurrences as lc0 counts them: 2 = the third time
            ("black", "u1"),  # 1 if the mover is black
        ],
    )
)
"""What is known of a position. Little more than what the net sees of it."""

Position = Any
Line = Any
"""A record of POSITION; a contiguous array of them. numba's types have no Python spelling."""

OUR_QUEENSIDE, OUR_KINGSIDE = signed(0), signed(4)
THEIR_QUEENSIDE, THEIR_KINGSIDE = signed(8), signed(12)
"""Shift of each right within ``castling``. A right is ``8 | file of its rook``, 0 if lost: so a
start position of Chess960 needs nothing more."""

_OUR_RIGHTS = 0x00FF
_THEIR_RIGHTS = 0xFF00
_FARTHEST_CYCLE = 254


@inline
def castling_right(position: Position, side: int) -> int:
    """``8 | file of the rook`` or 0; ``side`` is one of the four shifts."""
    return (signed(position.castling) >> side) & 15


@inline
def king_square(position: Position) -> int:
    """The square of the mover's king."""
    return trailing_zeros(position.kings & position.ours)


@inline
def knights_of(position: Position, side: np.uint64) -> np.uint64:
    """The knights among the pieces ``side``."""
    others = position.pawns | position.diagonals | position.straights | position.kings
    return side & ~others


@inline
def attackers(position: Position, square: int, theirs: np.uint64, occupied: np.uint64) -> np.uint64:
    """Those of the opponent's pieces ``theirs`` that attack a square, with ``occupied`` squares."""
    leapers = (
        (PAWN_ATTACKS[square] & position.pawns)
        | (KNIGHT_ATTACKS[square] & knights_of(position, theirs))
        | (KING_ATTACKS[square] & position.kings)
    )
    sliders = (straight_attacks(square, occupied) & position.straights) | (
        diagonal_attacks(square, occupied) & position.diagonals
    )
    return (leapers | sliders) & theirs


@kernel
def in_check(position: Position) -> bool:
    """Whether the mover's king is attacked."""
    occupied = position.ours | position.theirs
    king = king_square(position)
    return attackers(position, king, position.theirs, occupied) != EMPTY


@kernel
def ep_capture_is_legal(position: Position, origin: int) -> bool:
    """Whether the pawn on ``origin``, which attacks the en passant square, may capture there.

    Two pawns leave the board's middle at once, so their lines to the king are looked at anew.
    """
    skipped = signed(position.ep)
    captured = bit(skipped - 8)
    occupied = (position.ours | position.theirs) ^ captured ^ bit(origin) | bit(skipped)
    king = king_square(position)
    return attackers(position, king, position.theirs & ~captured, occupied) == EMPTY


@inline
def ep_capturers(position: Position) -> np.uint64:
    """The mover's pawns that attack the en passant square; none if there is no such square."""
    if position.ep == NO_SQUARE:
        return EMPTY
    return their_pawns_attacks(bit(signed(position.ep))) & position.pawns & position.ours


def _odd_constants(count: int) -> Words:
    """Multipliers from the SplitMix64 sequence of seed 0 (Steele, Lea and Flood, 2014)."""
    state, mask, found = 0, (1 << 64) - 1, []
    for _ in range(count):
        state = (state + 0x9E37_79B9_7F4A_7C15) & mask
        mixed = ((state ^ state >> 30) * 0xBF58_476D_1CE4_E5B9) & mask
        mixed = ((mixed ^ mixed >> 27) * 0x94D0_49BB_1331_11EB) & mask
        found.append((mixed ^ mixed >> 31) | 1)
    return np.array(found, np.uint64)


_ODD = _odd_constants(35)
_SPREAD, _FINISH, _REPEATED = _ODD[32:]
_FOR_KEY, _FOR_BOARD = signed(0), signed(7)
_FOR_HISTORY, _FOR_HISTORY_AGAIN = signed(14), signed(23)
"""Where the multipliers of each hash begin in ``_ODD``."""


@inline
def _mix(word: np.uint64, which: int) -> np.uint64:
    """One of many one-to-one maps of 64 bits; hashes are sums of these, so they run in parallel."""
    product = word * _ODD[which]
    return (product ^ (product >> np.uint64(32))) * _SPREAD


@inline
def _finish(total: np.uint64) -> np.uint64:
    product = (total ^ (total >> np.uint64(32))) * _FINISH
    return product ^ (product >> np.uint64(29))


@inline
def _board_hash(position: Position, first: int) -> np.uint64:
    state = np.uint64(
        signed(position.castling) | signed(position.ep) << 16 | signed(position.black) << 24
    )
    return (
        _mix(position.ours, first)
        + _mix(position.theirs, first + 1)
        + _mix(position.pawns, first + 2)
        + _mix(position.diagonals, first + 3)
        + _mix(position.straights, first + 4)
        + _mix(position.kings, first + 5)
        + _mix(state, first + 6)
    )


@inline
def position_key(position: Position) -> np.uint64:
    """The hash that ``position.key`` holds: pieces, castling rights, en passant, side to move."""
    return _finish(_board_hash(position, _FOR_KEY))


@kernel
def cache_key(line: Line, last: int, fill: int) -> tuple[np.uint64, np.uint64]:
    """128 bits of everything the net sees of ``line[last]``: eight boards, repetitions, rule50.

    ``fill`` as in ``encode.pack_planes``. The current board enters by two independent hashes and
    each earlier one by its key, so two inputs share a key by a 128-bit accident or, where they
    differ in one earlier board only, by a 64-bit one.
    """
    current = line[last]
    known = min(last + 1, HISTORY)
    # Where all eight boards are known, nothing is filled and fill makes no difference.
    filled = fill if known < HISTORY else 0
    context = np.uint64(signed(current.rule50) | known << 16 | filled << 24)
    first = _mix(context, _FOR_HISTORY)
    second = _board_hash(current, _FOR_BOARD) + _mix(context, _FOR_HISTORY_AGAIN)
    for back in range(known):
        earlier = line[last - back]
        seen = earlier.key
        if earlier.repetitions > 0:
            seen += _REPEATED
        first += _mix(seen, _FOR_HISTORY + 1 + back)
        second += _mix(seen, _FOR_HISTORY_AGAIN + 1 + back)
    return _finish(first), _finish(second)


@kernel
def planes_key(position: Position, masks: Words) -> tuple[np.uint64, np.uint64]:
    """128 bits of packed planes uint64[112] and of the position that they show.

    For nets to which more, or less, than eight boards and their repetitions counts: they share a
    key by a 128-bit accident. The position stands for its legal moves and for rule50.
    """
    rule50 = np.uint64(signed(position.rule50))
    first = position.key + _mix(rule50, _FOR_HISTORY)
    second = _board_hash(position, _FOR_BOARD) + _mix(rule50, _FOR_HISTORY_AGAIN)
    for mask in masks:
        first = _mix(first ^ mask, _FOR_HISTORY)
        second = _mix(second ^ mask, _FOR_HISTORY_AGAIN)
    return _finish(first), _finish(second)


@inline
def _rights_left(castling: int, changed: np.uint64) -> int:
    """The rights whose rooks do not stand on a ``changed`` square."""
    if castling == 0 or changed & (RANK_1 | RANK_8) == EMPTY:
        return castling
    for side in (OUR_QUEENSIDE, OUR_KINGSIDE, THEIR_QUEENSIDE, THEIR_KINGSIDE):
        right = (castling >> side) & 15
        rook = (right & 7) + (56 if side >= THEIR_QUEENSIDE else 0)
        if right != 0 and changed & bit(rook) != EMPTY:
            castling &= ~(15 << side)
    return castling


@kernel
def make_move(parent: Position, move: int, child: Position) -> None:
    """Play ``move``, a legal policy index, and write what the next mover sees to ``child``.

    ``repetitions`` and ``cycle`` of the child are 0 until ``count_repetitions`` sets them.
    An en passant square is kept only if a pawn attacks it, pinned or not (lc0
    src/chess/board.cc:719-723, ``ApplyMove``).
    """
    origin, target = signed(FROM[move]), signed(TO[move])
    own, destination = bit(origin), bit(target)
    both = own | destination
    ours, theirs, pawns = parent.ours, parent.theirs, parent.pawns
    diagonals, straights, kings = parent.diagonals, parent.straights, parent.kings
    castling = signed(parent.castling)
    rule50 = signed(parent.rule50) + 1
    skipped = NO_SQUARE
    if ours & destination != EMPTY:
        king_to, rook_to = (6, 5) if target > origin else (2, 3)
        kings = (kings ^ own) | bit(king_to)
        straights = (straights ^ destination) | bit(rook_to)
        ours = (ours ^ both) | bit(king_to) | bit(rook_to)
        castling &= _THEIR_RIGHTS
    else:
        ours ^= both
        if theirs & destination != EMPTY:
            theirs ^= destination
            pawns &= ~destination
            diagonals &= ~destination
            straights &= ~destination
            rule50 = 0
        castling = _rights_left(castling, both)
        if pawns & own != EMPTY:
            rule50 = 0
            pawns ^= own
            if target >= 56:
                piece = PROMOTION[move]
                if piece in (QUEEN, BISHOP):
                    diagonals |= destination
                if piece in (QUEEN, ROOK):
                    straights |= destination
            else:
                pawns |= destination
                if target == parent.ep:
                    theirs ^= bit(target - 8)
                    pawns ^= bit(target - 8)
                elif target - origin == 16 and PAWN_ATTACKS[origin + 8] & theirs & pawns != EMPTY:
                    skipped = (origin + 8) ^ 56
        elif kings & own != EMPTY:
            kings ^= both
            castling &= _THEIR_RIGHTS
        else:
            if diagonals & own != EMPTY:
                diagonals ^= both
            if straights & own != EMPTY:
                straights ^= both
    child.ours, child.theirs, child.pawns = flip(theirs), flip(ours), flip(pawns)
    child.diagonals, child.straights, child.kings = flip(diagonals), flip(straights), flip(kings)
    child.castling = castling >> 8 | (castling & _OUR_RIGHTS) << 8
    child.rule50 = rule50
    child.ep = skipped
    child.cycle = 0
    child.repetitions = 0
    child.black = 1 - parent.black
    child.key = position_key(child)


@inline
def _same_pieces(one: Position, other: Position) -> bool:
    return (
        one.ours == other.ours
        and one.theirs == other.theirs
        and one.pawns == other.pawns
        and one.diagonals == other.diagonals
        and one.straights == other.straights
        and one.kings == other.kings
        and one.castling == other.castling
    )


@kernel
def count_repetitions(line: Line, last: int) -> None:
    """Set ``repetitions`` and ``cycle`` of ``line[last]`` from the positions before it.

    Two positions are the same if pieces, castling rights and en passant square are. The rule50
    bounds are lc0's own: they decide what the net sees after a FEN (lc0 src/chess/position.cc,
    ``ComputeLastMoveRepetitions``).
    """
    current = line[last]
    current.repetitions = 0
    current.cycle = 0
    if current.rule50 < 4:
        return
    for index in range(last - 2, -1, -2):
        earlier = line[index]
        if (
            earlier.key == current.key
            and earlier.ep == current.ep
            and _same_pieces(earlier, current)
        ):
            current.repetitions = min(signed(earlier.repetitions) + 1, 255)
            current.cycle = min(last - index, _FARTHEST_CYCLE)
            return
        if earlier.rule50 < 2:
            return


@inline
def _legal_ep(position: Position) -> int:
    """The en passant square if a capture there is legal, else NO_SQUARE."""
    capturers = ep_capturers(position)
    while capturers != EMPTY:
        origin = trailing_zeros(capturers)
        if ep_capture_is_legal(position, origin):
            return signed(position.ep)
        capturers ^= bit(origin)
    return NO_SQUARE


@kernel
def game_occurrences(line: Line, last: int) -> int:
    """How often ``line[last]`` was on the board by the laws of chess, now included: 3 is a draw.

    Counts as python-chess's ``Board.is_repetition`` does: an en passant square makes a difference
    only if the capture is legal. ``repetitions`` is lc0's count, which decides in the search.
    """
    current = line[last]
    ep = _legal_ep(current)
    occurrences = 1
    for index in range(last - 2, -1, -2):
        # A capture or pawn move on the way to the later position cannot be undone.
        if line[index + 2].rule50 == 0 or line[index + 1].rule50 == 0:
            break
        earlier = line[index]
        if _same_pieces(earlier, current) and _legal_ep(earlier) == ep:
            occurrences += 1
    return occurrences


@kernel
def insufficient_material(position: Position) -> bool:
    """Whether nobody can ever mate: bare kings, one knight, or bishops of one colour only.

    As python-chess's ``Board.is_insufficient_material`` and lc0's ``HasMatingMaterial``.
    """
    if position.pawns | position.straights != EMPTY:
        return False
    occupied = position.ours | position.theirs
    if knights_of(position, occupied) != EMPTY:
        return popcount(occupied) <= 3
    bishops = position.diagonals
    return bishops & LIGHT_SQUARES == EMPTY or bishops & ~LIGHT_SQUARES == EMPTY
