"""The compiled half of a refresh on a CPU: convolutions one at a time, exact sums of the outputs.

A *window* is some of the positions, with what is kept of them from layer to layer. The kernels are
those of the forward pass (``swa.winograd``, ``swa.layers``); a position's numbers are the same, bit
for bit, in any window. What is added up over positions is added without rounding, so the sums too
depend neither on windows and threads nor on the order of positions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from swa.activations import NO_ACTIVATION
from swa.forward import Workspace, squeeze_and_excite
from swa.jit import compile_as, inline, kernel
from swa.layers import activate, add_and_activate, input_convolution, scale_and_shift
from swa.packed import Packed, Tower
from swa.simd import WIDTH, Floats, load8, multiply_add, splat8, store8
from swa.winograd import (
    GROUP,
    SQUARES,
    Layout,
    from_slots,
    layout_of,
    multiply,
    multiply_rows,
    to_slots,
)

BINS = 16
"""Whole numbers that an exact sum is kept in, each for numbers of 16 neighbouring exponents."""

OVERFLOW = BINS - 1
"""The bin that is no sum, but not 0 if a number was infinite, no number, or 2^113 and more."""

UNIT = -150
"""A sum is the total of bin * 2^(16 * its place + UNIT): float32's exponents are biased by 127, and
its 24 digits taken as a whole number."""

_EXPONENTS = BINS  # a bin
_DIGITS = 23  # stored of float32's 24
_FIRST_DIGIT = 1 << _DIGITS


class Sums(NamedTuple):
    """Exact sums of what a convolution gave, channel by channel, over all squares and positions."""

    channels: int  # padded; 0 where nothing is to be added up
    bins: NDArray[np.int64]  # [2][channels][BINS] of the numbers, of their squares


def new_sums(channels: int) -> Sums:
    """Sums of nothing yet."""
    return Sums(channels, np.zeros(2 * channels * BINS, np.int64))


class Norm(NamedTuple):
    """A batch norm with its new statistics: what it multiplies by, then adds."""

    scale: Floats  # [channels]
    shift: Floats  # [channels]


class Kept(NamedTuple):
    """What is kept of a window's B positions from layer to layer."""

    block: Floats  # [B][64][filters] what the current block began with
    raw: Floats  # [B][64][filters] what the last convolution gave, before its batch norm


def bits_of(number: np.float32) -> int:
    """The 32 bits of a float32 as a whole number with a sign."""
    return int(np.float32(number).view(np.int32))


def _bits_of(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    return builder.bitcast(number, ir.IntType(32))


compile_as(bits_of, (types.float32,), types.int32, _bits_of)


@inline
def _add_single(bins: NDArray[np.int64], start: int, number: np.float32) -> None:
    """Add a float32 to the sum whose bins begin at ``start``; less than 2^-126 is nothing."""
    bits = np.int64(bits_of(number))
    exponent = (bits >> _DIGITS) & 255
    digits = (bits & (_FIRST_DIGIT - 1)) | _FIRST_DIGIT
    if exponent >= OVERFLOW * _EXPONENTS:
        bins[start + OVERFLOW] = 1
    elif exponent:
        place = start + exponent // _EXPONENTS
        bins[place] += (-digits if bits < 0 else digits) << (exponent % _EXPONENTS)


@inline
def add_exactly(bins: NDArray[np.int64], start: int, number: float) -> None:
    """Add a float64, rounded to 48 digits, to the sum whose bins begin at ``start``.

    A bin takes 2^23 numbers: 39 bits each, in two parts. (After Neal, "Fast exact summation using
    small and large superaccumulators", 2015, arXiv 1505.05571.)
    """
    upper = np.float32(number)
    _add_single(bins, start, upper)
    _add_single(bins, start, np.float32(np.float64(number) - np.float64(upper)))


@kernel
def _add_up(sums: Sums, numbers: Floats, start: int, boards: int, scratch: Floats) -> None:
    """Add [boards][64 squares][channels] numbers to the sums.

    Each board's numbers are added up in float32 as distances from their first, so that no digits
    cancel where a channel varies little about a large mean; from there on in float64.
    """
    channels, bins = sums.channels, sums.bins
    if not channels:
        return
    size = SQUARES * channels
    for first in range(start, start + boards * size, size):
        for channel in range(0, channels, WIDTH):
            origin = load8(numbers, first + channel)
            total = square_total = splat8(np.float32(0))
            for place in range(first + channel, first + channel + size, channels):
                distance = load8(numbers, place) - origin
                total = total + distance
                square_total = multiply_add(distance, distance, square_total)
            store8(scratch, 0, total)
            store8(scratch, WIDTH, square_total)
            for lane in range(WIDTH):
                offset = np.float64(numbers[first + channel + lane])
                distances = np.float64(scratch[lane])
                squares = np.float64(scratch[WIDTH + lane])
                place = (channel + lane) * BINS
                add_exactly(bins, place, distances + SQUARES * offset)
                squares += offset * (2.0 * distances + SQUARES * offset)
                add_exactly(bins, channels * BINS + place, squares)


@kernel
def convolve_inputs(
    net: Tower,
    work: Workspace,
    masks: NDArray[np.uint64],
    values: NDArray[np.float32],
    raw: Floats,
    first: int,
    end: int,
    sums: Sums,
) -> None:
    """Run the input layer on the boards from ``first`` to before ``end``."""
    size = SQUARES * net.filters
    for board in range(first, end):
        input_convolution(
            masks[board],
            values[board],
            net.input,
            net.input_bias,
            net.filters,
            work.sums,
            work.counts,
            work.planes,
            work.inner,
        )
        activate(work.inner, 0, raw, board * size, size, NO_ACTIVATION)
        _add_up(sums, work.inner, 0, 1, work.sums)


@kernel
def _finish_block(
    net: Tower,
    work: Workspace,
    layout: Layout,
    conv: int,
    norm: Norm,
    kept: Kept,
    start: int,
    boards: int,
) -> None:
    """Norm what convolution ``conv`` gave; with it, end the block of which it was the last.

    Convolution -1 is the input layer's. The result is in ``kept.block`` and in the slots.
    """
    filters, size = net.filters, SQUARES * net.filters
    for board in range(boards):
        scale_and_shift(
            kept.raw,
            start + board * size,
            norm.scale,
            norm.shift,
            filters,
            NO_ACTIVATION,
            work.inner,
            board * size,
        )
    if conv >= 0 and net.se:
        squeeze_and_excite(net, work, conv // 2, boards)
    for board in range(boards):
        place = start + board * size
        if conv >= 0:
            add_and_activate(kept.block, place, work.inner, board * size, size, net.activation)
        else:
            activate(work.inner, board * size, kept.block, place, size, net.activation)
        to_slots(kept.block, place, filters, work.slots, layout, board)


@kernel
def convolve_blocks(
    net: Tower,
    work: Workspace,
    conv: int,
    norm: Norm,
    kept: Kept,
    first: int,
    end: int,
    sums: Sums,
) -> None:
    """Run convolution ``conv`` of the blocks on what the one before it gave."""
    filters, size = net.filters, SQUARES * net.filters
    for group in range(first, end, GROUP):
        boards, start = min(GROUP, end - group), group * size
        layout = layout_of(work.slots, boards, net.convs)
        if conv % 2:
            for board in range(boards):
                place = start + board * size
                scale_and_shift(
                    kept.raw,
                    place,
                    norm.scale,
                    norm.shift,
                    filters,
                    net.activation,
                    work.inner,
                    0,
                )
                to_slots(work.inner, 0, filters, work.slots, layout, board)
        else:
            _finish_block(net, work, layout, conv - 1, norm, kept, start, boards)
        multiply(work.slots, layout, boards, net.convs, conv)
        for board in range(boards):
            place = start + board * size
            from_slots(
                work.slots,
                layout,
                board,
                net.biases,
                0,
                filters,
                NO_ACTIVATION,
                kept.raw,
                place,
            )
            _add_up(sums, kept.raw, place, 1, work.sums)


@kernel
def convolve_heads(
    net: Packed,
    work: Workspace,
    norm: Norm,
    kept: Kept,
    first: int,
    end: int,
    policy: Sums,
    value: Sums,
    moves_left: Sums,
) -> None:
    """Run the convolutions that the heads begin with on what the tower comes to."""
    tower, size = net.tower, SQUARES * net.tower.filters
    filters = tower.filters
    for group in range(first, end, GROUP):
        boards, start = min(GROUP, end - group), group * size
        layout = layout_of(work.slots, boards, tower.convs)
        _finish_block(tower, work, layout, 2 * tower.blocks - 1, norm, kept, start, boards)
        if net.policy.convolution:
            channels = policy.channels
            multiply(work.slots, layout, boards, net.policy.filters, 0)
            for board in range(boards):
                from_slots(
                    work.slots,
                    layout,
                    board,
                    net.policy.bias,
                    0,
                    channels,
                    NO_ACTIVATION,
                    work.inner,
                    0,
                )
                _add_up(policy, work.inner, 0, 1, work.sums)
        else:
            _convolve_points(net.policy.conv, policy, work, kept, start, boards, filters)
        _convolve_points(net.value.conv, value, work, kept, start, boards, filters)
        if moves_left.channels:
            conv = net.moves_left.conv
            _convolve_points(conv, moves_left, work, kept, start, boards, filters)


@kernel
def _convolve_points(
    weights: Floats,
    sums: Sums,
    work: Workspace,
    kept: Kept,
    start: int,
    boards: int,
    filters: int,
) -> None:
    """Run a 1x1 convolution."""
    squares, channels = boards * SQUARES, sums.channels
    multiply_rows(
        kept.block,
        start,
        filters,
        squares,
        weights,
        0,
        filters,
        channels,
        work.head,
        0,
        channels,
    )
    _add_up(sums, work.head, 0, boards, work.sums)
