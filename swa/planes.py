"""The 112 input planes of a net: their order, and how packed planes become floats.

Between the kernel and a net, planes travel packed: a mask of 64 bits (bit 0 = a1, bit 7 = h1,
bit 63 = h8, mover's view) and one float, the value of the set squares. Most planes are nearly
empty, so a position takes 1.3 kB in place of 28 kB.

Order: lc0 src/neural/encoder.cc: eight positions, newest first, thirteen planes each (our P N B R
Q K, their P N B R Q K, repetition), then eight planes about the current position. These are named
as in input format 1 (``INPUT_CLASSICAL_112_PLANE``); what later ones have in their place stands
below.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

PLANE_COUNT = 112
HISTORY = 8
"""Positions in the input, the current one included."""
PLANES_PER_POSITION = 13

OUR_PAWNS, OUR_KNIGHTS, OUR_BISHOPS, OUR_ROOKS, OUR_QUEENS, OUR_KING = range(6)
THEIR_PAWNS, THEIR_KNIGHTS, THEIR_BISHOPS, THEIR_ROOKS, THEIR_QUEENS, THEIR_KING = range(6, 12)
REPETITION = 12
"""All ones if the position occurred before; with the twelve above, an offset within a position."""

OUR_QUEENSIDE, OUR_KINGSIDE, THEIR_QUEENSIDE, THEIR_KINGSIDE = range(104, 108)
"""Castling rights."""
BLACK_TO_MOVE = 108
RULE50 = 109
"""Plies since the last capture or pawn move, unscaled; from input format 4 on in hundreds."""
ZEROS = 110
ONES = 111

A_SIDE_ROOKS, H_SIDE_ROOKS = OUR_QUEENSIDE, OUR_KINGSIDE
"""From input format 2 on, in place of castling rights: both sides' rooks that have them. The other
two of the four are empty."""
EN_PASSANT = BLACK_TO_MOVE
"""In canonical input formats, in place of the colour: the file, on rank 8, whose pawn may be
taken."""
ARMAGEDDON_BLACK = ZEROS
"""In those for armageddon: all ones if black is to move."""

FULL_BOARD = 0xFFFF_FFFF_FFFF_FFFF


def unpack(
    masks: npt.NDArray[np.uint64], values: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Planes as floats: ``masks`` and ``values`` [B, 112] -> [B, 112, 8 ranks, 8 files]."""
    octets = masks.astype("<u8", copy=False)[..., None].view(np.uint8)
    bits = np.unpackbits(octets, axis=-1, bitorder="little").reshape(*masks.shape, 8, 8)
    return bits * values[..., None, None]
