"""What a net is trained on, of a whole game at a time: planes and legal moves of each position."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from arena.kernel.encode import Masks, Values, pack_planes
from arena.kernel.movegen import Moves, legal_moves
from arena.kernel.position import Line
from swa.jit import kernel


@kernel
def pack_game(
    line: Line,
    first: int,
    fill: int,
    masks: Masks,
    values: Values,
    moves: Moves,
    counts: npt.NDArray[np.int64],
) -> None:
    """Write planes and legal moves of ``line[first]`` and the n - 1 positions behind it.

    ``masks`` uint64[n, 112] and ``values`` float32[n, 112] as ``pack_planes`` writes them, with its
    ``fill``; ``moves`` uint16[n, MAX_MOVES] holds ``counts`` int64[n] moves a position.
    """
    for row in range(counts.size):
        pack_planes(line, first + row, fill, masks[row], values[row])
        counts[row] = legal_moves(line[first + row], moves[row])
