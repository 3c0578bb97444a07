"""A refresh by torch: on any device, for any net that ``swa.model`` holds, in float64 as reference.

What is kept of the positions stays on the device if it takes no more than half of what is free
there (torch tells that of CUDA only), else on the host.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from swa.batchnorm import Statistics, Weights
from swa.model import Tower, activate, tower, unpack
from swa.spec import PLANES, NetError, NetSpec, norm_of
from swa.spill import Spill, Spilled

BATCH = 256
"""Positions that are worked on at a time, unless it is said."""

MOST_OF_DEVICE = 0.5
"""Of the free memory of a device; convolutions want the rest."""

SIDE = 8


class _Kept(NamedTuple):
    """What is kept of a batch: [B, filters, 8, 8] each, channels last in memory."""

    block: Tensor
    raw: Tensor
    spilled: Spilled | None  # on the host

    def in_use(self) -> AbstractContextManager[None]:
        """Have it in memory meanwhile."""
        return self.spilled.in_use() if self.spilled is not None else nullcontext()


@contextmanager
def torch_settings(threads: int) -> Iterator[None]:
    """Meanwhile: no gradients, so many threads of a CPU, float32 that is float32."""
    before = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False  # of TensorFloat-32, which keeps 10 bits
    try:
        with torch.inference_mode():
            yield
    except torch.OutOfMemoryError as error:
        raise NetError("the device has no memory for it", "Work in smaller batches.") from error
    finally:
        torch.set_num_threads(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def planes_on(
    device: str,
    dtype: str,
    masks: NDArray[np.uint64],
    values: NDArray[np.float32],
) -> Tensor:
    """Packed planes [B, 112] as a module's input [B, 112, 8, 8] on a device."""
    octets = torch.from_numpy(masks.view(np.uint8).reshape(len(masks), PLANES * 8))
    return unpack(octets.to(device), torch.from_numpy(values).to(device), getattr(torch, dtype))


def module_on(spec: NetSpec, weights: Weights, device: str, dtype: str) -> Tower:
    """A module with its batch norms, for no gradients, channels last."""
    module = tower(spec, weights).requires_grad_(False).to(device, getattr(torch, dtype))
    for kernel in module.parameters():
        if kernel.dim() == 4:
            kernel.data = kernel.data.contiguous(memory_format=torch.channels_last)
    return module


class TorchRefresh:
    """What is kept of the positions, batch by batch, and the module; see ``Engine``."""

    def __init__(
        self,
        spec: NetSpec,
        weights: Weights,
        spill: Spill,
        device: str,
        dtype: str,
        batch: int | None,
    ) -> None:
        self.window = batch or BATCH
        self._spec, self._device, self._dtype, self._spill = spec, device, dtype, spill
        self._module = module_on(spec, weights, device, dtype).eval()
        self._kept: list[_Kept] = []
        self._sums: list[list[tuple[int, Tensor, Tensor]]] = []

    def begin(self, masks: NDArray[np.uint64], values: NDArray[np.float32]) -> None:
        """Make a batch of packed planes and measure the input layer on it."""
        kept = self._room(len(masks))
        planes = planes_on(self._device, self._dtype, masks, values)
        raw = self._module.input.conv(self._module.seen(planes))
        with kept.in_use():
            kept.raw.copy_(raw)
        self._kept.append(kept)
        self._add_up([raw])

    def measure(self, convolutions: Sequence[str], window: int) -> None:
        """Run convolutions that are next on what is kept of a batch; add up what they give."""
        kept = self._kept[window]
        with kept.in_use():
            self._add_up(self._convolve(convolutions, kept))

    def skip(self, convolutions: Sequence[str], window: int) -> None:
        """Run convolutions one after the other, all norms before the last one's being known."""
        kept = self._kept[window]
        with kept.in_use():
            for convolution in convolutions:
                self._convolve([convolution], kept)

    def found(self, convolutions: Sequence[str]) -> list[Statistics]:
        """The statistics of what was measured last, and begin anew."""
        statistics = [_merged(rows) for rows in self._sums]
        self._sums = []
        return statistics

    def use(self, convolution: str, statistics: Statistics) -> None:
        """Norm what a convolution gives by these statistics, in the module's precision."""
        norm: Any = self._module.get_submodule(norm_of(convolution))
        norm.running_mean.copy_(torch.from_numpy(statistics.mean))
        norm.running_var.copy_(torch.from_numpy(statistics.variance))

    def _room(self, boards: int) -> _Kept:
        filters = self._spec.filters
        number = np.dtype(self._dtype)
        shape, count = (2, boards, SIDE, SIDE, filters), 2 * boards * SIDE * SIDE * filters
        spilled = None
        if self._device.startswith("cuda") and (
            count * number.itemsize < MOST_OF_DEVICE * torch.cuda.mem_get_info(self._device)[0]
        ):
            both = torch.empty(shape, dtype=getattr(torch, self._dtype), device=self._device)
        else:
            spilled = self._spill.array(count, number.type)
            both = torch.from_numpy(spilled.numbers).view(shape)
        block, raw = both.permute(0, 1, 4, 2, 3)
        return _Kept(block, raw, spilled)

    def _convolve(self, convolutions: Sequence[str], kept: _Kept) -> list[Tensor]:
        """What convolutions give of a batch; what is kept of it is moved on to there."""
        owner, _, leaf = convolutions[0].rpartition(".")
        raw = kept.raw.to(self._device)
        if leaf == "conv2":
            block: Any = self._module.get_submodule(owner)
            inputs = activate(block.bn1(raw), self._spec.activation)
        else:
            inputs = self._finished(owner, raw, kept)
            kept.block.copy_(inputs)
        outputs = [self._module.get_submodule(name)(inputs) for name in convolutions]
        if owner.startswith("blocks."):
            kept.raw.copy_(outputs[0])
        return outputs

    def _finished(self, owner: str, raw: Tensor, kept: _Kept) -> Tensor:
        """What comes before a block or the heads: the end of the block before, or of the input."""
        blocks = len(self._module.blocks)
        before = (int(owner.removeprefix("blocks.")) if owner.startswith("blocks.") else blocks) - 1
        if before < 0:
            return activate(self._module.input.bn(raw), self._spec.activation)
        block: Any = self._module.blocks[before]
        finished: Tensor = block.se(block.bn2(raw)) + kept.block.to(self._device)
        return activate(finished, self._spec.activation)

    def _add_up(self, outputs: Sequence[Tensor]) -> None:
        if not self._sums:
            self._sums = [[] for _ in outputs]
        for rows, output in zip(self._sums, outputs, strict=True):
            rows.append(_moments(output))


def _moments(numbers: Tensor) -> tuple[int, Tensor, Tensor]:
    """How many numbers a channel has, their mean and sum of squared distances to it, in float64."""
    wide = (numbers.cpu() if numbers.device.type == "mps" else numbers).double()
    mean = wide.mean((0, 2, 3))
    squares = (wide - mean[:, None, None]).square_().sum((0, 2, 3))
    return wide.numel() // wide.shape[1], mean, squares


def _merged(rows: Sequence[tuple[int, Tensor, Tensor]]) -> Statistics:
    """The statistics of all batches from those of each.

    Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983.
    """
    counts = np.array([count for count, _, _ in rows], np.float64)[:, None]
    means, squares = (torch.stack(part).cpu().numpy() for part in list(zip(*rows, strict=True))[1:])
    total = counts.sum()
    mean = (counts * means).sum(axis=0) / total
    between = (counts * (means - mean) ** 2).sum(axis=0)
    return Statistics(mean, (squares.sum(axis=0) + between) / total)
