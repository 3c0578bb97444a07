"""A net's weights as the forward pass on a CPU wants them: folded, transformed, padded, aligned.

Channels are padded with zeros to a multiple of 16; all arrays are flat, of float32. What stands in
brackets is the order of their numbers, "panels" that of ``swa.filters.pack_panels``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swa.activations import MISH, RELU
from swa.batchnorm import Weights, fold
from swa.filters import (
    NARROW,
    SLOTS,
    TAPS,
    Filters,
    pack_filters,
    pack_panels,
    pack_taps,
    padded,
    transform_taps,
)
from swa.policy_map import CONV_POLICY
from swa.simd import Floats, aligned
from swa.spec import (
    PLANES,
    POLICY_MOVES,
    Activation,
    MovesLeftSpec,
    NetSpec,
    PolicyKind,
    ValueSpec,
)
from swa.winograd import SQUARES

MOST_BYTES = 2**31
"""So much may the transformed weights take: up to four times what the net itself takes. Taps that
are kept beside them add a quarter."""

MOST_CACHED = 2**24
"""Bytes of transformed filters above which a single board would wait for them. Measured with a
third-level cache of 32 MB, of which others take their part."""

_ACTIVATIONS = {Activation.RELU: RELU, Activation.MISH: MISH}


def why_not(spec: NetSpec) -> str:
    """Why this forward pass does not cover a net; empty if it does."""
    if spec.attention:
        return "it has an attention body"
    if spec.policy.kind is PolicyKind.ATTENTION:
        return "it has an attention policy"
    if spec.policies or spec.values:
        return "it has several heads"
    if spec.early:
        return "it sees boards and names moves as the first nets of leela-chess"
    numbers = PLANES * TAPS * padded(spec.filters)
    if spec.policy.kind is PolicyKind.CLASSICAL:
        numbers += POLICY_MOVES * SQUARES * padded(spec.policy.channels)
    size = _filter_bytes(spec) + 4 * numbers
    if size > MOST_BYTES:
        return f"its transformed weights would take {size / 2**30:.1f} GiB"
    return ""


def _filter_bytes(spec: NetSpec) -> int:
    """What the transformed filters of all 3x3 convolutions but the first take."""
    width, outputs = padded(spec.filters), 2 * spec.blocks * padded(spec.filters)
    if spec.policy.kind is PolicyKind.CONVOLUTION:
        outputs += padded(spec.policy.channels)
    return 4 * SLOTS * width * outputs


def _keeps_taps(spec: NetSpec) -> bool:
    """Whether a single board is better off with taps: a question of the net, never of a batch."""
    return padded(spec.filters) > NARROW and _filter_bytes(spec) > MOST_CACHED


class Head(NamedTuple):
    """A head that ends in few numbers, packed: value and moves left."""

    channels: int  # padded; 0 where the net has no such head
    hidden: int  # padded
    outputs: int
    conv: Floats  # panels of the 1x1 convolution
    conv_bias: Floats
    dense1: Floats  # panels; inputs in the order of activations, square by square
    bias1: Floats
    dense2: Floats  # [outputs][hidden]
    bias2: Floats


class Tower(NamedTuple):
    """Input layer and residual blocks, packed; biases hold what batch norm came to."""

    blocks: int
    filters: int  # padded, as all channels below
    se: int  # padded; 0 without squeeze-excitation
    activation: int
    input: Floats  # [112][9 taps][filters]
    input_bias: Floats
    convs: Filters  # two a block
    biases: Floats  # [2 * blocks][filters]
    squeeze: Floats  # [blocks] panels from filters to se
    squeeze_bias: Floats  # [blocks][se]
    excite: Floats  # [blocks] panels from se to 2 * filters: scales, then shifts
    excite_bias: Floats  # [blocks][2 * filters]


class Policy(NamedTuple):
    """A policy head, packed."""

    convolution: bool
    channels: int  # padded
    filters: Filters  # of a 3x3 convolution
    conv: Floats  # panels of a classical policy's 1x1 convolution
    bias: Floats
    moves: Floats  # [80][9 taps][channels], or a classical policy's [1858][64][channels]
    moves_bias: Floats
    places: NDArray[np.int64]  # [1858] where a move stands in the flattened [80][64]


class Packed(NamedTuple):
    """A net's weights as the kernels want them."""

    tower: Tower
    policy: Policy
    value: Head
    moves_left: Head


def _vector(numbers: NDArray[np.float32]) -> Floats:
    """A bias, padded with zeros."""
    packed = aligned(padded(numbers.size))
    packed[: numbers.size] = numbers
    return packed


def _joined(arrays: Iterable[Floats], count: int) -> Floats:
    """One array of ``count`` arrays of one size; there are never two copies of them all."""
    joined = aligned(0)
    for place, array in enumerate(arrays):
        if not place:
            joined = aligned(count * array.size)
        joined[place * array.size : (place + 1) * array.size] = array
    return joined


def _filters(spec: NetSpec, weights: Sequence[NDArray[np.float32]], outputs: int) -> Filters:
    """3x3 convolutions [K, C, 3, 3] from the tower's width to ``outputs``, padded."""
    inputs, count = padded(spec.filters), len(weights)
    if not _keeps_taps(spec):
        slots = _joined(map(pack_filters, weights), count)
        return Filters(inputs, outputs, True, slots, aligned(0))
    slots = _joined((transform_taps(pack_taps(one)) for one in weights), count)
    return Filters(inputs, outputs, False, slots, _joined(map(pack_taps, weights), count))


def _panels(matrix: NDArray[np.float32]) -> Floats:
    """A dense layer's weights [K, C]."""
    return pack_panels(matrix[None])


def _by_square(dense: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """A dense layer on [channels][64 squares] as one on [64 squares][padded channels]."""
    rows = dense.reshape(len(dense), channels, SQUARES).transpose(0, 2, 1)
    return np.pad(rows, ((0, 0), (0, 0), (0, padded(channels) - channels))).reshape(len(dense), -1)


def _by_tap(filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """Filters [K, C, 3, 3] as [K, 9 taps, C]."""
    return filters.reshape(*filters.shape[:2], TAPS).transpose(0, 2, 1)


def _last_padded(array: NDArray[np.float32]) -> Floats:
    """An array with its last axis padded, flat."""
    packed = aligned(array[..., 0].size * padded(array.shape[-1]))
    packed.reshape(*array.shape[:-1], -1)[..., : array.shape[-1]] = array
    return packed


def _pack_tower(spec: NetSpec, weights: Weights) -> Tower:
    filters, blocks = padded(spec.filters), range(spec.blocks)
    names = [f"blocks.{block}.{conv}" for block in blocks for conv in ("conv1", "conv2")]
    dense = [f"blocks.{block}.se.dense" for block in blocks] if spec.se else []
    return Tower(
        blocks=spec.blocks,
        filters=filters,
        se=padded(spec.se),
        activation=_ACTIVATIONS[spec.activation],
        # A plane pushes to its neighbours: [plane][tap][filter].
        input=_last_padded(_by_tap(weights["input.conv.weight"].transpose(1, 0, 2, 3))),
        input_bias=_vector(weights["input.conv.bias"]),
        convs=_filters(spec, [weights[f"{name}.weight"] for name in names], filters),
        biases=_joined((_vector(weights[f"{name}.bias"]) for name in names), len(names)),
        squeeze=_joined((_panels(weights[f"{name}1.weight"]) for name in dense), len(dense)),
        squeeze_bias=_joined((_vector(weights[f"{name}1.bias"]) for name in dense), len(dense)),
        excite=_joined(
            (_panels(_halves(weights[f"{name}2.weight"], filters)) for name in dense), len(dense)
        ),
        excite_bias=_joined(
            (_halves(weights[f"{name}2.bias"], filters) for name in dense), len(dense)
        ),
    )


def _halves(rows: NDArray[np.float32], filters: int) -> NDArray[np.float32]:
    """Rows that scale and rows that shift, each padded to ``filters`` of them."""
    scale, shift = np.split(rows, 2)
    rest = [(0, filters - len(scale))] + [(0, 0)] * (rows.ndim - 1)
    return np.concatenate((np.pad(scale, rest), np.pad(shift, rest)))


def _pack_policy(spec: NetSpec, weights: Weights) -> Policy:
    channels, width = spec.policy.channels, padded(spec.policy.channels)
    places = np.array(CONV_POLICY)
    if spec.policy.kind is PolicyKind.CONVOLUTION:
        return Policy(
            convolution=True,
            channels=width,
            filters=_filters(spec, [weights["policy.conv1.weight"]], width),
            conv=aligned(0),
            bias=_vector(weights["policy.conv1.bias"]),
            moves=_last_padded(_by_tap(weights["policy.conv2.weight"])),
            moves_bias=_vector(weights["policy.conv2.bias"]),
            places=places,
        )
    return Policy(
        convolution=False,
        channels=width,
        filters=_filters(spec, [], 0),
        conv=_panels(weights["policy.conv.weight"][:, :, 0, 0]),
        bias=_vector(weights["policy.conv.bias"]),
        moves=_joined([_by_square(weights["policy.dense.weight"], channels).ravel()], 1),
        moves_bias=_vector(weights["policy.dense.bias"]),
        places=places,
    )


def _pack_head(
    name: str, head: ValueSpec | MovesLeftSpec | None, outputs: int, weights: Weights
) -> Head:
    if head is None:
        return Head(0, 0, 0, *(aligned(0) for _ in range(6)))
    return Head(
        channels=padded(head.channels),
        hidden=padded(head.hidden),
        outputs=outputs,
        conv=_panels(weights[f"{name}.conv.weight"][:, :, 0, 0]),
        conv_bias=_vector(weights[f"{name}.conv.bias"]),
        dense1=_panels(_by_square(weights[f"{name}.dense1.weight"], head.channels)),
        bias1=_vector(weights[f"{name}.dense1.bias"]),
        dense2=_last_padded(weights[f"{name}.dense2.weight"]),
        bias2=_vector(weights[f"{name}.dense2.bias"]),
    )


def pack(spec: NetSpec, weights: Weights) -> Packed:
    """Fold batch norm and lay out all weights for the kernels."""
    spec, weights = fold(spec, weights) if spec.batch_norm else (spec, weights)
    return Packed(
        _pack_tower(spec, weights),
        _pack_policy(spec, weights),
        _pack_head("value", spec.value, spec.value.outputs, weights),
        _pack_head("moves_left", spec.moves_left, 1, weights),
    )
