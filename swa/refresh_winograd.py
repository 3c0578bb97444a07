"""A refresh on a CPU, by the forward pass of ``swa.forward``: float32, exact sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from swa.batchnorm import Statistics, Weights
from swa.cores import in_chunks
from swa.filters import padded
from swa.forward import Workspace, new_workspace
from swa.packed import pack
from swa.refresh_kernels import (
    BINS,
    OVERFLOW,
    UNIT,
    Kept,
    Norm,
    Sums,
    convolve_blocks,
    convolve_heads,
    convolve_inputs,
    new_sums,
)
from swa.simd import aligned
from swa.spec import BATCH_NORM_EPSILON, NetSpec, norm_of, normed_convolutions
from swa.spill import Spill, Spilled
from swa.winograd import GROUP, SQUARES

SHARE = 10 * GROUP
"""Boards by the multiple of which threads share a window; and which go through the layers that are
known together, what is kept of them being in the second-level cache."""

WINDOW_BYTES = 2**26
"""What is kept of a window, unless its positions are given."""


class WinogradRefresh:
    """What is kept of the positions, window by window, and the norms so far; see ``Engine``."""

    def __init__(
        self, spec: NetSpec, weights: Weights, spill: Spill, threads: int, window: int | None
    ) -> None:
        self._weights, self._threads, self._spill = weights, threads, spill
        self._net = pack(*_without_norms(spec, weights))
        size = 2 * SQUARES * self._net.tower.filters * np.dtype(np.float32).itemsize
        self.window = window or max(SHARE, WINDOW_BYTES // size // SHARE * SHARE)
        self._kept: list[tuple[int, Spilled, Kept]] = []
        self._norms: dict[str, Norm] = {}
        self._sums: list[Sums] = []
        self._totals: list[NDArray[np.object_]] = []  # of the bins, as Python's whole numbers
        self._count, self._lock, self._free = 0, Lock(), list[Workspace]()

    def begin(self, masks: NDArray[np.uint64], values: NDArray[np.float32]) -> None:
        """Make a window of packed planes and measure the input layer on it."""
        boards = len(masks)
        half = boards * SQUARES * self._net.tower.filters
        spilled = self._spill.array(2 * half, np.float32)
        kept = Kept(spilled.numbers[:half], spilled.numbers[half:])

        def compute(work: Workspace, first: int, end: int, sums: Sums) -> None:
            convolve_inputs(self._net.tower, work, masks, values, kept.raw, first, end, sums)

        self._kept.append((boards, spilled, kept))
        with spilled.in_use():
            self._share_out(boards, ["input.conv"], compute)

    def measure(self, convolutions: Sequence[str], window: int) -> None:
        """Run convolutions that are next on what is kept of a window; add up what they give."""
        boards, spilled, kept = self._kept[window]

        def compute(work: Workspace, first: int, end: int, *sums: Sums) -> None:
            self._convolve(convolutions[0], work, kept, first, end, *sums)

        with spilled.in_use():
            self._share_out(boards, convolutions, compute)

    def skip(self, convolutions: Sequence[str], window: int) -> None:
        """Run convolutions one after the other, all norms before the last one's being known."""
        boards, spilled, kept = self._kept[window]
        none = new_sums(0)

        def compute(work: Workspace, first: int, end: int) -> None:
            for start in range(first, end, SHARE):
                for convolution in convolutions:
                    self._convolve(convolution, work, kept, start, min(end, start + SHARE), none)

        with spilled.in_use():
            self._share_out(boards, [], compute)

    def found(self, convolutions: Sequence[str]) -> list[Statistics]:
        """The statistics of what was measured last, and begin anew."""
        statistics = [
            _statistics(total, self._count * SQUARES)[: self._channels(convolution)]
            for convolution, total in zip(convolutions, self._totals, strict=True)
        ]
        self._totals, self._count = [], 0
        return [Statistics(*table.T) for table in statistics]

    def use(self, convolution: str, statistics: Statistics) -> None:
        """Norm what a convolution gives by these statistics, rounded as the net will hold them."""
        name = norm_of(convolution)
        gamma, beta = (self._weights[f"{name}.{part}"] for part in ("gamma", "beta"))
        mean, variance = (part.astype(np.float32).astype(np.float64) for part in statistics)
        norm = Norm(aligned(padded(gamma.size)), aligned(padded(gamma.size)))
        scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
        norm.scale[: gamma.size] = scale
        norm.shift[: gamma.size] = beta - mean * scale
        self._norms[convolution] = norm

    def _channels(self, convolution: str) -> int:
        return len(self._weights[f"{convolution}.weight"])

    def _convolve(
        self, convolution: str, work: Workspace, kept: Kept, first: int, end: int, *sums: Sums
    ) -> None:
        """Run a convolution of the blocks, or those of all heads, on some boards of a window."""
        tower = self._net.tower
        number = _number(convolution)
        if number is not None:
            norm = self._norms[_name(number - 1)]
            convolve_blocks(tower, work, number, norm, kept, first, end, *sums)
            return
        norm = self._norms[_name(2 * tower.blocks - 1)]
        none = [new_sums(0)] * (3 - len(sums))
        convolve_heads(self._net, work, norm, kept, first, end, *sums, *none)

    def _share_out(
        self, boards: int, convolutions: Sequence[str], compute: Callable[..., None]
    ) -> None:
        """Call ``compute(work, first, end, *sums)`` for all boards; add what it adds up."""

        def work_on(first: int, end: int) -> None:
            try:
                work = self._free.pop()
            except IndexError:
                work = new_workspace(self._net)
            sums = [new_sums(padded(self._channels(name))) for name in convolutions]
            compute(work, first, end, *sums)
            self._free.append(work)
            with self._lock:
                if not self._totals:
                    self._totals = [0 * one.bins.astype(object) for one in sums]
                self._totals = [
                    total + one.bins for total, one in zip(self._totals, sums, strict=True)
                ]

        in_chunks(work_on, boards, SHARE, self._threads)
        if convolutions:
            self._count += boards


def _number(convolution: str) -> int | None:
    """The place of a block's convolution in the tower; None for those of heads."""
    owner, _, leaf = convolution.rpartition(".")
    if not owner.startswith("blocks."):
        return None
    return 2 * int(owner.removeprefix("blocks.")) + (leaf == "conv2")


def _name(number: int) -> str:
    """The convolution at a place in the tower; the input layer's is at -1."""
    return "input.conv" if number < 0 else f"blocks.{number // 2}.conv{number % 2 + 1}"


def _statistics(bins: NDArray[np.object_], count: int) -> NDArray[np.float64]:
    """Means and variances [channels, 2] of ``count`` numbers, from exact sums, rounded once.

    NaN where a number was none or beyond all bounds.
    """
    rows = []
    for row, squares in zip(*bins.reshape(2, -1, BINS), strict=True):
        if row[OVERFLOW] or squares[OVERFLOW]:
            rows.append((np.nan, np.nan))
            continue
        total, square_total = (
            sum(int(part) << (BINS * place) for place, part in enumerate(one[:OVERFLOW]))
            for one in (row, squares)
        )
        spread = (square_total * count << -UNIT) - total * total
        rows.append((total / (count << -UNIT), max(0, spread) / (count**2 << -2 * UNIT)))
    return np.array(rows, np.float64)


def _without_norms(spec: NetSpec, weights: Weights) -> tuple[NetSpec, Weights]:
    """The net with its batch norms left out, not folded: bare convolutions."""
    bare = dict(weights)
    for convolution in normed_convolutions(spec):
        mean = bare.pop(f"{norm_of(convolution)}.mean")
        for part in ("gamma", "beta", "variance"):
            del bare[f"{norm_of(convolution)}.{part}"]
        bare[f"{convolution}.bias"] = np.zeros_like(mean)
    return replace(spec, batch_norm=False), bare
