"""Exact sums: whatever is added, in whatever order, the same total."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swa.jit import kernel
from swa.refresh_kernels import BINS, OVERFLOW, UNIT, add_exactly, bits_of

ordinary = st.floats(-(2.0**112), 2.0**112).filter(lambda x: x == 0 or abs(x) > 1e-25)


@kernel
def add_all(bins: Any, start: int, numbers: Any) -> None:
    for number in numbers:
        add_exactly(bins, start, number)


def bins_of(numbers: list[float], *, compiled: bool = True) -> Any:
    bins = np.zeros(3 * BINS, np.int64)
    add = add_all if compiled else getattr(add_all, "py_func", add_all)
    add(bins, BINS, np.array(numbers, np.float64))
    assert not bins[:BINS].any()
    assert not bins[2 * BINS :].any()
    return bins[BINS : 2 * BINS]


def total(bins: Any) -> Fraction:
    assert not bins[OVERFLOW]
    whole = sum(int(part) << (BINS * place) for place, part in enumerate(bins[:OVERFLOW]))
    return Fraction(whole) / 2**-UNIT


@given(st.lists(ordinary, min_size=1), st.randoms())
def test_a_sum_is_that_of_its_numbers_in_any_order(numbers: list[float], random: Any) -> None:
    bins = bins_of(numbers)
    exact = sum(map(Fraction, numbers))
    size = sum(abs(Fraction(number)) for number in numbers)
    assert abs(total(bins) - exact) <= size / 2**48
    random.shuffle(numbers)
    assert np.array_equal(bins_of(numbers), bins)


@given(
    st.lists(
        st.floats(
            width=32,
            allow_nan=False,
            allow_infinity=False,
            max_value=2.0**112,
            min_value=-(2.0**112),
            allow_subnormal=False,
        )
    )
)
def test_float32_is_added_without_any_rounding(numbers: list[float]) -> None:
    assert total(bins_of(numbers)) == sum(map(Fraction, numbers))


@settings(max_examples=30)
@given(st.lists(ordinary, max_size=20))
def test_plain_python_gives_the_same(numbers: list[float]) -> None:
    assert np.array_equal(bins_of(numbers, compiled=False), bins_of(numbers))


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan, 2.0**113, -1e300])
def test_what_is_no_number_or_too_large_is_marked(number: float) -> None:
    assert bins_of([1.0, number, 2.0])[OVERFLOW]
    assert not bins_of([1.0, 2.0**112])[OVERFLOW]


def test_millions_of_numbers_do_not_overflow() -> None:
    """A bin has room for them at the largest shift: exponent 15 of 16, all digits set."""
    largest = float(np.uint32(0x47FFFFFF).view(np.float32))
    bins = np.zeros(BINS, np.int64)
    bins[:] = bins_of([largest])
    assert int(bins.max()) * 2**22 < 2**62
    assert total(bins) == Fraction(largest)


def test_numbers_too_small_for_float32_count_as_nothing() -> None:
    assert total(bins_of([1e-39, -1e-60, 5e-324])) == 0


def test_bits() -> None:
    assert bits_of(np.float32(1)) == 0x3F800000
    assert bits_of(np.float32(-0.0)) == -(2**31)
