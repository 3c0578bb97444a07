"""Evaluators that stand in for nets: in tests, where search itself is measured, as weak opponents.

B = positions of a batch, M = legal moves of all of them.
"""

from __future__ import annotations

import time
from itertools import pairwise
from threading import Lock

import chess
import numpy as np
from numpy.typing import NDArray

from arena.evaluator import Evaluation, Evaluator, Leaves, encoding_of
from swa import policy_map
from swa.jit import inline, kernel


class UniformEvaluator:
    """Knows nothing: all moves alike, every position even. For tests."""

    name = "uniform"
    has_moves_left = False

    def evaluate(self, leaves: Leaves) -> Evaluation:
        """Evaluate a batch; see ``Evaluator``."""
        boards = len(leaves.offsets) - 1
        return Evaluation(
            logits=np.zeros(len(leaves.moves), np.float32),
            wdl=np.tile(np.array([0.25, 0.5, 0.25], np.float32), (boards, 1)),
            moves_left=np.zeros(boards, np.float32),
        )


class HashEvaluator:
    """A pseudo-random net that costs next to nothing, for tests and benchmarks of search.

    The evaluation is a function of the seed and the board's planes alone, bit for bit: the batch,
    the thread and the machine do not matter. At one visit it is a random mover.
    """

    has_moves_left = False

    def __init__(self, seed: int = 0) -> None:
        self.name = f"hash-{seed}"
        self._seed = np.uint64(seed)

    def evaluate(self, leaves: Leaves) -> Evaluation:
        """Evaluate a batch; see ``Evaluator``."""
        boards = len(leaves.offsets) - 1
        logits = np.empty(len(leaves.moves), np.float32)
        wdl = np.empty((boards, 3), np.float32)
        _hash_boards(
            self._seed,
            leaves.masks,
            leaves.values.view(np.uint32),
            leaves.moves,
            leaves.offsets,
            logits,
            wdl,
        )
        return Evaluation(logits, wdl, np.zeros(boards, np.float32))


class MaterialEvaluator:
    """The weakest player that wants to win: it takes what it can, a move ahead, and mates.

    At one visit its move is the one after which it has most material, P N B R Q = 1 3 3 5 9, mate
    above all; among equals a pseudo-random one. Every position is even to it.
    """

    has_moves_left = False

    def __init__(self, seed: int = 0) -> None:
        self.name = f"material-{seed}"
        self._chance = HashEvaluator(seed)

    def evaluate(self, leaves: Leaves) -> Evaluation:
        """Evaluate a batch; see ``Evaluator``. Some milliseconds a position."""
        logits, wdl, moves_left = self._chance.evaluate(leaves)
        for row, (start, end) in enumerate(pairwise(leaves.offsets.tolist())):
            board = _board(leaves.masks[row])
            for edge in range(start, end):
                logits[edge] += _PAWN * _gain(board, int(leaves.moves[edge]))
        return Evaluation(logits, np.full_like(wdl, 1 / 3), moves_left)


_PAWN = 5.0
"""A pawn in logits: more than chance, which is from -2 to 2."""
_PIECES = {
    chess.PAWN: 1,
    chess.KNIGHT: 3,
    chess.BISHOP: 3,
    chess.ROOK: 5,
    chess.QUEEN: 9,
    chess.KING: 0,
}
_MATE = 100
_PROMOTED = {
    policy_map.NO_PROMOTION: chess.KNIGHT,
    policy_map.BISHOP: chess.BISHOP,
    policy_map.ROOK: chess.ROOK,
    policy_map.QUEEN: chess.QUEEN,
}


def _board(masks: NDArray[np.uint64]) -> chess.Board:
    """The pieces of a position; the mover is white. Castling and en passant are not known."""
    board = chess.Board(None)
    for plane in range(12):
        piece = chess.Piece(1 + plane % 6, plane < 6)
        for square in chess.scan_forward(int(masks[plane])):
            board.set_piece_at(square, piece)
    return board


def _gain(board: chess.Board, index: int) -> int:
    """What a legal move wins at once, in pawns."""
    origin, target = int(policy_map.FROM[index]), int(policy_map.TO[index])
    if board.color_at(target) == chess.WHITE:  # castling: the king takes its own rook
        return 0
    gain = 0
    taken, moved = board.piece_type_at(target), board.piece_type_at(origin)
    promotion = None
    if taken is not None:
        gain = _PIECES[taken]
    elif moved == chess.PAWN and chess.square_file(origin) != chess.square_file(target):
        gain, board.ep_square = 1, target
    if moved == chess.PAWN and target >= chess.A8:
        promotion = _PROMOTED[int(policy_map.PROMOTION[index])]
        gain += _PIECES[promotion] - 1
    board.push(chess.Move(origin, target, promotion))
    mates = board.is_checkmate()
    board.pop()
    board.ep_square = None
    return _MATE if mates else gain


class DelayEvaluator:
    """A stand-in for an accelerator: each batch takes a fixed time, one batch after the other.

    As a device does, it queues what is asked for while it is busy, and leaves the CPU to the
    search: the time is slept. ``busy_seconds`` is how long it had work, ``batches`` and
    ``positions`` how much.
    """

    def __init__(self, inner: Evaluator, seconds_per_batch: float) -> None:
        self.name = f"{inner.name} at {1000 * seconds_per_batch:g} ms a batch"
        self.has_moves_left = inner.has_moves_left
        self.encoding = encoding_of(inner)
        self.seconds_per_batch = seconds_per_batch
        self.batches = 0
        self.positions = 0
        self._inner = inner
        self._free_at = 0.0
        self._queue = Lock()

    @property
    def busy_seconds(self) -> float:
        """Seconds of work that were asked for."""
        return self.batches * self.seconds_per_batch

    def evaluate(self, leaves: Leaves) -> Evaluation:
        """Evaluate a batch; see ``Evaluator``."""
        with self._queue:
            done_at = max(time.perf_counter(), self._free_at) + self.seconds_per_batch
            self._free_at = done_at
            self.batches += 1
            self.positions += len(leaves.offsets) - 1
        evaluation = self._inner.evaluate(leaves)
        time.sleep(max(0.0, done_at - time.perf_counter()))
        return evaluation


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: odd, bits well mixed
_MIX = np.uint64(0xBF58476D1CE4E5B9)  # Steele et al., "Fast splittable PRNGs", 2014: SplitMix64
_HALF = np.uint64(32)
_FOURTH = np.uint64(16)
_LOW_16 = np.uint64(0xFFFF)
_STATE_PLANES = 104  # first plane that is not history: castling, rule 50, ...
_UNIT = np.float32(1 / 65536)


@inline
def _mix(word: np.uint64) -> np.uint64:
    word = (word ^ (word >> _HALF)) * _MIX
    return word ^ (word >> _HALF)


@kernel
def _hash_boards(
    seed: np.uint64,
    masks: NDArray[np.uint64],
    value_bits: NDArray[np.uint32],
    moves: NDArray[np.uint16],
    offsets: NDArray[np.int64],
    logits: NDArray[np.float32],
    wdl: NDArray[np.float32],
) -> None:
    """Fill ``logits`` in [-2, 2) and ``wdl`` from hashes of planes and moves."""
    for board in range(masks.shape[0]):
        # Four chains of multiplications instead of one: four times as fast.
        one, two = seed ^ _GOLDEN, seed + _GOLDEN
        three, four = seed ^ _MIX, seed + _MIX
        for plane in range(0, masks.shape[1], 4):
            one = (one ^ masks[board, plane]) * _GOLDEN
            two = (two ^ masks[board, plane + 1]) * _GOLDEN
            three = (three ^ masks[board, plane + 2]) * _GOLDEN
            four = (four ^ masks[board, plane + 3]) * _GOLDEN
            # A product's low bits see only the low bits of its factors.
            one ^= one >> _HALF
            two ^= two >> _HALF
            three ^= three >> _HALF
            four ^= four >> _HALF
        for plane in range(_STATE_PLANES, masks.shape[1]):
            one = (one ^ np.uint64(value_bits[board, plane])) * _GOLDEN
        position = _mix(_mix(_mix(one) ^ two) ^ three) ^ four
        outcome = _mix(position)
        draw = np.float32(outcome & _LOW_16) * _UNIT * np.float32(0.5)
        win = (np.float32(1) - draw) * np.float32((outcome >> _FOURTH) & _LOW_16) * _UNIT
        wdl[board, 0] = win
        wdl[board, 1] = draw
        wdl[board, 2] = np.float32(1) - draw - win
        for edge in range(offsets[board], offsets[board + 1]):
            word = _mix(position + np.uint64(moves[edge]) * _GOLDEN)
            logits[edge] = np.float32(word >> np.uint64(48)) * _UNIT * np.float32(4) - np.float32(2)
