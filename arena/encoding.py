"""What a net wants to be shown and asked: its input format, and its words for moves.

Everywhere else a move is its index as the mover sees the board (``swa.policy_map``). A net of a
canonical input format sees some boards turned, and answers for moves that are turned with them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swa.policy_map import LC0_TRANSFORMED, TRANSFORMED
from swa.spec import InputFormat


class Encoding(NamedTuple):
    """How positions are shown to a net and moves are asked of it.

    With ``lc0_transpose`` moves are turned as lc0 does since 0.32.0, which is wrong where the board
    is transposed: right for a net that learned from data which such an lc0 wrote.
    """

    input_format: InputFormat = InputFormat.CLASSICAL_112_PLANE
    lc0_transpose: bool = False

    def turned(
        self, moves: NDArray[np.uint16], transforms: NDArray[np.uint8]
    ) -> NDArray[np.uint16]:
        """Moves [M] as the net knows them, its board turned by ``transforms`` [M]."""
        table = LC0_TRANSFORMED if self.lc0_transpose else TRANSFORMED
        found: NDArray[np.uint16] = table[transforms, moves]
        return found


CLASSICAL = Encoding()
