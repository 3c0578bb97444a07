"""Eight numbers at a time: the vectors that the forward pass on a CPU is written in.

In compiled code a ``Float8`` is eight float32 in one register (AVX; two of four where a processor
has only SSE or NEON), ``+ - * /`` work on it, and ``multiply_panel`` is the matrix product that
the time goes into. Called from plain Python, the same names work on numpy arrays of eight, so that
everything built on them also runs uncompiled.

Nothing else in the project reckons with addresses, and nothing here checks a bound: an array is one
dimension of float32, a place in it an index, and whoever calls answers for both. The compiled forms
round alike wherever they stand: a product is fused with a sum only where ``multiply_add`` says so,
on every processor that can (FMA), and on none that cannot.
"""

from __future__ import annotations

import operator
from itertools import chain
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import models, register_model
from numpy.typing import NDArray

from swa.jit import Emit, compile_as

Floats = NDArray[np.float32]  # [n]
Float8 = NDArray[np.float32]  # [8]

WIDTH = 8
"""Numbers in a vector."""

PANEL_OUTPUTS = 16
"""Outputs of ``multiply_panel``: two vectors."""

PANEL_ROWS = (1, 2, 4, 6)
"""Rows that there is a ``multiply_panel`` for. 6 x 2 sums, 2 weights and 1 input fill AVX's 16
registers but one (Goto and van de Geijn, "Anatomy of high-performance matrix multiplication",
2008); the others are for what is left over."""

SLICE, SLICE_ROWS = 16, 4
"""Depth and rows of ``multiply_slice``."""

LINES_AHEAD = 4
"""Cache lines that ``multiply_slice`` fetches."""

LINE = 64
"""Bytes of a cache line, at which arrays begin."""

_FLOAT = ir.FloatType()
_FLOAT8 = ir.VectorType(_FLOAT, WIDTH)
_WHOLE8 = ir.VectorType(ir.IntType(32), WIDTH)
_INT32 = ir.IntType(32)
_INT64 = ir.IntType(64)


def aligned(count: int) -> Floats:
    """``count`` float32 zeros that begin at a cache line; numpy's own begin anywhere."""
    room = np.zeros(count + LINE // 4, np.float32)
    start = -room.ctypes.data % LINE // 4
    return room[start : start + count]


# --- in plain Python ---


def load8(array: Floats, start: int) -> Float8:
    """Eight numbers from ``array[start]`` on."""
    return _within(array, start, WIDTH).copy()


def store8(array: Floats, start: int, numbers: Float8) -> None:
    """Write eight numbers from ``array[start]`` on."""
    _within(array, start, WIDTH)[:] = numbers


def _within(array: Floats, start: int, count: int) -> Floats:
    """Part of an array, all of it there: plain Python is also how bounds are tested."""
    if not 0 <= start <= array.size - count:
        raise IndexError(f"{start} to {start + count} of {array.size} numbers")
    return array[start : start + count]


def splat8(number: np.float32) -> Float8:
    """The same number eight times."""
    return np.full(WIDTH, number, np.float32)


def multiply_add(one: Float8, other: Float8, addend: Float8) -> Float8:
    """``one * other + addend``, rounded once where the processor can."""
    return one * other + addend


def maximum8(one: Float8, other: Float8) -> Float8:
    """The greater of each pair; of a NaN and a number, the number of ``other``."""
    return np.where(one > other, one, other)


def minimum8(one: Float8, other: Float8) -> Float8:
    """The smaller of each pair; of a NaN and a number, the number of ``other``."""
    return np.where(one < other, one, other)


def round8(numbers: Float8) -> Float8:
    """The nearest whole numbers, of two equally near the even one."""
    return np.rint(numbers)


def power_of_two8(exponents: Float8) -> Float8:
    """2 to whole numbers from -126 to 127."""
    return np.ldexp(np.float32(1), exponents.astype(np.int32)).astype(np.float32)


def total8(numbers: Float8) -> np.float32:
    """The sum of all eight: halves, then quarters, then the last two."""
    quarter = numbers[:4] + numbers[4:]
    pair = quarter[:2] + quarter[2:]
    return np.float32(pair[0] + pair[1])


def lowest_bit(word: np.uint64) -> int:
    """The place of the lowest bit that is set, of which there must be one."""
    value = int(word)
    return (value & -value).bit_length() - 1


def stay_apart() -> None:
    """Say first in a kernel that LLVM shall not merge it into its callers, of which it has many."""


def multiply_panel(
    rows: int,
    inputs: Floats,
    first: int,
    stride: int,
    weights: Floats,
    panel: int,
    depth: int,
    segment_length: int,
    outputs: Floats,
    target: int,
    target_stride: int,
    coming: Floats,
    ahead: int,
    pace: int,
) -> None:
    """The matrix product of 1, 2, 4 or 6 rows with a panel of weights: sixteen outputs each.

    ``outputs[target + row * target_stride + k]`` becomes the sum over ``c`` below ``depth`` of
    ``inputs[first + row * stride + c] * weights[panel + 16 * c + k]`` for ``k`` below 16. In
    compiled code the sum is fused and in the order of ``c``; each ``segment_length`` of them, of
    which the depth is a multiple, is summed up by itself: bit for bit the same for any number of
    rows. Meanwhile ``coming`` is fetched from ``ahead`` on, ``pace`` numbers with each step of the
    depth; what lies there need not exist.
    """
    kernel = _within(weights, panel, depth * PANEL_OUTPUTS).reshape(depth, PANEL_OUTPUTS)
    for row in range(rows):
        line = _within(inputs, first + row * stride, depth)
        target_line = _within(outputs, target + row * target_stride, PANEL_OUTPUTS)
        target_line[:] = line @ kernel


def multiply_slice(
    inputs: Floats,
    first: int,
    stride: int,
    weights: Floats,
    panel: int,
    outputs: Floats,
    target: int,
    begun: int,
    coming: Floats,
    ahead: int,
) -> None:
    """What ``multiply_panel`` does for four rows and a depth of sixteen, of a sum that goes on.

    ``outputs`` [4][16] from ``target`` on hold the sums so far, unless ``begun`` is 0; in the order
    of the depth, so that slice after slice comes to the bits of one segment. Its steps are written
    out: so short a loop would take an eighth longer. Four lines of ``coming`` are fetched from
    ``ahead`` on; what lies there need not exist.
    """
    kernel = _within(weights, panel, SLICE * PANEL_OUTPUTS).reshape(SLICE, PANEL_OUTPUTS)
    sums = _within(outputs, target, SLICE_ROWS * PANEL_OUTPUTS).reshape(SLICE_ROWS, PANEL_OUTPUTS)
    for row in range(SLICE_ROWS):
        product = _within(inputs, first + row * stride, SLICE) @ kernel
        sums[row] = sums[row] + product if begun else product


# --- compiled ---


class _Float8Type(types.Type):
    """numba's name for eight float32 in a register."""

    def __init__(self) -> None:
        super().__init__(name="Float8")


_FLOAT8_TYPE = _Float8Type()


@register_model(_Float8Type)
class _Float8Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: _Float8Type) -> None:
        super().__init__(manager, kind, _FLOAT8)


def _vector_at(builder: ir.IRBuilder, address: ir.Value, start: ir.Value) -> ir.Value:
    place = builder.gep(address, [start], inbounds=True)
    return builder.bitcast(place, _FLOAT8.as_pointer())


def _plus(builder: ir.IRBuilder, place: ir.Value, offset: int) -> ir.Value:
    return builder.add(place, ir.Constant(_INT64, offset))


def _load(builder: ir.IRBuilder, address: ir.Value, start: ir.Value) -> ir.Value:
    return builder.load(_vector_at(builder, address, start), align=4)


def _store(builder: ir.IRBuilder, address: ir.Value, start: ir.Value, vector: ir.Value) -> None:
    builder.store(vector, _vector_at(builder, address, start), align=4)


def _splat(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    undefined = ir.Constant(_FLOAT8, ir.Undefined)
    single = builder.insert_element(undefined, number, ir.Constant(_INT32, 0))
    zeros = ir.Constant(_WHOLE8, [0] * WIDTH)
    return builder.shuffle_vector(single, undefined, zeros)


def _instruction(builder: ir.IRBuilder, name: str, operands: int) -> ir.Function:
    kind = ir.FunctionType(_FLOAT8, [_FLOAT8] * operands)
    return cgutils.get_or_insert_function(builder.module, kind, name)


def _fused(builder: ir.IRBuilder, *vectors: ir.Value) -> ir.Value:
    # llvm.fma would call libm where a processor has no such instruction; this one does without.
    return builder.call(_instruction(builder, "llvm.fmuladd.v8f32", len(vectors)), vectors)


def _rounded(builder: ir.IRBuilder, vector: ir.Value) -> ir.Value:
    return builder.call(_instruction(builder, "llvm.rint.v8f32", 1), [vector])


def _select(comparison: str) -> Emit:
    def emit(builder: ir.IRBuilder, one: ir.Value, other: ir.Value) -> ir.Value:
        return builder.select(builder.fcmp_ordered(comparison, one, other), one, other)

    return emit


def _power_of_two(builder: ir.IRBuilder, exponents: ir.Value) -> ir.Value:
    bias, mantissa = (ir.Constant(_WHOLE8, [number] * WIDTH) for number in (127, 23))
    whole = builder.add(builder.fptosi(exponents, _WHOLE8), bias)
    return builder.bitcast(builder.shl(whole, mantissa), _FLOAT8)


def _total(builder: ir.IRBuilder, vector: ir.Value) -> ir.Value:
    for half in (4, 2, 1):
        lower, upper = (
            builder.shuffle_vector(
                vector,
                vector,
                ir.Constant(ir.VectorType(_INT32, half), list(range(first, first + half))),
            )
            for first in (0, half)
        )
        vector = builder.fadd(lower, upper)
    return builder.extract_element(vector, ir.Constant(_INT32, 0))


def _prefetch(builder: ir.IRBuilder, place: ir.Value) -> None:
    """Ask for a cache line that is read soon: as if for a load, into all levels."""
    address = ir.PointerType(ir.IntType(8))
    kind = ir.FunctionType(ir.VoidType(), [address, _INT32, _INT32, _INT32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    read, keep, data = (ir.Constant(_INT32, number) for number in (0, 3, 1))
    builder.call(function, [builder.bitcast(place, address), read, keep, data])


def _lowest_bit(builder: ir.IRBuilder, word: ir.Value) -> ir.Value:
    return builder.cttz(word, ir.Constant(ir.IntType(1), 0))


def _stay_apart(builder: ir.IRBuilder) -> None:
    # numba passes the wish to be merged on from a caller to what it calls.
    builder.function.attributes.discard("alwaysinline")
    builder.function.attributes.add("noinline")


def _multiply_panel(builder: ir.IRBuilder, rows: ir.Value, *product: ir.Value) -> None:
    """Go to the code for so many rows."""
    end = builder.append_basic_block("panel.end")
    choice = builder.switch(rows, end)
    for count in PANEL_ROWS:
        block = builder.append_basic_block(f"panel{count}")
        choice.add_case(count, block)
        builder.position_at_end(block)
        _panel_of(count, builder, *product)
        builder.branch(end)
    builder.position_at_end(end)


def _rows_from(
    builder: ir.IRBuilder, first: ir.Value, stride: ir.Value, rows: int
) -> list[ir.Value]:
    """Where each of so many rows begins."""
    starts = [first]
    for _ in range(rows - 1):
        starts.append(builder.add(starts[-1], stride))
    return starts


def _panel_of(
    rows: int,
    builder: ir.IRBuilder,
    inputs: ir.Value,
    first: ir.Value,
    stride: ir.Value,
    weights: ir.Value,
    panel: ir.Value,
    depth: ir.Value,
    segment_length: ir.Value,
    outputs: ir.Value,
    target: ir.Value,
    target_stride: ir.Value,
    coming: ir.Value,
    ahead: ir.Value,
    pace: ir.Value,
) -> None:
    """Add up segment after segment in registers, each then to the outputs."""
    zero = ir.Constant(_INT64, 0)
    targets = _rows_from(builder, target, target_stride, rows)
    starts = _rows_from(builder, first, stride, rows)
    lines = [builder.gep(inputs, [start], inbounds=True) for start in starts]
    kernel = builder.gep(weights, [panel], inbounds=True)
    fetched = builder.gep(coming, [ahead])
    before = builder.block
    segment, begin, add, end = (builder.append_basic_block() for _ in range(4))
    builder.branch(segment)
    builder.position_at_end(segment)
    origin = builder.phi(_INT64)
    limit = builder.add(origin, segment_length)
    sums = _sums_of_segment(builder, origin, limit, lines, kernel, fetched, pace)
    builder.cbranch(builder.icmp_signed("==", origin, zero), begin, add)
    for block in (begin, add):
        builder.position_at_end(block)
        for start, pair in zip(targets, sums, strict=True):
            for half, total in zip((0, WIDTH), pair, strict=True):
                spot = _plus(builder, start, half)
                whole = total
                if block is add:
                    whole = builder.fadd(_load(builder, outputs, spot), total)
                _store(builder, outputs, spot, whole)
        builder.cbranch(builder.icmp_signed("<", limit, depth), segment, end)
        origin.add_incoming(limit, block)
    origin.add_incoming(zero, before)
    builder.position_at_end(end)


def _sums_of_segment(
    builder: ir.IRBuilder,
    origin: ir.Value,
    limit: ir.Value,
    lines: list[ir.Value],
    kernel: ir.Value,
    fetched: ir.Value,
    pace: ir.Value,
) -> list[list[ir.Value]]:
    """Both halves of each line's sums over the depth from ``origin`` to before ``limit``.

    What lies from ``fetched`` on, ``pace`` numbers with each step, is in the caches afterwards.
    """
    before = builder.block
    loop, done = builder.append_basic_block(), builder.append_basic_block()
    builder.branch(loop)
    builder.position_at_end(loop)
    place = builder.phi(_INT64)
    addends = [[builder.phi(_FLOAT8) for _ in range(2)] for _ in lines]
    following = _plus(builder, place, 1)
    place.add_incoming(origin, before)
    place.add_incoming(following, loop)
    column = builder.mul(place, ir.Constant(_INT64, PANEL_OUTPUTS))
    halves = [_load(builder, kernel, _plus(builder, column, half)) for half in (0, WIDTH)]
    _prefetch(builder, builder.gep(fetched, [builder.mul(place, pace)]))  # may lie beyond
    sums = _one_deeper(builder, lines, place, halves, addends)
    for addend, total in zip(chain(*addends), chain(*sums), strict=True):
        addend.add_incoming(ir.Constant(_FLOAT8, [0.0] * WIDTH), before)
        addend.add_incoming(total, loop)
    builder.cbranch(builder.icmp_signed("<", following, limit), loop, done)
    builder.position_at_end(done)
    return sums


def _one_deeper(
    builder: ir.IRBuilder,
    lines: list[ir.Value],
    place: ir.Value,
    halves: list[ir.Value],
    sums: list[list[ir.Value]],
) -> list[list[ir.Value]]:
    """Add to both halves of each line's sums its input at ``place`` times the weights' halves."""
    longer = []
    for line, pair in zip(lines, sums, strict=True):
        factor = _splat(builder, builder.load(builder.gep(line, [place], inbounds=True)))
        longer.append([_fused(builder, factor, *both) for both in zip(halves, pair, strict=True)])
    return longer


def _multiply_slice(
    builder: ir.IRBuilder,
    inputs: ir.Value,
    first: ir.Value,
    stride: ir.Value,
    weights: ir.Value,
    panel: ir.Value,
    outputs: ir.Value,
    target: ir.Value,
    begun: ir.Value,
    coming: ir.Value,
    ahead: ir.Value,
) -> None:
    """Sixteen steps of a sum, all written out."""
    starts = _rows_from(builder, first, stride, SLICE_ROWS)
    lines = [builder.gep(inputs, [start], inbounds=True) for start in starts]
    spots = [
        [_plus(builder, target, row * PANEL_OUTPUTS + half) for half in (0, WIDTH)]
        for row in range(SLICE_ROWS)
    ]
    before, resume, multiply = builder.block, *(builder.append_basic_block() for _ in range(2))
    builder.cbranch(builder.icmp_signed("==", begun, ir.Constant(_INT64, 0)), multiply, resume)
    builder.position_at_end(resume)
    so_far = [[_load(builder, outputs, spot) for spot in pair] for pair in spots]
    builder.branch(multiply)
    builder.position_at_end(multiply)
    sums = [[builder.phi(_FLOAT8) for _ in pair] for pair in spots]
    for total, loaded in zip(chain(*sums), chain(*so_far), strict=True):
        total.add_incoming(ir.Constant(_FLOAT8, [0.0] * WIDTH), before)
        total.add_incoming(loaded, resume)
    for step in range(SLICE):
        column = _plus(builder, panel, step * PANEL_OUTPUTS)
        halves = [_load(builder, weights, _plus(builder, column, half)) for half in (0, WIDTH)]
        if step % (SLICE // LINES_AHEAD) == 0:
            line = _plus(builder, ahead, step // (SLICE // LINES_AHEAD) * (LINE // 4))
            _prefetch(builder, builder.gep(coming, [line]))
        sums = _one_deeper(builder, lines, ir.Constant(_INT64, step), halves, sums)
    for spot, total in zip(chain(*spots), chain(*sums), strict=True):
        _store(builder, outputs, spot, total)


_ARRAY = types.Array
_INDEX = types.Integer
_PANEL = (
    *(_INDEX, _ARRAY, *(_INDEX,) * 2),
    *(_ARRAY, *(_INDEX,) * 3),
    *(_ARRAY, *(_INDEX,) * 2) * 2,
)
_SLICE = (
    *(_ARRAY, *(_INDEX,) * 2, _ARRAY, _INDEX),
    *(_ARRAY, *(_INDEX,) * 2),
    *(_ARRAY, _INDEX),
)

compile_as(load8, (_ARRAY, _INDEX), _FLOAT8_TYPE, _load)
compile_as(store8, (_ARRAY, _INDEX, _FLOAT8_TYPE), types.none, _store)
compile_as(splat8, (types.float32,), _FLOAT8_TYPE, _splat)
compile_as(multiply_add, (_FLOAT8_TYPE,) * 3, _FLOAT8_TYPE, _fused)
compile_as(maximum8, (_FLOAT8_TYPE,) * 2, _FLOAT8_TYPE, _select(">"))
compile_as(minimum8, (_FLOAT8_TYPE,) * 2, _FLOAT8_TYPE, _select("<"))
compile_as(round8, (_FLOAT8_TYPE,), _FLOAT8_TYPE, _rounded)
compile_as(power_of_two8, (_FLOAT8_TYPE,), _FLOAT8_TYPE, _power_of_two)
compile_as(total8, (_FLOAT8_TYPE,), types.float32, _total)
compile_as(stay_apart, (), types.none, _stay_apart)
compile_as(lowest_bit, (types.uint64,), types.int64, _lowest_bit)
compile_as(operator.add, (_FLOAT8_TYPE,) * 2, _FLOAT8_TYPE, ir.IRBuilder.fadd)
compile_as(operator.sub, (_FLOAT8_TYPE,) * 2, _FLOAT8_TYPE, ir.IRBuilder.fsub)
compile_as(operator.mul, (_FLOAT8_TYPE,) * 2, _FLOAT8_TYPE, ir.IRBuilder.fmul)
compile_as(operator.truediv, (_FLOAT8_TYPE,) * 2, _FLOAT8_TYPE, ir.IRBuilder.fdiv)
compile_as(multiply_panel, _PANEL, types.none, _multiply_panel)
compile_as(multiply_slice, _SLICE, types.none, _multiply_slice)
