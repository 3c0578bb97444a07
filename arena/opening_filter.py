"""Which openings are played by what a net says of them, and openings as a net sees them.

A book that was level for the engine which made it need not be so for the nets that play from it.
What decides for a pair is how far its opening is from level, not for whom: both players have
either side once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from arena.boards import line_from_game
from arena.encoding import CLASSICAL, Encoding
from arena.evaluator import EvaluationError, Evaluator, Leaves, encoding_of
from arena.game import Opening
from arena.kernel.formats import pack_input
from arena.kernel.movegen import MAX_MOVES, legal_moves
from swa.spec import PLANES


class OpeningFilter:
    """Lets openings through whose |Q| is from ``least`` to ``most``, both included.

    Q is the expected result in [-1, 1] that the net itself gives for the position after the
    opening's moves, as a search of one visit does.
    """

    def __init__(self, evaluator: Evaluator, least: float, most: float):
        self._evaluator = evaluator
        self._least = least
        self._most = most

    def __call__(self, openings: Sequence[Opening]) -> list[bool]:
        """Say of each of at least one opening whether it is let through.

        Raises EvaluationError where the net's answer is not a number.
        """
        wdl = self._evaluator.evaluate(leaves_of(openings, encoding_of(self._evaluator))).wdl
        q = np.abs(wdl[:, 0] - wdl[:, 2])
        if not np.isfinite(q).all():
            raise EvaluationError(
                f"{self._evaluator.name}: the evaluation of an opening is not a finite number\n"
                "Half precision overflows with some nets: try --dtype float32."
            )
        passed: list[bool] = ((self._least <= q) & (q <= self._most)).tolist()
        return passed


def leaves_of(openings: Sequence[Opening], encoding: Encoding = CLASSICAL) -> Leaves:
    """The positions after the openings' moves as nets of an encoding see them.

    They have no keys: they are for no cache.
    """
    count = len(openings)
    masks = np.zeros((count, PLANES), np.uint64)
    values = np.zeros((count, PLANES), np.float32)
    transforms, input_format = np.zeros(count, np.uint8), int(encoding.input_format)
    moves = []
    for row, opening in enumerate(openings):
        line = line_from_game(opening.board(), opening.moves, len(opening.moves) + 1)
        transforms[row] = pack_input(
            line.positions, line.last, line.fill, input_format, masks[row], values[row]
        )
        found = np.empty(MAX_MOVES, np.uint16)
        moves.append(found[: legal_moves(line.positions[line.last], found)])
    return Leaves(
        masks=masks,
        values=values,
        moves=np.concatenate(moves),
        offsets=np.cumsum([0, *map(len, moves)], dtype=np.int64),
        keys=np.zeros((count, 2), np.uint64),
        transforms=transforms,
    )
