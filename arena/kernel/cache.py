"""What a net has answered, remembered by 128-bit keys in a bounded memory.

Answers are numbered in the order in which they come and lie in rings, each over the place of the
oldest. A bucket of the index is a chain of answers, each naming the next older one. As answers are
forgotten in order of age, the first forgotten one ends a chain: nothing is ever taken out of the
index, and a look-up needs no other rule.

Array letters: B boards of a batch, M legal moves of all of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from arena.kernel.bitboard import Words, signed
from arena.kernel.tree import MOST_MOVES
from swa.jit import inline, kernel

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

ANSWER = np.dtype(
    (
        np.record,
        [
            ("first_key", np.uint64),
            ("second_key", np.uint64),
            ("older", np.int64),  # number of the next older answer of its bucket
            ("start", np.int64),  # number of its first logit, among all logits ever kept
            ("win", np.float32),
            ("draw", np.float32),
            ("loss", np.float32),
            ("moves_left", np.float32),
            ("moves", np.int64),  # how many logits it has
        ],
    )
)

NONE = 0
"""The number of no answer; the first one has number 1."""

LOGITS_AN_ANSWER = 40
"""Room for logits; where positions have more legal moves, fewer of them are remembered."""

_NEXT, _OLDEST, _NEXT_LOGIT = 0, 1, 2


class Memory(NamedTuple):
    """The arrays of a cache; everything that ``remember`` changes."""

    newest: Numbers  # [power of two] number of the newest answer of each bucket, or NONE
    answers: npt.NDArray[np.void]  # ANSWER: number n lies at n % size
    logits: Floats  # number n lies at n % size; those of an answer are side by side
    numbers: Numbers  # [3] next answer, oldest answer that is remembered, next logit

    @classmethod
    def allocate(cls, positions: int) -> Memory:
        """Room for at most ``positions`` answers, at least 1; some 240 bytes each."""
        return cls(
            newest=np.zeros(2 << (positions - 1).bit_length(), np.int64),
            answers=np.empty(positions, ANSWER),
            logits=np.empty(LOGITS_AN_ANSWER * positions + MOST_MOVES, np.float32),
            numbers=np.array([1, 1, 0], np.int64),
        )

    @property
    def nbytes(self) -> int:
        """Memory of all arrays, in bytes (untouched pages are not resident)."""
        return sum(array.nbytes for array in self)


@inline
def _bucket(memory: Memory, first_key: np.uint64) -> int:
    return signed(first_key & np.uint64(memory.newest.size - 1))


@inline
def _find(memory: Memory, first_key: np.uint64, second_key: np.uint64, moves: int) -> int:
    """The number of the newest answer to a position with ``moves`` legal moves, or NONE."""
    oldest = memory.numbers[_OLDEST]
    number = memory.newest[_bucket(memory, first_key)]
    while number >= oldest:
        answer = memory.answers[number % memory.answers.size]
        if (
            answer.first_key == first_key
            and answer.second_key == second_key
            and answer.moves == moves
        ):
            return number
        number = answer.older
    return NONE


@inline
def _copy(source: Floats, target: Floats) -> None:
    # Not ``target[:] = source``: compiled, it may make an array, and a kernel must not.
    for index in range(target.size):
        target[index] = source[index]


@kernel
def look_up(
    memory: Memory,
    keys: Words,
    offsets: Numbers,
    logits: Floats,
    wdl: Floats,
    moves_left: Floats,
    unknown: Flags,
) -> int:
    """Write the answers that are remembered; mark the boards that have none and count them.

    ``keys`` [B, 2] and ``offsets`` [B + 1] are a batch; ``logits`` [M], ``wdl`` [B, 3],
    ``moves_left`` [B] and ``unknown`` [B] are written.
    """
    count = 0
    for board in range(keys.shape[0]):
        start, end = offsets[board], offsets[board + 1]
        number = _find(memory, keys[board, 0], keys[board, 1], end - start)
        unknown[board] = number == NONE
        if number == NONE:
            count += 1
            continue
        answer = memory.answers[number % memory.answers.size]
        place = answer.start % memory.logits.size
        _copy(memory.logits[place : place + answer.moves], logits[start:end])
        wdl[board, 0], wdl[board, 1], wdl[board, 2] = answer.win, answer.draw, answer.loss
        moves_left[board] = answer.moves_left
    return count


@kernel
def remember(
    memory: Memory, keys: Words, offsets: Numbers, logits: Floats, wdl: Floats, moves_left: Floats
) -> None:
    """Keep a net's answers to a batch, of at most MOST_MOVES legal moves a board.

    Nothing looks whether an answer is there already: ``look_up`` finds the newest.
    """
    numbers, answers = memory.numbers, memory.answers
    room = memory.logits.size
    for board in range(keys.shape[0]):
        moves = offsets[board + 1] - offsets[board]
        start = numbers[_NEXT_LOGIT]
        if start % room + moves > room:
            start += room - start % room
        number, oldest = numbers[_NEXT], numbers[_OLDEST]
        while oldest < number and (
            oldest + answers.size <= number
            or answers[oldest % answers.size].start + room < start + moves
        ):
            oldest += 1
        bucket = _bucket(memory, keys[board, 0])
        answer = answers[number % answers.size]
        answer.first_key, answer.second_key = keys[board, 0], keys[board, 1]
        answer.older = memory.newest[bucket]
        answer.start = start
        answer.moves = moves
        answer.win, answer.draw, answer.loss = wdl[board, 0], wdl[board, 1], wdl[board, 2]
        answer.moves_left = moves_left[board]
        place = start % room
        _copy(logits[offsets[board] : offsets[board + 1]], memory.logits[place : place + moves])
        memory.newest[bucket] = number
        numbers[_OLDEST] = oldest
        numbers[_NEXT] = number + 1
        numbers[_NEXT_LOGIT] = start + moves
