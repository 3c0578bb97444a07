"""What a net is trained on, of a whole game at a time: planes and legal moves of each position."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from arena.kernel.encode import Masks, Values
from arena.kernel.formats import pack_input
from arena.kernel.movegen import Moves, legal_moves
from arena.kernel.position import Line
from swa.jit import kernel


@kernel
def pack_game(
    line: Line,
    first: int,
    fill: int,
    input_format: int,
    masks: Masks,
    values: Values,
    transforms: npt.NDArray[np.uint8],
    moves: Moves,
    counts: npt.NDArray[np.int64],
) -> None:
    """Write planes and legal moves of ``line[first]`` and the n - 1 positions behind it.

    ``masks`` uint64[n, 112], ``values`` float32[n, 112] and ``transforms`` uint8[n] as
    ``pack_input`` makes them, with its ``fill``; ``moves`` uint16[n, MAX_MOVES] holds ``counts``
    int64[n] moves a position, seen by the mover.
    """
    for row in range(counts.size):
        transforms[row] = pack_input(line, first + row, fill, input_format, masks[row], values[row])
        counts[row] = legal_moves(line[first + row], moves[row])
