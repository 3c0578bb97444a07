"""Filters of 3x3 convolutions, transformed and laid out for ``swa.winograd``; docs/winograd.md.

A filter of 3x3 taps becomes 36 numbers, G g G^T, one for each slot. They are computed once, when a
net is packed. A single board, though, would wait for memory: for the filters of a large net, four
times the net itself, no cache has room. So the taps of such a net's convolutions are kept too, and
for a single board each panel is transformed again, from a quarter of the bytes. So that a board's
result is the same in any batch, both are transformed by the same kernel, in float32; where no taps
are kept, filters are transformed in float64.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swa.jit import inline, kernel
from swa.simd import (
    PANEL_OUTPUTS,
    SLICE,
    WIDTH,
    Float8,
    Floats,
    aligned,
    load8,
    splat8,
    stay_apart,
    store8,
)

POINTS = 6
"""Inputs a side of a tile, and points of evaluation: 4 outputs + 3 taps - 1."""
SLOTS = POINTS * POINTS
TAPS = 9
"""Numbers of a filter, and neighbours that it reaches: rank by rank from below."""

NEAR, FAR = math.sqrt(0.5), math.sqrt(2.0)
"""The points but 0 and infinity, with both signs. Their product is 1, which shortens the sums."""

_NEAR, _FAR = np.float32(NEAR), np.float32(FAR)
_NEAR_SQUARE, _FAR_SQUARE = np.float32(0.5), np.float32(2)

SLICE_SIZE = SLICE * PANEL_OUTPUTS
"""Numbers, in each slot and in each tap, of the sixteen inputs whose taps are transformed at a time
for a single board: the 12 slots of two rows of points, 12 kB, stay in the first-level cache."""

ROW_PAIRS = ((0, 5), (1, 2), (3, 4))
"""Rows of points that are transformed together: 0 and infinity, each point and its negative."""

NARROW = 64
"""Channels up to which a 3x3 convolution sums in segments; of a wider one, with a single chain, the
taps may be kept."""


class Filters(NamedTuple):
    """Convolutions from ``inputs`` to ``outputs`` channels, both padded, one after the other.

    Where taps are kept, slots are not yet ``divided`` by the denominators of their points: that is
    left to the outputs' transform.
    """

    inputs: int
    outputs: int
    divided: bool
    slots: Floats  # [convolutions][36 slots][K / 16 panels][C][16 outputs]
    taps: Floats  # [convolutions][K / 16 panels][C / 16][9 taps][16 inputs][16 outputs], or empty


def padded(channels: int) -> int:
    """The next multiple of what ``multiply_panel`` computes at once."""
    return -(-channels // PANEL_OUTPUTS) * PANEL_OUTPUTS


def filter_transform() -> NDArray[np.float64]:
    """The matrix G [6, 3]: a filter's polynomial at each point, over that point's denominator."""
    points = (0.0, NEAR, -NEAR, FAR, -FAR)
    rows = [[point**power / denominator(point) for power in range(3)] for point in points]
    return np.array([*rows, [0.0, 0.0, 1.0]])


def denominator(point: float) -> float:
    """What Toom and Cook's interpolation divides by: the product of p - q over the other points q.

    Of the finite points; at infinity only the highest power counts.
    """
    others = (other for other in (0.0, NEAR, -NEAR, FAR, -FAR) if other != point)
    return math.prod(point - other for other in others)


def pack_panels(matrices: NDArray[np.float64] | NDArray[np.float32]) -> Floats:
    """Matrices [n, K, C] as [n][K / 16 panels][C][16 outputs], K and C padded with zeros."""
    count, outputs, inputs = matrices.shape
    depth, width = padded(inputs), padded(outputs)
    packed = aligned(count * depth * width)
    panels = packed.reshape(count, width // PANEL_OUTPUTS, depth, PANEL_OUTPUTS)
    for panel in range(width // PANEL_OUTPUTS):
        rows = matrices[:, panel * PANEL_OUTPUTS : (panel + 1) * PANEL_OUTPUTS]
        panels[:, panel, :inputs, : rows.shape[1]] = rows.transpose(0, 2, 1)
    return packed


def pack_filters(weights: NDArray[np.float32]) -> Floats:
    """Transform a convolution's weights [K, C, 3, 3], in float64.

    The result is [36 slots][K / 16 panels][C][16 outputs], K and C padded with zeros.
    """
    outputs, inputs = weights.shape[:2]
    g = filter_transform()
    slots = np.einsum("ia,jb,kcab->ijkc", g, g, weights.astype(np.float64), optimize=True)
    return pack_panels(slots.reshape(SLOTS, outputs, inputs))


def pack_taps(weights: NDArray[np.float32]) -> Floats:
    """A convolution's weights [K, C, 3, 3], padded.

    The result is [K / 16 panels][C / 16 slices][9 taps][16 inputs][16 outputs].
    """
    outputs, inputs = weights.shape[:2]
    panels = pack_panels(weights.reshape(outputs, inputs, TAPS).transpose(2, 0, 1))
    packed = aligned(panels.size)
    by_tap = panels.reshape(TAPS, -1, SLICE_SIZE)
    packed.reshape(-1, TAPS, SLICE_SIZE)[:] = by_tap.transpose(1, 0, 2)
    return packed


def transform_taps(taps: Floats) -> Floats:
    """The slots of packed taps, laid out as those of ``pack_filters``, but not yet divided."""
    slices = taps.size // (TAPS * SLICE_SIZE)
    packed = aligned(slices * SLOTS * SLICE_SIZE)
    for piece in range(slices):
        for pair, rows in enumerate(ROW_PAIRS):
            first, second = ((row * POINTS * slices + piece) * SLICE_SIZE for row in rows)
            transform_slice(
                taps, piece * TAPS * SLICE_SIZE, pair, packed, first, second, slices * SLICE_SIZE
            )
    return packed


@inline
def _pair(
    g0: Float8, g1: Float8, g2: Float8, point: np.float32, square: np.float32
) -> tuple[Float8, Float8]:
    """Rows (1, p, p^2) and (1, -p, p^2) of G, not divided: a point and its negative.

    Nothing is fused: sums have units of their own in many processors, which are idle here.
    """
    even, odd = g0 + splat8(square) * g2, splat8(point) * g1
    return even + odd, even - odd


@inline
def _store_row(target: Floats, place: int, stride: int, g0: Float8, g1: Float8, g2: Float8) -> None:
    """Transform a row of what is transformed by rank already into its six slots."""
    near, minus_near = _pair(g0, g1, g2, _NEAR, _NEAR_SQUARE)
    far, minus_far = _pair(g0, g1, g2, _FAR, _FAR_SQUARE)
    store8(target, place, g0)
    store8(target, place + stride, near)
    store8(target, place + 2 * stride, minus_near)
    store8(target, place + 3 * stride, far)
    store8(target, place + 4 * stride, minus_far)
    store8(target, place + 5 * stride, g2)


@inline
def _rank(taps: Floats, start: int) -> tuple[Float8, Float8, Float8]:
    """A rank of taps, from its left one on."""
    middle, right = start + SLICE_SIZE, start + 2 * SLICE_SIZE
    return load8(taps, start), load8(taps, middle), load8(taps, right)


@inline
def _store_rank(taps: Floats, start: int, target: Floats, place: int, stride: int) -> None:
    """The slots of a row of points, 0 or infinity, that sees one rank of taps as it is."""
    left, middle, right = _rank(taps, start)
    _store_row(target, place, stride, left, middle, right)


@inline
def _store_pair(
    taps: Floats,
    start: int,
    point: np.float32,
    square: np.float32,
    target: Floats,
    first: int,
    second: int,
    stride: int,
) -> None:
    """The slots of two rows of points, one the negative of the other."""
    left0, middle0, right0 = _rank(taps, start)
    left1, middle1, right1 = _rank(taps, start + 3 * SLICE_SIZE)
    left2, middle2, right2 = _rank(taps, start + 6 * SLICE_SIZE)
    left, minus_left = _pair(left0, left1, left2, point, square)
    middle, minus_middle = _pair(middle0, middle1, middle2, point, square)
    right, minus_right = _pair(right0, right1, right2, point, square)
    _store_row(target, first, stride, left, middle, right)
    _store_row(target, second, stride, minus_left, minus_middle, minus_right)


@kernel
def transform_slice(
    taps: Floats, start: int, pair: int, target: Floats, first: int, second: int, stride: int
) -> None:
    """Transform a slice of taps [9][16][16] into six slots [16][16] of each of two rows of points.

    ``pair`` is a place in ``ROW_PAIRS``; the slots of its rows are ``stride`` numbers apart, from
    ``first`` and ``second`` on.
    """
    stay_apart()
    point = _NEAR if pair == 1 else _FAR
    square = _NEAR_SQUARE if pair == 1 else _FAR_SQUARE
    for step in range(0, SLICE_SIZE, WIDTH):
        place, one, other = start + step, first + step, second + step
        if pair == 0:
            _store_rank(taps, place, target, one, stride)
            _store_rank(taps, place + 6 * SLICE_SIZE, target, other, stride)
        else:
            _store_pair(taps, place, point, square, target, one, other, stride)
