"""How others come by a batch norm's statistics, to compare with: all of them in training mode.

There each layer is normed by its own batch, so what later layers see, and with it the result,
depends on which positions stand together: by up to 26 % of a variance between two orders of the
same positions, in one measurement. ``swa.refresh`` has the method without that fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from swa.batchnorm import Statistics
from swa.model import Tower

KEPT = 0.99
"""Share of the running average that leela-zero's refresh keeps at each batch (its training's
``tfprocess.py``, as other trainers' default)."""

BATCHES = 200
"""Batches that leela-zero's refresh takes: 0.99^200, 13 % of the old statistics, remain."""


def pooled(module: Tower, batches: Iterable[Tensor]) -> dict[str, Statistics]:
    """Mean and variance of all that a layer sees, in training mode (KataGo).

    Sums in float64 of the numbers and of their squares, over all batches, each number counting
    alike (KataGo python/refresh_batchnorm_stats.py). ``batches`` are planes [B, 112, 8, 8].
    """
    sums: dict[str, list[Tensor]] = {}

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def add(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            seen = arguments[0]
            wide = (seen.cpu() if seen.device.type == "mps" else seen).double()
            count = torch.tensor(wide.numel() / wide.shape[1], dtype=torch.float64)
            new = [count, wide.sum((0, 2, 3)), wide.square().sum((0, 2, 3))]
            old = sums.get(name)
            sums[name] = new if old is None else [a + b for a, b in zip(old, new, strict=True)]

        return add

    hooks = [norm.register_forward_pre_hook(hook(name)) for name, norm in _norms(module)]
    module.train()
    for planes in batches:
        module(planes)
    for one in hooks:
        one.remove()
    found = {}
    for name, (count, total, squares) in sums.items():
        mean = total.cpu().numpy() / float(count)
        variance = squares.cpu().numpy() / float(count) - mean**2
        found[name] = Statistics(mean, np.maximum(variance, 0.0))
    return found


def mean_of_batches(module: Tower, batches: Iterable[Tensor]) -> dict[str, Statistics]:
    """The mean over batches of each one's mean and unbiased variance: torch's ``update_bn``.

    A last batch that is smaller weighs as much as the others.
    """
    update_bn(batches, module)
    return _running(module)


def running_average(
    module: Tower, batches: Callable[[], Iterable[Tensor]], kept: float = KEPT, count: int = BATCHES
) -> dict[str, Statistics]:
    """The statistics a net came with, moved on by ``count`` batches in training mode (leela-zero).

    Each batch: ``kept`` * old + (1 - ``kept``) * its mean and unbiased variance. ``batches()`` is
    gone through again where it has fewer than ``count``; ValueError where that gives nothing.
    """
    for _, norm in _norms(module):
        norm.momentum = 1 - kept
    module.train()
    done = 0
    while done < count:
        before = done
        for planes in islice(batches(), count - done):
            module(planes)
            done += 1
        if done == before:
            raise ValueError(f"there are only {done} batches of {count}, to be read only once")
    return _running(module)


def _norms(module: Tower) -> Iterator[tuple[str, nn.BatchNorm2d]]:
    for name, part in module.named_modules():
        if isinstance(part, nn.BatchNorm2d):
            yield name, part


def _running(module: Tower) -> dict[str, Statistics]:
    found = {}
    for name, norm in _norms(module):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        found[name] = Statistics(
            norm.running_mean.cpu().double().numpy(), norm.running_var.cpu().double().numpy()
        )
    return found
