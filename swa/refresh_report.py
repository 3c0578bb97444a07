"""What a refresh changed, layer by layer: numbers, which others print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from swa.batchnorm import DEAD_VARIANCE, Statistics, Weights
from swa.spec import BATCH_NORM_EPSILON, NetSpec, norm_of, normed_convolutions


@dataclass(frozen=True, slots=True)
class LayerShift:
    """How far the statistics that a net came with are from those of its positions.

    What a batch norm divides by is the root of its variance + epsilon, so this is the sigma in
    which shifts of means are told (that of the positions), and of it are the ratios of variances
    (positions' over the net's own): finite for dead channels too.
    """

    name: str  # of the batch norm: "blocks.0.bn1"
    channels: int
    mean_shift_max: float  # sigmas
    mean_shift_rms: float  # sigmas
    variance_ratio_min: float
    variance_ratio_median: float
    variance_ratio_max: float
    dead_before: int  # channels with a variance below DEAD_VARIANCE
    dead_after: int


def layer_shifts(
    spec: NetSpec, weights: Weights, found: Mapping[str, Statistics]
) -> tuple[LayerShift, ...]:
    """Compare the statistics in ``weights`` with those found, from the input to the heads.

    A batch norm that is not in ``found`` kept its own.
    """
    rows = []
    for convolution in normed_convolutions(spec):
        name = norm_of(convolution)
        before = Statistics(
            *(weights[f"{name}.{part}"].astype(np.float64) for part in ("mean", "variance"))
        )
        after = found.get(name, before)
        old = np.maximum(before.variance, 0) + BATCH_NORM_EPSILON
        new = np.maximum(after.variance, 0) + BATCH_NORM_EPSILON
        shift, ratio = np.abs(after.mean - before.mean) / np.sqrt(new), new / old
        rows.append(
            LayerShift(
                name=name,
                channels=shift.size,
                mean_shift_max=float(shift.max()),
                mean_shift_rms=float(np.sqrt(np.mean(shift**2))),
                variance_ratio_min=float(ratio.min()),
                variance_ratio_median=float(np.median(ratio)),
                variance_ratio_max=float(ratio.max()),
                dead_before=int(np.count_nonzero(before.variance < DEAD_VARIANCE)),
                dead_after=int(np.count_nonzero(after.variance < DEAD_VARIANCE)),
            )
        )
    return tuple(rows)
