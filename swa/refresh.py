"""Exact refresh of batch norm: each layer's mean and variance over given positions.

Layer by layer, every convolution sees what the refreshed layers before it make of the positions,
as it will when the net plays; nothing depends on how positions are grouped or on threads. The
running averages of training, and statistics of training-mode batches, have neither property.
(Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018, arXiv
1803.05407, recompute them after averaging, by a pass in training mode.)

Two arrays are kept from layer to layer, what a block began with and what the last convolution gave,
so that each convolution runs once: 32 kB a position for 64 filters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swa.activations import NO_ACTIVATION
from swa.batchnorm import Weights
from swa.cores import in_chunks
from swa.filters import padded
from swa.forward import Workspace, new_workspace, squeeze_and_excite
from swa.jit import kernel
from swa.layers import activate, add_and_activate, input_convolution, scale_and_shift
from swa.packed import Packed, Tower, pack
from swa.simd import WIDTH, Floats, aligned, load8, multiply_add, splat8, store8
from swa.spec import BATCH_NORM_EPSILON, NetError, NetSpec, norm_of, normed_convolutions
from swa.winograd import (
    GROUP,
    SQUARES,
    from_slots,
    multiply,
    multiply_rows,
    to_slots,
)

BATCH = 10 * GROUP
"""Boards whose sums are kept apart, to be added up in order at the end whoever computed them."""


class Moments(NamedTuple):
    """Sums of what a convolution gave, about a pivot near the mean so that no digits cancel."""

    channels: int  # padded
    pivot: Floats  # [channels]
    sums: NDArray[np.float64]  # [batches, 2, channels] of the distance to the pivot, of its square


class Norm(NamedTuple):
    """A batch norm with its new statistics: what it multiplies by, then adds."""

    scale: Floats  # [channels]
    shift: Floats  # [channels]


class Buffers(NamedTuple):
    """What is kept of B positions between layers."""

    block: Floats  # [B][64][filters] what the current block began with
    raw: Floats  # [B][64][filters] what the last convolution gave, before its batch norm


@kernel
def _add_moments(
    moments: Moments, batch: int, numbers: Floats, start: int, squares: int, scratch: Floats
) -> None:
    """Add [squares][channels] numbers to the sums: 64 squares in float32, then float64."""
    channels, sums = moments.channels, moments.sums
    for first in range(start, start + squares * channels, SQUARES * channels):
        for channel in range(0, channels, WIDTH):
            pivot = load8(moments.pivot, channel)
            total = square_total = splat8(np.float32(0))
            for place in range(first + channel, first + channel + SQUARES * channels, channels):
                distance = load8(numbers, place) - pivot
                total = total + distance
                square_total = multiply_add(distance, distance, square_total)
            store8(scratch, 0, total)
            store8(scratch, WIDTH, square_total)
            for lane in range(WIDTH):
                sums[batch, 0, channel + lane] += scratch[lane]
                sums[batch, 1, channel + lane] += scratch[WIDTH + lane]


@kernel
def _convolve_inputs(
    net: Tower,
    work: Workspace,
    masks: NDArray[np.uint64],
    values: NDArray[np.float32],
    raw: Floats,
    first: int,
    end: int,
    moments: Moments,
) -> None:
    """Run the input layer on the boards from ``first`` to before ``end``."""
    size = SQUARES * net.filters
    for board in range(first, end):
        input_convolution(
            masks[board],
            values[board],
            net.input,
            net.input_bias,
            net.filters,
            work.sums,
            work.counts,
            work.planes,
            work.inner,
        )
        activate(work.inner, 0, raw, board * size, size, NO_ACTIVATION)
        _add_moments(moments, board // BATCH, work.inner, 0, SQUARES, work.sums)


@kernel
def _finish_block(
    net: Tower, work: Workspace, conv: int, norm: Norm, buffers: Buffers, start: int, boards: int
) -> None:
    """Norm what convolution ``conv`` gave; with it, end the block of which it was the last.

    Convolution -1 is the input layer's. The result is in ``buffers.block`` and in the slots.
    """
    filters, size = net.filters, SQUARES * net.filters
    for board in range(boards):
        scale_and_shift(
            buffers.raw,
            start + board * size,
            norm.scale,
            norm.shift,
            filters,
            NO_ACTIVATION,
            work.inner,
            board * size,
        )
    if conv >= 0 and net.se:
        squeeze_and_excite(net, work, conv // 2, boards)
    for board in range(boards):
        place = start + board * size
        if conv >= 0:
            add_and_activate(buffers.block, place, work.inner, board * size, size, net.activation)
        else:
            activate(work.inner, board * size, buffers.block, place, size, net.activation)
        to_slots(buffers.block, place, filters, work.slots, board)


@kernel
def _convolve_blocks(
    net: Tower,
    work: Workspace,
    conv: int,
    norm: Norm,
    buffers: Buffers,
    first: int,
    end: int,
    moments: Moments,
) -> None:
    """Run convolution ``conv`` of the blocks on what the one before it gave."""
    filters, size = net.filters, SQUARES * net.filters
    for group in range(first, end, GROUP):
        boards, start = min(GROUP, end - group), group * size
        if conv % 2:
            for board in range(boards):
                place = start + board * size
                scale_and_shift(
                    buffers.raw,
                    place,
                    norm.scale,
                    norm.shift,
                    filters,
                    net.activation,
                    work.inner,
                    0,
                )
                to_slots(work.inner, 0, filters, work.slots, board)
        else:
            _finish_block(net, work, conv - 1, norm, buffers, start, boards)
        base = multiply(work.slots, boards, net.convs, conv)
        for board in range(boards):
            place, row = start + board * size, base + board
            from_slots(work.slots, row, net.biases, 0, filters, NO_ACTIVATION, buffers.raw, place)
            _add_moments(moments, group // BATCH, buffers.raw, place, SQUARES, work.sums)


@kernel
def _convolve_heads(
    net: Packed,
    work: Workspace,
    norm: Norm,
    buffers: Buffers,
    first: int,
    end: int,
    policy: Moments,
    value: Moments,
    moves_left: Moments,
) -> None:
    """Run the convolutions that the heads begin with on what the tower comes to."""
    tower, size = net.tower, SQUARES * net.tower.filters
    filters = tower.filters
    for group in range(first, end, GROUP):
        boards, start, batch = min(GROUP, end - group), group * size, group // BATCH
        _finish_block(tower, work, 2 * tower.blocks - 1, norm, buffers, start, boards)
        if net.policy.convolution:
            channels = policy.channels
            base = multiply(work.slots, boards, net.policy.filters, 0)
            for row in range(base, base + boards):
                from_slots(
                    work.slots,
                    row,
                    net.policy.bias,
                    0,
                    channels,
                    NO_ACTIVATION,
                    work.inner,
                    0,
                )
                _add_moments(policy, batch, work.inner, 0, SQUARES, work.sums)
        else:
            _convolve_points(net.policy.conv, policy, work, buffers, start, boards, filters, batch)
        _convolve_points(net.value.conv, value, work, buffers, start, boards, filters, batch)
        if moves_left.channels:
            conv = net.moves_left.conv
            _convolve_points(conv, moves_left, work, buffers, start, boards, filters, batch)


@kernel
def _convolve_points(
    weights: Floats,
    moments: Moments,
    work: Workspace,
    buffers: Buffers,
    start: int,
    boards: int,
    filters: int,
    batch: int,
) -> None:
    """Run a 1x1 convolution."""
    squares, channels = boards * SQUARES, moments.channels
    multiply_rows(
        buffers.block,
        start,
        filters,
        squares,
        weights,
        0,
        filters,
        channels,
        work.head,
        0,
        channels,
    )
    _add_moments(moments, batch, work.head, 0, squares, work.sums)


def refresh(
    spec: NetSpec,
    weights: Weights,
    masks: NDArray[np.uint64],
    values: NDArray[np.float32],
    threads: int = 1,
) -> dict[str, NDArray[np.float32]]:
    """The same weights with each batch norm's mean and variance those of the given positions.

    ``masks`` and ``values`` [B, 112] are packed planes (``swa.planes``). The variance is that of
    the population: of all squares of all positions. Computed in float32, summed up in float64.

    Raises NetError for a net without batch norms and for activations that are no numbers,
    ValueError for no positions at all.
    """
    if not spec.batch_norm:
        raise NetError("has no batch norm to refresh", "Refresh the net it was folded from.")
    if not len(masks):
        raise ValueError("a refresh needs at least one position")
    return _Refresh(spec, weights, masks, values, threads).run()


class _Refresh:
    """One refresh: the net without its batch norms, the buffers, the statistics found so far."""

    def __init__(
        self,
        spec: NetSpec,
        weights: Weights,
        masks: NDArray[np.uint64],
        values: NDArray[np.float32],
        threads: int,
    ) -> None:
        self._weights = dict(weights)
        self._boards, self._threads = len(masks), threads
        self._inputs = masks, values
        self._net = pack(*_without_norms(spec, weights))
        numbers = self._boards * SQUARES * self._net.tower.filters
        self._buffers = Buffers(aligned(numbers), aligned(numbers))
        self._free: list[Workspace] = []

    def run(self) -> dict[str, NDArray[np.float32]]:
        """Pass after pass, each on the statistics of the ones before."""
        tower, buffers = self._net.tower, self._buffers
        raw = buffers.raw
        (norm,) = self._pass(
            ["input.conv"],
            lambda work, first, end, moments: _convolve_inputs(
                tower, work, *self._inputs, raw, first, end, moments
            ),
        )
        for conv in range(2 * tower.blocks):

            def convolve(
                work: Workspace,
                first: int,
                end: int,
                moments: Moments,
                conv: int = conv,
                norm: Norm = norm,
            ) -> None:
                _convolve_blocks(tower, work, conv, norm, buffers, first, end, moments)

            (norm,) = self._pass([f"blocks.{conv // 2}.conv{conv % 2 + 1}"], convolve)
        heads = ["policy.conv1" if self._net.policy.convolution else "policy.conv", "value.conv"]
        if self._net.moves_left.channels:
            heads.append("moves_left.conv")
        none = self._moments(0)
        self._pass(
            heads,
            lambda work, first, end, *moments: _convolve_heads(
                self._net, work, norm, buffers, first, end, *moments, *[none] * (3 - len(moments))
            ),
        )
        return self._weights

    def _pass(self, convolutions: list[str], compute: Callable[..., None]) -> list[Norm]:
        """Run ``compute(work, first, end, *moments)`` for all boards; take over what it found."""
        all_moments = [self._moments_of(convolution) for convolution in convolutions]

        def work_on(first: int, end: int) -> None:
            try:
                work = self._free.pop()
            except IndexError:
                work = new_workspace(self._net)
            compute(work, first, end, *all_moments)
            self._free.append(work)

        in_chunks(work_on, self._boards, BATCH, self._threads)
        return [
            self._take_over(convolution, moments)
            for convolution, moments in zip(convolutions, all_moments, strict=True)
        ]

    def _moments_of(self, convolution: str) -> Moments:
        mean = self._weights[f"{norm_of(convolution)}.mean"]
        moments = self._moments(padded(mean.size))
        moments.pivot[: mean.size] = mean
        return moments

    def _moments(self, channels: int) -> Moments:
        batches = -(-self._boards // BATCH)
        return Moments(channels, aligned(channels), np.zeros((batches, 2, channels)))

    def _take_over(self, convolution: str, moments: Moments) -> Norm:
        """Write a batch norm's new statistics into the weights."""
        name = norm_of(convolution)
        gamma, beta = (self._weights[f"{name}.{part}"] for part in ("gamma", "beta"))
        count = self._boards * SQUARES
        distance, square = (moments.sums.sum(axis=0) / count)[:, : gamma.size]
        mean = (moments.pivot[: gamma.size] + distance).astype(np.float32)
        variance = np.maximum(square - distance**2, 0.0).astype(np.float32)
        if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
            raise NetError(
                f"{convolution} gives numbers that are not finite", "Refresh another net."
            )
        self._weights[f"{name}.mean"], self._weights[f"{name}.variance"] = mean, variance
        norm = Norm(aligned(moments.channels), aligned(moments.channels))
        scale = gamma / np.sqrt(variance.astype(np.float64) + BATCH_NORM_EPSILON)
        norm.scale[: gamma.size] = scale
        norm.shift[: gamma.size] = beta - mean * scale
        return norm


def _without_norms(spec: NetSpec, weights: Weights) -> tuple[NetSpec, Weights]:
    """The net with its batch norms left out, not folded: bare convolutions."""
    bare = dict(weights)
    for convolution in normed_convolutions(spec):
        mean = bare.pop(f"{norm_of(convolution)}.mean")
        for part in ("gamma", "beta", "variance"):
            del bare[f"{norm_of(convolution)}.{part}"]
        bare[f"{convolution}.bias"] = np.zeros_like(mean)
    return replace(spec, batch_norm=False), bare
