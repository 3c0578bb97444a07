"""Nets and positions to refresh in a test, and two passes in float64 to hold the result against."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from swa.batchnorm import Statistics
from swa.model import tower, unpack
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


class _ReachedError(Exception):
    """Carries what a batch norm was about to see."""


def _stop(_: nn.Module, arguments: tuple[torch.Tensor]) -> None:
    raise _ReachedError(arguments[0])


def two_passes(spec: NetSpec, weights: Any, planes: Planes) -> dict[str, Statistics]:
    """Each layer's statistics over all positions in float64, one layer after the other."""
    module = tower(spec, weights).double().eval()
    masks, values = planes
    inputs = unpack(torch.tensor(masks.view(np.uint8)), torch.tensor(values)).double()
    found = {}
    for convolution in normed_convolutions(spec):
        norm = module.get_submodule(norm_of(convolution))
        assert isinstance(norm, nn.BatchNorm2d)
        hook = norm.register_forward_pre_hook(_stop)
        with torch.no_grad(), pytest.raises(_ReachedError) as reached:
            module(inputs)
        hook.remove()
        raw = reached.value.args[0]
        mean, variance = raw.mean((0, 2, 3)), raw.var((0, 2, 3), unbiased=False)
        found[norm_of(convolution)] = Statistics(mean.numpy(), variance.numpy())
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
    return found
