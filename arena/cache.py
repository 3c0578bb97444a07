"""A net that remembers what it has answered, so that it need not answer again.

Positions are told apart by everything that a net sees of them, history and clocks included, so the
answers are those that the net would give again, and a match is the same with a cache and without
(with torch, up to the rounding by which an answer depends on the rest of its batch). The price is
that a transposition, whose history differs, is another position: what remains are the first moves
of a pair's two games, 1 position in 100 between two real nets, and far more where a net meets
itself.
"""

from __future__ import annotations

import numpy as np

from arena.evaluator import NOT_TURNED, Evaluation, Evaluator, Leaves, encoding_of
from arena.kernel.cache import Memory, look_up, remember


class CachedEvaluator:
    """An evaluator in front of another that is asked only for what is not remembered.

    Each caller that runs in a thread of its own needs one of its own: there is no lock, and what a
    batch consists of does not depend on what other threads asked first. A position that stands in
    one batch twice is evaluated twice. ``lookups`` counts the positions asked for, ``hits`` those
    that were remembered.
    """

    def __init__(self, inner: Evaluator, positions: int) -> None:
        """Remember the last ``positions`` answers of ``inner``, or fewer with many moves.

        240 bytes a position, and only as they fill up. Raises ValueError for less than 1.
        """
        if positions < 1:
            raise ValueError(f"a cache needs room for a position, not {positions}")
        self.name = inner.name
        self.has_moves_left = inner.has_moves_left
        self.encoding = encoding_of(inner)
        self.lookups = 0
        self.hits = 0
        self._inner = inner
        self._memory = Memory.allocate(positions)

    @property
    def nbytes(self) -> int:
        """Memory once the cache is full, in bytes."""
        return self._memory.nbytes

    def evaluate(self, leaves: Leaves) -> Evaluation:
        """Evaluate a batch; see ``Evaluator``."""
        boards = len(leaves.offsets) - 1
        evaluation = Evaluation(
            logits=np.empty(len(leaves.moves), np.float32),
            wdl=np.empty((boards, 3), np.float32),
            moves_left=np.empty(boards, np.float32),
        )
        unknown = np.empty(boards, np.bool_)
        count = look_up(self._memory, leaves.keys, leaves.offsets, *evaluation, unknown)
        self.lookups += boards
        self.hits += boards - count
        if count == 0:
            return evaluation
        if count == boards:
            return self._ask(leaves)
        rows = np.flatnonzero(unknown)
        moves = np.diff(leaves.offsets)
        unknown_moves = np.repeat(unknown, moves)
        answers = self._ask(
            Leaves(
                masks=leaves.masks.take(rows, axis=0),
                values=leaves.values.take(rows, axis=0),
                moves=leaves.moves[unknown_moves],
                offsets=np.append(0, np.cumsum(moves[rows])),
                keys=leaves.keys.take(rows, axis=0),
                transforms=leaves.transforms[unknown] if leaves.transforms.size else NOT_TURNED,
            )
        )
        evaluation.logits[unknown_moves] = answers.logits
        evaluation.wdl[rows] = answers.wdl
        evaluation.moves_left[rows] = answers.moves_left
        return evaluation

    def _ask(self, leaves: Leaves) -> Evaluation:
        answers = self._inner.evaluate(leaves)
        remember(self._memory, leaves.keys, leaves.offsets, *answers)
        return answers
