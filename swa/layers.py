"""The layers of a net's forward pass on a CPU that are not 3x3 convolutions of whole boards.

All of them work on flat arrays of float32 in which an activation is [64 squares][channels], the
channels a multiple of 16, and on groups of boards; a start is an index into the array.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from swa.activations import activate8, sigmoid8
from swa.filters import TAPS
from swa.jit import inline, kernel
from swa.planes import FULL_BOARD
from swa.simd import (
    WIDTH,
    Float8,
    Floats,
    load8,
    lowest_bit,
    multiply_add,
    splat8,
    stay_apart,
    store8,
    total8,
)
from swa.spec import PLANES
from swa.winograd import SQUARES

_FULL = np.uint64(FULL_BOARD)
_EMPTY = np.uint64(0)
_ONE = np.uint64(1)

_ZERO = np.float32(0)

_ALIKE = ((0, 1), (1, 6), (7, 1))
"""Ranks, or files, that touch the same edges: the first of them, and how many they are."""


@kernel
def activate(
    source: Floats, source_start: int, target: Floats, start: int, count: int, activation: int
) -> None:
    """Apply an activation to ``count`` numbers of ``source``, into another array."""
    stay_apart()
    for step in range(0, count, WIDTH):
        numbers = load8(source, source_start + step)
        store8(target, start + step, activate8(numbers, activation))


@kernel
def scale_and_shift(
    source: Floats,
    source_start: int,
    scale: Floats,
    shift: Floats,
    channels: int,
    activation: int,
    target: Floats,
    start: int,
) -> None:
    """Scale and shift each channel of a board and activate it: a batch norm that is not folded."""
    for square in range(0, SQUARES * channels, channels):
        for channel in range(0, channels, WIDTH):
            place = square + channel
            numbers = load8(source, source_start + place)
            normed = multiply_add(load8(scale, channel), numbers, load8(shift, channel))
            store8(target, start + place, activate8(normed, activation))


@kernel
def add_and_activate(
    array: Floats, start: int, other: Floats, other_start: int, count: int, activation: int
) -> None:
    """Add ``other`` to ``array`` and apply an activation, in place: the end of a block."""
    stay_apart()
    for step in range(0, count, WIDTH):
        total = load8(array, start + step) + load8(other, other_start + step)
        store8(array, start + step, activate8(total, activation))


@kernel
def bias_and_activate(
    array: Floats, start: int, rows: int, width: int, bias: Floats, bias_start: int, activation: int
) -> None:
    """Add a bias to each row of ``width`` numbers and apply an activation, in place."""
    stay_apart()
    for row in range(rows):
        for column in range(0, width, WIDTH):
            place = start + row * width + column
            total = load8(array, place) + load8(bias, bias_start + column)
            store8(array, place, activate8(total, activation))


@kernel
def input_convolution(
    masks: NDArray[np.uint64],
    values: NDArray[np.float32],
    filters: Floats,
    bias: Floats,
    channels: int,
    sums: Floats,
    counts: NDArray[np.int64],
    planes: NDArray[np.int64],
    outputs: Floats,
) -> None:
    """The first convolution of a board, from its packed planes: ``masks`` and ``values`` [112].

    ``filters`` are [112][9 taps][channels]. Most planes are empty, full, or a few pieces on a few
    squares, the same ones in all eight positions; so squares push what stands on them to their
    neighbours, and full planes (rule 50, castling, the ones that show the edge) are one sum for
    each tap. To compute in: ``sums`` [9][channels], ``counts`` [64], ``planes`` [64][112].
    """
    stay_apart()
    for tap in range(0, TAPS * channels, WIDTH):
        store8(sums, tap, splat8(_ZERO))
    counts[:] = 0
    for plane in range(PLANES):
        mask = masks[plane]
        if mask == _FULL:
            value = splat8(values[plane])
            for place in range(0, TAPS * channels, WIDTH):
                filtered = load8(filters, plane * TAPS * channels + place)
                store8(sums, place, multiply_add(value, filtered, load8(sums, place)))
        else:
            while mask != _EMPTY:
                square = lowest_bit(mask)
                mask &= mask - _ONE
                planes[square * PLANES + counts[square]] = plane
                counts[square] += 1
    _full_planes(sums, bias, channels, outputs)
    for square in range(SQUARES):
        if counts[square]:
            _push(square, counts[square], planes, values, filters, channels, outputs)


@kernel
def _full_planes(sums: Floats, bias: Floats, channels: int, outputs: Floats) -> None:
    """Begin each square's output with the bias and the full planes, as far as there is a board.

    Squares differ only by the edges that they touch.
    """
    for rank, ranks in _ALIKE:
        for file, files in _ALIKE:
            for channel in range(0, channels, WIDTH):
                total = load8(bias, channel)
                for tap in range(TAPS):
                    if 0 <= rank + tap // 3 - 1 < 8 and 0 <= file + tap % 3 - 1 < 8:
                        total = total + load8(sums, tap * channels + channel)
                for step in range(rank, rank + ranks):
                    for square in range(8 * step + file, 8 * step + file + files):
                        store8(outputs, square * channels + channel, total)


@kernel
def _push(
    square: int,
    count: int,
    planes: NDArray[np.int64],
    values: NDArray[np.float32],
    filters: Floats,
    channels: int,
    outputs: Floats,
) -> None:
    """Add what stands on a square to the outputs of its neighbours and its own.

    A neighbour one step up sees the square through its filter's tap one step down. The three
    neighbours of a rank are summed at once: six sums that do not wait for one another.
    """
    first = square * PLANES
    rank, file = square // 8, square % 8
    for step in range(max(rank - 1, 0), min(rank + 2, 8)):
        taps = (rank - step + 1) * 3
        target = (step * 8 + file) * channels
        for channel in range(0, channels, 2 * WIDTH):
            left0 = left1 = own0 = own1 = right0 = right1 = splat8(_ZERO)
            for entry in range(first, first + count):
                plane = planes[entry]
                value = splat8(values[plane])
                place = (plane * TAPS + taps) * channels + channel
                right0 = multiply_add(value, load8(filters, place), right0)
                right1 = multiply_add(value, load8(filters, place + WIDTH), right1)
                place += channels
                own0 = multiply_add(value, load8(filters, place), own0)
                own1 = multiply_add(value, load8(filters, place + WIDTH), own1)
                place += channels
                left0 = multiply_add(value, load8(filters, place), left0)
                left1 = multiply_add(value, load8(filters, place + WIDTH), left1)
            place = target + channel
            _add(outputs, place, own0, own1)
            if file > 0:
                _add(outputs, place - channels, left0, left1)
            if file < 7:
                _add(outputs, place + channels, right0, right1)


@inline
def _add(outputs: Floats, place: int, lower: Float8, upper: Float8) -> None:
    store8(outputs, place, load8(outputs, place) + lower)
    store8(outputs, place + WIDTH, load8(outputs, place + WIDTH) + upper)


@kernel
def squeeze(
    activations: Floats, start: int, channels: int, means: Floats, means_start: int
) -> None:
    """Mean of each channel over the squares of a board."""
    stay_apart()
    share = splat8(np.float32(1 / SQUARES))
    for channel in range(0, channels, 2 * WIDTH):  # two sums that do not wait for each other
        lower = upper = splat8(_ZERO)
        for place in range(start + channel, start + channel + SQUARES * channels, channels):
            lower = lower + load8(activations, place)
            upper = upper + load8(activations, place + WIDTH)
        store8(means, means_start + channel, lower * share)
        store8(means, means_start + channel + WIDTH, upper * share)


@kernel
def excite(activations: Floats, start: int, channels: int, gates: Floats, gates_start: int) -> None:
    """Scale each channel by the sigmoid of its gate and shift it, in place.

    ``gates`` are [2][channels]: what scales, then what shifts.
    """
    for channel in range(0, channels, WIDTH):
        scale = sigmoid8(load8(gates, gates_start + channel))
        shift = load8(gates, gates_start + channels + channel)
        for place in range(start + channel, start + channel + SQUARES * channels, channels):
            store8(activations, place, multiply_add(scale, load8(activations, place), shift))


@inline
def _dot(
    one: Floats, one_start: int, other: Floats, other_start: int, count: int, total: Float8
) -> Float8:
    """Add the product of two rows of ``count`` numbers to eight partial sums."""
    odd = splat8(_ZERO)
    for step in range(0, count, 2 * WIDTH):
        total = multiply_add(load8(one, one_start + step), load8(other, other_start + step), total)
        upper = step + WIDTH
        odd = multiply_add(load8(one, one_start + upper), load8(other, other_start + upper), odd)
    return total + odd


@kernel
def dense_logit(
    activations: Floats, start: int, count: int, weights: Floats, bias: Floats, row: int
) -> Any:
    """One output of a dense layer with ``count`` inputs: row ``row`` of [n][count] weights."""
    stay_apart()
    total = _dot(activations, start, weights, row * count, count, splat8(_ZERO))
    return total8(total) + bias[row]


@kernel
def move_logit(
    activations: Floats,
    channels: int,
    filters: Floats,
    bias: Floats,
    place: int,
) -> Any:
    """One move of a convolution policy: plane ``place // 64`` at its origin ``place % 64``.

    ``filters`` are [80 planes][9 taps][channels].
    """
    stay_apart()
    plane, square = place // SQUARES, place % SQUARES
    total = splat8(_ZERO)
    for tap in range(TAPS):
        rank, file = square // 8 + tap // 3 - 1, square % 8 + tap % 3 - 1
        if 0 <= rank < 8 and 0 <= file < 8:
            neighbour = (rank * 8 + file) * channels
            kernel_start = (plane * TAPS + tap) * channels
            total = _dot(activations, neighbour, filters, kernel_start, channels, total)
    return total8(total) + bias[plane]
