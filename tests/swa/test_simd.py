"""Vectors and matrix panels: compiled, in plain Python, and against float64."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as arrays
import llvmlite.binding
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from swa import simd
from swa.jit import kernel
from swa.simd import (
    PANEL_OUTPUTS,
    PANEL_ROWS,
    SLICE,
    SLICE_ROWS,
    WIDTH,
    aligned,
    load8,
    lowest_bit,
    maximum8,
    minimum8,
    multiply_add,
    multiply_panel,
    multiply_slice,
    power_of_two8,
    round8,
    splat8,
    store8,
    total8,
)

Floats = NDArray[np.float32]

EPSILON = 2.0**-24
"""Half a unit in the last place of 1: what one rounding costs at most, relatively."""

TINIEST = 2.0**-149

OPERATIONS = (
    "copy",
    "sum",
    "difference",
    "product",
    "quotient",
    "maximum",
    "minimum",
    "round",
    "splat",
    "total",
    "multiply_add",
)


@kernel
def every_operation(one: Floats, other: Floats, addend: Floats, results: Floats) -> None:
    """One vector of ``results`` [11][8] for each of ``OPERATIONS``."""
    x, y, z = load8(one, 0), load8(other, 0), load8(addend, 0)
    store8(results, 0, x)
    store8(results, 8, x + y)
    store8(results, 16, x - y)
    store8(results, 24, x * y)
    store8(results, 32, x / y)
    store8(results, 40, maximum8(x, y))
    store8(results, 48, minimum8(x, y))
    store8(results, 56, round8(x))
    store8(results, 64, splat8(one[3]))
    results[72:80] = total8(x)
    store8(results, 80, multiply_add(x, y, z))


@kernel
def powers_of_two(exponents: Floats, results: Floats) -> None:
    for start in range(0, exponents.size, 8):
        store8(results, start, power_of_two8(load8(exponents, start)))


@kernel
def lowest_bits(words: NDArray[np.uint64], results: NDArray[np.int64]) -> None:
    for place in range(words.size):
        results[place] = lowest_bit(words[place])


@kernel
def move8(source: Floats, start: int, target: Floats, place: int) -> None:
    store8(target, place, load8(source, start))


@kernel
def run_panel(
    rows: int,
    inputs: Floats,
    first: int,
    stride: int,
    weights: Floats,
    panel: int,
    depth: int,
    segment: int,
    outputs: Floats,
    target: int,
    step: int,
    ahead: int,
    pace: int,
) -> None:
    multiply_panel(
        *(rows, inputs, first, stride, weights, panel, depth, segment),
        *(outputs, target, step, weights, ahead, pace),
    )


@kernel
def run_slice(
    inputs: Floats,
    first: int,
    stride: int,
    weights: Floats,
    panel: int,
    outputs: Floats,
    target: int,
    begun: int,
    ahead: int,
) -> None:
    multiply_slice(inputs, first, stride, weights, panel, outputs, target, begun, weights, ahead)


# Other forms of the same source: ``multiply_panel`` and what it calls, in numpy.
both_forms = pytest.mark.parametrize("form", ["compiled", "plain"])


def form_of(function: Any, form: str) -> Any:
    return getattr(function, "py_func", function) if form == "plain" else function


def run(form: str, one: Floats, other: Floats, addend: Floats) -> dict[str, Floats]:
    results = np.full(8 * len(OPERATIONS), np.pi, np.float32)
    with np.errstate(all="ignore"):
        form_of(every_operation, form)(one, other, addend, results)
    return dict(zip(OPERATIONS, results.reshape(-1, 8), strict=True))


def assert_same_bits(ours: Floats, theirs: Floats, name: str = "") -> None:
    """Equal to the bit, the sign of zero too; one NaN is as good as another."""
    numbers = ~np.isnan(theirs)
    np.testing.assert_array_equal(np.isnan(ours), ~numbers, err_msg=name)
    np.testing.assert_array_equal(
        ours[numbers].view(np.uint32), theirs[numbers].view(np.uint32), err_msg=name
    )


any_floats = arrays.arrays(np.float32, 8, elements=st.floats(width=32))


@given(any_floats, any_floats, any_floats)
def test_compiled_vectors_are_those_of_numpy(one: Floats, other: Floats, addend: Floats) -> None:
    compiled, plain = run("compiled", one, other, addend), run("plain", one, other, addend)
    for name in OPERATIONS[:-1]:
        assert_same_bits(compiled[name], plain[name], name)


@both_forms
@given(any_floats, any_floats)
def test_vectors_are_right(form: str, one: Floats, other: Floats) -> None:
    found = run(form, one, other, one)
    with np.errstate(all="ignore"):
        x, y = one.astype(np.float64), other.astype(np.float64)
        # A sum, product or quotient in float64, rounded again, is that of float32: 53 > 2 * 24 + 2.
        expected = {
            "copy": x,
            "sum": x + y,
            "difference": x - y,
            "product": x * y,
            "quotient": x / y,
            "maximum": np.where(x > y, x, y),
            "minimum": np.where(x < y, x, y),
            "round": np.round(x),
            "splat": np.full(8, x[3]),
        }
        for name, numbers in expected.items():
            assert_same_bits(found[name], numbers.astype(np.float32), name)


@both_forms
@given(arrays.arrays(np.float32, 8, elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_total_is_a_sum_of_halves(form: str, numbers: Floats) -> None:
    total = run(form, numbers, numbers, numbers)["total"]
    assert (total == total[0]).all()
    fours = numbers[:4] + numbers[4:]
    assert total[0] == (fours[0] + fours[2]) + (fours[1] + fours[3])
    exact = numbers.astype(np.float64)
    assert abs(total[0] - exact.sum()) <= 3 * EPSILON * 1.001 * np.abs(exact).sum() + TINIEST


def has_fma() -> bool:
    chosen = os.environ.get("NUMBA_CPU_NAME") or os.environ.get("NUMBA_CPU_FEATURES")
    return not chosen and bool(llvmlite.binding.get_host_cpu_features().get("fma"))


moderate = arrays.arrays(np.float32, 8, elements=st.floats(-(2.0**50), 2.0**50, width=32))


@both_forms
@given(moderate, moderate, moderate)
def test_multiply_add(form: str, one: Floats, other: Floats, addend: Floats) -> None:
    found = run(form, one, other, addend)["multiply_add"].astype(np.float64)
    product = one.astype(np.float64) * other  # exact
    exact = product + addend
    bound = 1.001 * EPSILON * (np.abs(product) + np.abs(exact)) + 2 * TINIEST
    assert (np.abs(found - exact) <= bound).all()


@pytest.mark.skipif(not has_fma(), reason="needs a processor with FMA")
def test_multiply_add_rounds_once_where_the_processor_can() -> None:
    one = np.full(8, 1 + 2.0**-12, np.float32)
    minus_rounded = -(one * one)
    found = run("compiled", one, one, minus_rounded)
    assert (found["multiply_add"] == 2.0**-24).all()
    # And nowhere else: a product that is then added to is rounded before.
    assert (run("plain", one, one, minus_rounded)["multiply_add"] == 0).all()


@kernel
def product_then_sum(one: Floats, other: Floats, addend: Floats, results: Floats) -> None:
    store8(results, 0, load8(one, 0) * load8(other, 0) + load8(addend, 0))


def test_a_product_and_a_sum_are_two_roundings() -> None:
    one = np.full(8, 1 + 2.0**-12, np.float32)
    results = np.ones(8, np.float32)
    product_then_sum(one, one, -(one * one), results)
    assert (results == 0).all()


@both_forms
def test_of_a_nan_and_a_number_the_second_is_taken(form: str) -> None:
    nan, number = np.full(8, np.nan, np.float32), np.arange(8, dtype=np.float32)
    for name in ("maximum", "minimum"):
        assert_same_bits(run(form, nan, number, number)[name], number, name)
        assert np.isnan(run(form, number, nan, number)[name]).all()


@both_forms
def test_rounding_takes_the_even_one_of_two(form: str) -> None:
    halves = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 8388607.5], np.float32)
    rounded = run(form, halves, halves, halves)["round"]
    assert rounded.tolist() == [-2, -2, 0, 0, 2, 2, 4, 8388608]
    assert np.signbit(rounded[2])


@both_forms
def test_powers_of_two_are_exact(form: str) -> None:
    exponents = np.arange(-126, 128).astype(np.float32)
    exponents = np.append(exponents, [-126, 127]).astype(np.float32)  # in eights
    results = np.zeros(exponents.size, np.float32)
    form_of(powers_of_two, form)(exponents, results)
    assert results.astype(np.float64).tolist() == [2.0 ** int(n) for n in exponents]


@both_forms
def test_lowest_bits(form: str) -> None:
    random = np.random.default_rng(0)
    single = np.uint64(1) << np.arange(64, dtype=np.uint64)
    higher = random.integers(0, 2**63, 64, np.uint64) << np.arange(1, 65, dtype=np.uint64)
    words = np.concatenate((single, single | higher, [np.uint64(2**64 - 1)]))
    results = np.full(words.size, -1)
    form_of(lowest_bits, form)(words, results)
    assert results.tolist() == [*range(64), *range(64), 0]


@pytest.mark.parametrize("count", [1, 15, 16, 17, 1000, 4096])
def test_aligned_arrays_begin_at_a_cache_line(count: int) -> None:
    # Several at once, so that numpy hands out places of every kind.
    several = [aligned(count) for _ in range(20)]
    for array in several:
        assert array.ctypes.data % simd.LINE == 0
        assert array.dtype == np.float32
        assert array.shape == (count,)
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert not array.any()
        array.fill(1)


@pytest.mark.parametrize("place", range(9))
def test_vectors_may_begin_anywhere_and_touch_nothing_else(place: int) -> None:
    source, target = np.arange(32, dtype=np.float32), np.full(32, -1, np.float32)
    move8(source, place, target, 9 + place)
    expected = np.full(32, -1, np.float32)
    expected[9 + place : 17 + place] = source[place : place + 8]
    np.testing.assert_array_equal(target, expected)


# Panels


MOST_ROWS = max(PANEL_ROWS)


class Panel:
    """A random product: rows of inputs that lie apart, a panel of weights, where results go."""

    def __init__(self, segments: int, segment: int, seed: int, apart: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.segment, depth = segment, segments * segment
        self.depth, self.first, self.start, self.target = depth, 5, 7, 11
        self.ahead, self.pace = 7 + depth * PANEL_OUTPUTS, PANEL_OUTPUTS  # beyond the weights
        self.stride, self.target_stride = depth + apart, PANEL_OUTPUTS + 2 * apart
        self.inputs = random.normal(size=5 + MOST_ROWS * self.stride).astype(np.float32)
        self.weights = random.normal(size=7 + depth * PANEL_OUTPUTS).astype(np.float32)

    def product(self, form: str, rows: int, skipped: int = 0) -> Floats:
        """All outputs, room beside them included; the first rows of the inputs skipped."""
        outputs = np.full(
            self.target + MOST_ROWS * self.target_stride + PANEL_OUTPUTS, np.nan, np.float32
        )
        form_of(run_panel, form)(
            rows,
            self.inputs,
            self.first + skipped * self.stride,
            self.stride,
            self.weights,
            self.start,
            self.depth,
            self.segment,
            outputs,
            self.target,
            self.target_stride,
            self.ahead,
            self.pace,
        )
        return outputs

    def rows_of(self, outputs: Floats, rows: int) -> Floats:
        starts = [self.target + row * self.target_stride for row in range(rows)]
        return np.array([outputs[start : start + PANEL_OUTPUTS] for start in starts])

    def exact(self, rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The product in float64, and that of the absolute values."""
        starts = [self.first + row * self.stride for row in range(rows)]
        lines = np.array([self.inputs[start : start + self.depth] for start in starts], float)
        matrix = self.weights[self.start :].reshape(self.depth, PANEL_OUTPUTS).astype(float)
        return lines @ matrix, np.abs(lines) @ np.abs(matrix)


segments, lengths = st.integers(1, 5), st.integers(1, 50)
rows_of_panels = st.sampled_from(PANEL_ROWS)


@both_forms
@given(segments, lengths, st.integers(0, 2**32), st.integers(0, 20), rows_of_panels)
def test_panels_multiply(
    form: str, segments: int, length: int, seed: int, apart: int, rows: int
) -> None:
    panel = Panel(segments, length, seed, apart)
    outputs = panel.product(form, rows)
    exact, absolute = panel.exact(rows)
    # Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1: n roundings.
    bound = 1.01 * panel.depth * EPSILON * absolute
    assert (np.abs(panel.rows_of(outputs, rows) - exact) <= bound).all()
    assert np.count_nonzero(~np.isnan(outputs)) == rows * PANEL_OUTPUTS


@given(segments, lengths, st.integers(0, 2**32), st.integers(0, 20))
def test_a_row_is_the_same_in_every_panel(
    segments: int, length: int, seed: int, apart: int
) -> None:
    panel = Panel(segments, length, seed, apart)
    alone = [panel.rows_of(panel.product("compiled", 1, row), 1)[0] for row in range(MOST_ROWS)]
    for rows in PANEL_ROWS:
        together = panel.rows_of(panel.product("compiled", rows), rows)
        np.testing.assert_array_equal(together, np.array(alone[:rows]))


@pytest.mark.parametrize("ahead", [0, 1 << 40, -(1 << 40)])
@pytest.mark.parametrize("pace", [0, 3, 1 << 30])
def test_what_is_fetched_ahead_need_not_exist(ahead: int, pace: int) -> None:
    panel = Panel(segments=2, segment=30, seed=4)
    expected = panel.product("compiled", MOST_ROWS)
    panel.ahead, panel.pace = ahead, pace
    np.testing.assert_array_equal(panel.product("compiled", MOST_ROWS), expected)


@pytest.mark.skipif(not has_fma(), reason="needs a processor with FMA")
def test_panels_sum_in_order_and_fused() -> None:
    panel = Panel(segments=3, segment=20, seed=1)
    expected = np.zeros(PANEL_OUTPUTS, np.float32)
    for segment in range(0, panel.depth, panel.segment):
        part = np.zeros(PANEL_OUTPUTS, np.float32)
        for column in range(segment, segment + panel.segment):
            start = panel.start + column * PANEL_OUTPUTS
            factor = panel.inputs[panel.first + column]
            weights = panel.weights[start : start + PANEL_OUTPUTS]
            # Exact but for the sum's rounding to 64 bits of mantissa, too fine to show here.
            total = np.longdouble(factor) * weights.astype(np.longdouble) + part
            part = total.astype(np.float32)
        expected = expected + part
    np.testing.assert_array_equal(
        panel.rows_of(panel.product("compiled", MOST_ROWS), 1)[0], expected
    )


@both_forms
def test_a_nan_stays_in_its_row(form: str) -> None:
    panel = Panel(segments=2, segment=10, seed=2)
    panel.inputs[panel.first + 2 * panel.stride + 7] = np.nan
    with np.errstate(invalid="ignore"):
        broken = np.isnan(panel.rows_of(panel.product(form, MOST_ROWS), MOST_ROWS))
    assert broken[2].all()
    assert broken.sum() == PANEL_OUTPUTS


class Slices:
    """A random product of four rows, from slice to slice of the depth."""

    def __init__(self, slices: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.depth, self.first, self.start, self.target = slices * SLICE, 3, 5, 7
        self.stride = self.depth + 9
        self.inputs = random.normal(size=3 + SLICE_ROWS * self.stride).astype(np.float32)
        self.weights = random.normal(size=5 + self.depth * PANEL_OUTPUTS).astype(np.float32)
        self.ahead = 0

    def product(self, form: str) -> Floats:
        """The outputs [4][16], after all slices, and nothing beside them."""
        outputs = np.full(self.target + (SLICE_ROWS + 1) * PANEL_OUTPUTS, np.nan, np.float32)
        for first in range(0, self.depth, SLICE):
            form_of(run_slice, form)(
                self.inputs,
                self.first + first,
                self.stride,
                self.weights,
                self.start + first * PANEL_OUTPUTS,
                outputs,
                self.target,
                first,
                self.ahead,
            )
        assert np.count_nonzero(~np.isnan(outputs)) == SLICE_ROWS * PANEL_OUTPUTS
        return outputs[self.target :][: SLICE_ROWS * PANEL_OUTPUTS].reshape(SLICE_ROWS, -1)

    def panel(self) -> Floats:
        """The same as one segment of ``multiply_panel``."""
        outputs = np.empty(SLICE_ROWS * PANEL_OUTPUTS, np.float32)
        run_panel(
            *(SLICE_ROWS, self.inputs, self.first, self.stride, self.weights, self.start),
            *(self.depth, self.depth, outputs, 0, PANEL_OUTPUTS, 0, 0),
        )
        return outputs.reshape(SLICE_ROWS, -1)


@given(st.integers(1, 9), st.integers(0, 2**32))
def test_slices_come_to_one_segment_bit_for_bit(slices: int, seed: int) -> None:
    """A single board's sums are those of a batch."""
    whole = Slices(slices, seed)
    np.testing.assert_array_equal(whole.product("compiled"), whole.panel())
    np.testing.assert_allclose(whole.product("plain"), whole.panel(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("ahead", [1 << 40, -(1 << 40)])
def test_what_a_slice_fetches_ahead_need_not_exist(ahead: int) -> None:
    whole = Slices(slices=2, seed=4)
    expected = whole.product("compiled")
    whole.ahead = ahead
    np.testing.assert_array_equal(whole.product("compiled"), expected)


ELSEWHERE = """
import json, sys
import numpy as np
from test_simd import Panel, every_operation, run, run_panel
panel = Panel(segments=1, segment=37, seed=3)
rows = panel.rows_of(panel.product("compiled", 6), 6)
one = np.full(8, 1 + 2.0**-12, np.float32)
results = run("compiled", one, one, -(one * one))
assembly = [
    text for function in (every_operation, run_panel)
    for text in function.inspect_asm().values()
]
assert len(assembly) == 2
json.dump([rows.tolist(), results["multiply_add"].tolist(), assembly], sys.stdout)
"""


@pytest.mark.parametrize("processor", ["nehalem", "sandybridge"])
def test_processors_without_fma(processor: str, tmp_path: Path) -> None:
    if "x86_64" not in llvmlite.binding.get_process_triple():
        pytest.skip("processors of another kind")
    here = Path(__file__).parent
    environment = os.environ | {
        "NUMBA_CPU_NAME": processor,
        "NUMBA_CPU_FEATURES": "",
        "ARENA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(map(str, (here, here.parent, here.parents[1]))),
    }
    finished = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    rows, multiply_added, assembly = json.loads(finished.stdout)
    panel = Panel(segments=1, segment=37, seed=3)
    exact, absolute = panel.exact(MOST_ROWS)
    assert (np.abs(np.array(rows) - exact) <= 2.02 * 37 * EPSILON * absolute).all()
    assert multiply_added == [0] * WIDTH  # two roundings
    for text in assembly:
        assert "mulps" in text
        assert "fmadd" not in text
        assert "fma" not in text.lower()  # nor a call of libm's
        assert ("ymm" in text) == (processor == "sandybridge")
