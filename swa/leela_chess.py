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

from swa.planes import HISTORY, PLANES_PER_POSITION, REPETITION, RULE50
from swa.policy_map import FIRST_PROMOTION, FROM, INDEX, MOVE_COUNT, TO
from swa.spec import EARLY_MOVES, PLANES

BOARD_PLANES = 14
"""Planes of a board: lc0's 13, and one of third occurrences."""

INPUT_PLANES = HISTORY * BOARD_PLANES + 8
"""Input planes of such a net: boards, then four of castling and one each of black to move, plies
without progress, the number of the move (since early in 2018 always 0), and zeros."""

_BOARDS = HISTORY * PLANES_PER_POSITION  # of lc0's planes, those of boards
_TURN = 56  # a square's rank from the other side


def _moves() -> npt.NDArray[np.int64]:
    plain = INDEX[FROM[:FIRST_PROMOTION] ^ _TURN, TO[:FIRST_PROMOTION] ^ _TURN]
    return np.stack(
        (np.arange(MOVE_COUNT), np.concatenate((plain, np.arange(MOVE_COUNT, EARLY_MOVES))))
    ).astype(np.int64)


def _sides_changed() -> npt.NDArray[np.int64]:
    planes = np.arange(PLANES)
    odd = planes[:_BOARDS].reshape(HISTORY, PLANES_PER_POSITION)[1::2]
    odd[:, :REPETITION] = np.roll(odd[:, :REPETITION], REPETITION // 2, axis=1)
    return planes


def _kept_planes() -> npt.NDArray[np.int64]:
    boards = np.arange(HISTORY)[:, None] * BOARD_PLANES + np.arange(PLANES_PER_POSITION)
    first = HISTORY * BOARD_PLANES
    rest = np.arange(first, first + RULE50 + 1 - _BOARDS)
    return np.concatenate((boards.reshape(-1), rest))


MOVE_INDEX = _moves()
"""int64[2, 1858]: where each of lc0's moves stands, white or black being to move."""

SIDES_CHANGED = _sides_changed()
"""int64[112]: of lc0's planes, which one has the same pieces of the other side, where the plane is
of an odd board, and itself else."""

ODD_BOARDS = np.zeros(PLANES, np.bool_)
"""bool[112]: which of lc0's planes are of a board that is seen from the other side."""
ODD_BOARDS[:_BOARDS] = np.arange(_BOARDS) // PLANES_PER_POSITION % 2 == 1

KEPT_PLANES = _kept_planes()
"""int64[110]: where each of lc0's planes stands among ``INPUT_PLANES``, but for the last two."""

for _table in (MOVE_INDEX, SIDES_CHANGED, ODD_BOARDS, KEPT_PLANES):
    _table.setflags(write=False)
