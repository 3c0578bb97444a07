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
    LINE,
    PANEL_OUTPUTS,
    WIDTH,
    Float8,
    Floats,
    aligned,
    load8,
    multiply_add,
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

NARROW = 64
"""Channels up to which a 3x3 convolution sums in segments; of a wider one, with a single chain, the
taps may be kept."""


class Filters(NamedTuple):
    """Convolutions from ``inputs`` to ``outputs`` channels, both padded, one after the other."""

    inputs: int
    outputs: int
    slots: Floats  # [convolutions][36 slots][K / 16 panels][C][16 outputs]
    taps: Floats  # [convolutions][K / 16 panels][C][9 taps][16 outputs], or empty: not kept


def padded(channels: int) -> int:
    """The next multiple of what ``multiply_panel`` computes at once."""
    return -(-channels // PANEL_OUTPUTS) * PANEL_OUTPUTS


def filter_transform() -> NDArray[np.float64]:
    """The matrix G [6, 3]: a filter's polynomial at each point, over that point's denominator.

    Toom and Cook's interpolation: the denominator of point p is the product of p - q over the other
    finite points q; at infinity only the highest power counts.
    """
    points = (0.0, NEAR, -NEAR, FAR, -FAR)
    matrix = np.zeros((POINTS, 3))
    for row, point in enumerate(points):
        denominator = math.prod(point - other for other in points if other != point)
        matrix[row] = [point**power / denominator for power in range(3)]
    matrix[-1, -1] = 1.0
    return matrix


_NEAR_0, _NEAR_1, _NEAR_2 = map(np.float32, filter_transform()[1])
_FAR_0, _FAR_1, _FAR_2 = map(np.float32, filter_transform()[3])


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
    """A convolution's weights [K, C, 3, 3] as [K / 16 panels][C][9 taps][16 outputs], padded."""
    outputs, inputs = weights.shape[:2]
    panels = pack_panels(weights.reshape(outputs, inputs, TAPS).transpose(2, 0, 1))
    packed = aligned(panels.size)
    by_tap = panels.reshape(TAPS, -1, PANEL_OUTPUTS)
    packed.reshape(-1, TAPS, PANEL_OUTPUTS)[:] = by_tap.transpose(1, 0, 2)
    return packed


def transform_taps(taps: Floats, inputs: int, outputs: int) -> Floats:
    """What ``pack_filters`` does, from packed taps, as it is done for a single board."""
    packed = aligned(taps.size // TAPS * SLOTS)
    for panel in range(0, outputs, PANEL_OUTPUTS):
        place, size = panel * inputs, inputs * outputs
        transform_panel(taps, place * TAPS, inputs, packed, place, size)
    return packed


@inline
def panel_stride(depth: int) -> int:
    """Numbers from one slot of a transformed panel to the next.

    The line in between keeps the 36 slots of a number out of one another's cache sets.
    """
    return depth * PANEL_OUTPUTS + LINE // 4


@inline
def _pair(
    g0: Float8, g1: Float8, g2: Float8, f0: np.float32, f1: np.float32, f2: np.float32
) -> tuple[Float8, Float8]:
    """Rows (f0, f1, f2) and (f0, -f1, f2) of G: a point and its negative."""
    even = multiply_add(splat8(f0), g0, splat8(f2) * g2)
    return multiply_add(splat8(f1), g1, even), multiply_add(splat8(-f1), g1, even)


@inline
def _store_row(target: Floats, place: int, stride: int, g0: Float8, g1: Float8, g2: Float8) -> None:
    """Transform a row of what is transformed by rank already into its six slots."""
    near, minus_near = _pair(g0, g1, g2, _NEAR_0, _NEAR_1, _NEAR_2)
    far, minus_far = _pair(g0, g1, g2, _FAR_0, _FAR_1, _FAR_2)
    store8(target, place, g0)
    store8(target, place + stride, near)
    store8(target, place + 2 * stride, minus_near)
    store8(target, place + 3 * stride, far)
    store8(target, place + 4 * stride, minus_far)
    store8(target, place + 5 * stride, g2)


@inline
def _store_pair(
    taps: Floats,
    start: int,
    target: Floats,
    place: int,
    stride: int,
    f0: np.float32,
    f1: np.float32,
    f2: np.float32,
) -> None:
    """The slots of two rows of points, one the negative of the other."""
    rank = 3 * PANEL_OUTPUTS
    left, middle, right = start, start + PANEL_OUTPUTS, start + 2 * PANEL_OUTPUTS
    a, minus_a = _pair(
        load8(taps, left), load8(taps, left + rank), load8(taps, left + 2 * rank), f0, f1, f2
    )
    b, minus_b = _pair(
        load8(taps, middle), load8(taps, middle + rank), load8(taps, middle + 2 * rank), f0, f1, f2
    )
    c, minus_c = _pair(
        load8(taps, right), load8(taps, right + rank), load8(taps, right + 2 * rank), f0, f1, f2
    )
    _store_row(target, place, stride, a, b, c)
    _store_row(target, place + POINTS * stride, stride, minus_a, minus_b, minus_c)


@inline
def _store_taps(taps: Floats, start: int, target: Floats, place: int, stride: int) -> None:
    """The slots of a row of points, 0 or infinity, that sees one rank of taps as it is."""
    middle, right = start + PANEL_OUTPUTS, start + 2 * PANEL_OUTPUTS
    _store_row(target, place, stride, load8(taps, start), load8(taps, middle), load8(taps, right))


@kernel
def transform_panel(
    taps: Floats, start: int, depth: int, target: Floats, place: int, stride: int
) -> None:
    """Transform ``taps`` [depth][9][16] from ``start`` on into ``target`` [36][depth][16].

    ``stride`` is from one slot to the next. Taps are loaded anew for each row of points, as all
    nine and what they come to would not fit into the registers: the stores are the limit.
    """
    stay_apart()
    row = POINTS * stride
    for step in range(0, depth * PANEL_OUTPUTS, WIDTH):
        # The taps of a channel are nine lines, of which this is one half or the other.
        first = start + step // PANEL_OUTPUTS * TAPS * PANEL_OUTPUTS + step % PANEL_OUTPUTS
        slot = place + step
        _store_taps(taps, first, target, slot, stride)
        _store_pair(taps, first, target, slot + row, stride, _NEAR_0, _NEAR_1, _NEAR_2)
        _store_pair(taps, first, target, slot + 3 * row, stride, _FAR_0, _FAR_1, _FAR_2)
        _store_taps(taps, first + 6 * PANEL_OUTPUTS, target, slot + 5 * row, stride)
