"""Planes of every input format of lc0: format 1 as ``encode`` has it, the others here.

What the others have of their own (lc0 src/neural/encoder.cc; the formats are told apart by
``swa.spec.InputFormat``): rooks that may castle in place of flags; from 3 on the board is turned by
a transform, and history ends where no position before it can come again.
"""

from __future__ import annotations

import numpy as np

from arena.kernel.bitboard import EMPTY, FULL, NO_SQUARE, bit, flip, signed
from arena.kernel.encode import Masks, Values, pack_board, pack_planes, undo_double_push
from arena.kernel.position import (
    OUR_KINGSIDE,
    OUR_QUEENSIDE,
    THEIR_KINGSIDE,
    THEIR_QUEENSIDE,
    Line,
    Position,
    cache_key,
    castling_right,
    planes_key,
)
from swa import planes
from swa.jit import inline, kernel
from swa.policy_map import FLIP_FILES, MIRROR_RANKS, TRANSPOSE
from swa.spec import InputFormat

_CLASSICAL = int(InputFormat.CLASSICAL_112_PLANE)
_CANONICAL = int(InputFormat.WITH_CANONICALIZATION)
_HECTOPLIES = int(InputFormat.WITH_CANONICALIZATION_HECTOPLIES)
_V2 = int(InputFormat.WITH_CANONICALIZATION_V2)
_V2_ARMAGEDDON = int(InputFormat.WITH_CANONICALIZATION_V2_ARMAGEDDON)
_FIRST_ARMAGEDDON = int(InputFormat.WITH_CANONICALIZATION_HECTOPLIES_ARMAGEDDON)

_FILES_A_TO_D = np.uint64(0x0F0F_0F0F_0F0F_0F0F)
_RANKS_5_TO_8 = np.uint64(0xFFFF_FFFF_0000_0000)
_ABOVE_DIAGONAL = np.uint64(0xE0C0_8000)
_ON_DIAGONAL = np.uint64(0x1020_4080)
"""Of the quarter e1-h4: f4-h4, g3, h3, h2; e4, f3, g2, h1."""

_ONE, _TWO, _FOUR = np.uint64(1), np.uint64(2), np.uint64(4)
_EVEN_FILES = np.uint64(0x5555_5555_5555_5555)
_LOW_PAIRS = np.uint64(0x3333_3333_3333_3333)
_NEAR = (np.uint64(0x0055_0055_0055_0055), np.uint64(9))
_FAR = (np.uint64(0x0000_3333_0000_3333), np.uint64(18))
_FARTHEST = (np.uint64(0x0000_0000_0F0F_0F0F), np.uint64(36))
"""Lower left squares of blocks of 2, 4 and 8 a side, and how far the upper right ones are."""


@inline
def flip_files(word: np.uint64) -> np.uint64:
    """The set with files a and h, b and g, ... exchanged."""
    word = ((word >> _ONE) & _EVEN_FILES) | ((word & _EVEN_FILES) << _ONE)
    word = ((word >> _TWO) & _LOW_PAIRS) | ((word & _LOW_PAIRS) << _TWO)
    return ((word >> _FOUR) & _FILES_A_TO_D) | ((word & _FILES_A_TO_D) << _FOUR)


@inline
def transpose(word: np.uint64) -> np.uint64:
    """The set's image in the diagonal from a8 to h1.

    Both coordinates are exchanged and reversed: of blocks of each size the lower left part and the
    upper right one change places, the others stay.
    """
    for lower, distance in (_NEAR, _FAR, _FARTHEST):
        differing = ((word >> distance) ^ word) & lower
        word ^= differing ^ (differing << distance)
    return word


@kernel
def turn(word: np.uint64, transform: int) -> np.uint64:
    """The set as a net sees it whose board is turned by a transform."""
    if transform & FLIP_FILES:
        word = flip_files(word)
    if transform & MIRROR_RANKS:
        word = flip(word)
    if transform & TRANSPOSE:
        word = transpose(word)
    return word


@kernel
def pack_input(
    line: Line, last: int, fill: int, input_format: int, masks: Masks, values: Values
) -> int:
    """Write the planes of ``line[last]`` in any of lc0's input formats; return the transform.

    ``fill``, ``masks`` and ``values`` as in ``encode.pack_planes``, but formats 5 and 133 show real
    history only. The transform, 0 for formats 1 and 2, is what ``swa.policy_map.TRANSFORMED`` wants
    to know.
    """
    if input_format == _CLASSICAL:
        pack_planes(line, last, fill, masks, values)
        return 0
    _pack_history(line, last, fill, input_format, masks)
    current = line[last]
    _pack_rooks(masks, planes.A_SIDE_ROOKS, current, OUR_QUEENSIDE, THEIR_QUEENSIDE)
    _pack_rooks(masks, planes.H_SIDE_ROOKS, current, OUR_KINGSIDE, THEIR_KINGSIDE)
    masks[planes.THEIR_QUEENSIDE] = masks[planes.THEIR_KINGSIDE] = EMPTY
    values[:] = np.float32(1)
    black = FULL if current.black == 1 else EMPTY
    masks[planes.BLACK_TO_MOVE], masks[planes.ZEROS] = black, EMPTY
    masks[planes.RULE50] = masks[planes.ONES] = FULL
    values[planes.RULE50] = np.float32(current.rule50)
    if input_format >= _HECTOPLIES:
        values[planes.RULE50] /= np.float32(100)
    if input_format < _CANONICAL:
        return 0
    skipped = signed(current.ep)
    masks[planes.EN_PASSANT] = EMPTY if skipped == NO_SQUARE else bit(skipped + 16)
    if input_format >= _FIRST_ARMAGEDDON:
        masks[planes.ARMAGEDDON_BLACK] = black
    transform = _choose_transform(masks)
    if transform != 0:
        for plane in range(planes.EN_PASSANT + 1):
            if masks[plane] != EMPTY and masks[plane] != FULL:
                masks[plane] = turn(masks[plane], transform)
    return transform


@kernel
def input_key(
    line: Line, last: int, fill: int, input_format: int, masks: Masks
) -> tuple[np.uint64, np.uint64]:
    """128 bits of everything the net sees of ``line[last]``, whose planes were packed.

    Format 1 has ``cache_key``, without a look at the planes. Of the others the planes themselves
    count, and the position for its legal moves and their order.
    """
    if input_format == _CLASSICAL:
        return cache_key(line, last, fill)
    return planes_key(line[last], masks)


@inline
def _pack_rooks(masks: Masks, plane: int, position: Position, ours: int, theirs: int) -> None:
    """Both sides' rooks that may castle to one side."""
    own, other = castling_right(position, ours), castling_right(position, theirs)
    masks[plane] = bit(own & 7) if own != 0 else EMPTY
    if other != 0:
        masks[plane] |= bit(56 + (other & 7))


@kernel
def _pack_history(line: Line, last: int, fill: int, input_format: int, masks: Masks) -> None:
    """Write the boards, newest first, and nothing where history ends."""
    canonical = input_format >= _CANONICAL
    repeats_only = input_format in (_V2, _V2_ARMAGEDDON)
    castling = signed(line[last].castling)
    slot, back = 0, 0
    while slot < planes.HISTORY:
        known = back <= last
        earlier = line[last - back if known else 0]
        flipped = (back if known else last) & 1 == 1
        if canonical and back > 0:
            rights = signed(earlier.castling)
            if flipped:
                rights = rights >> 8 | (rights & 0xFF) << 8
            if rights != castling or earlier.ep != NO_SQUARE:
                break
        if not known and (fill == 0 or repeats_only):
            break
        back += 1
        if not repeats_only or back == 1 or earlier.repetitions > 0:
            first = slot * planes.PLANES_PER_POSITION
            pack_board(masks, first, earlier, flipped)
            if not known and earlier.ep != NO_SQUARE:
                undo_double_push(masks, first, earlier, flipped)
            slot += 1
        if canonical and earlier.rule50 == 0:
            break
    masks[slot * planes.PLANES_PER_POSITION : planes.OUR_QUEENSIDE] = EMPTY


@kernel
def _choose_transform(masks: Masks) -> int:
    """The transform of the packed position: its king comes to e1-h4 and not above a8-h1.

    A position with a right to castle has no image that is one, with pawns only that to the side.
    On the diagonal the smaller word decides: of all pieces, ours, and of each kind.
    """
    if masks[planes.A_SIDE_ROOKS] | masks[planes.H_SIDE_ROOKS] != EMPTY:
        return 0
    transform = 0
    king = masks[planes.OUR_KING]
    if king & _FILES_A_TO_D != EMPTY:
        transform |= FLIP_FILES
        king = flip_files(king)
    if masks[planes.OUR_PAWNS] | masks[planes.THEIR_PAWNS] != EMPTY:
        return transform
    if king & _RANKS_5_TO_8 != EMPTY:
        transform |= MIRROR_RANKS
        king = flip(king)
    if king & _ABOVE_DIAGONAL != EMPTY:
        return transform | TRANSPOSE
    if king & _ON_DIAGONAL == EMPTY:
        return transform
    ours = theirs = EMPTY
    for kind in range(planes.OUR_KING + 1):
        ours |= masks[kind]
        theirs |= masks[planes.THEIR_PAWNS + kind]
    order = _order_of_images(ours | theirs, transform)
    if order == 0:
        order = _order_of_images(ours, transform)
    for kind in (
        planes.OUR_KING,
        planes.OUR_QUEENS,
        planes.OUR_ROOKS,
        planes.OUR_KNIGHTS,
        planes.OUR_BISHOPS,
    ):
        if order == 0:
            both = masks[kind] | masks[planes.THEIR_PAWNS + kind]
            order = _order_of_images(both, transform)
    return transform | TRANSPOSE if order > 0 else transform


@kernel
def _order_of_images(word: np.uint64, transform: int) -> int:
    """Compare a set with its transpose: -1, 0, 1 if it is the smaller word, equal, the larger."""
    turned = turn(word, transform)
    image = transpose(turned)
    return signed(turned > image) - signed(turned < image)
