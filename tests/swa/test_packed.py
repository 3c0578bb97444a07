"""How a net's weights are laid out, by the words of ``swa.packed``, and which nets are refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_net import KINDS, TINY, random_weights

from swa.activations import MISH, RELU
from swa.batchnorm import fold
from swa.filters import NARROW, SLOTS, pack_filters, pack_taps, padded, transform_taps
from swa.packed import Head, Packed, _keeps_taps, pack, why_not
from swa.policy_map import CONV_POLICY
from swa.simd import LINE
from swa.spec import Activation, MovesLeftSpec, NetSpec, PolicyKind, PolicySpec, ValueSpec

every_kind = pytest.mark.parametrize("spec", KINDS.values(), ids=KINDS.keys())

WIDE = replace(
    TINY,
    blocks=2,
    filters=20,
    se=3,
    policy=PolicySpec(PolicyKind.CONVOLUTION, 33),
    value=ValueSpec(TINY.value.kind, channels=5, hidden=18),
    moves_left=MovesLeftSpec(channels=17, hidden=2),
)
"""Every width another, none a multiple of sixteen."""

FLAT = replace(WIDE, policy=PolicySpec(PolicyKind.CLASSICAL, 18))


def arrays_of(packed: Any, name: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    for field, value in packed._asdict().items():
        if isinstance(value, np.ndarray):
            yield f"{name}{field}", value
        elif isinstance(value, tuple):
            yield from arrays_of(value, f"{name}{field}.")


def folded(spec: NetSpec) -> dict[str, NDArray[np.float32]]:
    return fold(spec, random_weights(spec))[1]


def packed(spec: NetSpec) -> Packed:
    return pack(spec, random_weights(spec))


def holds(array: NDArray[np.float32], shape: tuple[int, ...], numbers: NDArray[Any]) -> None:
    """A flat array is this padded shape, these numbers in its first corner, zeros beyond."""
    assert array.size == np.prod(shape)
    padded_numbers = np.zeros(shape, np.float32)
    padded_numbers[tuple(slice(size) for size in numbers.shape)] = numbers
    np.testing.assert_array_equal(array.reshape(shape), padded_numbers)


def panels(array: NDArray[np.float32], depth: int, width: int) -> NDArray[np.float32]:
    """Panels [K / 16][C][16] as the matrix [K, C] that they hold."""
    blocks = array.reshape(width // 16, depth, 16)
    return blocks.transpose(0, 2, 1).reshape(width, depth)


@every_kind
def test_arrays_are_flat_aligned_floats(spec: NetSpec) -> None:
    for name, array in arrays_of(packed(spec)):
        assert array.ndim == 1, name
        assert array.flags.c_contiguous, name
        if name == "policy.places":
            assert array.dtype == np.int64
            continue
        assert array.dtype == np.float32, name
        assert array.size % 16 == 0, name
        assert not array.size or array.ctypes.data % LINE == 0, name


@every_kind
def test_weights_are_not_shared_with_the_net(spec: NetSpec) -> None:
    weights = random_weights(spec)
    before = {name: array.copy() for name, array in weights.items()}
    for _, array in arrays_of(pack(spec, weights)):
        array.fill(7)
    for name, array in weights.items():
        np.testing.assert_array_equal(array, before[name])


def test_batch_norm_is_folded_first() -> None:
    for (name, one), (_, other) in zip(
        arrays_of(packed(TINY)), arrays_of(pack(*fold(TINY, random_weights(TINY)))), strict=True
    ):
        np.testing.assert_array_equal(one, other, err_msg=name)


def test_the_tower() -> None:
    tower, weights = packed(WIDE).tower, folded(WIDE)
    assert (tower.blocks, tower.filters, tower.se, tower.activation) == (2, 32, 16, RELU)
    taps = weights["input.conv.weight"].reshape(20, 112, 9).transpose(1, 2, 0)
    holds(tower.input, (112, 9, 32), taps)
    holds(tower.input_bias, (32,), weights["input.conv.bias"])
    size, se_size = SLOTS * 32 * 32, 32 * 16
    for conv, name in enumerate(f"blocks.{b}.conv{c}" for b in (0, 1) for c in (1, 2)):
        np.testing.assert_array_equal(
            tower.convs.slots[conv * size : (conv + 1) * size],
            pack_filters(weights[f"{name}.weight"]),
        )
        holds(tower.biases[conv * 32 : (conv + 1) * 32], (32,), weights[f"{name}.bias"])
    assert tower.convs[:2] == (32, 32)
    assert tower.convs.slots.size == 4 * size
    assert not tower.convs.taps.size
    for block in range(2):
        dense = f"blocks.{block}.se.dense"
        squeeze = panels(tower.squeeze[block * se_size : (block + 1) * se_size], 32, 16)
        holds(squeeze, (16, 32), weights[f"{dense}1.weight"])
        holds(tower.squeeze_bias[block * 16 :][:16], (16,), weights[f"{dense}1.bias"])
        excite = panels(tower.excite[2 * block * se_size : 2 * (block + 1) * se_size], 16, 64)
        bias = tower.excite_bias[block * 64 :][:64]
        for half in range(2):  # scales, then shifts
            rows = slice(half * 20, half * 20 + 20)
            holds(excite[half * 32 :][:32], (32, 16), weights[f"{dense}2.weight"][rows])
            holds(bias[half * 32 :][:32], (32,), weights[f"{dense}2.bias"][rows])


def test_a_convolution_policy() -> None:
    policy, weights = packed(WIDE).policy, folded(WIDE)
    assert (policy.convolution, policy.channels) == (True, 48)
    assert policy.filters[:2] == (32, 48)
    filters = pack_filters(weights["policy.conv1.weight"])
    np.testing.assert_array_equal(policy.filters.slots, filters)
    assert not policy.conv.size
    holds(policy.bias, (48,), weights["policy.conv1.bias"])
    taps = weights["policy.conv2.weight"].reshape(80, 33, 9).transpose(0, 2, 1)
    holds(policy.moves, (80, 9, 48), taps)
    holds(policy.moves_bias, (80,), weights["policy.conv2.bias"])
    assert policy.places.tolist() == list(CONV_POLICY)


def test_large_nets_keep_their_taps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swa.packed.MOST_CACHED", 0)
    spec = replace(WIDE, filters=NARROW + 1)
    net, weights = packed(spec), folded(spec)
    size = 9 * 80 * 80
    assert net.tower.convs[:2] == (80, 80)
    for conv, name in enumerate(f"blocks.{b}.conv{c}" for b in (0, 1) for c in (1, 2)):
        taps = pack_taps(weights[f"{name}.weight"])
        found = net.tower.convs.taps[conv * size : (conv + 1) * size]
        np.testing.assert_array_equal(found, taps)
        slots = net.tower.convs.slots[conv * 4 * size : (conv + 1) * 4 * size]
        np.testing.assert_array_equal(slots, transform_taps(taps))
    assert net.tower.convs.taps.size == 4 * size
    assert net.policy.filters[:2] == (80, 48)
    taps = pack_taps(weights["policy.conv1.weight"])
    np.testing.assert_array_equal(net.policy.filters.taps, taps)
    np.testing.assert_array_equal(net.policy.filters.slots, transform_taps(taps))
    # Sums in segments are not what a single board's kernel computes.
    assert not packed(replace(WIDE, filters=NARROW)).tower.convs.taps.size


def test_which_nets_keep_their_taps() -> None:
    for blocks, filters, large in ((20, 64, False), (3, 96, False), (4, 128, True), (5, 100, True)):
        assert _keeps_taps(replace(TINY, blocks=blocks, filters=filters)) == large


def test_a_classical_policy() -> None:
    policy, weights = packed(FLAT).policy, folded(FLAT)
    assert (policy.convolution, policy.channels) == (False, 32)
    assert not policy.filters.slots.size
    holds(panels(policy.conv, 32, 32), (32, 32), weights["policy.conv.weight"][:, :, 0, 0])
    holds(policy.bias, (32,), weights["policy.conv.bias"])
    by_square = weights["policy.dense.weight"].reshape(1858, 18, 64).transpose(0, 2, 1)
    holds(policy.moves, (1858, 64, 32), by_square)
    holds(policy.moves_bias, (padded(1858),), weights["policy.dense.bias"])


def check_head(head: Head, name: str, channels: int, hidden: int, outputs: int) -> None:
    weights, padded_channels, width = folded(WIDE), padded(channels), padded(hidden)
    assert (head.channels, head.hidden, head.outputs) == (padded_channels, width, outputs)
    conv = weights[f"{name}.conv.weight"][:, :, 0, 0]
    holds(panels(head.conv, 32, padded_channels), (padded_channels, 32), conv)
    holds(head.conv_bias, (padded_channels,), weights[f"{name}.conv.bias"])
    dense = weights[f"{name}.dense1.weight"].reshape(hidden, channels, 64).transpose(0, 2, 1)
    matrix = panels(head.dense1, 64 * padded_channels, width)
    holds(matrix, (width, 64, padded_channels), dense)
    holds(head.bias1, (width,), weights[f"{name}.dense1.bias"])
    holds(head.dense2, (outputs, width), weights[f"{name}.dense2.weight"])
    holds(head.bias2, (16,), weights[f"{name}.dense2.bias"])


def test_heads() -> None:
    net = packed(WIDE)
    check_head(net.value, "value", 5, 18, 3)
    check_head(net.moves_left, "moves_left", 17, 2, 1)


def test_what_a_net_has_not_takes_no_room() -> None:
    net = packed(replace(TINY, blocks=0, se=0, moves_left=None, activation=Activation.MISH))
    assert net.tower.activation == MISH
    assert net.tower.convs.slots.size == net.tower.convs.taps.size == 0
    for name in ("biases", "squeeze", "squeeze_bias", "excite", "excite_bias"):
        assert getattr(net.tower, name).size == 0
    assert net.tower.se == 0
    assert net.moves_left[:3] == (0, 0, 0)
    assert all(array.size == 0 for array in net.moves_left[3:])


def test_usual_nets_are_covered() -> None:
    for spec in KINDS.values():
        assert why_not(spec) == ""
    for blocks, filters in ((0, 1), (6, 64), (15, 192), (20, 256), (40, 384), (24, 512)):
        assert why_not(replace(TINY, blocks=blocks, filters=filters)) == ""


def test_a_net_too_large_is_refused_with_its_size() -> None:
    reason = why_not(replace(TINY, blocks=60, filters=512))
    assert reason == "its transformed weights would take 4.2 GiB"
    # Padded filters count: 1009 are 1024, of which blocks take 288 MiB.
    assert why_not(replace(TINY, blocks=6, filters=1024)) == ""
    assert why_not(replace(TINY, blocks=8, filters=1009)) != ""


def test_a_policy_alone_can_be_too_large() -> None:
    wide = PolicySpec(PolicyKind.CLASSICAL, 5000)
    assert why_not(replace(TINY, policy=wide)) == "its transformed weights would take 2.2 GiB"
