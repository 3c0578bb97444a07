"""Filters transformed and laid out: in float64, or where they are wide in float32, always alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from swa.filters import (
    FAR,
    NEAR,
    ROW_PAIRS,
    SLICE_SIZE,
    SLOTS,
    TAPS,
    denominator,
    filter_transform,
    pack_filters,
    pack_panels,
    pack_taps,
    padded,
    transform_slice,
    transform_taps,
)
from swa.simd import LINE, SLICE

POINTS = (0.0, NEAR, -NEAR, FAR, -FAR)

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@pytest.mark.parametrize(("channels", "expected"), [(0, 0), (1, 16), (16, 16), (17, 32), (64, 64)])
def test_channels_are_padded(channels: int, expected: int) -> None:
    assert padded(channels) == expected


@given(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40))
def test_panels_hold_every_weight_once(count: int, outputs: int, inputs: int) -> None:
    matrices = 1 + np.arange(count * outputs * inputs, dtype=np.float64)
    matrices = matrices.reshape(count, outputs, inputs)
    packed = pack_panels(matrices)
    depth, width = padded(inputs), padded(outputs)
    assert packed.dtype == np.float32
    assert packed.shape == (count * depth * width,)
    assert packed.ctypes.data % LINE == 0
    panels = packed.reshape(count, width // 16, depth, 16).copy()
    for k in range(outputs):
        np.testing.assert_array_equal(panels[:, k // 16, :inputs, k % 16], matrices[:, k])
        panels[:, k // 16, :inputs, k % 16] = 0
    assert not panels.any()


def random_filters(outputs: int, inputs: int, seed: int = 0) -> Floats:
    random = np.random.default_rng(seed)
    return random.normal(size=(outputs, inputs, 3, 3)).astype(np.float32)


def transformed(weights: Floats) -> Doubles:
    """Filters [K, C, 3, 3] as [36, C, K], in float64."""
    g, (outputs, inputs) = filter_transform(), weights.shape[:2]
    slots = np.einsum("ia,jb,kcab->ijck", g, g, weights.astype(float))
    return slots.reshape(SLOTS, inputs, outputs)


def unpacked(packed: Floats, outputs: int, inputs: int) -> Floats:
    """What ``pack_filters`` returns as [36, C, K], without the padding, which must be zero."""
    depth, width = padded(inputs), padded(outputs)
    slots = packed.reshape(SLOTS, width // 16, depth, 16).transpose(0, 2, 1, 3)
    slots = slots.reshape(SLOTS, depth, width)
    assert not slots[:, inputs:].any()
    assert not slots[:, :, outputs:].any()
    return slots[:, :inputs, :outputs]


def test_filters_are_transformed_in_float64() -> None:
    weights = random_filters(18, 5)
    found = unpacked(pack_filters(weights), 18, 5)
    np.testing.assert_array_equal(found, transformed(weights).astype(np.float32))


@given(st.integers(1, 40), st.integers(1, 140), st.integers(0, 2**32))
@settings(max_examples=30)
def test_taps_are_transformed_in_float32(outputs: int, inputs: int, seed: int) -> None:
    weights = random_filters(outputs, inputs, seed)
    # What the outputs' transform divides by; infinity has no denominator.
    divisors = np.array([*map(denominator, POINTS), 1])
    divisors = np.outer(divisors, divisors).reshape(SLOTS, 1, 1)
    exact = transformed(weights)
    packed = transform_taps(pack_taps(weights))
    error = np.abs(unpacked(packed, outputs, inputs) / divisors - exact)
    # Each way three products are summed up, with up to four roundings, those of G included.
    absolute = np.abs(filter_transform())
    size = np.einsum("ia,jb,kcab->ijck", absolute, absolute, np.abs(weights.astype(float)))
    assert (error <= 8 * 2.0**-24 * 1.01 * size.reshape(exact.shape)).all()
    # And, of enough of them, as good as rounded once: the weights themselves are no better. A
    # single filter (outputs=1, inputs=1, seed=83480) may have bad luck in all its few values.
    assert exact.size < 500 or np.sqrt(np.mean(error**2)) < 2.0**-24 * np.sqrt(np.mean(exact**2))


def test_taps_are_kept_as_they_are() -> None:
    weights = random_filters(20, 19)
    depth = padded(19)
    packed = pack_taps(weights)
    assert packed.ctypes.data % LINE == 0
    taps = packed.reshape(2, depth // SLICE, TAPS, SLICE, 16).copy()
    for k in range(20):
        found = taps[k // 16, ..., k % 16].transpose(0, 2, 1).reshape(depth, TAPS)
        np.testing.assert_array_equal(found[:19], weights[k].reshape(19, TAPS))
        taps[k // 16, ..., k % 16].transpose(0, 2, 1)[np.arange(depth).reshape(-1, SLICE) < 19] = 0
    assert not taps.any()


@pytest.mark.parametrize("form", ["compiled", "plain"])
@pytest.mark.parametrize("pair", range(len(ROW_PAIRS)))
def test_a_slice_is_transformed_as_when_packed(form: str, pair: int) -> None:
    """Bit for bit, wherever it goes, and nothing beside it is touched."""
    stride, first, second = SLICE_SIZE + 5, 3, 4000
    taps = np.random.default_rng(pair).normal(size=7 + TAPS * SLICE_SIZE).astype(np.float32)
    target = np.full(second + 6 * stride, np.nan, np.float32)
    run = transform_slice if form == "compiled" else getattr(transform_slice, "py_func")  # noqa: B009
    run(taps, 7, pair, target, first, second, stride)
    packed = transform_taps(taps[7:].copy()).reshape(6, 6, SLICE_SIZE)
    for place, row in zip((first, second), ROW_PAIRS[pair], strict=True):
        slots = target[place : place + 6 * stride].reshape(6, stride)
        np.testing.assert_array_equal(slots[:, :SLICE_SIZE], packed[row])
        slots[:, :SLICE_SIZE] = np.nan
    assert np.isnan(target).all()


def test_every_row_of_points_is_transformed_once() -> None:
    assert sorted(row for pair in ROW_PAIRS for row in pair) == list(range(6))
