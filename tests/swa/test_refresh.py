"""Batch norm's refresh against two passes in float64, and what it must not depend on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_net import calm_weights
from torch import nn

from swa.batchnorm import fold
from swa.forward import Forward
from swa.model import tower, unpack
from swa.net import NetError
from swa.refresh import refresh
from swa.spec import (
    Activation,
    MovesLeftSpec,
    NetSpec,
    PolicyKind,
    PolicySpec,
    ValueKind,
    ValueSpec,
    norm_of,
    normed_convolutions,
)

Planes = tuple[NDArray[np.uint64], NDArray[np.float32]]

SE_NET = NetSpec(
    blocks=2,
    filters=24,
    se=8,
    policy=PolicySpec(PolicyKind.CONVOLUTION, 40),
    value=ValueSpec(ValueKind.WDL, channels=8, hidden=16),
    moves_left=MovesLeftSpec(channels=4, hidden=8),
)
PLAIN_NET = NetSpec(
    blocks=1,
    filters=16,
    se=0,
    policy=PolicySpec(PolicyKind.CLASSICAL, 5),
    value=ValueSpec(ValueKind.CLASSICAL, channels=3, hidden=16),
    activation=Activation.MISH,
)


def random_planes(boards: int, seed: int = 0) -> Planes:
    """Sparse planes, and a few full ones with values of their own."""
    random = np.random.default_rng(seed)
    bits = random.random((boards, 112, 64)) < 0.04
    bits[:, 104:] = (random.random((boards, 8)) < 0.5)[..., None]
    masks = np.packbits(bits, axis=-1, bitorder="little").view(np.uint64)[..., 0]
    values = np.ones((boards, 112), np.float32)
    values[:, 109] = random.integers(0, 100, boards)
    return np.ascontiguousarray(masks), values


def two_passes(spec: NetSpec, weights: Any, planes: Planes) -> dict[str, NDArray[np.float64]]:
    """Each layer's statistics over all positions in float64, one layer after the other."""
    module = tower(spec, weights).double().eval()
    masks, values = planes
    inputs = unpack(torch.tensor(masks.view(np.uint8)), torch.tensor(values)).double()
    found = {}
    for convolution in normed_convolutions(spec):
        norm = module.get_submodule(norm_of(convolution))
        assert isinstance(norm, nn.BatchNorm2d)
        seen: list[torch.Tensor] = []
        hook = norm.register_forward_pre_hook(lambda _, args, seen=seen: seen.append(args[0]))
        with torch.no_grad():
            module(inputs)
        hook.remove()
        (raw,) = seen
        mean, variance = raw.mean((0, 2, 3)), raw.var((0, 2, 3), unbiased=False)
        found[f"{norm_of(convolution)}.mean"] = mean.numpy()
        found[f"{norm_of(convolution)}.variance"] = variance.numpy()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
    return found


@pytest.mark.parametrize("spec", [SE_NET, PLAIN_NET, replace(PLAIN_NET, blocks=0)])
def test_statistics_are_those_of_two_passes_in_float64(spec: NetSpec) -> None:
    weights, planes = calm_weights(spec), random_planes(67)
    refreshed = refresh(spec, weights, planes).weights
    for name, reference in two_passes(spec, weights, planes).items():
        if name.endswith(".mean"):
            deviation = np.sqrt(np.maximum(refreshed[name.replace("mean", "variance")], 1e-5))
            assert np.abs(refreshed[name] - reference).max() < 2e-6 * deviation.max()
        else:
            np.testing.assert_allclose(refreshed[name], reference, rtol=5e-6, atol=1e-9)


def test_on_a_real_net_and_its_own_positions(shared: Any) -> None:
    from swa.net import load_net

    net = load_net(shared / "nets" / "maia-1500.pb.gz")
    planes = random_planes(50)
    refreshed = refresh(net.spec, net.weights, planes).weights
    for name, reference in two_passes(net.spec, net.weights, planes).items():
        if name.endswith(".variance"):
            np.testing.assert_allclose(refreshed[name], reference, rtol=2e-6)


def test_everything_but_the_statistics_stays() -> None:
    weights = calm_weights(SE_NET)
    before = {name: array.copy() for name, array in weights.items()}
    refreshed = refresh(SE_NET, weights, random_planes(3)).weights
    assert refreshed.keys() == weights.keys()
    for name, array in refreshed.items():
        assert np.array_equal(weights[name], before[name])
        changed = name.endswith((".mean", ".variance"))
        assert changed != np.array_equal(array, before[name])
        assert array.dtype == np.float32
        assert array.shape == before[name].shape


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_do_not_matter(threads: int) -> None:
    weights, planes = calm_weights(SE_NET), random_planes(181)
    alone = refresh(SE_NET, weights, planes).weights
    together = refresh(SE_NET, weights, planes, threads=threads).weights
    assert all(np.array_equal(alone[name], together[name]) for name in alone)


def test_order_does_not_matter() -> None:
    weights, (masks, values) = calm_weights(SE_NET), random_planes(120)
    order = np.random.default_rng(1).permutation(len(masks))
    one = refresh(SE_NET, weights, (masks, values)).weights
    other = refresh(SE_NET, weights, (masks[order], values[order])).weights
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=3e-7, atol=3e-7)


def test_a_second_refresh_changes_next_to_nothing() -> None:
    planes = random_planes(40)
    once = refresh(SE_NET, calm_weights(SE_NET), planes).weights
    twice = refresh(SE_NET, once, planes).weights
    for name in once:
        np.testing.assert_allclose(once[name], twice[name], rtol=2e-6, atol=2e-6)


def test_the_refreshed_net_normalises_what_it_plays() -> None:
    """Folded and run by the forward pass, it says what torch says of the same weights."""
    masks, values = random_planes(12)
    refreshed = refresh(SE_NET, calm_weights(SE_NET), (masks, values)).weights
    moves = np.tile(np.arange(0, 1858, 50, dtype=np.uint16), 12)
    offsets = np.arange(0, len(moves) + 1, len(moves) // 12, dtype=np.int64)
    ours = Forward(*fold(SE_NET, refreshed))(masks, values, moves, offsets)
    module = tower(SE_NET, refreshed).double().eval()
    inputs = unpack(torch.tensor(masks.view(np.uint8)), torch.tensor(values)).double()
    with torch.no_grad():
        theirs = module(inputs)
    rows = np.repeat(np.arange(12), np.diff(offsets))
    np.testing.assert_allclose(ours.logits, theirs.policy.numpy()[rows, moves], atol=1e-4)
    np.testing.assert_allclose(ours.wdl, theirs.value.softmax(1).numpy(), atol=1e-5)


def test_what_cannot_be_refreshed_is_refused() -> None:
    weights, planes = calm_weights(PLAIN_NET), random_planes(2)
    with pytest.raises(NetError, match="no batch norm"):
        refresh(*fold(PLAIN_NET, weights), planes)
    with pytest.raises(ValueError, match="at least one position"):
        refresh(PLAIN_NET, weights, random_planes(0))
    weights["blocks.0.conv1.weight"][0, 0, 0, 0] = np.nan
    with pytest.raises(NetError, match=r"blocks\.0\.conv1 gives numbers that are not finite"):
        refresh(PLAIN_NET, weights, planes)
