"""Activations against float64, over the whole range of float32."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swa.activations import MISH, NO_ACTIVATION, RELU, activate8, exp8, sigmoid8
from swa.jit import kernel
from swa.simd import load8, store8

Floats = NDArray[np.float32]


@kernel
def exponentials(numbers: Floats, results: Floats) -> None:
    for start in range(0, numbers.size, 8):
        store8(results, start, exp8(load8(numbers, start)))


@kernel
def sigmoids(numbers: Floats, results: Floats) -> None:
    for start in range(0, numbers.size, 8):
        store8(results, start, sigmoid8(load8(numbers, start)))


@kernel
def activations(numbers: Floats, activation: int, results: Floats) -> None:
    for start in range(0, numbers.size, 8):
        store8(results, start, activate8(load8(numbers, start), activation))


def apply(function: Any, numbers: Floats, *more: int) -> Floats:
    results = np.full_like(numbers, np.pi)
    with np.errstate(all="ignore"):
        function(numbers, *more, results)
    return results


def of_any(*numbers: float) -> Floats:
    """As many as it takes of a few numbers."""
    return np.resize(np.array(numbers, np.float32), 8)


def every_float(step: int = 1024) -> Floats:
    """Every 1024th of all finite float32, denormal ones too."""
    bits = np.arange(0, 0x7F800000, step, dtype=np.uint32).view(np.float32)
    numbers = np.concatenate((-bits[::-1], bits))
    return numbers[: numbers.size // 8 * 8]


def units(found: Floats, exact: NDArray[np.float64]) -> float:
    """The greatest error in units in the last place of the exact numbers."""
    spacing = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
    return float((np.abs(found - exact) / spacing).max())


def test_exp_within_two_units_in_the_last_place() -> None:
    numbers = np.linspace(-87, 88, 1_000_000).astype(np.float32)
    assert units(apply(exponentials, numbers), np.exp(numbers.astype(np.float64))) <= 2


def test_exp_ends_at_its_limits() -> None:
    greatest, least = apply(exponentials, of_any(88, -87))[:2]
    beyond = apply(exponentials, of_any(88.001, 1e30, np.inf, -87.001, -1e30, -np.inf))
    assert (beyond[:3] == greatest).all()
    assert (beyond[3:6] == least).all()
    assert apply(exponentials, of_any(0, -0.0)).tolist() == [1] * 8


def test_exp_never_falls() -> None:
    numbers = np.sort(every_float())
    # Neighbours of a 1024th may round either way, but not past one another by more than a unit.
    found = apply(exponentials, numbers)
    assert (found[1:] >= found[:-1] * np.float32(1 - 2.0**-23)).all()


def test_sigmoid() -> None:
    numbers = every_float()
    with np.errstate(over="ignore"):
        exact = 1 / (1 + np.exp(-np.clip(numbers.astype(np.float64), -700, 700)))
    found = apply(sigmoids, numbers)
    np.testing.assert_allclose(found, exact, rtol=5e-7, atol=1e-37)
    assert found.min() >= 0
    assert found.max() <= 1
    assert apply(sigmoids, of_any(0)).tolist() == [0.5] * 8


def test_mish() -> None:
    numbers = every_float()
    numbers = numbers[np.abs(numbers) < 1e20]
    numbers = numbers[: numbers.size // 8 * 8]
    x = numbers.astype(np.float64)
    exact = x * np.tanh(np.log1p(np.exp(np.minimum(x, 700))))
    found = apply(activations, numbers, MISH)
    # Below, exp stops falling, and so would the activation's way to zero.
    usual = x > -87
    np.testing.assert_allclose(found[usual], exact[usual], rtol=1e-6, atol=1e-44)
    assert np.abs(found[~usual]).max() <= 2e-7
    large = numbers >= 20
    np.testing.assert_allclose(found[large], numbers[large], rtol=2.0**-23)


def test_relu_and_none() -> None:
    numbers = every_float()
    np.testing.assert_array_equal(apply(activations, numbers, RELU), np.maximum(numbers, 0))
    np.testing.assert_array_equal(apply(activations, numbers, NO_ACTIVATION), numbers)


def test_what_is_no_number_is_noticed() -> None:
    mixed = of_any(np.nan, 1)
    for function in (exponentials, sigmoids):
        assert np.isnan(apply(function, mixed)).tolist() == [True, False] * 4
    for activation in (NO_ACTIVATION, RELU, MISH):
        found = apply(activations, mixed, activation)
        assert np.isnan(found).tolist() == [True, False] * 4
        assert np.isposinf(apply(activations, of_any(np.inf), activation)).all()


def outcomes() -> list[list[float]]:
    """Everything here of numbers from -100 to 100, and of what is no number."""
    numbers = np.append(np.linspace(-100, 100, 999), np.nan).astype(np.float32)
    return [
        apply(exponentials, numbers).tolist(),
        apply(sigmoids, numbers).tolist(),
        *(apply(activations, numbers, kind).tolist() for kind in (NO_ACTIVATION, RELU, MISH)),
    ]


def test_plain_python_agrees_with_compiled_code() -> None:
    environment = os.environ | {
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    plain = subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True, check=False
    )
    assert plain.returncode == 0, plain.stderr
    np.testing.assert_allclose(json.loads(plain.stdout), outcomes(), rtol=1e-6, atol=1e-44)


if __name__ == "__main__":
    json.dump(outcomes(), sys.stdout)
