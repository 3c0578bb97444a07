"""Each layer that is no whole 3x3 convolution against float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from swa import planes
from swa.activations import MISH, NO_ACTIVATION, RELU
from swa.layers import (
    TAPS,
    activate,
    add_and_activate,
    bias_and_activate,
    dense_logit,
    excite,
    input_convolution,
    move_logit,
    squeeze,
)
from swa.simd import aligned
from swa.spec import PLANES

Floats = NDArray[np.float32]
SQUARES = 64

every_activation = pytest.mark.parametrize("activation", [NO_ACTIVATION, RELU, MISH])


def exactly(numbers: Any, activation: int) -> NDArray[np.float64]:
    x = np.asarray(numbers, np.float64)
    if activation == RELU:
        return np.maximum(x, 0)
    return x * np.tanh(np.log1p(np.exp(x))) if activation == MISH else x


def normal(size: Any, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=size).astype(np.float32)


def close(found: Any, exact: Any, tolerance: float = 2e-6) -> None:
    np.testing.assert_allclose(found, exact, rtol=tolerance, atol=tolerance)


@every_activation
def test_activate(activation: int) -> None:
    source, target = normal(100), np.full(100, 9, np.float32)
    activate(source, 3, target, 5, 64, activation)
    close(target[5:69], exactly(source[3:67], activation))
    assert (np.delete(target, slice(5, 69)) == 9).all()


@every_activation
def test_add_and_activate(activation: int) -> None:
    array, other = normal(100, 1), normal(100, 2)
    before = array.copy()
    add_and_activate(array, 7, other, 20, 64, activation)
    close(array[7:71], exactly(before[7:71] + other[20:84].astype(float), activation))
    np.testing.assert_array_equal(np.delete(array, slice(7, 71)), np.delete(before, slice(7, 71)))


@every_activation
@pytest.mark.parametrize(("rows", "width"), [(1, 16), (5, 48), (64, 16)])
def test_bias_and_activate(activation: int, rows: int, width: int) -> None:
    array, bias = normal(rows * width + 9, 1), normal(width + 6, 2)
    before = array.copy()
    bias_and_activate(array, 4, rows, width, bias, 6, activation)
    lines = before[4:-5].reshape(rows, width).astype(float)
    close(array[4:-5].reshape(rows, width), exactly(lines + bias[6:], activation))
    np.testing.assert_array_equal(array[:4], before[:4])
    np.testing.assert_array_equal(array[-5:], before[-5:])


def first_convolution(
    masks: NDArray[np.uint64], values: Floats, filters: Floats, bias: Floats
) -> Floats:
    """Outputs [B, 64, K] of one board after the other, all in the same room to compute in."""
    channels = bias.size
    sums, outputs = aligned(TAPS * channels), aligned(SQUARES * channels)
    counts, entries = np.full(SQUARES, 77), np.full(SQUARES * PLANES, -1)
    sums.fill(np.nan)
    results = []
    for board in range(len(masks)):
        outputs.fill(np.nan)
        input_convolution(
            masks[board],
            values[board],
            filters,
            bias,
            channels,
            sums,
            counts,
            entries,
            outputs,
        )
        results.append(outputs.reshape(SQUARES, channels).copy())
    return np.array(results)


def directly(
    masks: NDArray[np.uint64], values: Floats, filters: Floats, bias: Floats
) -> NDArray[np.float64]:
    framed = np.pad(planes.unpack(masks, values).astype(float), ((0, 0), (0, 0), (1, 1), (1, 1)))
    taps = filters.reshape(PLANES, 3, 3, bias.size).astype(float)
    total = np.zeros((len(masks), 8, 8, bias.size)) + bias
    for rank in range(3):
        for file in range(3):
            part = framed[:, :, rank : rank + 8, file : file + 8]
            total += np.einsum("bcrf,ck->brfk", part, taps[:, rank, file])
    return total.reshape(len(masks), SQUARES, bias.size)


WORDS = st.one_of(
    st.just(0),
    st.just(planes.FULL_BOARD),
    st.integers(0, 63).map(lambda square: 1 << square),
    st.integers(0, planes.FULL_BOARD),
)


@given(
    st.lists(WORDS, min_size=PLANES, max_size=PLANES),
    st.sampled_from([16, 32, 80]),
    st.integers(0, 2**32),
)
@settings(max_examples=60)
def test_the_first_convolution_of_any_planes(words: list[int], channels: int, seed: int) -> None:
    masks = np.array([words, words[::-1], [0] * PLANES], np.uint64)
    values = normal((3, PLANES), seed)
    filters, bias = normal(PLANES * TAPS * channels, seed) / 10, normal(channels, seed)
    found = first_convolution(masks, values, filters, bias)
    # Up to 1008 products, each about a tenth.
    np.testing.assert_allclose(found, directly(masks, values, filters, bias), rtol=0, atol=3e-5)
    np.testing.assert_array_equal(found[2], np.broadcast_to(bias, found[2].shape))


def test_a_board_s_edge_is_seen() -> None:
    """A full plane of ones tells a corner from an edge from the middle."""
    masks = np.full((1, PLANES), 0, np.uint64)
    masks[0, planes.ONES] = planes.FULL_BOARD
    values, channels = np.ones((1, PLANES), np.float32), 16
    ones = np.ones(PLANES * TAPS * channels, np.float32)
    found = first_convolution(masks, values, ones, np.zeros(channels, np.float32))
    neighbours = np.array([2, 3, 3, 3, 3, 3, 3, 2])
    np.testing.assert_array_equal(found[0, :, 5].reshape(8, 8), np.outer(neighbours, neighbours))


def test_a_full_plane_is_as_all_of_its_squares() -> None:
    """The two ways through the first convolution, on planes that differ in one square."""
    channels = 16
    filters, bias = normal(PLANES * TAPS * channels), normal(channels)
    full = np.full((1, PLANES), planes.FULL_BOARD, np.uint64)
    nearly = full ^ np.uint64(1 << 27)
    one = np.full((1, PLANES), 1 << 27, np.uint64)
    values = normal((1, PLANES))
    no_bias = np.zeros(channels, np.float32)
    together = first_convolution(nearly, values, filters, bias) + first_convolution(
        one, values, filters, no_bias
    )
    np.testing.assert_allclose(
        together, first_convolution(full, values, filters, bias), rtol=0, atol=1e-3
    )


@pytest.mark.parametrize("channels", [16, 48])
def test_squeeze_is_the_mean(channels: int) -> None:
    activations, means = normal(5 + SQUARES * channels), np.full(channels + 8, 9, np.float32)
    squeeze(activations, 5, channels, means, 3)
    board = activations[5:].reshape(SQUARES, channels).astype(float)
    close(means[3:-5], board.mean(axis=0))
    assert (means[:3] == 9).all()
    assert (means[-5:] == 9).all()


@pytest.mark.parametrize("channels", [16, 48])
def test_excite_scales_and_shifts(channels: int) -> None:
    activations, gates = normal(5 + SQUARES * channels + 4), 3 * normal(3 + 2 * channels, 1)
    before = activations.copy()
    excite(activations, 5, channels, gates, 3)
    scale, shift = gates[3:].astype(float).reshape(2, channels)
    board = before[5:-4].reshape(SQUARES, channels)
    exact = board / (1 + np.exp(-scale)) + shift
    close(activations[5:-4].reshape(SQUARES, channels), exact)
    np.testing.assert_array_equal(activations[:5], before[:5])
    np.testing.assert_array_equal(activations[-4:], before[-4:])


@pytest.mark.parametrize("count", [16, 48, 1024])
def test_dense_logit(count: int) -> None:
    activations, weights, bias = normal(3 + count), normal((7, count), 1), normal(7, 2)
    for row in range(7):
        exact = weights[row].astype(float) @ activations[3:] + bias[row]
        found = dense_logit(activations, 3, count, weights.reshape(-1), bias, row)
        assert abs(found - exact) < 2.0**-23 * count * np.abs(weights[row] * activations[3:]).max()


@pytest.mark.parametrize("channels", [16, 32, 80])
def test_move_logit_is_a_convolution_at_one_place(channels: int) -> None:
    board = normal((SQUARES, channels))
    filters, bias = normal((80, TAPS, channels), 1) / 10, normal(80, 2)
    framed = np.pad(board.reshape(8, 8, channels).astype(float), ((1, 1), (1, 1), (0, 0)))
    total = np.zeros((80, 8, 8)) + bias[:, None, None]
    for tap in range(TAPS):
        part = framed[tap // 3 : tap // 3 + 8, tap % 3 : tap % 3 + 8]
        total += np.einsum("rfc,kc->krf", part, filters[:, tap].astype(float))
    found = np.array(
        [
            move_logit(board.reshape(-1), channels, filters.reshape(-1), bias, place)
            for place in range(80 * SQUARES)
        ]
    )
    np.testing.assert_allclose(found, total.ravel(), rtol=0, atol=2e-5)


def test_a_nan_goes_through_every_layer() -> None:
    channels, array = 16, np.zeros(SQUARES * 16, np.float32)
    array[8 * channels + 5] = np.nan
    means, gates = np.zeros(channels, np.float32), np.zeros(2 * channels, np.float32)
    squeeze(array, 0, channels, means, 0)
    assert np.isnan(means).nonzero()[0].tolist() == [5]
    ones = np.ones(max(array.size, 80 * TAPS * channels), np.float32)
    assert np.isnan(dense_logit(array, 0, array.size, ones, ones, 0))
    assert np.isnan(move_logit(array, channels, ones, ones, 0))  # a1 sees a2
    assert not np.isnan(move_logit(array, channels, ones, ones, 7))
    gates[5] = np.nan
    board = np.ones(SQUARES * channels, np.float32)
    excite(board, 0, channels, gates, 0)
    assert (
        np.isnan(board.reshape(SQUARES, channels)).sum(axis=0).tolist()
        == [0] * 5 + [SQUARES] + [0] * 10
    )
    for activation in (NO_ACTIVATION, RELU, MISH):
        target = np.zeros(array.size, np.float32)
        activate(array, 0, target, 0, array.size, activation)
        assert np.isnan(target).nonzero()[0].tolist() == [8 * channels + 5]
