"""Activations in compiled code, eight numbers at a time."""

from __future__ import annotations

import numpy as np

from swa.jit import inline, kernel
from swa.simd import (
    Float8,
    maximum8,
    minimum8,
    multiply_add,
    power_of_two8,
    round8,
    splat8,
    stay_apart,
)

NO_ACTIVATION, RELU, MISH = range(3)

_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)
_LEAST, _GREATEST = np.float32(-87), np.float32(88)
"""Beyond these, exp is 0 or infinite in float32, or nearly."""
_LOG2_E = np.float32(np.log2(np.e))
# ln 2 in two parts: the product of the first and a whole number is exact.
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(np.log(2.0) - 0.693359375)
_C2, _C3, _C4, _C5, _C6, _C7 = (np.float32(1 / n) for n in (2, 6, 24, 120, 720, 5040))
_MISH_IS_X = np.float32(20)
"""From here on mish(x) is x to the last bit, and exp(x)^2 is far from infinite."""


@inline
def exp8(x: Float8) -> Float8:
    """e^x to 2 units in the last place, from -87 to 88; beyond, as at these limits.

    x = n ln 2 + r with |r| <= ln(2) / 2; the series of e^r is cut where its rest is below 6e-9.
    """
    x = maximum8(splat8(_LEAST), minimum8(splat8(_GREATEST), x))
    n = round8(x * splat8(_LOG2_E))
    r = multiply_add(n, splat8(-_LN2_HIGH), x)
    r = multiply_add(n, splat8(-_LN2_LOW), r)
    series = multiply_add(splat8(_C7), r, splat8(_C6))
    series = multiply_add(series, r, splat8(_C5))
    series = multiply_add(series, r, splat8(_C4))
    series = multiply_add(series, r, splat8(_C3))
    series = multiply_add(series, r, splat8(_C2))
    series = multiply_add(series, r, splat8(_ONE))
    series = multiply_add(series, r, splat8(_ONE))
    return series * power_of_two8(n)


@inline
def sigmoid8(x: Float8) -> Float8:
    """1 / (1 + e^-x)."""
    one = splat8(_ONE)
    return one / (one + exp8(splat8(_ZERO) - x))


@kernel
def mish8(x: Float8) -> Float8:
    """Mish: x tanh(ln(1 + e^x)), which is x n / (n + 2) with n = e^x (e^x + 2).

    (Misra, "Mish: a self regularized non-monotonic activation function", 2019, arXiv 1908.08681.)
    """
    stay_apart()
    e = exp8(minimum8(splat8(_MISH_IS_X), x))
    two = splat8(_TWO)
    n: Float8 = e * (e + two)
    return x * (n / (n + two))


@inline
def activate8(x: Float8, activation: int) -> Float8:
    """Apply an activation; a NaN stays one, so that a broken net is noticed."""
    if activation == RELU:
        return maximum8(splat8(_ZERO), x)
    if activation == MISH:
        return mish8(x)
    return x
