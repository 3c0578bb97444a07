"""Winograd's convolution against the direct one, its matrices against exact algebra."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from swa.activations import MISH, NO_ACTIVATION, RELU
from swa.filters import (
    NARROW,
    POINTS,
    SLOTS,
    Filters,
    filter_transform,
    pack_filters,
    pack_panels,
    pack_taps,
    padded,
    transform_taps,
)
from swa.jit import kernel
from swa.simd import LINE, Float8, aligned, load8, store8
from swa.winograd import (
    GROUP,
    SQUARES,
    TILES,
    Slots,
    _input_transform,
    _output_transform,
    from_slots,
    layout_of,
    multiply,
    multiply_rows,
    new_slots,
    to_slots,
)

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


# The matrices


class Root2(NamedTuple):
    """a + b sqrt(2) with rational a and b: exact."""

    a: Fraction
    b: Fraction

    def __add__(self, other: Root2) -> Root2:  # type: ignore[override]
        return Root2(self.a + other.a, self.b + other.b)

    def __mul__(self, other: Root2) -> Root2:  # type: ignore[override]
        return Root2(self.a * other.a + 2 * self.b * other.b, self.a * other.b + self.b * other.a)

    def __neg__(self) -> Root2:
        return Root2(-self.a, -self.b)

    def inverse(self) -> Root2:
        norm = self.a**2 - 2 * self.b**2
        return Root2(self.a / norm, -self.b / norm)

    def __float__(self) -> float:
        return float(self.a) + float(self.b) * math.sqrt(2)


def whole(number: int) -> Root2:
    return Root2(Fraction(number), Fraction(0))


ROOTS = tuple(Root2(Fraction(0), Fraction(b)) for b in ("0", "1/2", "-1/2", "1", "-1"))
"""The finite points: 0, +-sqrt(1/2), +-sqrt(2)."""

INTEGERS = tuple(whole(point) for point in (0, 1, -1, 2, -2))
"""The usual ones (Lavin and Gray)."""


def power(point: Root2, exponent: int) -> Root2:
    result = whole(1)
    for _ in range(exponent):
        result = result * point
    return result


def product_of_roots(points: tuple[Root2, ...]) -> list[Root2]:
    """Coefficients of the product of (x - p), lowest power first, six of them."""
    coefficients = [whole(1)]
    for point in points:
        shifted = [whole(0), *coefficients]
        scaled = [-point * one for one in coefficients] + [whole(0)]
        coefficients = [one + other for one, other in zip(shifted, scaled, strict=True)]
    return coefficients + [whole(0)] * (POINTS - len(coefficients))


class Matrices(NamedTuple):
    """What F(4, 3) is made of, for any five finite points and infinity."""

    outputs: list[list[Root2]]  # A^T [4][6]
    filters: list[list[Root2]]  # G [6][3]
    inputs: list[list[Root2]]  # B^T [6][6]


def toom_cook(points: tuple[Root2, ...]) -> Matrices:
    filters, inputs = [], []
    for point in points:
        others = tuple(other for other in points if other != point)
        denominator = whole(1)
        for other in others:
            denominator = denominator * (point + -other)
        filters.append([power(point, k) * denominator.inverse() for k in range(3)])
        inputs.append(product_of_roots(others))
    filters.append([whole(0), whole(0), whole(1)])
    inputs.append(product_of_roots(points))
    outputs = [[*(power(point, i) for point in points), whole(int(i == 3))] for i in range(4)]
    return Matrices(outputs, filters, inputs)


def floats(matrix: list[list[Root2]]) -> Doubles:
    return np.array([[float(number) for number in row] for row in matrix])


@pytest.mark.parametrize("points", [ROOTS, INTEGERS], ids=["roots", "integers"])
def test_interpolation_computes_a_convolution_exactly(points: tuple[Root2, ...]) -> None:
    outputs, filters, inputs = toom_cook(points)
    for output in range(4):
        for tap in range(3):
            for place in range(POINTS):
                total = whole(0)
                for p in range(POINTS):
                    total = total + outputs[output][p] * filters[p][tap] * inputs[p][place]
                assert total == whole(int(place == output + tap)), (output, tap, place)


@kernel
def transformed_inputs(columns: Floats, rows: Floats) -> None:
    results = _input_transform(
        load8(columns, 0),
        load8(columns, 8),
        load8(columns, 16),
        load8(columns, 24),
        load8(columns, 32),
        load8(columns, 40),
    )
    store_six(rows, results)


@kernel
def store_six(rows: Floats, results: tuple[Float8, Float8, Float8, Float8, Float8, Float8]) -> None:
    store8(rows, 0, results[0])
    store8(rows, 8, results[1])
    store8(rows, 16, results[2])
    store8(rows, 24, results[3])
    store8(rows, 32, results[4])
    store8(rows, 40, results[5])


@kernel
def transformed_outputs(columns: Floats, rows: Floats, near: np.float32, far: np.float32) -> None:
    results = _output_transform(
        near,
        far,
        load8(columns, 0),
        load8(columns, 8),
        load8(columns, 16),
        load8(columns, 24),
        load8(columns, 32),
        load8(columns, 40),
    )
    store8(rows, 0, results[0])
    store8(rows, 8, results[1])
    store8(rows, 16, results[2])
    store8(rows, 24, results[3])


def unit_columns() -> Floats:
    """Six vectors; of each the number k is the k-th column of the identity."""
    columns = np.zeros((POINTS, 8), np.float32)
    np.fill_diagonal(columns, 1)
    return columns


def test_transforms_are_the_exact_ones_rounded() -> None:
    exact = toom_cook(ROOTS)
    rows = np.full((POINTS, 8), np.nan, np.float32)
    transformed_inputs(unit_columns().ravel(), rows.reshape(-1))
    np.testing.assert_allclose(rows[:, :POINTS], floats(exact.inputs), rtol=2.0**-24, atol=0)
    rows = np.full((4, 8), np.nan, np.float32)
    # Powers of two: nothing is rounded but the matrix itself.
    for near, far in ((1, 1), (4, -8)):
        transformed_outputs(
            unit_columns().ravel(), rows.reshape(-1), np.float32(near), np.float32(far)
        )
        expected = floats(exact.outputs) * (1, near, near, far, far, 1)
        np.testing.assert_allclose(rows[:, :POINTS], expected, rtol=2.0**-24, atol=0)
    np.testing.assert_allclose(filter_transform(), floats(exact.filters), rtol=1e-15, atol=0)


# Slots


def test_slots_do_not_share_cache_sets() -> None:
    for channels in (1, 16, 64, 130, 256):
        slots = new_slots(channels)
        assert slots.width == padded(channels)
        assert slots.numbers.size == (SLOTS + 1) * slots.stride
        assert slots.stride >= GROUP * TILES * slots.width
        # Both in lines: an odd number, so that 36 slots fall into 36 sets of a cache.
        assert slots.stride * 4 % LINE == 0
        assert slots.stride * 4 // LINE % 2 == 1


# Matrix products of any number of rows


@given(st.integers(1, 400), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32))
@settings(max_examples=50)
def test_rows_are_multiplied(rows: int, inputs: int, outputs: int, seed: int) -> None:
    depth, width = 16 * inputs, 16 * outputs
    random = np.random.default_rng(seed)
    lines = random.normal(size=(rows, depth)).astype(np.float32)
    matrix = random.normal(size=(width, depth)).astype(np.float32)
    weights = np.concatenate((np.full(3, np.nan, np.float32), pack_panels(matrix[None])))
    results = np.full((rows + 1, width), np.nan, np.float32)
    multiply_rows(
        lines.ravel(), 0, depth, rows, weights, 3, depth, width, results.reshape(-1), 0, width
    )
    exact = lines.astype(float) @ matrix.T.astype(float)
    absolute = np.abs(lines.astype(float)) @ np.abs(matrix.T.astype(float))
    assert (np.abs(results[:rows] - exact) <= 2.0**-23 * depth * absolute).all()
    assert np.isnan(results[rows]).all()
    one = np.full(width, np.nan, np.float32)
    last = lines[-1].copy()
    multiply_rows(last, 0, depth, 1, weights, 3, depth, width, one, 0, width)
    np.testing.assert_array_equal(one, results[rows - 1])


# Whole convolutions


def packed_filters(weights: Floats, keeps_taps: bool) -> Filters:
    outputs, inputs = map(padded, weights.shape[:2])
    if not keeps_taps:
        return Filters(inputs, outputs, True, pack_filters(weights), aligned(0))
    taps = pack_taps(weights)
    return Filters(inputs, outputs, False, transform_taps(taps), taps)


def convolve(
    boards: Floats,
    weights: Floats,
    bias: Floats | None = None,
    activation: int = NO_ACTIVATION,
    slots: Slots | None = None,
    keeps_taps: bool = False,
    filters: Filters | None = None,
) -> Floats:
    """The convolution of ``boards`` [B, C, 8, 8], B up to 6, with ``weights`` [K, C, 3, 3]."""
    count, channels = boards.shape[:2]
    outputs = weights.shape[0]
    depth, width = padded(channels), padded(outputs)
    slots = slots or new_slots(max(channels, outputs))
    activations = aligned(count * SQUARES * depth)
    activations.reshape(count, SQUARES, depth)[..., :channels] = boards.reshape(
        count, channels, SQUARES
    ).transpose(0, 2, 1)
    addends = aligned(width)
    if bias is not None:
        addends[:outputs] = bias
    filters = filters or packed_filters(weights, keeps_taps)
    layout = layout_of(slots, count, filters)
    for board in range(count):
        to_slots(activations, board * SQUARES * depth, depth, slots, layout, board)
    multiply(slots, layout, count, filters, 0)
    results = aligned(count * SQUARES * width)
    results.fill(np.nan)
    for board in range(count):
        place = board * SQUARES * width
        from_slots(slots, layout, board, addends, 0, width, activation, results, place)
    planes = results.reshape(count, SQUARES, width).transpose(0, 2, 1)
    beyond = planes[:, outputs:]
    finite = np.isfinite(boards).all() and np.isfinite(filters.slots).all()
    assert finite <= (beyond == 0).all()
    return planes[:, :outputs].reshape(count, outputs, 8, 8)


def direct(boards: Floats, weights: Floats) -> Doubles:
    """The same in float64, tap by tap."""
    framed = np.pad(boards.astype(float), ((0, 0), (0, 0), (1, 1), (1, 1)))
    total = np.zeros((boards.shape[0], weights.shape[0], 8, 8))
    for rank in range(3):
        for file in range(3):
            part = framed[:, :, rank : rank + 8, file : file + 8]
            total += np.einsum("bcrf,kc->bkrf", part, weights[:, :, rank, file].astype(float))
    return total


def random_layer(count: int, inputs: int, outputs: int, seed: int) -> tuple[Floats, Floats]:
    random = np.random.default_rng(seed)
    boards = random.normal(size=(count, inputs, 8, 8)).astype(np.float32)
    weights = random.normal(size=(outputs, inputs, 3, 3)) / math.sqrt(9 * inputs)
    return boards, weights.astype(np.float32)


some_boards = st.integers(1, GROUP)
some_channels = st.integers(1, 130)
seeds = st.integers(0, 2**32)


@given(some_boards, some_channels, some_channels, seeds)
@settings(max_examples=60)
def test_convolutions(count: int, inputs: int, outputs: int, seed: int) -> None:
    boards, weights = random_layer(count, inputs, outputs, seed)
    # Outputs are about 1; the greatest error that was seen in 2580 layers is 1.4e-5.
    for keeps_taps in {False, inputs > NARROW}:
        found = convolve(boards, weights, keeps_taps=keeps_taps)
        np.testing.assert_allclose(found, direct(boards, weights), rtol=0, atol=4e-5)


@given(st.integers(0, 63), st.integers(0, GROUP - 1), seeds)
@settings(max_examples=64)
def test_a_single_piece_spreads_its_filter(square: int, board: int, seed: int) -> None:
    boards = np.zeros((GROUP, 3, 8, 8), np.float32)
    boards[board, 1, square // 8, square % 8] = 1
    weights = np.random.default_rng(seed).normal(size=(2, 3, 3, 3)).astype(np.float32)
    found = convolve(boards, weights)
    np.testing.assert_allclose(found, direct(boards, weights), rtol=0, atol=2e-5)
    others = np.delete(found, board, axis=0)
    assert not others.any()


def test_edges_see_zeros() -> None:
    weights = np.ones((1, 1, 3, 3), np.float32)
    found = convolve(np.ones((1, 1, 8, 8), np.float32), weights)[0, 0]
    neighbours = np.array([2, 3, 3, 3, 3, 3, 3, 2])
    np.testing.assert_allclose(found, np.outer(neighbours, neighbours), atol=1e-5)


@pytest.mark.parametrize("activation", [NO_ACTIVATION, RELU, MISH])
def test_bias_and_activation(activation: int) -> None:
    boards, weights = random_layer(3, 20, 18, seed=5)
    bias = np.linspace(-2, 2, 18).astype(np.float32)
    exact = direct(boards, weights) + bias[:, None, None]
    if activation == RELU:
        exact = np.maximum(exact, 0)
    elif activation == MISH:
        exact = exact * np.tanh(np.log1p(np.exp(exact)))
    np.testing.assert_allclose(
        convolve(boards, weights, bias, activation), exact, rtol=0, atol=1.5e-5
    )


narrow = st.integers(1, 40)
wide = st.integers(NARROW + 1, 140)


@given(some_boards, st.one_of(narrow, wide), narrow, seeds)
@settings(max_examples=60)
def test_a_board_does_not_see_the_others(count: int, inputs: int, outputs: int, seed: int) -> None:
    kept = inputs > NARROW
    boards, weights = random_layer(count, inputs, outputs, seed)
    together = convolve(boards, weights, keeps_taps=kept)
    order = np.random.default_rng(seed).permutation(count)
    np.testing.assert_array_equal(
        convolve(boards[order], weights, keeps_taps=kept), together[order]
    )
    for board in range(count):
        alone = convolve(boards[board : board + 1], weights, keeps_taps=kept)[0]
        np.testing.assert_array_equal(alone, together[board])
    broken = boards.copy()
    broken[-1] = np.nan
    found = convolve(broken, weights, keeps_taps=kept)
    assert np.isnan(found[-1]).all()
    np.testing.assert_array_equal(found[:-1], together[:-1])


def test_slots_may_be_wider_and_hold_anything() -> None:
    for count, channels in ((4, 20), (1, 20), (1, NARROW + 1)):
        boards, weights = random_layer(count, channels, 30, seed=8)
        kept = channels > NARROW
        fresh = convolve(boards, weights, keeps_taps=kept)
        used = new_slots(150)
        for array in (used.numbers, used.scratch, used.filters):
            array.fill(np.nan)
        found = convolve(boards, weights, slots=used, keeps_taps=kept)
        np.testing.assert_array_equal(found, fresh)


def test_a_single_board_does_without_stored_filters_where_taps_are_kept() -> None:
    """It would be slow with them: they come from memory."""
    boards, weights = random_layer(2, NARROW + 1, 20, seed=3)
    expected = convolve(boards, weights, keeps_taps=True)
    filters = packed_filters(weights, keeps_taps=True)
    filters.slots.fill(np.nan)
    found = convolve(boards[:1], weights, filters=filters)
    np.testing.assert_array_equal(found, expected[:1])
    assert np.isnan(convolve(boards, weights, filters=filters)).all()


def in_float32(boards: Floats, weights: Floats, points: tuple[Root2, ...]) -> Floats:
    """Winograd's convolution in numpy with any points, each step rounded to float32."""
    outputs, filters, inputs = map(floats, toom_cook(points))
    packed = np.einsum("ia,jb,kcab->ijkc", filters, filters, weights.astype(float))
    packed = packed.astype(np.float32)
    framed = np.pad(boards, ((0, 0), (0, 0), (1, 1), (1, 1)))
    results = np.zeros((boards.shape[0], weights.shape[0], 8, 8), np.float32)
    rows, columns = inputs.astype(np.float32), outputs.astype(np.float32)
    for rank in (0, 4):
        for file in (0, 4):
            tile = framed[:, :, rank : rank + POINTS, file : file + POINTS]
            tile = np.einsum("ir,bcrf->bcif", rows, tile)
            tile = np.einsum("jf,bcif->bcij", rows, tile)
            slots = np.einsum("ijkc,bcij->bkij", packed, tile)
            slots = np.einsum("ri,bkij->bkrj", columns, slots)
            results[:, :, rank : rank + 4, file : file + 4] = np.einsum(
                "fj,bkrj->bkrf", columns, slots
            )
    return results


def spread(errors: Doubles) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def test_these_points_have_about_half_the_error_of_whole_numbers() -> None:
    boards, weights = random_layer(6, 64, 64, seed=0)
    exact = direct(boards, weights)
    roots = spread(in_float32(boards, weights, ROOTS) - exact)
    integers = spread(in_float32(boards, weights, INTEGERS) - exact)
    assert 0.3 < roots / integers < 0.65
    # And the kernels are as exact as the same steps in numpy.
    assert spread(convolve(boards, weights) - exact) < 1.2 * roots


def test_groups_of_every_size_take_the_same_products() -> None:
    """Rows are cut into panels of six, five, four...: twenty-four rows need no others."""
    boards, weights = random_layer(GROUP, 16, 16, seed=11)
    all_six = convolve(boards, weights)
    for one, other in pairwise(range(1, GROUP + 1)):
        np.testing.assert_array_equal(
            convolve(boards[:other], weights)[:one], convolve(boards[:one], weights)
        )
        np.testing.assert_array_equal(convolve(boards[:one], weights), all_six[:one])
