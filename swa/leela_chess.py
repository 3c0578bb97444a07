"""What leela-chess, lc0's predecessor of 2018, had otherwise at first: its boards and its moves.

Its first nets (text version 1) and its first training records (versions 1 and 2) see each board of
the history from the side of who was to move on it, where lc0 sees all from the side of who is to
move now: every second board is turned, and its pieces change sides. Repetitions have two planes of
a board, the second of which, the third occurrence, no game comes to. And the moves of a policy are
as they stand on the board, black's as well, so that there are 66 promotions of black's beside those
of white.

leela-chess src/Network.cpp, ``gather_features``, ``init_move_map`` and ``lookup``;
training/tf/convert_to_v3.py.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from swa.planes import HISTORY, PLANES_PER_POSITION
from swa.policy_map import FIRST_PROMOTION, FROM, INDEX, MOVE_COUNT, TO

MOVES = 1924
"""Moves of such a policy: lc0's in its order, then black's promotions in the same order."""

BOARD_PLANES = 14
"""Planes of a board: lc0's 13, and one of third occurrences."""

PLANES = HISTORY * BOARD_PLANES + 8
"""Input planes of such a net: boards, then four of castling and one each of black to move, plies
without progress, the number of the move (0 at all times but the first weeks), and zeros."""

_TURN = 56  # a square's rank from the other side


def _moves() -> npt.NDArray[np.int64]:
    plain = INDEX[FROM[:FIRST_PROMOTION] ^ _TURN, TO[:FIRST_PROMOTION] ^ _TURN]
    return np.stack(
        (np.arange(MOVE_COUNT), np.concatenate((plain, np.arange(MOVE_COUNT, MOVES))))
    ).astype(np.int64)


def _boards(sides_change: bool) -> npt.NDArray[np.int64]:
    planes = np.arange(HISTORY * BOARD_PLANES).reshape(HISTORY, BOARD_PLANES)
    planes = planes[:, :PLANES_PER_POSITION].copy()
    if sides_change:
        planes[1::2, :12] = np.roll(planes[1::2, :12], 6, axis=1)
    return planes.reshape(-1)


MOVE_INDEX = _moves()
"""int64[2, 1858]: where each of lc0's moves stands, white or black being to move."""

BOARDS = _boards(sides_change=True)
"""int64[104]: where each of lc0's planes of boards stands; those of odd boards are turned."""

UNTURNED_BOARDS = _boards(sides_change=False)
"""int64[104]: the same where sides are not to change."""

ODD_BOARDS = np.arange(HISTORY).repeat(PLANES_PER_POSITION) % 2 == 1
"""bool[104]: which of lc0's planes of boards are of a board that is turned."""

for _table in (MOVE_INDEX, BOARDS, UNTURNED_BOARDS, ODD_BOARDS):
    _table.setflags(write=False)
