"""3x3 convolutions of a board by Winograd's F(4x4, 3x3), on a CPU; docs/winograd.md draws it.

Four tiles of 4x4 squares cover a board. A tile's outputs depend on 6x6 inputs; transformed, those
36 numbers a channel meet the 36 of a transformed filter one by one, so a convolution becomes 36
matrix products, one a *slot*, with a quarter of the multiplications (Lavin and Gray, "Fast
algorithms for convolutional neural networks", 2015, arXiv 1509.09308). The points at which the
polynomials are evaluated are 0, +-sqrt(1/2), +-sqrt(2) and infinity: half the rounding error of
0, +-1, +-2 at the same cost (the choice of Alam et al., "Winograd convolution for deep neural
networks: efficient point selection", 2022, arXiv 2201.10369, confirmed by tests/swa/test_winograd).

A *group* of up to six boards goes through a whole net together: its 24 tiles are four times the
rows of ``multiply_panel``, and its slots stay in the second-level cache.

Activations are [64 squares][channels], channels padded to a multiple of 16, everything in flat
arrays. Transformed inputs and outputs share one array of 37 slots: the outputs of slot s overwrite
the inputs of slot s - 1, which are used up by then.

    slot 0      slot 1      slot 2            slot 36
    | out 0     | in 0      | in 1      | ... | in 35     |      a slot: [24 tiles][width]
    | out 0     | out 1     | in 1      | ...                    after two matrix products

A single board of a wide net lies otherwise (``Layout``), and its filters are transformed again.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from swa.activations import MISH, RELU, activate8
from swa.filters import (
    FAR,
    NARROW,
    NEAR,
    POINTS,
    ROW_PAIRS,
    SLICE_SIZE,
    SLOTS,
    TAPS,
    Filters,
    denominator,
    padded,
    transform_slice,
)
from swa.jit import inline, kernel
from swa.simd import (
    LINE,
    PANEL_OUTPUTS,
    PANEL_ROWS,
    SLICE,
    WIDTH,
    Float8,
    Floats,
    aligned,
    load8,
    maximum8,
    multiply_add,
    multiply_panel,
    multiply_slice,
    splat8,
    stay_apart,
    store8,
)

SQUARES = 64
GROUP = 6
"""Boards that go through a net together."""
TILES = 4
"""Tiles of a board: two by two."""

SEGMENT = 16
"""Inputs that are summed up by themselves before they are added to the rest: one chain of 64 sums
loses about twice what four of 16 do (Higham, "The accuracy of floating point summation", SIAM J.
Sci. Comput. 14, 1993). At 64 channels it costs a tenth of the speed; at 128, where a panel, its
inputs and its outputs do not fit into the first-level cache together, it would cost an eighth, so
convolutions of more than ``NARROW`` channels sum in one chain."""

_NEAR, _FAR = np.float32(NEAR), np.float32(FAR)
_HALF_NEAR, _TWICE_FAR = np.float32(NEAR / 2), np.float32(FAR * 2)
_ONE, _NEAR_SHARE, _FAR_SHARE = (
    np.float32(1),
    *(np.float32(1 / denominator(point)) for point in (NEAR, FAR)),
)
_ZERO, _NO_LEAST = np.float32(0), np.float32(-math.inf)
_HALF, _TWO, _TWO_AND_HALF = np.float32(0.5), np.float32(2), np.float32(2.5)

COLUMNS = 10
"""Files that the tiles reach to: eight, and one of zeros beyond each edge."""


class Slots(NamedTuple):
    """Where a group's convolutions are computed, for layers of up to ``width`` channels."""

    numbers: Floats  # [37][stride], or what a ``Layout`` says
    stride: int  # numbers from one slot to the next
    width: int  # channels, padded: numbers from one tile to the next
    scratch: Floats  # [6][10 files][8], what ``to_slots`` has transformed one way
    filters: Floats  # [12][16][16], a slice of them transformed for a single board


class Layout(NamedTuple):
    """Where a group's numbers are in ``Slots.numbers``.

    Of channel c in slot s of tile t, the boards' tiles counted through, the input is at ``inputs``
    and the output at ``outputs`` + ``s * slot + t * tile + c // 16 * panel + c % 16``. The outputs
    of the points +-a and +-b are to be multiplied by ``near`` and ``far``.
    """

    alone: bool  # a single board, by ``multiply_slice``
    inputs: int
    outputs: int
    slot: int
    tile: int
    panel: int
    near: np.float32
    far: np.float32


def new_slots(channels: int) -> Slots:
    """Slots for layers of up to ``channels``: 228 kB for 64 of them."""
    width = padded(channels)
    # The line in between keeps the 36 slots of a number out of one another's cache sets.
    stride = GROUP * TILES * width + LINE // 4
    return Slots(
        aligned((SLOTS + 1) * stride),
        stride,
        width,
        aligned(POINTS * COLUMNS * WIDTH),
        aligned(2 * POINTS * SLICE_SIZE if width > NARROW else 0),
    )


@kernel
def layout_of(slots: Slots, boards: int, filters: Filters) -> Layout:
    """How ``boards`` boards lie in the slots, for convolutions by these filters.

    A single board of which the taps are kept has its numbers closer together: slice by slice, in
    the order in which they are needed.
    """
    near, far = (_ONE, _ONE) if filters.divided else (_NEAR_SHARE, _FAR_SHARE)
    if filters.divided or boards > 1:
        return Layout(False, slots.stride, 0, slots.stride, slots.width, PANEL_OUTPUTS, near, far)
    slot, panel = TILES * PANEL_OUTPUTS, SLOTS * TILES * PANEL_OUTPUTS
    return Layout(True, 0, SLOTS * TILES * slots.width, slot, PANEL_OUTPUTS, panel, near, far)


@kernel
def multiply_rows(
    inputs: Floats,
    first: int,
    stride: int,
    rows: int,
    weights: Floats,
    start: int,
    depth: int,
    width: int,
    outputs: Floats,
    target: int,
    target_stride: int,
    segment: int = SEGMENT,
) -> None:
    """Multiply ``rows`` of ``depth`` inputs by packed weights: ``width`` outputs each."""
    stay_apart()
    # All rows together fetch the next panel, none of them more than memory can give meanwhile.
    pace = PANEL_OUTPUTS // -(-rows // PANEL_ROWS[-1])
    for panel in range(0, width, PANEL_OUTPUTS):
        matrix = start + panel * depth
        ahead = matrix + depth * PANEL_OUTPUTS
        row = 0
        while row < rows:
            left = rows - row
            # Eight rows are better cut in halves than into six and two.
            taken = 6 if left >= 6 and left != 8 else 4 if left >= 4 else 2 if left >= 2 else 1
            source, place = first + row * stride, target + row * target_stride + panel
            multiply_panel(
                taken,
                inputs,
                source,
                stride,
                weights,
                matrix,
                depth,
                segment,
                outputs,
                place,
                target_stride,
                weights,
                ahead,
                pace,
            )
            row += taken
            ahead += pace * depth


@kernel
def multiply(slots: Slots, layout: Layout, boards: int, filters: Filters, conv: int) -> None:
    """Multiply the inputs of ``boards`` boards by the filters of convolution ``conv``."""
    stay_apart()
    if layout.alone:
        _multiply_one(slots, layout, filters, conv)
        return
    inputs, outputs = filters.inputs, filters.outputs
    size = inputs * outputs
    for slot in range(SLOTS):
        multiply_rows(
            slots.numbers,
            layout.inputs + slot * layout.slot,
            layout.tile,
            TILES * boards,
            filters.slots,
            (conv * SLOTS + slot) * size,
            inputs,
            outputs,
            slots.numbers,
            layout.outputs + slot * layout.slot,
            layout.tile,
            inputs if inputs > NARROW else SEGMENT,
        )


@kernel
def _multiply_one(slots: Slots, layout: Layout, filters: Filters, conv: int) -> None:
    """Multiply the inputs of a single board by the filters of which the taps are kept.

    Slice by slice of a panel, all sums of the panel side by side. Meanwhile the taps of the next
    slice are fetched.
    """
    depth, size = filters.inputs, TAPS * SLICE_SIZE
    taps, sums = conv * filters.outputs * depth * TAPS, layout.outputs
    for _ in range(0, filters.outputs, PANEL_OUTPUTS):
        inputs = layout.inputs
        for first in range(0, depth, SLICE):
            ahead = taps + size
            for pair in range(len(ROW_PAIRS)):
                transform_slice(
                    filters.taps, taps, pair, slots.filters, 0, POINTS * SLICE_SIZE, SLICE_SIZE
                )
                one, other = ROW_PAIRS[pair]
                for half in range(2):
                    row = other if half else one
                    for point in range(POINTS):
                        place = (row * POINTS + point) * layout.slot
                        multiply_slice(
                            slots.numbers,
                            inputs + place,
                            layout.tile,
                            slots.filters,
                            (half * POINTS + point) * SLICE_SIZE,
                            slots.numbers,
                            sums + place,
                            first,
                            filters.taps,
                            ahead,
                        )
                        ahead += size // SLOTS
            taps += size
            inputs += layout.panel
        sums += layout.panel


@inline
def _input_transform(
    d0: Float8, d1: Float8, d2: Float8, d3: Float8, d4: Float8, d5: Float8
) -> tuple[Float8, Float8, Float8, Float8, Float8, Float8]:
    """B^T d: row k holds the coefficients of the product of x - q over the finite points q but k.

    With M(x) = x (x^2 - 1/2) (x^2 - 2) these are M(x) / (x - p), and M(x) itself at infinity.
    """
    minus_half, minus_two = splat8(-_HALF), splat8(-_TWO)
    middle = splat8(-_TWO_AND_HALF)
    near_even = multiply_add(minus_two, d2, d4)
    near_odd = multiply_add(minus_two, d1, d3)
    far_even = multiply_add(minus_half, d2, d4)
    far_odd = multiply_add(minus_half, d1, d3)
    return (
        multiply_add(middle, d2, d0 + d4),
        multiply_add(splat8(_NEAR), near_odd, near_even),
        multiply_add(splat8(-_NEAR), near_odd, near_even),
        multiply_add(splat8(_FAR), far_odd, far_even),
        multiply_add(splat8(-_FAR), far_odd, far_even),
        multiply_add(middle, d3, d1 + d5),
    )


@inline
def _output_transform(
    near: np.float32,
    far: np.float32,
    m0: Float8,
    m1: Float8,
    m2: Float8,
    m3: Float8,
    m4: Float8,
    m5: Float8,
) -> tuple[Float8, Float8, Float8, Float8]:
    """A^T m: output i is the sum of m_p p^i over the points p; infinity counts for the last.

    The points' products are worth ``near`` and ``far`` times as much: 1, where filters are divided.
    """
    near_sum, near_difference = m1 + m2, m1 - m2
    far_sum, far_difference = m3 + m4, m3 - m4
    return (
        multiply_add(splat8(far), far_sum, multiply_add(splat8(near), near_sum, m0)),
        multiply_add(splat8(far * _FAR), far_difference, splat8(near * _NEAR) * near_difference),
        multiply_add(splat8(far * _TWO), far_sum, splat8(near * _HALF) * near_sum),
        multiply_add(
            splat8(far * _TWICE_FAR),
            far_difference,
            multiply_add(splat8(near * _HALF_NEAR), near_difference, m5),
        ),
    )


@inline
def _within_tile(layout: Layout, channel: int) -> int:
    return channel // PANEL_OUTPUTS * layout.panel + channel % PANEL_OUTPUTS


@kernel
def to_slots(
    activations: Floats, start: int, channels: int, slots: Slots, layout: Layout, board: int
) -> None:
    """Transform a board's activations [64][channels] into its inputs in the slots."""
    numbers, stride, scratch = slots.numbers, layout.slot, slots.scratch
    zero = splat8(np.float32(0))
    for row in range(POINTS):
        store8(scratch, row * COLUMNS * WIDTH, zero)
        store8(scratch, (row * COLUMNS + COLUMNS - 1) * WIDTH, zero)
    rank = 8 * channels
    for channel in range(0, channels, WIDTH):
        first = layout.inputs + _within_tile(layout, channel)
        for half in range(2):
            # Ranks -1 to 4 or 3 to 8: one of them is beyond the edge.
            for file in range(8):
                place = start + (3 * half * 8 + file) * channels + channel
                r0 = load8(activations, place)
                r1 = load8(activations, place + rank)
                r2 = load8(activations, place + 2 * rank)
                r3 = load8(activations, place + 3 * rank)
                r4 = load8(activations, place + 4 * rank)
                if half == 0:
                    t0, t1, t2, t3, t4, t5 = _input_transform(zero, r0, r1, r2, r3, r4)
                else:
                    t0, t1, t2, t3, t4, t5 = _input_transform(r0, r1, r2, r3, r4, zero)
                column = (file + 1) * WIDTH
                store8(scratch, column, t0)
                store8(scratch, column + COLUMNS * WIDTH, t1)
                store8(scratch, column + 2 * COLUMNS * WIDTH, t2)
                store8(scratch, column + 3 * COLUMNS * WIDTH, t3)
                store8(scratch, column + 4 * COLUMNS * WIDTH, t4)
                store8(scratch, column + 5 * COLUMNS * WIDTH, t5)
            for side in range(2):
                tile = first + (board * TILES + 2 * half + side) * layout.tile
                for row in range(POINTS):
                    column = (row * COLUMNS + 4 * side) * WIDTH
                    t0, t1, t2, t3, t4, t5 = _input_transform(
                        load8(scratch, column),
                        load8(scratch, column + WIDTH),
                        load8(scratch, column + 2 * WIDTH),
                        load8(scratch, column + 3 * WIDTH),
                        load8(scratch, column + 4 * WIDTH),
                        load8(scratch, column + 5 * WIDTH),
                    )
                    target = row * POINTS * stride + tile
                    store8(numbers, target, t0)
                    store8(numbers, target + stride, t1)
                    store8(numbers, target + 2 * stride, t2)
                    store8(numbers, target + 3 * stride, t3)
                    store8(numbers, target + 4 * stride, t4)
                    store8(numbers, target + 5 * stride, t5)


@inline
def _slot_row(
    numbers: Floats, place: int, stride: int, near: np.float32, far: np.float32
) -> tuple[Float8, Float8, Float8, Float8]:
    return _output_transform(
        near,
        far,
        load8(numbers, place),
        load8(numbers, place + stride),
        load8(numbers, place + 2 * stride),
        load8(numbers, place + 3 * stride),
        load8(numbers, place + 4 * stride),
        load8(numbers, place + 5 * stride),
    )


@inline
def _store_file(
    outputs: Floats,
    square: int,
    rank: int,
    least: Float8,
    bias: Float8,
    y0: Float8,
    y1: Float8,
    y2: Float8,
    y3: Float8,
) -> None:
    """Write four squares of a file from the lowest up, biased, nothing below ``least``."""
    store8(outputs, square, maximum8(least, y0 + bias))
    store8(outputs, square + rank, maximum8(least, y1 + bias))
    store8(outputs, square + 2 * rank, maximum8(least, y2 + bias))
    store8(outputs, square + 3 * rank, maximum8(least, y3 + bias))


@kernel
def from_slots(
    slots: Slots,
    layout: Layout,
    board: int,
    bias: Floats,
    bias_start: int,
    channels: int,
    activation: int,
    outputs: Floats,
    start: int,
) -> None:
    """Transform a board's outputs in the slots to outputs [64][channels], add bias, activate."""
    stay_apart()
    numbers, stride = slots.numbers, layout.slot
    near, far = np.float32(layout.near), np.float32(layout.far)
    least = splat8(_ZERO if activation == RELU else _NO_LEAST)
    for channel in range(0, channels, WIDTH):
        addend = load8(bias, bias_start + channel)
        first = layout.outputs + _within_tile(layout, channel)
        for tile in range(TILES):
            place = first + (board * TILES + tile) * layout.tile
            row = POINTS * stride
            a0, a1, a2, a3 = _slot_row(numbers, place, stride, near, far)
            b0, b1, b2, b3 = _slot_row(numbers, place + row, stride, near, far)
            c0, c1, c2, c3 = _slot_row(numbers, place + 2 * row, stride, near, far)
            d0, d1, d2, d3 = _slot_row(numbers, place + 3 * row, stride, near, far)
            e0, e1, e2, e3 = _slot_row(numbers, place + 4 * row, stride, near, far)
            f0, f1, f2, f3 = _slot_row(numbers, place + 5 * row, stride, near, far)
            corner = start + (tile // 2 * 32 + tile % 2 * 4) * channels + channel
            rank = 8 * channels
            y0, y1, y2, y3 = _output_transform(near, far, a0, b0, c0, d0, e0, f0)
            _store_file(outputs, corner, rank, least, addend, y0, y1, y2, y3)
            y0, y1, y2, y3 = _output_transform(near, far, a1, b1, c1, d1, e1, f1)
            _store_file(outputs, corner + channels, rank, least, addend, y0, y1, y2, y3)
            y0, y1, y2, y3 = _output_transform(near, far, a2, b2, c2, d2, e2, f2)
            _store_file(outputs, corner + 2 * channels, rank, least, addend, y0, y1, y2, y3)
            y0, y1, y2, y3 = _output_transform(near, far, a3, b3, c3, d3, e3, f3)
            _store_file(outputs, corner + 3 * channels, rank, least, addend, y0, y1, y2, y3)
        if activation == MISH:
            for place in range(start + channel, start + SQUARES * channels, channels):
                store8(outputs, place, activate8(load8(outputs, place), MISH))
